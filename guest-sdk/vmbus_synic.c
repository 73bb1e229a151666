// SPDX-License-Identifier: BSD-2-Clause
// VMBus's SINT: the host's messages and events, and the VPs that take them.
#include <string.h>

#include "guest-sdk/vmbus_internal.h"

// --- what the host says ---

// Logs the first of each kind: a host that breaks the protocol once may do so all the time.
static void log_violation(const struct lumen_vmbus *bus, const struct vmbus_client_event *event)
{
	static const char prefix[] = "vmbus: the host broke the protocol: ";
	const char *words = vmbus_client_violation_name(event->reason);
	char line[128];
	size_t i;

	if (bus->client.violations[event->reason] != 1)
		return;
	memcpy(line, prefix, sizeof(prefix));
	for (i = 0; i < sizeof(line) - sizeof(prefix) && words[i]; i++)
		line[sizeof(prefix) - 1 + i] = words[i];
	line[sizeof(prefix) - 1 + i] = 0;
	lumen_log(LUMEN_LOG_WARNING, line);
}

static struct lumen_channel *channel_of(
	struct lumen_vmbus *bus, const struct vmbus_client_channel *protocol)
{
	return &bus->channels[protocol - bus->client.config.channels];
}

static void channel_offered(struct lumen_vmbus *bus, struct vmbus_client_channel *protocol)
{
	struct lumen_channel *channel = channel_of(bus, protocol);

	channel->bus = bus;
	channel->protocol = protocol;
	channel->held = false;
	__atomic_store_n(&channel->rescinded, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&bus->by_flag[protocol->offer.relid],
		(uint16_t)(channel - bus->channels + 1), __ATOMIC_RELEASE);
}

// What an event changes here. Returns whether the list of devices has changed.
static bool take_event(struct lumen_vmbus *bus, const struct vmbus_client_event *event)
{
	if (event->type == VMBUS_CLIENT_EVENT_OFFER)
		channel_offered(bus, event->channel);
	else if (event->type == VMBUS_CLIENT_EVENT_RESCINDED)
		__atomic_store_n(&channel_of(bus, event->channel)->rescinded, 1, __ATOMIC_RELEASE);
	else
		return false;
	__atomic_add_fetch(&bus->changes, 1, __ATOMIC_RELEASE);
	return true;
}

// What follows from the message is posted here if the hypervisor has a buffer; if it has none, by
// whoever posts next.
static void on_message(void *context, const struct hv_message *message)
{
	struct lumen_vmbus *bus = context;
	struct vmbus_client_event event;
	uint32_t *watch = NULL;
	lumen_status status;
	uint64_t interrupts;
	bool changed;

	if (message->header.message_type != VMBUS_SYNIC_MESSAGE_TYPE)
		return;
	interrupts = lumen_spin_lock_irq(&bus->lock);
	event = vmbus_client_message(&bus->client, message->payload, message->header.payload_size);
	changed = take_event(bus, &event);
	if (changed)
		watch = bus->watch;
	if (watch)
		__atomic_add_fetch(watch, 1, __ATOMIC_RELEASE);
	if (event.type == VMBUS_CLIENT_EVENT_VIOLATION)
		log_violation(bus, &event);
	else
		bus->heard = 1;
	while (vmbus_post_next(bus, &status))
		;
	__atomic_add_fetch(&bus->answers, 1, __ATOMIC_RELEASE);
	lumen_spin_unlock_irq(&bus->lock, interrupts);

	lumen_wake(&bus->answers);
	if (watch)
		lumen_wake(watch);
	if (!changed)
		return;
	lumen_wake(&bus->changes);
	vmbus_channel_call(channel_of(bus, event.channel)); // if it is open: it is rescinded
}

static void on_event(void *context, uint32_t flag)
{
	struct lumen_vmbus *bus = context;
	uint16_t index;

	if (flag > VMBUS_RELID_MAX)
		return;
	index = __atomic_load_n(&bus->by_flag[flag], __ATOMIC_ACQUIRE);
	if (index)
		vmbus_channel_call(&bus->channels[index - 1]);
}

// --- VPs ---

// The SINT's configuration for a vector: one struct for all VPs that use the same.
static const struct lumen_sint *sint_for(struct lumen_vmbus *bus, uint8_t vector)
{
	uint32_t i;

	for (i = 0; i < VMBUS_VECTORS; i++) {
		struct lumen_sint *sint = &bus->sints[i];

		if (!sint->context)
			*sint = (struct lumen_sint){
				.vector = vector,
				.message = on_message,
				.event = on_event,
				.context = bus,
			};
		if (sint->vector == vector)
			return sint;
	}
	return NULL;
}

static void set_vp(struct lumen_vmbus *bus, uint32_t vp, bool used)
{
	if (used)
		__atomic_or_fetch(&bus->vps[vp / 64], 1ull << vp % 64, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&bus->vps[vp / 64], ~(1ull << vp % 64), __ATOMIC_RELAXED);
}

lumen_status lumen_vmbus_add_vp(struct lumen_vmbus *bus, struct lumen_synic *synic, uint8_t vector)
{
	uint32_t vp = lumen_this_vp();
	const struct lumen_sint *sint;
	lumen_status status;
	uint64_t interrupts;

	interrupts = lumen_spin_lock_irq(&bus->lock);
	sint = sint_for(bus, vector);
	lumen_spin_unlock_irq(&bus->lock, interrupts);
	if (!sint || vp >= VMBUS_VPS)
		return LUMEN_BAD_ARGUMENT;
	status = lumen_sint_enable(synic, VMBUS_SINT, sint);
	if (!status)
		set_vp(bus, vp, true);
	return status;
}

lumen_status lumen_vmbus_remove_vp(struct lumen_vmbus *bus, struct lumen_synic *synic)
{
	uint32_t vp = lumen_this_vp(), i;

	if (!vmbus_uses_vp(bus, vp) || vp == bus->vp)
		return LUMEN_BAD_ARGUMENT;
	for (i = 0; i < bus->channel_count; i++) {
		if (bus->channels[i].live && bus->channels[i].target_vp == vp)
			return LUMEN_BAD_STATE;
	}
	set_vp(bus, vp, false);
	lumen_sint_disable(synic, VMBUS_SINT);
	return LUMEN_OK;
}
