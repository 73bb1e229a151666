// SPDX-License-Identifier: BSD-2-Clause
// See instruction.h.
#include "parent/worker/instruction.h"

bool instruction_decode(
	const uint8_t *bytes, unsigned count, unsigned bits, struct insn *instruction)
{
	return insn_decode(bytes, count, bits, instruction) && instruction->memory &&
	       (instruction->kind == INSN_LOAD || instruction->kind == INSN_STORE ||
		       instruction->kind == INSN_STORE_IMM);
}

// For the decoder's functions, which want all registers: the caller has read one.
static struct insn on_first_register(const struct insn *instruction)
{
	struct insn first = *instruction;

	first.reg = 0;
	return first;
}

uint64_t instruction_load(const struct insn *instruction, uint64_t old, uint64_t value)
{
	const struct insn insn = on_first_register(instruction);

	insn_set_reg(&insn, &old, insn_extend(&insn, value));
	return old;
}

uint64_t instruction_store(const struct insn *instruction, uint64_t reg)
{
	const struct insn insn = on_first_register(instruction);
	const unsigned unused_bits = 64 - insn.size * 8;

	return insn.kind == INSN_STORE_IMM ? insn.imm << unused_bits >> unused_bits
					   : insn_get_reg(&insn, &reg);
}
