// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: which disks are there, and which have come and gone.
#include "drivers/vsc/storage/storage_internal.h"

#define STORAGE_TARGETS 2u // where hosts put disks
#define STORAGE_LUNS	256u

static void storage_set_probe(struct lumen_storage *storage, uint8_t target, uint8_t lun)
{
	storage->probe = (struct lumen_disk){
		.storage = storage,
		.target = target,
		.lun = lun,
		.address = (uint32_t)target << 16 | (uint32_t)lun << 24, // see storage_packet.c
	};
}

static struct lumen_disk *storage_known(struct lumen_storage *storage)
{
	for (uint32_t i = 0; i < storage->disk_count; i++) {
		if (storage->disks[i].address == storage->probe.address)
			return &storage->disks[i];
	}
	return NULL;
}

static void storage_set_present(struct lumen_disk *disk, bool present)
{
	__atomic_store_n(&disk->present, present, __ATOMIC_RELEASE);
}

// A disk has come back: takes over what *found says of it. Requests to it may still wait; what they
// go by (block size, limits) stays, or changes from one good value to another.
static void storage_renew(struct lumen_disk *disk, const struct lumen_disk *found)
{
	memcpy(disk->vendor, found->vendor, sizeof(disk->vendor));
	memcpy(disk->product, found->product, sizeof(disk->product));
	memcpy(disk->revision, found->revision, sizeof(disk->revision));
	memcpy(disk->serial, found->serial, sizeof(disk->serial));
	disk->physical_block_size = found->physical_block_size;
	disk->unmap_granularity = found->unmap_granularity;
	disk->read_only = found->read_only;
	disk->write_cache = found->write_cache;
	disk->unmap_zeroes = found->unmap_zeroes;
	disk->max_transfer = found->max_transfer;
	if (found->can_unmap)
		disk->max_unmap = found->max_unmap;
	if (found->can_write_same)
		disk->max_write_same = found->max_write_same;
	disk->can_unmap = found->can_unmap;
	disk->can_write_same = found->can_write_same;
}

static struct lumen_disk *storage_add(struct lumen_storage *storage, const struct lumen_disk *found)
{
	struct lumen_disk *disk = &storage->disks[storage->disk_count];

	*disk = *found;
	__atomic_store_n(&storage->disk_count, storage->disk_count + 1, __ATOMIC_RELEASE);
	return disk;
}

// Looks at one address. A disk that was there before may only have changed its size; one that comes
// back may be another, but with blocks of another size it cannot be used before the controller is
// opened anew. Returns a bit for its place in the table, or 0.
static uint64_t storage_look(struct lumen_storage *storage, uint8_t target, uint8_t lun)
{
	struct lumen_disk *found = &storage->found, *disk;
	bool good, was_present;

	storage_set_probe(storage, target, lun);
	disk = storage_known(storage);
	was_present = disk && disk->present;
	good = was_present ? storage_capacity(storage, found) : storage_identify(storage, found);
	if (storage->answer_lost || vsc_status(&storage->vsc) != LUMEN_OK)
		return 0; // not the disk's fault
	if (!good || (disk && disk->block_size != found->block_size))
		return 0;
	if (!disk && storage->disk_count == LUMEN_STORAGE_MAX_DISKS)
		return 0;
	if (!disk)
		disk = storage_add(storage, found);
	else if (!was_present)
		storage_renew(disk, found);
	__atomic_store_n(&disk->blocks, found->blocks, __ATOMIC_RELAXED);
	storage_set_present(disk, true);
	return 1ull << (disk - storage->disks);
}

// --- all of them ---

// SPC-4 6.33. Sets a bit for each LUN; returns false if the target cannot tell.
static bool storage_list(struct lumen_storage *storage, uint8_t target, uint64_t luns[4])
{
	static const uint8_t cdb[12] = {
		SCSI_REPORT_LUNS, [8] = STORAGE_ANSWER >> 8, [9] = STORAGE_ANSWER & 255
	};
	const uint8_t *answer = storage->answer;
	uint32_t length;
	uint64_t told;

	storage_set_probe(storage, target, 0);
	if (storage_ask_disk(storage, cdb, sizeof(cdb), STORAGE_ANSWER, &length) != LUMEN_OK ||
		length < 8)
		return false;
	told = 8 + storage_get(answer, 4);
	length = told < length ? (uint32_t)told : length;
	for (uint32_t at = 8; at + 8 <= length; at += 8) {
		// Peripheral and flat addressing (SAM-5 4.7), one level, as far as VSTOR goes.
		if (answer[at] == 0 || answer[at] == 0x40)
			luns[answer[at + 1] / 64] |= 1ull << answer[at + 1] % 64;
	}
	return true;
}

static uint64_t storage_scan_target(struct lumen_storage *storage, uint8_t target)
{
	uint64_t luns[STORAGE_LUNS / 64] = { 0 };
	uint64_t found = 0;

	if (!storage_list(storage, target, luns) && target == 0)
		luns[0] = 1; // those that cannot tell have one
	for (uint32_t lun = 0; lun < STORAGE_LUNS; lun++) {
		if (luns[lun / 64] >> lun % 64 & 1)
			found |= storage_look(storage, target, (uint8_t)lun);
	}
	return found;
}

lumen_status lumen_storage_scan(struct lumen_storage *storage)
{
	uint64_t found = 0;

	for (uint8_t target = 0; target < STORAGE_TARGETS; target++) {
		if (vsc_status(&storage->vsc) == LUMEN_OK)
			found |= storage_scan_target(storage, target);
	}
	if (vsc_status(&storage->vsc) != LUMEN_OK)
		return vsc_status(&storage->vsc);
	if (storage->answer_lost)
		return LUMEN_TIMED_OUT;
	for (uint32_t i = 0; i < storage->disk_count; i++) {
		if (!(found >> i & 1))
			storage_set_present(&storage->disks[i], false);
	}
	return LUMEN_OK;
}

struct lumen_disk *lumen_storage_disk(struct lumen_storage *storage, uint32_t index)
{
	for (uint32_t i = 0; i < storage->disk_count; i++) {
		struct lumen_disk *disk = &storage->disks[i];

		if (__atomic_load_n(&disk->present, __ATOMIC_ACQUIRE) && index-- == 0)
			return disk;
	}
	return NULL;
}
