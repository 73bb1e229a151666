// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: a controller from open to close.
#include "drivers/vsc/storage/storage_internal.h"

#define STORAGE_DEPTH	      64u
#define STORAGE_SEND_PAGES    16u
#define STORAGE_RECEIVE_PAGES 8u
#define STORAGE_TIMEOUT_NS    30000000000ull
#define STORAGE_TIMEOUT_S     60u // told to the host; hosts do as they like

#define STORAGE_PACKET_SIZE 256u // the largest from the host, descriptor included

// A packet that is not more than the pages of its data.
#define STORAGE_PACKET_OVERHEAD 128u

struct lumen_channel *lumen_storage_find(struct lumen_vmbus *bus, uint32_t index)
{
	static const struct vmbus_guid type = VSTOR_SCSI_GUID;

	return lumen_vmbus_find(bus, &type, index);
}

// --- channels ---

// The words of the header of the largest packet.
static size_t storage_words(const struct lumen_storage *storage)
{
	return 2 + storage->max_transfer / VMBUS_PAGE_SIZE + 1;
}

// What all SCSI commands have in common.
static void storage_init_packet(const struct lumen_storage *storage, struct lumen_disk_queue *queue)
{
	queue->packet = (struct vstor_packet){
		.operation = VSTOR_OPERATION_EXECUTE_SRB,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION,
		.srb = {
			.length = (uint16_t)(storage->packet_size - VSTOR_HEADER_SIZE),
			.sense_info_length = VSTOR_SENSE_SIZE,
			.queue_tag = VSTOR_QUEUE_TAG_NONE,
			.queue_action = VSTOR_QUEUE_ACTION_SIMPLE,
			.time_out_value = STORAGE_TIMEOUT_S,
		},
	};
}

static struct lumen_disk_queue *storage_queue_create(
	struct lumen_storage *storage, struct lumen_channel *channel, uint32_t depth)
{
	const size_t lists = (sizeof(struct lumen_disk_queue) + STORAGE_LIST_STRIDE - 1) &
			     ~(size_t)(STORAGE_LIST_STRIDE - 1);
	const size_t words = lists + (size_t)depth * STORAGE_LIST_STRIDE;
	const size_t size = words + storage_words(storage) * sizeof(uint64_t);
	struct vsc_queue *base = vsc_queue_create(&storage->vsc, channel, size, depth);
	struct lumen_disk_queue *queue = storage_queue_of(base);

	if (!base)
		return NULL;
	queue->lists = (uint8_t *)queue + lists;
	queue->words = (uint64_t *)(void *)((uint8_t *)queue + words);
	queue->waiting_end = &queue->waiting;
	queue->done_end = &queue->done;
	storage_init_packet(storage, queue);
	return queue;
}

static void storage_handler(void *context, struct lumen_channel *channel)
{
	(void)channel;
	storage_service(context, true);
}

static uint32_t storage_or(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

lumen_status storage_queue_open(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config, uint32_t vp)
{
	struct lumen_disk_queue *queue =
		storage_queue_create(storage, channel, storage_or(config->depth, STORAGE_DEPTH));

	if (!queue)
		return LUMEN_NO_MEMORY;
	return vsc_queue_open(&queue->vsc,
		&(struct lumen_channel_config){
			.send_pages = storage_or(config->send_pages, STORAGE_SEND_PAGES),
			.receive_pages = storage_or(config->receive_pages, STORAGE_RECEIVE_PAGES),
			.target_vp = vp,
			.handler = storage_handler,
		});
}

// --- open and close ---

static bool storage_config_valid(const struct lumen_storage_config *config)
{
	return config->depth <= LUMEN_STORAGE_MAX_DEPTH &&
	       config->max_transfer % VMBUS_PAGE_SIZE == 0 &&
	       config->max_transfer <= LUMEN_STORAGE_MAX_TRANSFER &&
	       config->vp_count <= LUMEN_STORAGE_MAX_CHANNELS &&
	       (config->vps != NULL) == (config->vp_count > 0) &&
	       (config->vp_count <= 1 || config->bus);
}

// The most that one packet may carry: what was asked for, as far as two packets fit into the ring.
static uint32_t storage_transfer_limit(const struct lumen_storage_config *config)
{
	const uint64_t ring =
		(uint64_t)storage_or(config->send_pages, STORAGE_SEND_PAGES) * LUMEN_PAGE_SIZE;
	const uint64_t words = (ring / 2 - STORAGE_PACKET_OVERHEAD) / sizeof(uint64_t);
	const uint64_t most = (words - 1) * VMBUS_PAGE_SIZE;
	const uint32_t asked = storage_or(config->max_transfer, LUMEN_STORAGE_MAX_TRANSFER);

	return asked < most ? asked : (uint32_t)most;
}

static lumen_status storage_start_up(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config)
{
	const uint32_t vp = config->vp_count ? config->vps[0] : lumen_this_vp();
	lumen_status status = storage_queue_open(storage, channel, config, vp);

	if (status == LUMEN_OK)
		status = storage_negotiate(storage, config);
	if (status == LUMEN_OK)
		status = lumen_storage_scan(storage);
	return status;
}

static void storage_shut_down(struct lumen_storage *storage)
{
	vsc_shut_down(&storage->vsc);
	if (!storage->answer_lost) // else the host may not even have noticed the close
		lumen_free_pages(storage, storage->page_count);
}

lumen_status lumen_storage_open(struct lumen_channel *channel,
	const struct lumen_storage_config *config, struct lumen_storage **storage_out)
{
	static const struct lumen_storage_config defaults = { 0 };
	static const struct vsc_class storage_class = {
		.packet_size = STORAGE_PACKET_SIZE,
		.service = storage_service,
		.drop = storage_drop,
	};
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_storage));
	struct lumen_storage *storage;
	lumen_status status;

	config = config ? config : &defaults;
	if (!channel || !storage_config_valid(config))
		return LUMEN_BAD_ARGUMENT;
	storage = lumen_alloc_pages(pages);
	if (!storage)
		return LUMEN_NO_MEMORY;
	storage->vsc.class = &storage_class;
	storage->page_count = pages;
	storage->packet_size = VSTOR_PACKET_SIZE_V1; // until the host knows more
	storage->max_transfer = storage_transfer_limit(config);
	storage->vsc.timeout_ns = config->timeout_ns ? config->timeout_ns : STORAGE_TIMEOUT_NS;
	status = storage_start_up(storage, channel, config);
	if (status == LUMEN_OK)
		*storage_out = storage;
	else
		storage_shut_down(storage);
	return status;
}

void lumen_storage_close(struct lumen_storage *storage)
{
	struct vsc *vsc = &storage->vsc;

	__atomic_store_n(&vsc->closing, true, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < vsc->queue_count; i++) {
		struct lumen_disk_queue *queue = storage_queue_of(vsc->queues[i]);
		const uint64_t state = lumen_spin_lock_irq(&queue->vsc.lock);

		storage_end_waiting(queue, LUMEN_CANCELLED);
		storage_unlock(queue, state);
	}
	vsc_drain(vsc);
	storage_shut_down(storage);
}

// --- what it is like ---

lumen_status lumen_storage_status(const struct lumen_storage *storage)
{
	return vsc_status(&storage->vsc);
}

const char *lumen_storage_failure(const struct lumen_storage *storage)
{
	return __atomic_load_n(&storage->vsc.failure, __ATOMIC_ACQUIRE);
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
	return storage->vsc.queue_count;
}

const uint32_t *lumen_storage_changes(const struct lumen_storage *storage)
{
	return &storage->changes;
}

bool lumen_storage_poll(struct lumen_storage *storage)
{
	return vsc_poll(&storage->vsc);
}
