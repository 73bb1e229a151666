// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: the questions before the first command, as storvsc asks them: begin, version,
// properties, end, sub-channels.
#include "drivers/vsc/storage/storage_internal.h"

#include "base/macros.h"

static const struct {
	uint16_t version;
	uint32_t packet_size;
} storage_versions[] = {
	{ VSTOR_VERSION_6_2, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_6_0, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_5_1, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_4_2, VSTOR_PACKET_SIZE_V1 },
	{ VSTOR_VERSION_2_0, VSTOR_PACKET_SIZE_V1 },
};

static const struct vstor_packet *storage_answer(const struct lumen_storage *storage)
{
	return storage->vsc.queues[0]->answer;
}

// Sends a question and waits for its answer, which storage_answer() then has.
static lumen_status storage_control(struct lumen_storage *storage, struct vstor_packet *packet)
{
	packet->flags = VSTOR_FLAG_REQUEST_COMPLETION;
	return vsc_ask(&storage->vsc, packet, storage->packet_size);
}

// The same for operations that must succeed.
static lumen_status storage_demand(struct lumen_storage *storage, struct vstor_packet *packet)
{
	const lumen_status status = storage_control(storage, packet);

	if (status == LUMEN_OK && storage_answer(storage)->status)
		return LUMEN_REFUSED;
	return status;
}

static lumen_status storage_agree_version(struct lumen_storage *storage, uint16_t newest)
{
	struct lumen_disk_queue *queue = storage_queue_of(storage->vsc.queues[0]);
	lumen_status status;

	for (size_t i = 0; i < ARRAY_SIZE(storage_versions); i++) {
		struct vstor_packet packet = {
			.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
			.version.major_minor = storage_versions[i].version,
		};

		if (newest && storage_versions[i].version > newest)
			continue;
		status = storage_control(storage, &packet);
		if (status != LUMEN_OK)
			return status;
		if (storage_answer(storage)->status)
			continue;
		storage->version = storage_versions[i].version;
		storage->packet_size = storage_versions[i].packet_size;
		queue->packet.srb.length = (uint16_t)(storage->packet_size - VSTOR_HEADER_SIZE);
		return LUMEN_OK;
	}
	return LUMEN_REFUSED;
}

static lumen_status storage_agree_properties(
	struct lumen_storage *storage, struct vstor_channel_properties *properties)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_QUERY_PROPERTIES };
	const lumen_status status = storage_demand(storage, &packet);
	uint32_t most;

	if (status != LUMEN_OK)
		return status;
	*properties = storage_answer(storage)->properties;
	most = properties->max_transfer_bytes & ~(VMBUS_PAGE_SIZE - 1);
	if (most == 0) {
		vsc_fail(&storage->vsc, LUMEN_BAD_HOST, "not even a page can be transferred");
		return LUMEN_BAD_HOST;
	}
	if (storage->max_transfer > most)
		storage->max_transfer = most;
	return LUMEN_OK;
}

// As many more channels as the caller has VPs for and the host allows. With fewer it works too.
static lumen_status storage_open_subs(struct lumen_storage *storage,
	const struct lumen_storage_config *config,
	const struct vstor_channel_properties *properties)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS };
	const uint64_t deadline = lumen_deadline_ns(storage->vsc.timeout_ns);
	uint32_t count = config->vp_count ? config->vp_count - 1 : 0;
	lumen_status status;

	if (!(properties->flags & VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL) ||
		storage->version < VSTOR_VERSION_5_1)
		return LUMEN_OK;
	if (count > properties->max_channel_count)
		count = properties->max_channel_count;
	if (count == 0)
		return LUMEN_OK;
	packet.sub_channel_count = (uint16_t)count;
	status = storage_control(storage, &packet);
	if (status != LUMEN_OK || storage_answer(storage)->status)
		return status;
	for (uint32_t i = 1; i <= count; i++) {
		struct lumen_channel *channel =
			vsc_find_sub(&storage->vsc, config->bus, i, deadline);

		if (!channel || storage_queue_open(storage, channel, config, config->vps[i]))
			break;
	}
	return vsc_status(&storage->vsc);
}

lumen_status storage_negotiate(
	struct lumen_storage *storage, const struct lumen_storage_config *config)
{
	struct vstor_packet begin = { .operation = VSTOR_OPERATION_BEGIN_INITIALIZATION };
	struct vstor_packet end = { .operation = VSTOR_OPERATION_END_INITIALIZATION };
	struct vstor_channel_properties properties = { 0 };
	lumen_status status = storage_demand(storage, &begin);

	if (status == LUMEN_OK)
		status = storage_agree_version(storage, config->max_version);
	if (status == LUMEN_OK)
		status = storage_agree_properties(storage, &properties);
	if (status == LUMEN_OK)
		status = storage_demand(storage, &end);
	if (status == LUMEN_OK)
		status = storage_open_subs(storage, config, &properties);
	return status;
}
