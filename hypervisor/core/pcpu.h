// SPDX-License-Identifier: BSD-2-Clause
// What each physical processor has of its own. Found at the base of its stack, so that no segment
// register is needed: the guest's FS, GS, TR and LDTR stay loaded while the hypervisor runs.
#pragma once

#include "hypervisor/core/grace.h"
#include "hypervisor/core/sched.h"
#include "hypervisor/core/timer.h"

#define PCPU_STACK_SIZE 16384ul // aligned to its size

struct pcpu {
	uint32_t index, apic_id;
	bool online;
	struct vp *loaded;	 // whose vendor state and extended registers this processor holds
	uint64_t predictions_of; // the partition whose VP was loaded last, by id
	struct run_queue run_queue;
	struct timer_queue timers;
	// What the run loop has to look at before it enters a guest: one word, so one test.
	union {
		struct {
			bool timers_changed; // a timer was armed, or the local APIC timer fired
			bool reschedule;     // somebody was queued, or the slice is over
			bool irq_pending;    // interrupts[] is not empty
			bool rsvd;
		};
		uint32_t attention;
	};
	// Odd while in a guest or idle: then nothing that was looked up is in use here, and others
	// must kick to be noticed.
	uint64_t guest_seq; // atomic
	bool quiescing;	    // in quiesce_wait(): uses no lookups either
	bool idle;
	bool unload; // vp_pause() waits for cpu->loaded to be saved

	void *hypercall_input, *hypercall_output; // a page each, private copies
	void *arch;				  // the backend's per-processor area, two pages
	void *stack;				  // lowest address
	uint64_t interrupts[4]; // vectors that arrived and wait for irq_dispatch()
};

extern struct pcpu *pcpus[PCPU_MAX];
extern uint32_t pcpu_count;

static inline struct pcpu *this_cpu(void)
{
	uint64_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return *(struct pcpu **)(sp & ~(PCPU_STACK_SIZE - 1));
}

// Sends a processor the "look again" interrupt.
void pcpu_kick(struct pcpu *cpu);
