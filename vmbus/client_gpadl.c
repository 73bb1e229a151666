// SPDX-License-Identifier: BSD-2-Clause
// The client's GPADLs: each one range of whole pages, told in one GPADL_HEADER and as many
// GPADL_BODY messages as it takes.
#include <string.h>

#include "vmbus/client_internal.h"
#include "vmbus/memory.h"
#include "vmbus/packet.h"

#define HEADER_BYTES                                                                               \
	(uint32_t)(sizeof(struct vmbus_gpadl_header) + sizeof(struct vmbus_gpa_range_header))
#define BODY_BYTES (uint32_t)sizeof(struct vmbus_gpadl_body)

_Static_assert(sizeof(struct vmbus_gpa_range_header) + 8 * VMBUS_CLIENT_GPADL_PAGES_MAX <= 0xffff,
	"the length of the ranges is 16 bits wide");

struct vmbus_client_gpadl *vmbus_client_find_gpadl(struct vmbus_client *client, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < client->config.gpadl_count; i++) {
		struct vmbus_client_gpadl *gpadl = &client->config.gpadls[i];

		if (gpadl->state != VMBUS_CLIENT_GPADL_FREE && gpadl->id == id)
			return gpadl;
	}
	return NULL;
}

static struct vmbus_client_gpadl *free_slot(struct vmbus_client *client)
{
	uint32_t i;

	for (i = 0; i < client->config.gpadl_count; i++) {
		if (client->config.gpadls[i].state == VMBUS_CLIENT_GPADL_FREE)
			return &client->config.gpadls[i];
	}
	return NULL;
}

// Ids count up, so that a late answer does not meet a new GPADL.
static uint32_t new_id(struct vmbus_client *client)
{
	do {
		client->last_gpadl++;
	} while (!client->last_gpadl || vmbus_client_find_gpadl(client, client->last_gpadl));
	return client->last_gpadl;
}

enum vmbus_client_status vmbus_client_gpadl_begin(struct vmbus_client *client,
	const struct vmbus_client_channel *channel, uint32_t page_count, uint32_t *gpadl)
{
	struct vmbus_client_gpadl *slot = free_slot(client);

	if (!vmbus_client_connected(client) || channel->state == VMBUS_CLIENT_CHANNEL_FREE)
		return VMBUS_CLIENT_BAD_STATE;
	if (channel->rescinded)
		return VMBUS_CLIENT_RESCINDED;
	if (!page_count || page_count > VMBUS_CLIENT_GPADL_PAGES_MAX)
		return VMBUS_CLIENT_BAD_ARGUMENT;
	if (!slot)
		return VMBUS_CLIENT_NO_SLOT;
	*slot = (struct vmbus_client_gpadl){
		.id = new_id(client), // while the slot is still free
		.relid = channel->offer.relid,
		.page_count = page_count,
	};
	slot->state = VMBUS_CLIENT_GPADL_GIVING;
	*gpadl = slot->id;
	return VMBUS_CLIENT_OK;
}

// Queues the header with the first pages, or the next body. Returns where the page numbers go.
static uint8_t *push_pages(
	struct vmbus_client *client, struct vmbus_client_gpadl *gpadl, uint32_t count)
{
	struct vmbus_gpa_range_header range = { .byte_count = gpadl->page_count * VMBUS_PAGE_SIZE };
	union vmbus_message *message;

	if (gpadl->pages_given) {
		message = vmbus_client_push_long(
			client, VMBUS_MESSAGE_GPADL_BODY, BODY_BYTES + 8 * count);
		message->gpadl_body.message_number = ++gpadl->bodies;
		message->gpadl_body.gpadl = gpadl->id;
		return message->bytes + BODY_BYTES;
	}
	message = vmbus_client_push_long(
		client, VMBUS_MESSAGE_GPADL_HEADER, HEADER_BYTES + 8 * count);
	message->gpadl_header.relid = gpadl->relid;
	message->gpadl_header.gpadl = gpadl->id;
	message->gpadl_header.length = (uint16_t)(sizeof(range) + 8 * gpadl->page_count);
	message->gpadl_header.range_count = 1;
	memcpy(message->bytes + sizeof(struct vmbus_gpadl_header), &range, sizeof(range));
	return message->bytes + HEADER_BYTES;
}

uint32_t vmbus_client_gpadl_give(
	struct vmbus_client *client, uint32_t id, const uint64_t *pfns, uint32_t count)
{
	struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(client, id);
	uint32_t fits;

	if (!count || !gpadl || gpadl->state != VMBUS_CLIENT_GPADL_GIVING ||
		!vmbus_client_connected(client) || !vmbus_client_room(client))
		return 0;
	fits = (VMBUS_MESSAGE_MAX - (gpadl->pages_given ? BODY_BYTES : HEADER_BYTES)) / 8;
	if (count > fits)
		count = fits;
	if (count > gpadl->page_count - gpadl->pages_given)
		count = gpadl->page_count - gpadl->pages_given;
	memcpy(push_pages(client, gpadl, count), pfns, 8 * count);
	gpadl->pages_given += count;
	if (gpadl->pages_given == gpadl->page_count)
		gpadl->state = VMBUS_CLIENT_GPADL_CREATING;
	return count;
}

static void push_teardown(struct vmbus_client *client, struct vmbus_client_gpadl *gpadl)
{
	struct vmbus_gpadl_teardown *message =
		&vmbus_client_push(client, VMBUS_MESSAGE_GPADL_TEARDOWN)->gpadl_teardown;

	message->relid = gpadl->relid;
	message->gpadl = gpadl->id;
	gpadl->state = VMBUS_CLIENT_GPADL_TEARING_DOWN;
}

static uint32_t queued(const struct vmbus_client *client, uint32_t i)
{
	return (client->post_first + i) % VMBUS_CLIENT_POSTS;
}

static bool tells(const struct vmbus_client_post *post, enum vmbus_message_type type, uint32_t id)
{
	const union vmbus_message *message = &post->message;

	return message->header.type == type &&
	       (type == VMBUS_MESSAGE_GPADL_HEADER ? message->gpadl_header.gpadl
						   : message->gpadl_body.gpadl) == id;
}

// Whether the host has heard nothing of a GPADL: its header waits to be posted, if there is one.
static bool unheard(const struct vmbus_client *client, const struct vmbus_client_gpadl *gpadl)
{
	uint32_t i;

	for (i = 0; i < client->posts_queued; i++)
		if (tells(&client->posts[queued(client, i)], VMBUS_MESSAGE_GPADL_HEADER, gpadl->id))
			return true;
	return !gpadl->pages_given;
}

// The host is not to hear of it any more.
static void withdraw(struct vmbus_client *client, struct vmbus_client_gpadl *gpadl)
{
	uint32_t i, kept = 0;

	for (i = 0; i < client->posts_queued; i++) {
		const struct vmbus_client_post *post = &client->posts[queued(client, i)];

		if (!tells(post, VMBUS_MESSAGE_GPADL_HEADER, gpadl->id) &&
			!tells(post, VMBUS_MESSAGE_GPADL_BODY, gpadl->id))
			client->posts[queued(client, kept++)] = *post;
	}
	client->posts_queued = kept;
	gpadl->state = VMBUS_CLIENT_GPADL_FREE;
}

enum vmbus_client_status vmbus_client_gpadl_teardown(struct vmbus_client *client, uint32_t id)
{
	struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(client, id);

	if (!gpadl)
		return VMBUS_CLIENT_BAD_ARGUMENT;
	if (!vmbus_client_connected(client))
		return VMBUS_CLIENT_BAD_STATE;
	if (gpadl->state == VMBUS_CLIENT_GPADL_GIVING ||
		gpadl->state == VMBUS_CLIENT_GPADL_CREATING) {
		if (unheard(client, gpadl))
			withdraw(client, gpadl);
		else
			gpadl->state = VMBUS_CLIENT_GPADL_ABANDONED;
	} else if (gpadl->state == VMBUS_CLIENT_GPADL_CREATED) {
		if (!vmbus_client_room(client))
			return VMBUS_CLIENT_BUSY;
		push_teardown(client, gpadl);
	}
	return VMBUS_CLIENT_OK;
}

bool vmbus_client_teardown_unwanted(struct vmbus_client *client)
{
	uint32_t i;

	for (i = 0; i < client->config.gpadl_count; i++) {
		if (client->config.gpadls[i].state == VMBUS_CLIENT_GPADL_UNWANTED) {
			push_teardown(client, &client->config.gpadls[i]);
			return true;
		}
	}
	return false;
}

void vmbus_client_gpadl_drop(struct vmbus_client *client, uint32_t relid)
{
	uint32_t i;

	for (i = 0; i < client->config.gpadl_count; i++) {
		if (client->config.gpadls[i].relid == relid)
			client->config.gpadls[i].state = VMBUS_CLIENT_GPADL_FREE;
	}
}

// Says what is wrong with an answer; -1 for nothing. A refusal may come before all pages are told,
// success may not.
static int created_violation(const struct vmbus_client *client,
	const struct vmbus_client_gpadl *gpadl, const struct vmbus_gpadl_created *created)
{
	bool all;

	if (!gpadl)
		return VMBUS_CLIENT_VIOLATION_UNKNOWN_GPADL;
	if (gpadl->relid != created->relid)
		return VMBUS_CLIENT_VIOLATION_GPADL_WRONG_CHANNEL;
	all = gpadl->pages_given == gpadl->page_count;
	if ((gpadl->state == VMBUS_CLIENT_GPADL_GIVING ||
		    gpadl->state == VMBUS_CLIENT_GPADL_CREATING ||
		    gpadl->state == VMBUS_CLIENT_GPADL_ABANDONED) &&
		!unheard(client, gpadl) && (all || created->status != VMBUS_STATUS_SUCCESS))
		return -1;
	return VMBUS_CLIENT_VIOLATION_UNEXPECTED_CREATED;
}

struct vmbus_client_event vmbus_client_handle_created(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_gpadl_created *created = &message->gpadl_created;
	struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(client, created->gpadl);
	int violation = created_violation(client, gpadl, created);

	if (violation >= 0)
		return vmbus_client_violate(
			client, (enum vmbus_client_violation)violation, message);
	if (created->status != VMBUS_STATUS_SUCCESS) {
		gpadl->state = VMBUS_CLIENT_GPADL_FREE;
	} else if (gpadl->state == VMBUS_CLIENT_GPADL_ABANDONED) {
		gpadl->state = VMBUS_CLIENT_GPADL_UNWANTED;
		client->due = true;
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
	} else {
		gpadl->state = VMBUS_CLIENT_GPADL_CREATED;
	}
	return (struct vmbus_client_event){
		.type = VMBUS_CLIENT_EVENT_GPADL_CREATED,
		.gpadl = created->gpadl,
		.status = created->status,
	};
}

// The one message that makes pages the guest's again: it counts only if it was asked for.
struct vmbus_client_event vmbus_client_handle_torndown(
	struct vmbus_client *client, const union vmbus_message *message)
{
	uint32_t id = message->gpadl_torndown.gpadl;
	struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(client, id);

	if (!gpadl)
		return vmbus_client_violate(client, VMBUS_CLIENT_VIOLATION_UNKNOWN_GPADL, message);
	if (gpadl->state != VMBUS_CLIENT_GPADL_TEARING_DOWN)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_TORNDOWN, message);
	gpadl->state = VMBUS_CLIENT_GPADL_FREE;
	return (struct vmbus_client_event){
		.type = VMBUS_CLIENT_EVENT_GPADL_TORNDOWN,
		.gpadl = id,
	};
}
