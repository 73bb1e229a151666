// SPDX-License-Identifier: BSD-2-Clause
// Files of an ext2 file system, for reading. What is read is not trusted.
#include "examples/disk/disk.h"

#include "lumen/platform.h"

#define MAGIC		   0xef53
#define INCOMPAT_FILE_TYPE 0x2 // the type of a file is in its directory entry too
#define MODE_TYPE	   0xf000
#define MODE_DIRECTORY	   0x4000
#define MODE_FILE	   0x8000

enum { SUPERBLOCK = 1024, ROOT_INODE = 2, DIRECT = 12, OLD_INODE_SIZE = 128 };

// Only what is used here.
struct superblock {
	uint32_t inodes, blocks, reserved_blocks, free_blocks, free_inodes, first_data_block;
	uint32_t log_block_size, log_fragment_size;
	uint32_t blocks_per_group, fragments_per_group, inodes_per_group;
	uint32_t mount_time, write_time;
	uint16_t mounts, max_mounts, magic, state, errors, minor_revision;
	uint32_t last_check, check_interval, creator, revision;
	uint16_t reserved_uid, reserved_gid;
	uint32_t first_inode;
	uint16_t inode_size, group;
	uint32_t compatible, incompatible, read_only_compatible;
};
_Static_assert(sizeof(struct superblock) == 104, "struct superblock");

struct group {
	uint32_t block_bitmap, inode_bitmap, inode_table;
	uint16_t free_blocks, free_inodes, directories, flags;
	uint32_t rsvd[3];
};
_Static_assert(sizeof(struct group) == 32, "struct group");

struct inode {
	uint16_t mode, uid;
	uint32_t size, times[4];
	uint16_t gid, links;
	uint32_t sectors, flags, osd1;
	uint32_t blocks[EXT2_INODE_BLOCKS];
};
_Static_assert(sizeof(struct inode) == 100, "struct inode");

struct entry { // and then its name
	uint32_t inode;
	uint16_t length;
	uint8_t name_length, type;
};
_Static_assert(sizeof(struct entry) == 8, "struct entry");

lumen_status ext2_locate(const struct ext2 *fs, uint32_t number, uint64_t *first, uint32_t *count)
{
	*count = fs->block_size / fs->partition.disk->block_size;
	*first = (uint64_t)number * *count;
	if (*first + *count > fs->partition.blocks)
		return LUMEN_OUT_OF_RANGE;
	*first += fs->partition.first;
	return LUMEN_OK;
}

static lumen_status read_block(struct ext2 *fs, uint32_t number, void *to)
{
	uint64_t first;
	uint32_t count;
	lumen_status status = ext2_locate(fs, number, &first, &count);

	return status ? status : lumen_disk_read(fs->partition.disk, first, count, to);
}

// A block of the file system, valid until the next one is asked for; block 0 is a hole.
static lumen_status get_block(struct ext2 *fs, uint32_t number, const uint8_t **bytes)
{
	static const uint8_t hole[EXT2_BLOCK_MAX];
	uint32_t place = 0;
	lumen_status status;

	*bytes = hole;
	if (!number)
		return LUMEN_OK;
	while (place < EXT2_CACHED && fs->cached[place] != number)
		place++;
	if (place == EXT2_CACHED) {
		place = fs->next++ % EXT2_CACHED;
		fs->cached[place] = 0;
		status = read_block(fs, number, fs->bytes + (size_t)place * EXT2_BLOCK_MAX);
		if (status)
			return status;
		fs->cached[place] = number;
	}
	*bytes = fs->bytes + (size_t)place * EXT2_BLOCK_MAX;
	return LUMEN_OK;
}

static bool is_usable(const struct superblock *super, const struct lumen_disk *disk)
{
	return super->magic == MAGIC && super->log_block_size <= 2 && super->inodes_per_group &&
	       !(super->incompatible & ~INCOMPAT_FILE_TYPE) &&
	       1024u << super->log_block_size >= disk->block_size;
}

lumen_status ext2_open(struct ext2 *fs, const struct partition *partition)
{
	uint32_t block_size = partition->disk->block_size;
	struct superblock super;
	lumen_status status;

	*fs = (struct ext2){ .partition = *partition };
	fs->bytes = lumen_alloc_pages(EXT2_CACHED * EXT2_BLOCK_MAX / LUMEN_PAGE_SIZE);
	if (!fs->bytes)
		return LUMEN_NO_MEMORY;
	status = lumen_disk_read(
		partition->disk, partition->first + SUPERBLOCK / block_size, 1, fs->bytes);
	if (status)
		return status;
	// In a block of more than 1 KiB it is not at the start.
	__builtin_memcpy(&super, fs->bytes + SUPERBLOCK % block_size, sizeof(super));
	if (!is_usable(&super, partition->disk))
		return LUMEN_NOT_SUPPORTED;
	fs->block_size = 1024u << super.log_block_size;
	fs->inode_size = super.revision ? super.inode_size : OLD_INODE_SIZE;
	fs->inodes_per_group = super.inodes_per_group;
	fs->first_data_block = super.first_data_block;
	if (fs->inode_size < OLD_INODE_SIZE || fs->block_size % fs->inode_size)
		return LUMEN_NOT_SUPPORTED;
	return LUMEN_OK;
}

// Where the inodes of a group begin.
static lumen_status find_table(struct ext2 *fs, uint32_t group, uint32_t *table)
{
	uint32_t per_block = fs->block_size / sizeof(struct group);
	const uint8_t *bytes;
	struct group found;
	lumen_status status;

	status = get_block(fs, fs->first_data_block + 1 + group / per_block, &bytes);
	if (status)
		return status;
	__builtin_memcpy(&found, bytes + group % per_block * sizeof(found), sizeof(found));
	*table = found.inode_table;
	return LUMEN_OK;
}

static lumen_status open_inode(struct ext2 *fs, uint32_t number, struct ext2_file *file)
{
	uint32_t index = (number - 1) % fs->inodes_per_group, table;
	uint32_t per_block = fs->block_size / fs->inode_size;
	const uint8_t *bytes;
	struct inode inode;
	lumen_status status;

	status = find_table(fs, (number - 1) / fs->inodes_per_group, &table);
	if (!status)
		status = get_block(fs, table + index / per_block, &bytes);
	if (status)
		return status;
	__builtin_memcpy(&inode, bytes + index % per_block * fs->inode_size, sizeof(inode));
	*file = (struct ext2_file){ .fs = fs, .inode = number, .size = inode.size };
	file->directory = (inode.mode & MODE_TYPE) == MODE_DIRECTORY;
	__builtin_memcpy(file->blocks, inode.blocks, sizeof(file->blocks));
	if (!file->directory && (inode.mode & MODE_TYPE) != MODE_FILE)
		return LUMEN_NOT_SUPPORTED;
	return LUMEN_OK;
}

// Goes from a block of pointers, which lead to `reach` blocks, to the one that is number `index` of
// them.
static lumen_status follow(
	struct ext2 *fs, uint32_t block, uint64_t reach, uint64_t index, uint32_t *number)
{
	const uint32_t per_block = fs->block_size / sizeof(block);
	const uint8_t *bytes;
	lumen_status status;

	while (reach > 1) {
		status = get_block(fs, block, &bytes);
		if (status)
			return status;
		reach /= per_block;
		__builtin_memcpy(&block, bytes + index / reach * sizeof(block), sizeof(block));
		index %= reach;
	}
	*number = block;
	return LUMEN_OK;
}

lumen_status ext2_map(struct ext2_file *file, uint64_t index, uint32_t *number)
{
	const uint32_t per_block = file->fs->block_size / sizeof(*number);
	uint64_t reach = 1;

	if (index < DIRECT) {
		*number = file->blocks[index];
		return LUMEN_OK;
	}
	index -= DIRECT;
	for (uint32_t i = DIRECT; i < EXT2_INODE_BLOCKS; i++) { // indirect, double, triple
		reach *= per_block;
		if (index < reach)
			return follow(file->fs, file->blocks[i], reach, index, number);
		index -= reach;
	}
	return LUMEN_NOT_SUPPORTED;
}

lumen_status ext2_read(struct ext2_file *file, uint64_t offset, void *to, size_t size, size_t *done)
{
	struct ext2 *fs = file->fs;
	lumen_status status = LUMEN_OK;

	*done = 0;
	if (offset >= file->size)
		return LUMEN_OK;
	if (size > file->size - offset)
		size = file->size - offset;
	while (*done < size && !status) {
		size_t at = (offset + *done) % fs->block_size;
		size_t part =
			fs->block_size - at < size - *done ? fs->block_size - at : size - *done;
		const uint8_t *bytes;
		uint32_t number;

		status = ext2_map(file, (offset + *done) / fs->block_size, &number);
		if (!status)
			status = get_block(fs, number, &bytes);
		if (status)
			break;
		__builtin_memcpy((uint8_t *)to + *done, bytes + at, part);
		*done += part;
	}
	return status;
}

// Looks for a name in a directory; *inode is 0 if it is not there.
static lumen_status look_up(
	struct ext2_file *directory, const char *name, size_t length, uint32_t *inode)
{
	uint8_t found[255];
	struct entry entry;
	lumen_status status;
	size_t done;

	*inode = 0;
	for (uint64_t at = 0; at < directory->size && !*inode; at += entry.length) {
		status = ext2_read(directory, at, &entry, sizeof(entry), &done);
		if (status)
			return status;
		if (done < sizeof(entry) || entry.length < sizeof(entry) + entry.name_length)
			return LUMEN_NOT_SUPPORTED;
		if (!entry.inode || entry.name_length != length)
			continue;
		status = ext2_read(directory, at + sizeof(entry), found, length, &done);
		if (status)
			return status;
		if (done == length && !__builtin_memcmp(found, name, length))
			*inode = entry.inode;
	}
	return LUMEN_OK;
}

lumen_status ext2_find(struct ext2 *fs, const char *path, struct ext2_file *file)
{
	lumen_status status = open_inode(fs, ROOT_INODE, file);

	while (!status && *path) {
		size_t length = 0;
		uint32_t inode;

		for (; *path == '/'; path++)
			;
		while (path[length] && path[length] != '/')
			length++;
		if (!length)
			break;
		if (!file->directory)
			return LUMEN_OUT_OF_RANGE;
		status = look_up(file, path, length, &inode);
		if (!status && !inode)
			return LUMEN_OUT_OF_RANGE;
		if (!status)
			status = open_inode(fs, inode, file);
		path += length;
	}
	return status;
}
