// SPDX-License-Identifier: BSD-2-Clause
// The rig's host: the VMBus server, its devices, and the way of messages and events to the guest.
#include "guest_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "guest_rig_host.h"
#include "tests/unit/start_clock.h"

struct guest_rig *guest_rig_current;

void guest_rig_fail(const char *why)
{
	fprintf(stderr, "guest rig: %s\n", why);
	abort();
}

// --- devices ---

static struct guest_rig_device *device_of(struct guest_rig *rig, uint32_t relid)
{
	uint32_t i;

	for (i = 0; i < GUEST_RIG_CHANNELS; i++) {
		if (relid && rig->devices[i].relid == relid)
			return &rig->devices[i];
	}
	return NULL;
}

struct guest_rig_device *guest_rig_offer(struct guest_rig *rig, const struct vmbus_offer *offer,
	const struct guest_rig_ops *ops, void *context)
{
	static const struct guest_rig_ops none;
	uint32_t relid = vmbus_server_offer(&rig->server, offer);
	struct guest_rig_device *device;

	if (!relid)
		return NULL;
	device = &rig->devices[relid - 1];
	*device = (struct guest_rig_device){
		.ops = ops ? ops : &none,
		.context = context,
		.rig = rig,
		.relid = relid,
	};
	return device;
}

void guest_rig_rescind(struct guest_rig *rig, struct guest_rig_device *device)
{
	vmbus_server_rescind(&rig->server, device->relid);
}

void guest_rig_closed(struct guest_rig_device *device)
{
	device->open = device->closing = false;
	free(device->pages);
	device->pages = NULL;
	vmbus_server_close_complete(&device->rig->server, device->relid);
}

void guest_rig_signal(struct guest_rig_device *device)
{
	uint32_t vp = device->target_vp;

	if (device->open && vp < GUEST_RIG_VPS)
		device->rig->host->events[vp][device->relid / 64] |= 1ull << device->relid % 64;
}

static bool start_device(struct guest_rig_device *device)
{
	device->open =
		!device->ops->open || device->ops->open(device->context, device, &device->rings);
	if (!device->open) {
		free(device->pages);
		device->pages = NULL;
	}
	return device->open;
}

static void action_open(struct guest_rig *rig, const struct vmbus_action *action)
{
	struct guest_rig_device *device = device_of(rig, action->relid);
	const struct vmbus_memory memory = guest_rig_memory(rig);
	uint32_t pages = action->open.ring_pages, down = action->open.downstream_page;

	device->pages = calloc(pages, sizeof(*device->pages));
	if (!vmbus_gpadl_map(action->open.ring, &memory, device->pages, pages))
		guest_rig_fail("rings that are not the guest's memory");
	device->target_vp = action->open.target_vp;
	memcpy(device->user_data, action->open.user_data, sizeof(device->user_data));
	device->rings = (struct guest_rig_open){
		.in_pages = device->pages,
		.in_page_count = down,
		.out_pages = device->pages + down,
		.out_page_count = pages - down,
		.user_data = device->user_data,
	};
	device->open_held = true;
}

void guest_rig_complete_opens(struct guest_rig *rig, bool success)
{
	uint32_t i;

	for (i = 0; i < GUEST_RIG_CHANNELS; i++) {
		struct guest_rig_device *device = &rig->devices[i];

		if (!device->open_held)
			continue;
		device->open_held = false;
		if (!success) {
			free(device->pages);
			device->pages = NULL;
		}
		vmbus_server_open_complete(
			&rig->server, device->relid, success && start_device(device));
	}
}

static void action_close(struct guest_rig *rig, const struct vmbus_action *action)
{
	struct guest_rig_device *device = device_of(rig, action->relid);

	device->closing = true;
	if (device->ops->close)
		device->ops->close(device->context, device);
	else
		guest_rig_closed(device);
}

static void take_action(struct guest_rig *rig, const struct vmbus_action *action)
{
	switch (action->type) {
	case VMBUS_ACTION_OPEN:
		action_open(rig, action);
		break;
	case VMBUS_ACTION_CLOSE:
		action_close(rig, action);
		break;
	case VMBUS_ACTION_MODIFY:
		device_of(rig, action->relid)->target_vp = action->target_vp;
		break;
	case VMBUS_ACTION_FREED:
		device_of(rig, action->relid)->relid = 0;
		break;
	case VMBUS_ACTION_SOCKET:
		if (rig->on_socket)
			rig->on_socket(rig, &action->socket);
		break;
	case VMBUS_ACTION_VIOLATION:
		rig->violations++;
		rig->last_violation = action->violation.reason;
		break;
	default:
		break;
	}
}

static bool run_device(struct guest_rig_device *device)
{
	bool any = false;

	if (device->open && device->signal_pending) {
		device->signal_pending = false;
		any = true;
		if (device->ops->signalled)
			device->ops->signalled(device->context, device);
	}
	if ((device->open || device->closing) && device->ops->run)
		any |= device->ops->run(device->context, device);
	return any;
}

// --- to the guest ---

static const struct lumen_sint *sint_of(struct guest_rig *rig, uint32_t vp)
{
	return vp < GUEST_RIG_VPS ? rig->synics[vp].sints[VMBUS_SINT] : NULL;
}

static void deliver(struct guest_rig *rig, uint32_t vp, const struct hv_message *message)
{
	const struct lumen_sint *sint = sint_of(rig, vp);
	uint32_t old_vp = rig->this_vp;

	if (!sint)
		return;
	rig->messages++;
	rig->this_vp = vp;
	rig->irq_depth++;
	sint->message(sint->context, message);
	rig->irq_depth--;
	rig->this_vp = old_vp;
}

void guest_rig_say(struct guest_rig *rig, const void *bytes, uint32_t length)
{
	struct hv_message message = { .header.message_type = VMBUS_SYNIC_MESSAGE_TYPE };

	message.header.payload_size = (uint8_t)length;
	memcpy(message.payload, bytes, length < 240 ? length : 240);
	deliver(rig, rig->server.message_vp, &message);
}

void guest_rig_event(struct guest_rig *rig, uint32_t vp, uint32_t flag)
{
	const struct lumen_sint *sint = sint_of(rig, vp);
	uint32_t old_vp = rig->this_vp;

	if (!sint)
		return;
	rig->events++;
	rig->this_vp = vp;
	rig->irq_depth++;
	sint->event(sint->context, flag);
	rig->irq_depth--;
	rig->this_vp = old_vp;
}

static bool post_one(struct guest_rig *rig)
{
	const struct vmbus_post *post = vmbus_server_next_post(&rig->server);
	struct hv_message message = { .header.message_type = VMBUS_SYNIC_MESSAGE_TYPE };
	union vmbus_message copy = { 0 };
	uint32_t vp;

	if (rig->mute || !post)
		return false;
	vp = post->vp;
	message.header.payload_size = post->length;
	memcpy(copy.bytes, post->bytes, post->length);
	vmbus_server_posted(&rig->server);
	if (rig->hook && !rig->hook(rig->hook_context, rig, &copy))
		return true;
	memcpy(message.payload, copy.bytes, sizeof(copy));
	deliver(rig, vp, &message);
	return true;
}

static bool give_events(struct guest_rig *rig)
{
	bool any = false;
	uint32_t vp, flag;

	for (vp = 0; vp < GUEST_RIG_VPS; vp++) {
		for (flag = 1; flag <= GUEST_RIG_CHANNELS; flag++) {
			if (!(rig->host->events[vp][flag / 64] >> flag % 64 & 1))
				continue;
			rig->host->events[vp][flag / 64] &= ~(1ull << flag % 64);
			guest_rig_event(rig, vp, flag);
			any = true;
		}
	}
	return any;
}

// --- the host's turn ---

static bool take_message(struct guest_rig *rig)
{
	struct guest_rig_private *host = rig->host;
	struct guest_rig_port_message *message = &host->port[0];

	if (rig->deaf || !host->port_queued || !vmbus_server_ready(&rig->server))
		return false;
	vmbus_server_message(&rig->server, message->connection_id, message->bytes, message->length);
	host->port_queued--;
	memmove(&host->port[0], &host->port[1], host->port_queued * sizeof(host->port[0]));
	return true;
}

// All actions, in order, before any post: as the server wants it.
static bool take_actions(struct guest_rig *rig)
{
	struct vmbus_action action;
	bool any = false;

	while (vmbus_server_next_action(&rig->server, &action)) {
		take_action(rig, &action);
		any = true;
		if (!rig->hold_opens)
			guest_rig_complete_opens(rig, true);
	}
	return any;
}

static bool turn(struct guest_rig *rig)
{
	bool any = take_message(rig);
	uint32_t i;

	any |= take_actions(rig);
	for (i = 0; i < GUEST_RIG_CHANNELS; i++)
		any |= run_device(&rig->devices[i]);
	any |= take_actions(rig);
	if (post_one(rig))
		return true;
	return give_events(rig) || any;
}

bool guest_rig_run(struct guest_rig *rig)
{
	bool any = false;

	if (rig->host->running)
		return false;
	rig->host->running = true;
	while (turn(rig))
		any = true;
	rig->host->running = false;
	return any;
}

// --- the whole ---

static uint64_t *get_words(void *context, uint32_t count)
{
	return calloc(count, sizeof(uint64_t));
}

static void put_words(void *context, uint64_t *words, uint32_t count)
{
	free(words);
}

struct guest_rig *guest_rig_create(uint32_t host_version)
{
	struct guest_rig *rig = calloc(1, sizeof(*rig));
	struct guest_rig_private *host = calloc(1, sizeof(*host));
	struct vmbus_server_config config = {
		.channels = host->channels,
		.channel_count = GUEST_RIG_CHANNELS,
		.gpadls = host->gpadls,
		.gpadl_count = GUEST_RIG_GPADLS,
		.actions = host->actions,
		.action_count = ARRAY_SIZE(host->actions),
		.posts = host->posts,
		.post_count = ARRAY_SIZE(host->posts),
		.storage = { NULL, get_words, put_words },
		.vp_count = GUEST_RIG_VPS,
		.max_version = host_version,
	};

	rig->host = host;
	config.memory = guest_rig_memory(rig);
	if (!vmbus_server_init(&rig->server, &config))
		guest_rig_fail("bad version");
	rig->start_ns = rig->now_ns = start_clock();
	rig->pages_left = UINT32_MAX;
	guest_rig_current = rig;
	return rig;
}

uint32_t guest_rig_destroy(struct guest_rig *rig)
{
	uint32_t left = rig->pages_out;

	rig->mute = rig->deaf = rig->hold_opens = false;
	rig->hook = NULL;
	rig->on_post = NULL;
	rig->on_wait = NULL;
	rig->host->port_queued = 0;
	memset(rig->synics, 0, sizeof(rig->synics));
	guest_rig_complete_opens(rig, false);
	vmbus_server_reset(&rig->server);
	guest_rig_run(rig);
	if (!vmbus_server_idle(&rig->server))
		guest_rig_fail("a device does not close");
	guest_rig_free_memory(rig);
	free(rig->host);
	free(rig);
	guest_rig_current = NULL;
	return left;
}

lumen_status guest_rig_connect(struct guest_rig *rig, uint8_t vector, struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = {
		.synic = &rig->synics[rig->this_vp],
		.vector = vector,
		.channels = GUEST_RIG_CHANNELS,
		.timeout_ns = 1000000000,
	};

	return lumen_vmbus_connect(&config, bus);
}
