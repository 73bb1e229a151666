// SPDX-License-Identifier: BSD-2-Clause
// The synthetic devices that a child may have: a row each, in the order in which they start.
#pragma once

#include "parent/worker/devices/device.h"

enum { DEVICE_TABLE_MAX = 16 };

extern const struct device_row device_table[];
extern const unsigned device_table_count;
