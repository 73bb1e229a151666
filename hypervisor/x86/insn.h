// SPDX-License-Identifier: BSD-2-Clause
// Just enough of an x86 decoder: the length of what exits, and the moves that reach the xAPIC page.
#pragma once

#include "hypervisor/core/lib.h"

enum insn_kind {
	INSN_OTHER,    // known length, nothing else
	INSN_LOAD,     // memory -> register (MOV, MOVZX, MOVSX)
	INSN_STORE,    // register -> memory
	INSN_STORE_IMM,// immediate -> memory
	INSN_MOV_CR8,  // register -> CR8
	// (more as needed: AND/OR/XOR/TEST/CMP/XCHG with memory)
};

struct insn {
	enum insn_kind kind;
	uint8_t length;
	uint8_t size;	  // operand bytes in memory: 1, 2, 4, 8
	uint8_t dest_size;// register bytes written
	bool sign_extend;
	uint8_t reg;	  // 0..15
	bool high_byte;	  // AH, CH, DH, BH
	uint64_t imm;
};

// MODE_BITS is 16, 32 or 64 (code segment's default). False: not decodable from these bytes.
bool insn_decode(const uint8_t *bytes, unsigned int count, unsigned int mode_bits, struct insn *insn);
