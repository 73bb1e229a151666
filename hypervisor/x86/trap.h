// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's own IDT and GDT.
#pragma once

#include "hypervisor/core/lib.h"

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};

void trap_init(void); // on each processor
void irq_note(unsigned int vector); // irq.c

// The three pages at start of 256 entry stubs of 16 bytes each (trap.S).
extern char trap_entries[];
