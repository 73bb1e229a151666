// SPDX-License-Identifier: BSD-2-Clause
// VP 0 in ring 3 and in 32-bit code: from where hypercalls must not, and may, be made.
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

// The small kernel's segments (examples/kernel/start.S).
enum { CS_32BIT = 0x18, SS_KERNEL = 0x10, SS_USER = 0x23, CS_USER = 0x2b, RFLAGS_FIXED = 2 };

struct mode_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

void mode_enter(const struct mode_frame *frame, void *argument);
extern const uint8_t user_end[], call32_vmmcall[], call32_vmcall[], call32_end[];

static uint8_t mode_stack[4096] __attribute__((aligned(16)));

struct entry {
	struct mode_frame frame;
	void *argument;
};

static void enter(void *context)
{
	struct entry *entry = context;

	mode_enter(&entry->frame, entry->argument);
}

static int run(struct entry *entry, const uint8_t *end)
{
	struct kernel_fault fault;
	int vector = kernel_try(enter, entry, &fault);

	// INT3 is a trap in ring 0; in ring 3, whose gate is closed, a fault at the instruction.
	return fault.rip - (uintptr_t)end <= 1 ? NO_EXCEPTION : vector;
}

// Opens the lowest 4 GiB to ring 3, or closes them: three levels of tables, all in there.
static void set_user(bool on)
{
	uint64_t cr3, *pml4, *pdpt, *directory;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pml4 = (uint64_t *)(cr3 & KERNEL_PTE_ADDRESS);
	pdpt = (uint64_t *)(pml4[0] & KERNEL_PTE_ADDRESS);
	pml4[0] |= KERNEL_PTE_USER;
	for (unsigned int i = 0; i < 4; i++) {
		pdpt[i] |= KERNEL_PTE_USER;
		directory = (uint64_t *)(pdpt[i] & KERNEL_PTE_ADDRESS);
		for (unsigned int j = 0; j < 512; j++)
			if (on)
				directory[j] |= KERNEL_PTE_USER;
			else
				directory[j] &= ~KERNEL_PTE_USER;
	}
	kernel_flush_tlb();
}

int exception_in_user_mode(void (*function)(void *), void *argument)
{
	uint64_t *top = (uint64_t *)(mode_stack + sizeof(mode_stack)) - 1;
	struct entry entry = { { (uintptr_t)function, CS_USER, RFLAGS_FIXED, 0, SS_USER },
		argument };
	int vector;

	*top = (uintptr_t)user_end;
	entry.frame.rsp = (uintptr_t)top;
	set_user(true);
	vector = run(&entry, user_end);
	set_user(false);
	return vector;
}

bool hypercall_page_uses_vmcall(void)
{
	return hypercall_page[0] == 0x0f && hypercall_page[1] == 0x01 && hypercall_page[2] == 0xc1;
}

int hypercall_32bit(uint64_t control, uint64_t in, uint64_t out, uint64_t *result)
{
	static struct {
		uint32_t eax, ebx, ecx, edx, esi, edi;
	} registers;
	const uint8_t *code = hypercall_page_uses_vmcall() ? call32_vmcall : call32_vmmcall;
	struct entry entry = { { (uintptr_t)code, CS_32BIT, RFLAGS_FIXED,
				       (uintptr_t)mode_stack + sizeof(mode_stack), SS_KERNEL },
		&registers };
	int vector;

	registers.edx = (uint32_t)(control >> 32);
	registers.eax = (uint32_t)control;
	registers.ebx = (uint32_t)(in >> 32);
	registers.ecx = (uint32_t)in;
	registers.edi = (uint32_t)(out >> 32);
	registers.esi = (uint32_t)out;
	vector = run(&entry, call32_end);
	*result = (uint64_t)registers.edx << 32 | registers.eax;
	return vector;
}
