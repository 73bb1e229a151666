// SPDX-License-Identifier: BSD-2-Clause
// How functions of the SDK end, and what that means in words.
#ifndef LUMEN_STATUS_H
#define LUMEN_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall/status.h"
#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// 0 is success, 1 to 0xffff a status of the hypervisor (HV_STATUS_*, TLFS: HV_STATUS), above that
// one of the SDK's own.
typedef uint32_t lumen_status;

#define LUMEN_OK 0u

// X(name after LUMEN_, number, text)
#define LUMEN_STATUS_TABLE(X)                                                                      \
	X(NO_HYPERVISOR, 0x10001, "no hypervisor with the Hyper-V interface is there")             \
	X(NO_PRIVILEGE, 0x10002, "the partition does not have the privilege for this")             \
	X(NOT_SUPPORTED, 0x10003, "the hypervisor or the host does not offer this")                \
	X(NO_MEMORY, 0x10004, "lumen_alloc_pages() gave nothing")                                  \
	X(BAD_ARGUMENT, 0x10005, "the caller's argument is not valid")                             \
	X(BAD_STATE, 0x10006, "not now: something has to be started, opened or enabled before")    \
	X(TIMED_OUT, 0x10007, "the other side did not answer in time")                             \
	X(RESCINDED, 0x10008, "the host has taken the device away")                                \
	X(REFUSED, 0x10009, "the host said no")                                                    \
	X(BUSY, 0x1000a, "no room or no slot now: try again when something has completed")         \
	X(BAD_HOST, 0x1000b, "the host broke the protocol")                                        \
	X(CANCELLED, 0x1000c, "the request was given up")                                          \
	X(IO_ERROR, 0x1000d, "the device failed; sense data say why")                              \
	X(READ_ONLY, 0x1000e, "the device cannot be written")                                      \
	X(OUT_OF_RANGE, 0x1000f, "behind the end of the device")

enum lumen_status_code {
#define LUMEN_STATUS_ENUM(name, number, text) LUMEN_##name = number,
	LUMEN_STATUS_TABLE(LUMEN_STATUS_ENUM)
#undef LUMEN_STATUS_ENUM
};

// The name of a status as the TLFS or the table above spells it ("HV_STATUS_INVALID_ALIGNMENT",
// "LUMEN_TIMED_OUT"); "unknown status" if there is none. Any context; a constant string.
const char *lumen_status_name(lumen_status status);

// What was tried, for lumen_explain(): a hypercall code (enum hv_call_code, hypercall/table.h) or
// the number of a synthetic MSR.
#define LUMEN_CONTEXT_NONE 0xffffffffu

// Writes to `text` (always ended by a 0 byte, cut to `size` bytes) why `status` came of what
// `context` names, for the author of a kernel: which privilege the partition lacks (it looks at
// CPUID), which page or register has to be enabled first, which alignment. Any context. Returns
// text.
const char *lumen_explain(lumen_status status, uint32_t context, char *text, size_t size);

LUMEN_DECLS_END

#endif
