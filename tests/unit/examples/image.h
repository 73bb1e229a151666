// SPDX-License-Identifier: BSD-2-Clause
// A disk in memory, with a partition table and a small ext2 file system made by hand.
#pragma once

#include <stdint.h>

#include "lumen/storage.h"

enum {
	SECTOR = 512,
	SECTORS = 2048,
	FS_FIRST = 64, // the file system, in sectors
	FS_LAST = 1663,
	FS_BLOCK = 1024,
	BIG_BLOCKS = 300, // of the file /data/big: more than 12 + 256
	HOLE = 5,	  // this block of it is not there
	TABLES_END = 15,  // block of the file system: all before are its tables and directories
};

extern uint8_t image[SECTORS * SECTOR];
extern struct lumen_disk image_disk;

// An empty disk, and then one of the two tables; each has the file system as partition 1 (index 0)
// and the sectors behind it as partition 2.
void image_clear(void);
void image_add_mbr(void);
void image_add_gpt(void);

// The file system: /greeting ("Hello.\n"), /data/big, in which block n is full of bytes n & 0xff.
void image_add_ext2(void);

// CRC-32 as GPT has it.
uint32_t image_crc32(const void *bytes, uint32_t size);
