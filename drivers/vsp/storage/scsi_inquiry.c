// SPDX-License-Identifier: BSD-2-Clause
// INQUIRY: standard data and the vital product data pages (SPC-4 6.6 and 7.8, SBC-3 6.5).
#include "drivers/vsp/storage/scsi_internal.h"

#include <string.h>

#include "base/macros.h"

#define SCSI_INQUIRY_STANDARD_LENGTH 64u
#define SCSI_VPD_MAX		     256u
#define SCSI_NO_DEVICE		     0x7Fu // qualifier 3: the target cannot have a unit there

struct scsi_vpd_page {
	uint8_t code;
	uint32_t needs; // BLOCK_DEVICE_* that the disk must have for the page to be there
	// Writes what follows the 4-byte header, at most SCSI_VPD_MAX - 4 bytes, into zeroed
	// memory; returns its length.
	uint32_t (*build)(const struct scsi_disk *disk, uint8_t *body);
};

static void scsi_copy_text(uint8_t *to, const char *from, size_t length)
{
	memcpy(to, from, length);
}

static uint32_t scsi_vpd_supported(const struct scsi_disk *disk, uint8_t *body);

static uint32_t scsi_serial_length(const struct scsi_disk *disk)
{
	return (uint32_t)strlen(disk->identity.serial);
}

static uint32_t scsi_vpd_serial(const struct scsi_disk *disk, uint8_t *body)
{
	const uint32_t length = scsi_serial_length(disk);

	scsi_copy_text(body, disk->identity.serial, length);
	return length;
}

// A designator: 4 bytes of header, then the body. `kind` is the association and type byte.
static uint32_t scsi_designator(uint8_t *to, uint8_t code_set, uint8_t kind, uint32_t length)
{
	to[0] = code_set;
	to[1] = kind;
	to[3] = (uint8_t)length;
	return 4 + length;
}

static uint32_t scsi_vpd_identification(const struct scsi_disk *disk, uint8_t *body)
{
	const uint32_t serial = scsi_serial_length(disk);
	uint32_t at = 0;

	if (disk->identity.naa) {
		// NAA 3, locally assigned: SPC-4 7.8.6.6.4.
		scsi_put64(body + 4, 3ULL << 60 | (disk->identity.naa & ~(0xFULL << 60)));
		at += scsi_designator(body, 1, 3, 8);
	}
	// T10 vendor id, ASCII.
	scsi_copy_text(body + at + 4, disk->identity.vendor, sizeof(disk->identity.vendor));
	scsi_copy_text(body + at + 12, disk->identity.serial, serial);
	return at + scsi_designator(body + at, 2, 1, 8 + serial);
}

// Limits that both the answer here and the checks of the commands follow.
static uint32_t scsi_vpd_block_limits(const struct scsi_disk *disk, uint8_t *body)
{
	const struct block_device *block = disk->block;
	uint8_t *page = body - 4; // offsets below are those of SBC-3 6.5.3

	page[4] = 1; // WSNZ: WRITE SAME of 0 blocks is refused
	scsi_put16(&page[6], (uint16_t)(block->physical_block_size >> disk->block_shift));
	scsi_put32(&page[8], disk->max_transfer_blocks);
	if (scsi_has(disk, BLOCK_DEVICE_CAN_UNMAP)) {
		scsi_put32(&page[20], SCSI_UNMAP_MAX_BLOCKS);
		scsi_put32(&page[24], SCSI_UNMAP_MAX_DESCRIPTORS);
		scsi_put32(&page[28], block->unmap_granularity >> disk->block_shift);
	}
	scsi_put64(&page[36], SCSI_WRITE_SAME_MAX_BLOCKS);
	return 0x3C;
}

static uint32_t scsi_vpd_characteristics(const struct scsi_disk *disk, uint8_t *body)
{
	scsi_put16(body, 1); // not a rotating medium
	return 0x3C;
}

static uint32_t scsi_vpd_provisioning(const struct scsi_disk *disk, uint8_t *body)
{
	body[1] = 0xE0; // UNMAP, WRITE SAME (16) and (10) with UNMAP
	if (scsi_has(disk, BLOCK_DEVICE_UNMAP_ZEROES))
		body[1] |= SCSI_VPD_LBPRZ;
	body[2] = 0x02; // thin provisioned
	return 4;
}

static const struct scsi_vpd_page scsi_vpd_pages[] = {
	{ SCSI_VPD_SUPPORTED, 0, scsi_vpd_supported },
	{ SCSI_VPD_SERIAL, 0, scsi_vpd_serial },
	{ SCSI_VPD_IDENTIFICATION, 0, scsi_vpd_identification },
	{ SCSI_VPD_BLOCK_LIMITS, 0, scsi_vpd_block_limits },
	{ SCSI_VPD_CHARACTERISTICS, 0, scsi_vpd_characteristics },
	{ SCSI_VPD_PROVISIONING, BLOCK_DEVICE_CAN_UNMAP, scsi_vpd_provisioning },
};
#define SCSI_VPD_PAGES (ARRAY_SIZE(scsi_vpd_pages))

static bool scsi_vpd_present(const struct scsi_disk *disk, const struct scsi_vpd_page *page)
{
	if (page->code == SCSI_VPD_SERIAL && scsi_serial_length(disk) == 0)
		return false;
	return (disk->block->flags & page->needs) == page->needs;
}

static uint32_t scsi_vpd_supported(const struct scsi_disk *disk, uint8_t *body)
{
	uint32_t count = 0;

	for (size_t i = 0; i < SCSI_VPD_PAGES; i++)
		if (scsi_vpd_present(disk, &scsi_vpd_pages[i]))
			body[count++] = scsi_vpd_pages[i].code;
	return count;
}

static void scsi_inquiry_vpd(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint8_t code = command->cdb[2];

	for (size_t i = 0; i < SCSI_VPD_PAGES; i++) {
		const struct scsi_vpd_page *page = &scsi_vpd_pages[i];
		uint8_t data[SCSI_VPD_MAX] = { 0 };
		uint32_t length;

		if (page->code != code || !scsi_vpd_present(disk, page))
			continue;
		length = page->build(disk, data + 4);
		data[1] = code;
		scsi_put16(&data[2], (uint16_t)length);
		scsi_reply(command, data, 4 + length, scsi_get16(&command->cdb[3]));
		return;
	}
	scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
}

static void scsi_inquiry_standard(
	struct scsi_command *command, uint8_t device, const struct scsi_identity *identity)
{
	uint8_t data[SCSI_INQUIRY_STANDARD_LENGTH] = { 0 };

	data[0] = device;
	data[2] = 0x06; // SPC-4
	data[3] = 0x12; // hierarchical LUNs, this format
	data[4] = sizeof(data) - 5;
	data[7] = 0x02; // command queuing
	if (identity) {
		scsi_copy_text(&data[8], identity->vendor, sizeof(identity->vendor));
		scsi_copy_text(&data[16], identity->product, sizeof(identity->product));
		scsi_copy_text(&data[32], identity->revision, sizeof(identity->revision));
	}
	scsi_put16(&data[58], 0x00A0); // SAM-5
	scsi_put16(&data[60], 0x0460); // SPC-4
	scsi_put16(&data[62], 0x04C0); // SBC-3
	scsi_reply(command, data, sizeof(data), scsi_get16(&command->cdb[3]));
}

void scsi_inquiry_no_lun(struct scsi_command *command)
{
	if (command->cdb[1] || command->cdb[2])
		scsi_fail(command, SCSI_SENSE_NO_LUN);
	else
		scsi_inquiry_standard(command, SCSI_NO_DEVICE, NULL);
}

void scsi_inquiry(struct scsi_disk *disk, struct scsi_command *command)
{
	const bool vital = command->cdb[1] & 1;

	if ((command->cdb[1] & ~1) || (!vital && command->cdb[2]))
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
	else if (vital)
		scsi_inquiry_vpd(disk, command);
	else
		scsi_inquiry_standard(command, 0, &disk->identity);
}
