// SPDX-License-Identifier: BSD-2-Clause
// Several processors: started by hypercall or by INIT and SIPI, one clock on all of them,
// interrupts from one to the others, and a TLB flush that reaches all.
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/detect.h"
#include "lumen/hypercall.h"
#include "lumen/ipi.h"
#include "lumen/platform.h"
#include "lumen/tlb.h"
#include "lumen/vp.h"

#define S 10000000ul // in units of 100 ns

enum { VECTOR_IPI = 0x60, VECTOR_SPURIOUS = 0xff };

static uint32_t processors = 1; // that run
static uint64_t others;		// VP indexes of all but this one, a bit for each
static uint32_t interrupted;

// --- starting ---

// Straight to 64-bit mode, if this partition may.
static lumen_status start_by_hypercall(uint32_t index, const struct kernel_entry *entry)
{
	LUMEN_CALL_BLOCK struct hv_initial_vp_context context;
	lumen_status status;
	uint32_t vp;

	if (!lumen_has(HV_PRIVILEGE_START_VIRTUAL_PROCESSOR))
		return LUMEN_NO_PRIVILEGE;
	status = lumen_vp_index_of(kernel_apic_id(index), &vp);
	if (status)
		return status;
	lumen_vp_context_like_this(&context, entry->function, entry->argument, entry->stack_top);
	return lumen_vp_start(vp, &context);
}

static void start_one(uint32_t index)
{
	uint64_t give_up = lumen_clock_100ns() + 20 * S;
	const char *how = "hypercall";
	struct kernel_entry entry;
	lumen_status status;

	if (!kernel_check(kernel_prepare(index, &entry), "there is memory for processor %u", index))
		return;
	status = start_by_hypercall(index, &entry);
	if (status) {
		how = "INIT and SIPI";
		status = lumen_vp_start_sipi(kernel_apic_id(index), entry.sipi_vector);
	}
	while (!status && !kernel_started(index) && lumen_clock_100ns() < give_up)
		kernel_relax();
	if (kernel_check(
		    kernel_started(index), "processor %u runs, by %s (%x)", index, how, status))
		processors++;
}

// Runs on each processor.
static void say_who(void *context)
{
	uint32_t vp = lumen_this_vp();

	if (context)
		lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	if (kernel_this_processor())
		__atomic_fetch_or(&others, 1ull << vp, __ATOMIC_RELAXED);
	kernel_print("Processor %u: APIC id %u, VP index %u\n", kernel_this_processor(),
		lumen_apic_id(), vp);
}

// --- one clock: each processor sees a time that is not before what the last one saw ---

static void look_at_clock(void *context)
{
	uint64_t *last = context, now = lumen_clock_ns();

	if (now < *last)
		*last = UINT64_MAX; // for good
	else
		*last = now;
}

static void check_clock(void)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < 20 * processors; i++)
		kernel_run_on(i % processors, look_at_clock, &last);
	kernel_check(last != UINT64_MAX, "the clock is one for all processors");
}

// --- interrupts ---

static void on_ipi(struct kernel_frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&interrupted, 1, __ATOMIC_RELEASE);
	lumen_eoi();
}

static bool wait_for(uint32_t count)
{
	uint64_t give_up = lumen_clock_100ns() + 10 * S;

	while (__atomic_load_n(&interrupted, __ATOMIC_ACQUIRE) < count &&
		lumen_clock_100ns() < give_up)
		kernel_relax();
	return interrupted == count;
}

// One by one through the interrupt command register, then all by one hypercall.
static void check_interrupts(void)
{
	lumen_status status;
	bool all;

	kernel_set_handler(VECTOR_IPI, on_ipi);
	for (uint32_t i = 1; i < processors; i++)
		lumen_icr_write((uint64_t)kernel_apic_id(i) << 32 | VECTOR_IPI);
	all = wait_for(processors - 1);
	kernel_check(all, "interrupts by ICR: %u of %u", interrupted, processors - 1);
	if (!lumen_is_advised(HV_HINT_SYNTHETIC_CLUSTER_IPI))
		return;
	interrupted = 0;
	status = lumen_ipi_send(VECTOR_IPI, others);
	all = wait_for(processors - 1);
	kernel_check(!status && all, "interrupts by hypercall: %u of %u (%x)", interrupted,
		processors - 1, status);
}

// --- TLB flush: a page at an address of its own, another page at the same address ---

#define WINDOW ((volatile uint64_t *)0x7f0000000000)

enum { OLD = 1, NEW = 2 };

static struct watch {
	uint32_t round;			      // goes up when all are to look again; 0: no more
	uint32_t seen[KERNEL_PROCESSORS_MAX]; // by each: the last round it knew, and the page
} watch;

// Each of the others looks at the page all the time, so that its TLB keeps the translation.
static void look(void *context)
{
	uint32_t *seen = &watch.seen[kernel_this_processor()], round;

	(void)context;
	while ((round = __atomic_load_n(&watch.round, __ATOMIC_ACQUIRE)))
		__atomic_store_n(seen, round << 8 | (uint32_t)*WINDOW, __ATOMIC_RELEASE);
}

// A new round. Returns how many of all see this page in it.
static uint32_t how_many_see(uint32_t page)
{
	uint32_t round = watch.round + 1, count = *WINDOW == page;

	__atomic_store_n(&watch.round, round, __ATOMIC_RELEASE);
	for (uint32_t i = 1; i < processors; i++) {
		const uint32_t *seen = &watch.seen[i];

		while (__atomic_load_n(seen, __ATOMIC_ACQUIRE) >> 8 != round)
			kernel_relax();
		count += (*seen & 0xff) == page;
	}
	return count;
}

static uint64_t address_space(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3 & KERNEL_PTE_ADDRESS;
}

static void flush_and_check(volatile uint64_t *entry, const uint64_t *page)
{
	uint64_t range;
	uint32_t count;
	lumen_status status;

	count = how_many_see(OLD);
	kernel_check(count == processors, "%u of %u see the old page", count, processors);
	*entry = lumen_gpa(page) | KERNEL_PTE_PRESENT;
	kernel_print("%u see it still, as nothing has been flushed\n", how_many_see(OLD));
	lumen_tlb_ranges((const void *)WINDOW, 1, &range, 1);
	status = lumen_tlb_flush_list(address_space(), HV_FLUSH_ALL_PROCESSORS, 0, &range, 1);
	count = how_many_see(NEW);
	kernel_check(!status && count == processors, "%u of %u see the new one after a flush (%x)",
		count, processors, status);
}

static void check_flush(void)
{
	volatile uint64_t *entry = kernel_pte(WINDOW);
	uint64_t *old = lumen_alloc_pages(1), *new = lumen_alloc_pages(1);

	if (!kernel_check(entry && old && new, "there is memory"))
		return;
	*old = OLD;
	*new = NEW;
	*entry = lumen_gpa(old) | KERNEL_PTE_PRESENT;
	watch.round = 1;
	for (uint32_t i = 1; i < processors; i++)
		kernel_run(i, look, NULL);
	flush_and_check(entry, new);
	__atomic_store_n(&watch.round, 0, __ATOMIC_RELEASE);
	for (uint32_t i = 1; i < processors; i++)
		kernel_join(i);
}

int kernel_main(void)
{
	lumen_status status = lumen_clock_start();

	if (!status)
		status = lumen_hypercall_enable(0);
	if (!status)
		status = lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	if (!kernel_check(!status, "clock, hypercalls and APIC are started (%x)", status))
		return kernel_failures();
	for (uint32_t i = 1; i < kernel_processors() && !kernel_failures(); i++)
		start_one(i);
	for (uint32_t i = 0; i < processors; i++)
		kernel_run_on(i, say_who, i ? &others : NULL);
	check_clock();
	check_interrupts();
	check_flush();
	return kernel_failures();
}
