// SPDX-License-Identifier: BSD-2-Clause
// How a child ended, as a process exit status: of `lumenctl wait`, `lumenctl run` and `./lumen
// run`. One table; docs/worker.md repeats it for people.
#pragma once

// X(number, name, what it means). 1 to 99 are the child's own: the byte that it wrote to the
// exit status port (parent/worker/platform/layout.h) before it powered off.
#define LUMEN_EXIT_STATUSES(X)                                                                     \
	X(0, POWERED_OFF, "the child powered off in order")                                        \
	X(120, CRASHED, "the child crashed: a panic or a triple fault")                            \
	X(121, HUNG, "the child did not end within its time limit")                                \
	X(122, BAD_ARGUMENTS, "bad arguments: an option, a kernel or a disk that cannot be used")  \
	X(123, OUR_FAULT, "the worker or what it stands on failed, or it was killed")              \
	X(124, RESET, "the child asked for a reset")

#define LUMEN_EXIT_CHILD_MAX 99

enum lumen_exit_status {
#define X(number, name, text) LUMEN_EXIT_##name = number,
	LUMEN_EXIT_STATUSES(X)
#undef X
};
