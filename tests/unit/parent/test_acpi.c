// SPDX-License-Identifier: BSD-2-Clause
// The ACPI tables: checksums, the chain from RSDP to MADT, and what the kernel looks for.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "parent/worker/platform/acpi/tables.h"
#include "parent/worker/platform/layout.h"

enum { GPA = LAYOUT_ACPI };

static uint8_t room[LAYOUT_ACPI_ROOM];
static uint32_t used;

static uint64_t number(const uint8_t *at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

static void check_sum(const uint8_t *bytes, uint64_t length)
{
	uint8_t sum = 0;

	cr_assert_leq(bytes + length, room + used);
	for (uint64_t i = 0; i < length; i++)
		sum += bytes[i];
	cr_assert_eq(sum, 0, "%.4s", (const char *)bytes);
}

// Returns the table at a GPA, its signature and checksum checked.
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *at;

	cr_assert(gpa >= GPA && gpa < GPA + used);
	at = room + (gpa - GPA);
	cr_assert_eq(memcmp(at, signature, 4), 0, "%s", signature);
	check_sum(at, number(at + 4, 4));
	return at;
}

static const uint8_t *xsdt_entry(unsigned index, const char *signature)
{
	const uint8_t *xsdt = table(number(room + 24, 8), "XSDT");

	cr_assert_eq(number(xsdt + 4, 4), 36 + 2 * 8);
	return table(number(xsdt + 36 + 8 * index, 8), signature);
}

static void write_tables(uint32_t vps)
{
	memset(room, 0, sizeof(room));
	used = acpi_tables_write(room, sizeof(room), GPA, vps);
	cr_assert_gt(used, 0);
}

static bool contains(const uint8_t *at, uint32_t length, const char *text, uint32_t size)
{
	for (uint32_t i = 0; i + size <= length; i++)
		if (!memcmp(at + i, text, size))
			return true;
	return false;
}

Test(acpi, rsdp_has_both_checksums)
{
	write_tables(1);
	cr_assert_eq(memcmp(room, "RSD PTR ", 8), 0);
	check_sum(room, 20);
	check_sum(room, 36);
	cr_assert_eq(room[15], 2);
}

// For kernels that know ACPI 1.0: what they read is the first part of the RSDP and the RSDT.
Test(acpi, rsdt_lists_the_same_tables)
{
	const uint8_t *rsdt;

	write_tables(2);
	rsdt = table(number(room + 16, 4), "RSDT");
	cr_assert_eq(number(rsdt + 4, 4), 36 + 2 * 4);
	cr_assert_eq(table(number(rsdt + 36, 4), "FACP"), xsdt_entry(0, "FACP"));
	cr_assert_eq(table(number(rsdt + 40, 4), "APIC"), xsdt_entry(1, "APIC"));
	cr_assert_eq(number(xsdt_entry(0, "FACP") + 40, 4), number(xsdt_entry(0, "FACP") + 140, 8),
		"DSDT and X_DSDT");
}

Test(acpi, fadt_is_of_a_hardware_reduced_machine)
{
	const uint8_t *fadt;

	write_tables(1);
	fadt = xsdt_entry(0, "FACP");
	cr_assert_eq(number(fadt + 4, 4), 276);
	cr_assert(number(fadt + 112, 4) & 1u << 20, "HW_REDUCED_ACPI");
	cr_assert(number(fadt + 112, 4) & 1u << 10, "RESET_REG_SUP");
	cr_assert_eq(number(fadt + 109, 2), 0x24, "no VGA, no RTC, no 8042, no legacy devices");
	cr_assert_eq(number(fadt + 120, 8), LAYOUT_RESET);
	cr_assert_eq(fadt[128], LAYOUT_RESET_VALUE);
	cr_assert_eq(number(fadt + 248, 8), LAYOUT_SLEEP_CONTROL);
	cr_assert_eq(number(fadt + 260, 8), LAYOUT_SLEEP_STATUS);
	cr_assert_eq(fadt[244], 1, "in I/O space");
}

Test(acpi, dsdt_has_the_vmbus_and_the_console)
{
	const uint8_t *dsdt;
	uint32_t length;

	write_tables(1);
	dsdt = table(number(xsdt_entry(0, "FACP") + 140, 8), "DSDT");
	length = (uint32_t)number(dsdt + 4, 4);
	cr_assert(contains(dsdt, length, "VMBus", 6));
	cr_assert(contains(dsdt, length, "ACPI0004", 9));
	cr_assert(contains(dsdt, length, "\x41\xd0\x05\x01", 4), "EISA id PNP0501");
	cr_assert(contains(dsdt, length, "_S5_", 4));
}

// Counts the entries of a type, and checks that the list ends where the table does.
static unsigned madt_entries(uint8_t type)
{
	const uint8_t *madt = xsdt_entry(1, "APIC");
	const uint8_t *end = madt + number(madt + 4, 4);
	const uint8_t *at = madt + 44;
	unsigned count = 0;

	while (at < end) {
		cr_assert_geq(at[1], 2);
		count += at[0] == type;
		at += at[1];
	}
	cr_assert_eq(at, end);
	return count;
}

Test(acpi, madt_has_a_processor_per_vp)
{
	static const uint32_t counts[] = { 1, 2, 4, 64 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		write_tables(counts[i]);
		cr_expect_eq(madt_entries(0), counts[i]);
		cr_expect_eq(madt_entries(1), 1);
	}
	write_tables(300);
	cr_assert_eq(madt_entries(0), 255);
	cr_assert_eq(madt_entries(9), 45, "ids from 255 on need x2APIC entries");
}

Test(acpi, too_little_room_is_noticed)
{
	for (uint32_t size = 0; size < 1000; size++) {
		uint32_t got = acpi_tables_write(room, size, GPA, 4);

		cr_assert(got == 0 || got <= size);
	}
	cr_assert_eq(acpi_tables_write(room, 100, GPA, 4), 0);
}
