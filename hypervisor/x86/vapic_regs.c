// SPDX-License-Identifier: BSD-2-Clause
// The virtual local APIC's register file, and its MSRs: x2APIC, APIC base, TSC deadline and the
// TLFS's EOI, ICR and TPR.
#include "hypercall/msr.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/vapic_internal.h"

#define APIC_VERSION_VALUE 0x00050014u // six LVT entries, no EOI-broadcast suppression
#define LVT_READ_ONLY	   0x5000ull   // delivery status, remote IRR
#define HV_ICR_DEST_XAPIC  0xff00000000000000ull

enum { XAPIC = 1, X2APIC = 2, BOTH = 3 };

struct apic_row {
	uint8_t first, last;
	uint8_t modes;
	uint64_t writable; // others: reserved in x2APIC mode, ignored in xAPIC mode
	uint64_t (*read)(struct vp *vp, unsigned int reg);
	void (*write)(struct vp *vp, unsigned int reg, uint64_t value);
};

static uint64_t read_id(struct vp *vp, unsigned int reg)
{
	return vapic_mode(vp) == VAPIC_X2APIC ? vp->apic.id : vp->apic.id << 24;
}

static uint64_t read_version(struct vp *vp, unsigned int reg)
{
	return APIC_VERSION_VALUE;
}

static uint64_t read_zero(struct vp *vp, unsigned int reg)
{
	return 0;
}

static uint64_t read_tpr(struct vp *vp, unsigned int reg)
{
	return vp->apic.tpr;
}

static void write_tpr(struct vp *vp, unsigned int reg, uint64_t value)
{
	vp->apic.tpr = value;
}

static uint64_t read_ppr(struct vp *vp, unsigned int reg)
{
	return vapic_ppr(vp);
}

static void write_eoi(struct vp *vp, unsigned int reg, uint64_t value)
{
	vapic_eoi(vp);
}

static uint64_t read_ldr(struct vp *vp, unsigned int reg)
{
	return vp->apic.ldr;
}

static void mirror(struct vp *vp)
{
	if (vp->partition->is_root)
		phys_apic_mirror_ldr(vp);
}

static void write_ldr(struct vp *vp, unsigned int reg, uint64_t value)
{
	WRITE_ONCE(vp->apic.ldr, value);
	mirror(vp);
}

static uint64_t read_dfr(struct vp *vp, unsigned int reg)
{
	return vp->apic.dfr;
}

static void write_dfr(struct vp *vp, unsigned int reg, uint64_t value)
{
	WRITE_ONCE(vp->apic.dfr, value | 0x0fffffff);
	mirror(vp);
}

static uint64_t read_svr(struct vp *vp, unsigned int reg)
{
	return vp->apic.svr;
}

static void write_svr(struct vp *vp, unsigned int reg, uint64_t value)
{
	WRITE_ONCE(vp->apic.svr, value);
	if (value & SVR_ENABLE)
		return;
	for (unsigned int i = 0; i < LVT_COUNT; i++)
		vp->apic.lvt[i] |= LVT_MASKED;
}

static uint64_t read_set(struct vp *vp, unsigned int reg)
{
	const struct vapic *apic = &vp->apic;
	const uint64_t *set = apic->irr;
	unsigned int word = reg & 7;

	if (reg < APIC_TMR)
		set = apic->isr;
	else if (reg < APIC_IRR)
		set = apic->level;
	return (uint32_t)(READ_ONCE(set[word / 2]) >> word % 2 * 32);
}

static uint64_t read_esr(struct vp *vp, unsigned int reg)
{
	return vp->apic.esr;
}

static void write_esr(struct vp *vp, unsigned int reg, uint64_t value)
{
	vp->apic.esr = vp->apic.esr_shadow;
	vp->apic.esr_shadow = 0;
}

static uint64_t read_icr(struct vp *vp, unsigned int reg)
{
	if (vapic_mode(vp) == VAPIC_X2APIC)
		return vp->apic.icr;
	return reg == APIC_ICR ? (uint32_t)vp->apic.icr : vp->apic.icr >> 32;
}

static void write_icr(struct vp *vp, unsigned int reg, uint64_t value)
{
	if (vapic_mode(vp) != VAPIC_X2APIC)
		value = (uint32_t)value | vp->apic.icr >> 32 << 32;
	vp->apic.icr = value;
	vapic_send_icr(vp, value);
}

static void write_icr_high(struct vp *vp, unsigned int reg, uint64_t value)
{
	vp->apic.icr = (uint32_t)vp->apic.icr | value << 32;
}

static uint64_t read_lvt(struct vp *vp, unsigned int reg)
{
	return vp->apic.lvt[LVT_TIMER + reg - APIC_LVT_TIMER];
}

static void write_lvt(struct vp *vp, unsigned int reg, uint64_t value)
{
	value &= ~LVT_READ_ONLY;
	if (!(vp->apic.svr & SVR_ENABLE))
		value |= LVT_MASKED;
	if (reg == APIC_LVT_TIMER)
		vapic_timer_set_lvt(vp, value);
	else
		vp->apic.lvt[LVT_TIMER + reg - APIC_LVT_TIMER] = value;
}

static uint64_t read_initial(struct vp *vp, unsigned int reg)
{
	return vp->apic.timer_initial;
}

static void write_initial(struct vp *vp, unsigned int reg, uint64_t value)
{
	vapic_timer_set_initial(vp, value);
}

static uint64_t read_current(struct vp *vp, unsigned int reg)
{
	return vapic_timer_current(vp);
}

static uint64_t read_divide(struct vp *vp, unsigned int reg)
{
	return vp->apic.timer_divide;
}

static void write_divide(struct vp *vp, unsigned int reg, uint64_t value)
{
	vapic_timer_set_divide(vp, value);
}

static void write_self_ipi(struct vp *vp, unsigned int reg, uint64_t value)
{
	if (value < 16)
		vapic_error(vp, ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
	else
		vapic_interrupt(vp, value, VAPIC_EDGE);
}

// Registers that may be used most come first.
static const struct apic_row rows[] = {
	{ APIC_EOI, APIC_EOI, BOTH, 0, NULL, write_eoi },
	{ APIC_ICR, APIC_ICR, BOTH, 0xffffffff000ccfff, read_icr, write_icr },
	{ APIC_TPR, APIC_TPR, BOTH, 0xff, read_tpr, write_tpr },
	{ APIC_ICR_HIGH, APIC_ICR_HIGH, XAPIC, 0xff000000, read_icr, write_icr_high },
	{ APIC_TIMER_INITIAL, APIC_TIMER_INITIAL, BOTH, UINT32_MAX, read_initial, write_initial },
	{ APIC_LVT_TIMER, APIC_LVT_TIMER, BOTH, 0x710ff, read_lvt, write_lvt },
	{ APIC_LVT_TIMER + 1, APIC_LVT_TIMER + 2, BOTH, 0x117ff, read_lvt, write_lvt },
	{ APIC_LVT_TIMER + 3, APIC_LVT_TIMER + 4, BOTH, 0x1f7ff, read_lvt, write_lvt },
	{ APIC_LVT_ERROR, APIC_LVT_ERROR, BOTH, 0x110ff, read_lvt, write_lvt },
	{ APIC_TIMER_CURRENT, APIC_TIMER_CURRENT, BOTH, 0, read_current, NULL },
	{ APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE, BOTH, 0xb, read_divide, write_divide },
	{ APIC_SELF_IPI, APIC_SELF_IPI, X2APIC, 0xff, NULL, write_self_ipi },
	{ APIC_ID, APIC_ID, BOTH, 0, read_id, NULL },
	{ APIC_VERSION, APIC_VERSION, BOTH, 0, read_version, NULL },
	{ APIC_APR, APIC_APR, XAPIC, 0, read_zero, NULL },
	{ APIC_PPR, APIC_PPR, BOTH, 0, read_ppr, NULL },
	{ APIC_RRD, APIC_RRD, XAPIC, 0, read_zero, NULL },
	{ APIC_LDR, APIC_LDR, XAPIC, 0xff000000, read_ldr, write_ldr },
	{ APIC_LDR, APIC_LDR, X2APIC, 0, read_ldr, NULL },
	{ APIC_DFR, APIC_DFR, XAPIC, 0xf0000000, read_dfr, write_dfr },
	{ APIC_SVR, APIC_SVR, BOTH, 0x3ff, read_svr, write_svr },
	{ APIC_ISR, APIC_IRR + 7, BOTH, 0, read_set, NULL },
	{ APIC_ESR, APIC_ESR, BOTH, 0, read_esr, write_esr },
};

static const struct apic_row *find_row(const struct vp *vp, unsigned int reg)
{
	uint8_t mode = vapic_mode(vp) == VAPIC_X2APIC ? X2APIC : XAPIC;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (reg >= rows[i].first && reg <= rows[i].last && rows[i].modes & mode)
			return &rows[i];
	return NULL;
}

bool vapic_read_register(struct vp *vp, unsigned int reg, uint64_t *value)
{
	const struct apic_row *row = find_row(vp, reg);

	*value = 0;
	if (!row) {
		if (vapic_mode(vp) != VAPIC_X2APIC)
			vapic_error(vp, ESR_ILLEGAL_REGISTER);
		return false;
	}
	if (!row->read)
		return vapic_mode(vp) != VAPIC_X2APIC; // write-only
	*value = row->read(vp, reg);
	return true;
}

bool vapic_write_register(struct vp *vp, unsigned int reg, uint64_t value)
{
	const struct apic_row *row = find_row(vp, reg);
	bool x2apic = vapic_mode(vp) == VAPIC_X2APIC;

	if (!row) {
		if (!x2apic)
			vapic_error(vp, ESR_ILLEGAL_REGISTER);
		return false;
	}
	if (x2apic && (!row->write || value & ~row->writable))
		return false;
	if (row->write)
		row->write(vp, reg, value & row->writable);
	return true;
}

// IA32_APIC_BASE (SDM 10.12.5.1, the transitions of x2APIC mode).
static bool write_base(struct vp *vp, uint64_t value)
{
	const uint64_t address = (BIT(GPA_BITS) - 1) & ~(PAGE_SIZE - 1);
	const uint64_t mode_bits = APIC_BASE_ENABLE | APIC_BASE_EXTD;
	uint64_t old = vp->apic_base & mode_bits, new = value &mode_bits;

	if (value & ~(address | mode_bits | APIC_BASE_BSP) || new == APIC_BASE_EXTD)
		return false;
	// Not from disabled to x2APIC, nor from x2APIC to xAPIC.
	if ((old == 0 && new == mode_bits) || (old == mode_bits && new == APIC_BASE_ENABLE))
		return false;
	WRITE_ONCE(vp->apic_base, (value & ~APIC_BASE_BSP) | (vp->apic_base & APIC_BASE_BSP));
	if (new == old)
		return true;
	if (new == 0)
		vapic_reset(vp, false); // the state is lost
	if (new == mode_bits)
		WRITE_ONCE(vp->apic.ldr, vp->apic.id >> 4 << 16 | 1u << (vp->apic.id & 15));
	mirror(vp);
	return true;
}

bool vapic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value)
{
	if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
		return vapic_mode(vp) == VAPIC_X2APIC &&
		       vapic_read_register(vp, msr - MSR_X2APIC_FIRST, value);
	switch (msr) {
	case MSR_APIC_BASE:
		*value = vp->apic_base;
		return true;
	case MSR_TSC_DEADLINE:
		*value = vapic_tsc_deadline(vp);
		return true;
	case HV_X64_MSR_ICR:
		*value = vp->apic.icr;
		return true;
	case HV_X64_MSR_TPR:
		*value = vp->apic.tpr;
		return true;
	default: // HV_X64_MSR_EOI is write-only
		return false;
	}
}

// TLFS: HV_X64_MSR_ICR has the layout of the mode's own ICR.
static bool write_hv_icr(struct vp *vp, uint64_t value)
{
	if (vapic_mode(vp) == VAPIC_X2APIC)
		return vapic_write_register(vp, APIC_ICR, value);
	vp->apic.icr = (value & HV_ICR_DEST_XAPIC) | (uint32_t)vp->apic.icr;
	return vapic_write_register(vp, APIC_ICR, (uint32_t)value);
}

bool vapic_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
		return vapic_mode(vp) == VAPIC_X2APIC &&
		       vapic_write_register(vp, msr - MSR_X2APIC_FIRST, value);
	switch (msr) {
	case HV_X64_MSR_EOI:
		if (value > UINT32_MAX)
			return false;
		vapic_eoi(vp);
		return true;
	case HV_X64_MSR_ICR:
		return write_hv_icr(vp, value);
	case HV_X64_MSR_TPR:
		if (value > 0xff)
			return false;
		vp->apic.tpr = value;
		return true;
	case MSR_TSC_DEADLINE:
		vapic_set_tsc_deadline(vp, value);
		return true;
	case MSR_APIC_BASE:
		return write_base(vp, value);
	default:
		return false;
	}
}
