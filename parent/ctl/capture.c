// SPDX-License-Identifier: BSD-2-Clause
// lumenctl capture: what passes the port of a child's network card, into a pcapng file.
#include "parent/ctl/ctl.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/bridge.h"
#include "parent/common/netlink.h"
#include "parent/common/pcapng.h"

enum {
	FRAME_MAX = 65536 + ETH_HLEN + 4, // a large one, as it is between the root and a card
	TAG = 4,
	BUFFER = 8 << 20, // bytes that wait in the kernel
	NS_PER_S = 1000000000,
};

struct capture {
	const char *child, *output; // NULL: standard output
	uint64_t count;		    // frames; UINT64_MAX: until it is told to stop
	int socket, signals;
	FILE *file;
	uint64_t frames;
};

struct port {
	const char *child;
	int index; // of its link; 0: there is none
	char name[IFNAMSIZ];
	char alias[80];
};

// --- the port ---

static void take_link(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes attributes = netlink_of(answer, sizeof(struct ifinfomsg));
	const struct ifinfomsg *link = NLMSG_DATA(answer);
	struct port *port = context;
	char alias[sizeof(port->alias)], child[RUNDIR_NAME_MAX + 1], mac[18];

	netlink_text(netlink_find(attributes, IFLA_IFALIAS), alias, sizeof(alias));
	if (sscanf(alias, BRIDGE_PORT_ALIAS_SCANF, child, mac) != 2 || strcmp(child, port->child))
		return;
	port->index = link->ifi_index;
	memcpy(port->alias, alias, sizeof(alias));
	netlink_text(netlink_find(attributes, IFLA_IFNAME), port->name, sizeof(port->name));
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
	if (!port->index)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The child %s has no network card on a switch.", port->child);
	return 0;
}

// Of no interface until it is bound: nothing of others gets in.
static int listen_at(struct capture *capture, const struct port *port)
{
	const struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = port->index };
	const int on = 1, buffer = BUFFER;

	capture->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (capture->socket >= 0) {
		setsockopt(capture->socket, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
		if (!setsockopt(capture->socket, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) &&
			!setsockopt(capture->socket, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) &&
			!bind(capture->socket, (const struct sockaddr *)&address, sizeof(address)))
			return 0;
	}
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The port %s cannot be listened to: %s.", port->name,
		strerror(errno));
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

static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

static int write_failed(const struct capture *capture)
{
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s cannot be written: %s.",
		capture->output ? capture->output : "Standard output", strerror(errno));
}

// Returns whether there was one; *status: 0, or an exit status after saying why.
static bool take_frame(struct capture *capture, int *status)
{
	static uint8_t room[TAG + FRAME_MAX];
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct sockaddr_ll from = { 0 };
	struct iovec piece = { room + TAG, FRAME_MAX };
	struct msghdr message = { &from, sizeof(from), &piece, 1, control, sizeof(control), 0 };
	const ssize_t length = recvmsg(capture->socket, &message, MSG_TRUNC);
	struct beside beside;
	uint8_t *bytes = room + TAG;
	uint32_t tag;

	if (length < 0)
		return false;
	beside = read_beside(&message);
	tag = beside.tagged && length >= 2 * ETH_ALEN ? TAG : 0;
	if (tag)
		bytes = put_tag_back(bytes, &beside);
	capture->frames++;
	if (!pcapng_write_frame(capture->file,
		    &(struct pcapng_frame){
			    .time = ns_of(&beside.time),
			    .inbound = from.sll_pkttype == PACKET_OUTGOING,
			    .bytes = bytes,
			    .captured = tag + (length < FRAME_MAX ? (uint32_t)length : FRAME_MAX),
			    .length = tag + (uint32_t)length,
		    }))
		*status = write_failed(capture);
	return true;
}

// All that waits, for whoever reads the other end of a pipe.
static int take_frames(struct capture *capture)
{
	int status = 0;

	while (!status && capture->frames < capture->count && take_frame(capture, &status))
		;
	if (!status && fflush(capture->file))
		status = write_failed(capture);
	return status;
}

// Until enough have come, a signal, or the port's end.
static int follow(struct capture *capture)
{
	struct pollfd polls[] = { { .fd = capture->socket, .events = POLLIN },
		{ .fd = capture->signals, .events = POLLIN } };
	int status = 0;

	while (!status && capture->frames < capture->count) {
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno != EINTR)
			return ctl_fail(LUMEN_EXIT_OUR_FAULT, "Nothing can be waited for: %s.",
				strerror(errno));
		status = take_frames(capture);
		if (polls[1].revents || polls[0].revents & (POLLERR | POLLHUP | POLLNVAL))
			break;
	}
	return status;
}

static int finish(struct capture *capture)
{
	struct tpacket_stats counted = { 0 };
	socklen_t size = sizeof(counted);
	struct timespec now;

	getsockopt(capture->socket, SOL_PACKET, PACKET_STATISTICS, &counted, &size);
	clock_gettime(CLOCK_REALTIME, &now);
	if (!pcapng_write_statistics(
		    capture->file, ns_of(&now), counted.tp_packets, counted.tp_drops) ||
		fflush(capture->file))
		return write_failed(capture);
	fprintf(stderr, "lumenctl: %llu frames; %u more came too fast.\n",
		(unsigned long long)capture->frames, counted.tp_drops);
	return 0;
}

// --- the command ---

static int open_file(struct capture *capture)
{
	int fd = STDOUT_FILENO;

	if (!capture->output && isatty(STDOUT_FILENO))
		return ctl_wrong("A capture is nothing for a terminal: name a file with --output, "
				 "or pipe it.");
	if (capture->output)
		fd = open(capture->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	capture->file = fd < 0 ? NULL : fdopen(fd, "w");
	return capture->file ? 0 : write_failed(capture);
}

static int run(struct capture *capture, struct port *port)
{
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); // a write says so
	capture->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	status = listen_at(capture, port);
	if (!status)
		status = open_file(capture);
	if (!status &&
		(!pcapng_begin(capture->file, port->name, port->alias) || fflush(capture->file)))
		status = write_failed(capture);
	if (!status)
		status = follow(capture);
	return status ? status : finish(capture);
}

static int take_words(int argc, char **argv, struct capture *capture)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "count", required_argument, NULL, 'c' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:c:", options, NULL)) != -1) {
		if (option == ':')
			return ctl_wrong("%s needs a value.", argv[optind - 1]);
		if (option == 'o')
			capture->output = optarg;
		else if (option != 'c')
			return ctl_unknown_option(argv);
		else if (!child_config_parse_number(optarg, UINT32_MAX, &capture->count) ||
			 !capture->count)
			return ctl_wrong("--count %s is not a number of frames.", optarg);
	}
	if (optind == argc)
		return ctl_wrong("%s needs the name of a child.", argv[0]);
	if (optind + 1 < argc)
		return ctl_wrong(
			"%s takes one name; %s is one too many.", argv[0], argv[optind + 1]);
	capture->child = argv[optind];
	return 0;
}

int ctl_capture(int argc, char **argv)
{
	struct capture capture = { .count = UINT64_MAX };
	struct port port = { 0 };
	int status = take_words(argc, argv, &capture), directory;

	if (status)
		return status;
	directory = ctl_find_running(capture.child, &status);
	if (directory < 0)
		return status;
	close(directory);
	port.child = capture.child;
	status = find_port(&port);
	return status ? status : run(&capture, &port);
}
