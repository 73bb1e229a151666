// SPDX-License-Identifier: BSD-2-Clause
// ELF kernels: what two protocols, PVH and Multiboot, have in common.
#include "parent/worker/platform/loader_parts.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <xen/elfnote.h>

enum {
	NOTES_MAX = 1 << 20, // bytes of notes in one place
	SECTIONS_MAX = 1000, // that we look at
	OWNER_SHOWN = 16,    // characters
};

// An ELF file being read.
struct elf_file {
	struct loader *loader;
	Elf *elf;
	GElf_Ehdr header;
	GElf_Phdr segments[ELF_PIECES_MAX];
	size_t count;
};

static bool check_header(struct elf_file *file)
{
	const GElf_Ehdr *header = &file->header;

	if (elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &file->header))
		return loader_not_a_kernel(file->loader, "its ELF header is damaged");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB ||
		(header->e_machine != EM_386 && header->e_machine != EM_X86_64))
		return loader_not_a_kernel(file->loader, "an ELF file for another processor");
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return loader_not_a_kernel(file->loader, "an ELF file, but not an executable");
	return true;
}

static bool read_segments(struct elf_file *file)
{
	if (elf_getphdrnum(file->elf, &file->count) || file->count > ELF_PIECES_MAX)
		return loader_not_a_kernel(file->loader, "its program headers are damaged");
	for (size_t i = 0; i < file->count; i++)
		if (!gelf_getphdr(file->elf, (int)i, &file->segments[i]))
			return loader_not_a_kernel(file->loader, "its program headers are damaged");
	return true;
}

// Says whose note it is that has the right type, in printable characters.
static void note_other_owner(struct elf_image *image, const uint8_t *name, size_t size)
{
	char owner[OWNER_SHOWN + 1] = "";

	for (size_t i = 0; i < size && i < OWNER_SHOWN && name[i]; i++)
		owner[i] = name[i] >= ' ' && name[i] <= '~' ? (char)name[i] : '?';
	snprintf(image->odd_note, sizeof(image->odd_note),
		"the owner of its note of type %u is \"%s\", not \"Xen\"", XEN_ELFNOTE_PHYS32_ENTRY,
		owner);
}

// One note of the PVH entry's type. Owners are compared as Xen does it: up to the first 0.
static void look_at_note(struct elf_image *image, const GElf_Nhdr *note, const uint8_t *name,
	const uint8_t *description)
{
	if (note->n_namesz < 3 || note->n_namesz > 4 || memcmp(name, "Xen", note->n_namesz)) {
		note_other_owner(image, name, note->n_namesz);
	} else if (note->n_descsz != 4 && note->n_descsz != 8) {
		snprintf(image->odd_note, sizeof(image->odd_note),
			"its PVH note has an entry of %u bytes, not of 4 or 8", note->n_descsz);
	} else {
		image->pvh = 0;
		memcpy(&image->pvh, description, note->n_descsz);
	}
}

// Looks for the PVH entry among the notes in one place of the file.
static void read_notes(struct elf_file *file, struct elf_image *image, uint64_t start,
	uint64_t size, uint64_t alignment)
{
	size_t offset = 0, name, description;
	GElf_Nhdr note;
	Elf_Data *notes;

	if (image->pvh || size > NOTES_MAX || start > file->loader->size ||
		size > file->loader->size - start)
		return;
	notes = elf_getdata_rawchunk(
		file->elf, (int64_t)start, size, alignment == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	while (notes && !image->pvh &&
		(offset = gelf_getnote(notes, offset, &note, &name, &description)) > 0) {
		const uint8_t *bytes = notes->d_buf;

		if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY)
			look_at_note(image, &note, bytes + name, bytes + description);
	}
}

// As Xen does it: in the segments, and only if there is nothing in the sections, which a linker
// script without a PT_NOTE leaves.
static void find_pvh_entry(struct elf_file *file, struct elf_image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	for (size_t i = 0; i < file->count; i++)
		if (file->segments[i].p_type == PT_NOTE)
			read_notes(file, image, file->segments[i].p_offset,
				file->segments[i].p_filesz, file->segments[i].p_align);
	for (int i = 0; i < SECTIONS_MAX && (section = elf_nextscn(file->elf, section)); i++)
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_NOTE)
			read_notes(
				file, image, header.sh_offset, header.sh_size, header.sh_addralign);
}

// The header's entry point is a virtual address; the processor starts without paging.
static uint64_t physical_entry(const struct elf_file *file)
{
	uint64_t entry = file->header.e_entry;

	for (size_t i = 0; i < file->count; i++) {
		const GElf_Phdr *segment = &file->segments[i];

		if (segment->p_type == PT_LOAD && entry >= segment->p_vaddr &&
			entry - segment->p_vaddr < segment->p_memsz)
			return entry - segment->p_vaddr + segment->p_paddr;
	}
	return entry;
}

static bool read_file(struct elf_file *file, struct elf_image *image)
{
	if (!check_header(file) || !read_segments(file))
		return false;
	find_pvh_entry(file, image);
	image->header = physical_entry(file);
	for (size_t i = 0; i < file->count; i++)
		if (file->segments[i].p_type == PT_LOAD)
			image->pieces[image->piece_count++] = (struct loader_piece){
				.offset = file->segments[i].p_offset,
				.gpa = file->segments[i].p_paddr,
				.file_size = file->segments[i].p_filesz,
				.memory_size = file->segments[i].p_memsz,
			};
	return true;
}

bool elf_image_read(struct loader *loader, struct elf_image *image)
{
	struct elf_file file = { .loader = loader };
	bool done;

	*image = (struct elf_image){ .piece_count = 0 };
	elf_version(EV_CURRENT);
	file.elf = elf_begin(loader->fd, ELF_C_READ, NULL);
	if (!file.elf)
		return loader_not_a_kernel(loader, "%s", elf_errmsg(-1));
	done = read_file(&file, image);
	elf_end(file.elf);
	return done;
}

bool elf_image_load(struct loader *loader, const struct elf_image *image)
{
	for (unsigned i = 0; i < image->piece_count; i++)
		if (!loader_place(loader, &image->pieces[i]))
			return false;
	return true;
}
