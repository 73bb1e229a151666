// SPDX-License-Identifier: BSD-2-Clause
// A guest for the tests of the storage VSP.
#include "storage_guest.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void *guest_page(void *context, uint64_t gpa_page)
{
	struct storage_guest *guest = context;

	return gpa_page < GUEST_PAGES ? guest->memory + gpa_page * VMBUS_PAGE_SIZE : NULL;
}

static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ", "S-0001",
	1 };

static void make_rings(struct storage_guest *guest, uint32_t pages)
{
	guest->ring_pages = pages;
	for (uint32_t i = 0; i < pages; i++) {
		guest->to_host[i] = aligned_alloc(VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE);
		guest->to_guest[i] = aligned_alloc(VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE);
		memset(guest->to_host[i], 0, VMBUS_PAGE_SIZE);
		memset(guest->to_guest[i], 0, VMBUS_PAGE_SIZE);
	}
	cr_assert_eq(vmbus_ring_writer_init(&guest->writer, guest->to_host, pages), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_reader_init(&guest->reader, guest->to_guest, pages), VMBUS_RING_OK);
}

void guest_create(
	struct storage_guest *guest, uint32_t ring_pages, uint32_t slots, uint32_t disk_flags)
{
	memset(guest, 0, sizeof(*guest));
	guest->memory = aligned_alloc(VMBUS_PAGE_SIZE, GUEST_PAGES * VMBUS_PAGE_SIZE);
	memset(guest->memory, 0xEE, GUEST_PAGES * VMBUS_PAGE_SIZE);
	make_rings(guest, ring_pages);
	memory_disk_init(&guest->disk, GUEST_BLOCKS, 512, disk_flags);
	for (uint32_t i = 0; i < GUEST_BLOCKS * 512; i++)
		guest->disk.data[i] = (uint8_t)(i / 512 * 13 + i);
	guest->config = (struct storage_vsp_config){
		.memory = { guest, guest_page },
		.adapter = &guest->adapter,
		.slot_count = slots,
		.max_transfer_bytes = 128 << 10,
	};
	guest->rings = (struct vsp_rings){
		.in_pages = guest->to_host,
		.in_page_count = ring_pages,
		.out_pages = guest->to_guest,
		.out_page_count = ring_pages,
	};
	cr_assert(scsi_disk_init(&guest->scsi, &guest->disk.device, &identity, 128 << 10));
	cr_assert(scsi_adapter_attach(&guest->adapter, 0, 0, 0, &guest->scsi));
	guest->vsp_memory =
		aligned_alloc(16, (vsp_size(&storage_vsp_class, &guest->config) + 15) & ~15ul);
	guest->vsp = vsp_open(&storage_vsp_class, guest->vsp_memory, &guest->rings, &guest->config);
	cr_assert_not_null(guest->vsp);
}

void guest_destroy(struct storage_guest *guest)
{
	vsp_stop(guest->vsp);
	memory_disk_run(&guest->disk, UINT32_MAX);
	cr_assert(vsp_idle(guest->vsp));
	cr_assert_eq(guest->scsi.in_flight, 0);
	for (uint32_t i = 0; i < guest->ring_pages; i++) {
		free(guest->to_host[i]);
		free(guest->to_guest[i]);
	}
	memory_disk_destroy(&guest->disk);
	free(guest->vsp_memory);
	free(guest->memory);
}

bool guest_send(struct storage_guest *guest, const struct vmbus_packet_out *out)
{
	if (vmbus_ring_write(&guest->writer, out) != VMBUS_RING_OK)
		return false;
	vmbus_ring_writer_commit(&guest->writer);
	return true;
}

bool guest_send_packet(struct storage_guest *guest, uint64_t transaction_id,
	const struct vstor_packet *packet, uint32_t length)
{
	const struct vmbus_piece piece = { packet, length };

	return guest_send(guest, &(struct vmbus_packet_out){
					 .type = VMBUS_PACKET_IN_BAND,
					 .flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
					 .transaction_id = transaction_id,
					 .payload = &piece,
					 .payload_count = 1,
				 });
}

bool guest_send_srb(struct storage_guest *guest, uint64_t transaction_id,
	const struct vstor_packet *packet, uint32_t length, uint32_t byte_offset,
	const uint64_t *pfns, uint32_t byte_count)
{
	const struct vmbus_gpa_direct_header direct = { 0, 1 };
	const struct vmbus_gpa_range_header range = { byte_count, byte_offset };
	const struct vmbus_piece header[] = {
		{ &direct, sizeof(direct) },
		{ &range, sizeof(range) },
		{ pfns, (uint32_t)vmbus_pages_spanned(byte_offset, byte_count) * 8 },
	};
	const struct vmbus_piece piece = { packet, length };

	if (byte_count == 0)
		return guest_send_packet(guest, transaction_id, packet, length);
	return guest_send(guest, &(struct vmbus_packet_out){
					 .type = VMBUS_PACKET_GPA_DIRECT,
					 .flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
					 .transaction_id = transaction_id,
					 .header = header,
					 .header_count = 3,
					 .payload = &piece,
					 .payload_count = 1,
				 });
}

bool guest_receive(struct storage_guest *guest)
{
	enum vmbus_ring_status status = vmbus_ring_read(
		&guest->reader, guest->buffer, sizeof(guest->buffer), &guest->packet);

	if (status == VMBUS_RING_EMPTY)
		return false;
	cr_assert_eq(status, VMBUS_RING_OK);
	vmbus_ring_reader_commit(&guest->reader);
	cr_assert_leq(guest->packet.payload_length, sizeof(guest->answer));
	memset(&guest->answer, 0, sizeof(guest->answer));
	memcpy(&guest->answer, guest->packet.payload, guest->packet.payload_length);
	return true;
}

uint32_t guest_poll(struct storage_guest *guest)
{
	uint32_t all = 0, flags;

	do {
		flags = vsp_poll(guest->vsp);
		all |= flags;
	} while (flags & VSP_AGAIN);
	return all;
}

void guest_control(struct storage_guest *guest, const struct vstor_packet *packet, uint32_t length,
	uint32_t status)
{
	static uint64_t transaction_id = UINT64_MAX / 2;

	cr_assert(guest_send_packet(guest, ++transaction_id, packet, length));
	cr_assert(guest_poll(guest) & VSP_SIGNAL);
	cr_assert(guest_receive(guest), "operation %u", packet->operation);
	cr_assert_eq(guest->packet.type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(guest->packet.transaction_id, transaction_id);
	cr_assert_eq(guest->packet.payload_length, length >= 64 ? 64 : 48);
	cr_assert_eq(guest->answer.operation, VSTOR_OPERATION_COMPLETE_IO);
	cr_assert_eq(guest->answer.status, status, "operation %u: %08x", packet->operation,
		guest->answer.status);
	cr_assert_not(guest_receive(guest));
}

void guest_initialize(struct storage_guest *guest, uint16_t version)
{
	const uint32_t length = version >= VSTOR_VERSION_5_1 ? 64 : 48;
	struct vstor_packet packet = { .flags = VSTOR_FLAG_REQUEST_COMPLETION };

	packet.operation = VSTOR_OPERATION_BEGIN_INITIALIZATION;
	guest_control(guest, &packet, length, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION;
	packet.version.major_minor = version;
	guest_control(guest, &packet, length, 0);
	cr_assert_eq(guest->answer.version.major_minor, version);
	packet.version.major_minor = 0;
	packet.operation = VSTOR_OPERATION_QUERY_PROPERTIES;
	guest_control(guest, &packet, length, 0);
	cr_assert_eq(guest->answer.properties.max_transfer_bytes, 128 << 10);
	cr_assert_eq(guest->answer.properties.max_channel_count, 0);
	cr_assert_eq(guest->answer.properties.flags, 0);
	packet.operation = VSTOR_OPERATION_END_INITIALIZATION;
	guest_control(guest, &packet, length, 0);
}

struct vstor_packet guest_srb(const uint8_t *cdb, uint8_t cdb_length, uint32_t data_length)
{
	struct vstor_packet packet = {
		.operation = VSTOR_OPERATION_EXECUTE_SRB,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION,
		.srb = {
			.length = VSTOR_SRB_SIZE_V2,
			.cdb_length = cdb_length,
			.sense_info_length = VSTOR_SENSE_SIZE,
			.data_in = data_length ? VSTOR_DATA_IN : VSTOR_DATA_NONE,
			.data_transfer_length = data_length,
			.time_out_value = 60,
		},
	};

	memcpy(packet.srb.cdb, cdb, cdb_length);
	return packet;
}
