// SPDX-License-Identifier: BSD-2-Clause
// Frames between <lumen/net.h> and lwIP, and the checksums that the host computes.
#include "examples/http/card.h"

#include <string.h>

#include "base/macros.h"
#include "examples/kernel/kernel.h"
#include "lumen/clock.h"
#include "lumen/platform.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "netif/ethernet.h"

// Fewer frames than the card takes at once, so that none waits in the SDK: the data of those that
// it takes are copied to the host's memory by then.
enum { DEPTH = 128, FRAMES = 120, SEGMENTS = 8, NS_PER_MS = 1000000 };

struct out {
	struct lumen_net_frame frame;
	struct lumen_segment segments[SEGMENTS];
	struct pbuf *pbuf;
	struct out *next; // free
};

struct card_counters card_counters;

static struct lumen_net *net;
static struct netif interface;
static uint32_t link_changes;
static struct out outs[FRAMES], *free_outs;
static bool starved; // a frame has found no room, and lwIP has kept it

// --- checksums ---

// What a host may do of lwIP's work: to fill in, and to check.
static const struct {
	uint32_t sends, good, bad;
	uint16_t generate, check;
} sums[] = {
	{ LUMEN_NET_SEND_IPV4, LUMEN_NET_GOOD_IPV4, LUMEN_NET_BAD_IPV4, NETIF_CHECKSUM_GEN_IP,
		NETIF_CHECKSUM_CHECK_IP },
	{ LUMEN_NET_SEND_TCP, LUMEN_NET_GOOD_TCP, LUMEN_NET_BAD_TCP, NETIF_CHECKSUM_GEN_TCP,
		NETIF_CHECKSUM_CHECK_TCP },
	{ LUMEN_NET_SEND_UDP, LUMEN_NET_GOOD_UDP, LUMEN_NET_BAD_UDP, NETIF_CHECKSUM_GEN_UDP,
		NETIF_CHECKSUM_CHECK_UDP },
};

// What is left to lwIP, for a frame of which the host says this. False: it is damaged.
static bool set_sums(uint32_t flags)
{
	const uint32_t offloads = lumen_net_info(net)->offloads;
	uint16_t left = NETIF_CHECKSUM_ENABLE_ALL;

	for (uint32_t i = 0; i < ARRAY_SIZE(sums); i++) {
		if (flags & sums[i].bad)
			return false;
		if (flags & sums[i].good)
			left &= (uint16_t)~sums[i].check;
		if (offloads & sums[i].sends)
			left &= (uint16_t)~sums[i].generate;
	}
	NETIF_SET_CHECKSUM_CTRL(&interface, left);
	return true;
}

// NDIS wants the sum of the pseudo header where the checksum will be.
static uint16_t pseudo_sum(const struct ip_hdr *ip, uint32_t length)
{
	const uint8_t *addresses = (const uint8_t *)&ip->src;
	uint32_t sum = IPH_PROTO(ip) + length;

	for (uint32_t i = 0; i < 2 * sizeof(ip->src); i += 2)
		sum += (uint32_t)addresses[i] << 8 | addresses[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return lwip_htons((uint16_t)(sum + (sum >> 16)));
}

// lwIP has left the sums of this frame open, as far as the host fills them in. Its headers are in
// one piece: lwIP has put them there.
static void ask_for_sums(struct lumen_net_frame *frame, struct pbuf *p)
{
	static const struct {
		uint8_t protocol;
		uint32_t flag, size, sum;
	} transports[] = {
		{ IP_PROTO_TCP, LUMEN_NET_SUM_TCP, TCP_HLEN, offsetof(struct tcp_hdr, chksum) },
		{ IP_PROTO_UDP, LUMEN_NET_SUM_UDP, UDP_HLEN, offsetof(struct udp_hdr, chksum) },
	};
	const uint32_t offloads = lumen_net_info(net)->offloads;
	const struct eth_hdr *ethernet = p->payload;
	struct ip_hdr *ip = (struct ip_hdr *)(ethernet + 1);
	uint32_t header;

	if (p->len < sizeof(*ethernet) + IP_HLEN || ethernet->type != PP_HTONS(ETHTYPE_IP))
		return;
	header = IPH_HL_BYTES(ip);
	frame->flags = offloads & LUMEN_NET_SUM_IPV4;
	for (uint32_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (IPH_PROTO(ip) != transports[i].protocol || !(offloads & transports[i].flag) ||
			p->len < sizeof(*ethernet) + header + transports[i].size)
			continue;
		frame->flags |= transports[i].flag;
		frame->transport = (uint16_t)(sizeof(*ethernet) + header);
		*(uint16_t *)((uint8_t *)ip + header + transports[i].sum) =
			pseudo_sum(ip, lwip_ntohs(IPH_LEN(ip)) - header);
	}
}

// --- out ---

static void release(struct out *out)
{
	pbuf_free(out->pbuf);
	out->next = free_outs;
	free_outs = out;
}

static void on_sent(struct lumen_net_frame *frame)
{
	release(container_of(frame, struct out, frame));
}

// False: it is in too many pieces.
static bool list_segments(struct out *out, struct pbuf *p)
{
	uint32_t count = 0;

	for (; p; p = p->next) {
		if (!p->len)
			continue;
		if (count == SEGMENTS)
			return false;
		out->segments[count++] =
			(struct lumen_segment){ .source = p->payload, .length = p->len };
	}
	out->frame.segment_count = count;
	return true;
}

// Takes a frame of lwIP's, or one of ours.
static err_t send(struct pbuf *p)
{
	struct out *out = free_outs;

	if (!out) {
		starved = true;
		return ERR_MEM;
	}
	out->frame = (struct lumen_net_frame){ .segments = out->segments, .done = on_sent };
	if (!list_segments(out, p))
		return ERR_BUF;
	ask_for_sums(&out->frame, p);
	free_outs = out->next;
	out->pbuf = p;
	pbuf_ref(p);
	if (lumen_net_queue(net, &out->frame)) {
		release(out);
		return ERR_IF;
	}
	card_counters.sent++;
	return ERR_OK;
}

static err_t output(struct netif *netif, struct pbuf *p)
{
	struct pbuf *copy;
	err_t error = send(p);

	(void)netif;
	if (error != ERR_BUF)
		return error;
	copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	if (!copy)
		return ERR_MEM;
	error = send(copy);
	pbuf_free(copy);
	return error;
}

bool card_has_room(void)
{
	const bool again = starved && free_outs;

	starved &= !again;
	return again;
}

void card_flush(void)
{
	lumen_net_kick(net);
}

// --- in ---

// The host can still write to what has come: lwIP gets a copy.
static void on_frame(void *context, struct lumen_net *from, const struct lumen_net_received *came)
{
	struct pbuf *p;

	(void)context;
	(void)from;
	if (!net)
		return; // it is still being opened, or already being closed
	if (!set_sums(came->flags)) {
		card_counters.bad_sums++;
		return;
	}
	p = pbuf_alloc(PBUF_RAW, (uint16_t)came->length, PBUF_POOL);
	if (!p) {
		card_counters.no_memory++;
		return;
	}
	card_counters.received++;
	pbuf_take(p, came->data, (uint16_t)came->length);
	if (interface.input(p, &interface) != ERR_OK)
		pbuf_free(p);
}

static void look_at_link(void)
{
	const uint32_t changes = __atomic_load_n(lumen_net_changes(net), __ATOMIC_ACQUIRE);

	if (changes == link_changes)
		return;
	link_changes = changes;
	if (lumen_net_link(net))
		netif_set_link_up(&interface);
	else
		netif_set_link_down(&interface);
}

lumen_status card_run(bool *more)
{
	*more = lumen_net_poll(net);
	look_at_link();
	return lumen_net_status(net);
}

void card_wait(uint32_t ms)
{
	lumen_net_wait(net, lumen_deadline_ns((uint64_t)ms * NS_PER_MS));
}

void card_wake(void)
{
	if (net)
		lumen_net_wake(net);
}

// --- start and stop ---

static void on_status(struct netif *netif)
{
	const ip4_addr_t *address = netif_ip4_addr(netif);

	if (netif_is_up(netif) && !ip4_addr_isany(address))
		kernel_print("Serving at http://%u.%u.%u.%u/\n", ip4_addr1(address),
			ip4_addr2(address), ip4_addr3(address), ip4_addr4(address));
}

static err_t init(struct netif *netif)
{
	const struct lumen_net_properties *info = lumen_net_info(net);

	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->hostname = "lumen";
	netif->mtu = (uint16_t)info->mtu;
	netif->hwaddr_len = sizeof(info->mac);
	MEMCPY(netif->hwaddr, info->mac, sizeof(info->mac));
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->linkoutput = output;
	return ERR_OK;
}

static void start_interface(void)
{
	lwip_init();
	netif_add_noaddr(&interface, NULL, init, netif_input);
	set_sums(0);
	netif_set_status_callback(&interface, on_status);
	netif_set_default(&interface);
	netif_set_up(&interface);
	if (lumen_net_link(net))
		netif_set_link_up(&interface);
	dhcp_start(&interface);
}

lumen_status card_start(struct lumen_vmbus *bus)
{
	static const struct lumen_net_config config = {
		.receive = on_frame,
		.polled = true,
		.offloads = LUMEN_NET_SEND_IPV4 | LUMEN_NET_SEND_TCP | LUMEN_NET_SEND_UDP |
			    LUMEN_NET_RECEIVED,
		.depth = DEPTH,
	};
	struct lumen_channel *channel = lumen_net_find(bus, 0);
	lumen_status status;

	if (!channel)
		return LUMEN_OUT_OF_RANGE;
	for (uint32_t i = 0; i < FRAMES; i++) {
		outs[i].next = free_outs;
		free_outs = &outs[i];
	}
	status = lumen_net_open(channel, &config, &net);
	if (status)
		return status;
	start_interface();
	return LUMEN_OK;
}

void card_stop(void)
{
	struct lumen_net *closing = net;

	dhcp_release_and_stop(&interface);
	netif_set_down(&interface);
	net = NULL;
	lumen_net_close(closing);
}
