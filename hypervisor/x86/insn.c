// SPDX-License-Identifier: BSD-2-Clause
// The instruction decoder (APM3 chapter 1 and appendix A). Bytes are the guest's: every read is
// checked against their count.
#include "hypervisor/x86/insn.h"

enum { MAX_LENGTH = 15 };

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
	IMM = 2,   // of the operand's size, at most 4 bytes
	IMM8 = 4,  // one byte
	MOFFS = 8, // an address of the address size; the register is rAX
	REGS = 16, // ModRM, but always two registers (MOV to and from CR and DR)
	BYTE = 32, // bit 0 of the opcode clear: byte operand
};

struct opcode {
	uint16_t first, last; // 0x100 and up: after 0F
	uint8_t kind;	      // enum insn_kind
	uint8_t flags;
};

static const struct opcode opcodes[] = {
	{ 0x063, 0x063, INSN_LOAD, MODRM }, // MOVSXD
	{ 0x080, 0x081, INSN_ALU, MODRM | BYTE | IMM }, { 0x083, 0x083, INSN_ALU, MODRM | IMM8 },
	{ 0x084, 0x085, INSN_ALU, MODRM | BYTE }, // TEST
	{ 0x086, 0x087, INSN_XCHG, MODRM | BYTE }, { 0x088, 0x089, INSN_STORE, MODRM | BYTE },
	{ 0x08a, 0x08b, INSN_LOAD, MODRM | BYTE }, { 0x0a0, 0x0a1, INSN_LOAD, MOFFS | BYTE },
	{ 0x0a2, 0x0a3, INSN_STORE, MOFFS | BYTE },
	{ 0x0c6, 0x0c7, INSN_STORE_IMM, MODRM | BYTE | IMM },
	{ 0x0f6, 0x0f7, INSN_ALU, MODRM | BYTE | IMM },				  // TEST
	{ 0x122, 0x122, INSN_MOV_CR8, REGS }, { 0x1b6, 0x1b7, INSN_LOAD, MODRM }, // MOVZX
	{ 0x1be, 0x1bf, INSN_LOAD, MODRM },					  // MOVSX
};

// ADD, OR, ... XOR, CMP between register and memory: 00-03, 08-0B, ... 38-3B.
static const struct opcode alu_opcode = { 0x000, 0x03b, INSN_ALU, MODRM | BYTE };

static const struct opcode *find_opcode(unsigned int opcode)
{
	if (opcode < 0x40)
		return (opcode & 7) < 4 ? &alu_opcode : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
		if (opcode >= opcodes[i].first && opcode <= opcodes[i].last)
			return &opcodes[i];
	return NULL;
}

static uint64_t size_mask(unsigned int size)
{
	return size == 8 ? UINT64_MAX : BIT(size * 8) - 1;
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

	if (row->flags & (MODRM | REGS)) {
		if (!take(c, &c->modrm))
			return false;
		insn->memory = (row->flags & MODRM) && c->modrm >> 6 != 3;
		insn->reg = (c->modrm >> 3 & 7) | (c->rex & 4) << 1;
		if (insn->memory && !skip_address(c))
			return false;
	}
	if (row->flags & MOFFS) {
		insn->memory = true;
		if (!take_value(c, address_size(c), &address))
			return false;
	}
	return true;
}

static unsigned int immediate_size(const struct opcode *row, const struct insn *insn)
{
	if (row->flags & IMM8)
		return 1;
	return row->flags & IMM ? MIN(insn->size, 4) : 0;
}

// Sets what depends on the opcode itself. False: an encoding that is something else after all.
static bool refine(const struct cursor *c, unsigned int opcode, struct insn *insn)
{
	unsigned int extension = c->modrm >> 3 & 7;

	switch (opcode) {
	case 0x063:
		insn->size = 4;
		insn->sign_extend = true;
		return c->mode_bits == 64;
	case 0x080 ... 0x083:
		insn->alu = extension;
		insn->has_imm = true;
		return true;
	case 0x084 ... 0x085:
		insn->alu = ALU_TEST;
		return true;
	case 0x0c6 ... 0x0c7:
		return extension == 0;
	case 0x0f6 ... 0x0f7:
		insn->alu = ALU_TEST;
		insn->has_imm = true;
		return extension <= 1;
	case 0x122:
		// CR8 by REX.R, or by LOCK in any mode (APM3: MOV CRn).
		if (!(insn->reg == 8 || (insn->reg == 0 && c->lock)))
			return false;
		insn->reg = (c->modrm & 7) | (c->rex & 1) << 3;
		insn->size = insn->dest_size = c->mode_bits == 64 ? 8 : 4;
		return true;
	case 0x1b6 ... 0x1b7:
	case 0x1be ... 0x1bf:
		insn->size = opcode & 1 ? 2 : 1;
		insn->sign_extend = opcode & 8;
		return true;
	default:
		if (opcode < 0x40) {
			insn->alu = opcode >> 3;
			insn->to_reg = opcode & 2;
		}
		return true;
	}
}

bool insn_decode(
	const uint8_t *bytes, unsigned int count, unsigned int mode_bits, struct insn *insn)
{
	struct cursor c = { .bytes = bytes, .mode_bits = mode_bits };
	const struct opcode *row;
	unsigned int opcode;
	uint8_t byte;

	c.count = MIN(count, MAX_LENGTH);
	*insn = (struct insn){ 0 };
	if (!take_prefixes(&c, &byte))
		return false;
	opcode = byte;
	if (opcode == 0x0f) {
		if (!take(&c, &byte))
			return false;
		opcode = 0x100 | byte;
	}
	row = find_opcode(opcode);
	if (!row)
		return false;
	insn->kind = row->kind;
	insn->dest_size = operand_size(&c);
	if ((row->flags & BYTE) && !(opcode & 1))
		insn->dest_size = 1;
	insn->size = insn->dest_size;
	if (!take_operands(&c, row, insn) || !refine(&c, opcode, insn) ||
		!take_value(&c, immediate_size(row, insn), &insn->imm))
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
	uint64_t mask = size_mask(size), sign = BIT(size * 8 - 1), result, carries, flags = 0;
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
