// SPDX-License-Identifier: BSD-2-Clause
// lumenctl switch: the root's bridges, made and removed.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/bridge.h"
#include "parent/common/netlink.h"

enum { MTU_MIN = 68, MTU_MAX = 65535 }; // ETH_MIN_MTU, ETH_MAX_MTU
enum { LARGE_FRAME_MAX = 63 * 1024 };
enum { OPTION_JSON = CTL_OPTION, OPTION_MTU };

struct switch_words {
	const char *name; // NULL: none was given
	uint32_t mtu;	  // 0: none was given
	bool json;
};

static int fail(const char *what, const char *name, int error)
{
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The switch %s cannot be %s: %s.", name, what,
		strerror(error));
}

// --- add ---

// An address of its own: one that it had from its ports would change as they come and go, and
// children would have to find the root anew. In the range that is for such addresses, one
// station's.
static void put_address(struct netlink_message *message)
{
	uint8_t mac[6];

	if (getrandom(mac, sizeof(mac), 0) != sizeof(mac))
		return;
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2);
	netlink_put(message, IFLA_ADDRESS, mac, sizeof(mac));
}

static int make(int socket, const char *name)
{
	const struct ifinfomsg new = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	uint32_t info, data;

	netlink_begin(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &new, sizeof(new));
	netlink_put_text(&message, IFLA_IFNAME, name);
	put_address(&message);
	info = netlink_nest(&message, IFLA_LINKINFO);
	netlink_put_text(&message, IFLA_INFO_KIND, "bridge");
	data = netlink_nest(&message, IFLA_INFO_DATA);
	netlink_put_u8(&message, IFLA_BR_VLAN_FILTERING, 1);
	netlink_close(&message, data);
	netlink_close(&message, info);
	return netlink_ask(socket, &message, NULL, NULL);
}

// An MTU that a bridge was made with would follow its ports': one that it is given later stays. Of
// the root's large frames each is copied by the child's Linux, and what that needs is 64 KiB with
// all that is around them: for one byte more it would take, and clear, twice as much.
static int set_up(int socket, const char *name, uint32_t mtu)
{
	const struct ifinfomsg about = { .ifi_family = AF_UNSPEC,
		.ifi_index = (int)if_nametoindex(name),
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP };
	struct netlink_message message;

	netlink_begin(&message, RTM_SETLINK, 0, &about, sizeof(about));
	if (mtu)
		netlink_put_u32(&message, IFLA_MTU, mtu);
	netlink_put_u32(&message, IFLA_GSO_MAX_SIZE, LARGE_FRAME_MAX);
	return netlink_ask(socket, &message, NULL, NULL);
}

static int remove_link(int socket, uint32_t index)
{
	const struct ifinfomsg about = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	struct netlink_message message;

	netlink_begin(&message, RTM_DELLINK, 0, &about, sizeof(about));
	return netlink_ask(socket, &message, NULL, NULL);
}

static int add(int socket, const struct switch_words *words)
{
	int error = make(socket, words->name);

	if (error == EEXIST)
		return ctl_fail(
			LUMEN_EXIT_BAD_ARGUMENTS, "There is a link %s already.", words->name);
	if (error == EOPNOTSUPP)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"The root's Linux has no bridges, or none that filter VLANs: load its "
			"module bridge.");
	if (error)
		return fail("made", words->name, error);
	error = set_up(socket, words->name, words->mtu);
	if (!error)
		return 0;
	remove_link(socket, if_nametoindex(words->name));
	return fail("set up", words->name, error);
}

// --- del ---

struct count {
	uint32_t bridge, ports;
};

static void count_port(void *context, const struct nlmsghdr *answer)
{
	struct count *count = context;

	if (netlink_number(netlink_find(
		    netlink_of(answer, sizeof(struct ifinfomsg)), IFLA_MASTER)) == count->bridge)
		count->ports++;
}

static int count_ports(int socket, struct count *count)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;

	netlink_begin(&message, RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	return netlink_ask(socket, &message, count_port, count);
}

static int del(int socket, const struct switch_words *words)
{
	struct bridge bridge;
	struct count count = { 0 };
	int error = bridge_find(socket, words->name, &bridge);

	if (error == ENODEV || error == ENOTTY)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "There is no switch %s.", words->name);
	count.bridge = bridge.index;
	if (!error)
		error = count_ports(socket, &count);
	if (!error && count.ports)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The switch %s has %u port%s: lumenctl switch show says which.",
			words->name, count.ports, count.ports > 1 ? "s" : "");
	if (!error)
		error = remove_link(socket, bridge.index);
	return error ? fail("removed", words->name, error) : 0;
}

// --- the command line ---

static int show(int socket, const struct switch_words *words)
{
	return ctl_show_switches(socket, words->name, words->json);
}

static const struct action {
	const char *name;
	int (*act)(int socket, const struct switch_words *words);
	bool needs_name;
	int option; // the only one that it takes
} actions[] = {
	{ "add", add, true, OPTION_MTU },
	{ "del", del, true, 0 },
	{ "show", show, false, OPTION_JSON },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

static int take_mtu(const char *text, uint32_t *mtu)
{
	uint64_t number;

	if (!child_config_parse_number(text, MTU_MAX, &number) || number < MTU_MIN)
		return ctl_wrong("--mtu %s is not a number from %d to %d.", text, MTU_MIN, MTU_MAX);
	*mtu = (uint32_t)number;
	return 0;
}

static int take_options(
	const struct action *action, int argc, char **argv, struct switch_words *words)
{
	static const struct option options[] = { { "json", no_argument, NULL, OPTION_JSON },
		{ "mtu", required_argument, NULL, OPTION_MTU }, { 0 } };
	int option, status = 0;

	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			return ctl_wrong("%s needs a value.", argv[optind - 1]);
		if (option != action->option)
			return ctl_unknown_option(argv);
		if (option == OPTION_JSON)
			words->json = true;
		else
			status = take_mtu(optarg, &words->mtu);
	}
	return status;
}

static int take_words(
	const struct action *action, int argc, char **argv, struct switch_words *words)
{
	const int status = take_options(action, argc, argv, words);

	if (status)
		return status;
	if (optind < argc)
		words->name = argv[optind++];
	if (optind < argc)
		return ctl_wrong("%s takes one name; %s is one too many.", argv[0], argv[optind]);
	if (!words->name)
		return action->needs_name ? ctl_wrong("%s needs the name of a switch.", argv[0])
					  : 0;
	if (!bridge_name_valid(words->name))
		return ctl_wrong(
			"%s cannot be a switch's name: up to 15 letters, digits, -, _ and .",
			words->name);
	return 0;
}

int ctl_switch(int argc, char **argv)
{
	static char title[16]; // what messages call it
	const struct action *action = find_action(argv[1]);
	struct switch_words words = { 0 };
	int socket, status;

	if (!action)
		return argc < 2 ? ctl_wrong("switch needs add, del or show.")
				: ctl_wrong("switch knows add, del and show, and not %s.", argv[1]);
	snprintf(title, sizeof(title), "switch %s", action->name);
	argv[1] = title;
	status = take_words(action, argc - 1, argv + 1, &words);
	if (status)
		return status;
	socket = netlink_open();
	if (socket < 0)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The root's Linux cannot be asked: %s.",
			strerror(errno));
	status = action->act(socket, &words);
	close(socket);
	return status;
}
