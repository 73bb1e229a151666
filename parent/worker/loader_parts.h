// SPDX-License-Identifier: BSD-2-Clause
// What the loader's own files share: loader.c (files, initrd, GDT), bzimage.c, pvh.c and
// multiboot.c (one protocol each), elf_image.c (what the last two load).
#ifndef WORKER_LOADER_PARTS_H
#define WORKER_LOADER_PARTS_H

#include "parent/worker/loader.h"

// A load in progress.
struct loader {
	const struct guest_memory *memory;
	const struct loader_input *input;
	struct failure *failure;
	int fd;		       // of the kernel
	uint64_t size;	       // of the kernel file
	uint64_t image_start;  // GPA: what the kernel occupies, also what it will use
	uint64_t image_end;    // at its start (bss, room to decompress)
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

// Reads exactly `length` bytes at `offset` of a file to `to`. Returns 0 or an errno; EIO if the
// file ends before that.
int loader_read_file(int fd, uint64_t offset, void *to, uint64_t length);

// A part of the kernel: what the file has, then zeroes.
struct loader_piece {
	uint64_t offset; // in the file
	uint64_t gpa;
	uint64_t file_size, memory_size; // in bytes
};

// Loads a piece, if it is in the RAM between LAYOUT_KERNEL_MIN and 4 GiB, and widens the image by
// it.
bool loader_place(struct loader *loader, const struct loader_piece *piece);

// With the whole image loaded: `address` must be in it. `what` names the protocol. Allows the
// initrd all of the memory below 4 GiB.
bool loader_check_entry(struct loader *loader, const char *what, uint64_t address);

// Finds room for the initrd above the image or below it and loads it.
bool loader_place_initrd(struct loader *loader);

// Copies the command line to LAYOUT_COMMAND_LINE; `limit` is the most bytes that the kernel takes,
// without the final 0.
bool loader_place_command_line(struct loader *loader, const char *command, uint64_t limit);

// Where an ELF file can be entered: physical addresses.
struct elf_entries {
	uint64_t pvh;	 // by its PVH note; 0: it has none
	uint64_t header; // by its ELF header
};

// Loads an ELF file's segments and finds its entries.
bool elf_image_load(struct loader *loader, struct elf_entries *entries);

// The protocols: each fills in *entry. For bzimage_load() the magic was seen, for pvh_enter() the
// image has been loaded, for multiboot_load() too if it is an ELF file (`elf` not NULL).
bool bzimage_load(struct loader *loader, struct loader_entry *entry);
bool pvh_enter(struct loader *loader, uint64_t address, struct loader_entry *entry);
bool multiboot_load(
	struct loader *loader, const struct elf_entries *elf, struct loader_entry *entry);

// Returns whether the file has a Multiboot header.
bool multiboot_is_here(struct loader *loader);

#endif
