// SPDX-License-Identifier: BSD-2-Clause
// What the integration components ask of their host.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// No call blocks; all are made in the thread that drives the instance.
struct ic_host {
	void *context;
	// Returns the time of day, UTC, in units of 100 ns since 1601.
	uint64_t (*time_of_day)(void *context);
	// Reads the guest's reference time (HV_X64_MSR_TIME_REF_COUNT), in units of 100 ns. Returns
	// false, and leaves *time alone, if it cannot be read now.
	bool (*reference_time)(void *context, uint64_t *time);
	// The guest has told a pair of a pool (enum kvp_pool): UTF-8, whatever the guest liked.
	void (*pair)(void *context, uint32_t pool, const char *key, const char *value);
	// Takes the next bytes of the file that is copied, `size` at most. Returns how many; 0:
	// none now, poll when there are; -1: there will be no more.
	int32_t (*read)(void *context, void *bytes, uint32_t size);
};
