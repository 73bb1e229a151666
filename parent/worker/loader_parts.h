// SPDX-License-Identifier: BSD-2-Clause
// What the loader's own files share: loader.c (files, initrd, GDT), bzimage.c and pvh.c (one format
// each), image.c (reading files into guest memory).
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

// Finds room for the initrd above the image or below it and loads it.
bool loader_place_initrd(struct loader *loader);

// Copies the command line to LAYOUT_COMMAND_LINE; `limit` is the most bytes that the kernel takes,
// without the final 0.
bool loader_place_command_line(struct loader *loader, uint64_t limit);

// The two formats: each begins after its magic was seen, and fills in *entry.
bool bzimage_load(struct loader *loader, struct loader_entry *entry);
bool pvh_load(struct loader *loader, struct loader_entry *entry);

#endif
