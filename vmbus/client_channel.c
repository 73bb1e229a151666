// SPDX-License-Identifier: BSD-2-Clause
// The client's channels: offer, open, close, modify, rescind and release.
#include <string.h>

#include "vmbus/client_internal.h"

struct vmbus_client_channel *vmbus_client_find_channel(struct vmbus_client *client, uint32_t relid)
{
	uint32_t i;

	for (i = 0; i < client->config.channel_count; i++) {
		struct vmbus_client_channel *channel = &client->config.channels[i];

		if (channel->state != VMBUS_CLIENT_CHANNEL_FREE && channel->offer.relid == relid)
			return channel;
	}
	return NULL;
}

static struct vmbus_client_channel *free_slot(struct vmbus_client *client)
{
	uint32_t i;

	for (i = 0; i < client->config.channel_count; i++) {
		if (client->config.channels[i].state == VMBUS_CLIENT_CHANNEL_FREE)
			return &client->config.channels[i];
	}
	return NULL;
}

static struct vmbus_client_event channel_event(
	enum vmbus_client_event_type type, struct vmbus_client_channel *channel)
{
	return (struct vmbus_client_event){
		.type = type,
		.channel = channel,
		.status = channel->status,
	};
}

// Says what is wrong with an offer; -1 for nothing. Since version 2.4 each channel has a connection
// id and an event flag of its own; without, both ends would need the interrupt page of older ones.
static int offer_violation(struct vmbus_client *client, const struct vmbus_offer_channel *offer)
{
	if (client->state < VMBUS_CLIENT_REQUESTING)
		return VMBUS_CLIENT_VIOLATION_UNEXPECTED_OFFER;
	if (!offer->relid || offer->relid > VMBUS_RELID_MAX || !offer->is_dedicated_interrupt)
		return VMBUS_CLIENT_VIOLATION_BAD_OFFER;
	if (vmbus_client_find_channel(client, offer->relid))
		return VMBUS_CLIENT_VIOLATION_DUPLICATE_OFFER;
	if (!free_slot(client))
		return VMBUS_CLIENT_VIOLATION_TOO_MANY_OFFERS;
	return -1;
}

struct vmbus_client_event vmbus_client_handle_offer(
	struct vmbus_client *client, const union vmbus_message *message)
{
	int violation = offer_violation(client, &message->offer_channel);
	struct vmbus_client_channel *channel = free_slot(client);

	if (violation >= 0)
		return vmbus_client_violate(
			client, (enum vmbus_client_violation)violation, message);
	memset(channel, 0, sizeof(*channel));
	channel->state = VMBUS_CLIENT_CHANNEL_CLOSED;
	channel->order = ++client->last_order;
	channel->offer = message->offer_channel;
	return channel_event(VMBUS_CLIENT_EVENT_OFFER, channel);
}

struct vmbus_client_event vmbus_client_handle_rescind(
	struct vmbus_client *client, const union vmbus_message *message)
{
	struct vmbus_client_channel *channel =
		vmbus_client_find_channel(client, message->rescind_channel_offer.relid);

	if (!channel)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNKNOWN_CHANNEL, message);
	if (channel->rescinded)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_RESCINDED_TWICE, message);
	channel->rescinded = true;
	channel->moving = false;
	if (channel->state != VMBUS_CLIENT_CHANNEL_OPEN)
		channel->state = VMBUS_CLIENT_CHANNEL_CLOSED;
	return channel_event(VMBUS_CLIENT_EVENT_RESCINDED, channel);
}

struct vmbus_client_event vmbus_client_handle_opened(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_open_channel_result *result = &message->open_channel_result;
	struct vmbus_client_channel *channel = vmbus_client_find_channel(client, result->relid);
	bool success = result->status == VMBUS_STATUS_SUCCESS;

	if (!channel)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNKNOWN_CHANNEL, message);
	// The open and the rescind have met on their ways: a refusal of what does not matter now.
	if (channel->rescinded && channel->state == VMBUS_CLIENT_CHANNEL_CLOSED)
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
	if ((channel->state != VMBUS_CLIENT_CHANNEL_OPENING &&
		    channel->state != VMBUS_CLIENT_CHANNEL_ABANDONED) ||
		result->open_id != channel->open_id)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_OPENED, message);

	channel->status = result->status;
	if (channel->state == VMBUS_CLIENT_CHANNEL_ABANDONED) {
		channel->state =
			success ? VMBUS_CLIENT_CHANNEL_UNWANTED : VMBUS_CLIENT_CHANNEL_CLOSED;
		client->due |= success;
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
	}
	channel->state = success ? VMBUS_CLIENT_CHANNEL_OPEN : VMBUS_CLIENT_CHANNEL_CLOSED;
	return channel_event(VMBUS_CLIENT_EVENT_OPENED, channel);
}

struct vmbus_client_event vmbus_client_handle_modified(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_modify_channel_response *response = &message->modify_channel_response;
	struct vmbus_client_channel *channel = vmbus_client_find_channel(client, response->relid);

	if (!channel)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNKNOWN_CHANNEL, message);
	if (channel->rescinded)
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
	if (!channel->moving)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_MODIFIED, message);
	channel->moving = false;
	channel->status = response->status;
	return channel_event(VMBUS_CLIENT_EVENT_MODIFIED, channel);
}

enum vmbus_client_status vmbus_client_open(struct vmbus_client *client,
	struct vmbus_client_channel *channel, const struct vmbus_client_open *open)
{
	const struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(client, open->gpadl);
	struct vmbus_open_channel *message;

	if (!vmbus_client_connected(client))
		return VMBUS_CLIENT_BAD_STATE;
	if (channel->rescinded)
		return VMBUS_CLIENT_RESCINDED;
	if (channel->state != VMBUS_CLIENT_CHANNEL_CLOSED)
		return VMBUS_CLIENT_BAD_STATE;
	if (!gpadl || gpadl->state != VMBUS_CLIENT_GPADL_CREATED ||
		gpadl->relid != channel->offer.relid)
		return VMBUS_CLIENT_BAD_ARGUMENT;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;

	message = &vmbus_client_push(client, VMBUS_MESSAGE_OPEN_CHANNEL)->open_channel;
	message->relid = channel->offer.relid;
	message->open_id = ++client->last_open_id;
	message->ring_gpadl = open->gpadl;
	message->target_vp = open->target_vp;
	message->downstream_page_offset = open->downstream_page;
	if (open->user_data)
		memcpy(message->user_data, open->user_data, sizeof(message->user_data));
	channel->open_id = message->open_id;
	channel->state = VMBUS_CLIENT_CHANNEL_OPENING;
	return VMBUS_CLIENT_OK;
}

static void push_close(struct vmbus_client *client, struct vmbus_client_channel *channel)
{
	vmbus_client_push(client, VMBUS_MESSAGE_CLOSE_CHANNEL)->close_channel.relid =
		channel->offer.relid;
	channel->state = VMBUS_CLIENT_CHANNEL_CLOSED;
}

// The host of a rescinded channel has closed it, but is told all the same, as by Linux.
enum vmbus_client_status vmbus_client_close(
	struct vmbus_client *client, struct vmbus_client_channel *channel)
{
	if (!vmbus_client_connected(client) || channel->state == VMBUS_CLIENT_CHANNEL_FREE)
		return VMBUS_CLIENT_BAD_STATE;
	if (channel->state == VMBUS_CLIENT_CHANNEL_OPENING) {
		channel->state = VMBUS_CLIENT_CHANNEL_ABANDONED;
	} else if (channel->state == VMBUS_CLIENT_CHANNEL_OPEN) {
		if (!vmbus_client_room(client))
			return VMBUS_CLIENT_BUSY;
		push_close(client, channel);
	}
	return VMBUS_CLIENT_OK;
}

bool vmbus_client_close_unwanted(struct vmbus_client *client)
{
	uint32_t i;

	for (i = 0; i < client->config.channel_count; i++) {
		if (client->config.channels[i].state == VMBUS_CLIENT_CHANNEL_UNWANTED) {
			push_close(client, &client->config.channels[i]);
			return true;
		}
	}
	return false;
}

enum vmbus_client_status vmbus_client_modify(
	struct vmbus_client *client, struct vmbus_client_channel *channel, uint32_t target_vp)
{
	struct vmbus_modify_channel *message;

	if (!vmbus_client_connected(client))
		return VMBUS_CLIENT_BAD_STATE;
	if (client->version < VMBUS_VERSION_4_1)
		return VMBUS_CLIENT_TOO_OLD;
	if (channel->rescinded)
		return VMBUS_CLIENT_RESCINDED;
	if (channel->state != VMBUS_CLIENT_CHANNEL_OPEN || channel->moving)
		return VMBUS_CLIENT_BAD_STATE;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;
	message = &vmbus_client_push(client, VMBUS_MESSAGE_MODIFY_CHANNEL)->modify_channel;
	message->relid = channel->offer.relid;
	message->target_vp = target_vp;
	channel->moving = client->version >= VMBUS_VERSION_5_3;
	return VMBUS_CLIENT_OK;
}

enum vmbus_client_status vmbus_client_release(
	struct vmbus_client *client, struct vmbus_client_channel *channel)
{
	if (!vmbus_client_connected(client) || !channel->rescinded ||
		channel->state != VMBUS_CLIENT_CHANNEL_CLOSED)
		return VMBUS_CLIENT_BAD_STATE;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;
	vmbus_client_push(client, VMBUS_MESSAGE_RELID_RELEASED)->relid_released.relid =
		channel->offer.relid;
	vmbus_client_gpadl_drop(client, channel->offer.relid);
	memset(channel, 0, sizeof(*channel));
	return VMBUS_CLIENT_OK;
}
