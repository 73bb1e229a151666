// SPDX-License-Identifier: BSD-2-Clause
// A virtual processor: a thread that runs it and answers its intercepts.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypercall/synic.h"
#include "parent/common/failure.h"
#include "parent/worker/deadline.h"
#include "parent/worker/platform/loader.h"
#include "parent/worker/partition.h"

struct worker;

enum { VP_MESSAGE_KINDS = 8 };

struct vp {
	struct worker *worker;
	uint32_t index;
	int fd; // -1: not created
	pthread_t thread;
	bool has_thread;
	bool stop;			     // atomic: the thread is to end
	bool finished;			     // atomic: it has
	uint64_t messages[VP_MESSAGE_KINDS]; // intercepts by kind (exits.h)
	struct partition_answer answer;	     // to the last intercept
};

// Creates all VPs of the child, suspended, and puts VP 0 at the kernel's entry.
bool vps_create(struct worker *worker, const struct loader_entry *entry, struct failure *failure);

// Starts their threads.
bool vps_run(struct worker *worker, struct failure *failure);

// Stops the VPs and ends their threads. The VPs stay, suspended. Returns false if a thread has not
// ended by the deadline.
bool vps_stop(struct worker *worker, deadline_ns deadline);

// Closes their descriptors.
void vps_close(struct worker *worker);
