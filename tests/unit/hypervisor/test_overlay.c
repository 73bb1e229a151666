// SPDX-License-Identifier: BSD-2-Clause
// Overlay pages move about for ever, whatever the processor has noted in the entries on the way and
// whatever the parent does to the memory around them: no move fails, and no table is lost.
#include "tests/unit/hypervisor/machine.h"
#include "tests/unit/hypervisor/step.h"

#include <criterion/criterion.h>

#include "hypercall/memory.h"
#include "hypercall/msr.h"
#include "hypercall/stats.h"
#include "hypervisor/x86/msr.h"

#define PAGE(n) ((n)*4096ull)
#define FAR	(1ull << 27)
enum { MOVES = 200, RAM = 16 };

TestSuite(overlay, .init = machine_setup);

static const uint32_t page_msrs[] = { HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP, HV_X64_MSR_HYPERCALL,
	HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_VP_ASSIST_PAGE };

static unsigned int spares(const struct gpa_map *map)
{
	unsigned int n = 0;

	for (void *page = map->spares; page; page = *(void **)page)
		n++;
	return n;
}

static void *page_of(struct vp *vp, uint32_t msr)
{
	switch (msr) {
	case HV_X64_MSR_SIMP:
		return vp->synic.sim_page;
	case HV_X64_MSR_SIEFP:
		return vp->synic.sief_page;
	case HV_X64_MSR_HYPERCALL:
		return vp->partition->hypercall_page;
	case HV_X64_MSR_REFERENCE_TSC:
		return vp->partition->reference_tsc_page;
	}
	return vp->assist_page;
}

static hv_status unmap(hv_partition_id id, uint64_t page)
{
	const uint64_t in[] = { id, page, 0 };

	return machine_call_rep(root_vp(0), HvCallUnmapGpaPages, 1, in, sizeof(in), NULL, 0, NULL);
}

static hv_status map(hv_partition_id id, uint64_t to, uint32_t flags, uint64_t from)
{
	const uint64_t in[] = { id, to, HV_MAP_GPA_PERMISSIONS_MASK | flags, from };

	return machine_call_rep(root_vp(0), HvCallMapGpaPages, 1, in, sizeof(in), NULL, 0, NULL);
}

// The guest reads and writes all that is near.
static void use(struct partition *partition, uint64_t page)
{
	for (uint64_t at = page & ~511ull; at < (page & ~511ull) + 512; at++)
		if (!machine_access(partition, PAGE(at), GPA_READ | GPA_WRITE))
			machine_access(partition, PAGE(at), GPA_READ);
}

static void move(struct vp *vp, uint32_t msr, uint64_t page)
{
	uint64_t value;

	cr_assert_eq(msr_write(vp, msr, PAGE(page) | 1), MSR_DONE, "MSR %x to %lx", msr, page);
	cr_assert(msr_read(vp, msr, &value));
	cr_assert_eq(value, PAGE(page) | 1, "MSR %x: %lx", msr, value);
	cr_assert_eq(machine_access(vp->partition, PAGE(page), GPA_READ), page_of(vp, msr));
}

static void move_about(struct vp *vp, const uint64_t *places, unsigned int count)
{
	struct gpa_map *map = &vp->partition->gpa;
	unsigned int before = spares(map);

	machine_run(vp);
	for (unsigned int m = 0; m < ARRAY_SIZE(page_msrs); m++) {
		for (unsigned int i = 0; i < MOVES; i++) {
			uint64_t old = places[i % count];

			use(vp->partition, old);
			move(vp, page_msrs[m], old);
			use(vp->partition, old);
		}
		cr_assert_eq(msr_write(vp, page_msrs[m], 0), MSR_DONE);
	}
	// What the last move left behind is collected by the next one.
	cr_assert_eq(msr_write(vp, HV_X64_MSR_SIMP, PAGE(places[0]) | 1), MSR_DONE);
	cr_assert_eq(msr_write(vp, HV_X64_MSR_SIMP, 0), MSR_DONE);
	cr_assert_eq(msr_write(vp, HV_X64_MSR_SIEFP, PAGE(1) | 1), MSR_DONE);
	cr_assert_eq(msr_write(vp, HV_X64_MSR_SIEFP, 0), MSR_DONE);
	cr_assert_geq(spares(map) + GPA_FOLDED_MAX, before);
}

Test(overlay, moves_in_large_pages)
{
	static const uint64_t places[] = { 2000, 2600, 2601, 3100, 3600, FAR, 2 * FAR };

	move_about(root_vp(0), places, ARRAY_SIZE(places));
	for (uint64_t page = MACHINE_HV_PAGES; page < MACHINE_PAGES; page++)
		cr_assert_eq(machine_memory(root_partition, PAGE(page)), page_to_va(page));
}

// Each time into another large page that has not been split before.
Test(overlay, more_moves_than_tables)
{
	struct partition *child = machine_child(0, 1, RAM);
	enum { LARGE_PAGES = 100 };

	for (uint64_t i = 1; i <= LARGE_PAGES; i++)
		cr_assert_eq(map(child->id, i * 512, HV_MAP_GPA_LARGE_PAGE, 2048), 0);
	machine_run(child->vps[0]);
	for (unsigned int m = 0; m < ARRAY_SIZE(page_msrs); m++) {
		for (uint64_t i = 1; i <= LARGE_PAGES; i++) {
			move(child->vps[0], page_msrs[m], i * 512 + 7 * m);
			use(child, i * 512);
		}
	}
}

Test(overlay, moves_where_no_memory_is)
{
	static const uint64_t places[] = { FAR, FAR + 1, FAR + 512, FAR + (1 << 18), 2 * FAR,
		511 * FAR, 3, 4 };

	move_about(machine_child(0, 1, RAM)->vps[0], places, ARRAY_SIZE(places));
}

// All that a partition of many VPs has, all apart, all moving.
Test(overlay, all_at_once)
{
	struct partition *child = machine_child(0, 4, RAM);

	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 4; i++) {
			machine_run(child->vps[i]);
			for (unsigned int m = 0; m < ARRAY_SIZE(page_msrs); m++)
				move(child->vps[i], page_msrs[m],
					(uint64_t)(1 + (round + i * 8 + m) % 100) * FAR);
		}
	}
}

// What the processor notes of a page it notes of the large page that it is a part of.
Test(overlay, what_the_processor_has_noted_is_kept)
{
	struct gpa_map *map = &root_partition->gpa;
	const uint64_t noted = backend->gpa_format.noted;
	uint64_t *table, *entry;

	entry = &((uint64_t *)page_to_va(map->top[0] >> 12))[0];
	table = page_to_va(*entry >> 12);
	entry = &table[2000 / 512];
	cr_assert_eq(*entry & noted, 0, "nobody has used it");
	move(root_vp(0), HV_X64_MSR_SIMP, 2000);
	cr_assert_not_null(machine_access(root_partition, PAGE(2001), GPA_WRITE));
	cr_assert_eq(msr_write(root_vp(0), HV_X64_MSR_SIMP, 0), MSR_DONE);
	cr_assert(*entry & backend->gpa_format.large);
	cr_assert_eq(*entry & noted, noted);
	move(root_vp(0), HV_X64_MSR_SIMP, 2000);
	table = page_to_va(*entry >> 12);
	cr_assert_eq(table[7] & noted, noted, "a page that nobody has used since");
}

// The parent changes a page beside an overlay: then the table is no more what it was made from, and
// does not come back when the overlay goes. The parent pays for it, not the child's moves.
Test(overlay, a_parent_changes_what_is_near)
{
	struct partition *child = machine_child(0, 1, RAM);
	struct vp *vp = child->vps[0];

	for (uint64_t i = 1; i <= 30; i++) {
		machine_run(vp);
		move(vp, HV_X64_MSR_SIMP, i * FAR);
		cr_assert_eq(map(child->id, i * FAR + 1, 0, 3500), 0);
		cr_assert_not_null(machine_access(child, PAGE(i * FAR + 1), GPA_WRITE));
	}
	for (uint64_t i = 1; i <= 30; i++) {
		machine_run(vp);
		move(vp, HV_X64_MSR_SIMP, i * FAR);
		cr_assert_eq(unmap(child->id, i * FAR + 1), 0);
	}
	cr_assert_eq(map(child->id, 512, HV_MAP_GPA_LARGE_PAGE, 2048), 0);
	for (uint64_t i = 0; i < 30; i++) {
		machine_run(vp);
		move(vp, HV_X64_MSR_SIMP, 600);
		cr_assert_eq(unmap(child->id, 601), 0);
		machine_run(vp);
		move(vp, HV_X64_MSR_SIMP, FAR);
		cr_assert_eq(map(child->id, 512, HV_MAP_GPA_LARGE_PAGE, 2048), 0);
	}
}

Test(overlay, a_parent_without_memory_changes_nothing)
{
	struct partition *child = machine_child(0, 1, RAM);
	struct vp *vp = child->vps[0];
	void *page;

	cr_assert_eq(map(child->id, 512, HV_MAP_GPA_LARGE_PAGE, 2048), 0);
	machine_run(vp);
	move(vp, HV_X64_MSR_SIMP, 600);
	while ((page = page_alloc(&child->pool)))
		page_free(&root_partition->pool, page);
	cr_assert_eq(unmap(child->id, 601), HV_STATUS_INSUFFICIENT_MEMORY);
	cr_assert_not_null(machine_access(child, PAGE(601), GPA_WRITE));
	for (unsigned int i = 0; i < MOVES; i++) {
		machine_run(vp);
		move(vp, HV_X64_MSR_SIMP, i & 1 ? 600 : FAR * (1 + i % 100));
	}
}

// A statistics page that cannot be shown takes nothing.
Test(overlay, pages_of_statistics_move)
{
	hv_partition_id id = machine_child(0, 1, RAM)->id;
	unsigned int before = spares(&root_partition->gpa);

	for (uint64_t i = 0; i < MOVES; i++) {
		const uint64_t in[] = { HvStatsObjectVp, id, 0,
			i & 1 ? 3000 : FAR * (1 + i % 100) };
		const uint64_t out[] = { HvStatsObjectVp, id, 0 };

		cr_assert_eq(
			machine_call(root_vp(0), HvCallMapStatsPage2, in, sizeof(in), NULL, 0), 0);
		use(root_partition, in[3]);
		if (i % 5 == 4)
			cr_assert_eq(machine_call(root_vp(0), HvCallUnmapStatsPage, out,
					     sizeof(out), NULL, 0),
				0);
	}
	machine_destroy(id);
	cr_assert_geq(spares(&root_partition->gpa) + GPA_FOLDED_MAX, before);
}

// --- two processors move their pages at once ---

static struct vp *movers[2];

static enum msr_result move_sim(unsigned int i, uint64_t page)
{
	return msr_write(movers[i], HV_X64_MSR_SIMP, PAGE(page) | 1);
}

// The first's page is the one behind the second's in the list.
static void setup_movers(void)
{
	for (unsigned int i = 0; i < 2; i++)
		cr_assert_eq(move_sim(i, 3 + i), MSR_DONE);
}

static void first_moves(void)
{
	cr_assert_eq(move_sim(0, 5), MSR_DONE);
	step_end();
}

static void second_moves(void)
{
	machine_cpu = &machine_cpus[1];
	cr_assert_eq(move_sim(1, 6), MSR_DONE);
}

static void check_movers(void)
{
	struct partition *partition = movers[0]->partition;
	unsigned int count = 0;

	for (struct overlay *o = partition->gpa.overlays; o && count < 9; o = o->next)
		count++;
	cr_assert_eq(count, 2, "overlays in the list: %u", count);
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert_eq(machine_access(partition, PAGE(5 + i), GPA_READ),
			movers[i]->synic.sim_page);
		cr_assert_eq(machine_access(partition, PAGE(3 + i), GPA_READ),
			machine_memory(partition, PAGE(3 + i)));
	}
}

// Found by the hostile guest, which hung the machine: what a move remembers of its page has to be
// true when it has the lock.
Test(overlay, two_processors_move_at_once, .timeout = 60)
{
	struct partition *child = machine_child(0, 2, RAM);

	machine_run(child->vps[0]);
	for (unsigned int i = 0; i < 2; i++)
		movers[i] = child->vps[i];
	cr_assert_gt(step_through(&(const struct step_case){
			     setup_movers, first_moves, second_moves, check_movers }),
		20, "nothing was stepped through");
}
