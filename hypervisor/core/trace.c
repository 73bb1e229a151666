// SPDX-License-Identifier: BSD-2-Clause
// The trace ring.
#include "hypervisor/core/trace.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/memory.h"

uint32_t trace_mask = UINT32_MAX;
uint64_t trace_spa, trace_bytes;

static struct lumen_trace_header *header;
static struct lumen_trace_entry *ring;
static uint64_t index_mask;

void trace_init(void *pages, uint64_t bytes)
{
	uint64_t entries = 1; // a power of two, so that the free-running count needs only a mask

	header = pages;
	ring = (void *)((char *)pages + LUMEN_TRACE_HEADER_SIZE);
	while (entries * 2 * sizeof(*ring) <= bytes - LUMEN_TRACE_HEADER_SIZE)
		entries *= 2;
	index_mask = entries - 1;
	*header = (struct lumen_trace_header){
		.magic = LUMEN_TRACE_MAGIC,
		.version = LUMEN_TRACE_VERSION,
		.entry_bytes = sizeof(*ring),
		.entries = entries,
		.tsc_hz = tsc_hz,
	};
	trace_spa = va_to_spa(pages);
	trace_bytes = bytes;
}

void trace_write(enum lumen_trace_event event, const struct vp *vp, uint64_t a, uint64_t b)
{
	uint64_t at = __atomic_fetch_add(&header->next, 1, __ATOMIC_RELAXED);
	struct lumen_trace_entry *entry = &ring[at & index_mask];

	WRITE_ONCE(entry->tsc, 0);
	entry->event = event;
	entry->cpu = this_cpu()->index;
	entry->vp = vp ? vp->partition->id << 16 | vp->index : 0;
	entry->a = a;
	entry->b = b;
	WRITE_ONCE(entry->tsc, tsc_read());
}
