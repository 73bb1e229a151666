// SPDX-License-Identifier: BSD-2-Clause
// The end: status and power-off.
#include "examples/kernel/internal.h"

// Lumen's power block (docs/worker.md): the byte behind the reset register is the exit status.
#define LUMEN_EXIT_STATUS 0x603

#define FADT_RESET_REGISTER (1u << 10)
#define FADT_HW_REDUCED	    (1u << 20)
#define SLEEP_ENABLE8	    0x20   // in the sleep control register, the type from bit 2 on
#define SLEEP_ENABLE16	    0x2000 // in PM1_CNT, the type from bit 10 on

enum { STATUS_MAX = 99, PACKAGE_OP = 0x12, BYTE_PREFIX = 0x0a };

struct acpi_gas { // ACPI 6.4, 5.2.3.2
	uint8_t space, bits, bit_offset, access;
	uint64_t address;
} __attribute__((packed)); // so that it can be misaligned in the FADT

struct acpi_fadt {
	struct acpi_header header;
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
_Static_assert(__builtin_offsetof(struct acpi_fadt, pm1a_control) == 64, "ACPI 6.4, 5.2.9");
_Static_assert(__builtin_offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.4, 5.2.9");
_Static_assert(__builtin_offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.4, 5.2.9");
_Static_assert(__builtin_offsetof(struct acpi_fadt, sleep_control) == 244, "ACPI 6.4, 5.2.9");

static bool starts_with(const uint8_t *bytes, const char *text)
{
	while (*text && *bytes++ == (uint8_t)*text)
		text++;
	return !*text;
}

// The sleep type of \_S5: the first element of the package of that name. 0 if it is not found,
// which is right for QEMU's machines too.
static uint8_t s5_type(const struct acpi_fadt *fadt)
{
	const struct acpi_header *dsdt = (const struct acpi_header *)(uint64_t)fadt->dsdt;
	const uint8_t *aml;

	if (!dsdt)
		return 0;
	aml = (const uint8_t *)(dsdt + 1);
	for (uint32_t i = 0; i + sizeof(*dsdt) + 16 < dsdt->length; i++, aml++) {
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
	if (at->space == 1)
		kernel_out8((uint16_t)at->address, value);
	else if (at->address)
		*(volatile uint8_t *)at->address = value;
}

static void power_off(const struct acpi_fadt *fadt, int status)
{
	uint8_t type = s5_type(fadt);

	if (fadt->flags & FADT_HW_REDUCED) {
		if (starts_with((const uint8_t *)fadt->header.oem_id, "LUMEN "))
			kernel_out8(LUMEN_EXIT_STATUS, (uint8_t)status);
		write_register(&fadt->sleep_control, (uint8_t)(type << 2 | SLEEP_ENABLE8));
		return;
	}
	kernel_out16((uint16_t)fadt->pm1a_control, (uint16_t)(type << 10 | SLEEP_ENABLE16));
	if (fadt->pm1b_control)
		kernel_out16((uint16_t)fadt->pm1b_control, (uint16_t)(type << 10 | SLEEP_ENABLE16));
}

static void reset(const struct acpi_fadt *fadt)
{
	if (fadt && fadt->flags & FADT_RESET_REGISTER)
		write_register(&fadt->reset, fadt->reset_value);
	kernel_out8(0xcf9, 0x06); // the chip set
	kernel_out8(0x64, 0xfe);  // the keyboard controller
}

_Noreturn void kernel_exit(int status)
{
	const struct acpi_fadt *fadt = (const struct acpi_fadt *)acpi_table("FACP");

	if (status < 0 || status > STATUS_MAX)
		status = STATUS_MAX;
	kernel_print("kernel: exit status %d\n", status);
	kernel_irq_off();
	if (fadt)
		power_off(fadt, status);
	reset(fadt);
	for (;;)
		__asm__ volatile("hlt");
}

_Noreturn void kernel_panic(const char *format, ...)
{
	static uint32_t panicking;
	va_list arguments;

	kernel_irq_off();
	while (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL))
		__asm__ volatile("hlt"); // somebody else is at it, or it goes wrong again
	kernel_print("panic: ");
	va_start(arguments, format);
	kernel_vprint(format, arguments);
	va_end(arguments);
	kernel_print("\n");
	kernel_exit(KERNEL_PANIC_STATUS);
}
