// SPDX-License-Identifier: BSD-2-Clause
// ACPI tables (ACPI 6.4, 5.2). They are the host's word: lengths are limited before they are used.
#include "lumen/acpi.h"

#include <stdbool.h>
#include <stddef.h>

#include "lumen/platform.h"

struct acpi_rsdp { // 5.2.5.3
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __attribute__((packed)); // to its real size

enum { RSDP_FIRST_PART = 20, RSDP_STEP = 16, TABLE_MAX = 1 << 20 };

// Where a BIOS puts it: the extended data area, whose segment is in memory at 0x40e, and the ROM.
#define EBDA_SEGMENT 0x40e
#define EBDA_SIZE    1024
#define ROM_START    0xe0000
#define ROM_END	     0x100000

static uint64_t rsdp_gpa;

void lumen_acpi_set_rsdp(uint64_t gpa)
{
	rsdp_gpa = gpa;
}

static uint8_t sum(const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;
	uint8_t total = 0;

	while (length--)
		total = (uint8_t)(total + *byte++);
	return total;
}

static bool same(const char *a, const char *b, size_t length)
{
	while (length && *a++ == *b++)
		length--;
	return !length;
}

static const struct acpi_rsdp *look(uint64_t from, uint64_t to)
{
	for (; from + RSDP_FIRST_PART <= to; from += RSDP_STEP) {
		const struct acpi_rsdp *rsdp = lumen_memory(from);

		if (same(rsdp->signature, "RSD PTR ", 8) && !sum(rsdp, RSDP_FIRST_PART))
			return rsdp;
	}
	return NULL;
}

static const struct acpi_rsdp *find_rsdp(void)
{
	const volatile uint8_t *segment;
	const struct acpi_rsdp *found;
	uint64_t ebda;

	if (rsdp_gpa)
		return lumen_memory(rsdp_gpa);
	segment = lumen_memory(EBDA_SEGMENT);
	ebda = (uint64_t)(segment[0] | segment[1] << 8) << 4;
	found = look(ebda, ebda + EBDA_SIZE);
	return found ? found : look(ROM_START, ROM_END);
}

static const struct lumen_acpi_header *table_at(uint64_t gpa)
{
	const struct lumen_acpi_header *table = gpa ? lumen_memory(gpa) : NULL;

	return table && table->length >= sizeof(*table) && table->length <= TABLE_MAX ? table
										      : NULL;
}

const struct lumen_acpi_header *lumen_acpi_table(const char *signature)
{
	const struct acpi_rsdp *rsdp = find_rsdp();
	const struct lumen_acpi_header *root, *table;
	bool wide = rsdp && rsdp->revision >= 2 && rsdp->xsdt;
	size_t size = wide ? 8 : 4;

	root = rsdp ? table_at(wide ? rsdp->xsdt : rsdp->rsdt) : NULL;
	for (size_t at = sizeof(*root); root && at + size <= root->length; at += size) {
		uint64_t gpa = 0;

		__builtin_memcpy(&gpa, (const uint8_t *)root + at, size);
		table = table_at(gpa);
		if (table && same(table->signature, signature, 4) && !sum(table, table->length))
			return table;
	}
	return NULL;
}
