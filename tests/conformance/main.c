// SPDX-License-Identifier: BSD-2-Clause
// The conformance image: says by TAP on its console what the hypervisor below does. Its command
// line: "list", "filter=WORD,WORD" ('_' stands for a space), "first=NUMBER" (leaves out the tests
// before that one). The exit status is 0 (all well), 1 (there were failures or errors) or 2 (there
// is nothing to test).
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

enum { STATUS_FAILED = 1, STATUS_NOTHING = 2 };

int kernel_main(void)
{
	char filter[200] = "", none[2];
	const char *why = machine_start();

	if (why) {
		kernel_print("Bail out! %s\n", why);
		return STATUS_NOTHING;
	}
	kernel_option("filter", filter, sizeof(filter));
	return report_run(filter, (unsigned int)kernel_option_number("first", 1),
		       kernel_option("list", none, sizeof(none)))
		       ? STATUS_FAILED
		       : 0;
}
