// SPDX-License-Identifier: BSD-2-Clause
// From the boot loader to the scheduler: the boot processor's way, and that of the others.
#include "hypervisor/core/frame.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/console.h"
#include "hypervisor/x86/memory.h"
#include "hypervisor/x86/speculation.h"
#include "hypervisor/x86/state.h"

enum { TRACE_PAGES = 129, TRAMPOLINE_PAGE = 0x8 };

extern const struct backend svm_backend;
extern char trampoline_start[], trampoline_end[], image_start[], image_end[];
extern uint64_t trampoline_stack;
void ap_main(void);
void boot_main(uint32_t magic, uint32_t info);
void boot_call_on_stack(void *stack_top, void (*go_on)(void)) __attribute__((noreturn));

const struct backend *backend = &svm_backend;
struct pcpu *pcpus[PCPU_MAX];
uint32_t pcpu_count;
uint64_t tsc_start, tsc_hz, tsc_to_100ns_scale;

// Measures the TSC against channel 2 of the 8254, whose clock is 1,193,182 Hz.
static void calibrate_tsc(void)
{
	enum { TICKS = 59659 }; // 50 ms
	uint64_t start, ticks;

	outb(0x61, (inb(0x61) & ~2) | 1); // gate on, speaker off
	outb(0x43, 0xb0);		  // channel 2, mode 0
	outb(0x42, TICKS & 0xff);
	outb(0x42, TICKS >> 8);
	start = tsc_read();
	while (!(inb(0x61) & 0x20))
		cpu_relax();
	ticks = tsc_read() - start;
	tsc_hz = mul_div(ticks, 1193182, TICKS);
	tsc_to_100ns_scale = div_wide(10000000, 0, tsc_hz);
}

static void frames_init(void)
{
	frame_table_init(memory_top(), boot_alloc(frame_table_bytes(memory_top()) / PAGE_SIZE));
	for_each_memory_range(m)
	{
		uint64_t first = ALIGN_UP(m->base, PAGE_SIZE) >> PAGE_SHIFT;
		uint64_t end = (m->base + m->length) >> PAGE_SHIFT;

		if (m->type == MEMORY_RAM && end > first)
			frame_mark(first, end - first, false);
	}
	for (const struct spa_range *r = hypervisor_memory; r <= RESERVE; r++)
		frame_mark(r->base >> PAGE_SHIFT, (r->end - r->base) >> PAGE_SHIFT, true);
}

static struct pcpu *pcpu_create(uint32_t id)
{
	struct pcpu *cpu = boot_alloc(1);

	_Static_assert(sizeof(struct pcpu) <= PAGE_SIZE, "one page");
	cpu->index = pcpu_count;
	cpu->apic_id = id;
	cpu->hypercall_input = boot_alloc(1);
	cpu->hypercall_output = boot_alloc(1);
	cpu->arch = boot_alloc(2);
	cpu->stack = map_stack(pcpu_count);
	*(struct pcpu **)cpu->stack = cpu;
	run_queue_init(&cpu->run_queue);
	list_init(&cpu->timers.armed);
	pcpus[pcpu_count++] = cpu;
	return cpu;
}

// Returns this processor's. With boot-processor=idle that one comes last and is not counted: it
// takes no part once the others run, as QEMU's TCG lets them spoil its SVM state (docs/hacking.md).
static struct pcpu *create_pcpus(void)
{
	uint32_t ids[PCPU_MAX], self = apic_id();
	unsigned int count = acpi_processors(ids, PCPU_MAX);
	const char *option = boot_option("boot-processor");
	bool idle = option && !strncmp(option, "idle", 4);

	if (idle && count < 2)
		panic("boot-processor=idle: there is no other processor");
	if (!idle)
		pcpu_create(self);
	for (unsigned int i = 0; i < count; i++)
		if (ids[i] != self)
			pcpu_create(ids[i]);
	if (!idle)
		return pcpus[0];
	pcpu_create(self);
	return pcpus[--pcpu_count];
}

// What each processor does on its own stack before it runs anything.
static void cpu_enable(void)
{
	trap_init();
	apic_enable();
	xstate_enable();
	speculation_enable();
	backend->cpu_enable();
	__atomic_store_n(&this_cpu()->online, true, __ATOMIC_RELEASE);
}

void ap_main(void)
{
	memory_init();
	cpu_enable();
	sched_run();
}

static bool wait_online(struct pcpu *cpu, uint64_t us)
{
	uint64_t end = tsc_read() + tsc_hz / 1000000 * us;

	while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE) && tsc_read() < end)
		cpu_relax();
	return cpu->online;
}

static void start_processor(struct pcpu *cpu)
{
	trampoline_stack = (uint64_t)cpu->stack + PCPU_STACK_SIZE;
	apic_send_ipi(cpu->apic_id, IPI_INIT);
	wait_online(cpu, 10000); // it will not be: Intel MP 1.4, B.4
	apic_send_ipi(cpu->apic_id, IPI_STARTUP | TRAMPOLINE_PAGE);
	if (wait_online(cpu, 1000))
		return;
	apic_send_ipi(cpu->apic_id, IPI_STARTUP | TRAMPOLINE_PAGE);
	if (!wait_online(cpu, 2000000))
		panic("processor with APIC id %u does not start", cpu->apic_id);
}

// The page below 1 MiB is the root's RAM: its content is put back.
static void start_processors(void)
{
	char saved[256], *page = page_to_va(TRAMPOLINE_PAGE);
	size_t size = trampoline_end - trampoline_start;

	ASSERT(size <= sizeof(saved));
	memcpy(saved, page, size);
	memcpy(page, trampoline_start, size);
	for (uint32_t i = 0; i < pcpu_count; i++)
		if (pcpus[i] != this_cpu())
			start_processor(pcpus[i]);
	memcpy(page, saved, size);
}

// The way of the processor that boot-processor=idle leaves out. Now and then TCG loses a physical
// interrupt at a VMRUN that offers one to the guest, until the next one comes: so one comes.
static void spare_run(void)
{
	for (;;) {
		apic_timer_set(tsc_read() + tsc_hz / 50);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		apic_eoi();
		for (uint32_t i = 0; i < pcpu_count; i++)
			pcpu_kick(pcpus[i]);
	}
}

static void main_on_stack(void)
{
	trap_init();
	create_root_partition();
	if (this_cpu() == pcpus[0])
		cpu_enable();
	start_processors();
	log_info("%u processor%s, TSC %lu MHz, %s", pcpu_count, pcpu_count == 1 ? "" : "s",
		tsc_hz / 1000000, backend->name);
	log_in_background();
	start_root();
	if (this_cpu() == pcpus[0])
		sched_run();
	spare_run();
}

void boot_main(uint32_t magic, uint32_t info)
{
	const char *why_not;

	tsc_start = rdtsc();
	boot_info_read(magic, info);
	console_init();
	log_info("Lumen hypervisor, image %lx-%lx", (uint64_t)image_start, (uint64_t)image_end);
	if (!backend->probe(&why_not))
		panic("%s", why_not);
	memory_reserve_init();
	memory_init();
	frames_init();
	calibrate_tsc();
	speculation_init();
	trace_init(boot_alloc(TRACE_PAGES), TRACE_PAGES * PAGE_SIZE);
	apic_enable();
	boot_call_on_stack((char *)create_pcpus()->stack + PCPU_STACK_SIZE, main_on_stack);
}
