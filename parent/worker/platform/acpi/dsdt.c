// SPDX-License-Identifier: BSD-2-Clause
// See dsdt.h. dsdt.hex is iasl's output, made from dsdt.asl by the build.
#include "parent/worker/platform/acpi/dsdt.h"

#include "dsdt.hex"

const uint32_t dsdt_aml_size = sizeof(dsdt_aml_code);
