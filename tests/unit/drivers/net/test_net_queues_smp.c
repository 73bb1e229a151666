// SPDX-License-Identifier: BSD-2-Clause
// A card of three queues, VSC against VSP: each queue is sent on by a thread that is a VP of its
// own, while another thread is the host, the wire and the processor that takes the interrupts (a
// card's VSP has one thread: net.h), and a third one changes the card's indirection table and
// filter. Cards come with one MTU after the other, and the buffers are revoked each time. No frame
// is lost, doubled or changed; if the host takes a channel away in the midst, each frame ends.
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/ndis.h"
#include "lumen/net.h"
#include "net_host.h"

enum { QUEUES = 3, ROUNDS = 40, BATCH = 8, CHANGES = 40, FRAMES = 400, FLOWS = 16, PORT = 35 };

// drivers/vsc/net/net_control.c's, by its name in the SDK (sdk/names.h).
lumen_status lumen_net_set(struct lumen_net *net, uint32_t oid, const void *value, uint32_t length);

struct sender {
	pthread_t thread;
	uint32_t vp, wrong, sent, queued;
	struct lumen_segment segment;
	struct lumen_net_frame frames[BATCH];
	uint32_t done[BATCH];
	uint8_t data[LUMEN_NET_HEADER + LUMEN_NET_MAX_MTU];
};

static struct lumen_net *net;
static struct sender senders[QUEUES];
static uint32_t length; // of each frame: as long as the MTU allows
static bool rescinds;
// Atomic, all of these.
static uint32_t stop, received[FLOWS], wrong, came_on[RIG_CHANNELS];

// A frame of a flow's: TCP from a port, and bytes that go by that.
static void fill(uint8_t *frame, uint8_t flow)
{
	memset(frame, flow, length);
	memset(frame + LUMEN_NET_HEADER, 0, 40);
	memcpy(frame, net_host.config.card.mac, 6);
	memcpy(frame + 6, net_host.config.card.mac, 6);
	memcpy(frame + 12, (uint8_t[]){ 0x08, 0x00, 0x45 }, 3);
	frame[16] = (uint8_t)((length - LUMEN_NET_HEADER) >> 8);
	frame[17] = (uint8_t)(length - LUMEN_NET_HEADER);
	frame[23] = 6;
	frame[PORT] = flow;
	frame[46] = 0x50;
}

static void take(void *context, struct lumen_net *of, const struct lumen_net_received *frame)
{
	const uint8_t flow = frame->length == length ? frame->data[PORT] : FLOWS;

	(void)context;
	(void)of;
	if (flow < FLOWS && frame->data[length - 1] == flow)
		__atomic_fetch_add(&received[flow], 1, __ATOMIC_RELEASE);
	else
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void note_channel(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
		__atomic_fetch_add(&came_on[channel->index], 1, __ATOMIC_RELAXED);
}

// --- the senders ---

static void on_done(struct lumen_net_frame *frame)
{
	__atomic_fetch_add((uint32_t *)frame->context, 1, __ATOMIC_RELEASE);
}

static void end_batch(struct sender *sender, const bool *queued)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		while (queued[i] && !__atomic_load_n(&sender->done[i], __ATOMIC_ACQUIRE))
			if (!lumen_net_poll(net))
				sched_yield();
		sender->sent += queued[i] && sender->frames[i].status == LUMEN_OK;
		sender->wrong += sender->done[i] != queued[i];
	}
}

static void a_batch(struct sender *sender)
{
	bool queued[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		__atomic_store_n(&sender->done[i], 0, __ATOMIC_RELAXED);
		sender->frames[i] = (struct lumen_net_frame){ .segments = &sender->segment,
			.segment_count = 1,
			.done = on_done,
			.context = &sender->done[i] };
		queued[i] = lumen_net_queue(net, &sender->frames[i]) == LUMEN_OK;
		sender->queued += queued[i];
	}
	lumen_net_kick(net);
	end_batch(sender, queued);
}

static void *send_all(void *argument)
{
	struct sender *sender = argument;

	rig_vp = sender->vp;
	for (uint32_t round = 0; round < ROUNDS; round++)
		a_batch(sender);
	return NULL;
}

// --- the host ---

static void *host(void *argument)
{
	static const struct net_header header = { 0 };
	static uint8_t frame[sizeof(senders[0].data)];
	uint32_t sent = 0;

	(void)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		fill(frame, sent % FLOWS);
		if (sent < FRAMES && memory_wire_receive(&net_host.wire, &header, frame, length))
			sent++;
		rig_run();
		if (rescinds && sent == FRAMES / 2 && !lumen_channel_rescinded(&rig.channels[1]))
			rig_rescind_one(&rig.channels[1]);
	}
	return NULL;
}

// --- who changes the card ---

// All flows to one queue after the other, or round all of them.
static lumen_status set_table(uint32_t round)
{
	struct {
		struct ndis_rss_parameters parameters;
		uint32_t table[NDIS_RSS_TABLE_MAX];
		uint8_t key[NDIS_RSS_KEY_SIZE];
	} scaling = { .parameters = {
			      .object = { NDIS_OBJECT_RSS_PARAMETERS, 2,
				      sizeof(scaling.parameters) },
			      .hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4,
			      .table_size = sizeof(scaling.table),
			      .table_offset = sizeof(scaling.parameters),
			      .key_size = sizeof(scaling.key),
			      .key_offset = sizeof(scaling.parameters) + sizeof(scaling.table),
		      } };

	for (uint32_t i = 0; i < NDIS_RSS_TABLE_MAX; i++)
		scaling.table[i] = (round % 2 ? round / 2 : i + round) % QUEUES;
	memset(scaling.key, 0x6d + (int)round, sizeof(scaling.key));
	return lumen_net_set(net, OID_GEN_RECEIVE_SCALE_PARAMETERS, &scaling, sizeof(scaling));
}

// To frames for the card itself no filter here objects.
static void change(void)
{
	lumen_status status = LUMEN_OK;

	for (uint32_t round = 0; round < CHANGES && status == LUMEN_OK; round++) {
		status = set_table(round);
		if (status == LUMEN_OK)
			status = lumen_net_set_filter(net,
				LUMEN_NET_DIRECTED | (round % 2 ? LUMEN_NET_ALL_MULTICAST : 0));
	}
	cr_assert_eq(status, rescinds ? status : LUMEN_OK);
}

// --- a card's life ---

static void start(uint32_t mtu)
{
	static const uint32_t vps[] = { 0, 1, 2 };
	const struct lumen_net_config config = { .receive = take,
		.mtu = mtu,
		.vps = vps,
		.vp_count = QUEUES,
		.bus = (void *)&senders,
		.depth = 10,
		.send_pages = 2,
		.receive_pages = 1 };

	length = LUMEN_NET_HEADER + mtu;
	stop = wrong = 0;
	memset(received, 0, sizeof(received));
	memset(came_on, 0, sizeof(came_on));
	net_host_create(QUEUES, 0);
	net_host.config.card.mtu = mtu;
	rig.complete = UINT32_MAX;
	rig.on_receive = note_channel;
	cr_assert_eq(lumen_net_open(lumen_net_find(NULL, 0), &config, &net), LUMEN_OK);
	cr_assert_eq(lumen_net_info(net)->channels, QUEUES);
	cr_assert_eq(lumen_net_info(net)->mtu, mtu);
	rig.threaded = true;
}

static uint32_t received_all(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < FLOWS; i++)
		sum += __atomic_load_n(&received[i], __ATOMIC_ACQUIRE);
	return sum;
}

static void wait_for_all(void)
{
	while (received_all() < FRAMES && lumen_net_status(net) == LUMEN_OK)
		if (!lumen_net_poll(net))
			sched_yield();
}

static void check_all(uint32_t sent)
{
	cr_assert_eq(lumen_net_status(net), rescinds ? LUMEN_RESCINDED : LUMEN_OK);
	cr_assert_eq(wrong, 0);
	if (rescinds)
		return;
	cr_assert_eq(received_all(), FRAMES);
	for (uint32_t i = 0; i < FLOWS; i++)
		cr_assert_eq(received[i], FRAMES / FLOWS);
	for (uint32_t i = 0; i < QUEUES; i++)
		cr_assert(came_on[i] > 0 && rig.channels[i].flushes >= ROUNDS);
	cr_assert_eq(sent, QUEUES * ROUNDS * BATCH);
	cr_assert_eq(net_host.wire.sent_count, sent);
}

static void run_card(uint32_t mtu)
{
	pthread_t host_thread;
	uint32_t sent = 0;

	start(mtu);
	cr_assert_eq(pthread_create(&host_thread, NULL, host, NULL), 0);
	for (uint32_t i = 0; i < QUEUES; i++) {
		senders[i] = (struct sender){ .vp = i,
			.segment = { .data = senders[i].data, .length = length } };
		fill(senders[i].data, (uint8_t)i);
		cr_assert_eq(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
	}
	change();
	for (uint32_t i = 0; i < QUEUES; i++) {
		pthread_join(senders[i].thread, NULL);
		cr_assert_eq(senders[i].wrong, 0);
		sent += senders[i].sent;
	}
	wait_for_all();
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(host_thread, NULL);
	rig.threaded = false;
	check_all(sent);
	lumen_net_close(net);
	cr_assert_eq(rig.gpadls, 0);
	rig_destroy();
}

Test(net_queues_smp, changes_lose_no_frame, .timeout = 100)
{
	static const uint32_t mtus[] = { 1500, 600, 9000 };

	rescinds = false;
	for (uint32_t i = 0; i < ARRAY_SIZE(mtus); i++)
		run_card(mtus[i]);
}

Test(net_queues_smp, a_channel_is_taken_away_in_the_midst, .timeout = 100)
{
	rescinds = true;
	for (uint32_t i = 0; i < 10; i++)
		run_card(1500);
	rescinds = false;
}
