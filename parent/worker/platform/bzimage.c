// SPDX-License-Identifier: BSD-2-Clause
// Linux' bzImage, entered by its 32-bit boot protocol (Linux: Documentation/arch/x86/boot.rst).
#include "parent/worker/platform/loader_parts.h"

#include <string.h>

#include "parent/worker/platform/layout.h"

// The setup header, from offset 0x1f1 of the file and of the boot parameters.
struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize16; // of the protected-mode code, in units of 16 bytes
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump[2]; // the second byte: where the header ends, from 0x202
	uint32_t magic;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max; // the last byte
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
} __attribute__((packed)); // the format itself is misaligned

_Static_assert(__builtin_offsetof(struct setup_header, magic) == 0x202 - 0x1f1, "magic");
_Static_assert(__builtin_offsetof(struct setup_header, code32_start) == 0x214 - 0x1f1, "code32");
_Static_assert(__builtin_offsetof(struct setup_header, cmd_line_ptr) == 0x228 - 0x1f1, "cmdline");
_Static_assert(__builtin_offsetof(struct setup_header, pref_address) == 0x258 - 0x1f1, "pref");
_Static_assert(sizeof(struct setup_header) == 0x264 - 0x1f1, "struct setup_header");

enum {
	HEADER_OFFSET = 0x1f1,
	HEADER_END_MAX = 0x290, // of the room for it in the boot parameters
	JUMP_END = 0x202,
	SECTOR = 512,
	VERSION_MIN = 0x020a, // has init_size
	LOADFLAG_LOADED_HIGH = 0x01,
	LOADER_UNDEFINED = 0xff,
	VID_MODE_NORMAL = 0xffff,

	PARAMS_SIZE = 0x1000,
	PARAMS_ACPI_RSDP = 0x070, // 2.14
	PARAMS_E820_ENTRIES = 0x1e8,
	PARAMS_E820_TABLE = 0x2d0,
	E820_RAM = 1,
	E820_RESERVED = 2,
};

struct e820_entry {
	uint64_t gpa, size;
	uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "struct e820_entry");

// A bzImage being loaded.
struct bzimage {
	struct loader *loader;
	struct setup_header header; // our copy, in the end the one that the kernel gets
	uint64_t header_size;	    // of the header that the file has, in bytes from HEADER_OFFSET
	uint64_t payload_offset;    // in the file: the protected-mode code
	uint64_t payload_size;
	uint64_t load_gpa;
};

static bool check_header(struct bzimage *image)
{
	const struct setup_header *header = &image->header;
	struct loader *loader = image->loader;
	unsigned sectors = header->setup_sects ? header->setup_sects : 4;
	unsigned end = JUMP_END + header->jump[1];

	if (header->version < VERSION_MIN)
		return loader_not_a_kernel(loader,
			"its boot protocol is %u.%02u, and 2.10 is the oldest that works here",
			header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADFLAG_LOADED_HIGH))
		return loader_not_a_kernel(loader, "a zImage, not a bzImage");
	if (end < HEADER_OFFSET + sizeof(*header) || end > HEADER_END_MAX)
		return loader_not_a_kernel(loader, "its setup header ends at 0x%x", end);
	image->header_size = end - HEADER_OFFSET;
	image->payload_offset = (sectors + 1ull) * SECTOR;
	if (image->payload_offset >= loader->size)
		return loader_not_a_kernel(loader, "the file is cut short");
	image->payload_size = loader->size - image->payload_offset;
	if (header->syssize16 * 16ull > image->payload_size + 15)
		return loader_not_a_kernel(loader, "the file is cut short");
	if (header->kernel_alignment & (header->kernel_alignment - 1))
		return loader_not_a_kernel(loader, "its alignment 0x%x is not a power of two",
			header->kernel_alignment);
	return true;
}

// Where the kernel wants to be. It could be loaded elsewhere, but no kernel runs below the address
// that it prefers (boot.rst: runtime_start), and what does not fit there does not fit above it.
static bool choose_load_address(struct bzimage *image)
{
	const struct setup_header *header = &image->header;
	struct loader *loader = image->loader;
	uint64_t mask = header->kernel_alignment ? header->kernel_alignment - 1ull : 0;
	uint64_t needs = header->init_size, end;

	if (needs < image->payload_size)
		needs = image->payload_size;
	if (header->pref_address < LAYOUT_HIGH_MEMORY || (header->pref_address & mask))
		return loader_not_a_kernel(loader, "it wants to be at 0x%llx",
			(unsigned long long)header->pref_address);
	if (__builtin_add_overflow(header->pref_address, needs, &end) ||
		end > guest_memory_low_end(loader->memory))
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The child has too little memory for %s: it needs %llu MiB at %llu MiB.",
			loader->input->kernel, (needs + LAYOUT_MIB - 1) / LAYOUT_MIB,
			header->pref_address / LAYOUT_MIB);
	image->load_gpa = header->pref_address;
	loader->initrd_limit = header->initrd_addr_max + 1ull;
	return space_take(&loader->space, image->load_gpa, end);
}

static void write_e820(struct loader *loader, uint8_t *params)
{
	struct loader_region regions[LOADER_REGIONS];
	unsigned count = loader_regions(loader->memory, regions);

	for (unsigned i = 0; i < count; i++) {
		struct e820_entry entry = { regions[i].gpa, regions[i].size,
			regions[i].ram ? E820_RAM : E820_RESERVED };

		memcpy(params + PARAMS_E820_TABLE + i * sizeof(entry), &entry, sizeof(entry));
	}
	params[PARAMS_E820_ENTRIES] = (uint8_t)count;
}

// Builds the zero page: all zero but for the header, the memory map and the RSDP.
static bool write_boot_params(struct bzimage *image, uint32_t command_line, uint32_t *gpa)
{
	struct loader *loader = image->loader;
	struct setup_header *header = &image->header;
	uint8_t *params = loader_reserve(loader, LAYOUT_BOOT_PARAMS, PARAMS_SIZE, gpa);

	// A newer header is longer than ours: the rest of it comes from the file as it is.
	if (!params ||
		!loader_read(loader, HEADER_OFFSET, params + HEADER_OFFSET, image->header_size))
		return false;
	header->type_of_loader = LOADER_UNDEFINED;
	header->vid_mode = VID_MODE_NORMAL;
	header->code32_start = (uint32_t)image->load_gpa;
	header->cmd_line_ptr = command_line;
	header->ramdisk_image = (uint32_t)loader->initrd_gpa;
	header->ramdisk_size = (uint32_t)loader->initrd_size;
	header->setup_data = 0;
	memcpy(params + HEADER_OFFSET, header, sizeof(*header));
	memcpy(params + PARAMS_ACPI_RSDP, &loader->input->rsdp, sizeof(loader->input->rsdp));
	write_e820(loader, params);
	return true;
}

bool bzimage_load(struct loader *loader, struct loader_entry *entry)
{
	struct bzimage image = { .loader = loader };
	uint32_t command_line;
	void *to;

	if (!loader_read(loader, HEADER_OFFSET, &image.header, sizeof(image.header)) ||
		!check_header(&image) || !choose_load_address(&image))
		return false;
	to = guest_memory_at(loader->memory, image.load_gpa, image.payload_size);
	if (!loader_read(loader, image.payload_offset, to, image.payload_size) ||
		!loader_place_command_line(
			loader, loader->input->command, image.header.cmdline_size, &command_line) ||
		!loader_place_initrd(loader) ||
		!write_boot_params(&image, command_line, &entry->rsi))
		return false;
	entry->rip = (uint32_t)image.load_gpa;
	return true;
}
