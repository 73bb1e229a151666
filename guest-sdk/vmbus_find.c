// SPDX-License-Identifier: BSD-2-Clause
// Looking for VMBus's devices, and giving back the ones that are gone.
#include <string.h>

#include "guest-sdk/vmbus_internal.h"

static bool same_guid(const struct vmbus_guid *a, const struct vmbus_guid *b)
{
	return !memcmp(a, b, sizeof(*a));
}

// Whether the kernel can do something with it. With the lock held, as all below.
static bool usable(const struct lumen_channel *channel)
{
	return channel->protocol && channel->protocol->state != VMBUS_CLIENT_CHANNEL_FREE &&
	       !channel->protocol->rescinded;
}

static enum vmbus_client_status release(struct lumen_vmbus *bus, struct lumen_channel *channel)
{
	uint32_t flag = channel->protocol->offer.relid;
	enum vmbus_client_status status = vmbus_client_release(&bus->client, channel->protocol);

	if (status == VMBUS_CLIENT_OK) {
		__atomic_store_n(&bus->by_flag[flag], 0, __ATOMIC_RELEASE);
		channel->held = false;
	}
	return status;
}

static enum vmbus_client_status ask_release(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return release(bus, request->channel);
}

lumen_status lumen_channel_release(struct lumen_channel *channel)
{
	const struct vmbus_request request = { .channel = channel };
	struct lumen_vmbus *bus = channel->bus;
	uint64_t deadline = vmbus_deadline(bus);
	lumen_status status;

	if (channel->live)
		return LUMEN_BAD_STATE;
	status = vmbus_ask(bus, deadline, ask_release, &request);
	return status ? status : vmbus_flush(bus, deadline);
}

// Rescinded channels that nobody knows are given back here, as there is no thread of the bus's own.
static void release_unknown(struct lumen_vmbus *bus)
{
	uint32_t i;

	for (i = 0; i < bus->channel_count; i++) {
		struct lumen_channel *channel = &bus->channels[i];

		if (!channel->held && channel->protocol && channel->protocol->rescinded)
			release(bus, channel);
	}
}

// The usable primary channel of this type with the lowest number of its offer above `order`.
static struct lumen_channel *next_primary(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t order)
{
	struct lumen_channel *found = NULL;
	uint32_t i;

	for (i = 0; i < bus->channel_count; i++) {
		struct lumen_channel *channel = &bus->channels[i];
		const struct vmbus_offer_channel *offer;

		if (!usable(channel) || channel->protocol->order <= order)
			continue;
		offer = &channel->protocol->offer;
		if (offer->sub_channel_index || (type && !same_guid(&offer->interface_type, type)))
			continue;
		if (!found || channel->protocol->order < found->protocol->order)
			found = channel;
	}
	return found;
}

struct lumen_channel *lumen_vmbus_find(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t index)
{
	uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);
	struct lumen_channel *found;

	release_unknown(bus);
	found = next_primary(bus, type, 0);
	while (found && index--)
		found = next_primary(bus, type, found->protocol->order);
	if (found)
		found->held = true;
	lumen_spin_unlock_irq(&bus->lock, interrupts);
	vmbus_flush(bus, vmbus_deadline(bus));
	return found;
}

struct lumen_channel *lumen_channel_sub(struct lumen_channel *channel, uint32_t index)
{
	const struct vmbus_offer_channel *primary = &channel->protocol->offer, *offer;
	struct lumen_vmbus *bus = channel->bus;
	uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);
	struct lumen_channel *found = NULL;
	uint32_t i;

	for (i = 0; index && !found && i < bus->channel_count; i++) {
		if (!usable(&bus->channels[i]))
			continue;
		offer = &bus->channels[i].protocol->offer;
		if (offer->sub_channel_index == index &&
			same_guid(&offer->interface_type, &primary->interface_type) &&
			same_guid(&offer->interface_instance, &primary->interface_instance))
			found = &bus->channels[i];
	}
	if (found)
		found->held = true;
	lumen_spin_unlock_irq(&bus->lock, interrupts);
	return found;
}

const struct vmbus_offer_channel *lumen_channel_offer(const struct lumen_channel *channel)
{
	return &channel->protocol->offer;
}

bool lumen_channel_rescinded(const struct lumen_channel *channel)
{
	return vmbus_rescinded(channel);
}
