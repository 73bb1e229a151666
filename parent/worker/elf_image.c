// SPDX-License-Identifier: BSD-2-Clause
// ELF kernels: what two protocols, PVH and Multiboot, have in common.
#include "parent/worker/loader_parts.h"

#include <elf.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <string.h>
#include <xen/elfnote.h>

#include "parent/worker/layout.h"

enum {
	SEGMENTS_MAX = 64,  // of program headers that we look at
	NOTES_MAX = 1 << 20 // bytes of notes in one segment
};

// An ELF file being read.
struct elf_image {
	Elf *elf;
	GElf_Ehdr header;
	GElf_Phdr segments[SEGMENTS_MAX];
	size_t count;
};

static bool check_header(struct loader *loader, struct elf_image *image)
{
	const GElf_Ehdr *header = &image->header;

	if (elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &image->header))
		return loader_not_a_kernel(loader, "its ELF header is damaged");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB ||
		(header->e_machine != EM_386 && header->e_machine != EM_X86_64))
		return loader_not_a_kernel(loader, "an ELF file for another processor");
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return loader_not_a_kernel(loader, "an ELF file, but not an executable");
	return true;
}

static bool read_segments(struct loader *loader, struct elf_image *image)
{
	if (elf_getphdrnum(image->elf, &image->count) || image->count > SEGMENTS_MAX)
		return loader_not_a_kernel(loader, "its program headers are damaged");
	for (size_t i = 0; i < image->count; i++)
		if (!gelf_getphdr(image->elf, (int)i, &image->segments[i]))
			return loader_not_a_kernel(loader, "its program headers are damaged");
	return true;
}

// Looks for the entry point among the notes of one segment: a 32-bit or a 64-bit number.
static void find_entry_in(Elf_Data *notes, uint64_t *address)
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
		return;
	}
}

static void find_pvh_entry(
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

// The header's entry point is a virtual address; the processor starts without paging.
static uint64_t physical_entry(const struct elf_image *image)
{
	uint64_t entry = image->header.e_entry;

	for (size_t i = 0; i < image->count; i++) {
		const GElf_Phdr *segment = &image->segments[i];

		if (segment->p_type == PT_LOAD && entry >= segment->p_vaddr &&
			entry - segment->p_vaddr < segment->p_memsz)
			return entry - segment->p_vaddr + segment->p_paddr;
	}
	return entry;
}

static bool load_segment(struct loader *loader, const GElf_Phdr *segment)
{
	const struct loader_piece piece = {
		.offset = segment->p_offset,
		.gpa = segment->p_paddr,
		.file_size = segment->p_filesz,
		.memory_size = segment->p_memsz,
	};

	return loader_place(loader, &piece);
}

static bool load_image(struct loader *loader, struct elf_image *image, struct elf_entries *entries)
{
	if (!check_header(loader, image) || !read_segments(loader, image))
		return false;
	for (size_t i = 0; i < image->count; i++)
		find_pvh_entry(loader, image->elf, &image->segments[i], &entries->pvh);
	entries->header = physical_entry(image);
	for (size_t i = 0; i < image->count; i++)
		if (image->segments[i].p_type == PT_LOAD &&
			!load_segment(loader, &image->segments[i]))
			return false;
	return true;
}

bool elf_image_load(struct loader *loader, struct elf_entries *entries)
{
	struct elf_image image = { .count = 0 };
	bool done;

	*entries = (struct elf_entries){ 0 };
	elf_version(EV_CURRENT);
	image.elf = elf_begin(loader->fd, ELF_C_READ, NULL);
	if (!image.elf)
		return loader_not_a_kernel(loader, "%s", elf_errmsg(-1));
	done = load_image(loader, &image, entries);
	elf_end(image.elf);
	return done;
}
