// SPDX-License-Identifier: BSD-2-Clause
// One thing again and again, on all processors: what could hold others up, or fill a log.
#include "tests/guests/hostile/bus.h"

#include "hypercall/msr.h"
#include "lumen/hypercall.h"
#include "lumen/vp.h"

#define CR0_NE	 (1ull << 5)
#define CR4_LA57 (1ull << 12)
#define CR4_CET	 (1ull << 23)

enum { VECTOR = 0x60 };

enum flood { FLOOD_CACHES, FLOOD_BITS, FLOOD_STARTS, FLOOD_LINES, FLOOD_ENTRIES };

static void write_back(void *context)
{
	(void)context;
	__asm__ volatile("wbinvd\n\tinvd\n\t.byte 0xf3, 0x0f, 0x09" : : : "memory"); // WBNOINVD
}

static void read_counters(void *context)
{
	(void)context;
	__asm__ volatile("rdpmc" : : "c"(0) : "rax", "rdx");
}

static void read_register(void *context)
{
	(void)context;
	__asm__ volatile(".byte 0x0f, 0x01, 0xfd" : : "c"(0) : "rax", "rdx"); // RDPRU
}

// An unmasked exception of the FPU with CR0.NE clear: to a PC it is an interrupt.
static void freeze(void *context)
{
	const uint16_t unmasked = 0x340;
	uint64_t cr0;

	(void)context;
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_NE));
	__asm__ volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" : : "m"(unmasked));
}

static void set_cr4(void *bit)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | (uint64_t)bit));
}

static void caches(void)
{
	kernel_try(write_back, NULL, NULL);
	kernel_try(read_counters, NULL, NULL);
	kernel_try(read_register, NULL, NULL);
}

static void bits(void)
{
	kernel_try(set_cr4, (void *)CR4_LA57, NULL);
	kernel_try(set_cr4, (void *)CR4_CET, NULL);
	kernel_try(freeze, NULL, NULL);
	__asm__ volatile("fninit");
}

// Of processors that run, of itself, and of some that are not there.
static void starts(void)
{
	struct hv_initial_vp_context context = { 0 };

	for (uint32_t vp = 0; vp < 5; vp++)
		lumen_vp_start(vp, &context);
}

// What the hypervisor and the worker have something to say about.
static void lines(void)
{
	uint64_t value;

	kernel_try_rdmsr(HV_X64_MSR_SYNTHETIC_LAST, &value);
	kernel_try_wrmsr(HV_X64_MSR_SYNTHETIC_LAST, 1);
	lumen_hypercall_fast(HvCallDeletePartition, 2, 0);
	lumen_hypercall_fast(HvCallSignalEvent, 0x777, 0);
	bus_post(1, 1, "nonsense", 8);
	bus_post(1, 7, "nonsense", 8);
	__asm__ volatile("rep outsb" : "=S"(value) : "0"(&value), "c"(1), "d"(0x999) : "memory");
	kernel_in8(0x998);
}

// Entries with an interrupt that the guest does not let in. (At each of them QEMU 7.2 may lose one
// of the machine's.)
static void entries(void)
{
	kernel_irq_off();
	kernel_apic_send(this_cpu()->apic_id, VECTOR);
	for (unsigned int i = 0; i < 100000; i++)
		kernel_rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

static void repeat(void *flood)
{
	static void (*const floods[])(void) = { caches, bits, starts, lines, entries };

	for (;;)
		floods[(uint64_t)flood]();
}

static void run(uint64_t flood)
{
	if (!kernel_check(!lumen_hypercall_enable(0), "hypercalls"))
		return;
	for (uint32_t i = 1; i < kernel_processors(); i++)
		if (kernel_check(kernel_start(i), "processor %u runs", i))
			kernel_run(i, repeat, (void *)flood);
	repeat((void *)flood);
}

const struct mode flood_modes[] = {
	{ "flood-caches", run, FLOOD_CACHES },
	{ "flood-bits", run, FLOOD_BITS },
	{ "flood-starts", run, FLOOD_STARTS },
	{ "flood-lines", run, FLOOD_LINES },
	{ "flood-entries", run, FLOOD_ENTRIES },
	{ NULL, NULL, 0 },
};
