// SPDX-License-Identifier: BSD-2-Clause
// The instructions with which drivers access device registers in memory, of those that x86/insn.h
// decodes: the MOV family. Portable.
#ifndef WORKER_INSTRUCTION_H
#define WORKER_INSTRUCTION_H

#include "x86/insn.h"

struct instruction {
	uint8_t length;	       // of the instruction, in bytes
	uint8_t memory_size;   // bytes in memory: 1, 2, 4 or 8
	uint8_t register_size; // bytes of the register that a load replaces: 1, 2, 4 or 8
	uint8_t reg;	       // 0 (RAX) to 15 (R15); not with an immediate
	bool store;	       // to memory
	bool immediate;	       // a store of a constant
	struct insn insn;      // all of it, on register 0: the callers have only the one
};

// Decodes the instruction in `bytes`, of which `count` are there, for a code segment of `bits` (16,
// 32 or 64). Returns false if it is none of ours or not all of it is there.
bool instruction_decode(
	const uint8_t *bytes, unsigned count, unsigned bits, struct instruction *instruction);

// What a load leaves in its 64-bit register: `old` with the memory's `value` in it.
uint64_t instruction_load(const struct instruction *instruction, uint64_t old, uint64_t value);

// What a store writes: its immediate, or what it takes from its 64-bit register `reg`.
uint64_t instruction_store(const struct instruction *instruction, uint64_t reg);

#endif
