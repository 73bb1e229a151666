// SPDX-License-Identifier: BSD-2-Clause
// The order of the statuses, which lists of texts about them follow. Internal.
#ifndef GUEST_SDK_STATUS_INDEX_H
#define GUEST_SDK_STATUS_INDEX_H

#include <stdint.h>

#include "lumen/status.h"

#define STATUS_UNKNOWN SIZE_MAX

// The place of a status in HV_STATUS_TABLE followed by LUMEN_STATUS_TABLE, or STATUS_UNKNOWN.
size_t lumen_status_index(lumen_status status);

#endif
