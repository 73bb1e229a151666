// SPDX-License-Identifier: BSD-2-Clause
// MOV to the control registers that exit: CR4, so that no guest uses what CPUID does not offer it,
// and CR8.
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/msr.h"
#include "hypervisor/x86/state.h"
#include "hypervisor/x86/vapic.h"
#include "x86/insn.h"

#define CR3_PCID 0xfffull

// APM2 3.1.3, 5.5.1. That long mode needs PAE, and that PCIDE begins with PCID 0 in long mode, is
// for us to check: nothing of this write reaches the processor.
static bool set_cr4(struct vp *vp, uint64_t value)
{
	uint64_t set = value & ~vp_reg64(vp, HvX64RegisterCr4);
	bool long_mode = vp_reg64(vp, HvX64RegisterEfer) & EFER_LMA;

	if (long_mode && !(value & CR4_PAE))
		return false;
	if (set & CR4_PCIDE && (!long_mode || vp_reg64(vp, HvX64RegisterCr3) & CR3_PCID))
		return false;
	return !(value & ~guest_control_bits(GUEST_CR4)) &&
	       vp_set_reg64(vp, HvX64RegisterCr4, value);
}

static bool set_cr8(struct vp *vp, uint64_t value)
{
	if (value > 15)
		return false;
	vapic_set_cr8(vp, value);
	return true;
}

void vp_emulate_cr_write(struct vp *vp, const struct vp_exit *exit)
{
	struct insn insn;
	uint64_t value;

	if (!gva_fetch_insn(vp, &insn) || insn.kind != INSN_MOV_CR ||
		(insn.control != 4 && insn.control != 8)) {
		vp_inject_ud(vp);
		return;
	}
	value = insn_get_reg(&insn, vp->regs.gpr);
	if (insn.control == 4 ? set_cr4(vp, value) : set_cr8(vp, value))
		vp_skip_insn(vp, insn.length);
	else
		vp_inject_gp(vp);
}
