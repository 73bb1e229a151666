// SPDX-License-Identifier: BSD-2-Clause
// See loader.h: what all formats need, and the choice between them.
#include "parent/worker/loader_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/worker/file.h"
#include "parent/worker/layout.h"

// Flat 4 GiB segments: bytes as in a descriptor (SDM 3A, 3.4.5).
static const uint64_t boot_gdt[] = {
	0, 0,
	0x00cf9b000000ffff, // LOADER_CODE_SELECTOR
	0x00cf93000000ffff, // LOADER_DATA_SELECTOR
	0x00008b0000000067, // LOADER_TASK_SELECTOR: busy, never used
};
_Static_assert(sizeof(boot_gdt) == LOADER_GDT_LIMIT + 1, "the GDT and its limit");

// Real-mode code at F000:FFF0. On a hardware-reduced platform without EFI Linux takes BIOS for the
// way to reset a machine, before ACPI: it goes back to real mode and jumps there.
static const uint8_t reset_code[] = {
	0xba, LAYOUT_RESET & 0xff, LAYOUT_RESET >> 8, // mov $LAYOUT_RESET, %dx
	0xb0, LAYOUT_RESET_VALUE,		      // mov $LAYOUT_RESET_VALUE, %al
	0xee,					      // out %al, (%dx)
	0xf4,					      // hlt
	0xeb, 0xfd,				      // jmp to the hlt
};

bool loader_not_a_kernel(struct loader *loader, const char *why, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, why);
	vsnprintf(text, sizeof(text), why, arguments);
	va_end(arguments);
	return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS, "%s is not a kernel: %s.",
		loader->input->kernel, text);
}

int loader_read_file(int fd, uint64_t offset, void *to, uint64_t length)
{
	uint8_t *at = to;

	while (length) {
		ssize_t got = pread(fd, at, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!got)
			return EIO;
		at += got;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return 0;
}

bool loader_read(struct loader *loader, uint64_t offset, void *to, uint64_t length)
{
	int error;

	if (offset > loader->size || length > loader->size - offset)
		return loader_not_a_kernel(loader, "the file is cut short");
	error = loader_read_file(loader->fd, offset, to, length);
	if (!error)
		return true;
	return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The kernel %s cannot be read: %s.", loader->input->kernel, strerror(error));
}

bool loader_place(struct loader *loader, const struct loader_piece *piece)
{
	uint64_t end;
	uint8_t *to;

	if (!piece->memory_size)
		return true;
	if (piece->file_size > piece->memory_size)
		return loader_not_a_kernel(
			loader, "a segment is larger in the file than in memory");
	if (__builtin_add_overflow(piece->gpa, piece->memory_size, &end))
		return loader_not_a_kernel(loader, "a segment has no end");
	// What lies lower is ours (layout.h).
	if (piece->gpa < LAYOUT_KERNEL_MIN)
		return loader_not_a_kernel(
			loader, "a segment is at 0x%" PRIx64 ", below 1 MiB", piece->gpa);
	to = guest_memory_at(loader->memory, piece->gpa, piece->memory_size);
	if (!to || end > guest_memory_low_end(loader->memory))
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The child has too little memory for %s: it needs 0x%" PRIx64
			" to 0x%" PRIx64 ".",
			loader->input->kernel, piece->gpa, end);
	if (!loader->image_end || piece->gpa < loader->image_start)
		loader->image_start = piece->gpa;
	if (end > loader->image_end)
		loader->image_end = end;
	return loader_read(loader, piece->offset, to, piece->file_size);
}

bool loader_check_entry(struct loader *loader, const char *what, uint64_t address)
{
	loader->initrd_limit = guest_memory_low_end(loader->memory);
	if (address >= loader->image_start && address < loader->image_end)
		return true;
	return loader_not_a_kernel(
		loader, "its %s entry 0x%" PRIx64 " is in none of its segments", what, address);
}

unsigned loader_regions(const struct guest_memory *memory, struct loader_region *regions)
{
	const struct guest_memory_part *high = &memory->parts[1];
	unsigned count = 0;

	regions[count++] = (struct loader_region){ 0, LAYOUT_LOW_END, true };
	regions[count++] =
		(struct loader_region){ LAYOUT_LOW_END, LAYOUT_KERNEL_MIN - LAYOUT_LOW_END, false };
	regions[count++] = (struct loader_region){ LAYOUT_KERNEL_MIN,
		guest_memory_low_end(memory) - LAYOUT_KERNEL_MIN, true };
	if (high->size)
		regions[count++] = (struct loader_region){ high->gpa, high->size, true };
	return count;
}

bool loader_place_command_line(struct loader *loader, const char *command, uint64_t limit)
{
	uint64_t length = strlen(command);
	char *to = guest_memory_at(loader->memory, LAYOUT_COMMAND_LINE, LAYOUT_COMMAND_ROOM);

	if (limit >= LAYOUT_COMMAND_ROOM)
		limit = LAYOUT_COMMAND_ROOM - 1;
	if (!to || length > limit)
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The command line has %llu bytes; %s takes %llu.",
			(unsigned long long)length, loader->input->kernel,
			(unsigned long long)limit);
	memcpy(to, command, length + 1);
	return true;
}

static uint64_t page_floor(uint64_t value)
{
	return value & ~(uint64_t)(VMBUS_PAGE_SIZE - 1);
}

// Chooses the highest place for `size` bytes that is RAM, below the limit and not in the image.
// Returns 0 if there is none.
static uint64_t choose_initrd_gpa(const struct loader *loader, uint64_t size)
{
	uint64_t low_end = guest_memory_low_end(loader->memory);
	uint64_t end = loader->initrd_limit < low_end ? loader->initrd_limit : low_end;
	uint64_t floor = loader->image_end;

	if (end > floor && size <= end - floor && page_floor(end - size) >= floor)
		return page_floor(end - size);
	end = loader->image_start < end ? loader->image_start : end;
	floor = LAYOUT_KERNEL_MIN;
	if (end > floor && size <= end - floor && page_floor(end - size) >= floor)
		return page_floor(end - size);
	return 0;
}

static bool load_initrd(struct loader *loader, int fd, const struct stat *stat)
{
	const char *path = loader->input->initrd;
	void *to;
	int error;

	if (stat->st_size <= 0)
		return failure_set(
			loader->failure, LUMEN_EXIT_BAD_ARGUMENTS, "The initrd %s is empty.", path);
	loader->initrd_size = (uint64_t)stat->st_size;
	loader->initrd_gpa = choose_initrd_gpa(loader, loader->initrd_size);
	to = guest_memory_at(loader->memory, loader->initrd_gpa, loader->initrd_size);
	if (!loader->initrd_gpa || !to)
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The child has too little memory for its kernel and %llu KiB of initrd.",
			(unsigned long long)(loader->initrd_size / 1024));
	error = loader_read_file(fd, 0, to, loader->initrd_size);
	if (!error)
		return true;
	return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The initrd %s cannot be read: %s.", path, strerror(error));
}

bool loader_place_initrd(struct loader *loader)
{
	const char *path = loader->input->initrd;
	struct stat stat;
	bool done;
	int fd;

	if (!path)
		return true;
	fd = file_open("initrd", path, O_RDONLY, FILE_REGULAR, &stat, loader->failure);
	if (fd < 0)
		return false;
	done = load_initrd(loader, fd, &stat);
	close(fd);
	return done;
}

// A kernel with both is entered by PVH: that is defined for 64-bit files too, and says more.
static bool load_elf(struct loader *loader, struct loader_entry *entry)
{
	struct elf_entries entries;

	if (!elf_image_load(loader, &entries))
		return false;
	if (entries.pvh)
		return pvh_enter(loader, entries.pvh, entry);
	if (multiboot_is_here(loader))
		return multiboot_load(loader, &entries, entry);
	return loader_not_a_kernel(
		loader, "an ELF file without a PVH note and without a Multiboot header");
}

static bool load_by_format(struct loader *loader, struct loader_entry *entry)
{
	static const uint8_t elf_magic[4] = { 0x7f, 'E', 'L', 'F' };
	uint8_t head[0x206];

	if (loader->size < sizeof(head))
		return loader_not_a_kernel(
			loader, "it has only %llu bytes", (unsigned long long)loader->size);
	if (!loader_read(loader, 0, head, sizeof(head)))
		return false;
	if (!memcmp(head, elf_magic, sizeof(elf_magic)))
		return load_elf(loader, entry);
	if (head[0x1fe] == 0x55 && head[0x1ff] == 0xaa && !memcmp(head + 0x202, "HdrS", 4))
		return bzimage_load(loader, entry);
	if (multiboot_is_here(loader))
		return multiboot_load(loader, NULL, entry);
	return loader_not_a_kernel(loader, "neither a bzImage nor an ELF file");
}

static bool load_open_file(struct loader *loader, struct loader_entry *entry)
{
	memcpy(guest_memory_at(loader->memory, LAYOUT_GDT, sizeof(boot_gdt)), boot_gdt,
		sizeof(boot_gdt));
	memcpy(guest_memory_at(loader->memory, LAYOUT_RESET_VECTOR, sizeof(reset_code)), reset_code,
		sizeof(reset_code));
	return load_by_format(loader, entry);
}

bool loader_load(const struct guest_memory *memory, const struct loader_input *input,
	struct loader_entry *entry, struct failure *failure)
{
	struct loader loader = { .memory = memory, .input = input, .failure = failure };
	struct stat stat;
	bool done;

	*entry = (struct loader_entry){ 0 };
	loader.fd = file_open("kernel", input->kernel, O_RDONLY, FILE_REGULAR, &stat, failure);
	if (loader.fd < 0)
		return false;
	loader.size = (uint64_t)stat.st_size;
	done = load_open_file(&loader, entry);
	close(loader.fd);
	return done;
}
