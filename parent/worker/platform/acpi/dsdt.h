// SPDX-License-Identifier: BSD-2-Clause
// The DSDT as iasl compiled it.
#ifndef WORKER_ACPI_DSDT_H
#define WORKER_ACPI_DSDT_H

#include <stdint.h>

extern unsigned char dsdt_aml_code[]; // the name is iasl's
extern const uint32_t dsdt_aml_size;  // in bytes

#endif
