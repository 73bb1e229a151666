// SPDX-License-Identifier: BSD-2-Clause
// Model-specific registers: what guests see of the processor's own. The root's writes to memory
// type and machine check registers reach the machine; children get what their kernels insist on
// reading.
#include "hypercall/cpuid.h"
#include "hypervisor/core/explain.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/x86/msr_table.h"
#include "hypervisor/x86/state.h"

// TLFS: HvPartitionPropertyUnimplementedMsrAction.
enum { UNIMPLEMENTED_MSR_FAULT, UNIMPLEMENTED_MSR_IGNORE };

#define MTRR_CAP_WC	 BIT(10)
#define MTRR_DEF_ENABLED BIT(11)
#define MTRR_TYPE_WB	 6
#define HWCR_TSC_AT_P0	 BIT(24)
#define HWCR_IRPERF	 BIT(30)
#define DE_CFG_LFENCE	 BIT(1)	     // LFENCE is serializing, if the root has made it so
#define DE_CFG_ZENBLEED	 BIT(9)	     // Zen 2: the root's kernel knows when it is needed
#define SYSCFG_MTRR_BITS 0x7c0000ull // MtrrFixDramEn .. Tom2ForceMemTypeWB

MSR_VALUE(read_constant, row->data)
MSR_VALUE(read_register, vp_reg64(vp, row->data))
MSR_VALUE(read_tsc, tsc_read() + vp_tsc_offset(vp))
MSR_VALUE(read_tsc_aux, vp->tsc_aux)
MSR_VALUE(read_child_de_cfg, msr_rd_safe(msr, value) ? DE_CFG_LFENCE &*value : 0)
MSR_READ_BY(read_physical, msr_rd_safe(msr, value))
MSR_READ_BY(read_vapic, vapic_read_msr(vp, msr, value))
MSR_WRITE_BY(write_vapic, vapic_write_msr(vp, msr, value))
// For registers that a kernel writes back unchanged, or clears, as a matter of form.
MSR_WRITE_BY(write_ignored, true)
MSR_WRITE_BY(write_zero_only, value == 0)

// The root's VPs stay on their processors: the register written is the one that was read.
MSR_WRITE(write_physical)
{
	uint64_t old;

	if (!msr_rd_safe(msr, &old) || (old ^ value) & ~row->data)
		return false;
	return msr_wr_safe(msr, value);
}

MSR_WRITE(write_tsc)
{
	vp->tsc_adjust = value - tsc_read() - vp->partition->tsc_offset;
	return vp_set_reg64(vp, HvX64RegisterTsc, value);
}

MSR_WRITE(write_tsc_aux)
{
	if (value > UINT32_MAX)
		return false;
	vp->tsc_aux = value;
	return !vp->loaded_on || msr_wr_safe(MSR_TSC_AUX, value);
}

// APM2 7.8.1: types 2 and 3 are reserved, and 8 and up.
bool msr_pat_valid(uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++) {
		uint8_t type = value >> i * 8;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

MSR_WRITE(write_pat)
{
	return msr_pat_valid(value) && vp_set_reg64(vp, HvX64RegisterPat, value);
}

MSR_WRITE(write_efer)
{
	uint64_t old = vp_reg64(vp, HvX64RegisterEfer);

	if (value & ~guest_control_bits(GUEST_EFER))
		return false;
	// LME is fixed while paging is on; LMA is the processor's to write.
	if ((old ^ value) & EFER_LME && vp_reg64(vp, HvX64RegisterCr0) & CR0_PG)
		return false;
	return vp_set_reg64(vp, HvX64RegisterEfer, (value & ~EFER_LMA) | (old & EFER_LMA));
}

#define ROOT(first, last)  first, last, MSR_ROOT, HV_PRIVILEGE_NONE
#define CHILD(first, last) first, last, MSR_CHILD, HV_PRIVILEGE_NONE
#define ALL(first, last)   first, last, MSR_ALL, HV_PRIVILEGE_NONE

// Of two rows for the same number, at most one applies to a VP. What a backend leaves to the guest
// has no row: SYSENTER_*, STAR to SFMASK, the FS and GS bases.
static const struct msr_row rows[] = {
	{ ALL(MSR_TSC, MSR_TSC), read_tsc, write_tsc, 0 },
	{ ALL(MSR_APIC_BASE, MSR_APIC_BASE), read_vapic, write_vapic, 0 },
	// Microcode revision; the root of Intel machines writes 0 to it before it reads.
	{ ALL(0x8b, 0x8b), read_physical, write_zero_only, 0 },
	{ ROOT(MSR_MTRR_CAP, MSR_MTRR_CAP), read_physical, NULL, 0 },
	{ CHILD(MSR_MTRR_CAP, MSR_MTRR_CAP), read_constant, NULL, MTRR_CAP_WC },
	// Machine check: global capability, status and control, and below the banks.
	{ CHILD(0x179, 0x17a), read_constant, write_zero_only, 0 },
	{ ROOT(0x179, 0x17b), read_physical, write_physical, UINT64_MAX },
	{ ALL(0x1d9, 0x1d9), read_constant, write_zero_only, 0 }, // DEBUGCTL
	// MTRRs. A child's memory is write-back by its second-level entries, whatever it asks for.
	{ ROOT(MSR_MTRR_FIRST, 0x26f), read_physical, write_physical, UINT64_MAX },
	{ ALL(MSR_PAT, MSR_PAT), read_register, write_pat, HvX64RegisterPat },
	{ ROOT(MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE), read_physical, write_physical, UINT64_MAX },
	{ CHILD(MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE), read_constant, write_ignored,
		MTRR_DEF_ENABLED | MTRR_TYPE_WB },
	{ ROOT(0x400, 0x47f), read_physical, write_physical, UINT64_MAX },
	{ ALL(MSR_TSC_DEADLINE, MSR_TSC_DEADLINE), read_vapic, write_vapic, 0 },
	{ ALL(MSR_X2APIC_FIRST, MSR_X2APIC_LAST), read_vapic, write_vapic, 0 },
	{ ALL(MSR_EFER, MSR_EFER), read_register, write_efer, HvX64RegisterEfer },
	{ ALL(MSR_TSC_AUX, MSR_TSC_AUX), read_tsc_aux, write_tsc_aux, 0 },
	// AMD's. Performance counters: there are none, and a kernel that probes finds that out.
	{ ALL(0xc0010000, 0xc0010007), read_constant, write_ignored, 0 },
	{ ROOT(0xc0010010, 0xc0010010), read_physical, write_physical, SYSCFG_MTRR_BITS },
	{ CHILD(0xc0010010, 0xc0010010), read_constant, NULL, 0 }, // SYSCFG
	{ ROOT(0xc0010015, 0xc0010015), read_physical, write_physical, HWCR_IRPERF },
	{ CHILD(0xc0010015, 0xc0010015), read_constant, write_ignored, HWCR_TSC_AT_P0 },
	{ ROOT(0xc0010016, 0xc001001d), read_physical, NULL, 0 }, // IORRs, TOP_MEM, TOP_MEM2
	{ ROOT(0xc001001f, 0xc001001f), read_physical, NULL, 0 }, // NB_CFG
	{ ROOT(0xc0010055, 0xc0010055), read_physical, NULL, 0 }, // interrupt pending message
	{ CHILD(0xc0010055, 0xc0010055), read_constant, write_zero_only, 0 },
	{ ROOT(0xc0010058, 0xc0010058), read_physical, NULL, 0 }, // MMIO configuration base
	{ ROOT(0xc0010111, 0xc0010113), read_physical, NULL, 0 }, // SMM base, address, mask
	{ ROOT(0xc0011029, 0xc0011029), read_physical, write_physical,
		DE_CFG_LFENCE | DE_CFG_ZENBLEED },
	{ CHILD(0xc0011029, 0xc0011029), read_child_de_cfg, write_ignored, 0 },
};

const struct msr_row *msr_find(const struct vp *vp, uint32_t msr)
{
	bool synthetic = msr >= HV_X64_MSR_SYNTHETIC_FIRST && msr <= HV_X64_MSR_SYNTHETIC_LAST;
	const struct msr_row *row = synthetic ? msr_hv_rows : rows;
	const struct msr_row *end = row + (synthetic ? msr_hv_row_count : ARRAY_SIZE(rows));
	unsigned int role = vp->partition->is_root ? MSR_ROOT : MSR_CHILD;

	for (; row < end; row++)
		if (msr >= row->first && msr <= row->last && row->roles & role)
			return row;
	return NULL;
}

static bool allowed(const struct vp *vp, const struct msr_row *row)
{
	return row && hv_privilege_suffices(vp->partition->privileges, row->privilege);
}

bool msr_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = msr_find(vp, msr);

	*value = 0;
	return allowed(vp, row) && row->read && row->read(vp, row, msr, value);
}

enum msr_result msr_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = msr_find(vp, msr);

	return allowed(vp, row) && row->write ? row->write(vp, row, msr, value) : MSR_FAULT;
}

// What an access that failed comes to: #GP, or nothing if the parent wants unknown MSRs ignored.
// True: go on.
static bool access_failed(struct vp *vp, uint32_t msr, bool known, const char *what)
{
	if (!known && vp->partition->unimplemented_msr_action == UNIMPLEMENTED_MSR_IGNORE)
		return true;
	explain_msr(vp, msr, what);
	vp_inject_gp(vp);
	return false;
}

void msr_read_exit(struct vp *vp, const struct vp_exit *exit)
{
	uint32_t msr = vp->regs.gpr[RCX];
	bool known = msr_find(vp, msr);
	uint64_t value;

	if (intercept_msr(vp, msr, false, 0, known))
		return;
	if (!msr_read(vp, msr, &value) && !access_failed(vp, msr, known, "read"))
		return;
	vp->regs.gpr[RAX] = (uint32_t)value;
	vp->regs.gpr[RDX] = value >> 32;
	vp_skip_insn(vp, exit->insn_length);
}

void msr_write_exit(struct vp *vp, const struct vp_exit *exit)
{
	uint32_t msr = vp->regs.gpr[RCX];
	uint64_t value = (uint32_t)vp->regs.gpr[RAX] | vp->regs.gpr[RDX] << 32;
	bool known = msr_find(vp, msr);
	enum msr_result result;

	// The parent is told of a crash when the crash registers are complete: below.
	if (msr != HV_X64_MSR_CRASH_CTL && intercept_msr(vp, msr, true, value, known))
		return;
	result = msr_write(vp, msr, value);
	if (result == MSR_AGAIN)
		return; // RIP stays; interrupts have their chance
	if (result == MSR_FAULT && !access_failed(vp, msr, known, "write"))
		return;
	if (msr == HV_X64_MSR_CRASH_CTL && value & HV_CRASH_CTL_CRASH_NOTIFY) {
		msr_hv_log_crash(vp);
		if (intercept_msr(vp, msr, true, vp->crash.ctl, true))
			return;
	}
	vp_skip_insn(vp, exit->insn_length);
}
