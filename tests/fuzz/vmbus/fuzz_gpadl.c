// SPDX-License-Identifier: BSD-2-Clause
// GPADL assembly: the input is the header's length and range count, then messages, each with its
// length.
#include <stdlib.h>
#include <string.h>

#include "vmbus/gpadl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t page[VMBUS_PAGE_SIZE];

// Page numbers below 2^20 are RAM, but for one of them.
static void *find_page(void *context, uint64_t gpa_page)
{
	return gpa_page < 1 << 20 && gpa_page != 0x77 ? page : NULL;
}

static uint64_t *words_get(void *context, uint32_t count)
{
	return malloc(count * sizeof(uint64_t));
}

static void words_put(void *context, uint64_t *words, uint32_t count)
{
	free(words);
}

static const struct vmbus_memory memory = { NULL, find_page };
static const struct vmbus_gpadl_storage storage = { NULL, words_get, words_put };

static void require(int condition)
{
	if (!condition)
		abort();
}

// A GPADL that was created is what struct vmbus_gpa_range says, and all of it is RAM.
static void check_created(const struct vmbus_gpadl *gpadl)
{
	struct vmbus_gpa_range range;
	uint32_t count = vmbus_gpadl_whole_pages(gpadl), i;
	void *pages[64];

	require(gpadl->state == VMBUS_GPADL_CREATED);
	require(gpadl->range_count && !vmbus_gpadl_range(gpadl, gpadl->range_count, &range));
	for (i = 0; i < gpadl->range_count && i < 64; i++) {
		require(vmbus_gpadl_range(gpadl, i, &range));
		require(range.pfns > gpadl->words);
		require(range.pfns + range.pfn_count <= gpadl->words + gpadl->word_count);
		require(range.byte_count && range.byte_offset < VMBUS_PAGE_SIZE);
		require((uint64_t)range.byte_offset + range.byte_count <=
			(uint64_t)range.pfn_count * VMBUS_PAGE_SIZE);
		require(vmbus_memory_range_present(&memory, &range));
	}
	if (count)
		require(vmbus_gpadl_map(gpadl, &memory, pages, count < 64 ? count : 64));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmbus_gpadl gpadl = { 0 };
	enum vmbus_gpadl_error error;
	uint16_t length, ranges;

	if (size < 4)
		return 0;
	memcpy(&length, data, 2);
	memcpy(&ranges, data + 2, 2);
	data += 4;
	size -= 4;
	error = vmbus_gpadl_begin(&gpadl, &storage, length, ranges);
	if (error != VMBUS_GPADL_MORE) {
		require(gpadl.state == VMBUS_GPADL_FREE);
		return 0;
	}
	while (error == VMBUS_GPADL_MORE && size) {
		uint32_t chunk = data[0] % 221;

		data++;
		size--;
		if (chunk > size)
			chunk = (uint32_t)size;
		error = vmbus_gpadl_append(&gpadl, &memory, data, chunk);
		data += chunk;
		size -= chunk;
	}
	if (error == VMBUS_GPADL_OK)
		check_created(&gpadl);
	vmbus_gpadl_free(&gpadl, &storage);
	require(gpadl.state == VMBUS_GPADL_FREE);
	return 0;
}
