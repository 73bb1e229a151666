// SPDX-License-Identifier: BSD-2-Clause
// The child's network card: a VMBus channel, sub-channels if the child has several VPs, and a TAP
// on a bridge of the root's.
#pragma once

#include "drivers/vsp/net/net.h"
#include "parent/worker/backends/tap.h"
#include "parent/worker/devices/device.h"

// Where a buffer that the child lends is on its way between the two threads: the device's asks and
// gives back, the main one holds and lets go. Whose it is to change says the letter.
enum net_order {
	NET_ORDER_NONE,	  // D
	NET_ORDER_BORROW, // M: hold order.gpadl
	NET_ORDER_HELD,	  // D
	NET_ORDER_NO,	  // D: there is no such one
	NET_ORDER_RETURN, // M: let go
};

struct net_order_of {
	uint32_t order;	 // atomic: enum net_order
	uint32_t wanted; // atomic: the child wants it back
	uint32_t gpadl;	 // its id
	struct vmbus_gpa_range range;
	// The device thread's.
	bool lent;	     // the VSP knows
	bool next_waits;     // for NET_ORDER_NONE
	uint32_t next_gpadl; // to be borrowed then
	// The main thread's.
	struct vmbus_gpadl *held;
};

struct net_device {
	struct device device;
	struct net_vsp_config config;
	struct net_host host;
	struct tap *tap;
	struct net_order_of orders[NET_LENT];
};

// All of its row but for class and instance.
#define NET_ROW                                                                                    \
	.size = sizeof(struct net_device), .threaded = true, .attach = net_attach,                 \
	.bring = net_bring, .gone = net_gone, .detach = net_detach, .poll = net_poll,              \
	.watch = net_watch, .timeout_ms = net_timeout_ms, .stat = net_stat,                        \
	.orders = net_take_orders, .teardown = net_teardown

bool net_attach(struct device *device, struct failure *failure);
const char *net_bring(struct device *device, const char *how, int descriptor);
void net_gone(struct device *device);
bool net_detach(struct device *device, deadline_ns deadline);
void net_poll(struct device *device);
bool net_watch(struct device *device, int epoll_fd);
int net_timeout_ms(const struct device *device);
void net_stat(struct device *device, struct stat_text *stat);
void net_take_orders(struct device *device);
void net_teardown(struct device *device, uint32_t gpadl);
