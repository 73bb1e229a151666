// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls (TLFS: Hypercall Interface). The hypercall page is one page of the kernel's own .text
// (aligned, never written by the kernel), so W^X kernels need do nothing about it.
//
// Parameters in memory have to be aligned to 8 bytes and may not cross a page, for the hypervisor
// and so here. LUMEN_CALL_BLOCK on a variable sees to it for anything up to 256 bytes:
//
//	LUMEN_CALL_BLOCK struct hv_input_post_message input = { ... };
//	status = lumen_hypercall(HvCallPostMessage, &input, NULL);
//
// <lumen/calls.h> has a typed wrapper for each call, made from the hypercall table.
#ifndef LUMEN_HYPERCALL_H
#define LUMEN_HYPERCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall/call.h"
#include "hypercall/msr.h"
#include "hypercall/table.h"
#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

#define LUMEN_CALL_BLOCK _Alignas(256)

// The guest OS id that kernels without one of their own use: open source, type and version given
// (TLFS: Guest OS Identity). `version` is 32 bits, `build` 16.
#define LUMEN_GUEST_OS_ID(version, build)                                                          \
	(HV_GUEST_OS_ID_OPEN_SOURCE |                                                              \
		HV_GUEST_OS_ID_OS_TYPE_LUMEN << HV_GUEST_OS_ID_OS_TYPE_SHIFT |                     \
		(uint64_t)(uint32_t)(version) << HV_GUEST_OS_ID_VERSION_SHIFT | (uint16_t)(build))

// Tells the hypervisor who the guest is (0: LUMEN_GUEST_OS_ID(0, 1)) and puts the hypercall page in
// its place. Once for the whole partition, on any VP, before anything that makes hypercalls; any
// context. A second call with the page in place changes nothing. LUMEN_NO_HYPERVISOR,
// LUMEN_NO_PRIVILEGE (AccessHypercallMsrs), LUMEN_REFUSED (the hypervisor did not enable it, or
// somebody has locked the page elsewhere).
lumen_status lumen_hypercall_enable(uint64_t guest_os_id);

// Takes the page away and the identity back, as before a kexec; no call follows (KVM leaves its
// code in the page). No other VP may be in a hypercall. LUMEN_REFUSED: the page is locked.
lumen_status lumen_hypercall_disable(void);

// Locks the page where it is until the partition is reset (TLFS: Establishing the Hypercall
// Interface; HV_FEATURE_EDX_HYPERCALL_MSR_LOCK). LUMEN_NOT_SUPPORTED, LUMEN_BAD_STATE.
lumen_status lumen_hypercall_lock(void);

// One call as it is, with nothing checked and nothing repeated: `control` is the control word
// (hypercall/call.h), `in` and `out` are GPAs, or the parameters themselves with HV_CALL_FAST.
// Returns the result value. Before lumen_hypercall_enable() this is LUMEN_RESULT_NOT_ENABLED, and
// nothing happens. Any context.
uint64_t lumen_hypercall_issue(uint64_t control, uint64_t in, uint64_t out);

// A status that no hypervisor has; the functions below turn it into LUMEN_BAD_STATE.
#define LUMEN_RESULT_NOT_ENABLED 0xffffull

// A simple call with its parameters in memory. `control` is a call code, or hv_call_control() with
// the size of a variable header; `in` and `out`: see above; NULL: the call has none. Any context.
// HV_STATUS_*, LUMEN_BAD_STATE (hypercalls are not enabled).
lumen_status lumen_hypercall(uint64_t control, const void *in, void *out);

// A simple call whose input (up to 16 bytes, padded with zeroes) is in registers; it has no output.
// For calls whose row in the table says fast. Any context; the same errors.
lumen_status lumen_hypercall_fast(uint64_t control, uint64_t in0, uint64_t in1);

// A rep call, issued again until all of its elements are done: `control` with the rep count, the
// start index and the size of the variable header; the list follows the header(s) in `in` (and in
// `out`). *done, if it is not NULL, is the number of elements that are done when this returns,
// those before the start index included; with success that is all. LUMEN_BAD_HOST: no progress.
lumen_status lumen_hypercall_rep(uint64_t control, const void *in, void *out, uint32_t *done);

// --- XMM fast calls (TLFS: XMM Fast Hypercall Input, Output) ---

// RDX, R8 and XMM0 to XMM5, in this order.
struct lumen_call_registers {
	uint64_t word[HV_CALL_FAST_XMM_BYTES / 8];
};

// One fast call with all registers, as it is: loads them from *registers and stores them back. The
// kernel's own XMM registers are saved around it; SSE has to be enabled (CR4.OSFXSR set, CR0.TS and
// CR0.EM clear). Returns the result value.
uint64_t lumen_hypercall_issue_xmm(uint64_t control, struct lumen_call_registers *registers);

// A simple call with up to 112 bytes of input and output in registers; neither buffer has to be
// aligned. Output starts at the next multiple of 16 after the input. LUMEN_NOT_SUPPORTED: the
// hypervisor does not take input (or return output) of that size in this way: use memory;
// LUMEN_BAD_ARGUMENT: it does not fit.
lumen_status lumen_hypercall_xmm(
	uint64_t control, const void *in, size_t in_bytes, void *out, size_t out_bytes);

LUMEN_DECLS_END

#endif
