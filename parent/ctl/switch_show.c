// SPDX-License-Identifier: BSD-2-Clause
// lumenctl switch show.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "parent/common/bridge.h"
#include "parent/common/netlink.h"
#include "parent/common/port_rate.h"
#include "parent/common/text.h"

// <linux/if.h> cannot be had beside <net/if.h>.
enum { LINK_LOWER_UP = 1 << 16 };

struct link {
	uint32_t index, master, mtu;
	uint32_t vlan; // of frames without a tag; 0: none
	bool is_bridge, up;
	bool locked, isolated; // a port's, as port.h has them
	uint64_t rate;	       // bits per second; 0: as many as there can be
	char name[IFNAMSIZ];
	char child[RUNDIR_NAME_MAX + 1]; // "": it is no child's
	char mac[18];			 // the child's, or the link's own
};

struct links {
	struct link *all;
	size_t count;
	bool incomplete;
};

static void take_mac(struct link *link, const struct rtattr *address)
{
	const uint8_t *mac = address && RTA_PAYLOAD(address) == 6 ? RTA_DATA(address) : NULL;

	if (mac)
		snprintf(link->mac, sizeof(link->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			mac[1], mac[2], mac[3], mac[4], mac[5]);
}

// What the worker has written there.
static void take_alias(struct link *link, const struct rtattr *attribute)
{
	char alias[80], mac[sizeof(link->mac)];

	netlink_text(attribute, alias, sizeof(alias));
	text_make_printable(alias);
	if (sscanf(alias, BRIDGE_PORT_ALIAS_SCANF, link->child, mac) == 2)
		memcpy(link->mac, mac, sizeof(mac));
	else
		*link->child = 0;
}

static void take_link(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes attributes = netlink_of(answer, sizeof(struct ifinfomsg));
	const struct ifinfomsg *fixed = NLMSG_DATA(answer);
	struct links *links = context;
	struct link *more = realloc(links->all, (links->count + 1) * sizeof(*more)), *link;
	char kind[16];

	if (!more) {
		links->incomplete = true;
		return;
	}
	links->all = more;
	link = &more[links->count++];
	*link = (struct link){
		.index = (uint32_t)fixed->ifi_index,
		.master = netlink_number(netlink_find(attributes, IFLA_MASTER)),
		.mtu = netlink_number(netlink_find(attributes, IFLA_MTU)),
	};
	netlink_text(netlink_find(netlink_inside(netlink_find(attributes, IFLA_LINKINFO)),
			     IFLA_INFO_KIND),
		kind, sizeof(kind));
	link->is_bridge = !strcmp(kind, "bridge");
	// One without ports has no carrier, and is none the worse for that.
	link->up =
		fixed->ifi_flags & IFF_UP && (link->is_bridge || fixed->ifi_flags & LINK_LOWER_UP);
	netlink_text(netlink_find(attributes, IFLA_IFNAME), link->name, sizeof(link->name));
	text_make_printable(link->name);
	take_mac(link, netlink_find(attributes, IFLA_ADDRESS));
	take_alias(link, netlink_find(attributes, IFLA_IFALIAS));
}

static uint32_t pvid_of(struct netlink_attributes vlans)
{
	const struct rtattr *next;

	while ((next = netlink_next(&vlans))) {
		const struct bridge_vlan_info *vlan = RTA_DATA(next);

		if (next->rta_type == IFLA_BRIDGE_VLAN_INFO && RTA_PAYLOAD(next) == sizeof(*vlan) &&
			vlan->flags & BRIDGE_VLAN_INFO_PVID)
			return vlan->vid;
	}
	return 0;
}

static struct link *find_link(const struct links *links, uint32_t index)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->all[i].index == index)
			return &links->all[i];
	return NULL;
}

static void take_port(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes attributes = netlink_of(answer, sizeof(struct ifinfomsg));
	const struct netlink_attributes port =
		netlink_inside(netlink_find(attributes, IFLA_PROTINFO));
	const struct ifinfomsg *fixed = NLMSG_DATA(answer);
	struct link *link = find_link(context, (uint32_t)fixed->ifi_index);

	if (!link)
		return;
	link->vlan = pvid_of(netlink_inside(netlink_find(attributes, IFLA_AF_SPEC)));
	link->locked = netlink_number(netlink_find(port, IFLA_BRPORT_LOCKED));
	link->isolated = netlink_number(netlink_find(port, IFLA_BRPORT_ISOLATED));
}

static void take_rate(void *context, uint32_t index, uint64_t rate)
{
	struct link *link = find_link(context, index);

	if (link)
		link->rate = rate;
}

static int ask(int socket, uint8_t family, uint32_t more,
	void (*take)(void *context, const struct nlmsghdr *answer), struct links *links)
{
	const struct ifinfomsg any = { .ifi_family = family };
	struct netlink_message message;

	netlink_begin(&message, RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	netlink_put_u32(&message, IFLA_EXT_MASK, more);
	return netlink_ask(socket, &message, take, links);
}

// --- printing ---

static const char *up_or_down(const struct link *link)
{
	return link->up ? "up" : "down";
}

// In the largest unit that says all of it.
static void print_rate(uint64_t rate)
{
	static const char *const units[] = { "", "K", "M", "G" };
	size_t unit = 0;

	for (; unit + 1 < ARRAY_SIZE(units) && !(rate % 1000); unit++)
		rate /= 1000;
	printf(", %llu%sbit/s", (unsigned long long)rate, units[unit]);
}

static void print_port(const struct link *port)
{
	printf("  %-15s  %-20s  %-17s  ", port->name, *port->child ? port->child : "-", port->mac);
	if (port->vlan)
		printf("VLAN %-4u  ", port->vlan);
	else
		printf("no VLAN    ");
	printf("%s%s", up_or_down(port), port->isolated ? ", isolated" : "");
	if (port->rate)
		print_rate(port->rate);
	putchar('\n');
}

static const char *json_bool(bool value)
{
	return value ? "true" : "false";
}

static void print_port_json(const struct link *port, bool first)
{
	printf("%s\n      {\"link\": ", first ? "" : ",");
	ctl_print_json_string(port->name);
	if (*port->child) {
		printf(", \"child\": ");
		ctl_print_json_string(port->child);
	}
	printf(", \"mac\": \"%s\", \"vlan\": %u, \"up\": %s", port->mac, port->vlan,
		json_bool(port->up));
	printf(", \"locked\": %s, \"isolated\": %s, \"rate\": %llu}", json_bool(port->locked),
		json_bool(port->isolated), (unsigned long long)port->rate);
}

static void print_switch(const struct links *links, const struct link *bridge)
{
	printf("%-17s  %s, MTU %u\n", bridge->name, up_or_down(bridge), bridge->mtu);
	for (size_t i = 0; i < links->count; i++)
		if (links->all[i].master == bridge->index)
			print_port(&links->all[i]);
}

static void print_switch_json(const struct links *links, const struct link *bridge, bool first)
{
	bool first_port = true;

	printf("%s\n  {\"name\": ", first ? "" : ",");
	ctl_print_json_string(bridge->name);
	printf(", \"mac\": \"%s\", \"mtu\": %u, \"up\": %s, \"ports\": [", bridge->mac, bridge->mtu,
		json_bool(bridge->up));
	for (size_t i = 0; i < links->count; i++) {
		if (links->all[i].master != bridge->index)
			continue;
		print_port_json(&links->all[i], first_port);
		first_port = false;
	}
	printf("%s]}", first_port ? "" : "\n    ");
}

// Returns whether there was one.
static bool print(const struct links *links, const char *name, bool json)
{
	bool found = false;

	for (size_t i = 0; i < links->count; i++) {
		const struct link *link = &links->all[i];

		if (!link->is_bridge || (name && strcmp(link->name, name)))
			continue;
		if (json)
			print_switch_json(links, link, !found);
		else
			print_switch(links, link);
		found = true;
	}
	return found;
}

static bool has(const struct links *links, const char *name)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->all[i].is_bridge && !strcmp(links->all[i].name, name))
			return true;
	return false;
}

static int print_all(const struct links *links, const char *name, bool json)
{
	bool any;

	if (name && !has(links, name))
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "There is no switch %s.", name);
	if (json)
		printf("[");
	any = print(links, name, json);
	if (json)
		printf("%s]\n", any ? "\n" : "");
	return 0;
}

int ctl_show_switches(int socket, const char *name, bool json)
{
	struct links links = { 0 };
	int status, error = ask(socket, AF_UNSPEC, RTEXT_FILTER_SKIP_STATS, take_link, &links);

	if (!error)
		error = ask(socket, AF_BRIDGE, RTEXT_FILTER_BRVLAN, take_port, &links);
	if (!error)
		error = port_rate_ask(socket, take_rate, &links);
	if (!error && links.incomplete)
		error = ENOMEM;
	status = error ? ctl_fail(LUMEN_EXIT_OUR_FAULT,
				 "The root's Linux does not list its links: %s.", strerror(error))
		       : print_all(&links, name, json);
	free(links.all);
	return status;
}
