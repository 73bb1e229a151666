// SPDX-License-Identifier: BSD-2-Clause
// See shutdown_device.h.
#include "parent/worker/shutdown_device.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "drivers/proto/shutdown.h"

static void stop_serving(struct shutdown_device *shutdown)
{
	if (shutdown->served)
		loop_remove(shutdown->loop, &shutdown->signalled);
	shutdown->served = false;
}

static void pass_answer_on(struct shutdown_device *shutdown)
{
	uint32_t status = shutdown_vsp_status(&shutdown->vsp);
	char sentence[80];

	snprintf(sentence, sizeof(sentence), "The child refuses to power off (status 0x%08x).",
		status);
	shutdown->answered(shutdown->context, status == IC_STATUS_OK ? NULL : sentence);
}

// A request that is under way when the channel goes is not answered any more.
static void lose_request(struct shutdown_device *shutdown)
{
	if (shutdown->vsp.state == SHUTDOWN_VSP_ASK || shutdown->vsp.state == SHUTDOWN_VSP_WAITING)
		shutdown->answered(shutdown->context,
			"The child has closed its shutdown channel instead of answering.");
}

static void serve(struct shutdown_device *shutdown)
{
	uint32_t flags = shutdown_vsp_poll(&shutdown->vsp);

	if (flags & SHUTDOWN_VSP_SIGNAL)
		vmbus_device_signal(&shutdown->vmbus);
	if (flags & SHUTDOWN_VSP_AGAIN)
		eventfd_write(shutdown->vmbus.event_fd, 1);
	if (flags & SHUTDOWN_VSP_ANSWERED)
		pass_answer_on(shutdown);
	if (flags & SHUTDOWN_VSP_FAILED) {
		log_line("%s: the channel has failed: %s", shutdown->vmbus.name,
			shutdown_vsp_failure(&shutdown->vsp));
		stop_serving(shutdown);
		vmbus_device_report(&shutdown->vmbus, VMBUS_DEVICE_FAILED);
	}
}

static bool signalled_ready(struct loop_source *source, uint32_t events)
{
	struct shutdown_device *shutdown =
		(struct shutdown_device *)((char *)source -
					   offsetof(struct shutdown_device, signalled));
	bool taken = loop_event_take(source);

	(void)events;
	serve(shutdown);
	return taken;
}

static bool shutdown_open(struct vmbus_device *device, const struct vmbus_device_open *open)
{
	struct shutdown_device *shutdown = (struct shutdown_device *)device;

	shutdown_vsp_open(&shutdown->vsp, open->in_pages, open->in_page_count, open->out_pages,
		open->out_page_count);
	shutdown->served = loop_add(
		shutdown->loop, &shutdown->signalled, device->event_fd, EPOLLIN, signalled_ready);
	if (shutdown->served)
		eventfd_write(device->event_fd, 1); // the first word is ours
	return shutdown->served;
}

static void shutdown_close(struct vmbus_device *device)
{
	struct shutdown_device *shutdown = (struct shutdown_device *)device;

	// What came before the close counts.
	if (shutdown->served && shutdown_vsp_poll(&shutdown->vsp) & SHUTDOWN_VSP_ANSWERED)
		pass_answer_on(shutdown);
	stop_serving(shutdown);
	lose_request(shutdown);
	vmbus_device_report(device, VMBUS_DEVICE_CLOSED);
}

static void shutdown_closed(struct vmbus_device *device)
{
	struct shutdown_device *shutdown = (struct shutdown_device *)device;

	memset(&shutdown->vsp, 0, sizeof(shutdown->vsp));
}

static const struct vmbus_device_ops shutdown_ops = {
	.open = shutdown_open,
	.close = shutdown_close,
	.closed = shutdown_closed,
};

bool shutdown_device_offer(struct shutdown_device *shutdown, struct vmbus_host *host,
	struct loop *loop, void (*answered)(void *context, const char *error), void *context)
{
	static const struct vmbus_guid instance = { 0x6c756d65, 0x6e00, 0x4002,
		{ 0x80, 0x00, 0x73, 0x68, 0x75, 0x74, 0x00, 0x00 } };
	static const uint32_t mode = VMBUS_PIPE_MODE_MESSAGE;

	memset(shutdown, 0, sizeof(*shutdown));
	shutdown->loop = loop;
	shutdown->answered = answered;
	shutdown->context = context;
	shutdown->vmbus.ops = &shutdown_ops;
	shutdown->vmbus.name = "shutdown";
	shutdown->vmbus.offer = (struct vmbus_offer){
		.interface_type = SHUTDOWN_GUID,
		.interface_instance = instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_NAMED_PIPE_MODE,
	};
	memcpy(shutdown->vmbus.offer.user_defined, &mode, sizeof(mode));
	return vmbus_host_offer(host, &shutdown->vmbus);
}

const char *shutdown_device_request(struct shutdown_device *shutdown)
{
	if (!shutdown->served || shutdown->vsp.state < SHUTDOWN_VSP_READY)
		return "The child has no driver for its shutdown channel: it must power off by "
		       "itself, or be killed.";
	if (!shutdown_vsp_request(&shutdown->vsp))
		return "The child has been asked before and has not answered yet.";
	serve(shutdown);
	return NULL;
}
