// SPDX-License-Identifier: BSD-2-Clause
// Xen's PVH entry: struct hvm_start_info (Xen public headers: arch-x86/hvm/start_info.h) for an ELF
// kernel with the note XEN_ELFNOTE_PHYS32_ENTRY.
#include "parent/worker/platform/loader_parts.h"

#include <string.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "parent/worker/platform/layout.h"

enum { COMMAND_LINE_MAX = 4096 }; // there is no limit in the protocol; Linux takes 2048

// The start info and what it points to, but for the command line.
struct start_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_table_entry map[LOADER_REGIONS];
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "struct hvm_start_info");
_Static_assert(sizeof(struct start_page) <= 4096, "one page");

static void write_memory_map(struct loader *loader, struct start_page *page, uint32_t gpa)
{
	struct loader_region regions[LOADER_REGIONS];
	unsigned count = loader_regions(loader->memory, regions);

	for (unsigned i = 0; i < count; i++)
		page->map[i] = (struct hvm_memmap_table_entry){
			.addr = regions[i].gpa,
			.size = regions[i].size,
			.type = regions[i].ram ? XEN_HVM_MEMMAP_TYPE_RAM
					       : XEN_HVM_MEMMAP_TYPE_RESERVED,
		};
	page->info.memmap_entries = count;
	page->info.memmap_paddr = gpa + __builtin_offsetof(struct start_page, map);
}

static bool write_start_page(struct loader *loader, uint32_t command_line, uint32_t *gpa)
{
	struct start_page *page = loader_reserve(loader, LAYOUT_START_INFO, sizeof(*page), gpa);

	if (!page)
		return false;
	page->info.magic = XEN_HVM_START_MAGIC_VALUE;
	page->info.version = 1;
	page->info.cmdline_paddr = command_line;
	page->info.rsdp_paddr = loader->input->rsdp;
	write_memory_map(loader, page, *gpa);
	if (!loader->initrd_gpa)
		return true;
	page->info.nr_modules = 1;
	page->info.modlist_paddr = *gpa + __builtin_offsetof(struct start_page, module);
	page->module.paddr = loader->initrd_gpa;
	page->module.size = loader->initrd_size;
	return true;
}

bool pvh_load(struct loader *loader, const struct elf_image *elf, struct loader_entry *entry)
{
	uint32_t command_line;

	if (!elf_image_load(loader, elf) || !loader_check_entry(loader, "PVH", elf->pvh) ||
		!loader_place_command_line(
			loader, loader->input->command, COMMAND_LINE_MAX, &command_line) ||
		!loader_place_initrd(loader) ||
		!write_start_page(loader, command_line, &entry->rbx))
		return false;
	entry->rip = (uint32_t)elf->pvh;
	return true;
}
