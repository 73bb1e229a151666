// SPDX-License-Identifier: BSD-2-Clause
// Pages that are shared with the host: GPADLs, made and taken back.
#include "guest-sdk/vmbus_internal.h"

_Static_assert(LUMEN_GPADL_PAGES_MAX == VMBUS_CLIENT_GPADL_PAGES_MAX, "the same limit");

#define PFNS_PER_MESSAGE 28u // at most

static enum vmbus_client_status ask_begin(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_gpadl_begin(
		&bus->client, request->channel->protocol, request->number, request->gpadl);
}

static enum vmbus_client_status ask_teardown(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	const struct vmbus_client_gpadl *gpadl =
		vmbus_client_find_gpadl(&bus->client, *request->gpadl);

	if (!gpadl || gpadl->relid != request->channel->protocol->offer.relid)
		return VMBUS_CLIENT_BAD_ARGUMENT;
	return vmbus_client_gpadl_teardown(&bus->client, *request->gpadl);
}

static enum vmbus_client_gpadl_state gpadl_state(struct lumen_vmbus *bus, uint32_t id)
{
	const struct vmbus_client_gpadl *gpadl = vmbus_client_find_gpadl(&bus->client, id);

	return gpadl ? gpadl->state : VMBUS_CLIENT_GPADL_FREE;
}

static bool answered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	enum vmbus_client_gpadl_state state = gpadl_state(bus, *request->gpadl);

	return state == VMBUS_CLIENT_GPADL_FREE || state == VMBUS_CLIENT_GPADL_CREATED;
}

static bool is_free(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return gpadl_state(bus, *request->gpadl) == VMBUS_CLIENT_GPADL_FREE;
}

// Tells the host all pages, unless it refuses before it has heard them.
static lumen_status give_pages(struct lumen_vmbus *bus, uint64_t deadline,
	const struct vmbus_request *request, const uint8_t *pages)
{
	uint64_t pfns[PFNS_PER_MESSAGE], interrupts;
	uint32_t done = 0, given, i;
	lumen_status status;
	bool wanted = true;

	while (done < request->number && wanted) {
		for (i = 0; i < PFNS_PER_MESSAGE && i < request->number - done; i++)
			pfns[i] = lumen_gpa(pages + (done + i) * (size_t)LUMEN_PAGE_SIZE) >> 12;
		interrupts = lumen_spin_lock_irq(&bus->lock);
		given = vmbus_client_gpadl_give(&bus->client, *request->gpadl, pfns, i);
		wanted = gpadl_state(bus, *request->gpadl) == VMBUS_CLIENT_GPADL_GIVING;
		lumen_spin_unlock_irq(&bus->lock, interrupts);
		done += given;
		status = given ? LUMEN_OK : vmbus_flush(bus, deadline);
		if (status)
			return status;
	}
	return LUMEN_OK;
}

// It has not become one, for this reason. It is forgotten, if the host has not heard of it; else
// its pages are torn down if an answer comes after all.
static lumen_status give_up(struct lumen_vmbus *bus, uint64_t deadline,
	const struct vmbus_request *request, lumen_status why)
{
	vmbus_ask(bus, deadline, ask_teardown, request);
	if (vmbus_look(bus, is_free, request))
		*request->gpadl = 0;
	return why;
}

// A host that rescinds the channel meanwhile still answers: so it is known whose the pages are.
lumen_status lumen_gpadl_create(
	struct lumen_channel *channel, const void *pages, uint32_t count, uint32_t *gpadl)
{
	const struct vmbus_request request = {
		.channel = channel, .gpadl = gpadl, .number = count
	};
	struct lumen_vmbus *bus = channel->bus;
	uint64_t deadline = vmbus_deadline(bus);
	lumen_status status;

	*gpadl = 0;
	if (!count || (uintptr_t)pages % LUMEN_PAGE_SIZE)
		return LUMEN_BAD_ARGUMENT;
	status = vmbus_ask(bus, deadline, ask_begin, &request);
	if (status)
		return status;
	status = give_pages(bus, deadline, &request, pages);
	if (!status)
		status = vmbus_wait(bus, deadline, answered, &request);
	if (status)
		return give_up(bus, deadline, &request, status);
	if (vmbus_look(bus, is_free, &request)) {
		*gpadl = 0;
		return vmbus_rescinded(channel) ? LUMEN_RESCINDED : LUMEN_REFUSED;
	}
	if (!vmbus_rescinded(channel))
		return LUMEN_OK;
	status = lumen_gpadl_destroy(channel, *gpadl);
	if (status)
		return status;
	*gpadl = 0;
	return LUMEN_RESCINDED;
}

lumen_status lumen_gpadl_destroy(struct lumen_channel *channel, uint32_t gpadl)
{
	const struct vmbus_request request = { .channel = channel, .gpadl = &gpadl };

	return vmbus_ask_and_wait(
		channel->bus, vmbus_deadline(channel->bus), ask_teardown, is_free, &request);
}
