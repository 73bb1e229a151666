// SPDX-License-Identifier: BSD-2-Clause
// VMBus's sockets: channels that come when the kernel or the host asks for a connection, and go
// with it. What a kernel without sockets does not link.
#include "guest-sdk/vmbus_internal.h"

// vmbus_request, and what it does not know.
struct socket_request {
	struct vmbus_request request; // first
	struct vmbus_client_socket socket;
};

static struct socket_request *socket_of(const struct vmbus_request *request)
{
	return (struct socket_request *)(uintptr_t)request;
}

void lumen_vmbus_watch(struct lumen_vmbus *bus, uint32_t *counter)
{
	const uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);

	bus->watch = counter;
	lumen_spin_unlock_irq(&bus->lock, interrupts);
}

// --- with the lock held ---

static struct lumen_channel *take(struct lumen_vmbus *bus, const struct vmbus_guid *service,
	const struct vmbus_client_socket *socket)
{
	const struct vmbus_client_channel *protocol =
		vmbus_client_take_socket(&bus->client, service, socket);
	struct lumen_channel *channel =
		protocol ? &bus->channels[protocol - bus->client.config.channels] : NULL;

	if (channel)
		channel->held = true;
	return channel;
}

// A socket's channel that is gone, and that nobody has. It is then the caller's.
static struct lumen_channel *take_gone(struct lumen_vmbus *bus)
{
	for (uint32_t i = 0; i < bus->channel_count; i++) {
		struct lumen_channel *channel = &bus->channels[i];

		if (!channel->held && channel->protocol && channel->protocol->rescinded &&
			channel->protocol->offer.flags & VMBUS_OFFER_TLNPI_PROVIDER) {
			channel->held = true;
			return channel;
		}
	}
	return NULL;
}

static enum vmbus_client_status ask_connect(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_connect_socket(&bus->client, &socket_of(request)->socket);
}

static bool is_answered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	struct socket_request *asked = socket_of(request);

	if (!asked->request.channel)
		asked->request.channel = take(bus, &asked->socket.service, &asked->socket);
	return asked->request.channel || asked->socket.refused;
}

static bool forget(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	vmbus_client_forget_socket(&bus->client, &socket_of(request)->socket);
	return true;
}

// --- not locked ---

// There is no thread of the bus's own that would do it.
static void release_gone(struct lumen_vmbus *bus)
{
	for (uint32_t i = 0; i < bus->channel_count; i++) {
		const uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);
		struct lumen_channel *channel = take_gone(bus);

		lumen_spin_unlock_irq(&bus->lock, interrupts);
		if (!channel || lumen_channel_release(channel))
			return;
	}
}

lumen_status lumen_vmbus_connect_socket(struct lumen_vmbus *bus, const struct vmbus_guid *service,
	const struct vmbus_guid *guest, struct lumen_channel **channel_out)
{
	struct socket_request asked = { .socket = { .service = *service, .guest = *guest } };
	lumen_status status;

	release_gone(bus);
	status = vmbus_ask_and_wait(
		bus, vmbus_deadline(bus), ask_connect, is_answered, &asked.request);
	vmbus_look(bus, forget, &asked.request);
	if (asked.request.channel) {
		*channel_out = asked.request.channel;
		return LUMEN_OK;
	}
	return status ? status : LUMEN_REFUSED;
}

struct lumen_channel *lumen_vmbus_accept_socket(
	struct lumen_vmbus *bus, const struct vmbus_guid *service)
{
	struct lumen_channel *channel;
	uint64_t interrupts;

	release_gone(bus);
	interrupts = lumen_spin_lock_irq(&bus->lock);
	channel = take(bus, service, NULL);
	lumen_spin_unlock_irq(&bus->lock, interrupts);
	return channel;
}

void lumen_channel_give_back(struct lumen_channel *channel)
{
	struct lumen_vmbus *bus = channel->bus;
	const uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);

	channel->held = false;
	lumen_spin_unlock_irq(&bus->lock, interrupts);
	release_gone(bus);
}
