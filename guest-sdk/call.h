// SPDX-License-Identifier: BSD-2-Clause
// What hypercalls of all kinds share. Internal.
#ifndef GUEST_SDK_CALL_H
#define GUEST_SDK_CALL_H

#include "lumen/hypercall.h"

// The page itself.
extern const char lumen_hypercall_page[] __attribute__((visibility("hidden")));

static inline lumen_status call_status(uint64_t result)
{
	hv_status status = hv_result_status(result);

	return status == LUMEN_RESULT_NOT_ENABLED ? (lumen_status)LUMEN_BAD_STATE : status;
}

#endif
