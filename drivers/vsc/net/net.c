// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: a card from open to close.
#include "drivers/vsc/net/net_internal.h"

#define NET_DEPTH	      64u
#define NET_RING_PAGES	      16u
#define NET_RING_PAGES_MIN    2u
#define NET_RECEIVE_PAGES_MIN 16u
#define NET_RECEIVE_PAGES_MAX 4096u
#define NET_MTU		      1500u
#define NET_MTU_MIN	      68u // RFC 791
#define NET_TIMEOUT_NS	      30000000000ull
#define NET_PACKET_SIZE	      4096u // the largest from the host, descriptor included
#define NET_PACKET_COALESCED  8192u // the same, with ranges for NVSP_RSC_MAX pieces
#define NET_SPEED_UNIT	      100u  // bit/s

_Static_assert(LUMEN_NET_DIRECTED == NDIS_FILTER_DIRECTED &&
		       LUMEN_NET_MULTICAST == NDIS_FILTER_MULTICAST &&
		       LUMEN_NET_ALL_MULTICAST == NDIS_FILTER_ALL_MULTICAST &&
		       LUMEN_NET_BROADCAST == NDIS_FILTER_BROADCAST &&
		       LUMEN_NET_PROMISCUOUS == NDIS_FILTER_PROMISCUOUS,
	"filters");

struct lumen_channel *lumen_net_find(struct lumen_vmbus *bus, uint32_t index)
{
	static const struct vmbus_guid type = NVSP_GUID;

	return lumen_vmbus_find(bus, &type, index);
}

// --- channels ---

static struct net_queue *net_queue_create(
	struct lumen_net *net, struct lumen_channel *channel, uint32_t depth, bool coalesced)
{
	const size_t heads =
		(sizeof(struct net_queue) + NET_HEAD_STRIDE - 1) & ~(size_t)(NET_HEAD_STRIDE - 1);
	const size_t gathered = heads + (size_t)depth * NET_HEAD_STRIDE;
	const size_t size = gathered + (coalesced ? sizeof(struct net_gathered) : 0);
	struct vsc_queue *base = vsc_queue_create(&net->vsc, channel, size, depth);
	struct net_queue *queue = net_queue_of(base);

	if (!base)
		return NULL;
	queue->heads = (uint8_t *)queue + heads;
	if (coalesced)
		queue->gathered = (struct net_gathered *)(void *)((uint8_t *)queue + gathered);
	queue->waiting_end = &queue->waiting;
	queue->done_end = &queue->done;
	return queue;
}

static void net_handler(void *context, struct lumen_channel *channel)
{
	struct vsc_queue *queue = context;

	(void)channel;
	if (!vsc_defer(queue->vsc))
		net_service(queue, true);
}

static uint32_t net_or(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

lumen_status net_queue_open(struct lumen_net *net, struct lumen_channel *channel,
	const struct lumen_net_config *config, uint32_t vp)
{
	// What the first one got, the others have too.
	const uint32_t depth = net_or(net->info.depth, net_or(config->depth, NET_DEPTH));
	struct net_queue *queue =
		net_queue_create(net, channel, depth, net_wants_coalesced(config));

	if (!queue)
		return LUMEN_NO_MEMORY;
	queue->first_section = net->vsc.queue_count * depth;
	return vsc_queue_open(
		&queue->vsc, &(struct lumen_channel_config){
				     .send_pages = net_or(config->send_pages, NET_RING_PAGES),
				     .receive_pages = net_or(config->receive_pages, NET_RING_PAGES),
				     .target_vp = vp,
				     .handler = net_handler,
			     });
}

// --- what the card is like ---

static lumen_status net_find_address(struct lumen_net *net)
{
	const lumen_status status = net_query(
		net, OID_802_3_PERMANENT_ADDRESS, NULL, 0, net->info.mac, sizeof(net->info.mac));

	return status == LUMEN_NOT_SUPPORTED ? LUMEN_REFUSED : status;
}

// 0 if the host does not say.
static uint32_t net_number(struct lumen_net *net, uint32_t oid)
{
	uint32_t number;

	return net_query(net, oid, NULL, 0, &number, sizeof(number)) == LUMEN_OK ? number : 0;
}

static lumen_status net_find_limits(struct lumen_net *net)
{
	const uint32_t mtu = net_number(net, OID_GEN_MAXIMUM_FRAME_SIZE);
	const uint32_t room = net->section_size - (uint32_t)RNDIS_PUT_MAX;

	if (mtu && mtu < NET_MTU_MIN) {
		vsc_bad_host(net->vsc.queues[0], "a network for no IP packet");
		return LUMEN_BAD_HOST;
	}
	if (mtu && mtu < net->info.mtu)
		net->info.mtu = mtu;
	net->info.max_copy = net->info.mtu + LUMEN_NET_HEADER;
	if (net->info.max_copy > room)
		net->info.max_copy = room;
	return vsc_status(&net->vsc);
}

// Before the filter is set nothing comes, and after that the host says when it changes.
static lumen_status net_find_link(struct lumen_net *net)
{
	const uint32_t link = net_number(net, OID_GEN_MEDIA_CONNECT_STATUS);

	__atomic_store_n(&net->link, link, __ATOMIC_RELAXED);
	net->info.bits_per_second = (uint64_t)net_number(net, OID_GEN_LINK_SPEED) * NET_SPEED_UNIT;
	return vsc_status(&net->vsc);
}

static lumen_status net_meet_card(struct lumen_net *net, const struct lumen_net_config *config)
{
	static const uint32_t filter =
		LUMEN_NET_DIRECTED | LUMEN_NET_BROADCAST | LUMEN_NET_ALL_MULTICAST;
	lumen_status status = net_initialize(net);

	if (status == LUMEN_OK)
		status = net_agree_offloads(net, config->offloads);
	if (status == LUMEN_OK)
		status = net_find_address(net);
	if (status == LUMEN_OK)
		status = net_find_limits(net);
	if (status == LUMEN_OK)
		status = net_find_link(net);
	if (status == LUMEN_OK)
		status = net_open_queues(net, config);
	if (status == LUMEN_OK)
		status = lumen_net_set_filter(net, net_or(config->filter, filter));
	return status;
}

// --- open and close ---

static bool net_config_valid(const struct lumen_net_config *config)
{
	return config->depth <= LUMEN_NET_MAX_DEPTH &&
	       (!config->mtu || (config->mtu >= NET_MTU_MIN && config->mtu <= LUMEN_NET_MAX_MTU)) &&
	       !(config->offloads & ~LUMEN_NET_OFFLOADS) &&
	       (!config->receive_buffer_pages ||
		       (config->receive_buffer_pages >= NET_RECEIVE_PAGES_MIN &&
			       config->receive_buffer_pages <= NET_RECEIVE_PAGES_MAX)) &&
	       (!config->send_pages || config->send_pages >= NET_RING_PAGES_MIN) &&
	       config->vp_count <= LUMEN_NET_MAX_CHANNELS &&
	       (config->vps != NULL) == (config->vp_count > 0) &&
	       (config->vp_count <= 1 || config->bus);
}

static lumen_status net_start_up(
	struct lumen_net *net, struct lumen_channel *channel, const struct lumen_net_config *config)
{
	const uint32_t vp = config->vp_count ? config->vps[0] : lumen_this_vp();
	lumen_status status = net_queue_open(net, channel, config, vp);

	if (status == LUMEN_OK)
		status = net_negotiate(net, config);
	if (status == LUMEN_OK)
		status = net_meet_card(net, config);
	return status;
}

static void net_shut_down(struct lumen_net *net, struct lumen_channel *channel)
{
	if (net->initialized)
		net_halt(net);
	if (net->section_size)
		net_revoke(net);
	vsc_shut_down(&net->vsc);
	net_take_back(net, channel);
	lumen_free_pages(net, net->page_count);
}

lumen_status lumen_net_open(struct lumen_channel *channel, const struct lumen_net_config *config,
	struct lumen_net **net_out)
{
	static const struct vsc_class classes[] = {
		{ NET_PACKET_SIZE, net_service, net_drop },
		{ NET_PACKET_COALESCED, net_service, net_drop },
	};
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_net));
	struct lumen_net *net;
	lumen_status status;

	if (!channel || !config || !net_config_valid(config))
		return LUMEN_BAD_ARGUMENT;
	net = lumen_alloc_pages(pages);
	if (!net)
		return LUMEN_NO_MEMORY;
	net->vsc.class = &classes[net_wants_coalesced(config)];
	net->vsc.polled = config->polled;
	net->vsc.timeout_ns = config->timeout_ns ? config->timeout_ns : NET_TIMEOUT_NS;
	net->receive = config->receive;
	net->context = config->context;
	net->page_count = pages;
	net->message_size = NVSP_MESSAGE_SIZE; // until the host knows more
	net->info.mtu = net_or(config->mtu, NET_MTU);
	net->info.channels = 1;
	status = net_start_up(net, channel, config);
	if (status == LUMEN_OK)
		*net_out = net;
	else
		net_shut_down(net, channel);
	return status;
}

void lumen_net_close(struct lumen_net *net)
{
	struct vsc *vsc = &net->vsc;

	__atomic_store_n(&vsc->closing, true, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < vsc->queue_count; i++) {
		struct net_queue *queue = net_queue_of(vsc->queues[i]);
		const uint64_t state = lumen_spin_lock_irq(&queue->vsc.lock);

		net_end_waiting(queue, LUMEN_CANCELLED);
		net_unlock(queue, state);
	}
	vsc_drain(vsc);
	net_shut_down(net, vsc->queues[0]->channel);
}

// --- what it says ---

lumen_status lumen_net_status(const struct lumen_net *net)
{
	return vsc_status(&net->vsc);
}

const char *lumen_net_failure(const struct lumen_net *net)
{
	return __atomic_load_n(&net->vsc.failure, __ATOMIC_ACQUIRE);
}

const struct lumen_net_properties *lumen_net_info(const struct lumen_net *net)
{
	return &net->info;
}

bool lumen_net_link(const struct lumen_net *net)
{
	return __atomic_load_n(&net->link, __ATOMIC_RELAXED) == NDIS_MEDIA_CONNECTED;
}

const uint32_t *lumen_net_changes(const struct lumen_net *net)
{
	return &net->changes;
}

void lumen_net_statistics(const struct lumen_net *net, struct lumen_net_counters *statistics)
{
	uint64_t *sums = (uint64_t *)statistics; // it is nothing but counters

	memset(statistics, 0, sizeof(*statistics));
	for (uint32_t i = 0; i < net->vsc.queue_count; i++) {
		const struct net_queue *queue = net_queue_of(net->vsc.queues[i]);
		const uint64_t *counters = (const uint64_t *)&queue->statistics;

		for (uint32_t j = 0; j < sizeof(*statistics) / sizeof(*sums); j++)
			sums[j] += __atomic_load_n(&counters[j], __ATOMIC_RELAXED);
	}
}

bool lumen_net_poll(struct lumen_net *net)
{
	return vsc_poll(&net->vsc);
}

void lumen_net_wait(struct lumen_net *net, uint64_t deadline_ns)
{
	lumen_channel_wait(net->vsc.queues[0]->channel, &net->vsc.due, 0, deadline_ns);
}

void lumen_net_wake(struct lumen_net *net)
{
	vsc_set_due(&net->vsc);
}
