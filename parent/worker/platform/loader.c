// SPDX-License-Identifier: BSD-2-Clause
// See loader.h: what all formats need, and the choice between them.
#include "parent/worker/platform/loader_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/common/file.h"
#include "parent/worker/platform/layout.h"

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

enum { BIOS_DATA_SIZE = 0x100, BIOS_LOW_KIB = 0x13 };

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

// Reads exactly `length` bytes. Returns 0 or an errno; EIO if the file ends before that.
static int read_file(int fd, uint64_t offset, void *to, uint64_t length)
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
	error = read_file(loader->fd, offset, to, length);
	if (!error)
		return true;
	return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The kernel %s cannot be read: %s.", loader->input->kernel, strerror(error));
}

// Returns whether a range is RAM below 4 GiB.
static bool is_low_ram(const struct loader *loader, uint64_t start, uint64_t end)
{
	return end <= LAYOUT_LOW_END ||
	       (start >= LAYOUT_HIGH_MEMORY && end <= guest_memory_low_end(loader->memory));
}

static bool check_place(struct loader *loader, uint64_t start, uint64_t end)
{
	if (is_low_ram(loader, start, end))
		return true;
	if (start < LAYOUT_HIGH_MEMORY)
		return loader_not_a_kernel(loader,
			"a segment is at 0x%" PRIx64 " to 0x%" PRIx64
			", and from 0x%x to 0x%x there is no RAM",
			start, end, LAYOUT_LOW_END, LAYOUT_HIGH_MEMORY);
	return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The child has too little memory for %s: it needs 0x%" PRIx64 " to 0x%" PRIx64 ".",
		loader->input->kernel, start, end);
}

bool loader_place(struct loader *loader, const struct loader_piece *piece)
{
	uint64_t end;

	if (!piece->memory_size)
		return true;
	if (piece->file_size > piece->memory_size)
		return loader_not_a_kernel(
			loader, "a segment is larger in the file than in memory");
	if (__builtin_add_overflow(piece->gpa, piece->memory_size, &end))
		return loader_not_a_kernel(loader, "a segment has no end");
	if (!check_place(loader, piece->gpa, end))
		return false;
	if (!space_take(&loader->space, piece->gpa, end))
		return loader_not_a_kernel(loader, "it has too many segments");
	return loader_read(loader, piece->offset,
		guest_memory_at(loader->memory, piece->gpa, piece->memory_size), piece->file_size);
}

bool loader_check_entry(struct loader *loader, const char *what, uint64_t address)
{
	if (address < UINT32_MAX && !space_is_free(&loader->space, address, address + 1))
		return true;
	return loader_not_a_kernel(
		loader, "its %s entry 0x%" PRIx64 " is in none of its segments", what, address);
}

void *loader_reserve(struct loader *loader, uint32_t wanted, uint64_t size, uint32_t *gpa)
{
	const struct space_range low = { LAYOUT_LOADER_MIN, LAYOUT_LOW_END };
	const struct space_range high = { LAYOUT_HIGH_MEMORY,
		guest_memory_low_end(loader->memory) };
	uint64_t at = wanted;

	if (!space_is_free(&loader->space, wanted, wanted + size))
		at = space_lowest(&loader->space, size, low);
	if (at == SPACE_NONE)
		at = space_lowest(&loader->space, size, high);
	if (at == SPACE_NONE || !space_take(&loader->space, at, at + size)) {
		failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"%s leaves no room in the child's memory for what it is to be told.",
			loader->input->kernel);
		return NULL;
	}
	*gpa = (uint32_t)at;
	return memset(guest_memory_at(loader->memory, at, size), 0, size);
}

unsigned loader_regions(const struct guest_memory *memory, struct loader_region *regions)
{
	const struct guest_memory_part *high = &memory->parts[1];
	unsigned count = 0;

	regions[count++] = (struct loader_region){ 0, LAYOUT_LOW_END, true };
	regions[count++] = (struct loader_region){ LAYOUT_LOW_END,
		LAYOUT_HIGH_MEMORY - LAYOUT_LOW_END, false };
	regions[count++] = (struct loader_region){ LAYOUT_HIGH_MEMORY,
		guest_memory_low_end(memory) - LAYOUT_HIGH_MEMORY, true };
	if (high->size)
		regions[count++] = (struct loader_region){ high->gpa, high->size, true };
	return count;
}

bool loader_place_command_line(
	struct loader *loader, const char *command, uint64_t limit, uint32_t *gpa)
{
	uint64_t length = strlen(command);
	char *to;

	if (limit > LAYOUT_COMMAND_MAX)
		limit = LAYOUT_COMMAND_MAX;
	if (length > limit)
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The command line has %llu bytes; %s takes %llu.",
			(unsigned long long)length, loader->input->kernel,
			(unsigned long long)limit);
	to = loader_reserve(loader, LAYOUT_COMMAND_LINE, length + 1, gpa);
	if (!to)
		return false;
	memcpy(to, command, length + 1);
	return true;
}

static uint64_t choose_initrd_gpa(const struct loader *loader, uint64_t size)
{
	uint64_t low_end = guest_memory_low_end(loader->memory);
	const struct space_range within = { LAYOUT_HIGH_MEMORY,
		loader->initrd_limit < low_end ? loader->initrd_limit : low_end };

	return space_highest(&loader->space, size, within);
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
	if (!to || !space_take(&loader->space, loader->initrd_gpa,
			   loader->initrd_gpa + loader->initrd_size))
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The child has too little memory for its kernel and %llu KiB of initrd.",
			(unsigned long long)(loader->initrd_size / 1024));
	error = read_file(fd, 0, to, loader->initrd_size);
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
	struct elf_image elf;

	if (!elf_image_read(loader, &elf))
		return false;
	if (elf.pvh)
		return pvh_load(loader, &elf, entry);
	if (multiboot_is_here(loader))
		return multiboot_load(loader, &elf, entry);
	return loader_not_a_kernel(loader,
		"an ELF file without a PVH note and without a Multiboot header%s%s",
		*elf.odd_note ? "; " : "", elf.odd_note);
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
	return loader_not_a_kernel(loader, "no bzImage, no ELF file, and no Multiboot image");
}

static bool place_gdt(struct loader *loader, struct loader_entry *entry)
{
	void *to = loader_reserve(loader, LAYOUT_GDT, sizeof(boot_gdt), &entry->gdt);

	if (!to)
		return false;
	memcpy(to, boot_gdt, sizeof(boot_gdt));
	return true;
}

// What a PC's BIOS leaves: the first fields of its data area (40:00 the port of COM1, 40:13 the KiB
// of RAM below 640 KiB, from which Xen, for one, computes where its trampoline goes), and where a
// PC begins.
static void write_pc_data(struct loader *loader)
{
	static const uint16_t console_port = LAYOUT_CONSOLE_PORT;
	static const uint16_t low_kib = LAYOUT_LOW_END / LAYOUT_KIB;
	uint8_t *bios = guest_memory_at(loader->memory, LAYOUT_BIOS_DATA, BIOS_DATA_SIZE);

	memcpy(guest_memory_at(loader->memory, LAYOUT_RESET_VECTOR, sizeof(reset_code)), reset_code,
		sizeof(reset_code));
	if (!space_is_free(&loader->space, LAYOUT_BIOS_DATA, LAYOUT_BIOS_DATA + BIOS_DATA_SIZE))
		return; // the kernel itself is there
	memcpy(bios, &console_port, sizeof(console_port));
	memcpy(bios + BIOS_LOW_KIB, &low_kib, sizeof(low_kib));
}

static bool load_open_file(struct loader *loader, struct loader_entry *entry)
{
	if (!load_by_format(loader, entry))
		return false;
	write_pc_data(loader);
	return place_gdt(loader, entry);
}

bool loader_load(const struct guest_memory *memory, const struct loader_input *input,
	struct loader_entry *entry, struct failure *failure)
{
	struct loader loader = { .memory = memory,
		.input = input,
		.failure = failure,
		.initrd_limit = guest_memory_low_end(memory) };
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
