// SPDX-License-Identifier: BSD-2-Clause
// A piece of memory that a device's host reads or writes.
#ifndef LUMEN_SEGMENT_H
#define LUMEN_SEGMENT_H

#include <stdint.h>

#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// Where it lies: in the kernel's memory, or in consecutive guest physical memory.
struct lumen_segment {
	union {			    // each page of it goes through lumen_gpa(); NULL: `gpa` is used
		void *data;	    // that the host writes to, or reads
		const void *source; // that the host only reads
	};
	uint64_t gpa;
	uint32_t length; // bytes, not 0
};

LUMEN_DECLS_END

#endif
