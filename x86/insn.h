// SPDX-License-Identifier: BSD-2-Clause
// Just enough of an x86 decoder: the instructions by which guests reach device registers in memory,
// and MOV to control registers. Pure: bytes in, facts out, with and without an OS.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { INSN_LENGTH_MAX = 15 }; // bytes; APM3 1.1

enum insn_kind {
	INSN_LOAD,	// memory -> register (MOV, MOVZX, MOVSX, MOVSXD)
	INSN_STORE,	// register -> memory
	INSN_STORE_IMM, // immediate -> memory
	INSN_XCHG,	// register <-> memory
	INSN_ALU,	// memory and a register or an immediate, flags
	INSN_MOV_CR,	// register -> control register
};

// The first eight in the encoding's order.
enum insn_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };

struct insn {
	enum insn_kind kind;
	enum insn_alu alu;
	uint8_t length;
	uint8_t size;	   // operand bytes in memory: 1, 2, 4, 8
	uint8_t dest_size; // register bytes written
	bool memory;	   // one operand is memory (else ModRM names two registers)
	bool sign_extend;
	uint8_t reg;	 // 0..15
	uint8_t control; // INSN_MOV_CR: the number of the control register
	bool high_byte;	 // reg 0..3 means AH, CH, DH, BH
	bool has_imm;	 // the other operand is imm
	bool to_reg;	 // INSN_ALU: the register is the destination
	uint64_t imm;	 // sign-extended
};

// MODE_BITS is 16, 32 or 64 (code segment's default). False: not decodable from these bytes.
bool insn_decode(
	const uint8_t *bytes, unsigned int count, unsigned int mode_bits, struct insn *insn);

// The register operand of dest_size bytes among GPR[16] (encoding order), zero-extended. Writing 4
// bytes clears the upper half, as the processor does.
uint64_t insn_get_reg(const struct insn *insn, const uint64_t *gpr);
void insn_set_reg(const struct insn *insn, uint64_t *gpr, uint64_t value);

// What INSN_LOAD writes to its register for VALUE read from memory.
uint64_t insn_extend(const struct insn *insn, uint64_t value);

// A op B on SIZE bytes; updates the six arithmetic flags in *RFLAGS. For CMP and TEST the result is
// A (nothing to write).
uint64_t insn_alu(enum insn_alu op, uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags);
