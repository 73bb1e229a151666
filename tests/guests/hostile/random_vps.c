// SPDX-License-Identifier: BSD-2-Clause
// Processors that stop and start each other, and watch each other: who does not get on is woken by
// an NMI, and started again if that does not help.
#include "tests/guests/hostile/random.h"

#include "hypercall/call.h"
#include "hypercall/interrupt.h"
#include "hypercall/msr.h"
#include "hypercall/table.h"
#include "lumen/vp.h"

#define MS	      10000ull // in units of 100 ns
#define STUCK	      (100 * MS)
#define MSR_APIC_BASE 0x1bu
#define APIC_BASE     0xfee00800ull
#define APIC_BASE_BSP 0x100ull
#define ICR_NMI	      0x4400u
#define ICR_INIT      0x4500u
#define ICR_SIPI      0x4600u

enum { ATTEMPTS = 3 };

static bool start_call(struct random_vp *vp, struct random_vp *other)
{
	uint64_t control = HvCallStartVirtualProcessor, result;
	struct hv_input_start_virtual_processor *in = (void *)vp->block;

	*in = (struct hv_input_start_virtual_processor){
		.partition_id = HV_PARTITION_ID_SELF,
		.vp_index = other->index,
		.vp_context = in->vp_context,
	};
	__asm__ volatile("vmmcall"
			 : "=a"(result), "+c"(control)
			 : "d"(in)
			 : "r8", "r9", "r10", "r11", "memory");
	return !(result & HV_RESULT_STATUS_MASK);
}

// Where a processor arrives that was started by hypercall, on its fault stack, which nobody uses.
static void begin(void *context)
{
	random_next(context, RANDOM_BEGUN);
}

static bool start_by_call(struct random_vp *vp, struct random_vp *other)
{
	struct hv_input_start_virtual_processor *in = (void *)vp->block;

	lumen_vp_context_like_this(
		&in->vp_context, begin, other, other->fault_stack + sizeof(other->fault_stack));
	return start_call(vp, other);
}

static bool start_by_sipi(struct random_vp *other)
{
	struct kernel_entry entry;

	if (!kernel_prepare(other->index, &entry))
		return false;
	random_ipi(other->index, ICR_SIPI | entry.sipi_vector);
	return true;
}

static bool restart(struct random_vp *vp, struct random_vp *other)
{
	if (other == vp)
		return false;
	random_ipi(other->index, ICR_INIT);
	return random_one_in(vp, 2) ? start_by_call(vp, other) : start_by_sipi(other);
}

// So that what is sent to the other one is sent.
static void use_apic(struct random_vp *vp)
{
	kernel_wrmsr(MSR_APIC_BASE, APIC_BASE | (vp->index ? 0 : APIC_BASE_BSP));
}

void random_watch(struct random_vp *vp)
{
	struct random_vp *other = &random_vps[(vp->index + 1) % random_count];
	uint64_t actions = __atomic_load_n(&other->actions, __ATOMIC_RELAXED);
	uint64_t now = kernel_rdmsr(HV_X64_MSR_TIME_REF_COUNT);

	if (actions != vp->watched) {
		vp->watched = actions;
		vp->attempts = 0;
	} else if (now - vp->watched_since < STUCK) {
		return;
	} else if (other != vp) {
		use_apic(vp);
		if (vp->attempts++ % ATTEMPTS == 0)
			random_ipi(other->index, ICR_NMI);
		else
			restart(vp, other);
	}
	vp->watched_since = now;
}

// --- actions ---

static bool stop_and_start(struct random_vp *vp)
{
	return restart(vp, random_other(vp));
}

// Most often it runs already.
static bool start(struct random_vp *vp)
{
	return start_by_call(vp, random_other(vp));
}

// A context in which one word is another.
static bool start_anywhere(struct random_vp *vp)
{
	struct hv_input_start_virtual_processor *in = (void *)vp->block;
	struct random_vp *other = random_other(vp);

	lumen_vp_context_like_this(
		&in->vp_context, begin, other, other->fault_stack + sizeof(other->fault_stack));
	((uint64_t *)&in->vp_context)[random_below(vp, sizeof(in->vp_context) / 8)] =
		random_value(vp);
	if (other != vp)
		random_ipi(other->index, ICR_INIT);
	return start_call(vp, other);
}

static bool sipi_anywhere(struct random_vp *vp)
{
	struct random_vp *other = random_other(vp);

	if (other == vp)
		return false;
	random_ipi(other->index, ICR_INIT);
	random_ipi(other->index, ICR_SIPI | (uint32_t)random_below(vp, 256));
	return true;
}

struct random_action random_vp_actions[] = {
	{ .name = "stop-start", .run = stop_and_start, .weight = 20 },
	{ .name = "start", .run = start, .weight = 50 },
	{ .name = "start-anywhere", .run = start_anywhere, .weight = 2 },
	{ .name = "sipi-anywhere", .run = sipi_anywhere, .weight = 1 },
	{ .name = NULL },
};
