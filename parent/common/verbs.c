// SPDX-License-Identifier: BSD-2-Clause
// See verbs.h.
#include "parent/common/verbs.h"

#include <stddef.h>
#include <string.h>

#include "drivers/proto/shutdown.h"

const struct verb child_verbs[] = {
	{ "stop", "shutdown", 0, 0, VERB_ENDS, 300, "NAME", "ask the child to shut down",
		"Waits for the child's end. A child without a driver for Hyper-V's shutdown "
		"component\ncannot be asked: then this fails and says so.\n" },
	{ "restart", "shutdown", SHUTDOWN_FLAG_RESTART, 0, VERB_ENDS | VERB_RESTARTS, 300, "NAME",
		"ask the child to restart",
		"Its kernel is loaded anew, by a new worker. A child whose driver knows no restart "
		"is asked\nto shut down instead, and started again.\n" },
};

const unsigned child_verb_count = sizeof(child_verbs) / sizeof(*child_verbs);

const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < child_verb_count; i++)
		if (!strcmp(child_verbs[i].name, name))
			return &child_verbs[i];
	return NULL;
}
