// SPDX-License-Identifier: BSD-2-Clause
// Two pieces of the hypervisor on two processors, in every order that one switch from the first to
// the second allows: after each basic block of the first, the second runs until it is done or waits
// for the first. No chance is involved. (Loads and stores are not reordered as a processor may.)
#pragma once

#include <stdbool.h>

struct step_case {
	void (*setup)(void);  // before each order; on the caller's thread
	void (*first)(void);  // on the caller's thread; ends when step_end() says so
	void (*second)(void); // on a thread of its own
	void (*check)(void);  // afterwards; on the caller's thread
};

// Goes through the orders; how many there were.
unsigned int step_through(const struct step_case *c);

// FIRST has come to its end: the second, if it has not run yet, does so now. True: it is done; else
// the first has to go on, as somebody may wait for it.
bool step_end(void);
