// SPDX-License-Identifier: BSD-2-Clause
// See touches.h.
#include "parent/worker/platform/touches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t certain(const struct touch *touch)
{
	return touch->reads + touch->writes;
}

static struct touch *find(struct touches *touches, enum touch_space space, uint64_t address)
{
	for (unsigned i = 0; i < touches->count; i++)
		if (touches->entries[i].address == address && touches->entries[i].space == space)
			return &touches->entries[i];
	return NULL;
}

// A place for a newcomer, which may have been here before: as often as the one that it replaces.
static struct touch *make_room(struct touches *touches)
{
	struct touch *least = &touches->entries[0];

	if (touches->count < TOUCHES_MAX)
		least = &touches->entries[touches->count++];
	else
		for (unsigned i = 1; i < TOUCHES_MAX; i++)
			if (certain(&touches->entries[i]) + touches->entries[i].perhaps <
				certain(least) + least->perhaps)
				least = &touches->entries[i];
	*least = (struct touch){ .perhaps = certain(least) + least->perhaps };
	return least;
}

void touches_add(struct touches *touches, enum touch_space space, uint64_t address, bool write,
	uint64_t now_ms)
{
	struct touch *touch = find(touches, space, address);

	if (!touch) {
		touch = make_room(touches);
		touch->space = space;
		touch->address = address;
	}
	touch->reads += !write;
	touch->writes += write;
	touch->last_ms = now_ms;
}

static int more_first(const void *a, const void *b)
{
	uint64_t one = certain(a), other = certain(b);

	return one < other ? 1 : -(one > other);
}

unsigned touches_top(const struct touches *touches, struct touch *top, unsigned max)
{
	struct touch sorted[TOUCHES_MAX];
	unsigned count = touches->count < max ? touches->count : max;

	memcpy(sorted, touches->entries, sizeof(sorted));
	qsort(sorted, touches->count, sizeof(*sorted), more_first);
	memcpy(top, sorted, count * sizeof(*top));
	return count;
}

void touches_describe(const struct touch *touch, char *text, size_t size)
{
	snprintf(text, size, "%s 0x%llx: %llu reads, %llu writes",
		touch->space == TOUCH_PORT ? "port" : "address", (unsigned long long)touch->address,
		(unsigned long long)touch->reads, (unsigned long long)touch->writes);
}
