// SPDX-License-Identifier: BSD-2-Clause
// The DSDT as iasl compiled it.
#pragma once

#include <stdint.h>

extern unsigned char dsdt_aml_code[]; // the name is iasl's
extern const uint32_t dsdt_aml_size;  // in bytes
