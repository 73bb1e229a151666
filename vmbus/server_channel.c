// SPDX-License-Identifier: BSD-2-Clause
// Channels: offer, open, close, modify, rescind and release.
#include "vmbus/server.h"

#include <stddef.h>
#include <string.h>

#include "vmbus/server_internal.h"

// Each ring has a control page and data.
#define RING_PAGES_MIN 2u

static struct vmbus_server_channel *slot(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel;

	if (!relid || relid > server->config.channel_count)
		return NULL;
	channel = &server->config.channels[relid - 1];
	return channel->state == VMBUS_CHANNEL_FREE ? NULL : channel;
}

struct vmbus_server_channel *vmbus_guest_channel(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (!channel || channel->view == VMBUS_VIEW_UNTOLD || channel->view == VMBUS_VIEW_RELEASED)
		return NULL;
	return channel;
}

// The guest's channel for a relid; without one, a violation.
static struct vmbus_server_channel *guest_channel_or_violate(
	struct vmbus_server *server, uint32_t relid, const struct vmbus_incoming *in)
{
	struct vmbus_server_channel *channel = vmbus_guest_channel(server, relid);

	if (!channel)
		vmbus_violate(
			server, VMBUS_VIOLATION_UNKNOWN_CHANNEL, in->message.header.type, relid);
	return channel;
}

void vmbus_send_offer(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	const struct vmbus_offer *offer = &channel->offer;
	union vmbus_message
		message = { .offer_channel = {
				    .header.type = VMBUS_MESSAGE_OFFER_CHANNEL,
				    .interface_type = offer->interface_type,
				    .interface_instance = offer->interface_instance,
				    .flags = offer->flags,
				    .mmio_megabytes = offer->mmio_megabytes,
				    .mmio_megabytes_optional = offer->mmio_megabytes_optional,
				    .sub_channel_index = offer->sub_channel_index,
				    .relid = channel->relid,
				    // No monitor: it lets a guest signal late and in bulk by a bit
				    // in a page that the hypervisor polls, to save the hypercall.
				    // Ours is cheap, polling is not, and storage and network mask
				    // their interrupts while they are busy anyway.
				    .monitor_id = 0xFF,
				    .monitor_allocated = 0,
				    .is_dedicated_interrupt = 1,
				    .connection_id = VMBUS_CHANNEL_CONNECTION(channel->relid),
			    } };

	memcpy(message.offer_channel.user_defined, offer->user_defined,
		sizeof(offer->user_defined));
	channel->view = VMBUS_VIEW_OFFERED;
	vmbus_push_post(server, &message);
}

uint32_t vmbus_server_offer(struct vmbus_server *server, const struct vmbus_offer *offer)
{
	struct vmbus_server_channel *channel;
	uint32_t i;

	for (i = 0; i < server->config.channel_count; i++) {
		channel = &server->config.channels[i];
		if (channel->state != VMBUS_CHANNEL_FREE)
			continue;
		channel->state = VMBUS_CHANNEL_CLOSED;
		channel->relid = i + 1;
		channel->offer = *offer;
		if (server->state == VMBUS_SERVER_OFFERING)
			vmbus_send_offer(server, channel);
		return channel->relid;
	}
	return 0;
}

void vmbus_channel_settle(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (!channel || !channel->withdrawn || channel->state != VMBUS_CHANNEL_CLOSED)
		return;
	if (vmbus_guest_channel(server, relid) || vmbus_gpadl_any(server, relid))
		return;
	memset(channel, 0, sizeof(*channel));
	vmbus_push_action(server, VMBUS_ACTION_FREED, relid);
}

// Begins to close on the embedder's side, whatever it is doing.
static void close_channel(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	channel->reopen = false;
	if (channel->state == VMBUS_CHANNEL_OPENING) {
		channel->state = VMBUS_CHANNEL_ABANDONED;
	} else if (channel->state == VMBUS_CHANNEL_OPEN) {
		channel->state = VMBUS_CHANNEL_CLOSING;
		vmbus_push_action(server, VMBUS_ACTION_CLOSE, channel->relid);
	}
}

void vmbus_channel_disconnect(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	if (channel->state == VMBUS_CHANNEL_FREE)
		return;
	channel->view = VMBUS_VIEW_UNTOLD;
	channel->withdrawn |= (channel->offer.flags & VMBUS_OFFER_TLNPI_PROVIDER) != 0;
	close_channel(server, channel);
	vmbus_channel_settle(server, channel->relid);
}

// Tells the guest, if it has the offer, that it has it no more.
static void revoke(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	union vmbus_message message = { .rescind_channel_offer = {
						.header.type = VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER,
						.relid = channel->relid,
					} };

	if (channel->view == VMBUS_VIEW_OFFERED) {
		channel->view = VMBUS_VIEW_RESCINDED;
		vmbus_push_post(server, &message);
	}
	close_channel(server, channel);
}

bool vmbus_server_rescind(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (!channel || channel->withdrawn)
		return false;
	channel->withdrawn = true;
	revoke(server, channel);
	vmbus_channel_settle(server, relid);
	return true;
}

bool vmbus_server_fail(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (!channel || channel->view != VMBUS_VIEW_OFFERED)
		return false;
	revoke(server, channel);
	return true;
}

static void send_open_result(
	struct vmbus_server *server, const struct vmbus_open_channel *request, uint32_t status)
{
	union vmbus_message message = { .open_channel_result = {
						.header.type = VMBUS_MESSAGE_OPEN_CHANNEL_RESULT,
						.relid = request->relid,
						.open_id = request->open_id,
						.status = status,
					} };

	vmbus_push_post(server, &message);
}

// Says what is wrong with an open request; -1 for nothing.
static int open_violation(struct vmbus_server *server, const struct vmbus_open_channel *request)
{
	struct vmbus_gpadl *ring = vmbus_gpadl_find(server, request->ring_gpadl);
	uint32_t down = request->downstream_page_offset;
	uint32_t pages;

	if (!ring)
		return VMBUS_VIOLATION_UNKNOWN_GPADL;
	if (ring->relid != request->relid)
		return VMBUS_VIOLATION_GPADL_WRONG_CHANNEL;
	if (ring->state != VMBUS_GPADL_CREATED)
		return VMBUS_VIOLATION_GPADL_WRONG_STATE;
	pages = vmbus_gpadl_whole_pages(ring);
	if (down < RING_PAGES_MIN || down > pages || pages - down < RING_PAGES_MIN)
		return VMBUS_VIOLATION_BAD_RING;
	if (request->target_vp >= server->config.vp_count &&
		request->target_vp != VMBUS_VP_NO_INTERRUPT)
		return VMBUS_VIOLATION_BAD_TARGET_VP;
	return -1;
}

// Carries out channel->request on a closed channel: the embedder is told, or the guest is refused.
static void open_channel(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	const struct vmbus_open_channel *request = &channel->request;
	int violation = open_violation(server, request);
	struct vmbus_action *action;

	if (violation >= 0) {
		vmbus_violate(server, (enum vmbus_violation)violation, request->header.type,
			channel->relid);
		send_open_result(server, request, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	channel->state = VMBUS_CHANNEL_OPENING;
	channel->target_vp = request->target_vp;
	channel->ring = vmbus_gpadl_find(server, request->ring_gpadl);
	channel->ring->users++;
	action = vmbus_push_action(server, VMBUS_ACTION_OPEN, channel->relid);
	action->open.ring = channel->ring;
	action->open.ring_pages = vmbus_gpadl_whole_pages(channel->ring);
	action->open.downstream_page = request->downstream_page_offset;
	action->open.target_vp = request->target_vp;
	action->open.event_flag = channel->relid;
	action->open.connection_id = VMBUS_CHANNEL_CONNECTION(channel->relid);
	memcpy(action->open.user_data, request->user_data, sizeof(action->open.user_data));
}

void vmbus_handle_open_channel(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_open_channel *request = &in->message.open_channel;
	struct vmbus_server_channel *channel = guest_channel_or_violate(server, request->relid, in);

	if (!channel)
		return;
	// The rescind is on its way to the guest: no violation, but it waits for a result.
	if (channel->view == VMBUS_VIEW_RESCINDED) {
		send_open_result(server, request, VMBUS_STATUS_UNSUCCESSFUL);
	} else if (channel->state == VMBUS_CHANNEL_CLOSED) {
		channel->request = *request;
		open_channel(server, channel);
	} else if (channel->state == VMBUS_CHANNEL_CLOSING && !channel->reopen) {
		// CLOSE_CHANNEL has no answer, so the guest cannot know that it is not done yet.
		channel->request = *request;
		channel->reopen = true;
	} else {
		vmbus_violate(server, VMBUS_VIOLATION_CHANNEL_ALREADY_OPEN, request->header.type,
			request->relid);
	}
}

// The embedder does not use the channel any more: the rings go back, and what waited for that goes
// on.
static void closed(struct vmbus_server *server, struct vmbus_server_channel *channel)
{
	struct vmbus_gpadl *ring = channel->ring;
	uint32_t relid = channel->relid;

	channel->state = VMBUS_CHANNEL_CLOSED;
	channel->ring = NULL;
	vmbus_server_gpadl_release(server, ring); // may free the channel
	channel = slot(server, relid);
	if (channel && channel->reopen) {
		channel->reopen = false;
		open_channel(server, channel);
	}
	vmbus_channel_settle(server, relid);
	vmbus_check_disconnected(server);
}

void vmbus_server_open_complete(struct vmbus_server *server, uint32_t relid, bool success)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (!channel)
		return;
	if (channel->state == VMBUS_CHANNEL_OPENING) {
		send_open_result(server, &channel->request,
			success ? VMBUS_STATUS_SUCCESS : VMBUS_STATUS_UNSUCCESSFUL);
		if (success)
			channel->state = VMBUS_CHANNEL_OPEN;
		else
			closed(server, channel);
	} else if (channel->state == VMBUS_CHANNEL_ABANDONED) {
		channel->state = VMBUS_CHANNEL_OPEN;
		if (success)
			close_channel(server, channel);
		else
			closed(server, channel);
	}
}

void vmbus_server_close_complete(struct vmbus_server *server, uint32_t relid)
{
	struct vmbus_server_channel *channel = slot(server, relid);

	if (channel && channel->state == VMBUS_CHANNEL_CLOSING)
		closed(server, channel);
}

void vmbus_handle_close_channel(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	uint32_t relid = in->message.close_channel.relid;
	struct vmbus_server_channel *channel = guest_channel_or_violate(server, relid, in);

	if (!channel)
		return;
	if (channel->reopen)
		channel->reopen = false;
	else if (channel->state == VMBUS_CHANNEL_OPEN)
		close_channel(server, channel);
	else if (channel->view != VMBUS_VIEW_RESCINDED) // the rescind has closed it before
		vmbus_violate(
			server, VMBUS_VIOLATION_CHANNEL_NOT_OPEN, in->message.header.type, relid);
}

void vmbus_handle_relid_released(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	uint32_t relid = in->message.relid_released.relid;
	struct vmbus_server_channel *channel = guest_channel_or_violate(server, relid, in);

	if (!channel)
		return;
	if (channel->state == VMBUS_CHANNEL_OPENING || channel->state == VMBUS_CHANNEL_OPEN ||
		channel->reopen) {
		vmbus_violate(
			server, VMBUS_VIOLATION_CHANNEL_IN_USE, in->message.header.type, relid);
		return;
	}
	channel->view = VMBUS_VIEW_RELEASED;
	vmbus_gpadl_drop(server, relid); // may free the channel
	vmbus_channel_settle(server, relid);
}

// Says what is wrong with a request to move the channel's interrupts; -1 for nothing.
static int modify_violation(struct vmbus_server *server, const struct vmbus_modify_channel *request)
{
	const struct vmbus_server_channel *channel = vmbus_guest_channel(server, request->relid);

	if (!channel)
		return VMBUS_VIOLATION_UNKNOWN_CHANNEL;
	if (channel->state != VMBUS_CHANNEL_OPEN)
		return VMBUS_VIOLATION_CHANNEL_NOT_OPEN;
	// A channel that was opened without interrupts stays so, and none can be turned off.
	if (channel->target_vp == VMBUS_VP_NO_INTERRUPT ||
		request->target_vp >= server->config.vp_count)
		return VMBUS_VIOLATION_BAD_TARGET_VP;
	return -1;
}

// The guest may not have heard of the rescind yet.
static bool rescinded(struct vmbus_server *server, uint32_t relid)
{
	const struct vmbus_server_channel *channel = slot(server, relid);

	return channel && channel->view == VMBUS_VIEW_RESCINDED;
}

// The answer (from 5.3 on) promises that the old processor gets no more interrupts of this channel.
// It is true because the embedder carries out actions before it posts.
void vmbus_handle_modify_channel(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_modify_channel *request = &in->message.modify_channel;
	int violation = modify_violation(server, request);
	union vmbus_message response = { .modify_channel_response = {
						 .header.type =
							 VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE,
						 .relid = request->relid,
						 .status = violation < 0
								   ? VMBUS_STATUS_SUCCESS
								   : VMBUS_STATUS_UNSUCCESSFUL,
					 } };

	if (violation < 0) {
		slot(server, request->relid)->target_vp = request->target_vp;
		vmbus_push_action(server, VMBUS_ACTION_MODIFY, request->relid)->target_vp =
			request->target_vp;
	} else if (!rescinded(server, request->relid)) {
		vmbus_violate(server, (enum vmbus_violation)violation, request->header.type,
			request->relid);
	}
	if (server->version >= VMBUS_VERSION_5_3)
		vmbus_push_post(server, &response);
}
