// SPDX-License-Identifier: BSD-2-Clause
// ACPI tables: found, checked, and no more.
#include "examples/kernel/internal.h"

struct acpi_rsdp { // ACPI 6.4, 5.2.5.3
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __attribute__((packed)); // to its real size

enum { RSDP_FIRST_PART = 20, RSDP_STEP = 16 };

// Where a BIOS puts it: the extended data area, whose segment is in memory at 0x40e, and the ROM.
#define EBDA_SEGMENT 0x40e
#define EBDA_SIZE    1024
#define ROM_START    0xe0000
#define ROM_END	     0x100000

static uint8_t sum(const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;
	uint8_t total = 0;

	while (length--)
		total += *byte++;
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
		const struct acpi_rsdp *rsdp = (const struct acpi_rsdp *)from;

		if (same(rsdp->signature, "RSD PTR ", 8) && !sum(rsdp, RSDP_FIRST_PART))
			return rsdp;
	}
	return NULL;
}

static const struct acpi_rsdp *find_rsdp(void)
{
	const volatile uint16_t *segment;
	const struct acpi_rsdp *found;
	uint64_t ebda;

	if (kernel_rsdp)
		return (const struct acpi_rsdp *)kernel_rsdp;
	// The compiler takes so low an address for a null pointer: it does not get to see it.
	__asm__("mov %1, %0" : "=r"(segment) : "i"(EBDA_SEGMENT));
	ebda = (uint64_t)*segment << 4;
	found = look(ebda, ebda + EBDA_SIZE);
	return found ? found : look(ROM_START, ROM_END);
}

const struct acpi_header *acpi_table(const char *signature)
{
	const struct acpi_rsdp *rsdp = find_rsdp();
	const struct acpi_header *root, *table;
	bool wide = rsdp && rsdp->revision >= 2 && rsdp->xsdt;
	size_t size = wide ? 8 : 4;

	if (!rsdp)
		return NULL;
	root = (const struct acpi_header *)(wide ? rsdp->xsdt : rsdp->rsdt);
	for (size_t at = sizeof(*root); at + size <= root->length; at += size) {
		uint64_t address = 0;

		__builtin_memcpy(&address, (const uint8_t *)root + at, size);
		table = (const struct acpi_header *)address;
		if (same(table->signature, signature, 4) && !sum(table, table->length))
			return table;
	}
	return NULL;
}
