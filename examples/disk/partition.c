// SPDX-License-Identifier: BSD-2-Clause
// Partition tables: GPT (UEFI 2.10, 5.3) and MBR (5.2.1). What is read is not trusted.
#include "examples/disk/disk.h"

#include "lumen/platform.h"

enum { MBR_ENTRIES = 446, MBR_COUNT = 4, MBR_GPT = 0xee, GPT_NAME = 36 };

struct mbr_entry {
	uint8_t status, first_chs[3], type, last_chs[3];
	uint32_t first, blocks;
};
_Static_assert(sizeof(struct mbr_entry) == 16, "UEFI 5.2.1");

struct gpt_header {
	char signature[8];
	uint32_t revision, size, crc, rsvd_z;
	uint64_t here, other, first_usable, last_usable;
	uint8_t disk_guid[16];
	uint64_t entries;
	uint32_t entry_count, entry_size, entries_crc;
} __attribute__((packed)); // to its real size
_Static_assert(sizeof(struct gpt_header) == 92, "UEFI 5.3.2");

struct gpt_entry {
	uint8_t type[16], guid[16];
	uint64_t first, last, attributes;
	uint16_t name[GPT_NAME];
};
_Static_assert(sizeof(struct gpt_entry) == 128, "UEFI 5.3.3");

static uint32_t crc32(const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;
	uint32_t crc = ~0u;

	while (size--) {
		crc ^= *byte++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

// The range must be on the disk.
static lumen_status set_range(struct partition *found, uint64_t first, uint64_t last)
{
	if (last < first || last >= found->disk->blocks)
		return LUMEN_NOT_SUPPORTED;
	found->first = first;
	found->blocks = last - first + 1;
	return LUMEN_OK;
}

static lumen_status find_in_mbr(const uint8_t *block, uint32_t index, struct partition *found)
{
	struct mbr_entry entry;

	for (uint32_t i = 0; i < MBR_COUNT; i++) {
		__builtin_memcpy(&entry, block + MBR_ENTRIES + i * sizeof(entry), sizeof(entry));
		if (!entry.type || !entry.blocks || index--)
			continue;
		return set_range(found, entry.first, (uint64_t)entry.first + entry.blocks - 1);
	}
	return LUMEN_OUT_OF_RANGE;
}

// Whether the header in `block` is whole, and says what we can follow.
static bool is_gpt(const struct lumen_disk *disk, uint8_t *block, struct gpt_header *header)
{
	uint32_t crc;

	__builtin_memcpy(header, block, sizeof(*header));
	crc = header->crc;
	__builtin_memset(block + 16, 0, sizeof(crc)); // counts as 0 in itself
	return !__builtin_memcmp(header->signature, "EFI PART", 8) &&
	       header->size >= sizeof(*header) && header->size <= disk->block_size &&
	       crc32(block, header->size) == crc &&
	       header->entry_size >= sizeof(struct gpt_entry) &&
	       !(disk->block_size % header->entry_size) && header->entry_count <= 1024;
}

static bool is_used(const struct gpt_entry *entry)
{
	for (size_t i = 0; i < sizeof(entry->type); i++)
		if (entry->type[i])
			return true;
	return false;
}

static void copy_name(struct partition *found, const struct gpt_entry *entry)
{
	for (size_t i = 0; i < GPT_NAME; i++)
		found->name[i] = entry->name[i] < 0x7f ? (char)entry->name[i] : '?';
	found->name[GPT_NAME] = 0;
}

static lumen_status find_in_gpt(
	const struct gpt_header *header, uint8_t *block, uint32_t index, struct partition *found)
{
	uint32_t per_block = found->disk->block_size / header->entry_size;
	struct gpt_entry entry;
	lumen_status status;

	for (uint32_t i = 0; i < header->entry_count; i++) {
		if (!(i % per_block)) {
			status = lumen_disk_read(
				found->disk, header->entries + i / per_block, 1, block);
			if (status)
				return status;
		}
		__builtin_memcpy(&entry, block + i % per_block * header->entry_size, sizeof(entry));
		if (!is_used(&entry) || index--)
			continue;
		copy_name(found, &entry);
		return set_range(found, entry.first, entry.last);
	}
	return LUMEN_OUT_OF_RANGE;
}

static lumen_status find(
	struct lumen_disk *disk, uint8_t *block, uint32_t index, struct partition *found)
{
	struct gpt_header header;
	lumen_status status;

	*found = (struct partition){ .disk = disk };
	status = lumen_disk_read(disk, 0, 1, block);
	if (status)
		return status;
	if (block[510] != 0x55 || block[511] != 0xaa)
		return LUMEN_NOT_SUPPORTED;
	if (block[MBR_ENTRIES + 4] != MBR_GPT)
		return find_in_mbr(block, index, found);
	status = lumen_disk_read(disk, 1, 1, block);
	if (status)
		return status;
	if (!is_gpt(disk, block, &header))
		return LUMEN_NOT_SUPPORTED;
	return find_in_gpt(&header, block, index, found);
}

lumen_status partition_find(struct lumen_disk *disk, uint32_t index, struct partition *found)
{
	uint8_t *block = lumen_alloc_pages(1); // the largest block
	lumen_status status = LUMEN_NO_MEMORY;

	if (!block)
		return status;
	status = find(disk, block, index, found);
	lumen_free_pages(block, 1);
	return status;
}
