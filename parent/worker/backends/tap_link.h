// SPDX-License-Identifier: BSD-2-Clause
// A TAP as a network link of the root's: made, put on a bridge as the port of one child, set up.
#pragma once

#include <stdint.h>

#include "parent/common/failure.h"
#include "parent/worker/backends/tap.h"

// Returns its descriptor, which does not block, or -1 with *failure. Its name tells the child's
// address (lu-0a1b2c). It has the MTU *mtu, which becomes the bridge's if it is 0. On the bridge it
// is in one VLAN, the child's or else the one that the bridge has for such, without tags; and in
// none but as the child's address: the bridge drops frames from another one (Linux 5.18), gives the
// port no frames to another one, and gives that address to no other port.
int tap_link_open(const struct tap_config *config, uint32_t *mtu, struct failure *failure);
