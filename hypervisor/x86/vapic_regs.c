// SPDX-License-Identifier: BSD-2-Clause
// The virtual local APIC's register file, and its MSRs: x2APIC, APIC base, TSC deadline and the
// TLFS's EOI, ICR and TPR.
#include "hypervisor/x86/vapic_internal.h"

#define APIC_VERSION_VALUE 0x00050014u // six LVT entries, no EOI-broadcast suppression
#define LVT_READ_ONLY	   0x5000u     // delivery status, remote IRR
#define HV_ICR_DEST_XAPIC  0xff00000000000000ull

enum {		    // struct apic_row.flags
	PAGE = 1,   // reached through the page in xAPIC mode
	X2 = 2,	    // by its MSR in x2APIC mode
	MSR = 4,    // by its MSR in any mode
	WIDE = 8,   // the field has 64 bits, else 32
	STORE = 16, // what is written goes to the field, before WRITE is called
};

// Registers go by their MSR; those that are on the page alone, by what would be their MSR.
struct apic_row {
	uint32_t first, last;
	uint16_t flags;
	uint16_t field;			       // offset in struct vp of the first; 0: none
	uint64_t writable;		       // other bits: ignored on the page, else #GP
	uint64_t (*read)(const struct vp *vp); // NULL: the field, or 0 on the page, else #GP
	void (*write)(struct vp *vp, uint64_t value);
};

static uint64_t read_page_id(const struct vp *vp)
{
	return vp->apic.id << 24;
}

static uint64_t read_version(const struct vp *vp)
{
	return APIC_VERSION_VALUE;
}

static void write_eoi(struct vp *vp, uint64_t value)
{
	vapic_eoi(vp);
}

// After a write to LDR or DFR: device interrupts of the root may go by them.
static void mirror(struct vp *vp, uint64_t value)
{
	if (vp->partition->is_root)
		phys_apic_mirror_ldr(vp);
}

static void write_dfr(struct vp *vp, uint64_t value)
{
	WRITE_ONCE(vp->apic.dfr, value | 0x0fffffff);
	mirror(vp, 0);
}

// After a write to one of them, or to the SVR: an APIC that is disabled has them all masked.
static void write_lvt(struct vp *vp, uint64_t value)
{
	for (unsigned int i = 0; i < LVT_COUNT; i++) {
		vp->apic.lvt[i] &= ~LVT_READ_ONLY;
		if (!(vp->apic.svr & SVR_ENABLE))
			vp->apic.lvt[i] |= LVT_MASKED;
	}
}

static void write_lvt_timer(struct vp *vp, uint64_t value)
{
	vapic_timer_set_lvt(vp, value);
	write_lvt(vp, value);
}

static void write_esr(struct vp *vp, uint64_t value)
{
	vp->apic.esr = vp->apic.esr_shadow;
	vp->apic.esr_shadow = 0;
}

static void write_icr(struct vp *vp, uint64_t value)
{
	if (vapic_mode(vp) != VAPIC_X2APIC)
		value |= vp->apic.icr >> 32 << 32;
	vp->apic.icr = value;
	vapic_send_icr(vp, value);
}

static void write_self_ipi(struct vp *vp, uint64_t value)
{
	if (value < 16)
		vapic_error(vp, ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
	else
		vapic_interrupt(vp, value, VAPIC_EDGE);
}

#define ONE(reg)	   MSR_X2APIC_FIRST + (reg), MSR_X2APIC_FIRST + (reg)
#define RANGE(first, last) MSR_X2APIC_FIRST + (first), MSR_X2APIC_FIRST + (last)
#define OWN(msr)	   (msr), (msr)
#define FIELD(name)	   offsetof(struct vp, name)
#define LVT(name)	   offsetof(struct vp, apic.lvt[name])
#define BOTH		   (PAGE | X2)

// Registers that may be used most come first.
static const struct apic_row rows[] = {
	{ ONE(APIC_EOI), BOTH, 0, 0, NULL, write_eoi },
	{ OWN(HV_X64_MSR_EOI), MSR, 0, UINT32_MAX, NULL, write_eoi },
	{ ONE(APIC_ICR), PAGE, FIELD(apic.icr), 0xccfff, NULL, write_icr },
	{ ONE(APIC_ICR), X2 | WIDE, FIELD(apic.icr), 0xffffffff000ccfff, NULL, write_icr },
	{ OWN(HV_X64_MSR_ICR), MSR | WIDE, FIELD(apic.icr), 0, NULL, NULL }, // write_hv_icr()
	{ ONE(APIC_ICR_HIGH), PAGE | STORE, FIELD(apic.icr) + 4, 0xff000000, NULL, NULL },
	{ ONE(APIC_TPR), BOTH | STORE, FIELD(apic.tpr), 0xff, NULL, NULL },
	{ OWN(HV_X64_MSR_TPR), MSR | STORE, FIELD(apic.tpr), 0xff, NULL, NULL },
	{ OWN(MSR_TSC_DEADLINE), MSR, 0, UINT64_MAX, vapic_tsc_deadline, vapic_set_tsc_deadline },
	{ ONE(APIC_TIMER_INITIAL), BOTH, FIELD(apic.timer_initial), UINT32_MAX, NULL,
		vapic_timer_set_initial },
	{ ONE(APIC_LVT_TIMER), BOTH, LVT(LVT_TIMER), 0x710ff, NULL, write_lvt_timer },
	{ RANGE(APIC_LVT_TIMER + 1, APIC_LVT_TIMER + 2), BOTH | STORE, LVT(LVT_THERMAL), 0x117ff,
		NULL, write_lvt },
	{ RANGE(APIC_LVT_LINT0, APIC_LVT_LINT1), BOTH | STORE, LVT(LVT_LINT0), 0x1f7ff, NULL,
		write_lvt },
	{ ONE(APIC_LVT_ERROR), BOTH | STORE, LVT(LVT_ERROR), 0x110ff, NULL, write_lvt },
	{ ONE(APIC_TIMER_CURRENT), BOTH, 0, 0, vapic_timer_current, NULL },
	{ ONE(APIC_TIMER_DIVIDE), BOTH, FIELD(apic.timer_divide), 0xb, NULL,
		vapic_timer_set_divide },
	{ ONE(APIC_SELF_IPI), X2, 0, 0xff, NULL, write_self_ipi },
	{ ONE(APIC_ID), PAGE, 0, 0, read_page_id, NULL },
	{ ONE(APIC_ID), X2, FIELD(apic.id), 0, NULL, NULL },
	{ ONE(APIC_VERSION), BOTH, 0, 0, read_version, NULL },
	{ ONE(APIC_APR), PAGE, 0, 0, NULL, NULL }, { ONE(APIC_PPR), BOTH, 0, 0, vapic_ppr, NULL },
	{ ONE(APIC_RRD), PAGE, 0, 0, NULL, NULL },
	{ ONE(APIC_LDR), PAGE | STORE, FIELD(apic.ldr), 0xff000000, NULL, mirror },
	{ ONE(APIC_LDR), X2, FIELD(apic.ldr), 0, NULL, NULL },
	{ ONE(APIC_DFR), PAGE, FIELD(apic.dfr), 0xf0000000, NULL, write_dfr },
	{ ONE(APIC_SVR), BOTH | STORE, FIELD(apic.svr), 0x3ff, NULL, write_lvt },
	{ RANGE(APIC_ISR, APIC_ISR + 7), BOTH, FIELD(apic.isr), 0, NULL, NULL },
	{ RANGE(APIC_TMR, APIC_TMR + 7), BOTH, FIELD(apic.level), 0, NULL, NULL },
	{ RANGE(APIC_IRR, APIC_IRR + 7), BOTH, FIELD(apic.irr), 0, NULL, NULL },
	{ ONE(APIC_ESR), BOTH, FIELD(apic.esr), 0, NULL, write_esr },
	{ OWN(MSR_APIC_BASE), MSR | WIDE, FIELD(apic_base), 0, NULL, NULL }, // write_base()
};

// BY: one of PAGE, X2 and MSR, or 0, which finds nothing.
static const struct apic_row *find_row(struct vp *vp, uint32_t msr, unsigned int by)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last && rows[i].flags & by)
			return &rows[i];
	if (by == PAGE)
		vapic_error(vp, ESR_ILLEGAL_REGISTER);
	return NULL;
}

// What the guest has been offered is requested until it takes it (vapic_offered()).
static uint32_t offered(const struct vp *vp, const struct apic_row *row, uint32_t msr)
{
	int vector = vp->offered_vector;

	if (row->field != FIELD(apic.irr) || vector < 0 || vector / 32 != (int)(msr - row->first))
		return 0;
	return 1u << vector % 32;
}

static uint32_t *field(struct vp *vp, const struct apic_row *row, uint32_t msr)
{
	return (uint32_t *)((char *)vp + row->field) +
	       index_nospec(msr - row->first, row->last - row->first + 1);
}

static bool read(struct vp *vp, uint32_t msr, unsigned int by, uint64_t *value)
{
	const struct apic_row *row = find_row(vp, msr, by);

	*value = 0;
	if (!row)
		return false;
	if (row->read)
		*value = row->read(vp);
	else if (row->flags & WIDE)
		*value = *(uint64_t *)field(vp, row, msr);
	else if (row->field)
		*value = READ_ONCE(*field(vp, row, msr)) | offered(vp, row, msr);
	else
		return by == PAGE;
	return true;
}

static bool write(struct vp *vp, uint32_t msr, unsigned int by, uint64_t value)
{
	const struct apic_row *row = find_row(vp, msr, by);

	if (!row)
		return false;
	if (by != PAGE && (value & ~row->writable || !(row->write || row->flags & STORE)))
		return false;
	value &= row->writable;
	if (row->flags & STORE)
		WRITE_ONCE(*field(vp, row, msr), value);
	if (row->write)
		row->write(vp, value);
	return true;
}

static unsigned int by_register(const struct vp *vp)
{
	return vapic_mode(vp) == VAPIC_X2APIC ? X2 : PAGE;
}

bool vapic_read_register(struct vp *vp, unsigned int reg, uint64_t *value)
{
	return read(vp, MSR_X2APIC_FIRST + reg, by_register(vp), value);
}

bool vapic_write_register(struct vp *vp, unsigned int reg, uint64_t value)
{
	return write(vp, MSR_X2APIC_FIRST + reg, by_register(vp), value);
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
		WRITE_ONCE(vp->apic.ldr, vapic_x2apic_ldr(vp));
	mirror(vp, 0);
	return true;
}

// TLFS: HV_X64_MSR_ICR has the layout of the mode's own ICR.
static bool write_hv_icr(struct vp *vp, uint64_t value)
{
	if (vapic_mode(vp) == VAPIC_X2APIC)
		return vapic_write_register(vp, APIC_ICR, value);
	vp->apic.icr = (value & HV_ICR_DEST_XAPIC) | (uint32_t)vp->apic.icr;
	return vapic_write_register(vp, APIC_ICR, (uint32_t)value);
}

static unsigned int by_msr(const struct vp *vp, uint32_t msr)
{
	if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST)
		return MSR;
	return vapic_mode(vp) == VAPIC_X2APIC ? X2 : 0;
}

bool vapic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value)
{
	return read(vp, msr, by_msr(vp, msr), value);
}

bool vapic_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	if (msr == MSR_APIC_BASE)
		return write_base(vp, value);
	if (msr == HV_X64_MSR_ICR)
		return write_hv_icr(vp, value);
	return write(vp, msr, by_msr(vp, msr), value);
}
