// SPDX-License-Identifier: BSD-2-Clause
// A child's RAM: anonymous memory of this process, in one or two parts (layout.h). Everything in
// the worker that touches guest memory gets its pointer here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/common/failure.h"
#include "vmbus/memory.h"

struct guest_memory_part {
	uint64_t gpa;
	uint64_t size; // in bytes; 0: this part is not there
	uint8_t *host;
};

enum { GUEST_MEMORY_PARTS = 2 };

struct guest_memory {
	struct guest_memory_part parts[GUEST_MEMORY_PARTS]; // low, then high
};

// Allocates `size` bytes of zeroed guest memory (a multiple of LAYOUT_MEMORY_UNIT within
// LAYOUT_MEMORY_MIN and _MAX), aligned to 2 MiB and with large pages where the kernel has them.
bool guest_memory_create(struct guest_memory *memory, uint64_t size, struct failure *failure);

// Gives the memory back to the kernel. Nobody may use a pointer into it any more.
void guest_memory_destroy(struct guest_memory *memory);

// Returns the host address of `length` bytes at `gpa`, or NULL if they are not all RAM of one part.
void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t length);

// Returns the same memory as the VMBus code wants to see it.
struct vmbus_memory guest_memory_for_vmbus(struct guest_memory *memory);

// Returns the size of the low part in bytes: the end of the RAM below 4 GiB.
static inline uint64_t guest_memory_low_end(const struct guest_memory *memory)
{
	return memory->parts[0].size;
}
