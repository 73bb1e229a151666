// SPDX-License-Identifier: BSD-2-Clause
// See net_guest.h.
#include "net_guest.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"

struct net_guest net_guest;

enum { RING_PAGES = 9 };

static uint8_t *ram_at(uint32_t page)
{
	return rig.ram + page * VMBUS_PAGE_SIZE;
}

// Page by page, as they lie backwards in RAM.
static void copy_from(uint32_t gpadl, uint32_t offset, void *to, uint32_t length)
{
	uint8_t *bytes = to;

	for (uint32_t i = 0; i < length; i++, offset++)
		bytes[i] =
			ram_at((uint32_t)net_host.gpadls[gpadl]
					.pfns[offset / VMBUS_PAGE_SIZE])[offset % VMBUS_PAGE_SIZE];
}

static void make_gpadl(uint32_t gpadl, uint32_t page, uint32_t pages)
{
	net_host.gpadls[gpadl].byte_count = pages * VMBUS_PAGE_SIZE;
	for (uint32_t i = 0; i < pages; i++)
		net_host.gpadls[gpadl].pfns[i] = page + pages - 1 - i;
}

void net_guest_create(uint32_t queues)
{
	memset(&net_guest, 0, sizeof(net_guest));
	net_host_create(queues, GUEST_RAM);
	memset(rig.ram, 0xEE, GUEST_RAM * VMBUS_PAGE_SIZE);
	make_gpadl(GUEST_RECEIVE_GPADL, GUEST_RECEIVE_PAGE, GUEST_RECEIVE_PAGES);
	make_gpadl(GUEST_SEND_GPADL, GUEST_SEND_PAGE, GUEST_SEND_PAGES);
	rig.hostile = true;
	rig_open(&rig.channels[0], RING_PAGES, RING_PAGES);
}

void net_guest_destroy(void)
{
	for (uint32_t i = RIG_CHANNELS; i-- > 0;)
		if (rig.channels[i].open)
			rig_close(&rig.channels[i]);
	for (uint32_t i = 0; i < NET_LENT; i++)
		cr_assert(!net_host.loans[i].gpadl, "a buffer is still lent");
	cr_assert_null(net_host.wire.rooms);
	rig_destroy();
}

void net_guest_run(void)
{
	bool any;

	do {
		for (uint32_t i = 0; i < RIG_CHANNELS; i++)
			if (rig.channels[i].vsp && !rig.channels[i].stopped)
				rig_poll(&rig.channels[i]);
		any = rig.backend(rig.complete ? rig.complete : 1000) > 0;
	} while (any);
}

void net_guest_open_sub(uint32_t index)
{
	cr_assert_geq(rig.offered_subs, index);
	rig_open(&rig.channels[index], RING_PAGES, RING_PAGES);
}

// --- to the host ---

void net_guest_send(uint64_t transaction_id, const struct nvsp_message *message,
	const struct vmbus_gpa_range *ranges, uint32_t count)
{
	const struct vmbus_gpa_direct_header direct = { 0, count };
	struct vmbus_gpa_range_header headers[VMBUS_PACKET_MAX_RANGES];
	struct vmbus_piece pieces[1 + 2 * VMBUS_PACKET_MAX_RANGES];
	const struct vmbus_piece payload = { message, NVSP_MESSAGE_SIZE_6_1 };

	pieces[0] = (struct vmbus_piece){ &direct, sizeof(direct) };
	for (uint32_t i = 0; i < count; i++) {
		headers[i] = (struct vmbus_gpa_range_header){ ranges[i].byte_count,
			ranges[i].byte_offset };
		pieces[1 + 2 * i] = (struct vmbus_piece){ &headers[i], sizeof(headers[i]) };
		pieces[2 + 2 * i] = (struct vmbus_piece){ ranges[i].pfns, 8 * ranges[i].pfn_count };
	}
	cr_assert(rig_write(&net_guest_channel()->guest,
		&(struct vmbus_packet_out){
			.type = count ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
			.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = transaction_id,
			.header = pieces,
			.header_count = count ? 1 + 2 * count : 0,
			.payload = &payload,
			.payload_count = 1,
		}));
}

void net_guest_complete(uint64_t transaction_id)
{
	const struct nvsp_message done = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
		.rndis_packet_complete = { NVSP_STATUS_SUCCESS } };

	cr_assert(rig_say(&net_guest_channel()->guest, VMBUS_PACKET_COMPLETION, transaction_id,
		&done, NVSP_MESSAGE_SIZE));
}

void net_guest_ask(const struct nvsp_message *message)
{
	static uint64_t id = 1000000;

	net_guest.answer_id = 0;
	net_guest_send(++id, message, NULL, 0);
	net_guest_run();
	net_guest_take();
	cr_assert_eq(net_guest.answer_id, id, "NVSP %u has no answer", message->type);
}

// --- from the host ---

static void take_frame(uint32_t offset, uint32_t length, uint64_t transaction_id)
{
	uint8_t head[RNDIS_HEAD_MAX];
	const uint32_t head_length = length < sizeof(head) ? length : sizeof(head);
	uint32_t message_length;

	copy_from(GUEST_RECEIVE_GPADL, offset, head, head_length);
	cr_assert_eq(rndis_parse_frame(
			     head, head_length, length, &net_guest.frame.info, &message_length),
		RNDIS_RIGHT);
	cr_assert_eq(message_length, length);
	copy_from(GUEST_RECEIVE_GPADL, offset + net_guest.frame.info.offset, net_guest.frame.bytes,
		net_guest.frame.info.length);
	net_guest.frame.channel = net_guest.at;
	net_guest.frame.transaction_id = transaction_id;
	net_guest.frame_count++;
}

static void take_ranges(const struct vmbus_packet *packet)
{
	struct nvsp_message message;

	memcpy(&message, packet->payload, NVSP_MESSAGE_SIZE);
	cr_assert_eq(message.type, NVSP_SEND_RNDIS_PACKET);
	cr_assert_eq(packet->transfer_set_id, NVSP_RECEIVE_BUFFER_ID);
	cr_assert(packet->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED);
	for (uint32_t i = 0; i < packet->range_count; i++) {
		const struct vmbus_transfer_range range = packet->transfer_ranges[i];

		cr_assert_leq(range.byte_offset + range.byte_count,
			GUEST_RECEIVE_PAGES * VMBUS_PAGE_SIZE);
		if (message.rndis_packet.channel == NVSP_CHANNEL_DATA) {
			take_frame(range.byte_offset, range.byte_count, packet->transaction_id);
		} else {
			net_guest.control_length = range.byte_count;
			copy_from(GUEST_RECEIVE_GPADL, range.byte_offset, net_guest.control,
				range.byte_count);
		}
	}
}

static void take_packet(const struct vmbus_packet *packet)
{
	if (packet->type == VMBUS_PACKET_COMPLETION) {
		memset(&net_guest.answer, 0, sizeof(net_guest.answer));
		memcpy(&net_guest.answer, packet->payload,
			packet->payload_length < sizeof(net_guest.answer)
				? packet->payload_length
				: sizeof(net_guest.answer));
		net_guest.answer_id = packet->transaction_id;
		return;
	}
	cr_assert_eq(packet->type, VMBUS_PACKET_TRANSFER_PAGES);
	take_ranges(packet);
	if (!net_guest.keeps)
		net_guest_complete(packet->transaction_id);
}

uint32_t net_guest_take(void)
{
	const uint32_t at = net_guest.at;
	uint32_t count = 0;

	for (uint32_t i = 0; i < RIG_CHANNELS; i++) {
		net_guest.at = i;
		while (net_guest_channel()->open && rig_read(&net_guest_channel()->guest)) {
			take_packet(&net_guest_channel()->guest.packet);
			count++;
		}
	}
	net_guest.at = at;
	return count;
}

// --- the beginning ---

void net_guest_ask_version(uint32_t version)
{
	const struct nvsp_message message = { .type = NVSP_INIT, .init = { version, version } };

	net_guest_ask(&message);
	cr_assert_eq(net_guest.answer.type, NVSP_INIT_COMPLETE);
}

void net_guest_lend(void)
{
	struct nvsp_message message = { .type = NVSP_SEND_RECEIVE_BUFFER,
		.buffer = { GUEST_RECEIVE_GPADL, NVSP_RECEIVE_BUFFER_ID, 0 } };

	net_guest_ask(&message);
	cr_assert_eq(net_guest.answer.type, NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
	cr_assert_eq(net_guest.answer.receive_buffer_complete.status, NVSP_STATUS_SUCCESS);
	cr_assert_eq(net_guest.answer.receive_buffer_complete.section_count, 1);
	net_guest.room_size = net_guest.answer.receive_buffer_complete.section.piece_size;
	net_guest.room_count = net_guest.answer.receive_buffer_complete.section.pieces;
	cr_assert_leq((uint64_t)net_guest.room_size * net_guest.room_count,
		GUEST_RECEIVE_PAGES * VMBUS_PAGE_SIZE);
	message.type = NVSP_SEND_SEND_BUFFER;
	message.buffer = (struct nvsp_buffer){ GUEST_SEND_GPADL, NVSP_SEND_BUFFER_ID, 0 };
	net_guest_ask(&message);
	cr_assert_eq(net_guest.answer.send_buffer_complete.status, NVSP_STATUS_SUCCESS);
	cr_assert_eq(net_guest.answer.send_buffer_complete.section_size, 6144);
}

void net_guest_initialize(uint32_t version)
{
	const struct {
		struct rndis_header header;
		struct rndis_initialize initialize;
	} initialize = { { RNDIS_INITIALIZE, 24 }, { 1, RNDIS_MAJOR, RNDIS_MINOR, 0x4000 } };
	const struct ndis_offload_parameters offloads = {
		.object = { NDIS_OBJECT_DEFAULT, 3, 28 },
		.tcp4 = NDIS_CHECKSUM_BOTH,
		.lso_4 = NDIS_ON,
		.rsc_4 = NDIS_ON,
	};
	const uint32_t filter = NDIS_FILTER_DIRECTED | NDIS_FILTER_BROADCAST;
	struct nvsp_message message = { .type = NVSP_SEND_NDIS_CONFIG,
		.ndis_config = { 1514, 0, NVSP_CAPABILITY_8021Q | NVSP_CAPABILITY_RSC } };

	net_guest_ask_version(version);
	cr_assert_eq(net_guest.answer.init_complete.status, NVSP_STATUS_SUCCESS);
	if (version >= NVSP_VERSION_2)
		net_guest_ask(&message);
	message =
		(struct nvsp_message){ .type = NVSP_SEND_NDIS_VERSION, .ndis_version = { 6, 30 } };
	net_guest_ask(&message);
	net_guest_lend();
	net_guest_control(&initialize, sizeof(initialize));
	cr_assert_eq(net_guest.control_length, 52);
	net_guest_set(OID_TCP_OFFLOAD_PARAMETERS, &offloads, sizeof(offloads));
	net_guest_set(OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

void net_guest_control(const void *message, uint32_t length)
{
	const struct nvsp_message packet = { .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_CONTROL, 0, length } };

	memcpy(ram_at((uint32_t)net_host.gpadls[GUEST_SEND_GPADL].pfns[0]), message, length);
	net_guest.control_length = 0;
	net_guest_ask(&packet);
	cr_assert_eq(net_guest.answer.rndis_packet_complete.status, NVSP_STATUS_SUCCESS);
}

void net_guest_set(uint32_t oid, const void *value, uint32_t length)
{
	struct {
		struct rndis_header header;
		struct rndis_request request;
		uint8_t value[512];
	} message = { { RNDIS_SET, 28 + length }, { 7, oid, length, 20, 0 }, { 0 } };
	struct rndis_complete complete;

	memcpy(message.value, value, length);
	net_guest_control(&message, 28 + length);
	cr_assert_eq(net_guest.control_length, 16);
	memcpy(&complete, net_guest.control + 8, sizeof(complete));
	cr_assert_eq(complete.request_id, 7);
	cr_assert_eq(complete.status, RNDIS_STATUS_SUCCESS, "OID %08x: %08x", oid, complete.status);
}

// --- frames ---

uint32_t net_guest_put_frame(uint32_t at, struct rndis_frame *info, const void *bytes)
{
	uint8_t *data = ram_at(GUEST_DATA_PAGE) + at;
	const uint32_t head = rndis_put_frame(data, info);

	memcpy(data + head, bytes, info->length);
	return head + info->length;
}

void net_guest_send_data(uint64_t transaction_id, const uint32_t *cuts, uint32_t count)
{
	const struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_DATA, NVSP_NO_SECTION, 0 } };
	static uint64_t pfns[GUEST_RAM];
	struct vmbus_gpa_range ranges[VMBUS_PACKET_MAX_RANGES];
	uint32_t at = 0;

	for (uint32_t i = 0; i < GUEST_RAM; i++)
		pfns[i] = i;
	for (uint32_t i = 0; i < count; at = cuts[i++]) {
		const uint32_t offset = at % VMBUS_PAGE_SIZE;

		ranges[i] = (struct vmbus_gpa_range){ cuts[i] - at, offset,
			(uint32_t)vmbus_pages_spanned(offset, cuts[i] - at),
			pfns + GUEST_DATA_PAGE + at / VMBUS_PAGE_SIZE };
	}
	net_guest_send(transaction_id, &message, ranges, count);
}

uint32_t net_guest_make_tcp(uint8_t *bytes, uint32_t length)
{
	static const uint8_t headers[] = { 0x02, 0x15, 0x5D, 9, 9, 9, 0x02, 0x15, 0x5D, 1, 2, 3,
		0x08, 0x00,							  // IPv4
		0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // TCP
		0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0 };

	memcpy(bytes, headers, sizeof(headers));
	bytes[16] = (uint8_t)((length - 14) >> 8);
	bytes[17] = (uint8_t)(length - 14);
	for (uint32_t i = sizeof(headers); i < length; i++)
		bytes[i] = (uint8_t)(i * 7);
	return length;
}
