// SPDX-License-Identifier: BSD-2-Clause
// See instruction.h.
#include "parent/worker/instruction.h"

// The worker is linked from one list of its own files.
#include "x86/insn.c" // NOLINT(bugprone-suspicious-include)

bool instruction_decode(
	const uint8_t *bytes, unsigned count, unsigned bits, struct instruction *instruction)
{
	struct insn insn;

	if (!insn_decode(bytes, count, bits, &insn) || !insn.memory ||
		(insn.kind != INSN_LOAD && insn.kind != INSN_STORE && insn.kind != INSN_STORE_IMM))
		return false;
	*instruction = (struct instruction){
		.length = insn.length,
		.memory_size = insn.size,
		.register_size = insn.dest_size,
		.reg = insn.reg,
		.store = insn.kind != INSN_LOAD,
		.immediate = insn.kind == INSN_STORE_IMM,
		.insn = insn,
	};
	instruction->insn.reg = 0;
	return true;
}

uint64_t instruction_load(const struct instruction *instruction, uint64_t old, uint64_t value)
{
	insn_set_reg(&instruction->insn, &old, insn_extend(&instruction->insn, value));
	return old;
}

uint64_t instruction_store(const struct instruction *instruction, uint64_t reg)
{
	const struct insn *insn = &instruction->insn;
	unsigned unused_bits = 64 - insn->size * 8;

	return instruction->immediate ? insn->imm << unused_bits >> unused_bits
				      : insn_get_reg(insn, &reg);
}
