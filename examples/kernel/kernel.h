// SPDX-License-Identifier: BSD-2-Clause
// A small kernel base: what the examples, the test guests and the conformance image stand on. It
// brings the processor to 64-bit mode with the first 4 GiB mapped one to one, takes exceptions and
// interrupts, starts the other processors, prints, gives memory, and ends with a status. It knows
// no hypervisor: that is the SDK's part, for which platform.c is the platform interface.
//
// The program defines kernel_main(). It runs on the boot processor, on a stack of 16 KiB, with
// interrupts on; XMM registers are enabled but not saved by interrupts: an interrupt handler does
// not touch them.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lumen/status.h"

#define KERNEL_PAGE_SIZE      4096u
#define KERNEL_PROCESSORS_MAX 64u
#define KERNEL_STACK_SIZE     16384u

// --- start and end ---

// The program. What it returns is the exit status.
int kernel_main(void);

// Ends the machine from any context: prints the last line, "kernel: exit status N" (N from 0 to 99,
// larger ones count as 99), tells Lumen's worker the status, and powers off by ACPI; without ACPI
// it asks for a reset.
_Noreturn void kernel_exit(int status);

// Something is wrong here: prints "panic: ..." and ends with KERNEL_PANIC_STATUS. Any context.
#define KERNEL_PANIC_STATUS 99
_Noreturn void kernel_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The command line that the loader was given, cut to 1023 bytes.
const char *kernel_command_line(void);

// Looks for the word "NAME" or "NAME=VALUE" in the command line and copies VALUE (cut to `size`
// bytes with its 0 byte). False: it is not there.
bool kernel_option(const char *name, char *value, size_t size);

// The same for a number (decimal, or 0x...); `otherwise` if it is not there or is none.
uint64_t kernel_option_number(const char *name, uint64_t otherwise);

// --- console: 16550 at 0x3f8 ---

// Writes bytes; "\n" becomes "\r\n". Any context; what one call writes stays together.
void kernel_write(const char *text, size_t length);

// printf(): %d %u %x %c %s %p %%, with l, ll, z; flags '-' and '0', a width, and a precision for
// %s (both also as *). At most 511 bytes a call. Any context.
void kernel_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kernel_vprint(const char *format, va_list arguments);

// The same to memory, cut to `size` bytes with the 0 byte. Returns the length that is there.
size_t kernel_format(char *to, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t kernel_vformat(char *to, size_t size, const char *format, va_list arguments);

// --- checks ---

// kernel_check(holds, format, ...) prints "PASS: " or "FAIL: " and a line with what was to hold.
// Its value is whether it does. Any context.
#define kernel_check(holds, ...)                                                                   \
	({                                                                                         \
		bool kernel_holds = (holds);                                                       \
		kernel_report(kernel_holds, __VA_ARGS__);                                          \
		kernel_holds;                                                                      \
	})
void kernel_report(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The same of a call of the SDK's; a line that fails has the status in words.
bool kernel_check_status(lumen_status status, const char *what);

// How many did not hold so far: what an example's kernel_main() returns.
int kernel_failures(void);

// --- memory (lumen_alloc_pages() and lumen_free_pages() of <lumen/platform.h> give it out) ---

// The number of pages that lumen_alloc_pages() has left.
size_t kernel_free_pages_left(void);

// The RAM that the loader told of, as it told: false if there is no region number `index`.
struct kernel_region {
	uint64_t base, size;
	bool ram; // false: something else, as ACPI tables
};
bool kernel_memory_region(uint32_t index, struct kernel_region *region);

// The page table entry of the 4 KiB page at an address. Below 4 GiB it takes the large page there
// apart, elsewhere it makes the tables (the entry is then 0). The caller changes the entry, in one
// piece, and flushes. All processors share the tables. Thread context; allocates; NULL: no memory.
volatile uint64_t *kernel_pte(const volatile void *address);

#define KERNEL_PTE_PRESENT  (1ull << 0)
#define KERNEL_PTE_WRITABLE (1ull << 1)
#define KERNEL_PTE_USER	    (1ull << 2)
#define KERNEL_PTE_ACCESSED (1ull << 5)
#define KERNEL_PTE_DIRTY    (1ull << 6)
#define KERNEL_PTE_LARGE    (1ull << 7)
#define KERNEL_PTE_GLOBAL   (1ull << 8) // CR4.PGE is off
#define KERNEL_PTE_NX	    (1ull << 63)
#define KERNEL_PTE_ADDRESS  0x000ffffffffff000ull

// --- exceptions and interrupts ---

// What was interrupted. A handler may change it.
struct kernel_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error; // error code, or 0
	uint64_t rip, cs, rflags, rsp, ss;
};

// Runs with interrupts off. For interrupts of the APIC it ends with kernel_eoi(), unless it knows
// better.
typedef void kernel_handler(struct kernel_frame *frame);

// Sets the handler of a vector on all processors (NULL: none) and returns the one before. Any
// context. An exception without one is caught by kernel_try(), or else printed with the registers,
// and ends the run; so does an interrupt without one. 0xfc to 0xff are the base's own.
kernel_handler *kernel_set_handler(uint8_t vector, kernel_handler *handler);

// Segment selectors. The stack for exceptions in ring 3 is one for each processor, of its own.
#define KERNEL_CS      0x08
#define KERNEL_SS      0x10
#define KERNEL_CS32    0x18
#define KERNEL_USER_SS 0x23
#define KERNEL_USER_CS 0x2b

// What happened in kernel_try().
struct kernel_fault {
	uint8_t vector;
	uint32_t error;
	uint64_t rip;
	uint64_t address; // of a page fault: CR2
};

// Calls function(context). Returns 0, or the vector of the exception that ended it (*fault, which
// may be NULL, then says more); it does not return there, and what it held is still held. Vector 0
// (#DE) cannot be told from success, and NMI is not caught. Nests. Any context.
int kernel_try(void (*function)(void *context), void *context, struct kernel_fault *fault);

// Single instructions that may fault: 0, or the vector. *value is only changed by success.
int kernel_try_rdmsr(uint32_t msr, uint64_t *value);
int kernel_try_wrmsr(uint32_t msr, uint64_t value);
int kernel_try_read(const volatile uint64_t *address, uint64_t *value);
int kernel_try_write(volatile uint64_t *address, uint64_t value);

// --- local APIC, in the mode in which it was found (xAPIC, or x2APIC) ---

// Software-enables this processor's APIC, and looks up its mode: done at its start, to be done
// again by who changes the mode.
void kernel_apic_start(void);

// Registers by their xAPIC offset (0x20 id, 0x80 TPR, 0x300 ICR, ...).
uint32_t kernel_apic_read(uint32_t offset);
void kernel_apic_write(uint32_t offset, uint32_t value);
void kernel_eoi(void);

// Sends a command (an ICR value without destination, such as a vector) to an APIC id.
void kernel_apic_send(uint32_t apic_id, uint32_t command);

// --- processors. Index 0 is the boot processor, the others follow as in the MADT. ---

// How many there are.
uint32_t kernel_processors(void);

uint32_t kernel_this_processor(void);
uint32_t kernel_apic_id(uint32_t index);

// Starts a processor by INIT and SIPI, waits for it, and returns whether it came; it then sleeps
// until there is work. True also if it runs already. Thread context of any processor, one at a
// time. Allocates.
bool kernel_start(uint32_t index);
bool kernel_started(uint32_t index);

// The same in parts, for those who start it otherwise: what it needs to know. Whatever enters as
// this says ends in kernel_started(index). Allocates; false: no memory.
struct kernel_entry {
	uint8_t sipi_vector; // real mode, for one processor at a time: the last one prepared
	uint64_t rip, rsp;   // 64-bit mode, these tables and registers
	uint64_t cr0, cr3, cr4, efer, gdt_base;
	uint16_t gdt_limit, cs, ss;
	void (*function)(void *argument); // 64-bit mode, by a call on the stack that ends there
	void *argument, *stack_top;
};
bool kernel_prepare(uint32_t index, struct kernel_entry *entry);

// Gives a started processor, which is not this one, a function to run, in thread context with
// interrupts on, on its own stack. It has no other work: kernel_join() came before.
void kernel_run(uint32_t index, void (*function)(void *context), void *context);

// Waits until it is done with it.
void kernel_join(uint32_t index);

// kernel_run() and kernel_join(); on this processor: calls it.
void kernel_run_on(uint32_t index, void (*function)(void *context), void *context);

// --- single instructions ---

static inline uint64_t kernel_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void kernel_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

struct kernel_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct kernel_cpuid kernel_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct kernel_cpuid out;

	__asm__ volatile("cpuid"
			 : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
			 : "a"(leaf), "c"(subleaf));
	return out;
}

static inline uint64_t kernel_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint8_t kernel_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void kernel_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void kernel_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void kernel_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void kernel_irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void kernel_irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

// Turns interrupts on and waits for the next one: none is lost between the two.
static inline void kernel_sleep(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static inline void kernel_invlpg(const volatile void *address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void kernel_flush_tlb(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
}
