// SPDX-License-Identifier: BSD-2-Clause
// XMM fast calls (TLFS: XMM Fast Hypercall Input, Output).
#include "lumen/hypercall.h"

#include "guest-sdk/call.h"
#include "lumen/detect.h"

#define CHUNK 16u // output starts at a multiple of it

static bool is_offered(size_t in_bytes, size_t out_bytes)
{
	return (in_bytes <= HV_CALL_FAST_BYTES ||
		       lumen_has_features(HV_FEATURE_EDX_XMM_FAST_INPUT)) &&
	       (!out_bytes || lumen_has_features(HV_FEATURE_EDX_XMM_FAST_OUTPUT));
}

lumen_status lumen_hypercall_xmm(
	uint64_t control, const void *in, size_t in_bytes, void *out, size_t out_bytes)
{
	struct lumen_call_registers registers = { { 0 } };
	size_t out_at = (in_bytes + CHUNK - 1) & ~(size_t)(CHUNK - 1);
	lumen_status status;

	if (in_bytes > sizeof(registers) || out_bytes > sizeof(registers) - out_at)
		return LUMEN_BAD_ARGUMENT;
	if (!is_offered(in_bytes, out_bytes))
		return LUMEN_NOT_SUPPORTED;
	__builtin_memcpy(registers.word, in, in_bytes);
	status = call_status(lumen_hypercall_issue_xmm(control | HV_CALL_FAST, &registers));
	if (!status && out_bytes)
		__builtin_memcpy(out, (const char *)registers.word + out_at, out_bytes);
	return status;
}
