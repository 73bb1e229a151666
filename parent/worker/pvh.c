// SPDX-License-Identifier: BSD-2-Clause
// Xen's PVH entry: struct hvm_start_info (Xen public headers: arch-x86/hvm/start_info.h) for an ELF
// kernel with the note XEN_ELFNOTE_PHYS32_ENTRY.
#include "parent/worker/loader_parts.h"

#include <string.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "parent/worker/layout.h"

enum { COMMAND_LINE_MAX = 4096 }; // there is no limit in the protocol; Linux takes 2048

// All that the start info points to, in the page at LAYOUT_START_INFO.
struct start_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_table_entry map[LOADER_REGIONS];
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "struct hvm_start_info");
_Static_assert(sizeof(struct start_page) <= 4096, "one page");

static void write_memory_map(struct loader *loader, struct start_page *page)
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
	page->info.memmap_paddr = LAYOUT_START_INFO + __builtin_offsetof(struct start_page, map);
}

static void write_start_page(struct loader *loader)
{
	struct start_page *page = guest_memory_at(loader->memory, LAYOUT_START_INFO, sizeof(*page));

	memset(page, 0, sizeof(*page));
	page->info.magic = XEN_HVM_START_MAGIC_VALUE;
	page->info.version = 1;
	page->info.cmdline_paddr = LAYOUT_COMMAND_LINE;
	page->info.rsdp_paddr = loader->input->rsdp;
	write_memory_map(loader, page);
	if (!loader->initrd_gpa)
		return;
	page->info.nr_modules = 1;
	page->info.modlist_paddr =
		LAYOUT_START_INFO + __builtin_offsetof(struct start_page, module);
	page->module.paddr = loader->initrd_gpa;
	page->module.size = loader->initrd_size;
}

bool pvh_enter(struct loader *loader, uint64_t address, struct loader_entry *entry)
{
	if (!loader_check_entry(loader, "PVH", address) ||
		!loader_place_command_line(loader, loader->input->command, COMMAND_LINE_MAX) ||
		!loader_place_initrd(loader))
		return false;
	write_start_page(loader);
	entry->rip = (uint32_t)address;
	entry->rbx = LAYOUT_START_INFO;
	return true;
}
