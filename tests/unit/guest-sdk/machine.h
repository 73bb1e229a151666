// SPDX-License-Identifier: BSD-2-Clause
// A machine in memory below the SDK: CPUID leaves, MSRs with a log of what is written, a TSC and a
// hypervisor that is a function of the test. What no test has set up is a #GP: the test fails.
#pragma once

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "guest-sdk/arch.h"
#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "lumen/hypercall.h"

// --- CPUID ---

void machine_set_cpuid(uint32_t leaf, struct arch_cpuid value);

// The leaves of a Hyper-V interface that offers this.
void machine_set_hyperv(uint64_t privileges, uint32_t features, uint32_t hints);

#define MACHINE_SPIN_RETRIES 16u // what its recommendations have

// --- MSRs ---

// From now on this MSR can be read and written.
void machine_set_msr(uint32_t msr, uint64_t value);
uint64_t machine_msr(uint32_t msr);

// What was written, in order.
struct machine_write {
	uint32_t msr;
	uint64_t value;
};
extern struct machine_write machine_writes[];
extern size_t machine_write_count;
void machine_forget_writes(void);

// Called before a write has its effect, if it is set; may change the value.
extern void (*machine_on_write)(uint32_t msr, uint64_t *value);
// Called before a read, if it is set.
extern void (*machine_on_read)(uint32_t msr);

// --- time, interrupts ---

extern uint64_t machine_tsc;
extern void (*machine_on_rdtsc)(void);
extern void (*machine_on_pause)(void);
extern bool machine_interrupts; // IF
extern unsigned int machine_halts;

// --- ports ---

// What was written to ports, in order.
struct machine_out {
	uint16_t port, value;
	uint8_t size;
};
#define MACHINE_OUTS 16
extern struct machine_out machine_outs[MACHINE_OUTS];
extern size_t machine_out_count;

// --- descriptor tables ---

extern uint64_t machine_gdt[8];
extern uint16_t machine_cs, machine_ss;

// --- hypercalls ---

struct machine_call {
	uint64_t control, in, out;
	struct lumen_call_registers registers; // of an XMM fast call
	bool xmm;
};

// The calls that were made, with copies of what was in registers, and of a page of memory input.
#define MACHINE_CALLS 64
extern struct machine_call machine_calls[MACHINE_CALLS];
extern uint64_t machine_input[MACHINE_CALLS][512];
extern size_t machine_call_count;

// What answers; it may write to *registers of the call and to memory at `out`.
extern uint64_t (*machine_hypervisor)(struct machine_call *call);

// --- memory ---

extern unsigned int machine_pages;	// that lumen_alloc_pages() has given and not got back
extern unsigned int machine_pages_left; // until it says NULL
