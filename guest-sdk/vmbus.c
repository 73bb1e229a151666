// SPDX-License-Identifier: BSD-2-Clause
// VMBus: connecting to the host and disconnecting.
#include "lumen/vmbus.h"

#include "guest-sdk/vmbus_internal.h"
#include "lumen/detect.h"

#define DEFAULT_CHANNELS   64u
#define DEFAULT_TIMEOUT_NS 10000000000ull
#define GPADLS_PER_CHANNEL 4u // the rings, and what a device shares besides

static enum vmbus_client_status ask_connect(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_connect(&bus->client, request->number, bus->vp);
}

static enum vmbus_client_status ask_offers(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_request_offers(&bus->client);
}

static enum vmbus_client_status ask_unload(
	struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return vmbus_client_unload(&bus->client);
}

static bool contact_answered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->client.state != VMBUS_CLIENT_CONTACTING;
}

static bool is_connected(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->client.state == VMBUS_CLIENT_CONNECTED;
}

static bool was_heard(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->heard;
}

static bool offers_delivered(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->client.state == VMBUS_CLIENT_OFFERED;
}

static bool unloaded(struct lumen_vmbus *bus, const struct vmbus_request *request)
{
	return bus->client.state == VMBUS_CLIENT_DISCONNECTED;
}

static size_t aligned(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

// The bus with its arrays, in one piece.
static struct lumen_vmbus *allocate(uint32_t channel_count)
{
	size_t protocol_at = aligned(sizeof(struct lumen_vmbus));
	size_t gpadls_at =
		protocol_at + aligned(channel_count * sizeof(struct vmbus_client_channel));
	size_t channels_at = gpadls_at + aligned(channel_count * GPADLS_PER_CHANNEL *
						 sizeof(struct vmbus_client_gpadl));
	size_t end = channels_at + channel_count * sizeof(struct lumen_channel);
	size_t pages = (end + LUMEN_PAGE_SIZE - 1) / LUMEN_PAGE_SIZE;
	uint8_t *memory = lumen_alloc_pages(pages);
	struct lumen_vmbus *bus = (void *)memory;
	struct vmbus_client_config config = {
		.channel_count = channel_count,
		.gpadl_count = channel_count * GPADLS_PER_CHANNEL,
	};

	if (!memory)
		return NULL;
	config.channels = (void *)(memory + protocol_at);
	config.gpadls = (void *)(memory + gpadls_at);
	bus->memory_pages = (uint32_t)pages;
	bus->channels = (void *)(memory + channels_at);
	bus->channel_count = channel_count;
	vmbus_client_init(&bus->client, &config);
	return bus;
}

static void destroy(struct lumen_vmbus *bus)
{
	lumen_sint_disable(bus->synic, VMBUS_SINT);
	lumen_free_pages(bus, bus->memory_pages);
}

// Agrees on a version and gets the offers.
static lumen_status negotiate(struct lumen_vmbus *bus, uint32_t max_version)
{
	const struct vmbus_request request = { .number = max_version };
	uint64_t deadline = vmbus_deadline(bus);
	lumen_status status;

	status = vmbus_ask_and_wait(bus, deadline, ask_connect, contact_answered, &request);
	if (status)
		return status;
	if (!vmbus_look(bus, is_connected, &request))
		return vmbus_look(bus, was_heard, &request) ? LUMEN_REFUSED : LUMEN_NOT_SUPPORTED;
	deadline = vmbus_deadline(bus);
	status = vmbus_ask_and_wait(bus, deadline, ask_offers, offers_delivered, &request);
	// Offers that come later must not find a bus that is gone.
	if (status && !vmbus_ask(bus, deadline, ask_unload, &request))
		vmbus_wait(bus, vmbus_deadline(bus), unloaded, &request);
	return status;
}

lumen_status lumen_vmbus_connect(
	const struct lumen_vmbus_config *config, struct lumen_vmbus **bus_out)
{
	uint32_t channel_count = config->channels ? config->channels : DEFAULT_CHANNELS;
	struct lumen_vmbus *bus;
	lumen_status status;

	if (!lumen_has(HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS))
		return LUMEN_NO_PRIVILEGE;
	if (channel_count > VMBUS_RELID_MAX)
		return LUMEN_BAD_ARGUMENT;
	bus = allocate(channel_count);
	if (!bus)
		return LUMEN_NO_MEMORY;
	bus->timeout_ns = config->timeout_ns ? config->timeout_ns : DEFAULT_TIMEOUT_NS;
	bus->synic = config->synic;
	bus->vp = lumen_this_vp();
	bus->polled = !config->vector;
	status = lumen_vmbus_add_vp(bus, config->synic, config->vector);
	if (status) {
		lumen_free_pages(bus, bus->memory_pages);
		return status;
	}
	status = negotiate(bus, config->max_version);
	if (status)
		destroy(bus);
	else
		*bus_out = bus;
	return status;
}

static bool others_use(const struct lumen_vmbus *bus)
{
	uint64_t others = 0;
	uint32_t i;

	for (i = 0; i < bus->channel_count; i++)
		others |= bus->channels[i].live;
	for (i = 0; i < VMBUS_VPS / 64; i++)
		others |= i == bus->vp / 64 ? bus->vps[i] & ~(1ull << bus->vp % 64) : bus->vps[i];
	return others;
}

lumen_status lumen_vmbus_disconnect(struct lumen_vmbus *bus)
{
	const struct vmbus_request request = { 0 };
	lumen_status status;

	if (others_use(bus))
		return LUMEN_BAD_STATE;
	status = vmbus_ask_and_wait(bus, vmbus_deadline(bus), ask_unload, unloaded, &request);
	destroy(bus);
	return status;
}

uint32_t lumen_vmbus_version(const struct lumen_vmbus *bus)
{
	return bus->client.version;
}

const uint32_t *lumen_vmbus_changes(const struct lumen_vmbus *bus)
{
	return &bus->changes;
}
