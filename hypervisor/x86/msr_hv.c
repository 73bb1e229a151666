// SPDX-License-Identifier: BSD-2-Clause
// Synthetic MSRs (TLFS: Virtual Processors, Timers, Partition Properties; those of the SynIC are in
// core/synic.c).
#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/msr_table.h"
#include "hypervisor/x86/state.h"

enum { INT3 = 0xcc, CRASH_TEXT_MAX = 4096, CRASH_TEXT_CHUNK = 96 };

#define ARGS_READ  struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t *value
#define ARGS_WRITE struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t value

// Shows PAGE where *VALUE, a register that places a page, says. No memory for it: the enable bit
// stays clear.
static void place_page(struct partition *partition, struct overlay *overlay, void *page,
	uint64_t *value, unsigned int access)
{
	uint64_t gpa_page = *value >> HV_X64_MSR_PAGE_SHIFT;
	bool enable = *value & HV_X64_MSR_PAGE_ENABLE;

	if (enable && overlay->active && overlay->gpa_page == gpa_page)
		return;
	if (enable && !overlay_set(&partition->gpa, overlay, gpa_page, page, access)) {
		*value &= ~HV_X64_MSR_PAGE_ENABLE;
		enable = false;
	}
	if (!enable) {
		if (!overlay->active)
			return;
		overlay_clear(&partition->gpa, overlay);
	}
	partition_flush_gpa(partition);
}

static bool beyond_gpa_space(uint64_t value)
{
	return value & HV_X64_MSR_PAGE_ENABLE && value >> GPA_BITS;
}

static bool read_guest_os_id(ARGS_READ)
{
	*value = READ_ONCE(vp->partition->guest_os_id);
	return true;
}

// TLFS: if the identity is cleared, the hypercall page becomes disabled (unless it is locked: then
// nothing changes it).
static bool write_guest_os_id(ARGS_WRITE)
{
	struct partition *partition = vp->partition;

	spin_lock(&partition->lock);
	partition->guest_os_id = value;
	if (value == 0 && !(partition->hypercall_msr & HV_X64_MSR_HYPERCALL_LOCKED)) {
		partition->hypercall_msr &= ~HV_X64_MSR_HYPERCALL_ENABLE;
		place_page(partition, &partition->hypercall_overlay, partition->hypercall_page,
			&partition->hypercall_msr, 0);
	}
	spin_unlock(&partition->lock);
	return true;
}

static bool read_hypercall(ARGS_READ)
{
	*value = READ_ONCE(vp->partition->hypercall_msr);
	return true;
}

static void fill_hypercall_page(uint8_t *page)
{
	memcpy(page, backend->hypercall_code, backend->hypercall_code_size);
	memset(page + backend->hypercall_code_size, INT3, PAGE_SIZE - backend->hypercall_code_size);
}

// TLFS: Establishing the Hypercall Interface.
static bool write_hypercall(ARGS_WRITE)
{
	struct partition *partition = vp->partition;
	bool locked;

	if (beyond_gpa_space(value))
		return false;
	spin_lock(&partition->lock);
	locked = partition->hypercall_msr & HV_X64_MSR_HYPERCALL_LOCKED;
	if (!locked) {
		if (partition->guest_os_id == 0)
			value &= ~HV_X64_MSR_HYPERCALL_ENABLE;
		if (!partition->hypercall_overlay.active)
			fill_hypercall_page(partition->hypercall_page);
		place_page(partition, &partition->hypercall_overlay, partition->hypercall_page,
			&value, GPA_READ | GPA_EXECUTE);
		partition->hypercall_msr = value;
	}
	spin_unlock(&partition->lock);
	return !locked;
}

static bool read_vp_index(ARGS_READ)
{
	*value = vp->index;
	return true;
}

static bool read_vp_runtime(ARGS_READ)
{
	const struct run_queue *queue = &this_cpu()->run_queue;
	uint64_t ticks = vp->runtime_tsc;

	if (queue->current == vp)
		ticks += tsc_read() - queue->current_since;
	*value = tsc_to_100ns(ticks);
	return true;
}

static bool read_time_ref_count(ARGS_READ)
{
	*value = partition_reference_time(vp->partition, tsc_read());
	return true;
}

static bool read_reference_tsc(ARGS_READ)
{
	*value = READ_ONCE(vp->partition->reference_tsc_msr);
	return true;
}

// TLFS: Partition Reference TSC Mechanism.
static void fill_reference_tsc_page(const struct partition *partition)
{
	struct hv_reference_tsc_page *page = partition->reference_tsc_page;
	uint64_t guest_origin = partition->tsc_origin + partition->tsc_offset;

	page->tsc_scale = tsc_to_100ns_scale;
	page->tsc_offset = -(int64_t)tsc_to_100ns(guest_origin);
	page->tsc_sequence = 1;
}

// TLFS: a page beyond the GPA space is "not accessible to the guest", and no fault.
static bool write_reference_tsc(ARGS_WRITE)
{
	struct partition *partition = vp->partition;
	uint64_t placed = beyond_gpa_space(value) ? 0 : value;

	spin_lock(&partition->lock);
	if (!partition->reference_tsc_overlay.active)
		fill_reference_tsc_page(partition);
	place_page(partition, &partition->reference_tsc_overlay, partition->reference_tsc_page,
		&placed, GPA_READ);
	partition->reference_tsc_msr = beyond_gpa_space(value) ? value : placed;
	spin_unlock(&partition->lock);
	return true;
}

static bool read_tsc_frequency(ARGS_READ)
{
	*value = tsc_hz;
	return true;
}

static bool read_apic_frequency(ARGS_READ)
{
	*value = VAPIC_TIMER_HZ;
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

static bool read_assist(ARGS_READ)
{
	*value = vp->assist_msr;
	return true;
}

static bool write_assist(ARGS_WRITE)
{
	if (beyond_gpa_space(value))
		return false;
	if (!vp->assist_overlay.active)
		memset(vp->assist_page, 0, PAGE_SIZE);
	place_page(
		vp->partition, &vp->assist_overlay, vp->assist_page, &value, GPA_READ | GPA_WRITE);
	vp->assist_msr = value;
	return true;
}

static bool read_synic(ARGS_READ)
{
	return synic_read_msr(vp, msr, value);
}

static bool write_synic(ARGS_WRITE)
{
	return synic_write_msr(vp, msr, value);
}

static bool read_crash_parameter(ARGS_READ)
{
	*value = vp->crash.p[msr - HV_X64_MSR_CRASH_P0];
	return true;
}

static bool write_crash_parameter(ARGS_WRITE)
{
	vp->crash.p[msr - HV_X64_MSR_CRASH_P0] = value;
	return true;
}

static bool read_crash_ctl(ARGS_READ)
{
	*value = HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE;
	return true;
}

static bool write_crash_ctl(ARGS_WRITE)
{
	vp->crash.ctl = value;
	return true;
}

static bool read_tsc_invariant(ARGS_READ)
{
	*value = READ_ONCE(vp->partition->tsc_invariant_control);
	return true;
}

static bool write_tsc_invariant(ARGS_WRITE)
{
	if (value & ~HV_TSC_INVARIANT_CONTROL_EXPOSE)
		return false;
	__atomic_fetch_or(&vp->partition->tsc_invariant_control, value, __ATOMIC_RELAXED);
	return true;
}

#define ROW(number, read, write, privilege)                                                        \
	{                                                                                          \
		number, number, MSR_ALL, read, write,                                              \
		{                                                                                  \
			privilege                                                                  \
		}                                                                                  \
	}

const struct msr_row msr_hv_rows[] = {
	ROW(HV_X64_MSR_GUEST_OS_ID, read_guest_os_id, write_guest_os_id,
		HV_PRIVILEGE_HYPERCALL_MSRS),
	ROW(HV_X64_MSR_HYPERCALL, read_hypercall, write_hypercall, HV_PRIVILEGE_HYPERCALL_MSRS),
	ROW(HV_X64_MSR_VP_INDEX, read_vp_index, NULL, HV_PRIVILEGE_VP_INDEX),
	ROW(HV_X64_MSR_VP_RUNTIME, read_vp_runtime, NULL, HV_PRIVILEGE_VP_RUNTIME),
	ROW(HV_X64_MSR_TIME_REF_COUNT, read_time_ref_count, NULL,
		HV_PRIVILEGE_PARTITION_REFERENCE_COUNTER),
	ROW(HV_X64_MSR_REFERENCE_TSC, read_reference_tsc, write_reference_tsc,
		HV_PRIVILEGE_PARTITION_REFERENCE_TSC),
	ROW(HV_X64_MSR_TSC_FREQUENCY, read_tsc_frequency, NULL, HV_PRIVILEGE_FREQUENCY_REGS),
	ROW(HV_X64_MSR_APIC_FREQUENCY, read_apic_frequency, NULL, HV_PRIVILEGE_FREQUENCY_REGS),
	ROW(HV_X64_MSR_EOI, read_vapic, write_vapic, HV_PRIVILEGE_INTR_CTRL_REGS),
	ROW(HV_X64_MSR_ICR, read_vapic, write_vapic, HV_PRIVILEGE_INTR_CTRL_REGS),
	ROW(HV_X64_MSR_TPR, read_vapic, write_vapic, HV_PRIVILEGE_INTR_CTRL_REGS),
	ROW(HV_X64_MSR_VP_ASSIST_PAGE, read_assist, write_assist, HV_PRIVILEGE_INTR_CTRL_REGS),
	{ HV_X64_MSR_SCONTROL, HV_X64_MSR_SIRBP, MSR_ALL, read_synic, write_synic,
		{ HV_PRIVILEGE_SYNIC_REGS } },
	{ HV_X64_MSR_SINT0, HV_X64_MSR_SINT15, MSR_ALL, read_synic, write_synic,
		{ HV_PRIVILEGE_SYNIC_REGS } },
	{ HV_X64_MSR_STIMER0_CONFIG, HV_X64_MSR_STIMER3_COUNT, MSR_ALL, read_synic, write_synic,
		{ HV_PRIVILEGE_SYNTHETIC_TIMER_REGS } },
	{ HV_X64_MSR_CRASH_P0, HV_X64_MSR_CRASH_P4, MSR_ALL, read_crash_parameter,
		write_crash_parameter, { HV_PRIVILEGE_NONE } },
	ROW(HV_X64_MSR_CRASH_CTL, read_crash_ctl, write_crash_ctl, HV_PRIVILEGE_NONE),
	ROW(HV_X64_MSR_TSC_INVARIANT_CONTROL, read_tsc_invariant, write_tsc_invariant,
		HV_PRIVILEGE_TSC_INVARIANT_CONTROLS),
};
const size_t msr_hv_row_count = ARRAY_SIZE(msr_hv_rows);

// The guest's own text, what is printable of it. TLFS: P3 is its GPA, P4 its length in bytes, at
// most 4096.
static void log_crash_text(struct vp *vp, gpa_t from, uint64_t length)
{
	char text[CRASH_TEXT_CHUNK + 1];

	length = MIN(length, CRASH_TEXT_MAX);
	while (length) {
		size_t chunk = MIN(length, CRASH_TEXT_CHUNK);

		if (!guest_read(vp->partition, from, text, chunk))
			return;
		for (size_t i = 0; i < chunk; i++)
			if (text[i] < ' ' || text[i] > '~')
				text[i] = ' ';
		text[chunk] = 0;
		log_info("%s", text);
		from.value += chunk;
		length -= chunk;
	}
}

void msr_hv_log_crash(struct vp *vp)
{
	const uint64_t *p = vp->crash.p;

	log_limited("partition %lu VP %u reports a crash: %lx %lx %lx %lx %lx", vp->partition->id,
		vp->index, p[0], p[1], p[2], p[3], p[4]);
	// Only the root's text is worth more than one line here; that of a child is for its parent.
	if (vp->partition->is_root && vp->crash.ctl & HV_CRASH_CTL_CRASH_MESSAGE)
		log_crash_text(vp, gpa(p[3]), p[4]);
}
