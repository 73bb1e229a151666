// SPDX-License-Identifier: BSD-2-Clause
// The one thing that the hypervisor asks of ACPI: which processors there are.
#pragma once

#include "hypervisor/core/lib.h"

// The RSDP's physical address, or 0.
uint64_t acpi_rsdp(void);

// APIC ids of the usable processors in the MADT's order; returns their number (at most MAX), 0 without a MADT.
unsigned int acpi_processors(uint32_t *apic_ids, unsigned int max);
