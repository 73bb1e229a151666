// SPDX-License-Identifier: BSD-2-Clause
// A TAP as a network link of the root's: made, put into a bridge, set up.
#pragma once

#include <stdint.h>

#include "parent/common/failure.h"

// Returns its descriptor, which does not block, or -1 with *failure. Its name tells the child's
// address (lu-0a1b2c). *mtu: 0 becomes the bridge's.
int tap_link_open(const char *bridge, const uint8_t *mac, uint32_t *mtu, struct failure *failure);
