// SPDX-License-Identifier: BSD-2-Clause
// Making, resetting and destroying VPs (TLFS: Virtual Processor Management).
#include "hypervisor/core/vp.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/msr.h"

_Static_assert(sizeof(struct vp) <= PAGE_SIZE, "a VP is one page");
_Static_assert(SYNIC_DIRECT_MESSAGES * sizeof(struct message) <= PAGE_SIZE,
	"direct messages are one page");

#define RFLAGS_RESET 2 // bit 1 is always set
#define RESET_RIP    0xfff0
#define RESET_PAT    0x0007040600070406ull

// Offsets in the XSAVE area (SDM volume 1, 13.4.1).
#define XSAVE_FCW   0
#define XSAVE_MXCSR 24
#define RESET_FCW   0x37f
#define RESET_MXCSR 0x1f80

static void timer_fire(struct timer *timer)
{
	// A VP is one page, so that its timers lead back to it.
	struct vp *vp = (struct vp *)ALIGN_DOWN((uintptr_t)timer, PAGE_SIZE);

	__atomic_fetch_or(&vp->expired_timers, 1u << (timer - vp->timers), __ATOMIC_SEQ_CST);
	vp_request(vp, VP_REQ_TIMERS);
}

// Where VP's pages are noted. NULL: no further one.
static void **pages_of(struct vp *vp, unsigned int i)
{
	void **pages[] = { &vp->xsave, &vp->synic.sim_page, &vp->synic.sief_page,
		(void **)&vp->synic.direct, &vp->assist_page, (void **)&vp->stats };

	if (i < ARRAY_SIZE(pages))
		return pages[i];
	i -= ARRAY_SIZE(pages);
	return i < backend->vp_pages ? &vp->arch_pages[i] : NULL;
}

static bool take_pages(struct vp *vp, struct partition *partition)
{
	void **page;

	for (unsigned int i = 0; (page = pages_of(vp, i)); i++)
		if (!(*page = page_alloc(&partition->pool)))
			return false;
	return gpa_map_provide(&partition->gpa, VP_OVERLAYS);
}

static void free_all(struct vp *vp, struct page_pool *pool)
{
	void **page;

	for (unsigned int i = 0; (page = pages_of(vp, i)); i++)
		page_free(pool, *page);
	page_free(pool, vp);
}

struct vp *vp_create(struct partition *partition, uint32_t index, uint32_t apic_id)
{
	struct page_pool *pool = &partition->pool;
	struct vp *vp = page_alloc(pool);

	if (!vp)
		return NULL;
	if (!take_pages(vp, partition)) {
		free_all(vp, pool);
		return NULL;
	}
	vp->partition = partition;
	vp->index = index;
	vp->cpu = pcpus[index % pcpu_count];
	vp->weight = partition->cpu_weight;
	vp->run_state = VP_BLOCKED;
	vp->offered_vector = -1;
	vp->explicit_suspend = true; // TLFS: HvCallCreateVp
	list_init(&vp->run_link);
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
	gpa_map_unprovide(&partition->gpa, VP_OVERLAYS);
	stats_overlays_free(partition->parent, vp->stats_overlay);
	free_all(vp, &partition->pool);
}

static void reset_extended_state(struct vp *vp)
{
	const uint16_t fcw = RESET_FCW;
	const uint32_t mxcsr = RESET_MXCSR;

	memset(vp->xsave, 0, PAGE_SIZE);
	memcpy((char *)vp->xsave + XSAVE_FCW, &fcw, sizeof(fcw));
	memcpy((char *)vp->xsave + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	vp->xcr0 = 1;
}

// APM2 14.1.3: what differs between a reset and INIT.
static void reset_power_on(struct vp *vp)
{
	reset_extended_state(vp);
	vp->tsc_aux = 0;
	vp->tsc_adjust = 0;
	vp->pat = RESET_PAT;
	vp->mtrr_def_type = 0;
	synic_reset(vp);
}

void vp_reset(struct vp *vp, bool power_on)
{
	struct cpuid_result signature;

	if (power_on)
		reset_power_on(vp);
	memset(&vp->regs, 0, sizeof(vp->regs));
	vp->regs.rip = RESET_RIP;
	vp->regs.rflags = RFLAGS_RESET;
	memset(vp->dr, 0, sizeof(vp->dr));
	vp->event = (struct event){ 0 };
	vp->nmi_waits = false;
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
