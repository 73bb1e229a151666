// SPDX-License-Identifier: BSD-2-Clause
// ELF kernels with Xen's PVH entry: the note XEN_ELFNOTE_PHYS32_ENTRY and struct hvm_start_info
// (Xen public headers: elfnote.h, arch-x86/hvm/start_info.h).
#include "parent/worker/loader_parts.h"

#include <elf.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <string.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/elfnote.h>

#include "parent/worker/layout.h"

enum {
	SEGMENTS_MAX = 64,	 // of program headers that we look at
	NOTES_MAX = 1 << 20,	 // bytes of notes in one segment
	COMMAND_LINE_MAX = 4096, // there is no limit in the protocol; Linux takes 2048
};

// All that the start info points to, in the page at LAYOUT_START_INFO.
struct start_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_table_entry map[LOADER_REGIONS];
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "struct hvm_start_info");
_Static_assert(sizeof(struct start_page) <= 4096, "one page");

static bool check_elf_header(struct loader *loader, Elf *elf)
{
	GElf_Ehdr header;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return loader_not_a_kernel(loader, "its ELF header is damaged");
	if (header.e_ident[EI_DATA] != ELFDATA2LSB ||
		(header.e_machine != EM_386 && header.e_machine != EM_X86_64))
		return loader_not_a_kernel(loader, "an ELF file for another processor");
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return loader_not_a_kernel(loader, "an ELF file, but not an executable");
	return true;
}

static bool load_segment(struct loader *loader, const GElf_Phdr *segment)
{
	uint64_t end;
	uint8_t *to;

	if (!segment->p_memsz)
		return true;
	if (segment->p_filesz > segment->p_memsz)
		return loader_not_a_kernel(
			loader, "a segment is larger in the file than in memory");
	if (__builtin_add_overflow(segment->p_paddr, segment->p_memsz, &end))
		return loader_not_a_kernel(loader, "a segment has no end");
	// What lies lower is ours (layout.h).
	if (segment->p_paddr < LAYOUT_KERNEL_MIN)
		return loader_not_a_kernel(
			loader, "a segment is at 0x%" PRIx64 ", below 1 MiB", segment->p_paddr);
	to = guest_memory_at(loader->memory, segment->p_paddr, segment->p_memsz);
	if (!to || end > guest_memory_low_end(loader->memory))
		return failure_set(loader->failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The child has too little memory for %s: it needs 0x%" PRIx64
			" to 0x%" PRIx64 ".",
			loader->input->kernel, segment->p_paddr, end);
	if (segment->p_paddr < loader->image_start)
		loader->image_start = segment->p_paddr;
	if (end > loader->image_end)
		loader->image_end = end;
	return loader_read(loader, segment->p_offset, to, segment->p_filesz);
}

// Looks for the entry point among the notes of one segment: a 32-bit or a 64-bit number.
static bool find_entry_in(Elf_Data *notes, uint64_t *address)
{
	size_t offset = 0, name, value;
	GElf_Nhdr note;

	while ((offset = gelf_getnote(notes, offset, &note, &name, &value)) > 0) {
		const uint8_t *bytes = notes->d_buf;

		if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != 4 ||
			memcmp(bytes + name, "Xen", 4))
			continue;
		if (note.n_descsz != 4 && note.n_descsz != 8)
			continue;
		*address = 0;
		memcpy(address, bytes + value, note.n_descsz);
		return true;
	}
	return false;
}

static void find_entry_in_segment(
	struct loader *loader, Elf *elf, const GElf_Phdr *segment, uint64_t *address)
{
	Elf_Data *notes;

	if (segment->p_type != PT_NOTE || *address || segment->p_filesz > NOTES_MAX ||
		segment->p_offset > loader->size ||
		segment->p_filesz > loader->size - segment->p_offset)
		return;
	notes = elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz,
		segment->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	if (notes)
		find_entry_in(notes, address);
}

// Reads the program headers to `segments` (SEGMENTS_MAX).
static bool read_segments(struct loader *loader, Elf *elf, GElf_Phdr *segments, size_t *count)
{
	if (elf_getphdrnum(elf, count) || *count > SEGMENTS_MAX)
		return loader_not_a_kernel(loader, "its program headers are damaged");
	for (size_t i = 0; i < *count; i++)
		if (!gelf_getphdr(elf, (int)i, &segments[i]))
			return loader_not_a_kernel(loader, "its program headers are damaged");
	return true;
}

static bool load_elf(struct loader *loader, Elf *elf, struct loader_entry *entry)
{
	GElf_Phdr segments[SEGMENTS_MAX] = { 0 };
	uint64_t address = 0;
	size_t count = 0;

	if (!check_elf_header(loader, elf) || !read_segments(loader, elf, segments, &count))
		return false;
	for (size_t i = 0; i < count; i++)
		find_entry_in_segment(loader, elf, &segments[i], &address);
	if (!address)
		return loader_not_a_kernel(loader, "an ELF file without a PVH note");
	loader->image_start = UINT64_MAX;
	for (size_t i = 0; i < count; i++)
		if (segments[i].p_type == PT_LOAD && !load_segment(loader, &segments[i]))
			return false;
	if (address < loader->image_start || address >= loader->image_end)
		return loader_not_a_kernel(
			loader, "its PVH entry 0x%" PRIx64 " is in none of its segments", address);
	entry->rip = (uint32_t)address;
	return true;
}

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

bool pvh_load(struct loader *loader, struct loader_entry *entry)
{
	Elf *elf;
	bool done;

	elf_version(EV_CURRENT);
	elf = elf_begin(loader->fd, ELF_C_READ, NULL);
	if (!elf)
		return loader_not_a_kernel(loader, "%s", elf_errmsg(-1));
	done = load_elf(loader, elf, entry);
	elf_end(elf);
	loader->initrd_limit = guest_memory_low_end(loader->memory);
	if (!done || !loader_place_command_line(loader, COMMAND_LINE_MAX) ||
		!loader_place_initrd(loader))
		return false;
	write_start_page(loader);
	entry->rbx = LAYOUT_START_INFO;
	return true;
}
