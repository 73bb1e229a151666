// SPDX-License-Identifier: BSD-2-Clause
// The instructions with which drivers access device registers in memory, of those that x86/insn.h
// decodes: INSN_LOAD, INSN_STORE and INSN_STORE_IMM. Portable.
#pragma once

#include "x86/insn.h"

// Decodes the instruction in `bytes`, of which `count` are there, for a code segment of `bits` (16,
// 32 or 64). Returns false if it is none of ours or not all of it is there.
bool instruction_decode(
	const uint8_t *bytes, unsigned count, unsigned bits, struct insn *instruction);

// What a load leaves in its 64-bit register: `old` with the memory's `value` in it.
uint64_t instruction_load(const struct insn *instruction, uint64_t old, uint64_t value);

// What a store writes: its immediate, or what it takes from its 64-bit register `reg`.
uint64_t instruction_store(const struct insn *instruction, uint64_t reg);
