// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: a controller from open to close.
#include "drivers/vsc/storage_internal.h"

#define VSC_DEPTH	  64u
#define VSC_SEND_PAGES	  16u
#define VSC_RECEIVE_PAGES 8u
#define VSC_TIMEOUT_NS	  30000000000ull
#define VSC_TIMEOUT_S	  60u // told to the host; hosts do as they like

// A packet that is not more than the pages of its data.
#define VSC_PACKET_OVERHEAD 128u

struct lumen_channel *lumen_storage_find(struct lumen_vmbus *bus, uint32_t index)
{
	static const struct vmbus_guid type = VSTOR_SCSI_GUID;

	return lumen_vmbus_find(bus, &type, index);
}

// --- channels ---

static uint32_t vsc_page_count(size_t bytes)
{
	return (uint32_t)((bytes + LUMEN_PAGE_SIZE - 1) / LUMEN_PAGE_SIZE);
}

// The words of the header of the largest packet.
static size_t vsc_words(const struct lumen_storage *storage)
{
	return 2 + storage->max_transfer / VMBUS_PAGE_SIZE + 1;
}

static void vsc_init_slots(struct vsc_queue *queue)
{
	queue->free = VSC_NO_SLOT;
	for (uint32_t i = queue->depth; i-- > 0;) {
		queue->slots[i].next = queue->free;
		queue->free = i;
	}
}

// What all SCSI commands have in common.
static void vsc_init_packet(const struct lumen_storage *storage, struct vsc_queue *queue)
{
	queue->packet = (struct vstor_packet){
		.operation = VSTOR_OPERATION_EXECUTE_SRB,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION,
		.srb = {
			.sense_info_length = VSTOR_SENSE_SIZE,
			.queue_tag = VSTOR_QUEUE_TAG_NONE,
			.queue_action = VSTOR_QUEUE_ACTION_SIMPLE,
			.time_out_value = VSC_TIMEOUT_S,
		},
	};
}

static struct vsc_queue *vsc_queue_create(
	struct lumen_storage *storage, struct lumen_channel *channel, uint32_t depth)
{
	const size_t lists =
		(sizeof(struct vsc_queue) + VSC_LIST_STRIDE - 1) & ~(size_t)(VSC_LIST_STRIDE - 1);
	const size_t slots = lists + (size_t)depth * VSC_LIST_STRIDE;
	const size_t words = slots + depth * sizeof(struct vsc_slot);
	const uint32_t pages = vsc_page_count(words + vsc_words(storage) * sizeof(uint64_t));
	uint8_t *memory = lumen_alloc_pages(pages);
	struct vsc_queue *queue = (struct vsc_queue *)(void *)memory;

	if (!queue)
		return NULL;
	queue->storage = storage;
	queue->channel = channel;
	queue->page_count = pages;
	queue->depth = depth;
	queue->lists = memory + lists;
	queue->slots = (struct vsc_slot *)(void *)(memory + slots);
	queue->words = (uint64_t *)(void *)(memory + words);
	queue->waiting_end = &queue->waiting;
	queue->done_end = &queue->done;
	vsc_init_slots(queue);
	vsc_init_packet(storage, queue);
	return queue;
}

static void vsc_handler(void *context, struct lumen_channel *channel)
{
	(void)channel;
	vsc_service(context, true);
}

static uint32_t vsc_or(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

lumen_status vsc_queue_open(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config, uint32_t vp)
{
	struct vsc_queue *queue =
		vsc_queue_create(storage, channel, vsc_or(config->depth, VSC_DEPTH));
	lumen_status status;

	if (!queue)
		return LUMEN_NO_MEMORY;
	status = lumen_channel_open(
		channel, &(struct lumen_channel_config){
				 .send_pages = vsc_or(config->send_pages, VSC_SEND_PAGES),
				 .receive_pages = vsc_or(config->receive_pages, VSC_RECEIVE_PAGES),
				 .target_vp = vp,
				 .handler = vsc_handler,
				 .context = queue,
			 });
	if (status != LUMEN_OK) {
		lumen_free_pages(queue, queue->page_count);
		return status;
	}
	queue->packet.srb.length = (uint16_t)(storage->packet_size - VSTOR_HEADER_SIZE);
	storage->queues[storage->queue_count] = queue;
	__atomic_store_n(&storage->queue_count, storage->queue_count + 1, __ATOMIC_RELEASE);
	return LUMEN_OK;
}

// --- open and close ---

static bool vsc_config_valid(const struct lumen_storage_config *config)
{
	return config->depth <= LUMEN_STORAGE_MAX_DEPTH &&
	       config->max_transfer % VMBUS_PAGE_SIZE == 0 &&
	       config->max_transfer <= LUMEN_STORAGE_MAX_TRANSFER &&
	       config->vp_count <= LUMEN_STORAGE_MAX_CHANNELS &&
	       (config->vps != NULL) == (config->vp_count > 0) &&
	       (config->vp_count <= 1 || config->bus);
}

// The most that one packet may carry: what was asked for, as far as two packets fit into the ring.
static uint32_t vsc_transfer_limit(const struct lumen_storage_config *config)
{
	const uint64_t ring =
		(uint64_t)vsc_or(config->send_pages, VSC_SEND_PAGES) * LUMEN_PAGE_SIZE;
	const uint64_t words = (ring / 2 - VSC_PACKET_OVERHEAD) / sizeof(uint64_t);
	const uint64_t most = (words - 1) * VMBUS_PAGE_SIZE;
	const uint32_t asked = vsc_or(config->max_transfer, LUMEN_STORAGE_MAX_TRANSFER);

	return asked < most ? asked : (uint32_t)most;
}

static lumen_status vsc_start_up(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config)
{
	const uint32_t vp = config->vp_count ? config->vps[0] : lumen_this_vp();
	lumen_status status = vsc_queue_open(storage, channel, config, vp);

	if (status == LUMEN_OK)
		status = vsc_negotiate(storage, config);
	if (status == LUMEN_OK)
		status = lumen_storage_scan(storage);
	return status;
}

// Closes the channels, and then, as the host does not touch memory any more, ends what is left.
static void vsc_shut_down(struct lumen_storage *storage)
{
	for (uint32_t i = storage->queue_count; i-- > 0;)
		lumen_channel_close(storage->queues[i]->channel);
	vsc_fail(storage, LUMEN_CANCELLED, "storage: closed");
	for (uint32_t i = 0; i < storage->queue_count; i++)
		vsc_unlock(storage->queues[i], lumen_spin_lock_irq(&storage->queues[i]->lock));
	for (uint32_t i = 0; i < storage->queue_count; i++)
		lumen_free_pages(storage->queues[i], storage->queues[i]->page_count);
	if (!storage->answer_lost) // else the host may not even have noticed the close
		lumen_free_pages(storage, storage->page_count);
}

lumen_status lumen_storage_open(struct lumen_channel *channel,
	const struct lumen_storage_config *config, struct lumen_storage **storage_out)
{
	static const struct lumen_storage_config defaults = { 0 };
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_storage));
	struct lumen_storage *storage;
	lumen_status status;

	config = config ? config : &defaults;
	if (!channel || !vsc_config_valid(config))
		return LUMEN_BAD_ARGUMENT;
	storage = lumen_alloc_pages(pages);
	if (!storage)
		return LUMEN_NO_MEMORY;
	storage->page_count = pages;
	storage->packet_size = VSTOR_PACKET_SIZE_V1; // until the host knows more
	storage->max_transfer = vsc_transfer_limit(config);
	storage->timeout_ns = config->timeout_ns ? config->timeout_ns : VSC_TIMEOUT_NS;
	status = vsc_start_up(storage, channel, config);
	if (status == LUMEN_OK)
		*storage_out = storage;
	else
		vsc_shut_down(storage);
	return status;
}

// Ends what the host does not have; of a request that it has in part, the rest.
static void vsc_cancel_waiting(struct vsc_queue *queue)
{
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);

	while (queue->waiting) {
		struct lumen_request *request = queue->waiting;

		vsc_unwait(queue, request);
		request->status = LUMEN_CANCELLED;
		request->blocks_left = 0;
		if (request->in_flight == 0)
			vsc_finish(queue, request);
	}
	vsc_unlock(queue, state);
}

static void vsc_drain(struct vsc_queue *queue, uint64_t deadline)
{
	uint32_t in_flight;

	for (;;) {
		vsc_service(queue, false);
		in_flight = __atomic_load_n(&queue->in_flight, __ATOMIC_ACQUIRE);
		if (in_flight == 0 || vsc_status(queue->storage) != LUMEN_OK ||
			lumen_is_due(deadline))
			return;
		lumen_channel_wait(queue->channel, &queue->in_flight, in_flight, deadline);
	}
}

void lumen_storage_close(struct lumen_storage *storage)
{
	uint64_t deadline;

	__atomic_store_n(&storage->closing, true, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < storage->queue_count; i++)
		vsc_cancel_waiting(storage->queues[i]);
	deadline = lumen_deadline_ns(storage->timeout_ns);
	for (uint32_t i = 0; i < storage->queue_count; i++)
		vsc_drain(storage->queues[i], deadline);
	vsc_shut_down(storage);
}

// --- what it is like ---

lumen_status lumen_storage_status(const struct lumen_storage *storage)
{
	return vsc_status(storage);
}

const char *lumen_storage_failure(const struct lumen_storage *storage)
{
	return __atomic_load_n(&storage->failure, __ATOMIC_ACQUIRE);
}

uint16_t lumen_storage_version(const struct lumen_storage *storage)
{
	return storage->version;
}

uint32_t lumen_storage_max_transfer(const struct lumen_storage *storage)
{
	return storage->max_transfer;
}

uint32_t lumen_storage_channels(const struct lumen_storage *storage)
{
	return storage->queue_count;
}

const uint32_t *lumen_storage_changes(const struct lumen_storage *storage)
{
	return &storage->changes;
}

bool lumen_storage_poll(struct lumen_storage *storage)
{
	bool any = false;

	for (uint32_t i = 0; i < storage->queue_count; i++)
		any |= vsc_service(storage->queues[i], false);
	return any;
}
