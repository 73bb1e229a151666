// SPDX-License-Identifier: BSD-2-Clause
// Messages of rtnetlink: what is written is read again, and what is too long or cut short is
// noticed.
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "parent/common/bridge.h"
#include "parent/common/netlink.h"

static struct netlink_message message;

static void begin(void)
{
	const struct ifinfomsg about = { .ifi_index = 7 };

	netlink_begin(&message, RTM_NEWLINK, NLM_F_CREATE, &about, sizeof(about));
}

// The message as if it had come.
static struct netlink_attributes written(void)
{
	struct nlmsghdr *header = (struct nlmsghdr *)message.bytes;

	header->nlmsg_len = message.used;
	return netlink_of(header, sizeof(struct ifinfomsg));
}

Test(netlink, what_is_written_is_read)
{
	struct netlink_attributes inside;
	uint32_t place;
	char text[8];

	begin();
	netlink_put_text(&message, IFLA_IFNAME, "lan");
	place = netlink_nest(&message, IFLA_LINKINFO);
	netlink_put_u8(&message, 1, 0xab);
	netlink_put_u32(&message, 2, 0x12345678);
	netlink_close(&message, place);
	netlink_put_u32(&message, IFLA_MTU, 9000);

	netlink_text(netlink_find(written(), IFLA_IFNAME), text, sizeof(text));
	cr_expect_str_eq(text, "lan");
	cr_expect_eq(netlink_number(netlink_find(written(), IFLA_MTU)), 9000);
	inside = netlink_inside(netlink_find(written(), IFLA_LINKINFO));
	cr_expect_eq(netlink_number(netlink_find(inside, 1)), 0xab);
	cr_expect_eq(netlink_number(netlink_find(inside, 2)), 0x12345678);
	cr_expect_null(netlink_find(inside, IFLA_MTU), "it is not inside");
	cr_expect_null(netlink_find(written(), IFLA_MASTER));
}

Test(netlink, what_is_missing_is_nothing)
{
	char text[4] = "old";

	cr_expect_eq(netlink_number(NULL), 0);
	netlink_text(NULL, text, sizeof(text));
	cr_expect_str_eq(text, "");
	cr_expect_null(netlink_find(netlink_inside(NULL), 1));
}

Test(netlink, a_text_that_does_not_fit_is_none)
{
	char text[4];

	begin();
	netlink_put_text(&message, IFLA_IFNAME, "four");
	netlink_text(netlink_find(written(), IFLA_IFNAME), text, sizeof(text));
	cr_expect_str_eq(text, "");
}

// Cut anywhere, the rest is read without what is behind its end.
Test(netlink, a_message_that_is_cut_short_has_fewer_attributes)
{
	begin();
	netlink_put_u32(&message, 1, 1);
	netlink_put_u32(&message, 2, 2);
	for (uint32_t length = 0; length < message.used; length++) {
		struct nlmsghdr *header = (struct nlmsghdr *)message.bytes;

		header->nlmsg_len = length;
		cr_expect_null(netlink_find(netlink_of(header, sizeof(struct ifinfomsg)), 2), "%u",
			length);
	}
	cr_expect_not_null(netlink_find(written(), 2));
}

Test(netlink, a_request_that_is_too_long_is_not_made)
{
	static const char long_text[NETLINK_MESSAGE_MAX] = { 0 };

	begin();
	netlink_put(&message, 1, long_text, sizeof(long_text));
	cr_expect_eq(netlink_ask(-1, &message, NULL, NULL), EMSGSIZE);
}

// What every Linux has.
Test(netlink, the_loopback_is_a_link_and_no_bridge)
{
	const int socket = netlink_open();
	struct bridge bridge;

	cr_assert_geq(socket, 0);
	cr_expect_eq(bridge_find(socket, "lo", &bridge), ENOTTY);
	cr_expect_eq(bridge.index, if_nametoindex("lo"));
	cr_expect_geq(bridge.mtu, 1500);
	cr_expect_eq(bridge_find(socket, "lumen-no-such", &bridge), ENODEV);
	close(socket);
}
