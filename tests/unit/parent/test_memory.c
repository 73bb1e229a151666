// SPDX-License-Identifier: BSD-2-Clause
// Guest memory: its two parts, and the bounds of what is handed out.
#include <criterion/criterion.h>

#include "base/macros.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/memory.h"

static struct guest_memory memory;
static struct failure failure;

Test(memory, has_one_part_below_3_gib)
{
	cr_assert(guest_memory_create(&memory, 32 * LAYOUT_MIB, &failure));
	cr_assert_eq((uintptr_t)memory.parts[0].host % LAYOUT_MEMORY_UNIT, 0);
	cr_assert_eq(guest_memory_at(&memory, 0, 1), memory.parts[0].host);
	cr_assert_not_null(guest_memory_at(&memory, 32 * LAYOUT_MIB - 1, 1));
	cr_assert_null(guest_memory_at(&memory, 32 * LAYOUT_MIB - 1, 2));
	cr_assert_null(guest_memory_at(&memory, 32 * LAYOUT_MIB, 0));
	cr_assert_null(guest_memory_at(&memory, 4, UINT64_MAX));
	cr_assert_null(guest_memory_at(&memory, UINT64_MAX, 1));
	guest_memory_destroy(&memory);
	cr_assert_null(guest_memory_at(&memory, 0, 1));
}

Test(memory, goes_on_above_4_gib)
{
	cr_assert(guest_memory_create(&memory, LAYOUT_LOW_RAM_END + 4 * LAYOUT_MIB, &failure));
	cr_assert_null(guest_memory_at(&memory, LAYOUT_LOW_RAM_END, 1));
	cr_assert_null(guest_memory_at(&memory, LAYOUT_LOW_RAM_END - 1, 2));
	cr_assert_not_null(guest_memory_at(&memory, LAYOUT_HIGH_RAM_BASE, 4 * LAYOUT_MIB));
	cr_assert_null(guest_memory_at(&memory, LAYOUT_HIGH_RAM_BASE + 1, 4 * LAYOUT_MIB));
	guest_memory_destroy(&memory);
}

Test(memory, the_vmbus_sees_pages)
{
	struct vmbus_memory view;

	cr_assert(guest_memory_create(&memory, 16 * LAYOUT_MIB, &failure));
	view = guest_memory_for_vmbus(&memory);
	cr_assert_eq(vmbus_memory_page(&view, 5), memory.parts[0].host + 5 * 4096);
	cr_assert_null(vmbus_memory_page(&view, 16 * LAYOUT_MIB / 4096));
	cr_assert_null(vmbus_memory_page(&view, UINT64_MAX));
	cr_assert_null(vmbus_memory_page(&view, 1ull << 52), "no wrapping around to page 0");
	guest_memory_destroy(&memory);
}

Test(memory, odd_sizes_are_refused)
{
	static const uint64_t sizes[] = { 0, LAYOUT_MIB, 17 * LAYOUT_MIB, 61 * LAYOUT_GIB,
		UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		cr_expect(!guest_memory_create(&memory, sizes[i], &failure));
}
