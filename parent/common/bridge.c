// SPDX-License-Identifier: BSD-2-Clause
// See bridge.h.
#include "parent/common/bridge.h"

#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>

#include "parent/common/netlink.h"

bool bridge_name_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const size_t length = strlen(name);

	return length && length <= BRIDGE_NAME_MAX && strspn(name, letters) == length &&
	       !strchr("-_.", *name) && strcmp(name, "none") && strcmp(name, "default");
}

struct found {
	struct bridge bridge;
	bool is_bridge;
};

static void take(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes link = netlink_of(answer, sizeof(struct ifinfomsg));
	const struct ifinfomsg *fixed = NLMSG_DATA(answer);
	const struct netlink_attributes info = netlink_inside(netlink_find(link, IFLA_LINKINFO));
	const struct netlink_attributes data = netlink_inside(netlink_find(info, IFLA_INFO_DATA));
	struct found *found = context;
	char kind[16];

	netlink_text(netlink_find(info, IFLA_INFO_KIND), kind, sizeof(kind));
	found->is_bridge = !strcmp(kind, "bridge");
	found->bridge = (struct bridge){
		.index = (uint32_t)fixed->ifi_index,
		.mtu = netlink_number(netlink_find(link, IFLA_MTU)),
		.pvid = netlink_number(netlink_find(data, IFLA_BR_VLAN_DEFAULT_PVID)),
		.filters = netlink_number(netlink_find(data, IFLA_BR_VLAN_FILTERING)),
	};
}

int bridge_find(int socket, const char *name, struct bridge *bridge)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	struct found found = { 0 };
	int error;

	netlink_begin(&message, RTM_GETLINK, 0, &any, sizeof(any));
	netlink_put_text(&message, IFLA_IFNAME, name);
	error = netlink_ask(socket, &message, take, &found);
	*bridge = found.bridge;
	return error ? error : found.is_bridge ? 0 : ENOTTY;
}
