// SPDX-License-Identifier: BSD-2-Clause
// See storage_host.h.
#include "storage_host.h"

#include <string.h>

struct storage_host storage_host;

static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ", "S-0001",
	1 };

static uint32_t run_disks(uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < STORAGE_HOST_DISKS; i++)
		run += memory_disk_run(&storage_host.disks[i], count);
	return run;
}

void storage_host_add_disk(
	uint32_t index, uint8_t target, uint8_t lun, uint32_t block_size, uint32_t flags)
{
	struct memory_disk *disk = &storage_host.disks[index];
	struct scsi_disk *scsi = &storage_host.scsi[index];

	memory_disk_init(disk, storage_host.blocks, block_size, flags);
	for (uint32_t i = 0; i < storage_host.blocks * block_size; i++)
		disk->data[i] = (uint8_t)(i / 512 * 13 + i + index);
	rig_check(scsi_disk_init(
		scsi, &disk->device, &identity, storage_host.config.max_transfer_bytes));
	rig_check(scsi_adapter_attach(&storage_host.adapter, 0, target, lun, scsi));
}

// --- what a VSC says and hears ---

// A host that knows no version above `newest`.
static void on_send(struct lumen_channel *channel, struct vmbus_packet_out *packet)
{
	static struct vstor_packet payload;
	static struct vmbus_piece piece;

	(void)channel;
	rig_check(packet->payload_count == 1 && packet->payload[0].length >= VSTOR_PACKET_SIZE_V1 &&
		  packet->payload[0].length <= sizeof(payload));
	if (!storage_host.newest)
		return;
	piece = (struct vmbus_piece){ &payload, packet->payload[0].length };
	memcpy(&payload, packet->payload[0].data, piece.length);
	if (payload.operation != VSTOR_OPERATION_QUERY_PROTOCOL_VERSION ||
		payload.version.major_minor <= storage_host.newest)
		return;
	payload.version.major_minor = 0x7700; // which the VSP does not know
	packet->payload = &piece;
}

static void on_sent(struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	struct vstor_packet payload;

	(void)packet;
	memcpy(&payload, channel->sent, sizeof(payload));
	if (payload.operation != VSTOR_OPERATION_EXECUTE_SRB)
		storage_host.asked = payload.operation;
}

static void on_receive(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	if (storage_host.tamper)
		storage_host.tamper(
			channel, packet, (struct vstor_packet *)(void *)(uintptr_t)packet->payload);
}

void storage_host_complete(struct rig_end *host, uint64_t transaction_id, uint32_t bytes)
{
	const struct vstor_packet answer = {
		.operation = VSTOR_OPERATION_COMPLETE_IO,
		.srb = { .srb_status = VSTOR_SRB_STATUS_SUCCESS, .data_transfer_length = bytes },
	};

	rig_check(rig_say(host, VMBUS_PACKET_COMPLETION, transaction_id, &answer, sizeof(answer)));
}

// --- begin and end ---

void storage_host_create(uint32_t flags, uint32_t blocks, uint32_t ram_pages)
{
	const struct vsp_class *class = &storage_vsp_class;

	rig_create(ram_pages);
	rig.backend = run_disks;
	rig.on_send = on_send;
	rig.on_sent = on_sent;
	rig.on_receive = on_receive;
	memset(&storage_host, 0, sizeof(storage_host));
	storage_host.blocks = blocks;
	storage_host.config = (struct storage_vsp_config){
		.memory = rig_memory,
		.adapter = &storage_host.adapter,
		.slot_count = 64,
		.max_transfer_bytes = 256 << 10,
	};
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		rig_offer(i, &class->guid, class, &storage_host.config);
	storage_host_add_disk(0, 0, 0, 512, flags);
}

void storage_host_destroy(void)
{
	rig_destroy();
	for (uint32_t i = 0; i < STORAGE_HOST_DISKS; i++) {
		rig_check(storage_host.scsi[i].in_flight == 0);
		memory_disk_destroy(&storage_host.disks[i]);
	}
}
