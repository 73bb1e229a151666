// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: NVSP, before the first frame: version, what the card is to take, the buffers.
#include "drivers/vsc/net/net_internal.h"

#include "base/macros.h"

#define NET_SECTION_MIN	    512u
#define NET_RECEIVE_PAGES   128u
#define NET_COALESCED_PAGES 512u // of which hosts may take 17 for each frame
#define NET_NDIS_MAJOR	    6u
#define NET_NDIS_MINOR	    30u
#define NET_NDIS_MINOR_OF_4 1u // up to NVSP_VERSION_4

static const uint32_t net_versions[] = { NVSP_VERSION_6_1, NVSP_VERSION_6, NVSP_VERSION_5,
	NVSP_VERSION_4, NVSP_VERSION_2, NVSP_VERSION_1 };

lumen_status net_tell(struct lumen_net *net, struct nvsp_message *message)
{
	const struct vmbus_piece piece = { message, net->message_size };
	struct vsc_queue *queue = net->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);
	lumen_status status = vsc_status(&net->vsc);

	if (status == LUMEN_OK)
		status = lumen_channel_send(queue->channel, &(struct vmbus_packet_out){
								    .type = VMBUS_PACKET_IN_BAND,
								    .payload = &piece,
								    .payload_count = 1,
							    });
	lumen_spin_unlock_irq(&queue->lock, state);
	return status;
}

lumen_status net_demand(struct lumen_net *net, struct nvsp_message *message, uint32_t answer)
{
	const lumen_status status = vsc_ask(&net->vsc, message, net->message_size);

	if (status != LUMEN_OK)
		return status;
	if (net_answer(net)->type != answer)
		vsc_bad_host(net->vsc.queues[0], "an answer to another question");
	return vsc_status(&net->vsc);
}

// --- version ---

static lumen_status net_agree_version(struct lumen_net *net, uint32_t newest)
{
	lumen_status status;

	for (size_t i = 0; i < ARRAY_SIZE(net_versions); i++) {
		const uint32_t version = net_versions[i];
		struct nvsp_message message = { .type = NVSP_INIT, .init = { version, version } };

		if (newest && version > newest)
			continue;
		status = net_demand(net, &message, NVSP_INIT_COMPLETE);
		if (status != LUMEN_OK)
			return status;
		if (net_answer(net)->init_complete.status != NVSP_STATUS_SUCCESS)
			continue;
		net->info.version = version;
		if (version >= NVSP_VERSION_6_1)
			net->message_size = NVSP_MESSAGE_SIZE_6_1;
		return LUMEN_OK;
	}
	return LUMEN_REFUSED;
}

// Neither is answered.
static lumen_status net_tell_wishes(struct lumen_net *net, bool coalesced)
{
	struct nvsp_message config = {
		.type = NVSP_SEND_NDIS_CONFIG,
		.ndis_config = { .mtu = net->info.mtu + LUMEN_NET_HEADER,
			.capabilities = NVSP_CAPABILITY_8021Q },
	};
	struct nvsp_message ndis = {
		.type = NVSP_SEND_NDIS_VERSION,
		.ndis_version = { NET_NDIS_MAJOR,
			net->info.version > NVSP_VERSION_4 ? NET_NDIS_MINOR : NET_NDIS_MINOR_OF_4 },
	};
	lumen_status status = LUMEN_OK;

	if (coalesced && net->info.version >= NVSP_VERSION_6_1)
		config.ndis_config.capabilities |= NVSP_CAPABILITY_RSC;
	if (net->info.version >= NVSP_VERSION_2)
		status = net_tell(net, &config);
	return status == LUMEN_OK ? net_tell(net, &ndis) : status;
}

// --- buffers ---

static lumen_status net_lend(struct lumen_net *net, struct net_buffer *buffer, size_t bytes)
{
	buffer->page_count = vsc_page_count(bytes);
	buffer->bytes = lumen_alloc_pages(buffer->page_count);
	if (!buffer->bytes)
		return LUMEN_NO_MEMORY;
	return lumen_gpadl_create(
		net->vsc.queues[0]->channel, buffer->bytes, buffer->page_count, &buffer->gpadl);
}

static uint32_t net_receive_pages(const struct lumen_net_config *config)
{
	if (config->receive_buffer_pages)
		return config->receive_buffer_pages;
	return net_wants_coalesced(config) ? NET_COALESCED_PAGES : NET_RECEIVE_PAGES;
}

static lumen_status net_lend_receive_buffer(struct lumen_net *net, uint32_t pages)
{
	struct nvsp_message message = { .type = NVSP_SEND_RECEIVE_BUFFER };
	const struct nvsp_receive_buffer_complete *answer =
		&net_answer(net)->receive_buffer_complete;
	const struct nvsp_receive_section *section = &answer->section;
	lumen_status status = net_lend(net, &net->received, (size_t)pages * LUMEN_PAGE_SIZE);

	if (status != LUMEN_OK)
		return status;
	message.buffer = (struct nvsp_buffer){ net->received.gpadl, NVSP_RECEIVE_BUFFER_ID, 0 };
	status = net_demand(net, &message, NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
	if (status != LUMEN_OK)
		return status;
	if (answer->status != NVSP_STATUS_SUCCESS)
		return LUMEN_REFUSED;
	// How the host takes it apart is its own affair: each frame says where it is.
	if (answer->section_count != 1 || section->offset || !section->pieces ||
		(uint64_t)section->piece_size * section->pieces >
			(uint64_t)net->received.page_count * LUMEN_PAGE_SIZE)
		vsc_bad_host(
			net->vsc.queues[0], "a receive buffer with other sections than there are");
	return vsc_status(&net->vsc);
}

// Slots have a section each: there may be fewer than was hoped for.
static void net_limit_depth(struct lumen_net *net, uint32_t sections)
{
	struct vsc_queue *queue = net->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);

	net->info.depth = queue->depth < sections ? queue->depth : sections;
	queue->free = VSC_NO_SLOT;
	for (uint32_t i = net->info.depth; i-- > 0;) {
		queue->slots[i].next = queue->free;
		queue->free = i;
	}
	lumen_spin_unlock_irq(&queue->lock, state);
}

static lumen_status net_lend_send_buffer(struct lumen_net *net, uint32_t queues)
{
	const uint32_t sections = queues * net->vsc.queues[0]->depth + 1;
	struct nvsp_message message = { .type = NVSP_SEND_SEND_BUFFER };
	const struct nvsp_send_buffer_complete *answer = &net_answer(net)->send_buffer_complete;
	lumen_status status = net_lend(net, &net->sending, (size_t)sections * NET_SECTION_SIZE);
	uint32_t bytes;

	if (status != LUMEN_OK)
		return status;
	message.buffer = (struct nvsp_buffer){ net->sending.gpadl, NVSP_SEND_BUFFER_ID, 0 };
	status = net_demand(net, &message, NVSP_SEND_SEND_BUFFER_COMPLETE);
	if (status != LUMEN_OK)
		return status;
	if (answer->status != NVSP_STATUS_SUCCESS)
		return LUMEN_REFUSED;
	bytes = net->sending.page_count * LUMEN_PAGE_SIZE;
	net->section_size = answer->section_size;
	if (net->section_size < NET_SECTION_MIN || net->section_size > bytes / 2) {
		vsc_bad_host(net->vsc.queues[0], "a send buffer with sections of no use");
		return LUMEN_BAD_HOST;
	}
	net_limit_depth(net, (bytes / net->section_size - 1) / queues);
	net->control_section = queues * net->info.depth;
	return net->info.depth ? LUMEN_OK : LUMEN_REFUSED;
}

lumen_status net_negotiate(struct lumen_net *net, const struct lumen_net_config *config)
{
	lumen_status status = net_agree_version(net, config->max_version);

	if (status == LUMEN_OK)
		status = net_tell_wishes(net, net_wants_coalesced(config));
	if (status == LUMEN_OK)
		status = net_lend_receive_buffer(net, net_receive_pages(config));
	if (status == LUMEN_OK)
		status = net_lend_send_buffer(net, net_wanted_queues(config));
	return status;
}

// --- the end ---

void net_revoke(struct lumen_net *net)
{
	struct nvsp_message received = { .type = NVSP_REVOKE_RECEIVE_BUFFER,
		.revoke = { NVSP_RECEIVE_BUFFER_ID } };
	struct nvsp_message sending = { .type = NVSP_REVOKE_SEND_BUFFER,
		.revoke = { NVSP_SEND_BUFFER_ID } };

	net_tell(net, &received); // if there is no room: closing the channel says the same
	net_tell(net, &sending);
}

static void net_take_buffer_back(struct lumen_channel *channel, struct net_buffer *buffer)
{
	if (!buffer->bytes)
		return;
	if (!buffer->gpadl || lumen_gpadl_destroy(channel, buffer->gpadl) == LUMEN_OK)
		lumen_free_pages(buffer->bytes, buffer->page_count);
	else
		lumen_log(LUMEN_LOG_ERROR, "net: the host keeps a buffer");
}

void net_take_back(struct lumen_net *net, struct lumen_channel *channel)
{
	net_take_buffer_back(channel, &net->sending);
	net_take_buffer_back(channel, &net->received);
}
