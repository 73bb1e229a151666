// SPDX-License-Identifier: BSD-2-Clause
// See image.h. Offsets as in UEFI 2.10, 5.2 and 5.3, and in the ext2 of the Linux kernel.
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "lumen/platform.h"

enum {
	SUPERBLOCK = 1,
	GROUPS = 2,
	INODES = 5, // four blocks
	ROOT_DIRECTORY = 9,
	DATA_DIRECTORY = 10,
	GREETING = 11,
	INDIRECT = 12,
	DOUBLE = 13,
	BEHIND_DOUBLE = 14,
	BIG = 15, // and all behind
	INODE_SIZE = 128,
	ROOT = 2,
	DATA = 11,
	GREETING_INODE = 12,
	BIG_INODE = 13,
	MODE_FILE = 0100644,
	MODE_DIRECTORY = 040755,
};

uint8_t image[SECTORS * SECTOR];
struct lumen_disk image_disk = { .blocks = SECTORS, .block_size = SECTOR, .present = true };

// --- what the code under test is linked to ---

lumen_status lumen_disk_read(struct lumen_disk *disk, uint64_t block, uint64_t count, void *buffer)
{
	if (block >= disk->blocks || count > disk->blocks - block)
		return LUMEN_OUT_OF_RANGE;
	memcpy(buffer, image + block * SECTOR, count * SECTOR);
	return LUMEN_OK;
}

void *lumen_alloc_pages(size_t count)
{
	return calloc(count, LUMEN_PAGE_SIZE);
}

void lumen_free_pages(void *pages, size_t count)
{
	(void)count;
	free(pages);
}

// --- tables ---

static void put(uint8_t *at, uint64_t value, unsigned int bytes)
{
	memcpy(at, &value, bytes);
}

void image_clear(void)
{
	memset(image, 0, sizeof(image));
}

static void put_mbr_entry(unsigned int index, uint8_t type, uint32_t first, uint32_t count)
{
	uint8_t *entry = image + 446 + index * 16;

	entry[4] = type;
	put(entry + 8, first, 4);
	put(entry + 12, count, 4);
	put(image + 510, 0xaa55, 2);
}

void image_add_mbr(void)
{
	put_mbr_entry(1, 0x83, FS_FIRST, FS_LAST - FS_FIRST + 1); // entry 0 is empty
	put_mbr_entry(2, 0x83, FS_LAST + 1, SECTORS - FS_LAST - 1);
}

uint32_t image_crc32(const void *bytes, uint32_t size)
{
	const uint8_t *byte = bytes;
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; i < size * 8; i++) {
		uint32_t bit = (byte[i / 8] >> i % 8 ^ crc) & 1;

		crc = crc >> 1 ^ (bit ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void put_gpt_entry(unsigned int index, uint64_t first, uint64_t last, const char *name)
{
	uint8_t *entry = image + 2 * SECTOR + index * 128;

	entry[0] = 0xaf; // of the type
	put(entry + 32, first, 8);
	put(entry + 40, last, 8);
	for (unsigned int i = 0; name[i]; i++)
		entry[56 + 2 * i] = (uint8_t)name[i];
}

void image_add_gpt(void)
{
	uint8_t *header = image + SECTOR;

	put_mbr_entry(0, 0xee, 1, SECTORS - 1);
	memcpy(header, "EFI PART", 8);
	put(header + 8, 0x10000, 4);
	put(header + 12, 92, 4);
	put(header + 24, 1, 8);
	put(header + 72, 2, 8); // entries
	put(header + 80, 128, 4);
	put(header + 84, 128, 4);
	put(header + 16, image_crc32(header, 92), 4);
	put_gpt_entry(1, FS_FIRST, FS_LAST, "files"); // entry 0 is empty
	put_gpt_entry(5, FS_LAST + 1, SECTORS - 1, "scratch");
}

// --- ext2 ---

static uint8_t *fs_block(uint32_t number)
{
	return image + FS_FIRST * SECTOR + number * FS_BLOCK;
}

static uint8_t *put_inode(uint32_t number, uint16_t mode, uint32_t size, uint32_t first_block)
{
	uint8_t *inode = fs_block(INODES) + (number - 1) * INODE_SIZE;

	put(inode, mode, 2);
	put(inode + 4, size, 4);
	put(inode + 40, first_block, 4);
	return inode;
}

static void put_entry(uint8_t **at, uint32_t inode, const char *name, uint16_t length)
{
	put(*at, inode, 4);
	put(*at + 4, length, 2);
	(*at)[6] = (uint8_t)strlen(name);
	memcpy(*at + 8, name, strlen(name));
	*at += length;
}

// Where the inode or a block of pointers says which block is number `i`.
static uint8_t *big_pointer(uint8_t *inode, uint32_t i)
{
	if (i < 12)
		return inode + 40 + i * 4;
	return i < 12 + 256 ? fs_block(INDIRECT) + (i - 12) * 4
			    : fs_block(BEHIND_DOUBLE) + (i - 12 - 256) * 4;
}

static void put_big_file(void)
{
	uint8_t *inode = put_inode(BIG_INODE, MODE_FILE, BIG_BLOCKS * FS_BLOCK, BIG);

	put(inode + 40 + 12 * 4, INDIRECT, 4);
	put(inode + 40 + 13 * 4, DOUBLE, 4);
	put(fs_block(DOUBLE), BEHIND_DOUBLE, 4);
	for (uint32_t i = 0; i < BIG_BLOCKS; i++) {
		put(big_pointer(inode, i), i == HOLE ? 0 : BIG + i, 4);
		memset(fs_block(BIG + i), (int)(i & 0xff), FS_BLOCK);
	}
}

void image_add_ext2(void)
{
	uint8_t *super = fs_block(SUPERBLOCK), *at;

	put(super, 32, 4); // inodes
	put(super + 4, (FS_LAST - FS_FIRST + 1) / 2, 4);
	put(super + 20, 1, 4);	// first data block
	put(super + 40, 32, 4); // inodes per group
	put(super + 56, 0xef53, 2);
	put(super + 76, 1, 4);
	put(super + 88, INODE_SIZE, 2);
	put(super + 96, 2, 4); // types in directory entries
	put(fs_block(GROUPS) + 8, INODES, 4);

	put_inode(ROOT, MODE_DIRECTORY, FS_BLOCK, ROOT_DIRECTORY);
	at = fs_block(ROOT_DIRECTORY);
	put_entry(&at, ROOT, ".", 12);
	put_entry(&at, ROOT, "..", 12);
	put_entry(&at, 0, "deleted", 16);
	put_entry(&at, DATA, "data", 12);
	put_entry(&at, GREETING_INODE, "greeting", FS_BLOCK - 52);

	put_inode(DATA, MODE_DIRECTORY, FS_BLOCK, DATA_DIRECTORY);
	at = fs_block(DATA_DIRECTORY);
	put_entry(&at, DATA, ".", 12);
	put_entry(&at, ROOT, "..", 12);
	put_entry(&at, BIG_INODE, "big", FS_BLOCK - 24);

	put_inode(GREETING_INODE, MODE_FILE, 7, GREETING);
	memcpy(fs_block(GREETING), "Hello.\n", 7);
	put_big_file();
}
