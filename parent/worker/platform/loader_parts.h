// SPDX-License-Identifier: BSD-2-Clause
// What the loader's own files share: loader.c (files, initrd, GDT), bzimage.c, pvh.c and
// multiboot.c (one protocol each), elf_image.c (what the last two may load).
#pragma once

#include "parent/worker/platform/loader.h"
#include "parent/worker/platform/space.h"

// A load in progress.
struct loader {
	const struct guest_memory *memory;
	const struct loader_input *input;
	struct failure *failure;
	int fd;		       // of the kernel
	uint64_t size;	       // of the kernel file
	struct space space;    // what is taken: by the kernel, also what it will use at its
			       // start (bss, room to decompress), and by what it is told
	uint64_t initrd_limit; // GPA: the initrd must end here or below
	uint64_t initrd_gpa;   // 0 if there is none
	uint64_t initrd_size;  // in bytes
};

// One region of the memory map that the kernel gets, in e820 terms.
struct loader_region {
	uint64_t gpa, size;
	bool ram; // false: reserved
};

enum { LOADER_REGIONS = 4 };

// Fills in the memory map; returns the number of regions, at most LOADER_REGIONS.
unsigned loader_regions(const struct guest_memory *memory, struct loader_region *regions);

// Fails with "X is not a kernel: <why>".
__attribute__((format(printf, 2, 3))) bool loader_not_a_kernel(
	struct loader *loader, const char *why, ...);

// Reads exactly `length` bytes at `offset` of the kernel file. False (failure set) if the file is
// shorter or cannot be read.
bool loader_read(struct loader *loader, uint64_t offset, void *to, uint64_t length);

// A part of the kernel: what the file has, then zeroes.
struct loader_piece {
	uint64_t offset; // in the file
	uint64_t gpa;
	uint64_t file_size, memory_size; // in bytes
};

// Loads a piece, if it is in RAM below 4 GiB, and takes its place.
bool loader_place(struct loader *loader, const struct loader_piece *piece);

// With the whole image loaded, and nothing else: `address` must be in it. `what` names the
// protocol.
bool loader_check_entry(struct loader *loader, const char *what, uint64_t address);

// Finds room for the initrd, as high as possible, and loads it.
bool loader_place_initrd(struct loader *loader);

// Finds room, once the kernel has its own, for `size` bytes that it is told, and takes it: at
// `wanted` if nothing is there. Stores the GPA. Returns the memory, zeroed, or NULL (failure set).
void *loader_reserve(struct loader *loader, uint32_t wanted, uint64_t size, uint32_t *gpa);

// Copies the command line and stores its GPA; `limit` is the most bytes that the kernel takes,
// without the final 0.
bool loader_place_command_line(
	struct loader *loader, const char *command, uint64_t limit, uint32_t *gpa);

enum { ELF_PIECES_MAX = 64 };

// An ELF file: where it can be entered (physical addresses), and what of it is loaded.
struct elf_image {
	uint64_t pvh;	    // the entry by its PVH note; 0: it has none
	uint64_t header;    // the entry by its ELF header
	char odd_note[100]; // what is wrong with what could have been a PVH note; "": there is none
	unsigned piece_count;
	struct loader_piece pieces[ELF_PIECES_MAX];
};

// Reads an ELF file's headers and notes; loads nothing.
bool elf_image_read(struct loader *loader, struct elf_image *image);

// Loads it.
bool elf_image_load(struct loader *loader, const struct elf_image *image);

// The protocols: each loads the kernel and fills in *entry. For bzimage_load() the magic was seen;
// `elf` is NULL for multiboot_load() if the file is no ELF file.
bool bzimage_load(struct loader *loader, struct loader_entry *entry);
bool pvh_load(struct loader *loader, const struct elf_image *elf, struct loader_entry *entry);
bool multiboot_load(struct loader *loader, const struct elf_image *elf, struct loader_entry *entry);

// Returns whether the file has a Multiboot header.
bool multiboot_is_here(struct loader *loader);
