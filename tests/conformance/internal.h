// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the framework know of each other, and tests need not.
#pragma once

#include <stdarg.h>

#include "tests/conformance/conformance.h"

#include "base/macros.h"

#define MAX_VPS 64

#define COUNT(array) (ARRAY_SIZE(array))

// --- text.c ---

bool text_contains(const char *text, const char *part);

// --- report.c: outcomes and their lines ---

enum outcome_kind { OUTCOME_OK, OUTCOME_SKIP, OUTCOME_FAILURE, OUTCOME_ERROR };

struct outcome {
	enum outcome_kind kind;
	char message[240];
};

// Calls function(argument) on this VP; what ends it by test_fail() and its kin comes here.
void outcome_of(void (*function)(void *), void *argument, struct outcome *outcome);
// Ends the test on this VP with the outcome of another one.
void outcome_adopt(const struct outcome *outcome);
// Runs the tests whose names contain one of the words of `filter` (separated by ','; "": all) and
// prints TAP; of those, from number `first` on (1: all). With `list`, prints their names only.
// Returns how many failed or had errors.
unsigned int report_run(const char *filter, unsigned int first, bool list);

// --- machine.c ---

// Reads CPUID, finds memory, enables the hypercall page, starts the other VPs. Before any test.
// Otherwise: why there is nothing to test.
const char *machine_start(void);
// Puts everything that tests may have enabled back to what a test may expect. As test code: an
// exception here is a failure.
void machine_reset(void);
// Notes that this VP's, or the partition's, registers may have to be put back.
void machine_touch(uint32_t msr);

#define SUITE_GUEST_OS_ID                                                                          \
	(HV_GUEST_OS_ID_OPEN_SOURCE |                                                              \
		HV_GUEST_OS_ID_OS_TYPE_LUMEN << HV_GUEST_OS_ID_OS_TYPE_SHIFT | 1)

// --- hypercalls.c ---

// The hypercall page, enabled or not, and its size in memory: 4096.
extern uint8_t hypercall_page[HV_PAGE_SIZE];
// Sets the guest OS id and places the page. False: the enable bit did not stay.
bool hypercall_page_enable(void);
// Calls `entry` as the hypercall page is called, with all registers.
void hypercall_at(struct hypercall_registers *registers, const void *entry);
// Instructions in place of the page.
extern const uint8_t entry_vmmcall[], entry_vmcall[];

// --- vps.c ---

void vps_start(void);
void interrupts_prepare(void);
// Forgets handlers and counts, and takes interrupts that are in service out of it.
void interrupts_reset(void);
bool vp_is_dead(unsigned int vp);
// Waits for VPs that a test has started and, having ended early, not waited for.
void vps_settle(void);

// --- modes.c: VP 0 in ring 3 and in compatibility mode ---

// The hypercall instruction from a 32-bit code segment in long mode: EDX:EAX control, EBX:ECX in,
// EDI:ESI out; the result is EDX:EAX. NO_EXCEPTION or the vector.
int hypercall_32bit(uint64_t control, uint64_t in, uint64_t out, uint64_t *result);
// The instruction that the hypercall page has: 0x0f 0x01 0xd9 (VMMCALL) or 0xc1 (VMCALL).
bool hypercall_page_uses_vmcall(void);
