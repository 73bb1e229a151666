// SPDX-License-Identifier: BSD-2-Clause
// GPADLs: assembly from one or more messages, and every way to get one wrong.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "vmbus/gpadl.h"
#include "rig.h"

// A GPADL under test, in guest memory of 64 pages.
struct fixture {
	struct rig *rig;
	struct vmbus_memory memory;
	struct vmbus_gpadl_storage storage;
	struct vmbus_gpadl gpadl;
};

static struct fixture *fixture_new(void)
{
	static struct fixture fixture;

	fixture.rig = rig_new();
	fixture.memory = (struct vmbus_memory){ fixture.rig, rig_page };
	fixture.storage = (struct vmbus_gpadl_storage){ fixture.rig, rig_words_get, rig_words_put };
	return &fixture;
}

static uint64_t range_word(uint32_t byte_count, uint32_t byte_offset)
{
	return byte_count | (uint64_t)byte_offset << 32;
}

// Begins and fills a GPADL with `count` words at once.
static enum vmbus_gpadl_error build(
	struct fixture *f, const uint64_t *words, uint32_t count, uint16_t range_count)
{
	enum vmbus_gpadl_error error;

	error = vmbus_gpadl_begin(&f->gpadl, &f->storage, (uint16_t)(count * 8), range_count);
	if (error != VMBUS_GPADL_MORE)
		return error;
	error = vmbus_gpadl_append(&f->gpadl, &f->memory, words, count * 8);
	if (error != VMBUS_GPADL_OK)
		vmbus_gpadl_free(&f->gpadl, &f->storage);
	return error;
}

Test(gpadl, one_message)
{
	struct fixture *f = fixture_new();
	uint64_t words[] = { range_word(8192, 0), 5, 3 };
	struct vmbus_gpa_range range;
	void *pages[3];

	cr_assert_eq(build(f, words, 3, 1), VMBUS_GPADL_OK);
	cr_assert_eq(f->gpadl.state, VMBUS_GPADL_CREATED);
	cr_assert_eq(vmbus_gpadl_whole_pages(&f->gpadl), 2);
	cr_assert(vmbus_gpadl_range(&f->gpadl, 0, &range));
	cr_assert_eq(range.byte_count, 8192);
	cr_assert_eq(range.pfns[1], 3);
	cr_assert_not(vmbus_gpadl_range(&f->gpadl, 1, &range));
	cr_assert(vmbus_gpadl_map(&f->gpadl, &f->memory, pages, 2));
	cr_assert_eq(pages[0], f->rig->memory[5]);
	cr_assert_eq(pages[1], f->rig->memory[3]);
	cr_assert_not(vmbus_gpadl_map(&f->gpadl, &f->memory, pages, 3));
	vmbus_gpadl_free(&f->gpadl, &f->storage);
	cr_assert_eq(f->gpadl.state, VMBUS_GPADL_FREE);
	cr_assert_eq(f->rig->words_out, 0);
}

Test(gpadl, many_messages_of_any_length)
{
	uint32_t step, i;

	for (step = 1; step <= 28; step++) {
		struct fixture *f = fixture_new();
		uint64_t words[51] = { range_word(50 * 4096, 0) };
		struct vmbus_gpa_range range;

		for (i = 0; i < 50; i++)
			words[1 + i] = (i * 7) % RIG_PAGES;
		cr_assert_eq(vmbus_gpadl_begin(&f->gpadl, &f->storage, sizeof(words), 1),
			VMBUS_GPADL_MORE);
		for (i = 0; i + step < 51; i += step) {
			cr_assert_eq(vmbus_gpadl_append(&f->gpadl, &f->memory, words + i, step * 8),
				VMBUS_GPADL_MORE);
			cr_assert_eq(f->gpadl.state, VMBUS_GPADL_COLLECTING);
			cr_assert_not(vmbus_gpadl_range(&f->gpadl, 0, &range), "too early");
		}
		cr_assert_eq(vmbus_gpadl_append(&f->gpadl, &f->memory, words + i, (51 - i) * 8),
			VMBUS_GPADL_OK);
		cr_assert(vmbus_gpadl_range(&f->gpadl, 0, &range));
		cr_assert_eq(memcmp(range.pfns, words + 1, 50 * 8), 0);
		vmbus_gpadl_free(&f->gpadl, &f->storage);
	}
}

Test(gpadl, what_is_too_much_is_ignored)
{
	struct fixture *f = fixture_new();
	uint64_t words[28] = { range_word(4096, 0), 7, 0xDEADDEADDEAD };

	cr_assert_eq(vmbus_gpadl_begin(&f->gpadl, &f->storage, 16, 1), VMBUS_GPADL_MORE);
	cr_assert_eq(
		vmbus_gpadl_append(&f->gpadl, &f->memory, words, sizeof(words)), VMBUS_GPADL_OK);
	cr_assert_eq(f->gpadl.words_received, 2);
	vmbus_gpadl_free(&f->gpadl, &f->storage);
	// Bytes behind the last whole word do not count either.
	cr_assert_eq(vmbus_gpadl_begin(&f->gpadl, &f->storage, 16, 1), VMBUS_GPADL_MORE);
	cr_assert_eq(vmbus_gpadl_append(&f->gpadl, &f->memory, words, 15), VMBUS_GPADL_MORE);
	cr_assert_eq(f->gpadl.words_received, 1);
	cr_assert_eq(vmbus_gpadl_append(&f->gpadl, &f->memory, words, 7), VMBUS_GPADL_EMPTY_BODY);
	vmbus_gpadl_free(&f->gpadl, &f->storage);
}

Test(gpadl, several_ranges)
{
	struct fixture *f = fixture_new();
	uint64_t words[] = { range_word(100, 4000), 1, 2, range_word(4096, 0), 9,
		range_word(1, 4095), 63 };
	struct vmbus_gpa_range range;

	cr_assert_eq(build(f, words, 7, 3), VMBUS_GPADL_OK);
	cr_assert(vmbus_gpadl_range(&f->gpadl, 0, &range));
	cr_assert_eq(range.byte_offset, 4000);
	cr_assert_eq(range.pfn_count, 2);
	cr_assert(vmbus_gpadl_range(&f->gpadl, 1, &range));
	cr_assert_eq(range.pfns[0], 9);
	cr_assert(vmbus_gpadl_range(&f->gpadl, 2, &range));
	cr_assert_eq(range.pfns[0], 63);
	cr_assert_not(vmbus_gpadl_range(&f->gpadl, 3, &range));
	cr_assert_eq(vmbus_gpadl_whole_pages(&f->gpadl), 0, "no ring");
	vmbus_gpadl_free(&f->gpadl, &f->storage);
}

Test(gpadl, wrong_ones_have_their_names)
{
	struct {
		uint64_t words[4];
		uint32_t count;
		uint16_t range_count;
		enum vmbus_gpadl_error error;
	} rows[] = {
		{ { range_word(4096, 0), 1 }, 2, 0, VMBUS_GPADL_BAD_LENGTH },
		{ { range_word(4096, 0), 1 }, 0, 1, VMBUS_GPADL_BAD_LENGTH },
		{ { range_word(4096, 0), 1 }, 2, 3, VMBUS_GPADL_BAD_LENGTH },
		{ { range_word(4096, 0), 1 }, 1, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(4096, 0), 1 }, 2, 2, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(4097, 0), 1 }, 2, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(4096, 1), 1 }, 2, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(0, 0), 1 }, 2, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(1, 4096), 1, 2 }, 3, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(0xFFFFFFFF, 0), 1, 2 }, 3, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(0xFFFFFFFF, 0xFFFFFFFF), 1, 2 }, 3, 1, VMBUS_GPADL_BAD_RANGE },
		{ { range_word(4096, 0), RIG_PAGES }, 2, 1, VMBUS_GPADL_NOT_RAM },
		{ { range_word(8192, 0), 1, UINT64_MAX }, 3, 1, VMBUS_GPADL_NOT_RAM },
		{ { range_word(8192, 0), 1, 1ull << 52 | 1 }, 3, 1, VMBUS_GPADL_NOT_RAM },
		{ { range_word(8192, 0), 1, 63 }, 3, 1, VMBUS_GPADL_OK },
		{ { range_word(4096, 0), 1, 0xFFFF }, 3, 1, VMBUS_GPADL_OK }, // a word too many
	};
	struct fixture *f = fixture_new();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(build(f, rows[i].words, rows[i].count, rows[i].range_count),
			rows[i].error, "row %zu", i);
		if (rows[i].error == VMBUS_GPADL_OK)
			vmbus_gpadl_free(&f->gpadl, &f->storage);
		cr_assert_eq(f->rig->words_out, 0, "row %zu keeps its storage", i);
	}
	cr_assert_eq(vmbus_gpadl_begin(&f->gpadl, &f->storage, 12, 1), VMBUS_GPADL_BAD_LENGTH);
	f->rig->words_max = 1;
	cr_assert_eq(build(f, rows[0].words, 2, 1), VMBUS_GPADL_NO_STORAGE);
}

Test(gpadl, the_longest)
{
	struct fixture *f = fixture_new();
	static uint64_t words[VMBUS_GPADL_WORDS_MAX];

	words[0] = range_word((VMBUS_GPADL_WORDS_MAX - 1) * 4096, 0);
	cr_assert_eq(build(f, words, VMBUS_GPADL_WORDS_MAX, 1), VMBUS_GPADL_OK);
	cr_assert_eq(vmbus_gpadl_whole_pages(&f->gpadl), VMBUS_GPADL_WORDS_MAX - 1);
	vmbus_gpadl_free(&f->gpadl, &f->storage);
}

Test(gpadl, memory_is_copied_across_pages_and_no_further)
{
	struct fixture *f = fixture_new();
	uint64_t pfns[] = { 8, 3, 60 };
	struct vmbus_gpa_range range = { 6000, 4000, 3, pfns };
	uint8_t in[6000], out[6000];
	struct vmbus_segment segment;
	uint32_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 13 + 1);
	cr_assert(vmbus_memory_write(&f->memory, &range, 0, in, 6000));
	cr_assert_eq(f->rig->memory[8][3999], 0);
	cr_assert_eq(f->rig->memory[8][4000], in[0]);
	cr_assert_eq(f->rig->memory[3][0], in[96]);
	cr_assert_eq(f->rig->memory[60][1807], in[5999]);
	cr_assert_eq(f->rig->memory[60][1808], 0);
	cr_assert(vmbus_memory_read(&f->memory, &range, 0, out, 6000));
	cr_assert_eq(memcmp(in, out, 6000), 0);
	cr_assert(vmbus_memory_read(&f->memory, &range, 90, out, 10));
	cr_assert_eq(memcmp(in + 90, out, 10), 0);
	cr_assert_not(vmbus_memory_read(&f->memory, &range, 1, out, 6000), "a byte too far");
	cr_assert_not(vmbus_memory_read(&f->memory, &range, UINT32_MAX, out, 2));
	cr_assert(vmbus_memory_segment(&f->memory, &range, 96, 10000, &segment));
	cr_assert_eq(segment.data, f->rig->memory[3]);
	cr_assert_eq(segment.length, 4096);
	cr_assert_not(vmbus_memory_segment(&f->memory, &range, 0, 0, &segment));
	cr_assert(vmbus_memory_range_present(&f->memory, &range));
	pfns[1] = RIG_PAGES;
	cr_assert_not(vmbus_memory_range_present(&f->memory, &range));
	cr_assert_not(vmbus_memory_write(&f->memory, &range, 0, in, 6000));
	cr_assert(vmbus_memory_write(&f->memory, &range, 0, in, 96), "the page that is there");
}
