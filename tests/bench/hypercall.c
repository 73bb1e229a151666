// SPDX-License-Identifier: BSD-2-Clause
// A kernel that measures a null hypercall: an invalid call code, from the guest and back. It prints
// the time stamps that pass per call; where the time stamp counter counts instructions (QEMU's
// -icount shift=0), that is the number of instructions of the whole machine.
#include "examples/kernel/kernel.h"
#include "hypercall/call.h"
#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypercall/status.h"

#define GUEST_OS_ID 0x8100000000000001ull // open source, no vendor's number
#define NULL_CODE   0xffff
#define CALLS	    1000

static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));

static bool is_hyperv(void)
{
	return kernel_cpuid(0x40000001, 0).eax == 0x31237648; // "Hv#1"
}

static inline uint64_t hypercall(uint64_t control)
{
	uint64_t result;

	__asm__ volatile("xor %%r8d, %%r8d; call *%[page]"
			 : "=a"(result), "+c"(control)
			 : [page] "r"(hypercall_page), "d"(0)
			 : "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

// The same loop with a call of a function that returns at once, to be taken away.
static inline uint64_t no_hypercall(uint64_t control)
{
	uint64_t result;

	__asm__ volatile("xor %%r8d, %%r8d; call 1f; jmp 2f; 1: ret; 2:"
			 : "=a"(result), "+c"(control)
			 : "d"(0)
			 : "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

static uint64_t measure_calls(uint64_t *wrong)
{
	uint64_t start = kernel_tsc();

	for (int i = 0; i < CALLS; i++)
		*wrong += (uint16_t)hypercall(NULL_CODE) != HV_STATUS_INVALID_HYPERCALL_CODE;
	return kernel_tsc() - start;
}

static uint64_t measure_nothing(uint64_t *wrong)
{
	uint64_t start = kernel_tsc();

	for (int i = 0; i < CALLS; i++)
		*wrong += (uint16_t)no_hypercall(NULL_CODE) != HV_STATUS_INVALID_HYPERCALL_CODE;
	return kernel_tsc() - start;
}

int kernel_main(void)
{
	uint64_t wrong = 0, ignored = 0, calls, nothing;

	if (!is_hyperv()) {
		kernel_print("bench: no Hyper-V interface\n");
		return 1;
	}
	kernel_wrmsr(HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
	kernel_wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)(uintptr_t)hypercall_page | 1);
	measure_calls(&wrong); // once for the caches and the emulator's translations
	wrong = 0;
	calls = measure_calls(&wrong);
	nothing = measure_nothing(&ignored);
	kernel_print("bench: null-hypercall %lu wrong %lu\n", (calls - nothing) / CALLS, wrong);
	return wrong != 0;
}
