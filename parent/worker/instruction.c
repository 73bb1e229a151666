// SPDX-License-Identifier: BSD-2-Clause
// See instruction.h. Encodings: SDM 2A, chapter 2 and MOV, MOVZX, MOVSX (2B).
#include "parent/worker/instruction.h"

#include <string.h>

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

// Instruction bytes on their way through the decoder.
struct decoder {
	const uint8_t *bytes;
	unsigned count, at;
	bool failed;
	unsigned bits;
	bool operand_prefix, address_prefix;
	uint8_t rex; // 0 if there is none
};

// The operands of an opcode: what is known of it before its ModRM byte.
enum opcode_flags {
	KNOWN = 1,
	BYTE = 2, // memory operand of 8 bits (else of the operand size)
	WORD = 4, // memory operand of 16 bits
	STORE = 8,
	MOFFS = 16, // no ModRM: an address, and the accumulator
	IMMEDIATE = 32,
	SIGN = 64,   // MOVSX
	EXTEND = 128 // MOVZX, MOVSX: the register has the operand size
};

static const uint8_t one_byte_opcodes[256] = {
	[0x88] = KNOWN | BYTE | STORE,
	[0x89] = KNOWN | STORE,
	[0x8a] = KNOWN | BYTE,
	[0x8b] = KNOWN,
	[0xa0] = KNOWN | BYTE | MOFFS,
	[0xa1] = KNOWN | MOFFS,
	[0xa2] = KNOWN | BYTE | STORE | MOFFS,
	[0xa3] = KNOWN | STORE | MOFFS,
	[0xc6] = KNOWN | BYTE | STORE | IMMEDIATE,
	[0xc7] = KNOWN | STORE | IMMEDIATE,
};

static const uint8_t two_byte_opcodes[256] = {
	[0xb6] = KNOWN | BYTE | EXTEND,
	[0xb7] = KNOWN | WORD | EXTEND,
	[0xbe] = KNOWN | BYTE | EXTEND | SIGN,
	[0xbf] = KNOWN | WORD | EXTEND | SIGN,
};

static uint64_t take(struct decoder *decoder, unsigned size)
{
	uint64_t value = 0;

	if (size > decoder->count - decoder->at) {
		decoder->failed = true;
		return 0;
	}
	memcpy(&value, decoder->bytes + decoder->at, size);
	decoder->at += size;
	return value;
}

// Takes legacy prefixes and REX; returns the first byte of the opcode.
static uint8_t take_prefixes(struct decoder *decoder)
{
	while (!decoder->failed) {
		uint8_t byte = (uint8_t)take(decoder, 1);

		switch (byte) {
		case 0x66:
			decoder->operand_prefix = true;
			break;
		case 0x67:
			decoder->address_prefix = true;
			break;
		case 0x26: // segments: the address is known without them
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
			break;
		default:
			if (decoder->bits != 64 || (byte & 0xf0) != 0x40)
				return byte;
			decoder->rex = byte; // counts only if the opcode follows
			return (uint8_t)take(decoder, 1);
		}
	}
	return 0;
}

static unsigned operand_size(const struct decoder *decoder)
{
	if (decoder->rex & REX_W)
		return 8;
	return (decoder->bits == 16) != decoder->operand_prefix ? 2 : 4;
}

static unsigned address_size(const struct decoder *decoder)
{
	if (decoder->bits == 64)
		return decoder->address_prefix ? 4 : 8;
	return (decoder->bits == 16) != decoder->address_prefix ? 2 : 4;
}

// Takes ModRM, SIB and displacement; returns the reg field. Fails on a register operand.
static uint8_t take_modrm(struct decoder *decoder)
{
	uint8_t modrm = (uint8_t)take(decoder, 1);
	unsigned mod = modrm >> 6, rm = modrm & 7;
	bool small = address_size(decoder) == 2;
	unsigned displacement = mod == 1 ? 1 : mod == 2 ? (small ? 2 : 4) : 0;

	if (mod == 3)
		decoder->failed = true;
	if (small && mod == 0 && rm == 6)
		displacement = 2;
	if (!small && rm == 4) // SIB; base 5 without mod: no base, a displacement
		rm = take(decoder, 1) & 7;
	if (!small && mod == 0 && rm == 5)
		displacement = 4;
	take(decoder, displacement);
	return modrm >> 3 & 7;
}

static void take_operands(
	struct decoder *decoder, uint8_t flags, unsigned size, struct instruction *instruction)
{
	if (flags & MOFFS) {
		take(decoder, address_size(decoder));
		return;
	}
	instruction->reg = take_modrm(decoder);
	if (flags & IMMEDIATE) {
		// Only /0 is MOV; an immediate has at most 32 bits, sign-extended.
		unsigned length = size == 8 ? 4 : size;
		uint64_t value = take(decoder, length);

		if (instruction->reg)
			decoder->failed = true;
		instruction->value = size == 8 ? (uint64_t)(int32_t)value : value;
		return;
	}
	if (decoder->rex & REX_R)
		instruction->reg += 8;
}

bool instruction_decode(
	const uint8_t *bytes, unsigned count, unsigned bits, struct instruction *instruction)
{
	struct decoder decoder = { .bytes = bytes, .bits = bits };
	uint8_t opcode, flags;
	unsigned size;

	decoder.count = count < INSTRUCTION_MAX ? count : INSTRUCTION_MAX;
	memset(instruction, 0, sizeof(*instruction));
	opcode = take_prefixes(&decoder);
	flags = opcode == 0x0f ? two_byte_opcodes[take(&decoder, 1)] : one_byte_opcodes[opcode];
	if (decoder.failed || !(flags & KNOWN))
		return false;
	size = flags & BYTE ? 1 : flags & WORD ? 2 : operand_size(&decoder);
	take_operands(&decoder, flags, size, instruction);
	instruction->length = (uint8_t)decoder.at;
	instruction->memory_size = (uint8_t)size;
	instruction->register_size = (uint8_t)(flags & EXTEND ? operand_size(&decoder) : size);
	instruction->store = flags & STORE;
	instruction->immediate = flags & IMMEDIATE;
	instruction->sign_extend = flags & SIGN;
	// Without REX, byte registers 4 to 7 are the high bytes of 0 to 3.
	if ((flags & BYTE) && !(flags & (IMMEDIATE | EXTEND)) && !decoder.rex &&
		instruction->reg >= 4) {
		instruction->high_byte = true;
		instruction->reg -= 4;
	}
	return !decoder.failed;
}

static uint64_t mask_of(unsigned size)
{
	return size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

uint64_t instruction_load(const struct instruction *instruction, uint64_t old, uint64_t value)
{
	uint64_t mask = mask_of(instruction->register_size);
	uint64_t sign = 1ull << (instruction->memory_size * 8 - 1);

	value &= mask_of(instruction->memory_size);
	if (instruction->sign_extend && (value & sign))
		value |= ~mask_of(instruction->memory_size);
	if (instruction->high_byte)
		return (old & ~0xff00ull) | value << 8;
	// A 32-bit result clears the upper half (SDM 1, 3.4.1.1).
	if (instruction->register_size == 4)
		return value & mask;
	return (old & ~mask) | (value & mask);
}

uint64_t instruction_store(const struct instruction *instruction, uint64_t reg)
{
	if (instruction->immediate)
		return instruction->value;
	if (instruction->high_byte)
		reg >>= 8;
	return reg & mask_of(instruction->memory_size);
}
