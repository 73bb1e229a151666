// SPDX-License-Identifier: BSD-2-Clause
// A host for the tests of the storage VSC.
#include "vsc_host.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lumen/spin.h"
#include "tests/unit/start_clock.h"

#define GPA_FLIP (1ull << 50) // so that an address is no guest physical address

struct vsc_host vsc_host;
_Thread_local bool vsc_host_irq_off;

static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ", "S-0001",
	1 };

static void check(bool condition)
{
	if (!condition)
		abort();
}

// --- platform.h ---

static struct {
	void *pages;
	size_t count;
} allocated[16];

void *lumen_alloc_pages(size_t count)
{
	uint32_t i = 0;

	if (++vsc_host.allocations == vsc_host.fail_alloc)
		return NULL;
	while (allocated[i].pages)
		check(++i < 16);
	allocated[i].pages = aligned_alloc(LUMEN_PAGE_SIZE, count * LUMEN_PAGE_SIZE);
	allocated[i].count = count;
	memset(allocated[i].pages, 0, count * LUMEN_PAGE_SIZE);
	vsc_host.pages += (uint32_t)count;
	return allocated[i].pages;
}

void lumen_free_pages(void *pages, size_t count)
{
	uint32_t i = 0;

	while (allocated[i].pages != pages)
		check(++i < 16);
	check(allocated[i].count == count);
	allocated[i].pages = NULL;
	vsc_host.pages -= (uint32_t)count;
	free(pages);
}

void vsc_host_free_pages(void)
{
	for (uint32_t i = 0; i < 16; i++) {
		if (allocated[i].pages)
			lumen_free_pages(allocated[i].pages, allocated[i].count);
	}
}

uint64_t lumen_gpa(const void *address)
{
	return (uint64_t)(uintptr_t)address ^ GPA_FLIP;
}

uint64_t vsc_host_gpa(const void *address)
{
	return lumen_gpa(address);
}

void *vsc_host_memory(uint64_t gpa)
{
	return (void *)(uintptr_t)(gpa ^ GPA_FLIP);
}

uint64_t lumen_irq_save(void)
{
	const bool was = vsc_host_irq_off;

	vsc_host_irq_off = true;
	return was;
}

void lumen_irq_restore(uint64_t state)
{
	check(vsc_host_irq_off);
	vsc_host_irq_off = state;
}

// With one thread, a lock that is taken twice would never be free.
uint64_t lumen_spin_lock_irq(struct lumen_spinlock *lock)
{
	const uint64_t state = lumen_irq_save();

	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE)) {
		check(vsc_host.threaded);
		sched_yield();
	}
	return state;
}

void lumen_spin_unlock_irq(struct lumen_spinlock *lock, uint64_t state)
{
	check(__atomic_load_n(&lock->taken, __ATOMIC_RELAXED));
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
	lumen_irq_restore(state);
}

uint32_t lumen_this_vp(void)
{
	return vsc_host.vp;
}

uint64_t lumen_now_ns(void)
{
	return vsc_host.now;
}

void lumen_wake(const uint32_t *word)
{
	(void)word;
}

void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	check(!vsc_host_irq_off);
	if (vsc_host.threaded) {
		sched_yield();
		return;
	}
	vsc_host.waits++;
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return;
	if (!vsc_host_run() && !lumen_is_due(deadline_ns))
		vsc_host.now = deadline_ns;
}

// --- the host ---

static void *host_page(void *context, uint64_t gpa_page)
{
	(void)context;
	return (void *)(uintptr_t)(gpa_page << VMBUS_PAGE_SHIFT ^ GPA_FLIP);
}

static void call_handler(struct lumen_channel *channel)
{
	if (!channel->open || !vsc_host.interrupts)
		return;
	vmbus_ring_reader_mask(&channel->reader);
	vsc_host_irq_off = true;
	channel->config.handler(channel->config.context, channel);
	vsc_host_irq_off = false;
}

static bool run_channel(struct lumen_channel *channel)
{
	uint32_t flags, all = 0;

	if (!channel->open)
		return false;
	if (channel->vsp && !channel->stopped) {
		do {
			flags = vsp_poll(channel->vsp);
			check(!(flags & VSP_FAILED));
			all |= flags;
		} while (flags & VSP_AGAIN);
	}
	channel->signalled |= (all & VSP_SIGNAL) != 0;
	if (!channel->signalled)
		return false;
	channel->signalled = false;
	call_handler(channel);
	return true;
}

bool vsc_host_run(void)
{
	bool any = false;

	if (vsc_host.mute)
		return false;
	if (++vsc_host.runs == vsc_host.mute_after) {
		vsc_host.mute = true;
		return false;
	}
	if (vsc_host.runs == vsc_host.rescind_after) {
		vsc_host_rescind();
		return true;
	}
	for (uint32_t i = 0; i < VSC_HOST_DISKS; i++)
		memory_disk_run(&vsc_host.disks[i], vsc_host.complete);
	for (uint32_t i = 0; i < VSC_HOST_CHANNELS; i++)
		any |= run_channel(&vsc_host.channels[i]);
	for (uint32_t i = 0; i < VSC_HOST_DISKS; i++)
		any |= vsc_host.complete > 0 && vsc_host.disks[i].waiting > 0;
	return any;
}

static void stop_vsp(struct lumen_channel *channel)
{
	if (!channel->vsp)
		return;
	vsp_stop(channel->vsp);
	for (uint32_t i = 0; i < VSC_HOST_DISKS; i++)
		memory_disk_run(&vsc_host.disks[i], UINT32_MAX);
	check(vsp_idle(channel->vsp));
	channel->stopped = true;
}

void vsc_host_rescind(void)
{
	for (uint32_t i = 0; i < VSC_HOST_CHANNELS; i++) {
		struct lumen_channel *channel = &vsc_host.channels[i];

		channel->rescinded = true;
		stop_vsp(channel);
		call_handler(channel);
	}
}

void vsc_host_add_disk(
	uint32_t index, uint8_t target, uint8_t lun, uint32_t block_size, uint32_t flags)
{
	struct memory_disk *disk = &vsc_host.disks[index];

	memory_disk_init(disk, vsc_host.blocks, block_size, flags);
	for (uint32_t i = 0; i < vsc_host.blocks * block_size; i++)
		disk->data[i] = (uint8_t)(i / 512 * 13 + i + index);
	check(scsi_disk_init(
		&vsc_host.scsi[index], &disk->device, &identity, vsc_host.max_transfer));
	check(scsi_adapter_attach(&vsc_host.adapter, 0, target, lun, &vsc_host.scsi[index]));
}

void vsc_host_create(uint32_t flags)
{
	vsc_host_create_sized(flags, VSC_HOST_BLOCKS);
}

void vsc_host_create_sized(uint32_t flags, uint32_t blocks)
{
	memset(&vsc_host, 0, sizeof(vsc_host));
	vsc_host.blocks = blocks;
	vsc_host.interrupts = true;
	vsc_host.max_transfer = 256 << 10;
	vsc_host.slots = 64;
	vsc_host.now = start_clock();
	for (uint32_t i = 0; i < VSC_HOST_CHANNELS; i++)
		vsc_host.channels[i].index = i;
	vsc_host_add_disk(0, 0, 0, 512, flags);
}

void vsc_host_destroy(void)
{
	check(vsc_host.pages == 0);
	check(!vsc_host_irq_off);
	for (uint32_t i = 0; i < VSC_HOST_CHANNELS; i++)
		check(!vsc_host.channels[i].open);
	for (uint32_t i = 0; i < VSC_HOST_DISKS; i++)
		memory_disk_destroy(&vsc_host.disks[i]);
}

// --- vmbus.h ---

struct lumen_channel *lumen_vmbus_find(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t index)
{
	static const struct vmbus_guid scsi = VSTOR_SCSI_GUID;

	(void)bus;
	return index == 0 && memcmp(type, &scsi, sizeof(scsi)) == 0 ? &vsc_host.channels[0] : NULL;
}

const uint32_t *lumen_vmbus_changes(const struct lumen_vmbus *bus)
{
	(void)bus;
	return &vsc_host.changes;
}

struct lumen_channel *lumen_channel_sub(struct lumen_channel *channel, uint32_t index)
{
	check(channel == &vsc_host.channels[0] && index > 0);
	return index <= vsc_host.offered_subs ? &vsc_host.channels[index] : NULL;
}

bool lumen_channel_rescinded(const struct lumen_channel *channel)
{
	return channel->rescinded;
}

static void **make_ring(uint32_t count)
{
	void **pages = calloc(count, sizeof(*pages));

	for (uint32_t i = 0; i < count; i++) {
		pages[i] = aligned_alloc(LUMEN_PAGE_SIZE, LUMEN_PAGE_SIZE);
		memset(pages[i], 0, LUMEN_PAGE_SIZE);
	}
	return pages;
}

static void free_ring(void **pages, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(pages[i]);
	free(pages);
}

static void start_vsp(struct lumen_channel *channel)
{
	const struct storage_vsp_config config = {
		.memory = { NULL, host_page },
		.adapter = &vsc_host.adapter,
		.slot_count = vsc_host.slots,
		.max_transfer_bytes = vsc_host.max_transfer,
	};
	const struct vsp_rings rings = {
		.in_pages = channel->send_pages,
		.in_page_count = channel->send_count,
		.out_pages = channel->receive_pages,
		.out_page_count = channel->receive_count,
	};

	channel->vsp_memory =
		aligned_alloc(16, (vsp_size(&storage_vsp_class, &config) + 15) & ~15ul);
	channel->vsp = vsp_open(&storage_vsp_class, channel->vsp_memory, &rings, &config);
	channel->stopped = false;
	check(channel->vsp != NULL);
}

static void init_rings(struct lumen_channel *channel)
{
	check(vmbus_ring_writer_init(&channel->writer, channel->send_pages, channel->send_count) ==
		VMBUS_RING_OK);
	check(vmbus_ring_reader_init(&channel->reader, channel->receive_pages,
		      channel->receive_count) == VMBUS_RING_OK);
}

// The VSP knows nothing of sub-channels, which need no negotiation: it is negotiated with here.
static void negotiate_for_sub(struct lumen_channel *channel)
{
	static const struct vstor_packet packets[] = {
		{ .operation = VSTOR_OPERATION_BEGIN_INITIALIZATION },
		{ .operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
			.version.major_minor = VSTOR_VERSION_6_2 },
		{ .operation = VSTOR_OPERATION_QUERY_PROPERTIES },
		{ .operation = VSTOR_OPERATION_END_INITIALIZATION },
	};

	for (uint32_t i = 0; i < 4; i++) {
		const struct vmbus_piece piece = { &packets[i], sizeof(packets[i]) };

		check(vmbus_ring_write(&channel->writer,
			      &(struct vmbus_packet_out){ .type = VMBUS_PACKET_IN_BAND,
				      .payload = &piece,
				      .payload_count = 1 }) == VMBUS_RING_OK);
	}
	vmbus_ring_writer_commit(&channel->writer);
	vsp_poll(channel->vsp);
}

lumen_status lumen_channel_open(
	struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	const lumen_status status = vsc_host.open_status;

	check(!channel->open && config->handler);
	vsc_host.open_status = LUMEN_OK;
	if (status != LUMEN_OK)
		return status;
	if (channel->rescinded)
		return LUMEN_RESCINDED;
	channel->config = *config;
	channel->send_count = config->send_pages + 1;
	channel->receive_count = config->receive_pages + 1;
	channel->send_pages = make_ring(channel->send_count);
	channel->receive_pages = make_ring(channel->receive_count);
	channel->open = true;
	init_rings(channel);
	start_vsp(channel);
	if (channel->index > 0)
		negotiate_for_sub(channel);
	return LUMEN_OK;
}

void lumen_channel_close(struct lumen_channel *channel)
{
	check(channel->open && !vsc_host_irq_off);
	stop_vsp(channel);
	free(channel->vsp_memory);
	channel->vsp = NULL;
	free_ring(channel->send_pages, channel->send_count);
	free_ring(channel->receive_pages, channel->receive_count);
	channel->open = false;
}

static void note_sent(struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	struct vstor_packet payload;

	check(packet->payload_count == 1 && packet->payload[0].length >= VSTOR_PACKET_SIZE_V1 &&
		packet->payload[0].length <= sizeof(payload));
	channel->sent_length = packet->payload[0].length;
	channel->sent_id = packet->transaction_id;
	channel->sent_gpa = 0;
	if (packet->header_count > 0) {
		const uint64_t *words = packet->header[0].data;

		channel->sent_gpa = words[2] << VMBUS_PAGE_SHIFT | words[1] >> 32;
	}
	memcpy(channel->sent, packet->payload[0].data, channel->sent_length);
	memcpy(&payload, channel->sent, sizeof(payload));
	if (payload.operation != VSTOR_OPERATION_EXECUTE_SRB)
		channel->asked = payload.operation;
}

lumen_status lumen_channel_queue(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	enum vmbus_ring_status status;
	uint32_t header = 0;

	check(channel->open);
	if (channel->rescinded)
		return LUMEN_RESCINDED;
	for (uint32_t i = 0; i < packet->header_count; i++)
		header += packet->header[i].length;
	do {
		status = vmbus_ring_write(&channel->writer, packet);
		if (status != VMBUS_RING_FULL)
			break;
		lumen_channel_flush(channel);
	} while (vmbus_ring_writer_wait(
		&channel->writer, vmbus_ring_packet_room(header, packet->payload[0].length)));
	check(status != VMBUS_RING_UNWRITABLE);
	if (status == VMBUS_RING_FULL)
		return LUMEN_BUSY;
	if (status != VMBUS_RING_OK)
		return LUMEN_BAD_HOST;
	note_sent(channel, packet);
	return LUMEN_OK;
}

void lumen_channel_flush(struct lumen_channel *channel)
{
	check(channel->open);
	channel->flushes++;
	if (vmbus_ring_writer_commit(&channel->writer))
		channel->signals++;
}

lumen_status lumen_channel_send(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	struct vmbus_packet_out out = *packet;
	struct vstor_packet payload = { 0 };
	const struct vmbus_piece piece = { &payload, packet->payload[0].length };
	lumen_status status;

	check(packet->payload_count == 1 && piece.length <= sizeof(payload));
	memcpy(&payload, packet->payload[0].data, piece.length);
	if (payload.operation == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION && vsc_host.newest &&
		payload.version.major_minor > vsc_host.newest)
		payload.version.major_minor = 0x7700; // which the VSP does not know
	out.payload = &piece;
	status = lumen_channel_queue(channel, &out);
	lumen_channel_flush(channel);
	return status;
}

lumen_status lumen_channel_receive(
	struct lumen_channel *channel, void *buffer, uint32_t size, struct vmbus_packet *packet)
{
	enum vmbus_ring_status status;

	check(channel->open && vsc_host_irq_off);
	status = vmbus_ring_read(&channel->reader, buffer, size, packet);
	if (status == VMBUS_RING_EMPTY)
		return LUMEN_BUSY;
	if (status != VMBUS_RING_OK)
		return LUMEN_BAD_HOST;
	if (vsc_host.tamper)
		vsc_host.tamper(
			channel, packet, (struct vstor_packet *)(void *)(uintptr_t)packet->payload);
	return LUMEN_OK;
}

void lumen_channel_wait(
	struct lumen_channel *channel, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)channel;
	lumen_wait(word, value, deadline_ns);
}

bool lumen_channel_unmask(struct lumen_channel *channel)
{
	check(channel->open && vsc_host_irq_off);
	vmbus_ring_reader_commit(&channel->reader); // the host is run again anyway
	if (vsc_host.on_commit)
		vsc_host.on_commit();
	return vmbus_ring_reader_unmask(&channel->reader);
}

// --- a test in the host's place ---

void vsc_host_take_over(struct vsc_raw *raw, uint32_t channel)
{
	raw->channel = &vsc_host.channels[channel];
	stop_vsp(raw->channel);
	check(vmbus_ring_reader_init(&raw->reader, raw->channel->send_pages,
		      raw->channel->send_count) == VMBUS_RING_OK);
	check(vmbus_ring_writer_init(&raw->writer, raw->channel->receive_pages,
		      raw->channel->receive_count) == VMBUS_RING_OK);
}

bool vsc_raw_read(struct vsc_raw *raw)
{
	const enum vmbus_ring_status status =
		vmbus_ring_read(&raw->reader, raw->buffer, sizeof(raw->buffer), &raw->packet);

	check(status == VMBUS_RING_OK || status == VMBUS_RING_EMPTY);
	vmbus_ring_reader_commit(&raw->reader);
	return status == VMBUS_RING_OK;
}

void vsc_raw_write(struct vsc_raw *raw, uint16_t type, uint64_t transaction_id, const void *payload,
	uint32_t length)
{
	const struct vmbus_piece piece = { payload, length };

	check(vmbus_ring_write(&raw->writer, &(struct vmbus_packet_out){
						     .type = type,
						     .transaction_id = transaction_id,
						     .payload = &piece,
						     .payload_count = 1,
					     }) == VMBUS_RING_OK);
	vmbus_ring_writer_commit(&raw->writer);
	raw->channel->signalled = true;
}

void vsc_raw_complete(struct vsc_raw *raw, uint64_t transaction_id, uint32_t bytes)
{
	const struct vstor_packet answer = {
		.operation = VSTOR_OPERATION_COMPLETE_IO,
		.srb = { .srb_status = VSTOR_SRB_STATUS_SUCCESS, .data_transfer_length = bytes },
	};

	vsc_raw_write(raw, VMBUS_PACKET_COMPLETION, transaction_id, &answer, sizeof(answer));
}
