// SPDX-License-Identifier: BSD-2-Clause
// The guest memory accessors: pages that are not neighbours in RAM, ends of memory, access rights.
#include <criterion/criterion.h>
#include <string.h>

#include "hypervisor/core/guest_mem.h"
#include "hypervisor/x86/memory.h"

enum { PAGES = 4, READ_ONLY_PAGE = 2 };

static _Alignas(PAGE_SIZE) uint8_t ram[PAGES][PAGE_SIZE];
static struct partition partition;

// GPA page n is ram[PAGES - 1 - n]. Its "physical" page is what the direct map leads back to.
bool gpa_map_lookup(
	const struct gpa_map *map, uint64_t gpa_page, unsigned int access, uint64_t *spa_page)
{
	if (map != &partition.gpa || gpa_page >= PAGES)
		return false;
	if (gpa_page == READ_ONLY_PAGE && access != GPA_READ)
		return false;
	*spa_page = va_to_page(ram[PAGES - 1 - gpa_page]);
	return true;
}

static uint8_t *at(uint64_t address)
{
	return &ram[PAGES - 1 - address / PAGE_SIZE][address % PAGE_SIZE];
}

Test(guest_mem, reads_across_pages)
{
	uint8_t bytes[PAGE_SIZE + 20];

	for (uint64_t i = 0; i < PAGES * PAGE_SIZE; i++)
		*at(i) = i * 7 >> 3;
	cr_assert(guest_read(&partition, gpa(PAGE_SIZE - 10), bytes, sizeof(bytes)));
	for (uint64_t i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(bytes[i], (uint8_t)((PAGE_SIZE - 10 + i) * 7 >> 3));
}

Test(guest_mem, writes_across_pages_and_nowhere_else)
{
	uint8_t bytes[30];

	memset(bytes, 0xaa, sizeof(bytes));
	cr_assert(guest_write(&partition, gpa(PAGE_SIZE - 10), bytes, sizeof(bytes)));
	for (uint64_t i = 0; i < PAGES * PAGE_SIZE; i++) {
		bool inside = i >= PAGE_SIZE - 10 && i < PAGE_SIZE + 20;

		cr_assert_eq(*at(i), inside ? 0xaa : 0, "byte %lx", i);
	}
}

Test(guest_mem, respects_rights_and_ends)
{
	uint8_t byte = 1, two[2];

	cr_assert(guest_read(&partition, gpa(READ_ONLY_PAGE * PAGE_SIZE), &byte, 1));
	cr_assert_not(guest_write(&partition, gpa(READ_ONLY_PAGE * PAGE_SIZE), &byte, 1));
	cr_assert_not(guest_write(&partition, gpa(READ_ONLY_PAGE * PAGE_SIZE - 1), two, 2));
	cr_assert(guest_read(&partition, gpa(PAGES * PAGE_SIZE - 1), &byte, 1));
	cr_assert_not(guest_read(&partition, gpa(PAGES * PAGE_SIZE - 1), two, 2));
	cr_assert_not(guest_read(&partition, gpa(UINT64_MAX), two, 2));
	cr_assert_not(guest_read(&partition, gpa(UINT64_MAX - 1), two, 2));
	cr_assert_not(guest_read(&partition, gpa(BIT(GPA_BITS)), &byte, 1));
	cr_assert(guest_read(&partition, gpa(0), two, 0));
}
