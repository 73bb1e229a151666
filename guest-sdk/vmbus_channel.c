// SPDX-License-Identifier: BSD-2-Clause
// VMBus's channels: opened with their rings, closed, and moved to another VP.
#include <string.h>

#include "guest-sdk/vmbus_internal.h"

// As vmbus_ring_reader_mask(), but without a look at the reader: a thread may be reading on another
// VP.
static void mask_signals(struct lumen_channel *channel)
{
	__atomic_store_n(&channel->reader.pages.control->interrupt_mask, 1, __ATOMIC_RELAXED);
}

// [CALL] A handler's call counts itself and then looks whether the channel is live; close says that
// it is not and then looks at the count. Each side stores one word and then loads another, which
// sequential consistency keeps in order: either the call sees that the channel is not live, or
// close sees the call and waits for its end.
void vmbus_channel_call(struct lumen_channel *channel)
{
	__atomic_add_fetch(&channel->calls, 1, __ATOMIC_SEQ_CST); // [CALL]
	if (__atomic_load_n(&channel->live, __ATOMIC_SEQ_CST)) {
		mask_signals(channel);
		if (channel->handler)
			channel->handler(channel->context, channel);
	}
	__atomic_sub_fetch(&channel->calls, 1, __ATOMIC_RELEASE);
}

static void stop_calls(struct lumen_channel *channel)
{
	__atomic_store_n(&channel->live, 0, __ATOMIC_SEQ_CST); // [CALL]
	while (__atomic_load_n(&channel->calls, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
}

static uint32_t list_pages(uint32_t ring_pages)
{
	return (uint32_t)((ring_pages * sizeof(void *) + LUMEN_PAGE_SIZE - 1) / LUMEN_PAGE_SIZE);
}

// Both rings in one piece (to the host, then to the guest), and the list of pages that the ring
// code wants.
static lumen_status make_rings(
	struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	uint32_t i, send = config->send_pages + 1;
	void **list;

	channel->pages = send + config->receive_pages + 1;
	channel->memory = lumen_alloc_pages(channel->pages + list_pages(channel->pages));
	if (!channel->memory)
		return LUMEN_NO_MEMORY;
	list = (void **)((uint8_t *)channel->memory + channel->pages * LUMEN_PAGE_SIZE);
	for (i = 0; i < channel->pages; i++)
		list[i] = (uint8_t *)channel->memory + i * LUMEN_PAGE_SIZE;
	vmbus_ring_writer_init(&channel->writer, list, send);
	vmbus_ring_reader_init(&channel->reader, list + send, channel->pages - send);
	return LUMEN_OK;
}

static void free_rings(struct lumen_channel *channel)
{
	lumen_free_pages(channel->memory, channel->pages + list_pages(channel->pages));
	channel->memory = NULL;
}

// Takes the rings back from the host. If it keeps them, they are its for ever.
static void take_rings_back(struct lumen_channel *channel)
{
	if (!lumen_gpadl_destroy(channel, channel->gpadl))
		free_rings(channel);
	else
		lumen_log(LUMEN_LOG_ERROR, "vmbus: the host keeps a channel's rings");
}

static enum vmbus_client_status ask_open(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_open(&bus->client, request->channel->protocol, request->open);
}

static enum vmbus_client_status ask_close(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_close(&bus->client, request->channel->protocol);
}

static bool open_answered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return request->channel->protocol->state != VMBUS_CLIENT_CHANNEL_OPENING;
}

static bool is_open(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return request->channel->protocol->state == VMBUS_CLIENT_CHANNEL_OPEN;
}

static bool is_closed(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return request->channel->protocol->state == VMBUS_CLIENT_CHANNEL_CLOSED;
}

// Asks the host and waits. Whatever comes of it, the channel is then open or told to be closed.
static lumen_status open_and_wait(
	struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	const struct vmbus_client_open open = {
		.gpadl = channel->gpadl,
		.downstream_page = config->send_pages + 1,
		.target_vp = config->target_vp,
		.user_data = config->user_data,
	};
	const struct vmbus_request request = { .channel = channel, .open = &open };
	uint64_t deadline = vmbus_deadline(channel->bus);
	lumen_status status;

	status = vmbus_ask_and_wait(channel->bus, deadline, ask_open, open_answered, &request);
	if (!status && vmbus_look(channel->bus, is_open, &request))
		return LUMEN_OK;
	vmbus_ask(channel->bus, deadline, ask_close, &request);
	if (vmbus_rescinded(channel))
		return LUMEN_RESCINDED;
	return status ? status : LUMEN_REFUSED;
}

static bool config_valid(
	const struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	uint64_t pages = (uint64_t)config->send_pages + config->receive_pages + 2;

	return config->send_pages && config->receive_pages && pages <= LUMEN_GPADL_PAGES_MAX &&
	       vmbus_uses_vp(channel->bus, config->target_vp);
}

lumen_status lumen_channel_open(
	struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	const struct vmbus_request request = { .channel = channel };
	lumen_status status;

	if (!config_valid(channel, config))
		return LUMEN_BAD_ARGUMENT;
	if (vmbus_rescinded(channel))
		return LUMEN_RESCINDED;
	if (channel->live || !vmbus_look(channel->bus, is_closed, &request))
		return LUMEN_BAD_STATE;
	status = make_rings(channel, config);
	if (status)
		return status;
	status = lumen_gpadl_create(channel, channel->memory, channel->pages, &channel->gpadl);
	if (status) {
		if (!channel->gpadl)
			free_rings(channel);
		return status;
	}
	channel->handler = config->handler;
	channel->context = config->context;
	channel->target_vp = config->target_vp;
	// Before the host can signal: it may do so before its answer has come.
	__atomic_store_n(&channel->live, 1, __ATOMIC_SEQ_CST);
	status = open_and_wait(channel, config);
	if (status) {
		stop_calls(channel);
		take_rings_back(channel);
	}
	return status;
}

void lumen_channel_close(struct lumen_channel *channel)
{
	const struct vmbus_request request = { .channel = channel };

	if (!channel->live)
		return;
	stop_calls(channel);
	vmbus_ask(channel->bus, vmbus_deadline(channel->bus), ask_close, &request);
	take_rings_back(channel);
}

static enum vmbus_client_status ask_modify(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	if (!vmbus_uses_vp(bus, request->number))
		return VMBUS_CLIENT_BAD_ARGUMENT;
	return vmbus_client_modify(&bus->client, request->channel->protocol, request->number);
}

static bool modify_answered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return !request->channel->protocol->moving;
}

// Older hosts do not answer.
static bool modify_refused(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->client.version >= VMBUS_VERSION_5_3 && request->channel->protocol->status;
}

lumen_status lumen_channel_set_vp(struct lumen_channel *channel, uint32_t target_vp)
{
	const struct vmbus_request request = { .channel = channel, .number = target_vp };
	struct lumen_vmbus *bus = channel->bus;
	lumen_status status;

	status =
		vmbus_ask_and_wait(bus, vmbus_deadline(bus), ask_modify, modify_answered, &request);
	if (status)
		return status;
	if (vmbus_rescinded(channel))
		return LUMEN_RESCINDED;
	if (vmbus_look(bus, modify_refused, &request))
		return LUMEN_REFUSED;
	channel->target_vp = target_vp;
	return LUMEN_OK;
}
