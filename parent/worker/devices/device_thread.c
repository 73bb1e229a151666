// SPDX-License-Identifier: BSD-2-Clause
// See device.h: a device whose channel is served by a thread of its own, which may block.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "parent/worker/devices/device.h"
#include "parent/worker/log.h"

enum { EVENTS_MAX = 16 }; // of a turn; the others come in the next

static uint32_t order_of(const struct device_sub *sub)
{
	return __atomic_load_n(&sub->order, __ATOMIC_ACQUIRE);
}

// Waits until something has happened, or looks only (`again`). Level-triggered, so each condition
// has to be taken before the next call:
//   vmbus.event_fd  eventfd that the driver counts up for the guest's signals, of the device and of
//                   each sub-channel; the main thread counts up a sub-channel's with each order:
//                   here
//   stop_fd         eventfd that close_channel() counts up, once: here
//   row->watch()'s  by row->poll(), which every loop here calls once a turn
static bool is_ours(const struct device *device, int fd)
{
	for (uint32_t i = 0; i < device->sub_count; i++)
		if (order_of(&device->subs[i]) && fd == device->subs[i].vmbus.event_fd)
			return true;
	return fd == device->stop_fd || fd == device->vmbus.event_fd;
}

static void wait_for_work(struct device *device, bool again)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(
		device->epoll_fd, events, EVENTS_MAX, again ? 0 : device->row->timeout_ms(device));

	for (int i = 0; i < count; i++) {
		const int fd = events[i].data.fd;
		eventfd_t taken;

		device->stopped |= fd == device->stop_fd;
		if (is_ours(device, fd))
			eventfd_read(fd, &taken);
	}
	__atomic_add_fetch(&device->turns, 1, __ATOMIC_RELAXED);
}

// After the report the sub-channel is the main thread's.
static void close_sub(struct device_sub *sub)
{
	if (!sub->stopped)
		vsp_stop(sub->vsp);
	sub->stopped = true;
	if (!vsp_idle(sub->vsp))
		return;
	vsp_leave(sub->vsp);
	sub->joined = false;
	sub->stopped = false;
	__atomic_store_n(&sub->order, DEVICE_SUB_NOTHING, __ATOMIC_RELEASE);
	vmbus_device_report(&sub->vmbus, VMBUS_DEVICE_CLOSED);
}

// Does what the main thread has said, which may take some turns. Returns whether any sub-channel
// is left.
static bool take_orders(struct device *device)
{
	bool any = false;

	for (uint32_t i = 0; i < device->sub_count; i++) {
		struct device_sub *sub = &device->subs[i];
		const uint32_t order = order_of(sub);

		if (order && !sub->joined) {
			vsp_join(sub->vsp);
			sub->joined = true;
		}
		if (order == DEVICE_SUB_CLOSE)
			close_sub(sub);
		any |= sub->joined;
	}
	return any;
}

static uint32_t serve_subs(struct device *device)
{
	uint32_t flags = 0;

	for (uint32_t i = 0; i < device->sub_count; i++)
		if (device->subs[i].joined)
			flags |= device_serve_sub(&device->subs[i]);
	return flags;
}

// Serves until it is told to stop, or the channel fails.
static void serve(struct device *device)
{
	uint32_t flags = VSP_AGAIN; // the ring may have something in it already

	while (!device->stopped) {
		device->row->poll(device);
		take_orders(device);
		flags = device_serve(device);
		if (flags & VSP_FAILED)
			return;
		flags |= serve_subs(device);
		wait_for_work(device, flags & VSP_AGAIN || vsp_any_waits(device->vsp));
	}
}

// The guest has broken the channel: the host takes it back, and then tells us to stop.
static void wait_for_stop(struct device *device)
{
	while (!device->stopped) {
		wait_for_work(device, false);
		device->row->poll(device);
		take_orders(device);
	}
}

// The main thread closes each sub-channel, if it has not yet: that is waited for, too.
static void finish(struct device *device)
{
	vsp_stop(device->vsp);
	device->row->poll(device);
	while (take_orders(device) || !vsp_idle(device->vsp)) {
		wait_for_work(device, false);
		device->row->poll(device);
	}
}

static void *thread(void *context)
{
	struct device *device = context;

	serve(device);
	wait_for_stop(device);
	finish(device);
	vmbus_device_report(&device->vmbus, VMBUS_DEVICE_CLOSED);
	return NULL;
}

bool device_watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static bool make_descriptors(struct device *device)
{
	device->stopped = false;
	device->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return device_watch(device->epoll_fd, device->stop_fd) &&
	       device_watch(device->epoll_fd, device->vmbus.event_fd) &&
	       device->row->watch(device, device->epoll_fd);
}

static void release(struct device *device)
{
	device_close_vsp(device, &device->vsp);
	if (device->stop_fd >= 0)
		close(device->stop_fd);
	if (device->epoll_fd >= 0)
		close(device->epoll_fd);
	device->stop_fd = -1;
	device->epoll_fd = -1;
}

static bool start_thread(struct device *device)
{
	sigset_t all, before;
	int error;

	// Signals are for the main thread and the VPs.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&device->thread, NULL, thread, device);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		log_limited(&device->failures, "%s: no thread: %s", device->vmbus.name,
			strerror(error));
	return !error;
}

static bool open_channel(struct vmbus_device *vmbus, const struct vmbus_device_open *open)
{
	struct device *device = (struct device *)vmbus;

	device_reset_subs(device);
	if (make_descriptors(device))
		device->vsp = device_open_vsp(device, open, NULL, 0);
	if (device->vsp && start_thread(device))
		return true;
	release(device);
	return false;
}

static void close_channel(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	eventfd_write(device->stop_fd, 1);
}

static void channel_closed(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	pthread_join(device->thread, NULL);
	if (device->row->closing)
		device->row->closing(device);
	release(device);
}

static void take_orders_of_thread(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	if (device->row->orders)
		device->row->orders(device);
}

static void tear_down(struct vmbus_device *vmbus, uint32_t gpadl)
{
	struct device *device = (struct device *)vmbus;

	if (device->row->teardown)
		device->row->teardown(device, gpadl);
}

const struct vmbus_device_ops device_thread_ops = {
	.open = open_channel,
	.close = close_channel,
	.closed = channel_closed,
	.gone = device_gone,
	.asked = device_offer_subs,
	.orders = take_orders_of_thread,
	.teardown = tear_down,
};
