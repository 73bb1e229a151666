// SPDX-License-Identifier: BSD-2-Clause
// A tiny child for the checks of /dev/mshv: one VP, 4 MiB of memory, a few bytes of 32-bit code.
#ifndef MSHV_CHECK_CHILD_H
#define MSHV_CHECK_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall/synic.h"

#define CHILD_MEMORY (4u << 20)
#define CHILD_CODE   0x1000 // where child_set_code() puts the code
#define CHILD_DATA   0x2000
#define CHILD_PORT   0x80 // an OUT to it comes back from child_run()

struct child {
	int partition, vp; // fds
	uint8_t *memory;   // from GPA 0 on, in large pages if the kernel has some
	void *reserved;	   // where it lies
};

// Opens /dev/mshv and makes a child. False, errno and a line on standard error: it did not work;
// what was made is in CHILD, the rest is -1 or NULL.
bool child_create(struct child *child);

// Maps the memory, or takes the mapping away.
bool child_map(struct child *child, bool map);

void child_destroy(struct child *child);

// Sets the VP to run CODE from its beginning: protected mode, flat segments, no paging.
bool child_set_code(struct child *child, const void *code, size_t size);

// Runs until the next intercept, as MSHV_RUN_VP.
int child_run(struct child *child, struct hv_message *message);

// Runs until the OUT to CHILD_PORT and gives the EAX of then. False: something else happened.
bool child_run_to_out(struct child *child, uint32_t *eax);

// MSHV_ROOT_HVCALL; returns HV_STATUS_*, or -1 with errno if the ioctl did not get that far.
int child_hvcall(
	int fd, uint16_t code, uint16_t reps, void *in, size_t in_size, void *out, size_t out_size);

#endif
