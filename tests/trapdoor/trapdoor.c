// SPDX-License-Identifier: BSD-2-Clause
// The trapdoor: a command of --test-devices takes the worker over. 1: it tries everything in its
// tables and says in its log what it could do. 2: one system call that is not on the list. 3: a bad
// pointer. 4: abort(). 5: what a smashed stack leads to. $TRAPDOOR says, to the worker, what has
// been overcome already: "faults", the handler that ends it; "calls", the list of system calls.
#include "trapdoor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parent/worker/log.h"
#include "parent/worker/sandbox.h"

// The linker's: the true functions, and those that stand in for them (--wrap).
void __stack_chk_fail(void) __attribute__((noreturn));
void __real_test_synic_command(void *synic, uint32_t command);
void __real_sandbox_report_faults(int message_fd);
bool __real_sandbox_forbid_calls(void);
void __wrap_test_synic_command(void *synic, uint32_t command);
void __wrap_sandbox_report_faults(int message_fd);
bool __wrap_sandbox_forbid_calls(void);

enum { COMMAND = 0xa7, CALLS = 470 };

static sigjmp_buf behind;
static volatile uintptr_t nowhere = 3;

static bool overcome(const char *what)
{
	const char *all = getenv("TRAPDOOR");

	return all && strstr(all, what);
}

static void go_on(int number)
{
	(void)number;
	siglongjmp(behind, 1);
}

void __wrap_sandbox_report_faults(int message_fd)
{
	const struct sigaction action = { .sa_handler = go_on, .sa_flags = SA_NODEFER };

	if (overcome("faults"))
		sigaction(SIGSYS, &action, NULL);
	else
		__real_sandbox_report_faults(message_fd);
}

bool __wrap_sandbox_forbid_calls(void)
{
	return overcome("calls") || __real_sandbox_forbid_calls();
}

// Goes on behind it if the list refuses a system call: then false.
static bool trapdoor_try(const struct attack *attack, struct worker *worker)
{
	return !sigsetjmp(behind, 1) && attack->try(worker);
}

static unsigned try_all(struct worker *worker, const struct attack *attacks, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++) {
		bool success = trapdoor_try(&attacks[i], worker);

		log_line("trapdoor: %s: %s", attacks[i].name, success ? "DONE" : "refused");
		done += success;
	}
	return done;
}

// Calls with these numbers do as they say, whatever their arguments are.
static bool is_final(int number)
{
	return number == SYS_exit || number == SYS_exit_group || number == SYS_rt_sigreturn;
}

static int number_to_try;

static bool try_number(struct worker *worker)
{
	(void)worker;
	syscall(number_to_try, -1, -1, -1, -1, -1, -1);
	return true;
}

// Every number, with arguments that mean nothing: what comes back is what the list lets through.
static unsigned count_calls(struct worker *worker)
{
	const struct attack attack = { .try = try_number };
	unsigned through = 0;

	for (number_to_try = 0; number_to_try < CALLS; number_to_try++)
		if (!is_final(number_to_try))
			through += trapdoor_try(&attack, worker);
	return through;
}

static void try_everything(struct worker *worker)
{
	unsigned tried = attacks_on_others_count;
	unsigned done = try_all(worker, attacks_on_others, attacks_on_others_count);

	if (!overcome("calls")) {
		tried += attacks_by_calls_count;
		done += try_all(worker, attacks_by_calls, attacks_by_calls_count);
		log_line("trapdoor: %u of %d calls let through", count_calls(worker), CALLS);
	}
	log_line("trapdoor: %u tried, %u done", tried, done);
}

void __wrap_test_synic_command(void *context, uint32_t command)
{
	struct test_synic *synic = context;

	if (command >> 24 != COMMAND) {
		__real_test_synic_command(context, command);
		return;
	}
	switch (command & 0xff) {
	case 1:
		try_everything(synic->worker);
		break;
	case 2:
		syscall(SYS_openat, -100, "/etc/passwd", 0);
		break;
	case 3:
		*(volatile int *)nowhere = 0;
		break;
	case 4:
		abort();
	default:
		__stack_chk_fail();
	}
}
