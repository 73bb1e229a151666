// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: the questions before the first command, as storvsc asks them: begin, version,
// properties, end, sub-channels.
#include "drivers/vsc/storage_internal.h"

static const struct {
	uint16_t version;
	uint32_t packet_size;
} vsc_versions[] = {
	{ VSTOR_VERSION_6_2, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_6_0, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_5_1, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_4_2, VSTOR_PACKET_SIZE_V1 },
	{ VSTOR_VERSION_2_0, VSTOR_PACKET_SIZE_V1 },
};

static lumen_status vsc_ask(struct vsc_queue *queue, const struct vstor_packet *question)
{
	struct vsc_control *control = &queue->control;
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);
	lumen_status status = vsc_status(queue->storage);

	if (status == LUMEN_OK) {
		control->pending = 1;
		control->generation++;
		status = vsc_send_control(queue, question, queue->storage->packet_size,
			(uint64_t)control->generation << 32 | queue->depth);
	}
	vsc_unlock(queue, state);
	return status;
}

// The host no longer counts on an answer being heard.
static lumen_status vsc_no_answer(struct lumen_storage *storage)
{
	vsc_fail(storage, LUMEN_TIMED_OUT, "storage: a question without an answer");
	return LUMEN_TIMED_OUT;
}

// Sends a question and waits for its answer, which control.answer then holds.
static lumen_status vsc_control(struct lumen_storage *storage, struct vstor_packet *packet)
{
	struct vsc_queue *queue = storage->queues[0];
	const uint32_t *pending = &queue->control.pending;
	const uint64_t deadline = lumen_deadline_ns(storage->timeout_ns);
	lumen_status status;

	packet->flags = VSTOR_FLAG_REQUEST_COMPLETION;
	status = vsc_ask(queue, packet);
	while (status == LUMEN_OK) {
		vsc_service(queue, false);
		status = vsc_status(storage);
		if (status != LUMEN_OK || !__atomic_load_n(pending, __ATOMIC_ACQUIRE))
			break;
		if (lumen_is_due(deadline))
			return vsc_no_answer(storage);
		lumen_channel_wait(storage->queues[0]->channel, pending, 1, deadline);
	}
	return status;
}

// The same for operations that must succeed.
static lumen_status vsc_demand(struct lumen_storage *storage, struct vstor_packet *packet)
{
	const lumen_status status = vsc_control(storage, packet);

	if (status == LUMEN_OK && storage->queues[0]->control.answer.status)
		return LUMEN_REFUSED;
	return status;
}

static lumen_status vsc_agree_version(struct lumen_storage *storage, uint16_t newest)
{
	struct vsc_queue *queue = storage->queues[0];
	lumen_status status;

	for (size_t i = 0; i < sizeof(vsc_versions) / sizeof(vsc_versions[0]); i++) {
		struct vstor_packet packet = {
			.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
			.version.major_minor = vsc_versions[i].version,
		};

		if (newest && vsc_versions[i].version > newest)
			continue;
		status = vsc_control(storage, &packet);
		if (status != LUMEN_OK)
			return status;
		if (queue->control.answer.status)
			continue;
		storage->version = vsc_versions[i].version;
		storage->packet_size = vsc_versions[i].packet_size;
		queue->packet.srb.length = (uint16_t)(storage->packet_size - VSTOR_HEADER_SIZE);
		return LUMEN_OK;
	}
	return LUMEN_REFUSED;
}

static lumen_status vsc_agree_properties(
	struct lumen_storage *storage, struct vstor_channel_properties *properties)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_QUERY_PROPERTIES };
	const lumen_status status = vsc_demand(storage, &packet);
	uint32_t most;

	if (status != LUMEN_OK)
		return status;
	*properties = storage->queues[0]->control.answer.properties;
	most = properties->max_transfer_bytes & ~(VMBUS_PAGE_SIZE - 1);
	if (most == 0) {
		vsc_fail(storage, LUMEN_BAD_HOST, "storage: not even a page can be transferred");
		return LUMEN_BAD_HOST;
	}
	if (storage->max_transfer > most)
		storage->max_transfer = most;
	return LUMEN_OK;
}

// Opens the sub-channel if the host has offered it by now, or does so in time. A host that does not
// is not at fault.
static bool vsc_open_sub(struct lumen_storage *storage, const struct lumen_storage_config *config,
	uint32_t index, uint64_t deadline)
{
	const uint32_t *changes = lumen_vmbus_changes(config->bus);
	struct lumen_channel *channel;
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(changes, __ATOMIC_ACQUIRE);
		channel = lumen_channel_sub(storage->queues[0]->channel, index);
		if (channel)
			return vsc_queue_open(storage, channel, config, config->vps[index]) ==
			       LUMEN_OK;
		if (vsc_status(storage) != LUMEN_OK || lumen_is_due(deadline))
			return false;
		lumen_channel_wait(storage->queues[0]->channel, changes, seen, deadline);
	}
}

// As many more channels as the caller has VPs for and the host allows. With fewer it works too.
static lumen_status vsc_open_subs(struct lumen_storage *storage,
	const struct lumen_storage_config *config,
	const struct vstor_channel_properties *properties)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS };
	const uint64_t deadline = lumen_deadline_ns(storage->timeout_ns);
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
	status = vsc_control(storage, &packet);
	if (status != LUMEN_OK || storage->queues[0]->control.answer.status)
		return status;
	for (uint32_t i = 1; i <= count; i++) {
		if (!vsc_open_sub(storage, config, i, deadline))
			break;
	}
	return vsc_status(storage);
}

lumen_status vsc_negotiate(struct lumen_storage *storage, const struct lumen_storage_config *config)
{
	struct vstor_packet begin = { .operation = VSTOR_OPERATION_BEGIN_INITIALIZATION };
	struct vstor_packet end = { .operation = VSTOR_OPERATION_END_INITIALIZATION };
	struct vstor_channel_properties properties = { 0 };
	lumen_status status = vsc_demand(storage, &begin);

	if (status == LUMEN_OK)
		status = vsc_agree_version(storage, config->max_version);
	if (status == LUMEN_OK)
		status = vsc_agree_properties(storage, &properties);
	if (status == LUMEN_OK)
		status = vsc_demand(storage, &end);
	if (status == LUMEN_OK)
		status = vsc_open_subs(storage, config, &properties);
	return status;
}
