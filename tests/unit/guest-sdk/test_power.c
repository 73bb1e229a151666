// SPDX-License-Identifier: BSD-2-Clause
// ACPI's tables, power-off, reset and status, by tables in memory: Lumen's, a PC's, broken ones.
#include "base/macros.h"
#include "lumen/acpi.h"
#include "lumen/platform.h"
#include "lumen/power.h"
#include "machine.h"

enum {
	ROM = 0xe0000,
	MEMORY = 0x100000,
	RSDT = 0xe1000,
	XSDT = 0xe2000,
	FADT = 0xe3000,
	DSDT = 0xe4000
};

static uint8_t memory[MEMORY];

// All that the code under test looks at must be there.
void *lumen_memory(uint64_t gpa)
{
	cr_assert_lt(gpa, (uint64_t)MEMORY, "%#lx", gpa);
	return memory + gpa;
}

static void put(uint32_t at, const void *bytes, size_t size)
{
	memcpy(memory + at, bytes, size);
}

static void put8(uint32_t at, uint8_t value)
{
	memory[at] = value;
}

static void put32(uint32_t at, uint32_t value)
{
	put(at, &value, 4);
}

// Makes the sum of the bytes 0 by the one at `where`.
static void balance(uint32_t at, uint32_t size, uint32_t where)
{
	memory[at + where] = 0;
	for (uint32_t i = 0; i < size; i++)
		memory[at + where] =
			(uint8_t)(memory[at + where] - (i == where ? 0 : memory[at + i]));
}

static void put_table(uint32_t at, const char *signature, uint32_t size)
{
	put(at, signature, 4);
	put32(at + 4, size);
	put(at + 10, "LUMEN ", 6);
	balance(at, size, 9);
}

static void put_rsdp(uint32_t at, uint8_t revision)
{
	put(at, "RSD PTR ", 8);
	put8(at + 15, revision);
	put32(at + 16, RSDT);
	put32(at + 24, revision >= 2 ? XSDT : 0);
	balance(at, 20, 8);
}

static void put_gas(uint32_t at, uint16_t port)
{
	put8(at, 1);
	put8(at + 1, 8);
	put32(at + 4, port);
}

static const uint8_t s5_package[] = { 8, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0, 0, 0 };

// Both root tables, so that each revision finds the same FADT.
static void machine_with(uint32_t flags)
{
	memset(memory, 0, sizeof(memory));
	machine_out_count = 0;
	machine_set_hyperv(0, 0, 0);
	put(DSDT + 40, s5_package, sizeof(s5_package));
	put_table(DSDT, "DSDT", 100);
	put32(FADT + 40, DSDT);
	put32(FADT + 64, 0x404);
	put32(FADT + 68, 0x504);
	put32(FADT + 112, flags);
	put_gas(FADT + 116, 0x602);
	put8(FADT + 128, 1);
	put_gas(FADT + 244, 0x600);
	put_table(FADT, "FACP", 276);
	put32(RSDT + 36, FADT);
	put_table(RSDT, "RSDT", 40);
	put32(XSDT + 36, FADT);
	put_table(XSDT, "XSDT", 44);
	put_rsdp(ROM + 0x40, 2);
	lumen_acpi_set_rsdp(0);
}

static void wrote(size_t i, uint16_t port, uint16_t value, uint8_t size)
{
	cr_assert_lt(i, machine_out_count);
	cr_assert_eq(machine_outs[i].port, port);
	cr_assert_eq(machine_outs[i].value, value);
	cr_assert_eq(machine_outs[i].size, size);
}

enum { HW_REDUCED = 1 << 20, RESET_REGISTER = 1 << 10 };

Test(power, tables_are_found_wherever_they_may_be)
{
	for (uint8_t revision = 0; revision <= 2; revision += 2) {
		machine_with(0);
		put_rsdp(ROM + 0x40, revision);
		cr_assert_eq((const uint8_t *)lumen_acpi_table("FACP") - memory, FADT);
		cr_assert_null(lumen_acpi_table("APIC"));
		// In the extended BIOS data area.
		memset(memory + ROM, 0, 0x100);
		cr_assert_null(lumen_acpi_table("FACP"));
		put8(0x40f, 0x9f);
		put_rsdp(0x9f000 + 0x30, revision);
		cr_assert_not_null(lumen_acpi_table("FACP"));
		// Where the boot loader says.
		memset(memory + 0x9f000, 0, 0x100);
		put_rsdp(0x1234, revision);
		lumen_acpi_set_rsdp(0x1234);
		cr_assert_not_null(lumen_acpi_table("FACP"));
	}
}

Test(power, broken_tables_are_none)
{
	static const struct {
		uint32_t at, value;
	} faults[] = {
		{ XSDT + 4, 0 },	  // shorter than its header
		{ XSDT + 4, 0x7fffffff }, // longer than memory
		{ XSDT + 4, 36 },	  // empty
		{ XSDT + 36, 0 },	  // to nowhere
		{ FADT + 4, 8 }, { FADT + 4, UINT32_MAX }, { FADT + 20, 1 }, // checksum
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		machine_with(HW_REDUCED);
		put32(faults[i].at, faults[i].value);
		cr_assert_null(lumen_acpi_table("FACP"), "%zu", i);
		lumen_power_off();
		cr_assert_eq(lumen_exit_status(3), LUMEN_NOT_SUPPORTED);
		cr_assert_eq(machine_out_count, 0);
	}
}

Test(power, lumen_takes_a_status_and_powers_off)
{
	machine_with(HW_REDUCED);
	cr_assert_eq(lumen_exit_status(7), LUMEN_OK);
	cr_assert_eq(lumen_exit_status(200), LUMEN_OK);
	lumen_power_off();
	cr_assert_eq(machine_out_count, 3);
	wrote(0, 0x603, 7, 1);
	wrote(1, 0x603, 99, 1);
	wrote(2, 0x600, 5 << 2 | 0x20, 1);
}

Test(power, a_pc_powers_off_by_its_control_registers)
{
	machine_with(0);
	put(FADT + 10, "BOCHS ", 6);
	balance(FADT, 276, 9);
	cr_assert_eq(lumen_exit_status(7), LUMEN_NOT_SUPPORTED);
	lumen_power_off();
	cr_assert_eq(machine_out_count, 2);
	wrote(0, 0x404, 5 << 10 | 0x2000, 2);
	wrote(1, 0x504, 5 << 10 | 0x2000, 2);
}

// ACPI 1.0's FADT ends long before the registers of newer ones.
Test(power, an_old_fadt_is_short)
{
	machine_with(RESET_REGISTER | HW_REDUCED);
	put32(FADT + 4, 116);
	put32(FADT + 112, 0);
	balance(FADT, 116, 9);
	lumen_power_off();
	cr_assert_eq(machine_out_count, 2);
	wrote(0, 0x404, 5 << 10 | 0x2000, 2);
	lumen_reset();
	cr_assert_eq(machine_out_count, 4);
	wrote(2, 0xcf9, 6, 1);
}

Test(power, reset_tries_all_there_is)
{
	machine_with(RESET_REGISTER);
	lumen_reset();
	cr_assert_eq(machine_out_count, 3);
	wrote(0, 0x602, 1, 1);
	wrote(1, 0xcf9, 6, 1);
	wrote(2, 0x64, 0xfe, 1);
	cr_assert_eq(machine_write_count, 0);
}

Test(power, reset_by_its_msr)
{
	machine_with(0);
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_RESET_REG, 0, 0);
	machine_set_msr(HV_X64_MSR_RESET, 0);
	lumen_reset();
	cr_assert_eq(machine_msr(HV_X64_MSR_RESET), 1);
	wrote(0, 0xcf9, 6, 1);
}
