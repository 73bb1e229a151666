// SPDX-License-Identifier: BSD-2-Clause
// Power-off and reset (ACPI 6.4, 4.8 and 5.2.9; TLFS: System Reset).
#include "lumen/power.h"

#include <stdbool.h>
#include <stddef.h>

#include "guest-sdk/arch.h"
#include "hypercall/msr.h"
#include "lumen/acpi.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

// Lumen's power block (docs/worker.md): the byte behind the reset register is the exit status.
#define EXIT_STATUS_OFFSET 1u

#define FADT_RESET_REGISTER (1u << 10)
#define FADT_HW_REDUCED	    (1u << 20)
#define SLEEP_ENABLE8	    0x20u   // in the sleep control register, the type from bit 2 on
#define SLEEP_ENABLE16	    0x2000u // in PM1_CNT, the type from bit 10 on
#define CHIP_SET_RESET	    0xcf9
#define KEYBOARD_COMMAND    0x64

enum { SPACE_IO = 1, PACKAGE_OP = 0x12, BYTE_PREFIX = 0x0a };

struct acpi_gas { // 5.2.3.2
	uint8_t space, bits, bit_offset, access;
	uint64_t address;
} __attribute__((packed)); // so that it can be misaligned in the FADT

struct acpi_fadt {
	struct lumen_acpi_header header;
	uint32_t facs, dsdt;
	uint8_t unused0[20];
	uint32_t pm1a_control, pm1b_control;
	uint8_t unused1[40];
	uint32_t flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	uint8_t unused2[11];
	uint64_t x_dsdt;
	struct acpi_gas unused3[8];
	struct acpi_gas sleep_control, sleep_status;
} __attribute__((packed)); // x_dsdt is misaligned
_Static_assert(offsetof(struct acpi_fadt, pm1a_control) == 64, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "ACPI 6.4, 5.2.9");

// A private copy; zeroes behind the end of an older, shorter one.
static bool read_fadt(struct acpi_fadt *fadt)
{
	const struct lumen_acpi_header *table = lumen_acpi_table("FACP");

	__builtin_memset(fadt, 0, sizeof(*fadt));
	if (!table)
		return false;
	__builtin_memcpy(
		fadt, table, table->length < sizeof(*fadt) ? table->length : sizeof(*fadt));
	return true;
}

static bool starts_with(const void *bytes, const char *text)
{
	const char *byte = bytes;

	while (*text && *byte++ == *text)
		text++;
	return !*text;
}

// The sleep type of \_S5: the first element of the package of that name. 0 if it is not found,
// which is right for QEMU's machines too.
static uint8_t s5_type(const struct acpi_fadt *fadt)
{
	uint64_t gpa = fadt->x_dsdt ? fadt->x_dsdt : fadt->dsdt;
	const struct lumen_acpi_header *dsdt = gpa ? lumen_memory(gpa) : NULL;
	const uint8_t *aml;

	for (uint32_t i = sizeof(*dsdt); dsdt && i + 16 < dsdt->length; i++) {
		aml = (const uint8_t *)dsdt + i;
		if (!starts_with(aml, "_S5_") || aml[4] != PACKAGE_OP)
			continue;
		aml += 5;
		aml += 1 + (*aml >> 6) + 1; // PkgLength, NumElements
		return aml[0] == BYTE_PREFIX ? aml[1] : aml[0];
	}
	return 0;
}

static void write_register(const struct acpi_gas *at, uint8_t value)
{
	if (at->space == SPACE_IO)
		arch_out8((uint16_t)at->address, value);
	else if (at->address)
		*(volatile uint8_t *)(uintptr_t)lumen_memory(at->address) = value;
}

lumen_status lumen_exit_status(uint8_t status)
{
	struct acpi_fadt fadt;

	if (!read_fadt(&fadt) || !starts_with(fadt.header.oem_id, "LUMEN ") ||
		fadt.reset.space != SPACE_IO)
		return LUMEN_NOT_SUPPORTED;
	arch_out8((uint16_t)(fadt.reset.address + EXIT_STATUS_OFFSET),
		status < LUMEN_EXIT_STATUS_MAX ? status : LUMEN_EXIT_STATUS_MAX);
	return LUMEN_OK;
}

void lumen_power_off(void)
{
	struct acpi_fadt fadt;
	uint32_t type;

	if (!read_fadt(&fadt))
		return;
	type = s5_type(&fadt);
	if (fadt.flags & FADT_HW_REDUCED) {
		write_register(&fadt.sleep_control, (uint8_t)(type << 2 | SLEEP_ENABLE8));
		return;
	}
	arch_out16((uint16_t)fadt.pm1a_control, (uint16_t)(type << 10 | SLEEP_ENABLE16));
	if (fadt.pm1b_control)
		arch_out16((uint16_t)fadt.pm1b_control, (uint16_t)(type << 10 | SLEEP_ENABLE16));
}

void lumen_reset(void)
{
	struct acpi_fadt fadt;

	if (read_fadt(&fadt) && fadt.flags & FADT_RESET_REGISTER)
		write_register(&fadt.reset, fadt.reset_value);
	if (lumen_has(HV_PRIVILEGE_ACCESS_RESET_REG))
		arch_wrmsr(HV_X64_MSR_RESET, 1);
	arch_out8(CHIP_SET_RESET, 0x06);
	arch_out8(KEYBOARD_COMMAND, 0xfe);
}
