// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: what a disk is like. What a host says of a disk that
// contradicts itself makes the disk not present; what it does not say is taken as not supported.
#include "drivers/vsc/storage/storage_internal.h"

#include "base/macros.h"

#define STORAGE_INQUIRY	   96u
#define STORAGE_VPD	   255u
#define STORAGE_MODE_SENSE 192u

lumen_status storage_ask_disk(struct lumen_storage *storage, const uint8_t *cdb, uint8_t cdb_length,
	uint32_t allocation, uint32_t *length)
{
	const struct lumen_segment segment = { .data = storage->shared, .length = allocation };
	struct lumen_request request = {
		.disk = &storage->probe,
		.operation = LUMEN_SCSI,
		.flags = LUMEN_REQUEST_DATA_IN,
		.segments = &segment,
		.segment_count = 1,
		.cdb_length = cdb_length,
	};
	lumen_status status;

	*length = 0;
	if (storage->answer_lost)
		return LUMEN_TIMED_OUT; // what comes late would look like this answer
	memcpy(request.cdb, cdb, cdb_length);
	status = lumen_disk_execute(&request);
	storage->answer_lost |= status == LUMEN_TIMED_OUT;
	*length = status == LUMEN_OK ? (uint32_t)request.transferred : 0;
	memset(storage->answer, 0, sizeof(storage->answer));
	memcpy(storage->answer, storage->shared, *length);
	// From here on the copy counts: the compiler must not look at the shared bytes again.
	__asm__ volatile("" : : "r"(storage->answer) : "memory");
	return status;
}

static lumen_status storage_inquire(struct lumen_storage *storage, bool vital, uint8_t page,
	uint8_t allocation, uint32_t *length)
{
	const uint8_t cdb[6] = { SCSI_INQUIRY, vital ? SCSI_CDB_EVPD : 0, page, 0, allocation };

	return storage_ask_disk(storage, cdb, sizeof(cdb), allocation, length);
}

// Copies a text field: what is not ASCII becomes '?', and spaces at its end go.
static void storage_text(char *to, const uint8_t *from, uint32_t length)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < length && from[i]; i++) {
		to[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
		if (to[i] != ' ')
			end = i + 1;
	}
	to[end] = '\0';
}

// --- vital product data (SPC-4 7.8, SBC-3 6.5) ---

static void storage_vpd_serial(struct lumen_disk *disk, const uint8_t *page, uint32_t length)
{
	const uint32_t most = sizeof(disk->serial) - 1;

	storage_text(disk->serial, page + 4, length - 4 < most ? length - 4 : most);
}

static void storage_vpd_limits(struct lumen_disk *disk, const uint8_t *page, uint32_t length)
{
	const uint64_t transfer = storage_get(&page[8], 4) << disk->block_shift;
	const uint64_t write_same = storage_get(&page[36], 8);

	if (transfer > 0 && transfer < disk->max_transfer)
		disk->max_transfer = (uint32_t)transfer;
	disk->max_unmap = storage_get(&page[24], 4) ? (uint32_t)storage_get(&page[20], 4) : 0;
	disk->unmap_granularity = (uint32_t)(storage_get(&page[28], 4) << disk->block_shift);
	disk->max_write_same = write_same < UINT32_MAX ? (uint32_t)write_same : UINT32_MAX;
	disk->can_write_same = disk->max_write_same > 0;
}

static void storage_vpd_provisioning(struct lumen_disk *disk, const uint8_t *page, uint32_t length)
{
	disk->can_unmap = (page[5] & SCSI_VPD_LBPU) && disk->max_unmap > 0;
	disk->unmap_zeroes = disk->can_unmap && (page[5] & SCSI_VPD_LBPRZ);
}

// In the order in which they build on each other.
static const struct {
	uint8_t code;
	uint8_t min_length;
	void (*take)(struct lumen_disk *disk, const uint8_t *page, uint32_t length);
} storage_vpd_pages[] = {
	{ SCSI_VPD_SERIAL, 4, storage_vpd_serial },
	{ SCSI_VPD_BLOCK_LIMITS, 16, storage_vpd_limits },
	{ SCSI_VPD_PROVISIONING, 8, storage_vpd_provisioning },
};
#define STORAGE_VPD_PAGES (ARRAY_SIZE(storage_vpd_pages))

// A bit for each page of the table that the disk has.
static uint32_t storage_vpd_supported(struct lumen_storage *storage)
{
	const uint8_t *answer = storage->answer;
	uint32_t length, pages = 0;

	if (storage_inquire(storage, true, 0, STORAGE_VPD, &length) != LUMEN_OK)
		return 0;
	for (uint32_t at = 4; at < length && at < 4u + answer[3]; at++) {
		for (uint32_t i = 0; i < STORAGE_VPD_PAGES; i++)
			pages |= (uint32_t)(answer[at] == storage_vpd_pages[i].code) << i;
	}
	return pages;
}

static void storage_vital(struct lumen_storage *storage, struct lumen_disk *disk)
{
	const uint32_t pages = storage_vpd_supported(storage);

	for (uint32_t i = 0; i < STORAGE_VPD_PAGES; i++) {
		const uint8_t code = storage_vpd_pages[i].code;
		uint32_t length, told;

		if (!(pages >> i & 1) ||
			storage_inquire(storage, true, code, STORAGE_VPD, &length) != LUMEN_OK)
			continue;
		told = 4 + (uint32_t)storage_get(&storage->answer[2], 2);
		length = told < length ? told : length;
		if (storage->answer[1] == code && length >= storage_vpd_pages[i].min_length)
			storage_vpd_pages[i].take(disk, storage->answer, length);
	}
}

// --- size and mode ---

static bool storage_take_capacity(
	struct lumen_disk *disk, uint64_t last_block, uint64_t block_size, uint32_t exponent)
{
	uint64_t blocks, bytes;

	if (block_size < 512 || block_size > 4096 || (block_size & (block_size - 1)) ||
		__builtin_add_overflow(last_block, 1, &blocks) ||
		__builtin_mul_overflow(blocks, block_size, &bytes))
		return false;
	disk->block_size = (uint32_t)block_size;
	disk->block_shift = (uint32_t)__builtin_ctzll(block_size);
	disk->physical_block_size = (uint32_t)block_size << exponent;
	disk->blocks = blocks;
	return true;
}

// SBC-3 5.16 and 5.15: READ CAPACITY (16), and (10) for those that do not know it.
bool storage_capacity(struct lumen_storage *storage, struct lumen_disk *disk)
{
	static const uint8_t long_cdb[16] = { SCSI_SERVICE_ACTION_IN_16,
		SCSI_SAI_READ_CAPACITY_16, [13] = 32 };
	static const uint8_t short_cdb[10] = { SCSI_READ_CAPACITY_10 };
	const uint8_t *answer = storage->answer;
	uint32_t length;

	if (storage_ask_disk(storage, long_cdb, 16, 32, &length) == LUMEN_OK && length >= 16)
		return storage_take_capacity(
			disk, storage_get(answer, 8), storage_get(answer + 8, 4), answer[13] & 15);
	if (storage_ask_disk(storage, short_cdb, 10, 8, &length) == LUMEN_OK && length == 8)
		return storage_take_capacity(
			disk, storage_get(answer, 4), storage_get(answer + 4, 4), 0);
	return false;
}

// SPC-4 6.11, SBC-3 6.4.5: the caching page. Who does not know it may have a cache.
static void storage_mode(struct lumen_storage *storage, struct lumen_disk *disk)
{
	static const uint8_t cdb[6] = { SCSI_MODE_SENSE_6, SCSI_CDB_DBD, SCSI_MODE_CACHING, 0,
		STORAGE_MODE_SENSE };
	const uint8_t *answer = storage->answer;
	uint32_t length, page;

	disk->write_cache = true;
	if (storage_ask_disk(storage, cdb, sizeof(cdb), STORAGE_MODE_SENSE, &length) != LUMEN_OK ||
		length < 4)
		return;
	disk->read_only = answer[2] & SCSI_MODE_WP;
	page = 4u + answer[3];
	if (page + 3 <= length && (answer[page] & SCSI_MODE_ALL_PAGES) == SCSI_MODE_CACHING)
		disk->write_cache = answer[page + 2] & SCSI_MODE_WCE;
}

// --- all of it ---

bool storage_identify(struct lumen_storage *storage, struct lumen_disk *disk)
{
	const uint8_t *answer = storage->answer;
	uint32_t length;

	*disk = storage->probe;
	if (storage_inquire(storage, false, 0, STORAGE_INQUIRY, &length) != LUMEN_OK ||
		length < 36 || answer[0] != 0) // connected, and a direct access device
		return false;
	storage_text(disk->vendor, &answer[8], 8);
	storage_text(disk->product, &answer[16], 16);
	storage_text(disk->revision, &answer[32], 4);
	if (!storage_capacity(storage, disk))
		return false;
	disk->max_transfer = storage->max_transfer;
	storage_vital(storage, disk);
	storage_mode(storage, disk);
	return true;
}
