// SPDX-License-Identifier: BSD-2-Clause
// See net.h.
#include "parent/worker/devices/net.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "parent/common/child_config.h"
#include "parent/common/port.h"
#include "parent/worker/memory.h"
#include "parent/worker/worker.h"

enum { SLOTS = 256, ROOMS = 512 };

static struct net_device *net_of(struct device *device)
{
	return (struct net_device *)device;
}

static uint32_t order_of(const struct net_order_of *order)
{
	return __atomic_load_n(&order->order, __ATOMIC_ACQUIRE);
}

static void set_order(struct net_order_of *order, enum net_order to)
{
	__atomic_store_n(&order->order, to, __ATOMIC_RELEASE);
}

// --- buffers: the device's thread ---

// The one before may still be on its way back.
static void borrow_next(struct net_device *net, struct net_order_of *order)
{
	if (!order->next_waits || order_of(order) != NET_ORDER_NONE)
		return;
	order->next_waits = false;
	order->gpadl = order->next_gpadl;
	set_order(order, NET_ORDER_BORROW);
	vmbus_device_report(&net->device.vmbus, VMBUS_DEVICE_ORDERS);
}

static void borrow(void *context, enum net_lent which, uint32_t gpadl)
{
	struct net_device *net = context;
	struct net_order_of *order = &net->orders[which];

	order->next_gpadl = gpadl;
	order->next_waits = true;
	borrow_next(net, order);
}

static void give_back(void *context, enum net_lent which)
{
	struct net_device *net = context;

	net->orders[which].lent = false;
	set_order(&net->orders[which], NET_ORDER_RETURN);
	vmbus_device_report(&net->device.vmbus, VMBUS_DEVICE_ORDERS);
}

static void look_at(struct net_device *net, enum net_lent which)
{
	struct net_order_of *order = &net->orders[which];
	const uint32_t now = order_of(order);

	borrow_next(net, order);
	if (now == NET_ORDER_NO) {
		set_order(order, NET_ORDER_NONE);
		net_vsp_lend(net->device.vsp, which, NULL);
	} else if (now == NET_ORDER_HELD && !order->lent) {
		order->lent = true;
		net_vsp_lend(net->device.vsp, which, &order->range);
	} else if (now == NET_ORDER_HELD &&
		   __atomic_exchange_n(&order->wanted, 0, __ATOMIC_RELAXED)) {
		net_vsp_end_loan(net->device.vsp, which);
	}
}

void net_poll(struct device *device)
{
	struct net_device *net = net_of(device);

	for (uint32_t i = 0; i < NET_LENT; i++)
		look_at(net, i);
	tap_poll(net->tap);
}

bool net_watch(struct device *device, int epoll_fd)
{
	return device_watch(epoll_fd, tap_event_fd(net_of(device)->tap));
}

int net_timeout_ms(const struct device *device)
{
	return -1;
}

// --- buffers: the main thread ---

static void hold(struct net_device *net, struct net_order_of *order)
{
	__atomic_store_n(&order->wanted, 0, __ATOMIC_RELAXED);
	order->held = vmbus_host_hold(&net->device.vmbus, order->gpadl);
	if (order->held && order->held->range_count == 1 &&
		vmbus_gpadl_range(order->held, 0, &order->range)) {
		set_order(order, NET_ORDER_HELD);
		return;
	}
	if (order->held)
		vmbus_host_release(&net->device.vmbus, order->held);
	order->held = NULL;
	set_order(order, NET_ORDER_NO);
}

void net_take_orders(struct device *device)
{
	struct net_device *net = net_of(device);

	for (uint32_t i = 0; i < NET_LENT; i++) {
		struct net_order_of *order = &net->orders[i];

		if (order_of(order) == NET_ORDER_BORROW) {
			hold(net, order);
		} else if (order_of(order) == NET_ORDER_RETURN) {
			vmbus_host_release(&device->vmbus, order->held);
			order->held = NULL;
			set_order(order, NET_ORDER_NONE);
		}
	}
	eventfd_write(device->vmbus.event_fd, 1);
}

void net_teardown(struct device *device, uint32_t gpadl)
{
	struct net_device *net = net_of(device);

	for (uint32_t i = 0; i < NET_LENT; i++) {
		struct net_order_of *order = &net->orders[i];

		if (order->held && order->held->id == gpadl)
			__atomic_store_n(&order->wanted, 1, __ATOMIC_RELAXED);
	}
	eventfd_write(device->vmbus.event_fd, 1);
}

// --- the card ---

// It has its port by now.
static void describe(struct net_device *net, const struct child_net *card)
{
	const uint32_t queues = card->queues ? card->queues : net->device.worker->config.vps;

	net->config = (struct net_vsp_config){
		.memory = guest_memory_for_vmbus(&net->device.worker->memory),
		.wire = tap_wire(net->tap),
		.host = &net->host,
		.slot_count = SLOTS,
		.room_count = ROOMS,
		.card = {
			.bits_per_second = card->rate ? card->rate : CHILD_RATE_MAX,
			.offloads = NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_LSO |
				    NET_OFFLOAD_RECEIVED | NET_OFFLOAD_COALESCE,
			.queues = queues < CHILD_QUEUES_MAX ? queues : CHILD_QUEUES_MAX,
			.mtu = card->mtu,
		},
	};
	memcpy(net->config.card.mac, card->mac, sizeof(card->mac));
	net->device.config = &net->config;
	net->device.sub_count = net->config.card.queues - 1;
}

static bool make_port(struct net_device *net, struct child_net *card, struct failure *failure)
{
	int fd;

	child_net_address(card, net->device.worker->name);
	fd = port_open(net->device.worker->name, card, failure);
	if (fd < 0)
		return false;
	if (tap_take(net->tap, fd))
		return true;
	close(fd);
	return failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The network card's TAP cannot be used.");
}

// The wire is for a child without a card, too: it may get one (net_bring()). Where that cannot be
// made, it cannot.
bool net_attach(struct device *device, struct failure *failure)
{
	struct net_device *net = net_of(device);
	struct child_net card = device->worker->config.net;

	net->host = (struct net_host){ net, borrow, give_back };
	net->tap = tap_make(failure);
	if (!*card.bridge)
		return true;
	if (!net->tap || !make_port(net, &card, failure))
		return false;
	describe(net, &card);
	return true;
}

const char *net_bring(struct device *device, const char *how, int descriptor)
{
	struct net_device *net = net_of(device);
	struct child_net card;

	if (child_net_parse(&card, how) || !card.has_mac || !card.mtu)
		return "There is no such network card.";
	if (!net->tap)
		return "The worker has no io_uring for a network card.";
	if (!tap_take(net->tap, descriptor))
		return "The network card's TAP cannot be used.";
	describe(net, &card);
	return NULL;
}

void net_gone(struct device *device)
{
	tap_drop(net_of(device)->tap);
	device->config = NULL;
}

bool net_detach(struct device *device, deadline_ns deadline)
{
	struct net_device *net = net_of(device);

	if (net->tap)
		tap_close(net->tap);
	net->tap = NULL;
	return true;
}

void net_stat(struct device *device, struct stat_text *stat)
{
	struct net_device *net = net_of(device);
	const uint8_t *mac = net->config.card.mac;

	stat_line(stat, "net.mac %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	stat_line(stat, "net.mtu %u", net->config.card.mtu);
	stat_line(stat, "net.tap_refused %llu", (unsigned long long)tap_refused(net->tap));
}
