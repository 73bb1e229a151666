// SPDX-License-Identifier: BSD-2-Clause
// The other processors: found in the ACPI tables, started, and given work.
#include "examples/kernel/internal.h"
#include "lumen/acpi.h"

#include "lumen/platform.h"

#define TRAMPOLINE_PAGE 0x8000 // RAM on every PC; Lumen's loader leaves it free (docs/worker.md)
#define START_TICKS	(20ull * 1000 * 1000 * 1000) // of the TSC: some seconds
#define SIPI_TICKS	(100ull * 1000 * 1000)

#define ICR_INIT 0x4500
#define ICR_SIPI 0x4600

// ACPI 6.4, 5.2.12
enum { MADT_ENTRIES = 44, MADT_LOCAL_APIC = 0, MADT_X2APIC = 9, MADT_ENABLED = 1 };

struct madt_entry {
	uint8_t type, length;
	union {
		struct {
			uint8_t uid, apic_id;
			uint32_t flags;
		} __attribute__((packed)) local;
		struct {
			uint16_t rsvd;
			uint32_t apic_id, flags, uid;
		} __attribute__((packed)) x2apic;
	};
} __attribute__((packed)); // as it lies there

static struct kernel_cpu *cpus[KERNEL_PROCESSORS_MAX];
static uint32_t apic_ids[KERNEL_PROCESSORS_MAX];
static uint32_t processors;

uint64_t kernel_ap_stack; // where the next processor that comes from real mode finds its own
void kernel_ap_main(void *argument);

static void add(uint32_t apic_id, uint32_t flags)
{
	if (flags & MADT_ENABLED && apic_id != apic_ids[0] && processors < KERNEL_PROCESSORS_MAX)
		apic_ids[processors++] = apic_id;
}

static void find_processors(void)
{
	const struct lumen_acpi_header *madt = lumen_acpi_table("APIC");
	uint32_t at = MADT_ENTRIES;

	cpus[0] = cpu_boot();
	apic_ids[0] = cpus[0]->apic_id;
	processors = 1;
	while (madt && at + sizeof(struct madt_entry) <= madt->length) {
		const struct madt_entry *entry = (const void *)((const uint8_t *)madt + at);

		if (entry->type == MADT_LOCAL_APIC)
			add(entry->local.apic_id, entry->local.flags);
		else if (entry->type == MADT_X2APIC)
			add(entry->x2apic.apic_id, entry->x2apic.flags);
		at += entry->length ? entry->length : madt->length;
	}
}

uint32_t kernel_processors(void)
{
	if (!processors)
		find_processors();
	return processors;
}

uint32_t kernel_apic_id(uint32_t index)
{
	return index < kernel_processors() ? apic_ids[index] : UINT32_MAX;
}

bool kernel_started(uint32_t index)
{
	return index < kernel_processors() && cpus[index] &&
	       __atomic_load_n(&cpus[index]->online, __ATOMIC_ACQUIRE);
}

static struct kernel_cpu *make_cpu(uint32_t index)
{
	size_t pages = (sizeof(struct kernel_cpu) + KERNEL_PAGE_SIZE - 1) / KERNEL_PAGE_SIZE;
	size_t stack = KERNEL_STACK_SIZE / KERNEL_PAGE_SIZE;
	uint8_t *memory = lumen_alloc_pages(pages + stack);

	if (!memory)
		return NULL;
	cpus[index] = (struct kernel_cpu *)memory;
	cpus[index]->index = index;
	cpus[index]->stack = memory + (pages + stack) * KERNEL_PAGE_SIZE;
	return cpus[index];
}

static uint64_t read_cr(unsigned int number)
{
	uint64_t value;

	if (number == 0)
		__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	else if (number == 3)
		__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	else
		__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

// Puts the start code where real mode can reach it.
static void place_trampoline(void)
{
	volatile uint8_t *to = (volatile uint8_t *)TRAMPOLINE_PAGE;

	for (size_t i = 0; i < (size_t)(kernel_trampoline_end - kernel_trampoline); i++)
		to[i] = kernel_trampoline[i];
}

bool kernel_prepare(uint32_t index, struct kernel_entry *entry)
{
	struct kernel_cpu *cpu;
	uint64_t *top;

	if (index >= kernel_processors())
		return false;
	cpu = cpus[index] ? cpus[index] : make_cpu(index);
	if (!cpu)
		return false;
	top = (uint64_t *)cpu->stack - 1;
	*top = (uint64_t)cpu;
	kernel_ap_stack = (uint64_t)top;
	place_trampoline();
	*entry = (struct kernel_entry){
		.sipi_vector = TRAMPOLINE_PAGE / KERNEL_PAGE_SIZE,
		.rip = (uint64_t)kernel_ap_entry,
		.rsp = (uint64_t)top,
		.cr0 = read_cr(0),
		.cr3 = read_cr(3),
		.cr4 = read_cr(4),
		.efer = kernel_rdmsr(0xc0000080),
		.gdt_base = (uint64_t)kernel_boot_gdt,
		.gdt_limit = sizeof(kernel_boot_gdt) - 1,
		.cs = KERNEL_CS,
		.ss = KERNEL_SS,
		.function = kernel_ap_main,
		.argument = cpu,
		.stack_top = cpu->stack,
	};
	return true;
}

static bool wait_online(uint32_t index, uint64_t ticks)
{
	uint64_t start = kernel_tsc();

	while (!kernel_started(index) && kernel_tsc() - start < ticks)
		kernel_relax();
	return kernel_started(index);
}

bool kernel_start(uint32_t index)
{
	struct kernel_entry entry;

	if (kernel_started(index))
		return true;
	if (!kernel_prepare(index, &entry))
		return false;
	kernel_apic_send(apic_ids[index], ICR_INIT);
	kernel_apic_send(apic_ids[index], ICR_SIPI | entry.sipi_vector);
	if (wait_online(index, SIPI_TICKS))
		return true;
	// The first one may have come too early; a processor that runs ignores the second.
	kernel_apic_send(apic_ids[index], ICR_SIPI | entry.sipi_vector);
	return wait_online(index, START_TICKS);
}

// A processor that has just come up, on its stack.
void kernel_ap_main(void *argument)
{
	struct kernel_cpu *cpu = argument;

	cpu_start(cpu, cpu->index);
	wait_start();
	kernel_irq_on();
	for (;;) {
		wait_while(&cpu->busy, 0);
		if (!__atomic_load_n(&cpu->busy, __ATOMIC_ACQUIRE))
			continue;
		cpu->job.function(cpu->job.context);
		__atomic_store_n(&cpu->busy, 0, __ATOMIC_RELEASE);
		wake_all();
	}
}

void kernel_run(uint32_t index, void (*function)(void *context), void *context)
{
	struct kernel_cpu *cpu = cpus[index];

	wait_start();
	cpu->job = (struct kernel_job){ function, context };
	__atomic_store_n(&cpu->busy, 1, __ATOMIC_RELEASE);
	wake_all();
}

void kernel_join(uint32_t index)
{
	const uint32_t *busy = &cpus[index]->busy;

	while (__atomic_load_n(busy, __ATOMIC_ACQUIRE))
		wait_while(busy, 1);
}

void kernel_run_on(uint32_t index, void (*function)(void *context), void *context)
{
	if (index == kernel_this_processor()) {
		function(context);
		return;
	}
	kernel_run(index, function, context);
	kernel_join(index);
}
