// SPDX-License-Identifier: BSD-2-Clause
// See made_kernels.h.
#include "made_kernels.h"

#include <string.h>

uint8_t file[FILE_SIZE];

void put(unsigned offset, uint64_t value, unsigned size)
{
	memcpy(file + offset, &value, size);
}

// A bzImage whose protected-mode code is its own file offsets.
void make_bzimage(void)
{
	memset(file, 0, sizeof(file));
	for (unsigned i = 5 * 512; i + 4 <= FILE_SIZE; i += 4)
		put(i, i, 4);
	put(0x1f1, 4, 1);
	put(0x1f4, (FILE_SIZE - 5 * 512) / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	memcpy(file + 0x202, "HdrS", 4);
	put(0x206, 0x020f, 2);
	put(0x211, 1, 1);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, 0x200000, 4);
	put(0x234, 1, 1);
	put(0x238, 2047, 4);
	put(0x258, PREFERRED, 8);
	put(0x260, 8 << 20, 4);
	put(0x264, 0x12345678, 4); // a field of newer protocols
}

// An ELF kernel with one segment, and a note that says where to enter.
void make_elf(void)
{
	Elf64_Ehdr header = { .e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2 };
	Elf64_Phdr load = { .p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_paddr = 0x200000,
		.p_filesz = 0x1000,
		.p_memsz = 0x3000,
		.p_align = 0x1000 };
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_memsz = 20, .p_align = 4
	};
	Elf64_Nhdr note_header = { .n_namesz = 4, .n_descsz = 4, .n_type = 18 };

	memset(file, 0, sizeof(file));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), &load, sizeof(load));
	memcpy(file + sizeof(header) + sizeof(load), &note, sizeof(note));
	memcpy(file + 0x200, &note_header, sizeof(note_header));
	memcpy(file + 0x20c, "Xen", 4);
	put(0x210, 0x200040, 4);
	memset(file + 0x1000, 0x5a, 0x1000);
}

Elf64_Ehdr *elf_header(void)
{
	return (Elf64_Ehdr *)file;
}

Elf64_Phdr *elf_segment(unsigned index)
{
	return (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)) + index;
}

// An ELF file of 32 bits as others load it by Multiboot: no note, a header, an entry that is a
// virtual address.
void make_multiboot_elf(void)
{
	Elf32_Ehdr header = { .e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = 0xc0400010,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 1 };
	Elf32_Phdr load_segment = { .p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_vaddr = 0xc0400000,
		.p_paddr = 0x400000,
		.p_filesz = 0x1000,
		.p_memsz = 0x9000,
		.p_align = 0x1000 };

	memset(file, 0, sizeof(file));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS32;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), &load_segment, sizeof(load_segment));
	memset(file + 0x1000, 0x5a, 0x1000);
	put(0x1000, 0x1badb002, 4);
	put(0x1004, 3, 4);
	put(0x1008, -(0x1badb002u + 3), 4);
}

// A file of no format but its Multiboot header, at 0x40, with addresses: loaded from its offset
// 0x20 on.
void make_multiboot_flat(void)
{
	memset(file, 0x77, sizeof(file));
	memset(file + 0x1f0, 0, 0x20);
	put(0x40, 0x1badb002, 4);
	put(0x44, 0x10000, 4);
	put(0x48, -(0x1badb002u + 0x10000), 4);
	put(0x4c, 0x300020, 4); // the header's address
	put(0x50, 0x300000, 4); // load address
	put(0x54, 0x301000, 4); // its end
	put(0x58, 0x305000, 4); // end of the bss
	put(0x5c, 0x300100, 4); // entry
}
