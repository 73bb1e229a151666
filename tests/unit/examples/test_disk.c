// SPDX-License-Identifier: BSD-2-Clause
// The disk example's partitions and files: what is right is found, and what is wrong does no harm.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "examples/disk/disk.h"
#include "image.h"

static struct partition partition;
static struct ext2 fs;
static struct ext2_file file;
static uint8_t data[BIG_BLOCKS * FS_BLOCK];
static size_t done;

static void expect_partitions(const char *first, const char *second)
{
	cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_OK);
	cr_assert_eq(partition.first, FS_FIRST);
	cr_assert_eq(partition.blocks, FS_LAST - FS_FIRST + 1);
	cr_assert_str_eq(partition.name, first);
	cr_assert_eq(partition_find(&image_disk, 1, &partition), LUMEN_OK);
	cr_assert_eq(partition.first, FS_LAST + 1);
	cr_assert_eq(partition.blocks, SECTORS - FS_LAST - 1);
	cr_assert_str_eq(partition.name, second);
	cr_assert_eq(partition_find(&image_disk, 2, &partition), LUMEN_OUT_OF_RANGE);
}

Test(partitions, mbr)
{
	image_clear();
	image_add_mbr();
	expect_partitions("", "");
}

Test(partitions, gpt)
{
	image_clear();
	image_add_gpt();
	expect_partitions("files", "scratch");
}

Test(partitions, none)
{
	image_clear();
	cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_NOT_SUPPORTED);
}

Test(partitions, beyond_the_disk)
{
	image_clear();
	image_add_mbr();
	image[446 + 16 + 12 + 1]++; // 256 sectors more than before, and 512 more are none
	cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_OK);
	image[446 + 16 + 12 + 2]++;
	cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_NOT_SUPPORTED);
}

Test(partitions, gpt_header_is_checked)
{
	for (int i = 0; i < 92; i++) {
		image_clear();
		image_add_gpt();
		image[SECTOR + i] ^= 0x10;
		cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_NOT_SUPPORTED,
			"byte %d", i);
	}
}

// A header whose checksum is right and whose contents are not.
Test(partitions, gpt_header_lies)
{
	static const struct {
		int at;
		uint32_t value;
	} lies[] = { { 72, 0xffffffff }, { 80, 0xffffffff }, { 84, 0 }, { 84, 0xffffffff },
		{ 84, 129 }, { 84, 64 }, { 84, 1024 } };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint32_t crc;

		image_clear();
		image_add_gpt();
		memcpy(image + SECTOR + lies[i].at, &lies[i].value, 4);
		memset(image + SECTOR + 16, 0, 4);
		crc = image_crc32(image + SECTOR, 92);
		memcpy(image + SECTOR + 16, &crc, 4);
		cr_assert_neq(partition_find(&image_disk, 0, &partition), LUMEN_OK, "lie %zu", i);
	}
}

// --- files ---

static void make_fs(void)
{
	image_clear();
	image_add_mbr();
	image_add_ext2();
	cr_assert_eq(partition_find(&image_disk, 0, &partition), LUMEN_OK);
}

static lumen_status open_and_find(const char *path)
{
	lumen_status status = ext2_open(&fs, &partition);

	return status ? status : ext2_find(&fs, path, &file);
}

static void forget_fs(void)
{
	free(fs.bytes);
}

Test(ext2, small_file)
{
	make_fs();
	cr_assert_eq(open_and_find("/greeting"), LUMEN_OK);
	cr_assert_eq(file.size, 7);
	cr_assert_eq(ext2_read(&file, 0, data, sizeof(data), &done), LUMEN_OK);
	cr_assert_eq(done, 7);
	cr_assert_arr_eq(data, "Hello.\n", 7);
	cr_assert_eq(ext2_read(&file, 6, data, 100, &done), LUMEN_OK);
	cr_assert_eq(done, 1);
	cr_assert_eq(ext2_read(&file, 7, data, 100, &done), LUMEN_OK);
	cr_assert_eq(done, 0);
	forget_fs();
}

Test(ext2, paths)
{
	make_fs();
	cr_assert_eq(open_and_find("/"), LUMEN_OK);
	cr_assert(file.directory);
	cr_assert_eq(ext2_find(&fs, "//data/../data//big", &file), LUMEN_OK);
	cr_assert_not(file.directory);
	cr_assert_eq(ext2_find(&fs, "greeting", &file), LUMEN_OK);
	cr_assert_eq(ext2_find(&fs, "/greetin", &file), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(ext2_find(&fs, "/greetings", &file), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(ext2_find(&fs, "/deleted", &file), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(ext2_find(&fs, "/greeting/x", &file), LUMEN_OUT_OF_RANGE);
	forget_fs();
}

static uint8_t wanted(uint64_t offset)
{
	return offset / FS_BLOCK == HOLE ? 0 : (uint8_t)(offset / FS_BLOCK);
}

static void expect_bytes(uint64_t offset, size_t size)
{
	cr_assert_eq(ext2_read(&file, offset, data, size, &done), LUMEN_OK);
	cr_assert_eq(done, size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(data[i], wanted(offset + i), "byte %zu", i);
}

Test(ext2, indirect_blocks_and_a_hole)
{
	make_fs();
	cr_assert_eq(open_and_find("/data/big"), LUMEN_OK);
	expect_bytes(0, BIG_BLOCKS * FS_BLOCK);
	expect_bytes(HOLE * FS_BLOCK - 1, FS_BLOCK + 2);
	expect_bytes(12 * FS_BLOCK - 3, 7);
	expect_bytes((12 + 256) * FS_BLOCK - 3, 7);
	forget_fs();
}

// A pointer in the triple-indirect place leads through three blocks; there is a largest index.
Test(ext2, triple_indirect_blocks)
{
	const uint64_t behind_double = 12 + 256 + 256 * 256, behind_all = behind_double + (1 << 24);
	uint32_t number;

	make_fs();
	cr_assert_eq(open_and_find("/data/big"), LUMEN_OK);
	file.blocks[14] = file.blocks[13]; // its first pointer leads to numbers of blocks of data
	cr_assert_eq(ext2_map(&file, behind_double, &number), LUMEN_OK);
	cr_assert_eq(number, 0x0c0c0c0c); // the bytes of block 12 + 256 of the file
	cr_assert_eq(ext2_map(&file, behind_all - 1, &number), LUMEN_OK);
	cr_assert_eq(number, 0); // through holes
	cr_assert_eq(ext2_map(&file, behind_all, &number), LUMEN_NOT_SUPPORTED);
	forget_fs();
}

// What has been read is not read again: the disk may change behind it.
Test(ext2, blocks_are_kept)
{
	make_fs();
	cr_assert_eq(open_and_find("/greeting"), LUMEN_OK);
	image_clear();
	cr_assert_eq(ext2_find(&fs, "/greeting", &file), LUMEN_OK);
	cr_assert_eq(file.size, 7);
	forget_fs();
}

// Any byte of the tables, directories and pointers may be anything: there are no files then, or
// other ones, but nothing else happens (the sanitizers look on) and it ends.
static void use_damaged(uint32_t at, uint8_t value)
{
	uint8_t *byte = image + FS_FIRST * SECTOR + at, old = *byte;

	*byte = value;
	if (!open_and_find("/data/big"))
		(void)ext2_read(&file, 0, data, sizeof(data), &done);
	forget_fs();
	*byte = old;
}

Test(ext2, damaged_in_each_byte, .timeout = 100)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };

	make_fs();
	for (uint32_t at = FS_BLOCK; at < TABLES_END * FS_BLOCK; at++)
		for (size_t i = 0; i < sizeof(values); i++)
			use_damaged(at, values[i]);
}
