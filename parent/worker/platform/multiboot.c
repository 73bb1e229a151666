// SPDX-License-Identifier: BSD-2-Clause
// Kernels with a Multiboot header (Multiboot Specification 0.6.96): any file whose header has the
// address fields, and ELF files without them.
#include "parent/worker/platform/loader_parts.h"

#include <stdio.h>
#include <string.h>

#include "parent/worker/platform/layout.h"
#include "parent/worker/log.h"

enum {
	HEADER_MAGIC = 0x1badb002,
	LOADER_MAGIC = 0x2badb002, // in EAX
	SEARCH_MAX = 8192,	   // bytes of the file that the header is in

	// The header's flags. What the lower half asks for and is not known here must not be
	// loaded; that of a video mode is no more than a wish (3.1.4).
	HEADER_PAGE_ALIGN = 1 << 0,  // modules: all are
	HEADER_MEMORY_INFO = 1 << 1, // it is always there
	HEADER_VIDEO_MODE = 1 << 2,
	HEADER_KNOWN = HEADER_PAGE_ALIGN | HEADER_MEMORY_INFO | HEADER_VIDEO_MODE,
	HEADER_REQUIRED = 0xffff,
	HEADER_ADDRESSES = 1 << 16,

	// The boot information's.
	INFO_MEMORY = 1 << 0,
	INFO_COMMAND_LINE = 1 << 2,
	INFO_MODULES = 1 << 3,
	INFO_MEMORY_MAP = 1 << 6,
	INFO_LOADER_NAME = 1 << 9,

	MEMORY_AVAILABLE = 1,
	MEMORY_RESERVED = 2,
};

// 3.1.1, The layout of Multiboot header; without the video mode.
struct multiboot_header {
	uint32_t magic, flags, checksum;
	uint32_t header_address, load_address, load_end, bss_end, entry;
};
_Static_assert(sizeof(struct multiboot_header) == 32, "Multiboot header");
enum { HEADER_BASIC = __builtin_offsetof(struct multiboot_header, header_address) };

// 3.3, Boot information format; as far as there is anything to say.
struct multiboot_info {
	uint32_t flags;
	uint32_t memory_lower_kib, memory_upper_kib;
	uint32_t boot_device;
	uint32_t command_line;
	uint32_t module_count, modules;
	uint32_t symbols[4];
	uint32_t map_length, map;
	uint32_t drives_length, drives;
	uint32_t config_table;
	uint32_t loader_name;
	uint32_t apm_table;
};
_Static_assert(__builtin_offsetof(struct multiboot_info, map_length) == 44, "Multiboot info");
_Static_assert(__builtin_offsetof(struct multiboot_info, loader_name) == 64, "Multiboot info");

struct multiboot_module {
	uint32_t start, end;
	uint32_t string;
	uint32_t rsvd_z;
};
_Static_assert(sizeof(struct multiboot_module) == 16, "Multiboot module");

struct multiboot_region {
	uint32_t size; // of what follows it
	uint64_t gpa, length;
	uint32_t type;
} __attribute__((packed)); // the format itself is misaligned
_Static_assert(sizeof(struct multiboot_region) == 24, "Multiboot memory map");

// All that the kernel gets but the command line, in the page at LAYOUT_START_INFO.
struct info_page {
	struct multiboot_info info;
	struct multiboot_module module;
	struct multiboot_region map[LOADER_REGIONS];
	char loader_name[8];
	char module_name[8];
};
_Static_assert(sizeof(struct info_page) <= 4096, "one page");

#define ADDRESS_OF(gpa, field) ((gpa) + (uint32_t) __builtin_offsetof(struct info_page, field))

// 3.1: the header is aligned to 4 bytes; its three first fields add up to 0.
static bool find_header(struct loader *loader, struct multiboot_header *header, uint32_t *offset)
{
	uint8_t head[SEARCH_MAX];
	uint32_t size = loader->size < sizeof(head) ? (uint32_t)loader->size : sizeof(head);

	*offset = 0;
	if (!loader_read(loader, 0, head, size))
		return false;
	for (; *offset + HEADER_BASIC <= size; *offset += 4) {
		uint32_t left = size - *offset;

		*header = (struct multiboot_header){ 0 };
		memcpy(header, head + *offset, left < sizeof(*header) ? left : sizeof(*header));
		if (header->magic == HEADER_MAGIC &&
			!(header->magic + header->flags + header->checksum) &&
			(!(header->flags & HEADER_ADDRESSES) || left >= sizeof(*header)))
			return true;
	}
	return false;
}

bool multiboot_is_here(struct loader *loader)
{
	struct multiboot_header header;
	uint32_t offset;

	return find_header(loader, &header, &offset);
}

// 3.1.3, The address fields of Multiboot header. They count even if the file is an ELF file. An end
// of 0 is the end of the file, a bss that ends at 0 is none; sums of 32 bits that wrap have no
// sense.
static bool read_addresses(struct loader *loader, const struct multiboot_header *header,
	uint32_t header_offset, struct loader_piece *piece)
{
	uint32_t before = header->header_address - header->load_address;
	uint64_t end = header->load_end, bss_end = header->bss_end;

	if (header->load_address > header->header_address || before > header_offset)
		return false;
	*piece = (struct loader_piece){
		.offset = header_offset - before,
		.gpa = header->load_address,
	};
	if (!end)
		end = piece->gpa + (loader->size - piece->offset);
	if (!bss_end)
		bss_end = end;
	piece->file_size = end - piece->gpa;
	piece->memory_size = bss_end - piece->gpa;
	return end > piece->gpa && bss_end >= end && bss_end <= UINT32_MAX;
}

static bool load_by_addresses(
	struct loader *loader, const struct multiboot_header *header, uint32_t header_offset)
{
	struct loader_piece piece;

	if (!read_addresses(loader, header, header_offset, &piece))
		return loader_not_a_kernel(
			loader, "the addresses in its Multiboot header make no sense");
	return loader_place(loader, &piece);
}

static uint32_t write_memory_map(struct loader *loader, struct multiboot_region *map)
{
	struct loader_region regions[LOADER_REGIONS];
	unsigned count = loader_regions(loader->memory, regions);

	for (unsigned i = 0; i < count; i++)
		map[i] = (struct multiboot_region){
			.size = sizeof(*map) - sizeof(map->size),
			.gpa = regions[i].gpa,
			.length = regions[i].size,
			.type = regions[i].ram ? MEMORY_AVAILABLE : MEMORY_RESERVED,
		};
	return count * (uint32_t)sizeof(*map);
}

static bool write_info(struct loader *loader, uint32_t command_line, uint32_t *gpa)
{
	struct info_page *page = loader_reserve(loader, LAYOUT_START_INFO, sizeof(*page), gpa);
	uint64_t upper = guest_memory_low_end(loader->memory) - LAYOUT_HIGH_MEMORY;

	if (!page)
		return false;
	*page = (struct info_page){
		.info = {
			.flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP |
				 INFO_LOADER_NAME,
			.memory_lower_kib = LAYOUT_LOW_END / LAYOUT_KIB,
			.memory_upper_kib = (uint32_t)(upper / LAYOUT_KIB),
			.command_line = command_line,
			.module_count = loader->initrd_gpa ? 1 : 0,
			.modules = ADDRESS_OF(*gpa, module),
			.map = ADDRESS_OF(*gpa, map),
			.loader_name = ADDRESS_OF(*gpa, loader_name),
		},
		.module = {
			.start = (uint32_t)loader->initrd_gpa,
			.end = (uint32_t)(loader->initrd_gpa + loader->initrd_size),
			.string = ADDRESS_OF(*gpa, module_name),
		},
		.loader_name = "Lumen",
		.module_name = "initrd",
	};
	page->info.map_length = write_memory_map(loader, page->map);
	return true;
}

// As other loaders have it, the first word of the command line is the kernel's name.
static bool place_command_line(struct loader *loader, uint32_t *gpa)
{
	char command[LAYOUT_COMMAND_MAX + 1];
	const char *name = strrchr(loader->input->kernel, '/');

	snprintf(command, sizeof(command), "%s %s", name ? name + 1 : loader->input->kernel,
		loader->input->command);
	return loader_place_command_line(loader, command, LAYOUT_COMMAND_MAX, gpa);
}

static bool check_flags(struct loader *loader, const struct multiboot_header *header, bool is_elf)
{
	if (header->flags & HEADER_REQUIRED & ~HEADER_KNOWN)
		return loader_not_a_kernel(loader,
			"its Multiboot header asks for what there is not (flags 0x%x)",
			header->flags);
	if (!is_elf && !(header->flags & HEADER_ADDRESSES))
		return loader_not_a_kernel(
			loader, "no ELF file, and its Multiboot header has no addresses");
	if (header->flags & HEADER_VIDEO_MODE)
		log_line("%s asks for a video mode by its Multiboot header: there is none here",
			loader->input->kernel);
	return true;
}

bool multiboot_load(struct loader *loader, const struct elf_image *elf, struct loader_entry *entry)
{
	struct multiboot_header header;
	uint32_t offset, command_line;
	uint64_t address;

	if (!find_header(loader, &header, &offset))
		return loader_not_a_kernel(loader, "its Multiboot header is gone");
	if (!check_flags(loader, &header, elf))
		return false;
	if (header.flags & HEADER_ADDRESSES)
		elf = NULL;
	address = elf ? elf->header : header.entry;
	if (!(elf ? elf_image_load(loader, elf) : load_by_addresses(loader, &header, offset)) ||
		!loader_check_entry(loader, "Multiboot", address) ||
		!place_command_line(loader, &command_line) || !loader_place_initrd(loader) ||
		!write_info(loader, command_line, &entry->rbx))
		return false;
	entry->rip = (uint32_t)address;
	entry->rax = LOADER_MAGIC;
	return true;
}
