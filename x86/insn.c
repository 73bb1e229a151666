// SPDX-License-Identifier: BSD-2-Clause
// The instruction decoder (APM3 chapter 1 and appendix A). Bytes are the guest's: every read is
// checked against their count.
#include "x86/insn.h"

#include <stddef.h>

#include "base/macros.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

struct cursor {
	const uint8_t *bytes;
	unsigned int count, at;
	unsigned int mode_bits;
	bool operand_prefix, address_prefix, lock;
	uint8_t rex;
	uint8_t modrm;
};

enum { // struct opcode.flags
	MODRM = 1,
	IMM = 2,     // of the operand's size, at most 4 bytes
	IMM8 = 4,    // one byte
	MOFFS = 8,   // an address of the address size; the register is rAX
	BYTE = 16,   // bit 0 of the opcode clear: byte operand
	SIGN = 32,   // sign-extends
	LONG = 64,   // in 64-bit mode only
	GROUP = 128, // ModRM.reg is the operation
};

struct opcode {
	uint16_t bits, mask; // of the opcode; 0x100: after 0F
	uint8_t kind;	     // enum insn_kind
	uint8_t flags;
	uint8_t size;	    // operand bytes in memory; 0: as the register's
	uint8_t alu;	    // enum insn_alu
	uint8_t extensions; // ModRM.reg must be less; 0: may be anything
};

static const struct opcode opcodes[] = {
	{ 0x000, 0x1c4, INSN_ALU, MODRM | BYTE, 0, 0, 0 }, // ADD .. CMP; bits 5:3 tell which
	{ 0x063, 0x1ff, INSN_LOAD, MODRM | SIGN | LONG, 4, 0, 0 }, // MOVSXD
	{ 0x080, 0x1fe, INSN_ALU, MODRM | BYTE | IMM | GROUP, 0, 0, 0 },
	{ 0x083, 0x1ff, INSN_ALU, MODRM | IMM8 | GROUP, 0, 0, 0 },
	{ 0x084, 0x1fe, INSN_ALU, MODRM | BYTE, 0, ALU_TEST, 0 },
	{ 0x086, 0x1fe, INSN_XCHG, MODRM | BYTE, 0, 0, 0 },
	{ 0x088, 0x1fe, INSN_STORE, MODRM | BYTE, 0, 0, 0 },
	{ 0x08a, 0x1fe, INSN_LOAD, MODRM | BYTE, 0, 0, 0 },
	{ 0x0a0, 0x1fe, INSN_LOAD, MOFFS | BYTE, 0, 0, 0 },
	{ 0x0a2, 0x1fe, INSN_STORE, MOFFS | BYTE, 0, 0, 0 },
	{ 0x0c6, 0x1fe, INSN_STORE_IMM, MODRM | BYTE | IMM, 0, 0, 1 },
	{ 0x0f6, 0x1fe, INSN_ALU, MODRM | BYTE | IMM, 0, ALU_TEST, 2 },
	{ 0x122, 0x1ff, INSN_MOV_CR, 0, 0, 0, 0 },
	{ 0x1b6, 0x1ff, INSN_LOAD, MODRM, 1, 0, 0 }, // MOVZX
	{ 0x1b7, 0x1ff, INSN_LOAD, MODRM, 2, 0, 0 },
	{ 0x1be, 0x1ff, INSN_LOAD, MODRM | SIGN, 1, 0, 0 }, // MOVSX
	{ 0x1bf, 0x1ff, INSN_LOAD, MODRM | SIGN, 2, 0, 0 },
};

static const struct opcode *find_opcode(unsigned int opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
		if ((opcode & opcodes[i].mask) == opcodes[i].bits)
			return &opcodes[i];
	return NULL;
}

static uint64_t size_mask(unsigned int size)
{
	return size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

static uint64_t sign_extend(uint64_t value, unsigned int size)
{
	unsigned int unused_bits = 64 - size * 8;

	return (uint64_t)((int64_t)(value << unused_bits) >> unused_bits);
}

static bool take(struct cursor *c, uint8_t *byte)
{
	if (c->at >= c->count)
		return false;
	*byte = c->bytes[c->at++];
	return true;
}

// Reads SIZE little-endian bytes, sign-extended.
static bool take_value(struct cursor *c, unsigned int size, uint64_t *value)
{
	uint8_t byte;

	*value = 0;
	for (unsigned int i = 0; i < size; i++) {
		if (!take(c, &byte))
			return false;
		*value |= (uint64_t)byte << i * 8;
	}
	if (size)
		*value = sign_extend(*value, size);
	return true;
}

// Consumes legacy and REX prefixes; *BYTE is the first byte of the opcode. A REX prefix counts only
// right before it.
static bool take_prefixes(struct cursor *c, uint8_t *byte)
{
	while (take(c, byte)) {
		switch (*byte) {
		case 0x66:
			c->operand_prefix = true;
			break;
		case 0x67:
			c->address_prefix = true;
			break;
		case 0xf0:
			c->lock = true;
			break;
		case 0x26: // segments and repetition
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64 ... 0x65:
		case 0xf2 ... 0xf3:
			break;
		default:
			if (c->mode_bits != 64 || (*byte & 0xf0) != 0x40)
				return true;
			c->rex = *byte;
			continue;
		}
		c->rex = 0;
	}
	return false;
}

static unsigned int operand_size(const struct cursor *c)
{
	if (c->rex & 8)
		return 8;
	return (c->mode_bits == 16) == c->operand_prefix ? 4 : 2;
}

static unsigned int address_size(const struct cursor *c)
{
	if (c->mode_bits == 64)
		return c->address_prefix ? 4 : 8;
	return (c->mode_bits == 16) == c->address_prefix ? 4 : 2;
}

// Bytes of displacement after ModRM (and SIB, which this consumes).
static bool skip_address(struct cursor *c)
{
	unsigned int mod = c->modrm >> 6, rm = c->modrm & 7, displacement;
	uint64_t ignored;
	uint8_t sib;

	if (mod == 3)
		return true;
	if (address_size(c) == 2) {
		displacement = mod == 0 ? (rm == 6 ? 2 : 0) : mod;
		return take_value(c, displacement, &ignored);
	}
	if (rm == 4) {
		if (!take(c, &sib))
			return false;
		rm = sib & 7; // a base of 5 means the same in either place
	}
	displacement = mod == 0 ? (rm == 5 ? 4 : 0) : (mod == 1 ? 1 : 4);
	return take_value(c, displacement, &ignored);
}

static bool take_operands(struct cursor *c, const struct opcode *row, struct insn *insn)
{
	uint64_t address;

	if (row->flags & MOFFS) {
		insn->memory = true;
		return take_value(c, address_size(c), &address);
	}
	if (!take(c, &c->modrm))
		return false;
	insn->reg = (c->modrm >> 3 & 7) | (c->rex & 4) << 1;
	insn->memory = row->flags & MODRM && c->modrm >> 6 != 3;
	return !insn->memory || skip_address(c);
}

// CR8 by REX.R, or by LOCK and CR0 in any mode (APM3: MOV CRn). ModRM always names two registers,
// and operand size prefixes do not count.
static void refine_mov_cr(const struct cursor *c, struct insn *insn)
{
	insn->control = insn->reg == 0 && c->lock ? 8 : insn->reg;
	insn->reg = (c->modrm & 7) | (c->rex & 1) << 3;
	insn->size = insn->dest_size = c->mode_bits == 64 ? 8 : 4;
}

// Sets what the row says. False: an encoding that is something else after all.
static bool refine(
	const struct cursor *c, const struct opcode *row, unsigned int opcode, struct insn *insn)
{
	unsigned int extension = c->modrm >> 3 & 7;

	if ((row->flags & LONG && c->mode_bits != 64) ||
		(row->extensions && extension >= row->extensions))
		return false;
	insn->alu = row->flags & GROUP ? extension : row->alu;
	if (row->bits == 0) {
		insn->alu = opcode >> 3;
		insn->to_reg = opcode & 2;
	}
	insn->size = row->size ? row->size : insn->dest_size;
	insn->sign_extend = row->flags & SIGN;
	insn->has_imm = row->flags & (IMM | IMM8);
	if (row->kind == INSN_MOV_CR)
		refine_mov_cr(c, insn);
	return true;
}

static bool take_opcode(struct cursor *c, unsigned int *opcode)
{
	uint8_t byte;

	if (!take_prefixes(c, &byte))
		return false;
	*opcode = byte;
	if (byte != 0x0f)
		return true;
	*opcode = 0x100;
	if (!take(c, &byte))
		return false;
	*opcode |= byte;
	return true;
}

bool insn_decode(
	const uint8_t *bytes, unsigned int count, unsigned int mode_bits, struct insn *insn)
{
	struct cursor c = { .bytes = bytes, .mode_bits = mode_bits };
	const struct opcode *row;
	unsigned int opcode, imm_size;

	c.count = MIN(count, INSN_LENGTH_MAX);
	*insn = (struct insn){ 0 };
	if (!take_opcode(&c, &opcode) || !(row = find_opcode(opcode)))
		return false;
	insn->kind = row->kind;
	insn->dest_size = row->flags & BYTE && !(opcode & 1) ? 1 : operand_size(&c);
	if (!take_operands(&c, row, insn) || !refine(&c, row, opcode, insn))
		return false;
	imm_size = row->flags & IMM8 ? 1 : row->flags & IMM ? MIN(insn->size, 4) : 0;
	if (!take_value(&c, imm_size, &insn->imm))
		return false;
	if (insn->dest_size == 1 && !c.rex && insn->reg >= 4) {
		insn->high_byte = true;
		insn->reg -= 4;
	}
	insn->length = c.at;
	return true;
}

uint64_t insn_get_reg(const struct insn *insn, const uint64_t *gpr)
{
	return gpr[insn->reg] >> (insn->high_byte ? 8 : 0) & size_mask(insn->dest_size);
}

void insn_set_reg(const struct insn *insn, uint64_t *gpr, uint64_t value)
{
	unsigned int shift = insn->high_byte ? 8 : 0;
	uint64_t mask = size_mask(insn->dest_size);

	value = (value & mask) << shift;
	gpr[insn->reg] = insn->dest_size == 4 ? value : (gpr[insn->reg] & ~(mask << shift)) | value;
}

uint64_t insn_extend(const struct insn *insn, uint64_t value)
{
	return insn->sign_extend ? sign_extend(value, insn->size) : value & size_mask(insn->size);
}

enum { CF = 0x1, PF = 0x4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800 };

uint64_t insn_alu(enum insn_alu op, uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags)
{
	uint64_t mask = size_mask(size), sign = 1ull << (size * 8 - 1), result, carries, flags = 0;
	uint64_t carry_in = (op == ALU_ADC || op == ALU_SBB) && (*rflags & CF);

	a &= mask;
	b &= mask;
	switch (op) {
	case ALU_ADD:
	case ALU_ADC:
		result = (a + b + carry_in) & mask;
		carries = (a & b) | ((a | b) & ~result); // carry out of each bit
		flags = (carries & sign ? CF : 0) | (carries & 8 ? AF : 0);
		flags |= (a ^ result) & (b ^ result) & sign ? OF : 0;
		break;
	case ALU_SUB:
	case ALU_SBB:
	case ALU_CMP:
		result = (a - b - carry_in) & mask;
		carries = (~a & b) | ((~a | b) & result); // borrow of each bit
		flags = (carries & sign ? CF : 0) | (carries & 8 ? AF : 0);
		flags |= (a ^ b) & (a ^ result) & sign ? OF : 0;
		break;
	case ALU_OR:
		result = a | b;
		break;
	case ALU_XOR:
		result = a ^ b;
		break;
	default:
		result = a & b;
		break;
	}
	flags |= (result == 0 ? ZF : 0) | (result & sign ? SF : 0);
	flags |= __builtin_parityll(result & 0xff) ? 0 : PF;
	*rflags = (*rflags & ~(uint64_t)(CF | PF | AF | ZF | SF | OF)) | flags;
	return op == ALU_CMP || op == ALU_TEST ? a : result;
}
