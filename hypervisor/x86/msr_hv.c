// SPDX-License-Identifier: BSD-2-Clause
// Synthetic MSRs (TLFS: Virtual Processors, Timers, Partition Properties; those of the SynIC are in
// core/synic.c).
#include "hypercall/cpuid.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/msr_table.h"
#include "hypervisor/x86/state.h"

enum { INT3 = 0xcc, CRASH_TEXT_MAX = 4096, CRASH_TEXT_CHUNK = 96 };

// DATA is the offset of the field, or of the first of as many as the row has numbers.
static uint64_t *field(void *object, const struct msr_row *row, uint32_t msr)
{
	return (uint64_t *)((char *)object + row->data) +
	       index_nospec(msr - row->first, row->last - row->first + 1);
}

#define VP(field)	 offsetof(struct vp, field)
#define PARTITION(field) offsetof(struct partition, field)

MSR_VALUE(read_vp, *field(vp, row, msr))
MSR_VALUE(read_partition, READ_ONCE(*field(vp->partition, row, msr)))
MSR_VALUE(read_constant, row->data)
MSR_VALUE(read_vp_index, vp->index)
MSR_VALUE(read_tsc_frequency, tsc_hz)
MSR_VALUE(read_time_ref_count, partition_reference_time(vp->partition, tsc_read()))
MSR_READ_BY(read_vapic, vapic_read_msr(vp, msr, value))
MSR_WRITE_BY(write_vapic, vapic_write_msr(vp, msr, value))
MSR_READ_BY(read_synic, synic_read_msr(vp, msr, value))
MSR_WRITE_BY(write_synic, synic_write_msr(vp, msr, value))

MSR_WRITE(write_vp)
{
	*field(vp, row, msr) = value;
	return true;
}

static bool beyond_gpa_space(uint64_t value)
{
	return value & HV_X64_MSR_PAGE_ENABLE && value >> guest_address_bits();
}

// TLFS: if the identity is cleared, the hypercall page becomes disabled (unless it is locked: then
// nothing changes it).
MSR_WRITE(write_guest_os_id)
{
	struct partition *partition = vp->partition;

	spin_guard(&partition->lock);
	if (value == 0 && !(partition->hypercall_msr & HV_X64_MSR_HYPERCALL_LOCKED)) {
		if (!partition_place_page(partition, &partition->hypercall_overlay,
			    partition->hypercall_page, 0, 0))
			return MSR_AGAIN;
		partition->hypercall_msr &= ~HV_X64_MSR_HYPERCALL_ENABLE;
	}
	partition->guest_os_id = value;
	return MSR_DONE;
}

static void fill_hypercall_page(uint8_t *page)
{
	memcpy(page, backend->hypercall_code, backend->hypercall_code_size);
	memset(page + backend->hypercall_code_size, INT3, PAGE_SIZE - backend->hypercall_code_size);
}

// TLFS: Establishing the Hypercall Interface.
MSR_WRITE(write_hypercall)
{
	struct partition *partition = vp->partition;

	if (beyond_gpa_space(value))
		return MSR_FAULT;
	spin_guard(&partition->lock);
	if (partition->hypercall_msr & HV_X64_MSR_HYPERCALL_LOCKED)
		return MSR_FAULT;
	if (partition->guest_os_id == 0)
		value &= ~HV_X64_MSR_HYPERCALL_ENABLE;
	if (!partition->hypercall_overlay.active)
		fill_hypercall_page(partition->hypercall_page);
	if (!partition_place_page(partition, &partition->hypercall_overlay,
		    partition->hypercall_page, value, GPA_READ | GPA_EXECUTE))
		return MSR_AGAIN;
	partition->hypercall_msr = value;
	return MSR_DONE;
}

MSR_READ(read_vp_runtime)
{
	const struct run_queue *queue = &this_cpu()->run_queue;
	uint64_t ticks = vp->runtime_tsc;

	if (queue->current == vp)
		ticks += tsc_read() - queue->current_since;
	*value = tsc_to_100ns(ticks);
	return true;
}

// TLFS: Virtual Processor Idle Sleep State: the read completes, then the VP sleeps.
MSR_READ(read_guest_idle)
{
	*value = 0;
	vp->activity = VP_IDLE;
	vp->recheck = true;
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
MSR_WRITE(write_reference_tsc)
{
	struct partition *partition = vp->partition;
	uint64_t placed = beyond_gpa_space(value) ? 0 : value;

	spin_guard(&partition->lock);
	if (!partition->reference_tsc_overlay.active)
		fill_reference_tsc_page(partition);
	if (!partition_place_page(partition, &partition->reference_tsc_overlay,
		    partition->reference_tsc_page, placed, GPA_READ))
		return MSR_AGAIN;
	partition->reference_tsc_msr = value;
	return MSR_DONE;
}

MSR_WRITE(write_assist)
{
	if (beyond_gpa_space(value))
		return MSR_FAULT;
	if (!vp->assist_overlay.active)
		memset(vp->assist_page, 0, PAGE_SIZE);
	if (!partition_place_page(vp->partition, &vp->assist_overlay, vp->assist_page, value,
		    GPA_READ | GPA_WRITE))
		return MSR_AGAIN;
	vp->assist_msr = value;
	return MSR_DONE;
}

MSR_WRITE(write_crash_ctl)
{
	vp->crash.ctl = value;
	return true;
}

MSR_WRITE(write_tsc_invariant)
{
	if (value & ~HV_TSC_INVARIANT_CONTROL_EXPOSE)
		return false;
	__atomic_fetch_or(&vp->partition->tsc_invariant_control, value, __ATOMIC_RELAXED);
	return true;
}

#define RANGE(first, last, privilege)                                                              \
	HV_X64_MSR_##first, HV_X64_MSR_##last, MSR_ALL, HV_PRIVILEGE_##privilege
#define ONE(number, privilege) RANGE(number, number, privilege)

const struct msr_row msr_hv_rows[] = {
	{ ONE(GUEST_OS_ID, ACCESS_HYPERCALL_MSRS), read_partition, write_guest_os_id,
		PARTITION(guest_os_id) },
	{ ONE(HYPERCALL, ACCESS_HYPERCALL_MSRS), read_partition, write_hypercall,
		PARTITION(hypercall_msr) },
	{ ONE(VP_INDEX, ACCESS_VP_INDEX), read_vp_index, NULL, 0 },
	{ ONE(VP_RUNTIME, ACCESS_VP_RUNTIME), read_vp_runtime, NULL, 0 },
	{ ONE(TIME_REF_COUNT, ACCESS_PARTITION_REFERENCE_COUNTER), read_time_ref_count, NULL, 0 },
	{ ONE(REFERENCE_TSC, ACCESS_PARTITION_REFERENCE_TSC), read_partition, write_reference_tsc,
		PARTITION(reference_tsc_msr) },
	{ ONE(TSC_FREQUENCY, ACCESS_FREQUENCY_REGS), read_tsc_frequency, NULL, 0 },
	{ ONE(APIC_FREQUENCY, ACCESS_FREQUENCY_REGS), read_constant, NULL, VAPIC_TIMER_HZ },
	{ RANGE(EOI, TPR, ACCESS_INTR_CTRL_REGS), read_vapic, write_vapic, 0 },
	{ ONE(VP_ASSIST_PAGE, ACCESS_INTR_CTRL_REGS), read_vp, write_assist, VP(assist_msr) },
	{ RANGE(SCONTROL, SIRBP, ACCESS_SYNIC_REGS), read_synic, write_synic, 0 },
	{ RANGE(SINT0, SINT15, ACCESS_SYNIC_REGS), read_synic, write_synic, 0 },
	{ RANGE(STIMER0_CONFIG, STIMER3_COUNT, ACCESS_SYNTHETIC_TIMER_REGS), read_synic,
		write_synic, 0 },
	{ ONE(GUEST_IDLE, ACCESS_GUEST_IDLE_REG), read_guest_idle, NULL, 0 },
	{ RANGE(CRASH_P0, CRASH_P4, NONE), read_vp, write_vp, VP(crash.p) },
	{ ONE(CRASH_CTL, NONE), read_constant, write_crash_ctl,
		HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE },
	{ ONE(TSC_INVARIANT_CONTROL, ACCESS_TSC_INVARIANT_CONTROLS), read_partition,
		write_tsc_invariant, PARTITION(tsc_invariant_control) },
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
