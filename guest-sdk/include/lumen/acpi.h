// SPDX-License-Identifier: BSD-2-Clause
// ACPI tables, for kernels that have no ACPI of their own: found, checked, and no more.
#ifndef LUMEN_ACPI_H
#define LUMEN_ACPI_H

#include <stdint.h>

#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// The header that all tables begin with (ACPI 6.4, 5.2.6).
struct lumen_acpi_header {
	char signature[4];
	uint32_t length; // of the table, this header included
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
};

// Where the RSDP is, if the boot loader has said so (PVH: rsdp_paddr; 0: it has not). Otherwise it
// is looked for where a BIOS puts it. Before the other functions here and of <lumen/power.h>.
void lumen_acpi_set_rsdp(uint64_t gpa);

// The first table with this signature of four characters ("APIC" for the MADT, "FACP" for the FADT)
// whose checksum is right, or NULL. Any context; memory through lumen_memory() of
// <lumen/platform.h>.
const struct lumen_acpi_header *lumen_acpi_table(const char *signature);

LUMEN_DECLS_END

#endif
