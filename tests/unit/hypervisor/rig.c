// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/hypervisor/rig.h"

#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/cpu.h"
#include "tests/unit/start_clock.h"

struct rig rig;
uint64_t tsc_start, tsc_hz = RIG_TSC_HZ, tsc_to_100ns_scale;
uint64_t host_xcr0 = 7;
uint64_t trace_spa = 0x123456000, trace_bytes = 0x10000;
uint32_t trace_mask;

// --- time ---

uint64_t rdtsc(void)
{
	return rig.tsc++;
}

// --- the backend ---

struct hv_register_value *rig_register(const struct vp *vp, enum hv_register_name name)
{
	struct rig_vp *of = rig_of(vp);

	for (unsigned int i = 0; i < of->register_count; i++)
		if (of->registers[i].name == name)
			return &of->registers[i].value;
	cr_assert(of->register_count < RIG_REGISTERS);
	of->registers[of->register_count].name = name;
	return &of->registers[of->register_count++].value;
}

void rig_set(const struct vp *vp, enum hv_register_name name, uint64_t value)
{
	rig_register(vp, name)->reg64 = value;
}

static bool get_register(struct vp *vp, enum hv_register_name name, struct hv_register_value *value)
{
	*value = *rig_register(vp, name);
	return true;
}

static bool set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value)
{
	*rig_register(vp, name) = *value;
	return true;
}

static const uint8_t hypercall_code[] = { 0x0f, 0x01, 0xd9, 0xc3 };

static const struct backend rig_backend = {
	.name = "rig",
	.hypercall_code = hypercall_code,
	.hypercall_code_size = sizeof(hypercall_code),
	.get_register = get_register,
	.set_register = set_register,
};
const struct backend *backend = &rig_backend;

// --- VPs ---

void vp_kick(struct vp *vp)
{
	rig_of(vp)->kicks++;
}

void vp_request(struct vp *vp, uint32_t requests)
{
	vp->requests |= requests;
	vp_kick(vp);
}

uint64_t vp_xcr0(const struct vp *vp)
{
	return vp->xcr0;
}

void vp_skip_insn(struct vp *vp, unsigned int length)
{
	vp->regs.rip += length;
}

void vp_inject_ud(struct vp *vp)
{
	rig_of(vp)->exception = 6;
}

void vp_inject_gp(struct vp *vp)
{
	rig_of(vp)->exception = 13;
}

void vapic_level_eoi(struct vp *vp, unsigned int vector)
{
	rig_of(vp)->level_eois++;
	rig_of(vp)->last_level_eoi = vector;
}

void phys_apic_mirror_ldr(struct vp *vp)
{
	rig_of(vp)->mirrored++;
}

// --- timers: armed or not, by their deadline ---

void timer_arm(struct timer *timer, uint64_t deadline)
{
	timer->deadline = deadline;
}

void timer_cancel(struct timer *timer)
{
	timer->deadline = 0;
}

// --- memory ---

static bool in_memory(gpa_t at, size_t size)
{
	return at.value <= sizeof(rig.memory) && size <= sizeof(rig.memory) - at.value;
}

bool guest_read(struct partition *partition, gpa_t from, void *to, size_t size)
{
	if (!in_memory(from, size))
		return false;
	memcpy(to, rig.memory + from.value, size);
	return true;
}

bool guest_write(struct partition *partition, gpa_t to, const void *from, size_t size)
{
	if (!in_memory(to, size))
		return false;
	memcpy(rig.memory + to.value, from, size);
	return true;
}

// The overlay's leaf is the access that it was given.
bool partition_place_page(struct partition *partition, struct overlay *overlay, void *page,
	uint64_t where, unsigned int access)
{
	uint64_t gpa_page = where >> HV_X64_MSR_PAGE_SHIFT;
	bool active = where & HV_X64_MSR_PAGE_ENABLE;

	cr_assert_not_null(page);
	if (rig.place_again)
		return false;
	if (active == overlay->active && (!active || overlay->gpa_page == gpa_page))
		return true;
	*overlay = (struct overlay){ .active = active, .gpa_page = gpa_page, .leaf = access };
	partition_flush_gpa(partition);
	return true;
}

void partition_flush_vps(struct partition *partition, uint64_t mask)
{
	rig.flushes++;
}

// --- others ---

bool synic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value)
{
	*value = msr;
	return true;
}

enum msr_result synic_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	rig.synic_written = msr;
	return true;
}

bool intercept_msr(struct vp *vp, uint32_t msr, bool write, uint64_t value, bool known)
{
	rig.intercepted_crashes += msr == HV_X64_MSR_CRASH_CTL;
	return rig.intercept_msrs || msr == HV_X64_MSR_CRASH_CTL;
}

void intercept_override_cpuid(
	struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
}

bool intercept_cpuid(struct vp *vp, const struct cpuid_result *result)
{
	return false;
}

bool msr_rd_safe(uint32_t msr, uint64_t *value)
{
	*value = 0;
	return msr == 0xfe || msr == 0x2ff || msr == 0x8b; // what a test may meet
}

bool msr_wr_safe(uint32_t msr, uint64_t value)
{
	return true;
}

void trace_write(enum lumen_trace_event event, const struct vp *vp, uint64_t a, uint64_t b)
{
}

void log_line(bool limited, const char *fmt, ...)
{
}

void panic(const char *fmt, ...)
{
	cr_assert_fail("panic: %s", fmt);
	__builtin_unreachable();
}

// --- a fresh start ---

static void setup_vp(unsigned int index)
{
	struct vp *vp = &rig.vp[index];
	struct hv_register_value *cs;

	vp->partition = &rig.partition;
	vp->index = index;
	vp->offered_vector = -1;
	vp->assist_page = rig.of[index].assist;
	vp->xcr0 = 1;
	rig.of[index].exception = RIG_NO_EXCEPTION;
	rig.partition.vps[index] = vp;
	vp->apic.id = index;
	vapic_reset(vp, true);
	vp->apic.svr = 0x1ff;
	cs = rig_register(vp, HvX64RegisterCs);
	cs->segment.attributes =
		HV_X64_SEGMENT_LONG | HV_X64_SEGMENT_PRESENT | HV_X64_SEGMENT_NON_SYSTEM;
	rig_set(vp, HvX64RegisterEfer, EFER_LME | EFER_LMA);
}

void rig_setup(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.tsc = start_clock();
	tsc_start = rig.tsc - 10 * RIG_TSC_HZ;
	tsc_to_100ns_scale = (uint64_t)(((unsigned __int128)10000000 << 64) / tsc_hz);
	rig.partition.id = 2;
	rig.partition.privileges = UINT64_MAX;
	rig.partition.hypercall_page = rig.hypercall_page;
	rig.partition.reference_tsc_page = rig.reference_tsc_page;
	rig.partition.tsc_origin = tsc_read() - 5 * RIG_TSC_HZ;
	rig.partition.tsc_offset = -rig.partition.tsc_origin;
	for (unsigned int i = 0; i < RIG_VPS; i++)
		setup_vp(i);
	rig.partition.vp_count = RIG_VPS;
	for (unsigned int i = 0; i < RIG_VPS; i++)
		rig.of[i].kicks = 0;
}
