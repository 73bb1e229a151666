// SPDX-License-Identifier: BSD-2-Clause
// What the checks have in common, and those that are not in main.c.
#ifndef MSHV_CHECK_CHECK_H
#define MSHV_CHECK_CHECK_H

#include <errno.h>
#include <stdio.h>

#include "parent/driver/check/child.h"

#include "base/macros.h"

// Fails the check it stands in.
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "  line %d: %s (errno %d)\n", __LINE__, #condition,        \
				errno);                                                            \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static inline bool fails_with(int ret, int error)
{
	return ret == -1 && errno == error;
}

// A number of the driver's in sysfs.
long counter(const char *name);

// The child posts a message of type TYPE with the payload "hello", over this connection.
#define CHECK_CONNECTION 0x10001
bool post(struct child *child, uint32_t type);

// arguments.c: goes through all arguments that the ioctls have to refuse, with CHILD, which has
// been made and not run. False: one was not refused as it should be.
bool arguments_refused(const struct child *child);

// limits.c: each gets a child that has been made and not run, or (memlock) none.
bool check_partition_id(struct child *child);
bool check_no_output(struct child *child);
bool check_quotas(struct child *child);
bool check_memlock(struct child *unused);

// charges.c
bool check_cgroup(struct child *unused);

// faults.c: each gets a child that has been made and not run.
bool check_message_faults(struct child *child);
bool check_intercept_faults(struct child *child);

#endif
