// SPDX-License-Identifier: BSD-2-Clause
// The conformance suite's framework: how a test is declared, how it ends, and what it may use. A
// test is a function with a const descriptor; the linker collects them. It knows the hypervisor
// only by the TLFS: nothing here is Lumen's own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall/call.h"
#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypercall/status.h"
#include "hypercall/synic.h"
#include "hypercall/table.h"
#include "hypercall/tlb.h"

// --- declaring a test ---

struct test {
	const char *name; // "Feature: what holds"; the matrix in docs/conformance.md is by Feature
	const char *section; // of the TLFS
	void (*run)(unsigned int row);
	// What it needs; without it the test is skipped.
	uint64_t privileges; // HV_PRIVILEGE_*, all of them
	uint32_t edx;	     // HV_FEATURE_EDX_*, all of them
	uint32_t hints;	     // HV_HINT_*, all of them
	unsigned int vps;    // at least so many processors
	// One descriptor may stand for a table: `rows` tests, each with a line of its own, whose
	// name is "ROW: name" (such as "HvCallPostMessage: reserved bits"). row_name writes ROW (at
	// most size bytes with the 0); false: there is no test for this row.
	unsigned int rows; // 0: a single test
	bool (*row_name)(unsigned int row, char *text, size_t size);
};

// gcc puts variables in order only if told to; clang always does.
#ifdef __clang__
#define TEST_ENTRY __attribute__((used, section("conformance_tests")))
#else
#define TEST_ENTRY __attribute__((used, no_reorder, section("conformance_tests")))
#endif

// TEST(identifier, "Feature: what holds", "TLFS section", .edx = ..., .vps = 2) { body }
// In the body, `row` is the number of the row (0 for a single test). The body runs on VP 0 with
// interrupts off, the hypercall page enabled, and nothing else of the interface in use: SynIC,
// timers, VP assist page and reference TSC page are off on all VPs, and are put off after it.
#define TEST(id, text, tlfs, ...)                                                                  \
	static void test_##id(unsigned int row);                                                   \
	static const struct test descriptor_##id = {                                               \
		.name = (text), .section = (tlfs), .run = test_##id, __VA_ARGS__                   \
	};                                                                                         \
	static const struct test *const entry_##id TEST_ENTRY = &descriptor_##id;                  \
	static void test_##id(__attribute__((unused)) unsigned int row)

// --- ending one ---

// A test succeeds by returning. The others end it wherever it is, on whatever VP that is (VP 0 sees
// it in vp_wait()); they do not return. Formats: %s %c %d %u %x %lx %lu %016lx and their kin.
_Noreturn void test_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void test_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// FAIL: the hypervisor is wrong. SKIP: the feature is not advertised. ERROR: the test could not be
// run (no memory, a VP did not start).
#define FAIL(...)  test_fail(__VA_ARGS__)
#define SKIP(...)  test_skip(__VA_ARGS__)
#define ERROR(...) test_error(__VA_ARGS__)

// EXPECT(condition, format, ...): the message says what was expected and what was found.
#define EXPECT(condition, ...)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			test_fail(__VA_ARGS__);                                                    \
	} while (0)

// EXPECT_EQ(got, expected, "what"): both as numbers, in hexadecimal.
#define EXPECT_EQ(got, expected, what) expect_eq((uint64_t)(got), (uint64_t)(expected), (what))
void expect_eq(uint64_t got, uint64_t expected, const char *what);

// Further lines for whoever reads the output; they do not change the outcome.
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// snprintf() with the formats above: always ended by a 0.
void text_format(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// --- what the hypervisor says of itself, read once at start ---

extern struct machine {
	uint32_t hv_leaves; // CPUID 0x40000000 EAX
	uint64_t privileges;
	uint32_t features_edx, hints;
	unsigned int vps;      // processors that run: VP 0 and those that were started
	uint64_t tsc_hz;       // of this suite's own clock
	hv_gpa memory_end;     // behind the last byte of RAM below 4 GiB
	unsigned int gpa_bits; // of physical addresses (CPUID 0x80000008)
} machine;

bool has_privilege(uint64_t privileges); // all of these
bool has_edx(uint32_t bits);		 // all of these
bool has_hint(uint32_t bits);

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);

// --- exceptions ---

#define NO_EXCEPTION (-1)
#define EXCEPTION_UD 6
#define EXCEPTION_DF 8
#define EXCEPTION_GP 13
#define EXCEPTION_PF 14

// Calls function(argument) and returns the vector of the exception that ended it, or NO_EXCEPTION.
// On any VP. An exception anywhere else ends the test as a failure that names vector and RIP.
int exception_of(void (*function)(void *), void *argument);
// The error code and CR2 of the last exception that exception_of() has returned on this VP.
uint64_t exception_error_code(void);
uint64_t exception_address(void);

// The same in ring 3 (VP 0 only): function may use its own stack and nothing of the framework's.
int exception_in_user_mode(void (*function)(void *), void *argument);

// --- MSRs ---

// A #GP is a failure of the test that names the MSR.
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
// NO_EXCEPTION or the vector.
int try_rdmsr(uint32_t msr, uint64_t *value);
int try_wrmsr(uint32_t msr, uint64_t value);
void expect_rdmsr_gp(uint32_t msr);
void expect_wrmsr_gp(uint32_t msr, uint64_t value);

// --- hypercalls, through the hypercall page ---

// The result value. Rep calls are not restarted: an incomplete one is to be seen.
uint64_t hypercall(uint64_t control, hv_gpa in, hv_gpa out);
// The same, or the vector of the exception that it raised; *result is then unchanged.
int try_hypercall(uint64_t control, hv_gpa in, hv_gpa out, uint64_t *result);
// With XMM0..5 loaded from xmm[12] before and stored there after.
int try_hypercall_xmm(uint64_t control, uint64_t in, uint64_t out, uint64_t *xmm, uint64_t *result);
// Registers as they are after the call: RCX is the control word with a new start index.
struct hypercall_registers {
	uint64_t rax, rcx, rdx, r8;
	uint64_t rbx, rbp, rsi, rdi, r9, r10, r11, r12, r13, r14, r15, rflags;
};
void hypercall_registers(struct hypercall_registers *registers); // in: rcx, rdx, r8

// A call with parameters in memory, at private addresses: copies `in` (in_size bytes) to a page,
// and the output from one. The status.
hv_status call_memory(uint64_t control, const void *in, size_t in_size, void *out, size_t out_size);
// A fast call; the fast bit is set here. The status.
hv_status call_fast(uint64_t control, uint64_t in0, uint64_t in1);

// Fails the test with both statuses' names.
void expect_status(hv_status got, hv_status expected, const char *what);
const char *status_name(hv_status status);

// --- memory (virtual is physical, below 4 GiB) ---

// A zeroed page; given back after the test. ERROR if there are no more (there are 64).
void *page_get(void);
hv_gpa gpa_of(const void *address);
// A GPA of 4096 bytes that no memory is at, inside the GPA space; `beyond`: outside.
hv_gpa gpa_unmapped(void);
hv_gpa gpa_beyond(void);

// --- processors ---

uint32_t this_vp(void); // index in 0 .. machine.vps - 1, the hypervisor's VP index too
uint32_t apic_id(unsigned int vp);
// Starts function(argument) on another VP, which waits for that with interrupts off. vp_wait()
// waits for its end (and ends the test as it ended); vp_run() does both, and also does VP 0.
void vp_start(unsigned int vp, void (*function)(void *), void *argument);
void vp_wait(unsigned int vp);
void vp_run(unsigned int vp, void (*function)(void *), void *argument);

// --- interrupts ---

// Vectors 0x20 to 0xef are free. An interrupt is counted and, unless a handler is set, gets its EOI
// by the APIC. A handler runs on the VP in question with interrupts off, and does the EOI itself;
// it cannot end the test, nor touch what may raise an exception. Handlers are forgotten and
// counters are zero at the begin of each test.
typedef void interrupt_handler(unsigned int vector);
void interrupt_set_handler(unsigned int vector, interrupt_handler *handler);
unsigned int interrupt_count(unsigned int vp, unsigned int vector);
void interrupts_on(void);
void interrupts_off(void);
// Takes what is pending now: interrupts on for a moment.
void interrupts_take(void);
void apic_eoi(void);
uint32_t apic_read(uint32_t reg); // offset in the xAPIC page (0x80 TPR, 0x100 ISR, 0x200 IRR)
void apic_write(uint32_t reg, uint32_t value);
void apic_ipi(uint32_t apic_id, uint32_t icr_low);

// --- time ---

uint64_t tsc(void);
// Milliseconds since start, by the TSC.
uint64_t now_ms(void);
// Waits until condition(argument), with interrupts as they are and PAUSE; false: it was not within
// the time. Times are for slow machines: be generous, they end early.
bool wait_for(bool (*condition)(void *), void *argument, unsigned int ms);
// The same for an expression.
#define WAIT(expression, ms)                                                                       \
	({                                                                                         \
		uint64_t wait_until_ = now_ms() + (ms);                                            \
		bool wait_ok_;                                                                     \
		while (!(wait_ok_ = (expression)) && now_ms() < wait_until_)                       \
			__builtin_ia32_pause();                                                    \
		wait_ok_ || (expression);                                                          \
	})
// Lets time pass, for what must not happen meanwhile. The only place for it.
void pass_ms(unsigned int ms);

// --- SynIC, for tests that use it ---

// Gives this VP a SIM and a SIEF page (page_get()) and enables its SynIC.
struct synic_pages {
	volatile struct hv_message_page *messages;
	volatile struct hv_synic_event_flags_page *events;
};
struct synic_pages synic_enable(void);
// HV_X64_MSR_SINTn for a vector, unmasked; more bits as wanted.
void sint_set(unsigned int sint, unsigned int vector, uint64_t more_bits);
