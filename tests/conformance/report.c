// SPDX-License-Identifier: BSD-2-Clause
// Runs the tests and prints TAP 14: a line for each, with the section of the TLFS; a YAML block
// with the outcome (failure or error) and the message below those that did not succeed.
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

extern const struct test *const __start_conformance_tests[], *const __stop_conformance_tests[];

// Tests end by an exception of our own, which kernel_try() catches wherever they are.
extern const uint8_t test_end_instruction[];

static struct outcome outcomes[MAX_VPS];

static struct {
	const char *filter;
	unsigned int first; // tests before this number are left out
	unsigned int number, counts[4];
} run;

// --- outcomes ---

static _Noreturn void __attribute__((noinline)) test_end(void)
{
	__asm__ volatile(".global test_end_instruction\n"
			 "test_end_instruction: ud2");
	__builtin_unreachable();
}

static bool is_test_end(int vector, const struct kernel_fault *fault)
{
	return vector == EXCEPTION_UD && fault->rip == (uintptr_t)test_end_instruction;
}

#define END(kind_)                                                                                 \
	do {                                                                                       \
		struct outcome *outcome = &outcomes[this_vp()];                                    \
		va_list arguments;                                                                 \
                                                                                                   \
		va_start(arguments, format);                                                       \
		outcome->kind = (kind_);                                                           \
		kernel_vformat(outcome->message, sizeof(outcome->message), format, arguments);     \
		va_end(arguments);                                                                 \
		test_end();                                                                        \
	} while (0)

void test_fail(const char *format, ...)
{
	END(OUTCOME_FAILURE);
}

void test_skip(const char *format, ...)
{
	END(OUTCOME_SKIP);
}

void test_error(const char *format, ...)
{
	END(OUTCOME_ERROR);
}

void test_note(const char *format, ...)
{
	char line[300];
	va_list arguments;

	va_start(arguments, format);
	kernel_vformat(line, sizeof(line), format, arguments);
	va_end(arguments);
	kernel_print("# %s\n", line);
}

void expect_eq(uint64_t got, uint64_t expected, const char *what)
{
	if (got != expected)
		test_fail("%s: expected 0x%lx, got 0x%lx", what, expected, got);
}

void expect_status(hv_status got, hv_status expected, const char *what)
{
	if (got != expected)
		test_fail("%s: expected %s, got %s (0x%x)", what, status_name(expected),
			status_name(got), got);
}

static struct kernel_fault last_fault[MAX_VPS];

int exception_of(void (*function)(void *), void *argument)
{
	struct kernel_fault fault;
	int vector = kernel_try(function, argument, &fault);

	if (!vector)
		return NO_EXCEPTION;
	if (is_test_end(vector, &fault))
		test_end();
	last_fault[this_vp()] = fault;
	return vector;
}

uint64_t exception_error_code(void)
{
	return last_fault[this_vp()].error;
}

uint64_t exception_address(void)
{
	return last_fault[this_vp()].address;
}

void outcome_of(void (*function)(void *), void *argument, struct outcome *outcome)
{
	struct kernel_fault fault;
	int vector;

	outcomes[this_vp()] = (struct outcome){ .kind = OUTCOME_OK };
	vector = kernel_try(function, argument, &fault);
	*outcome = outcomes[this_vp()];
	if (!vector || is_test_end(vector, &fault))
		return;
	outcome->kind = OUTCOME_FAILURE;
	kernel_format(outcome->message, sizeof(outcome->message),
		"unexpected exception %d, error code 0x%x, at RIP 0x%lx, CR2 0x%lx", vector,
		fault.error, fault.rip, fault.address);
}

void outcome_adopt(const struct outcome *outcome)
{
	if (outcome->kind == OUTCOME_OK)
		return;
	outcomes[this_vp()] = *outcome;
	test_end();
}

// --- one test ---

static const char *missing(const struct test *test)
{
	if (!has_privilege(test->privileges))
		return "privilege not held";
	if (!has_edx(test->edx) || !has_hint(test->hints))
		return "feature not advertised";
	return machine.vps < test->vps ? "too few processors" : NULL;
}

struct running {
	const struct test *test;
	unsigned int row;
};

static void body(void *argument)
{
	const struct running *running = argument;

	running->test->run(running->row);
}

static void reset(void *argument)
{
	machine_reset();
}

// A part of a line of TAP, in which '#' begins a directive, or of a string in quotes.
static void clean(char *text)
{
	for (; *text; text++)
		if (*text == '#' || *text == '"' || *text == '\\')
			*text = '\'';
}

static void judge(const char *name, const struct test *test, struct outcome *outcome)
{
	bool good = outcome->kind == OUTCOME_OK || outcome->kind == OUTCOME_SKIP;

	clean(outcome->message);
	run.counts[outcome->kind]++;
	if (outcome->kind == OUTCOME_SKIP)
		kernel_print("ok %u - %s # SKIP %s # TLFS: %s\n", run.number, name,
			outcome->message, test->section);
	else
		kernel_print("%s %u - %s # TLFS: %s\n", good ? "ok" : "not ok", run.number, name,
			test->section);
	if (!good)
		kernel_print("  ---\n  outcome: %s\n  message: \"%s\"\n  ...\n",
			outcome->kind == OUTCOME_ERROR ? "error" : "failure", outcome->message);
}

static void run_one(const struct test *test, unsigned int row, const char *name)
{
	struct running running = { test, row };
	struct outcome outcome = { .kind = OUTCOME_SKIP };
	struct outcome after;

	if (missing(test)) {
		text_format(outcome.message, sizeof(outcome.message), "%s", missing(test));
	} else {
		outcome_of(body, &running, &outcome);
		outcome_of(reset, NULL, &after);
		if (outcome.kind == OUTCOME_OK || outcome.kind == OUTCOME_SKIP)
			outcome = after.kind == OUTCOME_OK ? outcome : after;
	}
	judge(name, test, &outcome);
}

// --- all tests ---

// Does `name` contain one of the words of the filter?
static bool wanted(const char *name)
{
	const char *at = run.filter;
	char word[100];

	if (!*at)
		return true;
	while (*at) {
		size_t length = 0;

		for (; *at && *at != ','; at++)
			if (length < sizeof(word) - 1)
				word[length++] = *at == '_' ? ' ' : *at;
		word[length] = 0;
		if (length && text_contains(name, word))
			return true;
		at += *at == ',';
	}
	return false;
}

static bool name_of(const struct test *test, unsigned int row, char *name, size_t size)
{
	char row_name[100];

	if (!test->row_name) {
		text_format(name, size, "%s", test->name);
		return true;
	}
	if (!test->row_name(row, row_name, sizeof(row_name)))
		return false;
	text_format(name, size, "%s: %s", row_name, test->name);
	return true;
}

typedef void visit(const struct test *test, unsigned int row, const char *name);

static void for_each(visit *function)
{
	const struct test *const *t = __start_conformance_tests;
	char name[200];

	run.number = 0;
	for (; t < __stop_conformance_tests; t++) {
		for (unsigned int row = 0; row < ((*t)->rows ? (*t)->rows : 1); row++) {
			if (!name_of(*t, row, name, sizeof(name)) || !wanted(name))
				continue;
			run.number++;
			function(*t, row, name);
		}
	}
}

// A machine that ended in a test is started again behind it: the reader is told which one it was.
static void run_from(const struct test *test, unsigned int row, const char *name)
{
	if (run.number + 1 == run.first)
		kernel_print("# not repeated: %s # TLFS: %s\n", name, test->section);
	if (run.number >= run.first)
		run_one(test, row, name);
}

static void count_one(const struct test *test, unsigned int row, const char *name)
{
}

static void list_one(const struct test *test, unsigned int row, const char *name)
{
	kernel_print("%s # TLFS: %s\n", name, test->section);
}

unsigned int report_run(const char *filter, unsigned int first, bool list)
{
	run.filter = filter;
	run.first = first;
	if (list) {
		for_each(list_one);
		return 0;
	}
	kernel_print(
		"TAP version 14\n# conformance: %u VPs, privileges %016lx, EDX %08x, hints %08x\n",
		machine.vps, machine.privileges, machine.features_edx, machine.hints);
	for_each(count_one);
	kernel_print("1..%u\n", run.number);
	for_each(run_from);
	kernel_print("# conformance: %u ok, %u skipped, %u failed, %u errors\n",
		run.counts[OUTCOME_OK], run.counts[OUTCOME_SKIP], run.counts[OUTCOME_FAILURE],
		run.counts[OUTCOME_ERROR]);
	return run.counts[OUTCOME_FAILURE] + run.counts[OUTCOME_ERROR];
}
