// SPDX-License-Identifier: BSD-2-Clause
// See device.h: the sub-channels of a device, in the main thread. The device's thread serves them
// with the primary one (device_thread.c); what it is to do with one is sub->order, and the
// sub-channel's event wakes it up.
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "parent/worker/devices/device.h"

static void give_order(struct device_sub *sub, enum device_sub_order order)
{
	__atomic_store_n(&sub->order, order, __ATOMIC_RELEASE);
	eventfd_write(sub->vmbus.event_fd, 1);
}

// The primary channel is open: else this one would not be offered.
static bool open_channel(struct vmbus_device *vmbus, const struct vmbus_device_open *open)
{
	struct device_sub *sub = (struct device_sub *)vmbus;
	struct device *device = sub->device;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = vmbus->event_fd };

	sub->vsp = device_open_vsp(device, open, device->vsp, vmbus->offer.sub_channel_index);
	if (sub->vsp && !epoll_ctl(device->epoll_fd, EPOLL_CTL_ADD, vmbus->event_fd, &event)) {
		give_order(sub, DEVICE_SUB_OPEN);
		return true;
	}
	device_close_vsp(device, &sub->vsp);
	return false;
}

static void close_channel(struct vmbus_device *vmbus)
{
	give_order((struct device_sub *)vmbus, DEVICE_SUB_CLOSE);
}

// The thread may have ended by now, and its epoll with it.
static void channel_closed(struct vmbus_device *vmbus)
{
	struct device_sub *sub = (struct device_sub *)vmbus;

	if (sub->device->epoll_fd >= 0)
		epoll_ctl(sub->device->epoll_fd, EPOLL_CTL_DEL, vmbus->event_fd, NULL);
	device_close_vsp(sub->device, &sub->vsp);
}

// It may be that the guest has opened the primary channel anew, and waits for this.
static void channel_gone(struct vmbus_device *vmbus)
{
	struct device_sub *sub = (struct device_sub *)vmbus;

	vmbus_device_report(&sub->device->vmbus, VMBUS_DEVICE_ASKED);
}

static const struct vmbus_device_ops sub_ops = {
	.open = open_channel,
	.close = close_channel,
	.closed = channel_closed,
	.gone = channel_gone,
};

bool device_init_subs(struct device *device)
{
	free(device->subs);
	device->subs = NULL;
	if (!device->sub_count)
		return true;
	device->subs = calloc(device->sub_count, sizeof(*device->subs));
	if (!device->subs)
		device->sub_count = 0;
	for (uint32_t i = 0; i < device->sub_count; i++) {
		struct device_sub *sub = &device->subs[i];

		sub->device = device;
		sub->vmbus.ops = &sub_ops;
		sub->vmbus.name = device->vmbus.name;
		sub->vmbus.offer = device->vmbus.offer;
		sub->vmbus.offer.sub_channel_index = (uint16_t)(i + 1);
		sub->vmbus.primary = &device->vmbus;
	}
	return device->subs;
}

void device_reset_subs(struct device *device)
{
	for (uint32_t i = 0; i < device->sub_count; i++)
		device->subs[i].offered = false;
}

// One that the guest still has from before is offered when it has let go of it; one that it has
// broken is not.
void device_offer_subs(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;
	uint32_t count;

	if (vmbus_host_state(vmbus) != VMBUS_CHANNEL_OPEN)
		return;
	count = vsp_sub_channels(device->vsp);
	for (uint32_t i = 0; i < count && i < device->sub_count; i++) {
		struct device_sub *sub = &device->subs[i];

		if (sub->offered || sub->vmbus.relid)
			continue;
		sub->offered = vmbus_host_offer(vmbus->host, &sub->vmbus);
		if (!sub->offered)
			log_limited(&device->failures, "%s: no channel is left for sub-channel %u",
				vmbus->name, i + 1);
	}
}
