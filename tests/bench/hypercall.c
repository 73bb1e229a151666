// SPDX-License-Identifier: BSD-2-Clause
// A kernel that measures a null hypercall: an invalid call code, from the guest and back. It prints
// the time stamps that pass per call; where the time stamp counter counts instructions (QEMU's
// -icount shift=0), that is the number of instructions of the whole machine.
#include <stdint.h>

#include "hypercall/call.h"
#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypercall/status.h"

#define CONSOLE	    0x3f8
#define POWER	    0x600 // docs/worker.md, "The power block": SLEEP_CONTROL_REG, then the status port
#define EXIT_STATUS 0x603
#define SLEEP_S5    (0x20 | 5 << 2)
#define GUEST_OS_ID 0x8100000000000001ull // open source, no vendor's number
#define NULL_CODE   0xffff
#define CALLS	    1000

static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));

void main(void);

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void print(const char *text)
{
	while (*text)
		out8(CONSOLE, (uint8_t)*text++);
}

static void print_number(uint64_t value)
{
	char digits[21];
	int at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(digits + at);
}

static _Noreturn void power_off(uint8_t status)
{
	out8(EXIT_STATUS, status);
	out8(POWER, SLEEP_S5);
	for (;;)
		__asm__ volatile("hlt");
}

static int is_hyperv(void)
{
	uint32_t eax = 0x40000001, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return eax == 0x31237648; // "Hv#1"
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
	uint64_t start = tsc();

	for (int i = 0; i < CALLS; i++)
		*wrong += (uint16_t)hypercall(NULL_CODE) != HV_STATUS_INVALID_HYPERCALL_CODE;
	return tsc() - start;
}

static uint64_t measure_nothing(uint64_t *wrong)
{
	uint64_t start = tsc();

	for (int i = 0; i < CALLS; i++)
		*wrong += (uint16_t)no_hypercall(NULL_CODE) != HV_STATUS_INVALID_HYPERCALL_CODE;
	return tsc() - start;
}

void main(void)
{
	uint64_t wrong = 0, ignored = 0, calls, nothing;

	if (!is_hyperv()) {
		print("bench: no Hyper-V interface\r\n");
		power_off(1);
	}
	write_msr(HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
	write_msr(HV_X64_MSR_HYPERCALL, (uint64_t)(uintptr_t)hypercall_page | 1);
	measure_calls(&wrong); // once for the caches and the emulator's translations
	wrong = 0;
	calls = measure_calls(&wrong);
	nothing = measure_nothing(&ignored);
	print("bench: null-hypercall ");
	print_number((calls - nothing) / CALLS);
	print(" wrong ");
	print_number(wrong);
	print("\r\n");
	power_off(wrong != 0);
}
