// SPDX-License-Identifier: BSD-2-Clause
// Random requests to disks (VSTOR, SCSI), with buffers anywhere.
#include "tests/guests/hostile/random_bus.h"

#include "drivers/proto/storage.h"

enum { RANGES = 4, RANGE_PAGES = 8 };

static bool send(struct random_vp *vp, const struct vstor_packet *vstor, const void *ranges,
	uint32_t ranges_size)
{
	const struct vmbus_piece header = { ranges, ranges_size };
	const struct vmbus_piece payload = { vstor, sizeof(*vstor) };
	const struct vmbus_packet_out out = {
		.type = ranges_size ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = random_u64(vp),
		.header = &header,
		.header_count = !!ranges_size,
		.payload = &payload,
		.payload_count = 1,
	};

	return random_bus_send(&out);
}

static bool send_operation(struct random_vp *vp, uint32_t operation)
{
	const struct vstor_packet vstor = { .operation = operation,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION,
		.version.major_minor = VSTOR_VERSION_6_2 };

	return send(vp, &vstor, NULL, 0);
}

static bool handshake(struct random_vp *vp)
{
	return random_bus_usable(vp) && send_operation(vp, VSTOR_OPERATION_BEGIN_INITIALIZATION) &&
	       send_operation(vp, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION) &&
	       send_operation(vp, VSTOR_OPERATION_QUERY_PROPERTIES) &&
	       send_operation(vp, VSTOR_OPERATION_END_INITIALIZATION);
}

static bool operation(struct random_vp *vp)
{
	return random_bus_usable(vp) && send_operation(vp, (uint32_t)random_below(vp, 15));
}

static void fill_command(struct random_vp *vp, struct vmscsi_request *srb)
{
	static const uint8_t opcodes[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e,
		0x2f, 0x35, 0x41, 0x42, 0x4d, 0x55, 0x5a, 0x5e, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e,
		0xa0, 0xa3, 0xa8, 0xaa };

	srb->target_id = random_one_in(vp, 8) ? (uint8_t)random_value(vp) : 0;
	srb->lun = (uint8_t)random_below(vp, random_one_in(vp, 8) ? 256 : 3);
	srb->cdb_length = random_one_in(vp, 8) ? (uint8_t)random_value(vp) : VSTOR_CDB_SIZE;
	srb->sense_info_length =
		random_one_in(vp, 8) ? (uint8_t)random_value(vp) : VSTOR_SENSE_SIZE;
	srb->data_in = (uint8_t)random_below(vp, random_one_in(vp, 8) ? 256 : 3);
	for (unsigned int i = 0; i < VSTOR_CDB_SIZE; i++)
		srb->cdb[i] = random_one_in(vp, 4) ? (uint8_t)random_value(vp) : 0;
	srb->cdb[0] = random_one_in(vp, 8) ? (uint8_t)random_u64(vp) : random_of(vp, opcodes);
	if (random_one_in(vp, 2)) { // the length of READ and WRITE(10), (16)
		srb->cdb[8] = (uint8_t)random_below(vp, 64);
		srb->cdb[13] = srb->cdb[8];
	}
	srb->srb_flags = (uint32_t)random_value(vp);
}

// Buffers anywhere: in the arena, in holes, in pages of the hypervisor's, too few or too many.
static uint32_t fill_ranges(struct random_vp *vp, uint64_t *words, uint32_t *sum)
{
	uint64_t ranges = 1 + random_below(vp, RANGES), n = 1;

	*sum = 0;
	for (uint64_t r = 0; r < ranges; r++) {
		uint64_t pages = 1 + random_below(vp, RANGE_PAGES), offset = 0;
		uint64_t bytes = pages * KERNEL_PAGE_SIZE;

		if (random_one_in(vp, 2))
			offset = random_below(vp, 8) * 512;
		if (random_one_in(vp, 16))
			offset = random_value(vp) & 0xffffffff;
		bytes = random_one_in(vp, 16) ? random_value(vp) & 0xffffffff : bytes - offset;
		words[n++] = bytes | offset << 32;
		*sum += (uint32_t)bytes;
		for (uint64_t i = 0; i < pages; i++)
			words[n++] = (random_one_in(vp, 8) ? random_page(vp)
							   : (uint64_t)random_ram(vp)) >>
				     12;
	}
	words[0] = (random_one_in(vp, 32) ? random_value(vp) : ranges) << 32;
	return (uint32_t)(n * sizeof(*words));
}

static bool request(struct random_vp *vp)
{
	struct vstor_packet vstor = { .operation = VSTOR_OPERATION_EXECUTE_SRB,
		.flags = random_one_in(vp, 8) ? (uint32_t)random_value(vp)
					      : VSTOR_FLAG_REQUEST_COMPLETION };
	uint64_t words[1 + RANGES * (1 + RANGE_PAGES)];
	uint32_t size, sum;

	if (!random_bus_usable(vp))
		return false;
	vstor.srb.length = random_one_in(vp, 8) ? (uint16_t)random_value(vp) : VSTOR_SRB_SIZE_V2;
	fill_command(vp, &vstor.srb);
	size = fill_ranges(vp, words, &sum);
	vstor.srb.data_transfer_length = random_one_in(vp, 8) ? (uint32_t)random_value(vp) : sum;
	return send(vp, &vstor, words, random_one_in(vp, 8) ? 0 : size);
}

static bool requests(struct random_vp *vp)
{
	bool sent = handshake(vp);

	for (unsigned int i = 0; i < 100 && sent; i++) {
		sent = request(vp);
		random_bus_receive(vp);
	}
	return sent;
}

struct random_action random_storage[] = {
	{ .name = "handshake", .run = handshake, .weight = 100 },
	{ .name = "operation", .run = operation, .weight = 100 },
	{ .name = "request", .run = request, .weight = 1000 },
	{ .name = "requests", .run = requests, .weight = 200 },
	{ .name = NULL },
};
