// SPDX-License-Identifier: BSD-2-Clause
// Model-specific registers: what guests see of the processor's own. The root's writes to memory
// type and machine check registers reach the machine; children get what their kernels insist on
// reading.
#include "hypercall/cpuid.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/x86/msr_table.h"
#include "hypervisor/x86/state.h"

enum { RDMSR_LENGTH = 2 };

// TLFS: HvPartitionPropertyUnimplementedMsrAction.
enum { UNIMPLEMENTED_MSR_FAULT, UNIMPLEMENTED_MSR_IGNORE };

#define EFER_FFXSR BIT(14)
#define EFER_TCE   BIT(15)

#define MTRR_CAP_WC	  BIT(10)
#define MTRR_DEF_ENABLED  BIT(11)
#define MTRR_TYPE_WB	  6
#define HWCR_TSC_AT_P0	  BIT(24)
#define HWCR_IRPERF	  BIT(30)
#define DE_CFG_LFENCE	  BIT(1)
#define SYSCFG_MTRR_BITS  0x7c0000ull // MtrrFixDramEn .. Tom2ForceMemTypeWB
#define ROW_READ_ONLY(fn) fn, NULL

#define ARGS_READ  struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t *value
#define ARGS_WRITE struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t value

static bool read_constant(ARGS_READ)
{
	*value = row->constant;
	return true;
}

// For registers that a kernel writes back unchanged, or clears, as a matter of form.
static bool write_ignored(ARGS_WRITE)
{
	return true;
}

static bool write_zero_only(ARGS_WRITE)
{
	return value == 0;
}

static bool read_physical(ARGS_READ)
{
	return msr_rd_safe(msr, value);
}

// The root's VPs stay on their processors: the register written is the one that was read.
static bool write_physical(ARGS_WRITE)
{
	uint64_t old;

	if (!msr_rd_safe(msr, &old) || (old ^ value) & ~row->writable)
		return false;
	return msr_wr_safe(msr, value);
}

// LFENCE is serializing if the root has made it so.
static bool read_child_de_cfg(ARGS_READ)
{
	if (!msr_rd_safe(msr, value))
		*value = 0;
	*value &= DE_CFG_LFENCE;
	return true;
}

static bool read_vapic(ARGS_READ)
{
	return vapic_read_msr(vp, msr, value);
}

static bool write_vapic(ARGS_WRITE)
{
	return vapic_write_msr(vp, msr, value);
}

static bool read_tsc(ARGS_READ)
{
	*value = tsc_read() + vp_tsc_offset(vp);
	return true;
}

static bool write_tsc(ARGS_WRITE)
{
	uint64_t adjust = vp->tsc_adjust;

	vp->tsc_adjust = value - tsc_read() - vp->partition->tsc_offset;
	if (vp_set_reg64(vp, HvX64RegisterTsc, value))
		return true;
	vp->tsc_adjust = adjust;
	return false;
}

static bool read_tsc_aux(ARGS_READ)
{
	*value = vp->tsc_aux;
	return true;
}

static bool write_tsc_aux(ARGS_WRITE)
{
	if (value > UINT32_MAX)
		return false;
	vp->tsc_aux = value;
	return !vp->loaded_on || msr_wr_safe(MSR_TSC_AUX, value);
}

static bool canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool read_register(ARGS_READ)
{
	*value = vp_reg64(vp, row->name);
	return true;
}

static bool write_register(ARGS_WRITE)
{
	return vp_set_reg64(vp, row->name, value);
}

static bool write_address(ARGS_WRITE)
{
	return canonical(value) && vp_set_reg64(vp, row->name, value);
}

static bool write_selector(ARGS_WRITE)
{
	return vp_set_reg64(vp, row->name, value & 0xffff);
}

static bool write_sfmask(ARGS_WRITE)
{
	return value <= UINT32_MAX && vp_set_reg64(vp, row->name, value);
}

static bool read_segment_base(ARGS_READ)
{
	struct hv_register_value segment = { 0 };

	if (!backend->get_register(vp, row->name, &segment))
		return false;
	*value = segment.segment.base;
	return true;
}

static bool write_segment_base(ARGS_WRITE)
{
	struct hv_register_value segment = { 0 };

	if (!canonical(value) || !backend->get_register(vp, row->name, &segment))
		return false;
	segment.segment.base = value;
	return backend->set_register(vp, row->name, &segment);
}

// APM2 7.8.1: types 2 and 3 are reserved, and 8 and up.
static bool write_pat(ARGS_WRITE)
{
	for (unsigned int i = 0; i < 8; i++) {
		uint8_t type = value >> i * 8;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return vp_set_reg64(vp, HvX64RegisterPat, value);
}

// EFER bits that the guest's CPUID offers (APM2 3.1.7). SVME is not among them.
static uint64_t efer_supported(struct vp *vp)
{
	static const struct {
		uint64_t efer;
		uint32_t ecx, edx; // of CPUID 0x80000001
	} bits[] = {
		{ EFER_SCE, 0, 1u << 11 },
		{ EFER_LME | EFER_LMA, 0, 1u << 29 },
		{ EFER_NXE, 0, 1u << 20 },
		{ EFER_FFXSR, 0, 1u << 25 },
		{ EFER_TCE, 1u << 17, 0 },
	};
	struct cpuid_result features;
	uint64_t supported = 0;

	cpuid_read(vp, 0x80000001, 0, &features);
	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++)
		if (features.ecx & bits[i].ecx || features.edx & bits[i].edx)
			supported |= bits[i].efer;
	return supported;
}

static bool write_efer(ARGS_WRITE)
{
	uint64_t old = vp_reg64(vp, HvX64RegisterEfer);

	if (value & ~efer_supported(vp))
		return false;
	// LME is fixed while paging is on; LMA is the processor's to write.
	if ((old ^ value) & EFER_LME && vp_reg64(vp, HvX64RegisterCr0) & CR0_PG)
		return false;
	return vp_set_reg64(vp, HvX64RegisterEfer, (value & ~EFER_LMA) | (old & EFER_LMA));
}

// Sorted by first and by last number; of two rows for the same one, at most one applies to a VP.
static const struct msr_row rows[] = {
	{ MSR_TSC, MSR_TSC, MSR_ALL, read_tsc, write_tsc, { 0 } },
	{ MSR_APIC_BASE, MSR_APIC_BASE, MSR_ALL, read_vapic, write_vapic, { 0 } },
	// Microcode revision; the root of Intel machines writes 0 to it before it reads.
	{ 0x8b, 0x8b, MSR_ALL, read_physical, write_zero_only, { 0 } },
	{ MSR_MTRR_CAP, MSR_MTRR_CAP, MSR_ROOT, ROW_READ_ONLY(read_physical), { 0 } },
	{ MSR_MTRR_CAP, MSR_MTRR_CAP, MSR_CHILD, ROW_READ_ONLY(read_constant), { MTRR_CAP_WC } },
	{ 0x174, 0x174, MSR_ALL, read_register, write_selector,
		{ .name = HvX64RegisterSysenterCs } },
	{ 0x175, 0x175, MSR_ALL, read_register, write_address,
		{ .name = HvX64RegisterSysenterEsp } },
	{ 0x176, 0x176, MSR_ALL, read_register, write_address,
		{ .name = HvX64RegisterSysenterEip } },
	// Machine check: global capability, status and control, and below the banks.
	{ 0x179, 0x17a, MSR_CHILD, read_constant, write_zero_only, { 0 } },
	{ 0x179, 0x17b, MSR_ROOT, read_physical, write_physical, { .writable = UINT64_MAX } },
	{ 0x1d9, 0x1d9, MSR_ALL, read_constant, write_zero_only, { 0 } }, // DEBUGCTL
	// MTRRs. A child's memory is write-back by its second-level entries, whatever it asks for.
	{ MSR_MTRR_FIRST, 0x26f, MSR_ROOT, read_physical, write_physical,
		{ .writable = UINT64_MAX } },
	{ MSR_PAT, MSR_PAT, MSR_ALL, read_register, write_pat, { .name = HvX64RegisterPat } },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, MSR_ROOT, read_physical, write_physical,
		{ .writable = UINT64_MAX } },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, MSR_CHILD, read_constant, write_ignored,
		{ MTRR_DEF_ENABLED | MTRR_TYPE_WB } },
	{ 0x400, 0x47f, MSR_ROOT, read_physical, write_physical, { .writable = UINT64_MAX } },
	{ MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, MSR_ALL, read_vapic, write_vapic, { 0 } },
	{ MSR_X2APIC_FIRST, MSR_X2APIC_LAST, MSR_ALL, read_vapic, write_vapic, { 0 } },
	{ MSR_EFER, MSR_EFER, MSR_ALL, read_register, write_efer, { .name = HvX64RegisterEfer } },
	{ MSR_STAR, MSR_STAR, MSR_ALL, read_register, write_register,
		{ .name = HvX64RegisterStar } },
	{ MSR_LSTAR, MSR_LSTAR, MSR_ALL, read_register, write_address,
		{ .name = HvX64RegisterLstar } },
	{ MSR_CSTAR, MSR_CSTAR, MSR_ALL, read_register, write_address,
		{ .name = HvX64RegisterCstar } },
	{ MSR_SFMASK, MSR_SFMASK, MSR_ALL, read_register, write_sfmask,
		{ .name = HvX64RegisterSfmask } },
	{ MSR_FS_BASE, MSR_FS_BASE, MSR_ALL, read_segment_base, write_segment_base,
		{ .name = HvX64RegisterFs } },
	{ MSR_GS_BASE, MSR_GS_BASE, MSR_ALL, read_segment_base, write_segment_base,
		{ .name = HvX64RegisterGs } },
	{ MSR_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, MSR_ALL, read_register, write_address,
		{ .name = HvX64RegisterKernelGsBase } },
	{ MSR_TSC_AUX, MSR_TSC_AUX, MSR_ALL, read_tsc_aux, write_tsc_aux, { 0 } },
	// AMD's from here on. Performance counters: there are none, and a kernel that probes finds
	// that out.
	{ 0xc0010000, 0xc0010007, MSR_ALL, read_constant, write_ignored, { 0 } },
	// SYSCFG
	{ 0xc0010010, 0xc0010010, MSR_ROOT, read_physical, write_physical,
		{ .writable = SYSCFG_MTRR_BITS } },
	{ 0xc0010010, 0xc0010010, MSR_CHILD, ROW_READ_ONLY(read_constant), { 0 } },
	// HWCR
	{ 0xc0010015, 0xc0010015, MSR_ROOT, read_physical, write_physical,
		{ .writable = HWCR_IRPERF } },
	{ 0xc0010015, 0xc0010015, MSR_CHILD, read_constant, write_ignored, { HWCR_TSC_AT_P0 } },
	// IORRs, TOP_MEM, TOP_MEM2
	{ 0xc0010016, 0xc001001d, MSR_ROOT, ROW_READ_ONLY(read_physical), { 0 } },
	{ 0xc001001f, 0xc001001f, MSR_ROOT, ROW_READ_ONLY(read_physical), { 0 } }, // NB_CFG
	{ 0xc0010055, 0xc0010055, MSR_ROOT, ROW_READ_ONLY(read_physical),
		{ 0 } }, // interrupt pending message
	{ 0xc0010055, 0xc0010055, MSR_CHILD, read_constant, write_zero_only, { 0 } },
	{ 0xc0010058, 0xc0010058, MSR_ROOT, ROW_READ_ONLY(read_physical),
		{ 0 } }, // MMIO configuration base
	{ 0xc0010111, 0xc0010113, MSR_ROOT, ROW_READ_ONLY(read_physical),
		{ 0 } }, // SMM base, address, mask
	// DE_CFG
	{ 0xc0011029, 0xc0011029, MSR_ROOT, read_physical, write_physical,
		{ .writable = DE_CFG_LFENCE } },
	{ 0xc0011029, 0xc0011029, MSR_CHILD, read_child_de_cfg, write_ignored, { 0 } },
};

static const struct msr_row *search(
	const struct msr_row *table, size_t count, uint32_t msr, unsigned int role)
{
	size_t low = 0, high = count;

	while (low < high) { // the first row that ends at or after MSR
		size_t middle = (low + high) / 2;

		if (table[middle].last < msr)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && table[low].first <= msr; low++)
		if (msr <= table[low].last && table[low].roles & role)
			return &table[low];
	return NULL;
}

const struct msr_row *msr_find(const struct vp *vp, uint32_t msr)
{
	unsigned int role = vp->partition->is_root ? MSR_ROOT : MSR_CHILD;

	if (msr >= HV_X64_MSR_SYNTHETIC_FIRST && msr <= HV_X64_MSR_SYNTHETIC_LAST)
		return search(msr_hv_rows, msr_hv_row_count, msr, role);
	return search(rows, ARRAY_SIZE(rows), msr, role);
}

static bool allowed(const struct vp *vp, const struct msr_row *row, uint32_t msr)
{
	return msr < HV_X64_MSR_SYNTHETIC_FIRST || msr > HV_X64_MSR_SYNTHETIC_LAST ||
	       hv_privilege_suffices(vp->partition->privileges, row->privilege);
}

bool msr_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = msr_find(vp, msr);

	*value = 0;
	return row && row->read && allowed(vp, row, msr) && row->read(vp, row, msr, value);
}

bool msr_write(struct vp *vp, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = msr_find(vp, msr);

	return row && row->write && allowed(vp, row, msr) && row->write(vp, row, msr, value);
}

// What an access that failed comes to: #GP, or nothing if the parent wants unknown MSRs ignored.
// True: go on.
static bool access_failed(struct vp *vp, uint32_t msr, bool known, const char *what)
{
	if (!known && vp->partition->unimplemented_msr_action == UNIMPLEMENTED_MSR_IGNORE)
		return true;
	log_limited("partition %lu VP %u: %s of MSR %x at %lx", vp->partition->id, vp->index, what,
		msr, vp->regs.rip);
	vp_inject_gp(vp);
	return false;
}

void msr_read_exit(struct vp *vp)
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
	vp_skip_insn(vp, RDMSR_LENGTH);
}

void msr_write_exit(struct vp *vp)
{
	uint32_t msr = vp->regs.gpr[RCX];
	uint64_t value = (uint32_t)vp->regs.gpr[RAX] | vp->regs.gpr[RDX] << 32;
	bool known = msr_find(vp, msr);

	// The parent is told of a crash when the crash registers are complete: below.
	if (msr != HV_X64_MSR_CRASH_CTL && intercept_msr(vp, msr, true, value, known))
		return;
	if (!msr_write(vp, msr, value) && !access_failed(vp, msr, known, "write"))
		return;
	if (msr == HV_X64_MSR_CRASH_CTL && value & HV_CRASH_CTL_CRASH_NOTIFY) {
		msr_hv_log_crash(vp);
		if (intercept_crash(vp))
			return;
	}
	vp_skip_insn(vp, RDMSR_LENGTH);
}
