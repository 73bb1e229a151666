// SPDX-License-Identifier: BSD-2-Clause
// See storage_guest.h.
#include "storage_guest.h"

#include <criterion/criterion.h>
#include <string.h>

struct vstor_packet guest_answer;
uint32_t guest_at;

void guest_create(uint32_t ring_pages, uint32_t slots, uint32_t disk_flags)
{
	guest_at = 0;
	storage_host_create(disk_flags, GUEST_BLOCKS, GUEST_PAGES);
	memset(rig.ram, 0xEE, GUEST_PAGES * VMBUS_PAGE_SIZE);
	storage_host.config.slot_count = slots;
	storage_host.config.max_transfer_bytes = 128 << 10;
	storage_host.scsi[0].max_transfer_blocks = (128 << 10) / 512;
	rig.hostile = true;
	rig_open(&rig.channels[0], ring_pages, ring_pages);
}

void guest_destroy(void)
{
	rig_close(&rig.channels[0]);
	storage_host_destroy();
}

bool guest_send(const struct vmbus_packet_out *out)
{
	return rig_write(&guest_channel()->guest, out);
}

bool guest_send_packet(uint64_t transaction_id, const struct vstor_packet *packet, uint32_t length)
{
	const struct vmbus_piece piece = { packet, length };

	return guest_send(&(struct vmbus_packet_out){
		.type = VMBUS_PACKET_IN_BAND,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = transaction_id,
		.payload = &piece,
		.payload_count = 1,
	});
}

bool guest_send_srb(uint64_t transaction_id, const struct vstor_packet *packet, uint32_t length,
	uint32_t byte_offset, const uint64_t *pfns, uint32_t byte_count)
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
		return guest_send_packet(transaction_id, packet, length);
	return guest_send(&(struct vmbus_packet_out){
		.type = VMBUS_PACKET_GPA_DIRECT,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = transaction_id,
		.header = header,
		.header_count = 3,
		.payload = &piece,
		.payload_count = 1,
	});
}

bool guest_receive(void)
{
	if (!rig_read(&guest_channel()->guest)) {
		cr_assert_eq(guest_channel()->guest.status, VMBUS_RING_EMPTY);
		return false;
	}
	cr_assert_leq(guest_packet()->payload_length, sizeof(guest_answer));
	memset(&guest_answer, 0, sizeof(guest_answer));
	memcpy(&guest_answer, guest_packet()->payload, guest_packet()->payload_length);
	return true;
}

void guest_control(const struct vstor_packet *packet, uint32_t length, uint32_t status)
{
	static uint64_t transaction_id = UINT64_MAX / 2;

	cr_assert(guest_send_packet(++transaction_id, packet, length));
	cr_assert(guest_poll() & VSP_SIGNAL);
	cr_assert(guest_receive(), "operation %u", packet->operation);
	cr_assert_eq(guest_packet()->type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(guest_packet()->transaction_id, transaction_id);
	cr_assert_eq(guest_packet()->payload_length, length >= 64 ? 64 : 48);
	cr_assert_eq(guest_answer.operation, VSTOR_OPERATION_COMPLETE_IO);
	cr_assert_eq(guest_answer.status, status, "operation %u: %08x", packet->operation,
		guest_answer.status);
	cr_assert_not(guest_receive());
}

void guest_initialize(uint16_t version)
{
	const uint32_t length = version >= VSTOR_VERSION_5_1 ? 64 : 48;
	struct vstor_packet packet = { .flags = VSTOR_FLAG_REQUEST_COMPLETION };

	packet.operation = VSTOR_OPERATION_BEGIN_INITIALIZATION;
	guest_control(&packet, length, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION;
	packet.version.major_minor = version;
	guest_control(&packet, length, 0);
	cr_assert_eq(guest_answer.version.major_minor, version);
	packet.version.major_minor = 0;
	packet.operation = VSTOR_OPERATION_QUERY_PROPERTIES;
	guest_control(&packet, length, 0);
	cr_assert_eq(guest_answer.properties.max_transfer_bytes, 128 << 10);
	cr_assert_eq(guest_answer.properties.max_channel_count,
		version >= VSTOR_VERSION_5_1 ? storage_host.config.sub_channels_max : 0);
	cr_assert_eq(guest_answer.properties.flags, guest_answer.properties.max_channel_count
							    ? VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL
							    : 0);
	packet.operation = VSTOR_OPERATION_END_INITIALIZATION;
	guest_control(&packet, length, 0);
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
