// SPDX-License-Identifier: BSD-2-Clause
// What passes the port of a child's network card.
#include "parent/ctl/capture.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "parent/common/bridge.h"
#include "parent/common/netlink.h"
#include "parent/ctl/ctl.h"

enum {
	LINKTYPE_ETHERNET = 1,
	FRAME_MAX = 65536 + ETH_HLEN + 4, // a large one, as it is between the root and a card
	TAG = 4,
	BUFFER = 8 << 20, // bytes that wait in the kernel
	NS_PER_S = 1000000000,
};

// --- the port ---

struct port {
	struct capture_source *source;
	int index; // of its link; 0: there is none
};

static void take_link(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes attributes = netlink_of(answer, sizeof(struct ifinfomsg));
	const struct ifinfomsg *link = NLMSG_DATA(answer);
	struct port *port = context;
	struct capture_source *source = port->source;
	char alias[sizeof(source->description)], child[RUNDIR_NAME_MAX + 1], mac[18];

	netlink_text(netlink_find(attributes, IFLA_IFALIAS), alias, sizeof(alias));
	if (sscanf(alias, BRIDGE_PORT_ALIAS_SCANF, child, mac) != 2 || strcmp(child, source->child))
		return;
	port->index = link->ifi_index;
	memcpy(source->description, alias, sizeof(alias));
	netlink_text(netlink_find(attributes, IFLA_IFNAME), source->name, sizeof(source->name));
}

static int find_port(struct port *port)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	const int socket = netlink_open();
	int error = errno;

	if (socket >= 0) {
		netlink_begin(&message, RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
		error = netlink_ask(socket, &message, take_link, port);
		close(socket);
	}
	if (error)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The root's Linux cannot be asked: %s.",
			strerror(error));
	if (!port->index && port->source->named)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The child %s has no network card on a switch.", port->source->child);
	return 0;
}

// Of no interface until it is bound: nothing of others gets in.
static int listen_at(const struct port *port)
{
	struct capture_source *source = port->source;
	const struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = port->index };
	const int on = 1, buffer = BUFFER;

	source->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (source->fd >= 0) {
		setsockopt(source->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
		if (!setsockopt(source->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) &&
			!setsockopt(source->fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) &&
			!bind(source->fd, (const struct sockaddr *)&address, sizeof(address)))
			return 0;
	}
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The port %s cannot be listened to: %s.",
		source->name, strerror(errno));
}

static int open_net(struct capture_source *source, const struct capture_worker *worker)
{
	struct port port = { .source = source };
	const int status = find_port(&port);

	(void)worker;
	source->missing = !port.index;
	return status || source->missing ? status : listen_at(&port);
}

// --- frames ---

// What the kernel says beside a frame: when, and the tag that it has taken out of it.
struct beside {
	struct timespec time;
	uint16_t tag, tag_type;
	bool tagged;
};

static struct beside read_beside(struct msghdr *message)
{
	struct beside beside = { 0 };

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
		part = CMSG_NXTHDR(message, part)) {
		struct tpacket_auxdata about;

		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&beside.time, CMSG_DATA(part), sizeof(beside.time));
		if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&about, CMSG_DATA(part), sizeof(about));
		beside.tagged = about.tp_status & TP_STATUS_VLAN_VALID;
		beside.tag = about.tp_vlan_tci;
		beside.tag_type = about.tp_status & TP_STATUS_VLAN_TPID_VALID ? about.tp_vlan_tpid
									      : ETH_P_8021Q;
	}
	return beside;
}

// `bytes` has room for a tag in front. Returns where the frame begins.
static uint8_t *put_tag_back(uint8_t *bytes, const struct beside *beside)
{
	const uint16_t tag[] = { htobe16(beside->tag_type), htobe16(beside->tag) };

	memmove(bytes - TAG, bytes, 2 * ETH_ALEN);
	memcpy(bytes - TAG + 2 * ETH_ALEN, tag, sizeof(tag));
	return bytes - TAG;
}

// The port's end comes as an error of one call, before the frames that are still there.
static ssize_t receive(struct capture_source *source, struct msghdr *message)
{
	ssize_t length = recvmsg(source->fd, message, MSG_TRUNC);

	if (length < 0 && errno != EAGAIN && errno != EINTR) {
		source->last = true;
		length = recvmsg(source->fd, message, MSG_TRUNC);
	}
	source->ended = length < 0 && source->last;
	return length;
}

static bool next_frame(struct capture_source *source)
{
	static uint8_t room[TAG + FRAME_MAX];
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct sockaddr_ll from = { 0 };
	struct iovec piece = { room + TAG, FRAME_MAX };
	struct msghdr message = { &from, sizeof(from), &piece, 1, control, sizeof(control), 0 };
	const ssize_t length = receive(source, &message);
	struct beside beside;
	uint32_t tag;

	if (length < 0)
		return false;
	beside = read_beside(&message);
	tag = beside.tagged && length >= 2 * ETH_ALEN ? TAG : 0;
	source->frame = (struct pcapng_frame){
		.time = (uint64_t)beside.time.tv_sec * NS_PER_S + (uint64_t)beside.time.tv_nsec,
		.inbound = from.sll_pkttype == PACKET_OUTGOING,
		.bytes = tag ? put_tag_back(room + TAG, &beside) : room + TAG,
		.captured = tag + (length < FRAME_MAX ? (uint32_t)length : FRAME_MAX),
		.length = tag + (uint32_t)length,
	};
	return true;
}

static void finish(struct capture_source *source)
{
	struct tpacket_stats counted = { 0 };
	socklen_t size = sizeof(counted);

	getsockopt(source->fd, SOL_PACKET, PACKET_STATISTICS, &counted, &size);
	source->lost = counted.tp_drops;
}

const struct capture_source_class capture_net = { .name = "net",
	.link_type = LINKTYPE_ETHERNET,
	.open = open_net,
	.next = next_frame,
	.finish = finish };
