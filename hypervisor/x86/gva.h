// SPDX-License-Identifier: BSD-2-Clause
// Walks a VP's own page tables (none, 32-bit, PAE, 4 and 5 levels) as its processor would.
#pragma once

#include "hypervisor/core/guest_mem.h"

enum gva_access { // bits
	GVA_READ = 0,
	GVA_WRITE = 1,
	GVA_EXECUTE = 2,
	GVA_USER = 4, // as user mode; else as the supervisor
};

enum gva_result { GVA_OK, GVA_NOT_PRESENT, GVA_PROTECTION, GVA_RESERVED_BITS, GVA_UNMAPPED_GPA };

// Translates GVA (a linear address) of VP (own or paused). Does not set accessed or dirty bits.
// *GPA: the physical address.
enum gva_result gva_translate(struct vp *vp, uint64_t gva, unsigned int access, gpa_t *gpa);

// Reads up to MAX bytes of the instruction at CS:RIP; returns how many could be read.
unsigned int gva_fetch(struct vp *vp, uint8_t *bytes, unsigned int max);

// The length of the instruction at CS:RIP: one of two opcode bytes, 0F first, and nothing behind
// them but perhaps prefixes before.
unsigned int gva_two_byte_length(struct vp *vp);

// Fetches and decodes the instruction at CS:RIP. False: it cannot be read, or is none that the
// decoder knows.
struct insn;
bool gva_fetch_insn(struct vp *vp, struct insn *insn);
