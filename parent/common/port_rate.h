// SPDX-License-Identifier: BSD-2-Clause
// What a port may carry in a second, by the root's traffic control (tc(8)). What leaves the root
// for the child waits for its turn, in a queue; what comes from the child and is too much is
// dropped, as nothing can be made to wait there.
#pragma once

#include <linux/netlink.h>
#include <stdint.h>

// Limits what the link carries in each direction to so many bits per second (CHILD_RATE_*), asking
// by a socket of netlink.h's. Either may for a moment be more: up to 128 KiB, or what there may be
// in a tenth of a second. Returns 0 or an errno; ENOENT or EOPNOTSUPP: this Linux cannot do it.
int port_rate_set(int socket, int link, uint64_t rate);

// Asks what the links are limited to: `each` is given the link and its bits per second, of those
// that are. Returns 0 or an errno.
int port_rate_ask(
	int socket, void (*each)(void *context, uint32_t link, uint64_t rate), void *context);
