// SPDX-License-Identifier: BSD-2-Clause
// The accessors of guest memory: nothing else in the hypervisor dereferences a guest address. A GPA
// is a type of its own so that it cannot be mistaken for a pointer.
#pragma once

#include "hypervisor/core/partition.h"

typedef struct {
	uint64_t value;
} gpa_t;

static inline gpa_t gpa(uint64_t value)
{
	return (gpa_t){ value };
}

// Copies SIZE bytes, which may cross pages, between a private buffer and a partition's memory.
// False: some page is not mapped for that access (what came before it may have been copied). Host
// context, any partition.
bool guest_read(struct partition *partition, gpa_t from, void *to, size_t size);
bool guest_write(struct partition *partition, gpa_t to, const void *from, size_t size);
