// SPDX-License-Identifier: BSD-2-Clause
// What takes the instruction itself: the xAPIC page (a second-level fault, the instruction that
// made it, and the register that it meant: APM2 16.3.2).
#include "hypervisor/core/log.h"
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/vapic_internal.h"
#include "x86/insn.h"

// Registers are the first 4 of each 16 bytes; what lies between reads as zero.
static uint64_t page_read(struct vp *vp, unsigned int offset)
{
	uint64_t value = 0;

	if (offset >> 4 < APIC_REGISTERS && offset % 16 < 4)
		vapic_read_register(vp, offset >> 4, &value);
	return value >> offset % 4 * 8;
}

static void page_write(struct vp *vp, unsigned int offset, unsigned int size, uint64_t value)
{
	if (offset >> 4 < APIC_REGISTERS && offset % 16 == 0 && size >= 4)
		vapic_write_register(vp, offset >> 4, (uint32_t)value);
}

static void alu(struct vp *vp, unsigned int offset, const struct insn *insn)
{
	uint64_t memory = page_read(vp, offset), result;
	uint64_t other = insn->has_imm ? insn->imm : insn_get_reg(insn, vp->regs.gpr);
	uint64_t a = insn->to_reg ? other : memory, b = insn->to_reg ? memory : other;

	result = insn_alu(insn->alu, a, b, insn->size, &vp->regs.rflags);
	if (insn->alu == ALU_CMP || insn->alu == ALU_TEST)
		return;
	if (insn->to_reg)
		insn_set_reg(insn, vp->regs.gpr, result);
	else
		page_write(vp, offset, insn->size, result);
}

static bool emulate(struct vp *vp, unsigned int offset, const struct insn *insn)
{
	uint64_t *gpr = vp->regs.gpr, value;

	switch (insn->kind) {
	case INSN_LOAD:
		insn_set_reg(insn, gpr, insn_extend(insn, page_read(vp, offset)));
		return true;
	case INSN_STORE:
		page_write(vp, offset, insn->size, insn_get_reg(insn, gpr));
		return true;
	case INSN_STORE_IMM:
		page_write(vp, offset, insn->size, insn->imm);
		return true;
	case INSN_XCHG:
		value = page_read(vp, offset);
		page_write(vp, offset, insn->size, insn_get_reg(insn, gpr));
		insn_set_reg(insn, gpr, value);
		return true;
	case INSN_ALU:
		alu(vp, offset, insn);
		return true;
	default:
		return false;
	}
}

bool vapic_at(const struct vp *vp, uint64_t gpa)
{
	return vapic_mode(vp) == VAPIC_XAPIC && !((gpa ^ vp->apic_base) >> PAGE_SHIFT);
}

bool vapic_mmio(struct vp *vp, uint64_t gpa)
{
	struct insn insn;

	if (!vapic_at(vp, gpa))
		return false;
	if (!gva_fetch_insn(vp, &insn) || !insn.memory || !emulate(vp, gpa % PAGE_SIZE, &insn)) {
		log_limited("vp %u: cannot emulate xAPIC access %lx at rip %lx", vp->index, gpa,
			vp->regs.rip);
		vp_inject_gp(vp);
	} else {
		vp_skip_insn(vp, insn.length);
	}
	return true;
}
