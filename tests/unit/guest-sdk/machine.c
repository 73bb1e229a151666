// SPDX-License-Identifier: BSD-2-Clause
// See machine.h. Criterion runs each test in a process of its own: nothing is ever reset.
#include "machine.h"

#include <stdlib.h>

#include "guest-sdk/call.h"
#include "lumen/platform.h"

enum { LEAVES = 64, MSRS = 64, WRITES = 256 };

static struct {
	uint32_t leaf;
	struct arch_cpuid value;
} leaves[LEAVES];
static size_t leaf_count;

void machine_set_cpuid(uint32_t leaf, struct arch_cpuid value)
{
	for (size_t i = 0; i < leaf_count; i++) {
		if (leaves[i].leaf == leaf) {
			leaves[i].value = value;
			return;
		}
	}
	cr_assert_lt(leaf_count, LEAVES);
	leaves[leaf_count].leaf = leaf;
	leaves[leaf_count++].value = value;
}

void machine_set_hyperv(uint64_t privileges, uint32_t features, uint32_t hints)
{
	machine_set_cpuid(1, (struct arch_cpuid){ .ecx = HV_CPUID_1_ECX_HYPERVISOR_PRESENT });
	machine_set_cpuid(HV_CPUID_VENDOR, (struct arch_cpuid){ HV_CPUID_HARDWARE_FEATURES,
						   HV_VENDOR_EBX, HV_VENDOR_ECX, HV_VENDOR_EDX });
	machine_set_cpuid(HV_CPUID_INTERFACE, (struct arch_cpuid){ .eax = HV_INTERFACE_SIGNATURE });
	machine_set_cpuid(HV_CPUID_FEATURES, (struct arch_cpuid){ (uint32_t)privileges,
						     (uint32_t)(privileges >> 32), 0, features });
	machine_set_cpuid(HV_CPUID_ENLIGHTENMENT_INFO,
		(struct arch_cpuid){ .eax = hints, .ebx = MACHINE_SPIN_RETRIES });
}

// CPUID of a leaf that is not there is no fault.
struct arch_cpuid arch_cpuid(uint32_t leaf)
{
	for (size_t i = 0; i < leaf_count; i++) {
		if (leaves[i].leaf == leaf)
			return leaves[i].value;
	}
	return (struct arch_cpuid){ 0 };
}

static struct {
	uint32_t msr;
	uint64_t value;
} msrs[MSRS];
static size_t msr_count;

struct machine_write machine_writes[WRITES];
size_t machine_write_count;
void (*machine_on_write)(uint32_t msr, uint64_t *value);
void (*machine_on_read)(uint32_t msr);

static uint64_t *find_msr(uint32_t msr)
{
	for (size_t i = 0; i < msr_count; i++) {
		if (msrs[i].msr == msr)
			return &msrs[i].value;
	}
	return NULL;
}

void machine_set_msr(uint32_t msr, uint64_t value)
{
	uint64_t *there = find_msr(msr);

	if (!there) {
		cr_assert_lt(msr_count, MSRS);
		msrs[msr_count].msr = msr;
		there = &msrs[msr_count++].value;
	}
	*there = value;
}

uint64_t machine_msr(uint32_t msr)
{
	uint64_t *there = find_msr(msr);

	cr_assert_not_null(there, "#GP: MSR %x", msr);
	return *there;
}

void machine_forget_writes(void)
{
	machine_write_count = 0;
}

uint64_t arch_rdmsr(uint32_t msr)
{
	if (machine_on_read)
		machine_on_read(msr);
	return machine_msr(msr);
}

void arch_wrmsr(uint32_t msr, uint64_t value)
{
	cr_assert_not_null(find_msr(msr), "#GP: MSR %x", msr);
	cr_assert_lt(machine_write_count, WRITES);
	machine_writes[machine_write_count++] = (struct machine_write){ msr, value };
	if (machine_on_write)
		machine_on_write(msr, &value);
	*find_msr(msr) = value;
}

uint64_t machine_tsc;
void (*machine_on_rdtsc)(void);
void (*machine_on_pause)(void);
bool machine_interrupts = true;
unsigned int machine_halts;

uint64_t arch_rdtsc(void)
{
	uint64_t now = machine_tsc;

	if (machine_on_rdtsc)
		machine_on_rdtsc();
	return now;
}

struct machine_out machine_outs[MACHINE_OUTS];
size_t machine_out_count;

static void note_out(uint16_t port, uint16_t value, uint8_t size)
{
	cr_assert_lt(machine_out_count, MACHINE_OUTS);
	machine_outs[machine_out_count++] = (struct machine_out){ port, value, size };
}

void arch_out8(uint16_t port, uint8_t value)
{
	note_out(port, value, 1);
}

void arch_out16(uint16_t port, uint16_t value)
{
	note_out(port, value, 2);
}

void arch_pause(void)
{
	if (machine_on_pause)
		machine_on_pause();
}

uint64_t arch_irq_save(void)
{
	bool were = machine_interrupts;

	machine_interrupts = false;
	return were;
}

void arch_irq_restore(uint64_t flags)
{
	machine_interrupts = flags;
}

void arch_halt_with_interrupts(void)
{
	cr_assert_not(machine_interrupts);
	machine_halts++;
}

_Noreturn void arch_stop(void)
{
	cr_assert_fail("the SDK has stopped");
	abort();
}

uint64_t machine_gdt[8];
uint16_t machine_cs, machine_ss;

uint64_t arch_cr0(void)
{
	return 0x80010033;
}

uint64_t arch_cr3(void)
{
	return 0x123000;
}

uint64_t arch_cr4(void)
{
	return 0x620;
}

struct arch_table arch_gdt(void)
{
	return (struct arch_table){ sizeof(machine_gdt) - 1, (uintptr_t)machine_gdt };
}

struct arch_table arch_idt(void)
{
	return (struct arch_table){ 0xfff, 0x7000 };
}

uint16_t arch_cs(void)
{
	return machine_cs;
}

uint16_t arch_ss(void)
{
	return machine_ss;
}

_Alignas(HV_PAGE_SIZE) const char lumen_hypercall_page[HV_PAGE_SIZE] = { 1 };

struct machine_call machine_calls[MACHINE_CALLS];
uint64_t machine_input[MACHINE_CALLS][512];
size_t machine_call_count;
uint64_t (*machine_hypervisor)(struct machine_call *call);

static struct machine_call *note_call(uint64_t control)
{
	cr_assert_lt(machine_call_count, MACHINE_CALLS);
	machine_calls[machine_call_count].control = control;
	return &machine_calls[machine_call_count++];
}

// The bytes of a call's input by its row: with ASan, they all have to be there.
static size_t input_bytes(uint64_t control)
{
	size_t variable = hv_call_variable_bytes(control), reps = hv_call_rep_count(control);

	switch (hv_call_code(control)) {
#define BYTES(code, name, type, kind, in_element, ...)                                             \
	case code:                                                                                 \
		return HV_CALL_IN(kind, type) + variable + reps * (in_element);
		HV_HYPERCALL_TABLE(BYTES)
#undef BYTES
	}
	return 0;
}

uint64_t lumen_hypercall_issue(uint64_t control, uint64_t in, uint64_t out)
{
	struct machine_call *call = note_call(control);
	size_t bytes = input_bytes(control);

	call->in = in;
	call->out = out;
	if (!hv_call_is_fast(control) && in) {
		cr_assert_eq(in % HV_CALL_ALIGNMENT, 0);
		cr_assert_leq(in % HV_PAGE_SIZE + bytes, HV_PAGE_SIZE);
		memcpy(machine_input[machine_call_count - 1], (const void *)in, bytes);
	}
	return machine_hypervisor ? machine_hypervisor(call) : LUMEN_RESULT_NOT_ENABLED;
}

uint64_t lumen_hypercall_issue_xmm(uint64_t control, struct lumen_call_registers *registers)
{
	struct machine_call *call = note_call(control);
	uint64_t result;

	call->xmm = true;
	call->registers = *registers;
	result = machine_hypervisor ? machine_hypervisor(call) : LUMEN_RESULT_NOT_ENABLED;
	*registers = call->registers;
	return result;
}

unsigned int machine_pages;
unsigned int machine_pages_left = 1000;

void *lumen_alloc_pages(size_t count)
{
	void *pages;

	if (machine_pages_left < count)
		return NULL;
	machine_pages_left -= (unsigned int)count;
	machine_pages += (unsigned int)count;
	pages = aligned_alloc(LUMEN_PAGE_SIZE, count * LUMEN_PAGE_SIZE);
	cr_assert_not_null(pages);
	return memset(pages, 0, count * LUMEN_PAGE_SIZE);
}

void lumen_free_pages(void *pages, size_t count)
{
	machine_pages -= (unsigned int)count;
	free(pages);
}
