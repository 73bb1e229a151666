// SPDX-License-Identifier: BSD-2-Clause
// lumenctl trace: what is in the hypervisor's trace ring now, oldest entry first.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/ctl/trace_ring.h"

enum { EVERYTHING = -1 };

struct trace_copy {
	struct trace_ring ring; // as it was when all entries had been copied
	uint64_t next;		// before that
	struct lumen_trace_entry *entries;
};

static const struct trace_event {
	const char *name, *a, *b;
} trace_events[LUMEN_TRACE_EVENT_MAX] = {
#define X(number, name, text, a_text, b_text) [number] = { text, a_text, b_text },
	LUMEN_TRACE_EVENTS(X)
#undef X
};

int ctl_open_trace(struct trace_ring *ring, bool *missing)
{
	const int error = trace_ring_open(ring);

	if (missing)
		*missing = error == ENOENT;
	if (!error || (missing && *missing))
		return 0;
	if (error == EPROTO)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"The trace of this hypervisor has a format that is not known here.");
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The hypervisor's trace cannot be opened: %s.",
		strerror(error));
}

static int copy_trace(struct trace_copy *copy)
{
	struct trace_ring *ring = &copy->ring;

	copy->next = ring->header.next;
	copy->entries = calloc(ring->header.entries, sizeof(*copy->entries));
	if (copy->entries && trace_ring_copy(ring, 0, ring->header.entries, copy->entries) &&
		trace_ring_look(ring))
		return 0;
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The hypervisor's trace cannot be read.");
}

static void print_number(const char *name, uint64_t value, bool json)
{
	if (!name || !strcmp(name, "-"))
		return;
	if (json)
		printf(", \"%s\": %" PRIu64, name, value);
	else
		printf("  %s 0x%" PRIx64, name, value);
}

static void print_entry(
	const struct lumen_trace_entry *entry, uint64_t start, uint64_t hz, bool json, bool first)
{
	const struct trace_event *event =
		&trace_events[entry->event < LUMEN_TRACE_EVENT_MAX ? entry->event : 0];
	double us = hz ? (double)(entry->tsc - start) * 1e6 / (double)hz : 0;

	if (json)
		printf("%s\n  {\"us\": %.3f, \"cpu\": %u", first ? "" : ",", us, entry->cpu);
	else
		printf("%14.3f us  cpu %-2u ", us, entry->cpu);
	if (entry->vp == LUMEN_TRACE_NO_VP)
		printf(json ? ", \"partition\": null" : "       -  ");
	else
		printf(json ? ", \"partition\": %u, \"vp\": %u" : "%5u.%-3u ", entry->vp >> 16,
			entry->vp & 0xffff);
	if (json)
		printf(", \"event\": \"%s\"", event->name ? event->name : "unknown");
	else
		printf(" %-10s", event->name ? event->name : "unknown");
	print_number(event->name ? event->a : "a", entry->a, json);
	print_number(event->name ? event->b : "b", entry->b, json);
	printf(json ? "}" : "\n");
}

// Prints what was whole while it was copied: entries that the writers have come round to in the
// meantime are left out.
static void print_trace(const struct trace_copy *copy, long partition, bool json)
{
	const struct lumen_trace_header *header = &copy->ring.header;
	uint64_t count = header->entries;
	uint64_t first = header->next > count ? header->next - count : 0;
	uint64_t start = 0;
	bool none = true;

	if (json)
		printf("[");
	for (uint64_t i = first; i < copy->next; i++) {
		const struct lumen_trace_entry *entry = &copy->entries[i % count];

		if (!entry->tsc)
			continue;
		if (partition != EVERYTHING &&
			(entry->vp == LUMEN_TRACE_NO_VP || entry->vp >> 16 != partition))
			continue;
		if (none)
			start = entry->tsc;
		print_entry(entry, start, header->tsc_hz, json, none);
		none = false;
	}
	if (json)
		printf("%s]\n", none ? "" : "\n");
}

// The partition id is one of the worker's statistics.
static int find_partition(const char *name, long *partition)
{
	static const char key[] = "\npartition_id ";
	int status, directory = ctl_find_running(name, &status);
	const char *found;
	char *answer;

	if (directory < 0)
		return status;
	answer = ctl_ask(directory, "stat", CTL_ANSWER_S, false);
	close(directory);
	found = answer ? strstr(answer, key) : NULL;
	*partition = found ? strtol(found + strlen(key), NULL, 10) : 0;
	free(answer);
	return found ? 0
		     : ctl_fail(LUMEN_EXIT_OUR_FAULT, "The partition of %s is not known.", name);
}

int ctl_trace(int argc, char **argv)
{
	struct trace_copy copy = { .entries = NULL };
	long partition = EVERYTHING;
	const char *name;
	bool json = false;
	int status = ctl_one_name(argc, argv, &name, true, &json);

	if (!status && name)
		status = find_partition(name, &partition);
	if (status)
		return status;
	status = ctl_open_trace(&copy.ring, NULL);
	if (status)
		return status;
	status = copy_trace(&copy);
	if (!status)
		print_trace(&copy, partition, json);
	free(copy.entries);
	trace_ring_close(&copy.ring);
	return status;
}
