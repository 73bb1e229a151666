// SPDX-License-Identifier: BSD-2-Clause
// MODE SENSE 6 and 10: caching, control and informational exceptions pages (SPC-4 6.11, SBC-3 6.4).
// Nothing is changeable, so there is no MODE SELECT.
#include "drivers/vsp/storage/scsi_internal.h"

#include <string.h>

#include "base/macros.h"

#define SCSI_MODE_DATA_MAX 80u

enum scsi_mode_control { // page control, CDB byte 2 bits 7:6
	SCSI_MODE_CURRENT,
	SCSI_MODE_CHANGEABLE,
	SCSI_MODE_DEFAULT,
	SCSI_MODE_SAVED,
};

struct scsi_mode_page {
	uint8_t code;
	uint8_t length; // of what follows the two bytes of header
	void (*fill)(const struct scsi_disk *disk, uint8_t *page); // zeroed; NULL: all zero
};

static void scsi_mode_caching(const struct scsi_disk *disk, uint8_t *page)
{
	if (scsi_has(disk, BLOCK_DEVICE_WRITE_CACHE))
		page[2] |= SCSI_MODE_WCE;
}

static void scsi_mode_control_page(const struct scsi_disk *disk, uint8_t *page)
{
	page[3] = 0x10; // commands may be reordered without restriction
}

static const struct scsi_mode_page scsi_mode_pages[] = {
	{ SCSI_MODE_CACHING, 18, scsi_mode_caching },
	{ SCSI_MODE_CONTROL, 10, scsi_mode_control_page },
	{ SCSI_MODE_EXCEPTIONS, 10, NULL },
};
#define SCSI_MODE_PAGES (ARRAY_SIZE(scsi_mode_pages))

// Returns the length of the pages that were asked for, 0 if there is no such page.
static uint32_t scsi_mode_append(
	const struct scsi_disk *disk, uint8_t code, enum scsi_mode_control control, uint8_t *at)
{
	uint32_t total = 0;

	for (size_t i = 0; i < SCSI_MODE_PAGES; i++) {
		const struct scsi_mode_page *page = &scsi_mode_pages[i];

		if (code != page->code && code != SCSI_MODE_ALL_PAGES)
			continue;
		at[total] = page->code;
		at[total + 1] = page->length;
		if (page->fill && control != SCSI_MODE_CHANGEABLE)
			page->fill(disk, at + total);
		total += 2u + page->length;
	}
	return total;
}

static uint32_t scsi_mode_block_descriptor(const struct scsi_disk *disk, uint8_t *at)
{
	const uint64_t blocks = disk->block->block_count;

	scsi_put32(at, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	scsi_put32(at + 4, disk->block->block_size); // 24 bits are enough for it
	return 8;
}

static uint8_t scsi_mode_device_specific(const struct scsi_disk *disk)
{
	return 0x10 /* DPO and FUA */ | (scsi_has(disk, BLOCK_DEVICE_READ_ONLY) ? SCSI_MODE_WP : 0);
}

void scsi_mode_sense(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint8_t *cdb = command->cdb;
	const bool ten = cdb[0] == SCSI_MODE_SENSE_10;
	const uint32_t header = ten ? 8 : 4;
	const enum scsi_mode_control control = cdb[2] >> 6;
	const bool descriptor = !(cdb[1] & SCSI_CDB_DBD);
	uint8_t data[SCSI_MODE_DATA_MAX] = { 0 };
	uint32_t length = header, pages;

	if (control == SCSI_MODE_SAVED) {
		scsi_fail(command, SCSI_SENSE_SAVING_UNSUPPORTED);
		return;
	}
	if (descriptor)
		length += scsi_mode_block_descriptor(disk, data + header);
	pages = scsi_mode_append(disk, cdb[2] & 0x3F, control, data + length);
	if (pages == 0 || (cdb[3] != 0 && cdb[3] != SCSI_MODE_ALL_SUBPAGES)) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	length += pages;
	if (ten) {
		scsi_put16(data, (uint16_t)(length - 2));
		data[3] = scsi_mode_device_specific(disk);
		data[7] = descriptor ? 8 : 0;
	} else {
		data[0] = (uint8_t)(length - 1);
		data[2] = scsi_mode_device_specific(disk);
		data[3] = descriptor ? 8 : 0;
	}
	scsi_reply(command, data, length, ten ? scsi_get16(&cdb[7]) : cdb[4]);
}
