// SPDX-License-Identifier: BSD-2-Clause
// See port.h.
#include "parent/common/port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/bridge.h"
#include "parent/common/linger.h"
#include "parent/common/netlink.h"
#include "parent/common/port_rate.h"

// What is asked of the root's Linux, in this order.
struct port {
	const char *child;
	const struct child_net *net;
	int socket;
	struct bridge bridge;
	char name[IFNAMSIZ];
	int index;
};

static bool fail(struct failure *failure, const char *what, const char *name, int error)
{
	return failure_set(
		failure, LUMEN_EXIT_OUR_FAULT, "%s %s: %s.", what, name, strerror(error));
}

static bool name_tap(int fd, struct ifreq *link)
{
	unsigned int tries = 0;

	while (ioctl(fd, TUNSETIFF, link))
		if (errno != EBUSY || !linger(&tries))
			return false;
	return true;
}

static int make_tap(const char *name, struct failure *failure)
{
	const int header = sizeof(struct virtio_net_hdr);
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq link = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (fd < 0) {
		fail(failure, "The network card's wire cannot be opened:", "/dev/net/tun", errno);
		return -1;
	}
	memcpy(link.ifr_name, name, IFNAMSIZ);
	if (name_tap(fd, &link) && !ioctl(fd, TUNSETVNETHDRSZ, &header) &&
		!ioctl(fd, TUNSETOFFLOAD, 0))
		return fd;
	if (errno == EBUSY)
		failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"A network card whose address ends as this one's does is there already "
			"(%s).",
			name);
	else
		fail(failure, "The network card's TAP cannot be made:", name, errno);
	close(fd);
	return -1;
}

// --- the bridge's port ---

static bool find_bridge(struct port *port, struct failure *failure)
{
	const char *name = port->net->bridge;
	const int error = bridge_find(port->socket, name, &port->bridge);

	if (error == ENODEV)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"There is no switch %s (lumenctl switch add makes one).", name);
	if (error == ENOTTY)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"%s is no switch: it is a link, but not a bridge.", name);
	if (error)
		return fail(failure, "The root's Linux says nothing of", name, error);
	if (port->net->vlan && !port->bridge.filters)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The switch %s knows no VLANs: it is a bridge that does not filter them.",
			name);
	return true;
}

// What each of these asks is done, or an errno.

static void begin(const struct port *port, struct netlink_message *message, uint16_t type,
	struct ifinfomsg about)
{
	about.ifi_index = port->index;
	netlink_begin(message, type, 0, &about, sizeof(about));
}

static int join(const struct port *port)
{
	const uint8_t *mac = port->net->mac;
	struct netlink_message message;
	char alias[80];

	snprintf(alias, sizeof(alias), BRIDGE_PORT_ALIAS, port->child, mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	begin(port, &message, RTM_SETLINK, (struct ifinfomsg){ .ifi_family = AF_UNSPEC });
	netlink_put_text(&message, IFLA_IFALIAS, alias);
	netlink_put_u32(&message, IFLA_MTU, port->bridge.mtu);
	netlink_put_u32(&message, IFLA_MASTER, port->bridge.index);
	return netlink_ask(port->socket, &message, NULL, NULL);
}

static int change_vlan(const struct port *port, uint16_t type, struct bridge_vlan_info vlan)
{
	struct netlink_message message;
	uint32_t place;

	begin(port, &message, type, (struct ifinfomsg){ .ifi_family = AF_BRIDGE });
	place = netlink_nest(&message, IFLA_AF_SPEC);
	netlink_put(&message, IFLA_BRIDGE_VLAN_INFO, &vlan, sizeof(vlan));
	netlink_close(&message, place);
	return netlink_ask(port->socket, &message, NULL, NULL);
}

// The bridge has put the port into the VLAN that it has for all.
static int set_vlan(const struct port *port)
{
	const uint16_t vlan = (uint16_t)port->net->vlan, other = (uint16_t)port->bridge.pvid;
	int error;

	if (!vlan || vlan == other)
		return 0;
	error = change_vlan(port, RTM_SETLINK,
		(struct bridge_vlan_info){
			.flags = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, .vid = vlan });
	if (error || !other)
		return error;
	return change_vlan(port, RTM_DELLINK, (struct bridge_vlan_info){ .vid = other });
}

// A port that learns nothing, and where no address comes in that it does not have.
static int lock(const struct port *port)
{
	struct netlink_message message;
	uint32_t place;

	begin(port, &message, RTM_SETLINK, (struct ifinfomsg){ .ifi_family = AF_BRIDGE });
	place = netlink_nest(&message, IFLA_PROTINFO);
	netlink_put_u8(&message, IFLA_BRPORT_LEARNING, 0);
	netlink_put_u8(&message, IFLA_BRPORT_LOCKED, 1);
	netlink_put_u8(&message, IFLA_BRPORT_UNICAST_FLOOD, 0);
	netlink_put_u8(&message, IFLA_BRPORT_ISOLATED, port->net->isolated);
	netlink_close(&message, place);
	return netlink_ask(port->socket, &message, NULL, NULL);
}

// The child's address is this port's, whoever sends from it elsewhere (sticky). EEXIST: it is
// another one's.
static int set_address(const struct port *port)
{
	const struct ndmsg entry = { .ndm_family = AF_BRIDGE,
		.ndm_ifindex = port->index,
		.ndm_state = NUD_NOARP,
		.ndm_flags = NTF_MASTER | NTF_STICKY };
	const uint16_t vlan = (uint16_t)(port->net->vlan ? port->net->vlan : port->bridge.pvid);
	struct netlink_message message;

	netlink_begin(&message, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &entry, sizeof(entry));
	netlink_put(&message, NDA_LLADDR, port->net->mac, 6);
	if (port->bridge.filters && vlan)
		netlink_put(&message, NDA_VLAN, &vlan, sizeof(vlan));
	return netlink_ask(port->socket, &message, NULL, NULL);
}

// The root speaks by the bridge, and not by its port: IPv6 would, by itself. Where there is no IPv6
// there is no such file.
static int keep_silent(const struct port *port)
{
	char path[64];
	int fd, error = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", port->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (write(fd, "1", 1) != 1)
		error = errno;
	close(fd);
	return error;
}

static int limit_rate(const struct port *port)
{
	return port->net->rate ? port_rate_set(port->socket, port->index, port->net->rate) : 0;
}

static int set_up(const struct port *port)
{
	struct netlink_message message;

	begin(port, &message, RTM_SETLINK,
		(struct ifinfomsg){
			.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP });
	return netlink_ask(port->socket, &message, NULL, NULL);
}

static bool put_on(struct port *port, struct failure *failure)
{
	static const struct {
		int (*ask)(const struct port *port);
		const char *not_done;
		const char *unknown; // ENOENT or EOPNOTSUPP, if that says more: the whole sentence
	} steps[] = {
		{ join, "The network card cannot be put on the switch", NULL },
		{ set_vlan, "The network card cannot be put into its VLAN on the switch", NULL },
		{ lock, "The network card cannot be held to its address on the switch", NULL },
		{ set_address, "The network card's address cannot be had on the switch", NULL },
		{ keep_silent, "IPv6 cannot be kept off the port on the switch", NULL },
		{ limit_rate, "The network card's rate cannot be limited on the switch",
			"The root's Linux cannot limit a network card's rate: load its modules "
			"sch_tbf, sch_ingress, cls_matchall and act_police." },
		{ set_up, "The network card cannot be set up on the switch", NULL },
	};

	if (!find_bridge(port, failure))
		return false;
	port->index = (int)if_nametoindex(port->name);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const int error = steps[i].ask(port);

		if (steps[i].unknown && (error == ENOENT || error == EOPNOTSUPP))
			return failure_set(failure, LUMEN_EXIT_OUR_FAULT, "%s", steps[i].unknown);
		if (error)
			return fail(failure, steps[i].not_done, port->net->bridge, error);
	}
	return true;
}

static uint32_t mtu_of(const struct child_net *net, uint32_t mtu)
{
	const uint32_t most = net->mtu ? net->mtu : CHILD_MTU_MAX;

	return mtu < most ? mtu : most;
}

int port_open(const char *child, struct child_net *net, struct failure *failure)
{
	struct port port = { .child = child, .net = net, .socket = netlink_open() };
	int fd = -1;
	bool done = false;

	snprintf(port.name, sizeof(port.name), "lu-%02x%02x%02x", net->mac[3], net->mac[4],
		net->mac[5]);
	if (port.socket < 0) {
		fail(failure, "There is no socket for", port.name, errno);
		return -1;
	}
	fd = make_tap(port.name, failure);
	if (fd >= 0)
		done = put_on(&port, failure);
	close(port.socket);
	if (done)
		net->mtu = mtu_of(net, port.bridge.mtu);
	if (done || fd < 0)
		return fd;
	close(fd);
	return -1;
}
