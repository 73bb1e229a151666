// SPDX-License-Identifier: BSD-2-Clause
// SCSI numbers that the disk target uses: operation codes, status, sense (SAM-5, SPC-4, SBC-3).
#ifndef LUMEN_DRIVERS_VSP_SCSI_DEFS_H
#define LUMEN_DRIVERS_VSP_SCSI_DEFS_H

enum scsi_operation {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_READ_6 = 0x08,
	SCSI_WRITE_6 = 0x0A,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SENSE_6 = 0x1A,
	SCSI_START_STOP_UNIT = 0x1B,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2A,
	SCSI_VERIFY_10 = 0x2F,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_WRITE_SAME_10 = 0x41,
	SCSI_UNMAP = 0x42,
	SCSI_MODE_SENSE_10 = 0x5A,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8A,
	SCSI_VERIFY_16 = 0x8F,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_WRITE_SAME_16 = 0x93,
	SCSI_SERVICE_ACTION_IN_16 = 0x9E,
	SCSI_REPORT_LUNS = 0xA0,
	SCSI_READ_12 = 0xA8,
	SCSI_WRITE_12 = 0xAA,
	SCSI_VERIFY_12 = 0xAF,
};

// SCSI_SERVICE_ACTION_IN_16, byte 1 bits 4:0.
#define SCSI_SAI_READ_CAPACITY_16 0x10u

enum scsi_status {
	SCSI_STATUS_GOOD = 0x00,
	SCSI_STATUS_CHECK_CONDITION = 0x02,
	SCSI_STATUS_BUSY = 0x08,
};

// Sense key << 16 | additional sense code << 8 | qualifier.
enum scsi_sense {
	SCSI_SENSE_NONE = 0x000000,
	SCSI_SENSE_NOT_READY = 0x023A00,	     // medium not present
	SCSI_SENSE_READ_ERROR = 0x031100,	     // medium error, unrecovered read error
	SCSI_SENSE_WRITE_ERROR = 0x030C00,	     // medium error, write error
	SCSI_SENSE_PARAMETER_LIST_LENGTH = 0x051A00, // parameter list length error
	SCSI_SENSE_INVALID_OPERATION = 0x052000,     // invalid command operation code
	SCSI_SENSE_LBA_OUT_OF_RANGE = 0x052100,
	SCSI_SENSE_INVALID_FIELD = 0x052400,	  // invalid field in CDB
	SCSI_SENSE_NO_LUN = 0x052500,		  // logical unit not supported
	SCSI_SENSE_INVALID_PARAMETER = 0x052600,  // invalid field in parameter list
	SCSI_SENSE_SAVING_UNSUPPORTED = 0x053900, // saving parameters not supported
	SCSI_SENSE_WRITE_PROTECTED = 0x072700,
	SCSI_SENSE_NO_SPACE = 0x072707, // space allocation failed write protect
	SCSI_SENSE_ABORTED = 0x0B0000,
};

#endif
