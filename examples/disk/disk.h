// SPDX-License-Identifier: BSD-2-Clause
// The pieces of the disk example: partitions, and files of an ext2 file system.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lumen/storage.h"

// --- partition.c ---

struct partition {
	struct lumen_disk *disk;
	uint64_t first, blocks; // of the disk
	char name[37];		// GPT: ASCII of its name; MBR: ""
};

// The partition number `index` (from 0) of a disk with a GPT or an MBR (primary partitions).
// LUMEN_OUT_OF_RANGE: there are not so many; LUMEN_NOT_SUPPORTED: no partition table, or a damaged
// one; what lumen_disk_read() says.
lumen_status partition_find(struct lumen_disk *disk, uint32_t index, struct partition *found);

// --- ext2.c ---

enum { EXT2_BLOCK_MAX = 4096, EXT2_INODE_BLOCKS = 15, EXT2_CACHED = 16 };

struct ext2 {
	struct partition partition;
	uint32_t block_size, inode_size, inodes_per_group, first_data_block;
	uint32_t cached[EXT2_CACHED]; // the numbers of blocks that have been read; 0: none
	uint32_t next;		      // place among these for another one
	uint8_t *bytes;		      // EXT2_BLOCK_MAX for each
};

struct ext2_file {
	struct ext2 *fs;
	uint32_t inode;
	bool directory;
	uint64_t size;
	uint32_t blocks[EXT2_INODE_BLOCKS];
};

// Looks at the superblock. Allocates a page for each block that it keeps; *fs is not to be moved.
// LUMEN_NOT_SUPPORTED: no ext2, or with features that are not known here.
lumen_status ext2_open(struct ext2 *fs, const struct partition *partition);

// Finds a file by its path ("/a/b"). LUMEN_OUT_OF_RANGE: it is not there.
lumen_status ext2_find(struct ext2 *fs, const char *path, struct ext2_file *file);

// Reads at most `size` bytes from `offset` on; *done says how many: 0 at the end of the file.
lumen_status ext2_read(
	struct ext2_file *file, uint64_t offset, void *to, size_t size, size_t *done);

// The block of the file system that is number `index` of a file; 0: a hole. LUMEN_NOT_SUPPORTED:
// behind the largest file.
lumen_status ext2_map(struct ext2_file *file, uint64_t index, uint32_t *number);

// Where a block of the file system is on the disk, in the disk's blocks. LUMEN_OUT_OF_RANGE: it is
// not in the partition.
lumen_status ext2_locate(const struct ext2 *fs, uint32_t number, uint64_t *first, uint32_t *count);
