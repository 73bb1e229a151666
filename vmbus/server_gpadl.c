// SPDX-License-Identifier: BSD-2-Clause
// Who has which GPADL, and when the guest gets it back.
#include "vmbus/server.h"

#include <stddef.h>

#include "vmbus/server_internal.h"

static const enum vmbus_violation violations[] = {
	[VMBUS_GPADL_BAD_LENGTH] = VMBUS_VIOLATION_GPADL_BAD_LENGTH,
	[VMBUS_GPADL_NO_STORAGE] = VMBUS_VIOLATION_GPADL_NO_STORAGE,
	[VMBUS_GPADL_EMPTY_BODY] = VMBUS_VIOLATION_GPADL_EMPTY_BODY,
	[VMBUS_GPADL_BAD_RANGE] = VMBUS_VIOLATION_GPADL_BAD_RANGE,
	[VMBUS_GPADL_NOT_RAM] = VMBUS_VIOLATION_GPADL_NOT_RAM,
};

struct vmbus_gpadl *vmbus_gpadl_find(struct vmbus_server *server, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < server->config.gpadl_count; i++) {
		struct vmbus_gpadl *gpadl = &server->config.gpadls[i];

		if (gpadl->state != VMBUS_GPADL_FREE && gpadl->id == id)
			return gpadl;
	}
	return NULL;
}

static struct vmbus_gpadl *free_slot(struct vmbus_server *server)
{
	uint32_t i;

	for (i = 0; i < server->config.gpadl_count; i++) {
		if (server->config.gpadls[i].state == VMBUS_GPADL_FREE)
			return &server->config.gpadls[i];
	}
	return NULL;
}

bool vmbus_gpadl_any(const struct vmbus_server *server, uint32_t relid)
{
	uint32_t i;

	for (i = 0; i < server->config.gpadl_count; i++) {
		const struct vmbus_gpadl *gpadl = &server->config.gpadls[i];

		if (gpadl->state != VMBUS_GPADL_FREE && (!relid || gpadl->relid == relid))
			return true;
	}
	return false;
}

static void send_created(
	struct vmbus_server *server, uint32_t relid, uint32_t gpadl_id, uint32_t status)
{
	union vmbus_message message = { .gpadl_created = {
						.header.type = VMBUS_MESSAGE_GPADL_CREATED,
						.relid = relid,
						.gpadl = gpadl_id,
						.status = status,
					} };

	vmbus_push_post(server, &message);
}

// The last step of a teardown, when nobody uses the GPADL any more.
static void finish_teardown(struct vmbus_server *server, struct vmbus_gpadl *gpadl)
{
	union vmbus_message message = { .gpadl_torndown = {
						.header.type = VMBUS_MESSAGE_GPADL_TORNDOWN,
						.gpadl = gpadl->id,
					} };
	uint32_t relid = gpadl->relid;

	if (!gpadl->silent)
		vmbus_push_post(server, &message);
	vmbus_gpadl_free(gpadl, &server->config.storage);
	vmbus_channel_settle(server, relid);
	vmbus_check_disconnected(server);
}

// The guest wants a created GPADL back: at once if nobody uses it, else when they have let go.
static void begin_teardown(struct vmbus_server *server, struct vmbus_gpadl *gpadl)
{
	gpadl->state = VMBUS_GPADL_TEARING_DOWN;
	if (!gpadl->users) {
		finish_teardown(server, gpadl);
		return;
	}
	vmbus_push_action(server, VMBUS_ACTION_GPADL_TEARDOWN, gpadl->relid)->gpadl_id = gpadl->id;
}

void vmbus_gpadl_drop(struct vmbus_server *server, uint32_t relid)
{
	uint32_t i;

	for (i = 0; i < server->config.gpadl_count; i++) {
		struct vmbus_gpadl *gpadl = &server->config.gpadls[i];

		if (relid && gpadl->relid != relid)
			continue;
		gpadl->silent = true;
		if (gpadl->state == VMBUS_GPADL_COLLECTING)
			finish_teardown(server, gpadl);
		else if (gpadl->state == VMBUS_GPADL_CREATED)
			begin_teardown(server, gpadl);
	}
}

// Adds a message's ranges. With the last, or at an error, the guest gets its answer.
static void append(struct vmbus_server *server, struct vmbus_gpadl *gpadl, uint32_t message_type,
	const uint8_t *bytes, uint32_t length)
{
	uint32_t relid = gpadl->relid, id = gpadl->id;
	enum vmbus_gpadl_error error;

	error = vmbus_gpadl_append(gpadl, &server->config.memory, bytes, length);
	if (error == VMBUS_GPADL_MORE)
		return;
	if (error == VMBUS_GPADL_OK) {
		send_created(server, relid, id, VMBUS_STATUS_SUCCESS);
		return;
	}
	vmbus_gpadl_free(gpadl, &server->config.storage);
	vmbus_violate(server, violations[error], message_type, relid);
	send_created(server, relid, id, VMBUS_STATUS_UNSUCCESSFUL);
}

// Says what is wrong with a header before a slot is taken for it; -1 for nothing.
static int header_violation(struct vmbus_server *server, const struct vmbus_gpadl_header *header)
{
	if (!vmbus_guest_channel(server, header->relid))
		return VMBUS_VIOLATION_UNKNOWN_CHANNEL;
	if (vmbus_gpadl_find(server, header->gpadl))
		return VMBUS_VIOLATION_DUPLICATE_GPADL;
	if (!free_slot(server))
		return VMBUS_VIOLATION_TOO_MANY_GPADLS;
	return -1;
}

void vmbus_handle_gpadl_header(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_gpadl_header *header = &in->message.gpadl_header;
	int violation = header_violation(server, header);
	struct vmbus_gpadl *gpadl = free_slot(server);
	enum vmbus_gpadl_error error;

	if (violation < 0) {
		error = vmbus_gpadl_begin(
			gpadl, &server->config.storage, header->length, header->range_count);
		if (error != VMBUS_GPADL_MORE)
			violation = (int)violations[error];
	}
	if (violation >= 0) {
		vmbus_violate(server, (enum vmbus_violation)violation, header->header.type,
			header->relid);
		send_created(server, header->relid, header->gpadl, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	gpadl->id = header->gpadl;
	gpadl->relid = header->relid;
	append(server, gpadl, header->header.type, in->message.bytes + sizeof(*header),
		in->length - (uint32_t)sizeof(*header));
}

void vmbus_handle_gpadl_body(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_gpadl_body *body = &in->message.gpadl_body;
	struct vmbus_gpadl *gpadl = vmbus_gpadl_find(server, body->gpadl);

	// No answer to these: without a GPADL there is no channel that could be named in it.
	if (!gpadl) {
		vmbus_violate(server, VMBUS_VIOLATION_UNKNOWN_GPADL, body->header.type, 0);
		return;
	}
	if (gpadl->state != VMBUS_GPADL_COLLECTING) {
		vmbus_violate(
			server, VMBUS_VIOLATION_GPADL_WRONG_STATE, body->header.type, gpadl->relid);
		return;
	}
	append(server, gpadl, body->header.type, in->message.bytes + sizeof(*body),
		in->length - (uint32_t)sizeof(*body));
}

// The rings of an open channel are in use: that teardown waits for CLOSE_CHANNEL and for the
// embedder to complete it. Linux sends CLOSE first.
void vmbus_handle_gpadl_teardown(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_gpadl_teardown *teardown = &in->message.gpadl_teardown;
	struct vmbus_gpadl *gpadl = vmbus_gpadl_find(server, teardown->gpadl);
	enum vmbus_violation violation;

	if (!vmbus_guest_channel(server, teardown->relid)) {
		violation = VMBUS_VIOLATION_UNKNOWN_CHANNEL;
	} else if (!gpadl) {
		violation = VMBUS_VIOLATION_UNKNOWN_GPADL;
	} else if (gpadl->relid != teardown->relid) {
		violation = VMBUS_VIOLATION_GPADL_WRONG_CHANNEL;
	} else if (gpadl->state != VMBUS_GPADL_CREATED) {
		violation = VMBUS_VIOLATION_GPADL_WRONG_STATE;
	} else {
		begin_teardown(server, gpadl);
		return;
	}
	vmbus_violate(server, violation, teardown->header.type, teardown->relid);
}

struct vmbus_gpadl *vmbus_server_gpadl_hold(
	struct vmbus_server *server, uint32_t relid, uint32_t gpadl_id)
{
	struct vmbus_gpadl *gpadl = vmbus_gpadl_find(server, gpadl_id);

	if (!gpadl || gpadl->relid != relid || gpadl->state != VMBUS_GPADL_CREATED)
		return NULL;
	gpadl->users++;
	return gpadl;
}

void vmbus_server_gpadl_release(struct vmbus_server *server, struct vmbus_gpadl *gpadl)
{
	gpadl->users--;
	if (!gpadl->users && gpadl->state == VMBUS_GPADL_TEARING_DOWN)
		finish_teardown(server, gpadl);
}
