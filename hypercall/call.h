// SPDX-License-Identifier: BSD-2-Clause
// The hypercall input value (control word) and result value (TLFS: Hypercall Interface).
#ifndef HYPERCALL_CALL_H
#define HYPERCALL_CALL_H

#include "hypercall/types.h"

// Input value.
#define HV_CALL_CODE_MASK	      0xffffull
#define HV_CALL_FAST		      (1ull << 16) // parameters are in registers
#define HV_CALL_VARIABLE_HEADER_SHIFT 17	   // size in 8-byte units
#define HV_CALL_VARIABLE_HEADER_MASK  (0x3ffull << HV_CALL_VARIABLE_HEADER_SHIFT)
#define HV_CALL_NESTED		      (1ull << 31)
#define HV_CALL_REP_COUNT_SHIFT	      32
#define HV_CALL_REP_COUNT_MASK	      (0xfffull << HV_CALL_REP_COUNT_SHIFT)
#define HV_CALL_REP_START_SHIFT	      48
#define HV_CALL_REP_START_MASK	      (0xfffull << HV_CALL_REP_START_SHIFT)
#define HV_CALL_RSVD_MASK	      0xf000f00078000000ull // must be zero: 63:60, 47:44, 30:27
#define HV_CALL_REP_MAX		      0xfff

HV_ASSERT((HV_CALL_CODE_MASK | HV_CALL_FAST | HV_CALL_VARIABLE_HEADER_MASK | HV_CALL_NESTED |
		  HV_CALL_REP_COUNT_MASK | HV_CALL_REP_START_MASK) == ~HV_CALL_RSVD_MASK,
	"the fields of the input value and its reserved bits make up the whole");

// Result value.
#define HV_RESULT_STATUS_MASK 0xffffull
#define HV_RESULT_REPS_SHIFT  32
#define HV_RESULT_REPS_MASK   (0xfffull << HV_RESULT_REPS_SHIFT)

// TLFS: Hypercall Inputs, Hypercall Outputs.
#define HV_CALL_ALIGNMENT	    8	 // of the GPAs of input and output
#define HV_CALL_FAST_BYTES	    16	 // RDX, R8
#define HV_CALL_FAST_XMM_REGISTERS  6	 // XMM0..5
#define HV_CALL_FAST_XMM_BYTES	    112	 // RDX, R8, XMM0..5
#define HV_CALL_PAGE_CODE_BYTES_MAX 4096 // the whole hypercall page is code

// The input value of a call: VARIABLE_8 is the size of its variable header in units of 8 bytes.
static inline uint64_t hv_call_control(
	uint16_t code, uint32_t variable_8, uint32_t rep_count, uint32_t rep_start)
{
	return code | (uint64_t)variable_8 << HV_CALL_VARIABLE_HEADER_SHIFT |
	       (uint64_t)rep_count << HV_CALL_REP_COUNT_SHIFT |
	       (uint64_t)rep_start << HV_CALL_REP_START_SHIFT;
}

static inline uint16_t hv_call_code(uint64_t control)
{
	return control & HV_CALL_CODE_MASK;
}

static inline bool hv_call_is_fast(uint64_t control)
{
	return control & HV_CALL_FAST;
}

// The variable header's size in bytes.
static inline uint32_t hv_call_variable_bytes(uint64_t control)
{
	return (control & HV_CALL_VARIABLE_HEADER_MASK) >> HV_CALL_VARIABLE_HEADER_SHIFT << 3;
}

static inline uint32_t hv_call_rep_count(uint64_t control)
{
	return (control & HV_CALL_REP_COUNT_MASK) >> HV_CALL_REP_COUNT_SHIFT;
}

static inline uint32_t hv_call_rep_start(uint64_t control)
{
	return (control & HV_CALL_REP_START_MASK) >> HV_CALL_REP_START_SHIFT;
}

// CONTROL with another start index: what a continued rep call is issued again with.
static inline uint64_t hv_call_restart(uint64_t control, uint32_t rep_start)
{
	return (control & ~HV_CALL_REP_START_MASK) |
	       ((uint64_t)rep_start << HV_CALL_REP_START_SHIFT & HV_CALL_REP_START_MASK);
}

// REPS counts from the start of the list, those before the call's start index included.
static inline uint64_t hv_result(hv_status status, uint32_t reps)
{
	return status | ((uint64_t)reps << HV_RESULT_REPS_SHIFT & HV_RESULT_REPS_MASK);
}

static inline hv_status hv_result_status(uint64_t result)
{
	return result & HV_RESULT_STATUS_MASK;
}

static inline uint32_t hv_result_reps(uint64_t result)
{
	return (result & HV_RESULT_REPS_MASK) >> HV_RESULT_REPS_SHIFT;
}

#endif
