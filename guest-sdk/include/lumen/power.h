// SPDX-License-Identifier: BSD-2-Clause
// The end: power off, reset, and on Lumen a status for who started this kernel. By the registers
// that ACPI's FADT names, on Lumen as on every other machine with ACPI.
#ifndef LUMEN_POWER_H
#define LUMEN_POWER_H

#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

#define LUMEN_EXIT_STATUS_MAX 99u

// The status that `./lumen run` or `lumenctl wait` ends with if this kernel then powers off: 0 to
// LUMEN_EXIT_STATUS_MAX, larger ones count as that. LUMEN_NOT_SUPPORTED: this machine is not
// Lumen's. Any context.
lumen_status lumen_exit_status(uint8_t status);

// Powers the machine off. Comes back only if there is no way to. Interrupts off; any context.
void lumen_power_off(void);

// Resets the machine: by the FADT's register, by HV_X64_MSR_RESET, by what PCs have had before.
// Comes back only if there is no way to. Interrupts off; any context.
void lumen_reset(void);

LUMEN_DECLS_END

#endif
