// SPDX-License-Identifier: BSD-2-Clause
// The child's ACPI tables: RSDP, RSDT, XSDT, FADT, MADT, and the DSDT that iasl made of dsdt.asl. A
// hardware-reduced platform: no PIT, PIC, RTC, PS/2, VGA (ACPI 6.4, 4.1). Portable.
#pragma once

#include <stdint.h>

// Writes the tables for `vp_count` processors (APIC id = VP index) to `to`, zeroed memory of `room`
// bytes that the child sees at `gpa`. The RSDP comes first. Returns the bytes used, or 0 if there
// is too little room.
uint32_t acpi_tables_write(uint8_t *to, uint32_t room, uint64_t gpa, uint32_t vp_count);
