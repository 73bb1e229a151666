// SPDX-License-Identifier: BSD-2-Clause
// Calls with their parameters in memory or in two registers.
#include "lumen/hypercall.h"

#include "guest-sdk/call.h"
#include "lumen/platform.h"

static uint64_t gpa_of(const void *block)
{
	return block ? lumen_gpa(block) : 0;
}

lumen_status lumen_hypercall(uint64_t control, const void *in, void *out)
{
	return call_status(lumen_hypercall_issue(control, gpa_of(in), gpa_of(out)));
}

lumen_status lumen_hypercall_fast(uint64_t control, uint64_t in0, uint64_t in1)
{
	return call_status(lumen_hypercall_issue(control | HV_CALL_FAST, in0, in1));
}

// TLFS: Hypercall Continuation. Most of it the hypervisor does by itself (the instruction is
// executed again); but it may also return with success when only a part is done.
lumen_status lumen_hypercall_rep(uint64_t control, const void *in, void *out, uint32_t *done)
{
	uint32_t count = hv_call_rep_count(control), at = hv_call_rep_start(control), reps;
	uint64_t result;
	lumen_status status;
	bool moved;

	do {
		result = lumen_hypercall_issue(
			hv_call_restart(control, at), gpa_of(in), gpa_of(out));
		status = call_status(result);
		reps = hv_result_reps(result);
		moved = reps > at && reps <= count;
		at = moved ? reps : at;
	} while (moved && at < count && (!status || status == HV_STATUS_TIMEOUT));

	if (done)
		*done = at;
	return !status && at < count ? (lumen_status)LUMEN_BAD_HOST : status;
}
