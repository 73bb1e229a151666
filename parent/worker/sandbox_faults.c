// SPDX-License-Identifier: BSD-2-Clause
// See sandbox.h: what a worker says that ends by a fault of its own.
#include "parent/worker/sandbox.h"

#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/log.h"
#include "parent/worker/supervisor.h"

extern const char __executable_start[]; // the linker's: where the program lies

static int supervisor_fd = -1;

// Where the program was, as `addr2line` wants it.
static unsigned long long place(const ucontext_t *context)
{
	return (unsigned long long)context->uc_mcontext.gregs[REG_RIP] -
	       (unsigned long long)(uintptr_t)__executable_start;
}

static void describe(const siginfo_t *info, const ucontext_t *context, char *sentence, size_t size)
{
	const greg_t *registers = context->uc_mcontext.gregs;

	if (info->si_signo == SIGSYS)
		snprintf(sentence, size,
			"The worker made a system call that it must not make: %d(0x%llx, 0x%llx, "
			"0x%llx) at +0x%llx.",
			info->si_syscall, (unsigned long long)registers[REG_RDI],
			(unsigned long long)registers[REG_RSI],
			(unsigned long long)registers[REG_RDX], place(context));
	else
		snprintf(sentence, size, "The worker failed: signal %d, address %p, at +0x%llx.",
			info->si_signo, info->si_addr, place(context));
}

// Nothing goes on from here: the process is no longer what it was meant to be.
static void on_fault(int number, siginfo_t *info, void *context)
{
	char sentence[200];

	describe(info, context, sentence, sizeof(sentence));
	log_line("%s", sentence);
	supervisor_tell_end(supervisor_fd, LUMEN_EXIT_OUR_FAULT, sentence);
	_exit(LUMEN_EXIT_OUR_FAULT);
}

void sandbox_report_faults(int message_fd)
{
	static const int signals[] = { SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction action = { .sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | (int)SA_RESETHAND };

	supervisor_fd = message_fd;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}
