// SPDX-License-Identifier: BSD-2-Clause
// GPADLs: assembly from messages, and the checks when the last word is there.
#include "vmbus/gpadl.h"

#include <stddef.h>
#include <string.h>

#include "vmbus/packet.h"

enum vmbus_gpadl_error vmbus_gpadl_begin(struct vmbus_gpadl *gpadl,
	const struct vmbus_gpadl_storage *storage, uint16_t length, uint16_t range_count)
{
	uint32_t count = length / 8u;

	if (!count || length % 8 || !range_count || range_count > count)
		return VMBUS_GPADL_BAD_LENGTH;
	gpadl->words = storage->get(storage->context, count);
	if (!gpadl->words)
		return VMBUS_GPADL_NO_STORAGE;
	gpadl->state = VMBUS_GPADL_COLLECTING;
	gpadl->range_count = range_count;
	gpadl->word_count = count;
	gpadl->words_received = 0;
	gpadl->users = 0;
	gpadl->silent = false;
	return VMBUS_GPADL_MORE;
}

// Reads the range whose header is words[*at], and moves *at behind it.
static bool next_range(const struct vmbus_gpadl *gpadl, uint32_t *at, struct vmbus_gpa_range *range)
{
	struct vmbus_gpa_range_header header;
	uint64_t pages;

	if (*at >= gpadl->word_count)
		return false;
	memcpy(&header, &gpadl->words[*at], sizeof(header));
	pages = vmbus_pages_spanned(header.byte_offset, header.byte_count);
	if (!header.byte_count || header.byte_offset >= VMBUS_PAGE_SIZE)
		return false;
	if (pages > gpadl->word_count - *at - 1)
		return false;
	range->byte_count = header.byte_count;
	range->byte_offset = header.byte_offset;
	range->pfn_count = (uint32_t)pages;
	range->pfns = &gpadl->words[*at + 1];
	*at += 1 + range->pfn_count;
	return true;
}

// Words behind the last range stay unused: hosts let them be.
static enum vmbus_gpadl_error check_ranges(
	const struct vmbus_gpadl *gpadl, const struct vmbus_memory *memory)
{
	struct vmbus_gpa_range range;
	uint32_t at = 0, i;

	for (i = 0; i < gpadl->range_count; i++) {
		if (!next_range(gpadl, &at, &range))
			return VMBUS_GPADL_BAD_RANGE;
		if (!vmbus_memory_range_present(memory, &range))
			return VMBUS_GPADL_NOT_RAM;
	}
	return VMBUS_GPADL_OK;
}

enum vmbus_gpadl_error vmbus_gpadl_append(struct vmbus_gpadl *gpadl,
	const struct vmbus_memory *memory, const void *bytes, uint32_t length)
{
	uint32_t missing = gpadl->word_count - gpadl->words_received;
	uint32_t count = length / 8u;
	enum vmbus_gpadl_error error;

	if (!count)
		return VMBUS_GPADL_EMPTY_BODY;
	if (count > missing)
		count = missing;
	memcpy(&gpadl->words[gpadl->words_received], bytes, count * sizeof(uint64_t));
	gpadl->words_received += count;
	if (count < missing)
		return VMBUS_GPADL_MORE;
	error = check_ranges(gpadl, memory);
	if (!error)
		gpadl->state = VMBUS_GPADL_CREATED;
	return error;
}

void vmbus_gpadl_free(struct vmbus_gpadl *gpadl, const struct vmbus_gpadl_storage *storage)
{
	storage->put(storage->context, gpadl->words, gpadl->word_count);
	memset(gpadl, 0, sizeof(*gpadl));
}

static bool complete(const struct vmbus_gpadl *gpadl)
{
	return gpadl->state == VMBUS_GPADL_CREATED || gpadl->state == VMBUS_GPADL_TEARING_DOWN;
}

bool vmbus_gpadl_range(
	const struct vmbus_gpadl *gpadl, uint32_t index, struct vmbus_gpa_range *range)
{
	uint32_t at = 0, i;

	if (!complete(gpadl) || index >= gpadl->range_count)
		return false;
	for (i = 0; i <= index; i++) {
		if (!next_range(gpadl, &at, range))
			return false;
	}
	return true;
}

uint32_t vmbus_gpadl_whole_pages(const struct vmbus_gpadl *gpadl)
{
	struct vmbus_gpa_range range;

	if (gpadl->range_count != 1 || !vmbus_gpadl_range(gpadl, 0, &range))
		return 0;
	if (range.byte_offset || range.byte_count % VMBUS_PAGE_SIZE)
		return 0;
	return range.pfn_count;
}

bool vmbus_gpadl_map(const struct vmbus_gpadl *gpadl, const struct vmbus_memory *memory,
	void **pages, uint32_t count)
{
	struct vmbus_gpa_range range;
	uint32_t i;

	if (count > vmbus_gpadl_whole_pages(gpadl) || !vmbus_gpadl_range(gpadl, 0, &range))
		return false;
	for (i = 0; i < count; i++) {
		pages[i] = vmbus_memory_page(memory, range.pfns[i]);
		if (!pages[i])
			return false;
	}
	return true;
}
