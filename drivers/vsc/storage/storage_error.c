// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: what a command's status and sense data mean.
#include "drivers/vsc/storage/storage_internal.h"

#define STORAGE_SRB_STATUS(status) ((status)&0x3Fu)

uint32_t lumen_request_sense(const struct lumen_request *request)
{
	const uint8_t *sense = request->sense;

	// SPC-4 4.5.2 and 4.5.3: descriptor and fixed format.
	if (request->sense_length >= 4 && (sense[0] & SCSI_SENSE_FORMAT) == SCSI_SENSE_DESCRIPTOR)
		return (uint32_t)(sense[1] & 15) << 16 | (uint32_t)sense[2] << 8 | sense[3];
	if (request->sense_length >= 14 && (sense[0] & SCSI_SENSE_FORMAT) == SCSI_SENSE_FIXED)
		return (uint32_t)(sense[2] & 15) << 16 | (uint32_t)sense[12] << 8 | sense[13];
	return 0;
}

static lumen_status storage_sense_status(uint32_t sense)
{
	switch (sense) {
	case SCSI_SENSE_LBA_OUT_OF_RANGE:
		return LUMEN_OUT_OF_RANGE;
	case SCSI_SENSE_WRITE_PROTECTED:
		return LUMEN_READ_ONLY;
	default:
		return LUMEN_IO_ERROR;
	}
}

static lumen_status storage_error_status(
	const struct lumen_request *request, const struct vmscsi_request *srb, bool short_transfer)
{
	switch (STORAGE_SRB_STATUS(srb->srb_status)) {
	case VSTOR_SRB_STATUS_BUSY:
		return LUMEN_BUSY;
	case VSTOR_SRB_STATUS_INVALID_LUN:
		return LUMEN_RESCINDED;
	case VSTOR_SRB_STATUS_DATA_OVERRUN: // said of answers that are shorter than the buffer
		if (request->operation == LUMEN_SCSI && srb->scsi_status == 0)
			return LUMEN_OK;
		break;
	case VSTOR_SRB_STATUS_SUCCESS:
		if (srb->scsi_status == 0 && !short_transfer)
			return LUMEN_OK; // flags only
		break;
	}
	if (srb->scsi_status == SCSI_STATUS_BUSY || srb->scsi_status == SCSI_STATUS_TASK_SET_FULL)
		return LUMEN_BUSY;
	return storage_sense_status(lumen_request_sense(request));
}

void storage_note_error(
	struct lumen_request *request, const struct vmscsi_request *srb, bool short_transfer)
{
	if (request->status != LUMEN_OK)
		return; // what went wrong first counts
	request->srb_status = srb->srb_status;
	request->scsi_status = srb->scsi_status;
	if (srb->srb_status & VSTOR_SRB_STATUS_AUTOSENSE_VALID) {
		request->sense_length = srb->sense_info_length;
		memcpy(request->sense, srb->sense_data, srb->sense_info_length);
	}
	request->status = storage_error_status(request, srb, short_transfer);
}
