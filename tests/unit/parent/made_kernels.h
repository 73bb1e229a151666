// SPDX-License-Identifier: BSD-2-Clause
// Kernels that the loader takes, as small as can be, for tests and the fuzz target to spoil.
#pragma once

#include <elf.h>
#include <stdint.h>

enum { FILE_SIZE = 64 << 10, PREFERRED = 16 << 20 };

// The file, as the function that was called last has made it.
extern uint8_t file[FILE_SIZE];

// Stores a number of `size` bytes at an offset of it.
void put(unsigned offset, uint64_t value, unsigned size);

// A bzImage that wants to be at PREFERRED, and an ELF file with a PVH note.
void make_bzimage(void);
void make_elf(void);
Elf64_Ehdr *elf_header(void);
Elf64_Phdr *elf_segment(unsigned index); // 0: what is loaded, 1: the note

// An ELF file and a file of no other format, each with a Multiboot header.
void make_multiboot_elf(void);
void make_multiboot_flat(void);
