// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's trace ring, Lumen's own: a header page, then entries, which the root reads as
// they are (/dev/mshv-trace). The writers do not wait for readers: an entry may be overwritten
// while it is read.
#ifndef HYPERCALL_LUMEN_TRACE_H
#define HYPERCALL_LUMEN_TRACE_H

#include "hypercall/types.h"

// X(number, name, text, what a is, what b is). Numbers are stable: a new event gets a new one,
// below LUMEN_TRACE_EVENT_MAX. "-": not used.
#define LUMEN_TRACE_EVENTS(X)                                                                      \
	X(1, VP_EXIT, "vp_exit", "code", "rip")                                                    \
	X(2, HYPERCALL, "hypercall", "control", "result")                                          \
	X(3, INJECT, "inject", "vector", "kind")                                                   \
	X(4, MESSAGE, "message", "sint", "type")                                                   \
	X(5, EVENT_FLAG, "event_flag", "sint", "flag")                                             \
	X(6, IPI, "ipi", "target", "vector")                                                       \
	X(7, SCHED_IN, "sched_in", "-", "-")                                                       \
	X(8, SCHED_OUT, "sched_out", "reason", "-")                                                \
	X(9, TIMER, "timer", "timer", "time_100ns")                                                \
	X(10, INTERCEPT, "intercept", "type", "rip")                                               \
	X(11, PORT, "port", "connection", "status")                                                \
	X(12, DEPOSIT, "deposit", "partition", "pages")                                            \
	X(13, PARTITION, "partition", "partition", "state")                                        \
	X(14, INTERRUPT, "interrupt", "vector", "-")                                               \
	X(15, VP_STATE, "vp_state", "old", "new")                                                  \
	X(16, TLB_FLUSH, "tlb_flush", "pages", "-")                                                \
	X(17, GPA_MAP, "gpa_map", "gpa_page", "pages")

#define LUMEN_TRACE_EVENT_MAX 32

enum lumen_trace_event {
#define X(number, name, text, a, b) LUMEN_TRACE_##name = number,
	LUMEN_TRACE_EVENTS(X)
#undef X
};

#define LUMEN_TRACE_MAGIC	0x4352544cu // "LTRC"
#define LUMEN_TRACE_VERSION	1
#define LUMEN_TRACE_HEADER_SIZE 4096 // the entries begin here

struct lumen_trace_header {
	uint32_t magic;
	uint32_t version;
	uint32_t entry_bytes; // sizeof(struct lumen_trace_entry)
	uint32_t entries;     // of the ring, a power of two
	uint64_t next;	      // entries written since the start; the next is number next % entries
	uint64_t tsc_hz;
};
HV_ASSERT_SIZE(struct lumen_trace_header, 32);
HV_ASSERT_OFFSET(struct lumen_trace_header, next, 16);

struct lumen_trace_entry {
	uint64_t tsc;	// 0: never written
	uint16_t event; // enum lumen_trace_event
	uint16_t cpu;	// the physical processor
	uint32_t vp;	// partition id << 16 | VP index; 0: none
	uint64_t a;
	uint64_t b;
};
HV_ASSERT_SIZE(struct lumen_trace_entry, 32);
HV_ASSERT_OFFSET(struct lumen_trace_entry, vp, 12);

#define LUMEN_TRACE_NO_VP 0 // there is no partition 0

#endif
