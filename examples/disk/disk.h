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

enum { EXT2_BLOCK_MAX = 4096, EXT2_INODE_BLOCKS = 15 };

struct ext2 {
	struct partition partition;
	uint32_t block_size, inode_size, inodes_per_group, first_data_block;
	uint8_t *block;	      // one block, for everything but an indirect block
	uint32_t *pointers;   // an indirect block
	uint32_t pointers_at; // which one; 0: none
};

struct ext2_file {
	struct ext2 *fs;
	uint32_t inode;
	bool directory;
	uint64_t size;
	uint32_t blocks[EXT2_INODE_BLOCKS];
};

// Looks at the superblock. Allocates two pages, which are kept. LUMEN_NOT_SUPPORTED: no ext2, or
// with features that are not known here.
lumen_status ext2_open(struct ext2 *fs, const struct partition *partition);

// Finds a file by its path ("/a/b"). LUMEN_OUT_OF_RANGE: it is not there.
lumen_status ext2_find(struct ext2 *fs, const char *path, struct ext2_file *file);

// Reads at most `size` bytes from `offset` on; *done says how many: 0 at the end of the file.
lumen_status ext2_read(
	struct ext2_file *file, uint64_t offset, void *to, size_t size, size_t *done);
