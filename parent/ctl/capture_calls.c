// SPDX-License-Identifier: BSD-2-Clause
// A child's hypercalls, from the hypervisor's trace ring. That is everybody's, and waits for
// nobody: it is read every few milliseconds, and what has been written over by then is counted as
// lost, whosever it was.
#include "parent/ctl/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "parent/ctl/ctl.h"
#include "parent/ctl/trace_ring.h"

enum { LOOK_NS = 5000000, NS_PER_S = 1000000000 };

static struct {
	struct trace_ring ring;
	uint64_t partition;
	// Copies of the ring's entries, by their number; those from `next` to `end` are to be
	// taken.
	struct lumen_trace_entry *entries;
	uint64_t next, end;
	// The time of the entry that was last taken from this place: as long as it is there, the
	// new one is not.
	uint64_t *taken;
	uint64_t looked, tsc; // two clocks at one moment: the root's, and the trace's
	uint64_t latest;      // time of a frame
	uint64_t lost;	      // since the last one
	struct capture_hypercall frame;
} calls;

// Both clocks, read between two readings of one of them that are as near as we get in a few tries.
static void read_clocks(void)
{
	uint64_t nearest = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		const uint64_t before = __rdtsc(), now = capture_now(), after = __rdtsc();

		if (after - before >= nearest)
			continue;
		nearest = after - before;
		calls.tsc = before + nearest / 2;
		calls.looked = now;
	}
}

static uint64_t time_of(uint64_t tsc)
{
	const double ticks = (double)(int64_t)(tsc - calls.tsc);

	return calls.looked +
	       (uint64_t)(int64_t)(ticks * NS_PER_S / (double)calls.ring.header.tsc_hz);
}

static int prepare(struct capture_source *source)
{
	const struct lumen_trace_header *header = &calls.ring.header;
	int status;

	status = ctl_open_trace(&calls.ring, source->named ? NULL : &source->missing);
	if (status || source->missing)
		return status;
	calls.entries = calloc(header->entries, sizeof(*calls.entries));
	calls.taken = calloc(header->entries, sizeof(*calls.taken));
	if (!calls.entries || !calls.taken || !header->tsc_hz ||
		!trace_ring_copy(&calls.ring, 0, header->entries, calls.entries) ||
		!trace_ring_look(&calls.ring))
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The hypervisor's trace cannot be followed.");
	// In this order: none of those that are to be taken had a number when they were copied.
	calls.next = calls.end = header->next;
	for (uint32_t i = 0; i < header->entries; i++)
		calls.taken[i] = calls.entries[i].tsc;
	return 0;
}

static int open_calls(struct capture_source *source, const struct capture_worker *worker)
{
	calls.partition = worker->hello.partition;
	snprintf(source->description, sizeof(source->description), "lumen child %s: hypercalls",
		source->child);
	return 0;
}

// Entries below this number have been, or are being written over.
static uint64_t oldest(void)
{
	const struct lumen_trace_header *header = &calls.ring.header;

	return header->next > header->entries ? header->next - header->entries : 0;
}

static void skip_to(uint64_t number)
{
	if (calls.next >= number)
		return;
	calls.lost += number - calls.next;
	calls.next = number;
}

// Copies what is new. Returns false if the ring cannot be read any more.
static bool look(void)
{
	read_clocks();
	if (!trace_ring_look(&calls.ring))
		return false;
	skip_to(oldest());
	calls.end = calls.ring.header.next;
	if (!trace_ring_copy(&calls.ring, calls.next, calls.end - calls.next, calls.entries) ||
		!trace_ring_look(&calls.ring))
		return false;
	skip_to(oldest() < calls.end ? oldest() : calls.end);
	return true;
}

// Returns the next entry, or NULL: it has a number, and is not written yet, or there is none.
static const struct lumen_trace_entry *take_entry(void)
{
	const uint64_t place = calls.next % calls.ring.header.entries;
	const struct lumen_trace_entry *entry = &calls.entries[place];

	if (calls.next == calls.end || !entry->tsc || entry->tsc == calls.taken[place]) {
		calls.end = calls.next;
		return NULL;
	}
	calls.taken[place] = entry->tsc;
	calls.next++;
	return entry;
}

static void take(struct capture_source *source, const struct lumen_trace_entry *entry)
{
	calls.frame = (struct capture_hypercall){ .version = CAPTURE_VERSION,
		.vp = entry->vp & 0xffff,
		.cpu = entry->cpu,
		.control = entry->a,
		.result = entry->b };
	// Two looks at the clocks differ a little: no call is earlier than the one before it.
	if (time_of(entry->tsc) > calls.latest)
		calls.latest = time_of(entry->tsc);
	source->frame = (struct pcapng_frame){ .time = calls.latest,
		.lost = calls.lost,
		.bytes = &calls.frame,
		.captured = sizeof(calls.frame),
		.length = sizeof(calls.frame) };
	source->lost += calls.lost;
	calls.lost = 0;
}

static bool take_call(struct capture_source *source)
{
	const struct lumen_trace_entry *entry;

	while ((entry = take_entry()))
		if (entry->event == LUMEN_TRACE_HYPERCALL && entry->vp >> 16 == calls.partition) {
			take(source, entry);
			return true;
		}
	return false;
}

static bool next_call(struct capture_source *source)
{
	if (take_call(source))
		return true;
	if (!source->last && capture_now() - calls.looked < LOOK_NS)
		return false;
	if (look())
		return take_call(source);
	source->ended = true;
	source->status = ctl_fail(LUMEN_EXIT_OUR_FAULT, "The hypervisor's trace cannot be read.");
	return false;
}

static void finish(struct capture_source *source)
{
	source->lost += calls.lost;
}

const struct capture_source_class capture_calls = { .name = "hypercalls",
	.link_type = CAPTURE_LINKTYPE_HYPERCALLS,
	.asks_worker = true,
	.prepare = prepare,
	.open = open_calls,
	.next = next_call,
	.finish = finish };
