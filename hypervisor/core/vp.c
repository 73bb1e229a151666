// SPDX-License-Identifier: BSD-2-Clause
// Making, resetting and destroying VPs (TLFS: Virtual Processor Management).
#include "hypervisor/core/vp.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/msr.h"

_Static_assert(sizeof(struct vp) <= PAGE_SIZE, "a VP is one page");
_Static_assert(SYNIC_DIRECT_MESSAGES * sizeof(struct message) <= PAGE_SIZE,
	"direct messages are one page");

// In the XSAVE area (SDM volume 1, 13.4.1). Of what XSTATE_BV says is not there, XRSTOR takes the
// initial values; MXCSR it loads in any case.
#define XSAVE_MXCSR 24
#define RESET_MXCSR 0x1f80

static void timer_fire(struct timer *timer)
{
	// A VP is one page, so that its timers lead back to it.
	struct vp *vp = (struct vp *)ALIGN_DOWN((uintptr_t)timer, PAGE_SIZE);

	__atomic_fetch_or(&vp->expired_timers, 1u << (timer - vp->timers), __ATOMIC_SEQ_CST);
	vp_request(vp, VP_REQ_TIMERS);
}

// Where VP's pages are noted. NULL: no further one.
static void **page_slots(void *owner, unsigned int i)
{
	struct vp *vp = owner;
#define PAGE_OF(name, ...) &vp->name,
	void **pages[] = { VP_PAGES(PAGE_OF)(void **) & vp->synic.direct, (void **)&vp->stats };

	if (i < ARRAY_SIZE(pages))
		return pages[i];
	i -= ARRAY_SIZE(pages);
	return i < backend->vp_pages ? &vp->arch_pages[i] : NULL;
}

static void free_all(struct vp *vp, struct page_pool *pool)
{
	pages_free(pool, page_slots, vp);
	page_free(pool, vp);
}

struct vp *vp_create(struct partition *partition, uint32_t index, uint32_t apic_id)
{
	struct page_pool *pool = &partition->pool;
	struct vp *vp = page_alloc(pool);

	if (!vp)
		return NULL;
	if (!pages_alloc(pool, page_slots, vp) || !overlays_provide(&partition->gpa, VP_OVERLAYS)) {
		free_all(vp, pool);
		return NULL;
	}
	vp->partition = partition;
	vp->index = index;
	vp->cpu = pcpus[index % pcpu_count];
	vp->run_state = VP_BLOCKED;
	vp->offered_vector = -1;
	vp->explicit_suspend = true; // TLFS: HvCallCreateVp
	list_init(&vp->fair.link);
	for (unsigned int i = 0; i < VP_TIMERS; i++)
		timer_init(&vp->timers[i], timer_fire);
	backend->vp_init(vp, vp->arch_pages);
	synic_init(vp);
	vp->apic.id = apic_id;
	vp_reset(vp, true);

	spin_lock(&partition->lock);
	partition->vp_count++;
	store_release(partition->vps[index], vp);
	spin_unlock(&partition->lock);
	return vp;
}

bool vp_retire(struct vp *vp)
{
	struct partition *partition = vp->partition;

	spin_lock(&partition->lock);
	partition->vp_count--;
	store_release(partition->vps[vp->index], NULL);
	spin_unlock(&partition->lock);

	vp_pause(vp);
	for (unsigned int i = 0; i < VP_TIMERS; i++)
		timer_cancel(&vp->timers[i]);
	intercept_cancel(vp);
	overlay_clear(&partition->gpa, &vp->synic.sim_overlay);
	overlay_clear(&partition->gpa, &vp->synic.sief_overlay);
	overlay_clear(&partition->gpa, &vp->assist_overlay);
	return stats_overlays_clear(partition->parent, vp->stats_overlay);
}

void vp_destroy(struct vp *vp)
{
	struct partition *partition = vp->partition;

	sched_remove(vp);
	synic_destroy(vp);
	overlay_reap(&partition->gpa, &vp->synic.sim_overlay);
	overlay_reap(&partition->gpa, &vp->synic.sief_overlay);
	overlay_reap(&partition->gpa, &vp->assist_overlay);
	overlays_unprovide(&partition->gpa, VP_OVERLAYS);
	stats_overlays_free(partition->parent, vp->stats_overlay);
	free_all(vp, &partition->pool);
}

static void reset_extended_state(struct vp *vp)
{
	const uint32_t mxcsr = RESET_MXCSR;

	memset(vp->xsave, 0, PAGE_SIZE);
	memcpy((char *)vp->xsave + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

enum when { INIT, POWER, OWNER, KEPT };

static const struct reset_row {
	uint16_t offset, size;
	uint16_t element; // bytes; structures are reset to zero
	uint8_t when;
	uint32_t value;
} reset_rows[] = {
#define SIZE(field) sizeof(((struct vp *)0)->field)
#define STATE_ROW(type, name, array, when, value, ...)                                             \
	{ offsetof(struct vp, name), SIZE(name), sizeof(type), when, value },
#define REGS_ROW(type, name, array, value, ...) STATE_ROW(type, regs.name, array, INIT, value)
	VP_REGS(REGS_ROW) VP_STATE(STATE_ROW)
};

static void reset_field(struct vp *vp, const struct reset_row *row)
{
	const uint64_t value = row->value;
	char *field = (char *)vp + row->offset;

	memset(field, 0, row->size);
	for (unsigned int at = 0; value && at < row->size; at += row->element)
		memcpy(field + at, &value, row->element);
}

static const struct hv_register_assoc backend_reset[] = {
#define BACKEND_ROW(tlfs, field, kind, ...)                                                        \
	{ .name = HvX64Register##tlfs, .value = { __VA_ARGS__ } },
	VP_BACKEND_STATE(BACKEND_ROW)
};

static void reset_registers(struct vp *vp)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(backend_reset); i++)
		backend->set_register(vp, backend_reset[i].name, &backend_reset[i].value);
}

void vp_reset(struct vp *vp, bool power_on)
{
	struct cpuid_result signature;

	reset_registers(vp); // first: it looks at what the processor has of the fields
	for (unsigned int i = 0; i < ARRAY_SIZE(reset_rows); i++)
		if (reset_rows[i].when == INIT || (power_on && reset_rows[i].when == POWER))
			reset_field(vp, &reset_rows[i]);
	if (power_on) {
		reset_extended_state(vp);
		synic_reset(vp);
	}
	backend->vp_reset(vp);
	vapic_reset(vp, power_on);
	cpuid_read(vp, 1, 0, &signature);
	vp->regs.gpr[RDX] = signature.eax;
	// TLFS: HvCallCreateVp: VP 0 is the boot processor; the others wait for a SIPI.
	vp->activity = vp->index == 0 ? VP_ACTIVE : VP_WAIT_FOR_SIPI;
}

void vp_startup(struct vp *vp, unsigned int vector)
{
	struct hv_register_value cs = { 0 };

	cs.segment.base = (uint64_t)(vector & 0xff) << 12;
	cs.segment.selector = (vector & 0xff) << 8;
	cs.segment.limit = 0xffff;
	cs.segment.attributes = 0x9b; // present, code, readable, accessed
	backend->set_register(vp, HvX64RegisterCs, &cs);
	vp->regs.rip = 0;
	vp->activity = VP_ACTIVE;
}
