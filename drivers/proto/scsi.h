// SPDX-License-Identifier: BSD-2-Clause
// SCSI numbers of disks (SAM-5, SPC-4, SBC-3), for both ends.
#ifndef LUMEN_DRIVERS_PROTO_SCSI_H
#define LUMEN_DRIVERS_PROTO_SCSI_H

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

// Bits of commands: byte 1 but where it is said.
#define SCSI_CDB_PROTECT      0xE0u // READ, WRITE: protection information
#define SCSI_CDB_FUA	      0x08u // READ, WRITE: from and to the medium
#define SCSI_CDB_BYTCHK	      0x06u // VERIFY
#define SCSI_CDB_ANCHOR_UNMAP 0x01u // UNMAP
#define SCSI_CDB_UNMAP	      0x08u // WRITE SAME
#define SCSI_CDB_NDOB	      0x01u // WRITE SAME (16): no data-out buffer, zeroes
#define SCSI_CDB_DBD	      0x08u // MODE SENSE: no block descriptor
#define SCSI_CDB_EVPD	      0x01u // INQUIRY: vital product data

// Pages of vital product data.
enum scsi_vpd {
	SCSI_VPD_SUPPORTED = 0x00,
	SCSI_VPD_SERIAL = 0x80,
	SCSI_VPD_IDENTIFICATION = 0x83,
	SCSI_VPD_BLOCK_LIMITS = 0xB0,
	SCSI_VPD_CHARACTERISTICS = 0xB1,
	SCSI_VPD_PROVISIONING = 0xB2,
};
#define SCSI_VPD_LBPU  0x80u // SCSI_VPD_PROVISIONING, byte 5: UNMAP
#define SCSI_VPD_LBPRZ 0x04u // the same: what is unmapped reads as zeroes

// Mode pages.
enum scsi_mode {
	SCSI_MODE_CACHING = 0x08,
	SCSI_MODE_CONTROL = 0x0A,
	SCSI_MODE_EXCEPTIONS = 0x1C,
	SCSI_MODE_ALL_PAGES = 0x3F,
};
#define SCSI_MODE_ALL_SUBPAGES 0xFFu
#define SCSI_MODE_WP	       0x80u // header, device-specific parameter: write protected
#define SCSI_MODE_WCE	       0x04u // SCSI_MODE_CACHING, byte 2: write cache

enum scsi_status {
	SCSI_STATUS_GOOD = 0x00,
	SCSI_STATUS_CHECK_CONDITION = 0x02,
	SCSI_STATUS_BUSY = 0x08,
	SCSI_STATUS_TASK_SET_FULL = 0x28,
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

// How sense data begins (byte 0, bits 6:1): current or deferred, in the fixed or the descriptor
// format.
#define SCSI_SENSE_FORMAT     0x7Eu
#define SCSI_SENSE_FIXED      0x70u
#define SCSI_SENSE_DESCRIPTOR 0x72u

#endif
