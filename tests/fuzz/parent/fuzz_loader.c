// SPDX-License-Identifier: BSD-2-Clause
// Fuzz target: kernel files to the loader. The first byte chooses one of the kernels that it takes,
// which the rest then spoils, or a file that is the rest. What is loaded must be within the child's
// RAM, and what the kernel is told must not lie on the kernel.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/platform/loader.h"
#include "parent/worker/log.h"
#include "tests/unit/parent/made_kernels.h"

enum { MEMORY = 32 << 20, PATCH = 7, PATCHES_MAX = 64, SPOILED = 0x2000 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static struct guest_memory memory;
static int kernel_fd, initrd_fd;
static char kernel_path[32], initrd_path[32];

void log_line(const char *format, ...)
{
	(void)format;
}

static int make_file(char *path, size_t room)
{
	int fd = memfd_create("fuzz", 0);

	snprintf(path, room, "/proc/self/fd/%d", fd);
	return fd;
}

static void setup(void)
{
	struct failure failure;

	if (kernel_fd)
		return;
	kernel_fd = make_file(kernel_path, sizeof(kernel_path));
	initrd_fd = make_file(initrd_path, sizeof(initrd_path));
	if (write(initrd_fd, "initrd", 6) != 6 || !guest_memory_create(&memory, MEMORY, &failure))
		abort();
}

// A patch is an offset of 16 bits, a size, and a number of 32 bits.
static void spoil(const uint8_t *input, size_t size)
{
	for (int i = 0; i < PATCHES_MAX && size >= PATCH; i++, input += PATCH, size -= PATCH) {
		uint32_t value;

		memcpy(&value, input + 3, sizeof(value));
		put((input[0] | input[1] << 8) % SPOILED, value, 1u << (input[2] & 3));
	}
}

static size_t make_kernel(const uint8_t *input, size_t size)
{
	static void (*const make[])(
		void) = { make_bzimage, make_elf, make_multiboot_elf, make_multiboot_flat };
	unsigned kind = *input & 7;

	if (kind < ARRAY_SIZE(make)) {
		make[kind]();
		spoil(input + 1, size - 1);
		return FILE_SIZE;
	}
	size = size - 1 < FILE_SIZE ? size - 1 : FILE_SIZE;
	memcpy(file, input + 1, size);
	return size;
}

static void check_told(const struct loader_entry *entry, uint32_t gpa, uint32_t size)
{
	if (!guest_memory_at(&memory, gpa, size) || (entry->rip >= gpa && entry->rip - gpa < size))
		abort();
}

static void check(const struct loader_entry *entry)
{
	if (!guest_memory_at(&memory, entry->rip, 1))
		abort();
	check_told(entry, entry->gdt, LOADER_GDT_LIMIT + 1);
	check_told(entry, entry->rbx + entry->rsi, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct loader_input loader_input = { .command = "command", .rsdp = LAYOUT_ACPI };
	struct loader_entry entry;
	struct failure failure = { .text = "" };

	setup();
	if (!size)
		return 0;
	loader_input.kernel = kernel_path;
	loader_input.initrd = *input & 8 ? initrd_path : NULL;
	size = make_kernel(input, size);
	if (ftruncate(kernel_fd, 0) || pwrite(kernel_fd, file, size, 0) != (ssize_t)size)
		abort();
	if (loader_load(&memory, &loader_input, &entry, &failure))
		check(&entry);
	else if (!failure.text[0])
		abort(); // refused without a word
	madvise(memory.parts[0].host, MEMORY, MADV_DONTNEED);
	return 0;
}
