// SPDX-License-Identifier: BSD-2-Clause
// Virtual switches: bridges of the root's Linux.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { BRIDGE_NAME_MAX = 15 }; // Linux's, of an interface

struct bridge {
	uint32_t index; // of its interface
	uint32_t mtu;
	uint32_t pvid; // the VLAN of ports of which nothing else is said; 0: none
	bool filters;  // VLANs: else there is but one net
};

// What `lumenctl switch show` finds as the alias of a child's port (ip link show says it, too): its
// name and its card's address, as printf's and scanf's formats.
#define BRIDGE_PORT_ALIAS	"lumen %s %02x:%02x:%02x:%02x:%02x:%02x"
#define BRIDGE_PORT_ALIAS_SCANF "lumen %31s %17s"

// Whether `lumenctl switch add` takes this name: up to 15 letters, digits, -, _ and ., the first a
// letter or a digit, and not what --net takes for something else.
bool bridge_name_valid(const char *name);

// Asks by a socket of netlink.h's. Returns 0 or an errno: ENODEV if there is no link of that name,
// ENOTTY if it is no bridge.
int bridge_find(int socket, const char *name, struct bridge *bridge);
