// SPDX-License-Identifier: BSD-2-Clause
// See device.h: a device whose channel is served in the main loop. Nothing in it blocks, and
// nothing is under way when it is stopped.
#include <sys/eventfd.h>

#include "base/macros.h"
#include "parent/worker/devices/device.h"
#include "parent/worker/worker.h"

static void stop_serving(struct device *device)
{
	if (device->served)
		loop_remove(&device->worker->loop, &device->signalled);
	device->served = false;
}

void device_loop_serve(struct device *device)
{
	uint32_t flags = device_serve(device);

	if (flags & VSP_FAILED)
		stop_serving(device);
	else if (flags & VSP_AGAIN)
		eventfd_write(device->vmbus.event_fd, 1);
}

static void signalled(struct loop_source *source)
{
	device_loop_serve(container_of(source, struct device, signalled));
}

// An answer of one that has crashed would look as if it still did something.
static bool asks_the_dead(const struct device *device)
{
	return device->row->class->asks &&
	       __atomic_load_n(&device->worker->crash_reported, __ATOMIC_RELAXED);
}

static void ticked(struct loop_source *source)
{
	struct device *device = container_of(source, struct device, ticks);

	if (!device->served || asks_the_dead(device))
		return;
	if (vsp_tick(device->vsp))
		loop_timer_start(source, device->row->class->tick_ms);
	device_loop_serve(device);
}

bool device_loop_init(struct device *device)
{
	return !device->row->class->tick_ms ||
	       loop_add_timer(&device->worker->loop, &device->ticks, ticked);
}

static bool open_channel(struct vmbus_device *vmbus, const struct vmbus_device_open *open)
{
	struct device *device = (struct device *)vmbus;

	device->vsp = device_open_vsp(device, open, NULL, 0);
	if (!device->vsp)
		return false;
	device->served = loop_add_event_fd(
		&device->worker->loop, &device->signalled, vmbus->event_fd, signalled);
	if (!device->served) {
		device_close_vsp(device, &device->vsp);
		return false;
	}
	eventfd_write(vmbus->event_fd, 1); // the first word may be ours
	if (device->row->class->tick_ms)
		loop_timer_start(&device->ticks, device->row->class->tick_ms);
	return true;
}

static void close_channel(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	// What came before the close counts.
	if (device->served && device->row->flags)
		device->row->flags(device, vsp_poll(device->vsp));
	stop_serving(device);
	if (device->row->closing)
		device->row->closing(device);
	vsp_stop(device->vsp);
	vmbus_device_report(vmbus, VMBUS_DEVICE_CLOSED);
}

static void channel_closed(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	device_close_vsp(device, &device->vsp);
}

const struct vmbus_device_ops device_loop_ops = {
	.open = open_channel,
	.close = close_channel,
	.closed = channel_closed,
	.gone = device_gone,
};
