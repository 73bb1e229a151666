// SPDX-License-Identifier: BSD-2-Clause
// A VP's registers by TLFS name (HV_REGISTER_NAME): a row for each group of names. What has no row
// may be the backend's.
#include "hypervisor/core/backend.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/msr.h"

// N is the name's place in its row. Getters fill *VALUE, which is zeroed; setters may be NULL:
// read-only.
struct row {
	uint32_t first, count;
	hv_status (*get)(
		struct vp *vp, unsigned int n, uint64_t arg, struct hv_register_value *value);
	hv_status (*set)(
		struct vp *vp, unsigned int n, uint64_t arg, const struct hv_register_value *value);
	uint64_t arg;
};

#define GETTER(name)                                                                               \
	static hv_status name(                                                                     \
		struct vp *vp, unsigned int n, uint64_t arg, struct hv_register_value *value)
#define SETTER(name)                                                                               \
	static hv_status name(struct vp *vp, unsigned int n, uint64_t arg,                         \
		const struct hv_register_value *value)

// ARG: where the field, or the first of an array of them, is in struct vp, and above it its size.
#define FIELD(member) (offsetof(struct vp, member) | sizeof(((struct vp *)0)->member) << 32)

GETTER(get_field)
{
	memcpy(value, (const char *)vp + (uint32_t)arg + n * (arg >> 32), arg >> 32);
	return HV_STATUS_SUCCESS;
}

SETTER(set_field)
{
	memcpy((char *)vp + (uint32_t)arg + n * (arg >> 32), value, arg >> 32);
	return HV_STATUS_SUCCESS;
}

// The parent has finished an instruction, or goes elsewhere.
SETTER(set_rip)
{
	vp_go_on_at(vp, value->reg64);
	return HV_STATUS_SUCCESS;
}

#define RFLAGS_VALID 0x003f7fd7ull // all that APM2 3.1.6 defines
#define RFLAGS_ONE   0x2ull

SETTER(set_rflags)
{
	if (value->reg64 & ~RFLAGS_VALID || !(value->reg64 & RFLAGS_ONE))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vp->regs.rflags = value->reg64;
	return HV_STATUS_SUCCESS;
}

SETTER(set_suspend)
{
	if (value->reg64 & ~HV_REGISTER_SUSPENDED)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	WRITE_ONCE(*((bool *)vp + (uint32_t)arg), value->reg64);
	vp_kick(vp);
	return HV_STATUS_SUCCESS;
}

static const uint8_t activities[] = {
	[VP_ACTIVE] = 0,
	[VP_HALTED] = HV_INTERNAL_ACTIVITY_HALT_SUSPEND,
	[VP_IDLE] = HV_INTERNAL_ACTIVITY_IDLE_SUSPEND,
	[VP_WAIT_FOR_SIPI] = HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND,
};

GETTER(get_activity)
{
	value->reg64 = activities[vp->activity];
	return HV_STATUS_SUCCESS;
}

SETTER(set_activity)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(activities); i++) {
		if (value->reg64 != activities[i])
			continue;
		vp->activity = i;
		vp_kick(vp);
		return HV_STATUS_SUCCESS;
	}
	return HV_STATUS_INVALID_REGISTER_VALUE;
}

GETTER(get_interruption)
{
	value->reg64 = event_get_interruption(vp);
	return HV_STATUS_SUCCESS;
}

SETTER(set_interruption)
{
	return event_set_interruption(vp, value->reg64);
}

GETTER(get_pending_event)
{
	value->reg128.low = event_get_pending(vp);
	return HV_STATUS_SUCCESS;
}

SETTER(set_pending_event)
{
	return event_set_pending(vp, value->reg128.low, value->reg128.high);
}

GETTER(get_interrupt_state)
{
	value->reg64 = (vp->regs.interrupt_shadow ? HV_INTERRUPT_STATE_SHADOW : 0) |
		       (backend->nmi_state(vp) != NMI_OPEN ? HV_INTERRUPT_STATE_NMI_MASKED : 0);
	return HV_STATUS_SUCCESS;
}

SETTER(set_interrupt_state)
{
	bool blocked = value->reg64 & HV_INTERRUPT_STATE_NMI_MASKED;

	if (value->reg64 & ~(HV_INTERRUPT_STATE_SHADOW | HV_INTERRUPT_STATE_NMI_MASKED))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vp->regs.interrupt_shadow = value->reg64 & HV_INTERRUPT_STATE_SHADOW;
	if (blocked != (backend->nmi_state(vp) != NMI_OPEN))
		backend->set_nmi_blocked(vp, blocked);
	return HV_STATUS_SUCCESS;
}

GETTER(get_cr8)
{
	value->reg64 = vapic_get_cr8(vp);
	return HV_STATUS_SUCCESS;
}

SETTER(set_cr8)
{
	if (value->reg64 > 15)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vapic_set_cr8(vp, value->reg64);
	return HV_STATUS_SUCCESS;
}

GETTER(get_xfem)
{
	value->reg64 = vp_xcr0(vp);
	return HV_STATUS_SUCCESS;
}

SETTER(set_xfem)
{
	if (!vp_xcr0_valid(value->reg64))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	if (vp->loaded_on)
		return HV_STATUS_INVALID_VP_STATE; // the caller's own: there is XSETBV
	vp->xcr0 = value->reg64;
	return HV_STATUS_SUCCESS;
}

// The processor holds those of the caller's own VP, which has an instruction for them.
GETTER(get_spec_ctrl)
{
	return vp->loaded_on ? HV_STATUS_INVALID_VP_STATE : get_field(vp, n, arg, value);
}

SETTER(set_spec_ctrl)
{
	if (value->reg64 & ~guest_control_bits(GUEST_SPEC_CTRL))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	return vp->loaded_on ? HV_STATUS_INVALID_VP_STATE : set_field(vp, n, arg, value);
}

SETTER(set_virt_spec_ctrl)
{
	if (value->reg64 & ~guest_control_bits(GUEST_VIRT_SPEC_CTRL))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	return vp->loaded_on ? HV_STATUS_INVALID_VP_STATE : set_field(vp, n, arg, value);
}

// The XSAVE area (SDM volume 1, 13.4): x87 and SSE state, the XSTATE_BV bits that say whether it is
// there, and the reset values.
enum { AREA_X87 = 0, AREA_X87_BYTES = 24, AREA_ST = 32 };
enum { AREA_XMM = 160, AREA_XMM_BYTES = 256, AREA_XSTATE_BV = 512 };
enum { STATE_X87 = 1, STATE_SSE = 2 };
#define FCW_RESET 0x37f

// The part of VP's area that BIT of XSTATE_BV is for, made explicit if it was in its initial state.
static char *extended_state(struct vp *vp, uint64_t bit)
{
	char *area = vp->xsave;
	uint64_t present;
	const uint16_t fcw = FCW_RESET;

	memcpy(&present, area + AREA_XSTATE_BV, sizeof(present));
	if (present & bit)
		return area;
	if (bit == STATE_X87) {
		memset(area + AREA_X87, 0, AREA_X87_BYTES);
		memcpy(area + AREA_X87, &fcw, sizeof(fcw));
		memset(area + AREA_ST, 0, AREA_XMM - AREA_ST);
	} else {
		memset(area + AREA_XMM, 0, AREA_XMM_BYTES);
	}
	present |= bit;
	memcpy(area + AREA_XSTATE_BV, &present, sizeof(present));
	return area;
}

// ARG: the register's place in the area, in the lower 16 bits; which state it belongs to, above.
#define EXTENDED(offset, state) ((offset) | (state) << 16)

GETTER(get_extended)
{
	if (vp->loaded_on)
		return HV_STATUS_INVALID_VP_STATE;
	memcpy(value, extended_state(vp, arg >> 16) + (arg & 0xffff) + 16 * n, sizeof(*value));
	return HV_STATUS_SUCCESS;
}

#define MXCSR_VALID 0xffffu

SETTER(set_extended)
{
	if (vp->loaded_on)
		return HV_STATUS_INVALID_VP_STATE;
	// XRSTOR refuses an MXCSR with reserved bits.
	if ((arg & 0xffff) == 16 && value->xmm_control_status.xmm_status_control & ~MXCSR_VALID)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	memcpy(extended_state(vp, arg >> 16) + (arg & 0xffff) + 16 * n, value, sizeof(*value));
	return HV_STATUS_SUCCESS;
}

// ARG: the first MSR, and above it the distance to the next one.
#define MSRS(first, distance) ((first) | (uint64_t)(distance) << 32)

static uint32_t msr_number(unsigned int n, uint64_t arg)
{
	return (uint32_t)arg + n * (uint32_t)(arg >> 32);
}

GETTER(get_msr)
{
	return msr_read(vp, msr_number(n, arg), &value->reg64) ? HV_STATUS_SUCCESS
							       : HV_STATUS_UNKNOWN_REGISTER_NAME;
}

SETTER(set_msr)
{
	static const hv_status statuses[] = {
		[MSR_FAULT] = HV_STATUS_INVALID_REGISTER_VALUE,
		[MSR_DONE] = HV_STATUS_SUCCESS,
		[MSR_AGAIN] = HYPERCALL_RETRY,
	};

	return statuses[msr_write(vp, msr_number(n, arg), value->reg64)];
}

// The state itself (core/vp_state.h), and other views of it, or of what is not the VP's.
#define R(first, count, get, set, arg)			{ first, count, get, set, arg },
#define ROWS(type, name, array, value, ...)		__VA_ARGS__
#define STATE_ROWS(type, name, array, when, value, ...) __VA_ARGS__
#define PAGE_ROWS(name, ...)				__VA_ARGS__
#define SYNIC_ROW(first, count, msrs)			R(first, count, get_msr, set_msr, msrs)
static const struct row rows[] = {
	{ HvRegisterPendingInterruption, 1, get_interruption, set_interruption, 0 },
	{ HvRegisterInterruptState, 1, get_interrupt_state, set_interrupt_state, 0 },
	{ HvRegisterPendingEvent0, 1, get_pending_event, set_pending_event, 0 },
	{ HvRegisterVpIndex, 1, get_field, NULL, FIELD(index) },
	{ HvX64RegisterMsrMtrrCap, 1, get_msr, NULL, MSR_MTRR_CAP },
	{ HvX64RegisterMsrMtrrDefType, 1, get_msr, set_msr, MSR_MTRR_DEF_TYPE },
	{ HvX64RegisterMsrMtrrPhysBase0, 16, get_msr, set_msr, MSRS(MSR_MTRR_FIRST, 2) },
	{ HvX64RegisterMsrMtrrPhysMask0, 16, get_msr, set_msr, MSRS(MSR_MTRR_FIRST + 1, 2) },
	{ HvX64RegisterMsrMtrrFix64k00000, 1, get_msr, set_msr, 0x250 },
	{ HvX64RegisterMsrMtrrFix16k80000, 2, get_msr, set_msr, MSRS(0x258, 1) },
	{ HvX64RegisterMsrMtrrFix4kC0000, 8, get_msr, set_msr, MSRS(0x268, 1) },
	{ HvX64RegisterTscAdjust, 1, get_msr, set_msr, MSR_TSC_ADJUST },
	{ HvRegisterProcessorClockFrequency, 1, get_msr, NULL, HV_X64_MSR_TSC_FREQUENCY },
	{ HvRegisterInterruptClockFrequency, 1, get_msr, NULL, HV_X64_MSR_APIC_FREQUENCY },
	{ HvX64RegisterHypercall, 1, get_msr, set_msr, HV_X64_MSR_HYPERCALL },
	{ HvRegisterGuestOsId, 1, get_msr, set_msr, HV_X64_MSR_GUEST_OS_ID },
	{ HvRegisterTimeRefCount, 1, get_msr, NULL, HV_X64_MSR_TIME_REF_COUNT },
	{ HvX64RegisterSyntheticTpr, 1, get_msr, set_msr, HV_X64_MSR_TPR },
	{ HvRegisterReferenceTsc, 1, get_msr, set_msr, HV_X64_MSR_REFERENCE_TSC },
	{ HvRegisterSversion, 1, get_msr, NULL, HV_X64_MSR_SVERSION },
	// clang-format off
	VP_REGS(ROWS) VP_STATE(STATE_ROWS) VP_PAGES(PAGE_ROWS) VP_SYNIC_STATE(SYNIC_ROW)
	// clang-format on
};

// *N: the name's place in its row.
static const struct row *find_row(uint32_t name, unsigned int *n)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		*n = name - rows[i].first;
		if (*n >= rows[i].count)
			continue;
		*n = index_nospec(*n, rows[i].count);
		return &rows[i];
	}
	return NULL;
}

hv_status vp_get_register(
	struct vp *vp, enum hv_register_name name, struct hv_register_value *value)
{
	unsigned int n;
	const struct row *row = find_row(name, &n);

	memset(value, 0, sizeof(*value));
	if (!row)
		return backend->get_register(vp, name, value) ? HV_STATUS_SUCCESS
							      : HV_STATUS_UNKNOWN_REGISTER_NAME;
	return row->get ? row->get(vp, n, row->arg, value) : HV_STATUS_UNKNOWN_REGISTER_NAME;
}

hv_status vp_set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value)
{
	unsigned int n;
	const struct row *row = find_row(name, &n);
	struct hv_register_value now;

	if (row)
		return row->set ? row->set(vp, n, row->arg, value) : HV_STATUS_OPERATION_DENIED;
	if (!backend->get_register(vp, name, &now))
		return HV_STATUS_UNKNOWN_REGISTER_NAME;
	return backend->set_register(vp, name, value) ? HV_STATUS_SUCCESS
						      : HV_STATUS_INVALID_REGISTER_VALUE;
}
