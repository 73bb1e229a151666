// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's trace ring (hypercall/lumen_trace.h), as /dev/mshv-trace shows it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/lumen_trace.h"

struct trace_ring {
	int fd;
	struct lumen_trace_header header; // as it was when it was read last
};

// Opens it, and checks that its format is the one that is known here. Returns 0, or an errno:
// EPROTO for another format.
int trace_ring_open(struct trace_ring *ring);

void trace_ring_close(const struct trace_ring *ring);

// Reads the header anew: how far the writers have come. Returns false if it cannot be read.
bool trace_ring_look(struct trace_ring *ring);

// Copies `count` entries from number `first` on, to where they are in a ring of ours as large as
// that one. Upwards, so that an entry's time is read before the rest of it, and is written behind
// that by the hypervisor. Those that the writers have come round to in the meantime are no entries:
// trace_ring_look() says which. Returns false if they cannot be read.
bool trace_ring_copy(const struct trace_ring *ring, uint64_t first, uint64_t count,
	struct lumen_trace_entry *entries);
