// SPDX-License-Identifier: BSD-2-Clause
// The port of a child's card: a TAP as a link of the root's, made, put on a switch, set up.
#pragma once

#include <stdint.h>

#include "parent/common/child_net.h"
#include "parent/common/failure.h"

// Makes the port of a card that has an address (child_net_address()). Needs the rights that the
// worker has before it is confined. Returns its descriptor, which does not block and gives and
// takes frames with struct virtio_net_hdr, or -1 with *failure; the card's MTU is known then.
// Closing it is the port's end.
//
// Its name tells the child's address (lu-0a1b2c). It has the switch's MTU. On the switch it
// is in one VLAN, the child's or else the one that the switch has for such, without tags; and in
// none but as the child's address: the switch drops frames from another one (Linux 5.18), gives
// the port no frames to another one, and gives that address to no other port.
int port_open(const char *child, struct child_net *net, struct failure *failure);
