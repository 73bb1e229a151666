// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP as a whole, driven through real rings by a guest that is mostly honest.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "storage_guest.h"

#include "base/macros.h"

static void create(void)
{
	guest_create(GUEST_RING_PAGES, 8, BLOCK_DEVICE_WRITE_CACHE);
}

static void create_ready(void)
{
	create();
	guest_initialize(VSTOR_VERSION_6_2);
}

static void destroy(void)
{
	guest_destroy();
}

TestSuite(vsp_init, .init = create, .fini = destroy);
TestSuite(vsp, .init = create_ready, .fini = destroy);
TestSuite(vsp_custom, .fini = destroy);

static struct vstor_packet control(uint32_t operation)
{
	return (struct vstor_packet){ .operation = operation,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION };
}

static void expect(uint32_t operation, uint32_t status)
{
	const struct vstor_packet packet = control(operation);

	guest_control(&packet, sizeof(packet), status);
}

static struct vstor_packet read_10(uint32_t lba, uint16_t blocks)
{
	const uint8_t cdb[10] = { 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
		(uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks };

	return guest_srb(cdb, 10, blocks * 512u);
}

static struct vstor_packet write_10(uint32_t lba, uint16_t blocks)
{
	struct vstor_packet packet = read_10(lba, blocks);

	packet.srb.cdb[0] = 0x2A;
	packet.srb.data_in = VSTOR_DATA_OUT;
	return packet;
}

static void expect_answer(uint64_t transaction_id, uint8_t srb_status, uint32_t transferred)
{
	cr_assert(guest_receive());
	cr_assert_eq(guest_packet()->type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(guest_packet()->transaction_id, transaction_id);
	cr_assert_eq(guest_answer.operation, VSTOR_OPERATION_COMPLETE_IO);
	cr_assert_eq(guest_answer.srb.srb_status, srb_status, "%02x", guest_answer.srb.srb_status);
	cr_assert_eq(guest_answer.srb.data_transfer_length, transferred);
}

static void expect_srb_sense(uint8_t key, uint8_t asc, uint8_t ascq)
{
	cr_assert_eq(guest_answer.srb.scsi_status, SCSI_STATUS_CHECK_CONDITION);
	cr_assert_eq(guest_answer.srb.sense_info_length, 18);
	cr_assert_eq(guest_answer.srb.sense_data[2], key);
	cr_assert_eq(guest_answer.srb.sense_data[12], asc);
	cr_assert_eq(guest_answer.srb.sense_data[13], ascq);
}

// --- negotiation ---

Test(vsp_init, every_version)
{
	static const uint16_t versions[] = { VSTOR_VERSION_2_0, VSTOR_VERSION_4_2,
		VSTOR_VERSION_5_1, VSTOR_VERSION_6_0, VSTOR_VERSION_6_2 };

	for (size_t i = 0; i < 5; i++) {
		const uint32_t length = versions[i] >= VSTOR_VERSION_5_1 ? 64 : 48;
		const struct vstor_packet read = read_10(3, 1);
		const uint64_t pfn = 7;

		destroy();
		create();
		guest_initialize(versions[i]);
		cr_assert(guest_send_srb(5, &read, length, 16, &pfn, 512));
		guest_poll();
		expect_answer(5, VSTOR_SRB_STATUS_SUCCESS, 512);
		cr_assert_eq(guest_packet()->payload_length, length);
		cr_assert_eq(
			memcmp(rig.ram + 7 * 4096 + 16, storage_host.disks[0].data + 3 * 512, 512),
			0);
	}
}

Test(vsp_init, unknown_version_then_a_known_one)
{
	static const uint16_t unknown[] = { 0, 0x0001, 0x0500, 0x0601, 0x0603, 0x0700, 0xFFFF };
	struct vstor_packet packet = control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION);

	expect(VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_STATUS_SUCCESS);
	for (size_t i = 0; i < sizeof(unknown) / 2; i++) {
		packet.version.major_minor = unknown[i];
		guest_control(&packet, 64, VSTOR_STATUS_REVISION_MISMATCH);
	}
	expect(VSTOR_OPERATION_QUERY_PROPERTIES, VSTOR_STATUS_INVALID_DEVICE_STATE);
	packet.version.major_minor = VSTOR_VERSION_5_1;
	guest_control(&packet, 64, VSTOR_STATUS_SUCCESS);
}

// Each operation in each state: the allowed ones go on, all others are refused and change nothing.
Test(vsp_init, operations_out_of_order)
{
	static const uint32_t order[] = { VSTOR_OPERATION_BEGIN_INITIALIZATION,
		VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_OPERATION_QUERY_PROPERTIES,
		VSTOR_OPERATION_END_INITIALIZATION };

	for (uint32_t at = 0; at <= 4; at++) {
		for (uint32_t other = 0; other < 4; other++)
			if (other != at)
				expect(order[other], VSTOR_STATUS_INVALID_DEVICE_STATE);
		if (at < 4) {
			struct vstor_packet packet = control(order[at]);

			expect(VSTOR_OPERATION_EXECUTE_SRB, VSTOR_STATUS_INVALID_DEVICE_STATE);
			expect(VSTOR_OPERATION_RESET_BUS, VSTOR_STATUS_INVALID_DEVICE_STATE);
			if (order[at] == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION)
				packet.version.major_minor = VSTOR_VERSION_6_2;
			guest_control(&packet, 64, VSTOR_STATUS_SUCCESS);
		}
	}
}

Test(vsp, operations_that_a_guest_does_not_have)
{
	static const uint32_t none[] = { 0, VSTOR_OPERATION_COMPLETE_IO,
		VSTOR_OPERATION_REMOVE_DEVICE, VSTOR_OPERATION_ENUMERATE_BUS, 14, 0x80000003,
		UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		expect(none[i], VSTOR_STATUS_INVALID_DEVICE_REQUEST);
	cr_assert_eq(vsp()->counters.malformed, ARRAY_SIZE(none));
}

Test(vsp, no_sub_channels)
{
	struct vstor_packet packet = control(VSTOR_OPERATION_CREATE_SUB_CHANNELS);

	guest_control(&packet, 64, VSTOR_STATUS_SUCCESS);
	packet.sub_channel_count = 1;
	guest_control(&packet, 64, VSTOR_STATUS_INVALID_PARAMETER);
}

Test(vsp_custom, fibre_channel_names)
{
	const struct vstor_fc_wwn wwn = { .primary_active = 1, .primary_port = { 1, 2, 3 } };
	struct vstor_packet packet = control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION);

	for (int fc = 0; fc < 2; fc++) {
		if (fc)
			guest_destroy();
		guest_create(4, 1, 0);
		storage_host.config.wwn = fc ? &wwn : NULL;
		rig_start(&rig.channels[0]);
		expect(VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_STATUS_SUCCESS);
		packet.version.major_minor = VSTOR_VERSION_6_2;
		guest_control(&packet, 64, VSTOR_STATUS_SUCCESS);
		expect(VSTOR_OPERATION_QUERY_PROPERTIES, VSTOR_STATUS_SUCCESS);
		expect(VSTOR_OPERATION_FCHBA_DATA,
			fc ? VSTOR_STATUS_SUCCESS : VSTOR_STATUS_INVALID_DEVICE_REQUEST);
		if (fc)
			cr_assert_eq(memcmp(&guest_answer.wwn, &wwn, sizeof(wwn)), 0);
		expect(VSTOR_OPERATION_END_INITIALIZATION, VSTOR_STATUS_SUCCESS);
	}
}

// --- data ---

Test(vsp, read_across_scattered_pages)
{
	const struct vstor_packet packet = read_10(10, 17); // 8704 bytes
	const uint64_t pfns[] = { 9, 3, 40 };

	cr_assert(guest_send_srb(77, &packet, 64, 3000, pfns, 8704));
	cr_assert_eq(guest_poll(), VSP_SIGNAL);
	expect_answer(77, VSTOR_SRB_STATUS_SUCCESS, 8704);
	cr_assert_eq(guest_answer.srb.scsi_status, 0);
	cr_assert_eq(guest_answer.srb.length, VSTOR_SRB_SIZE_V2);
	cr_assert_eq(memcmp(rig.ram + 9 * 4096 + 3000, storage_host.disks[0].data + 5120, 1096), 0);
	cr_assert_eq(memcmp(rig.ram + 3 * 4096, storage_host.disks[0].data + 5120 + 1096, 4096), 0);
	cr_assert_eq(
		memcmp(rig.ram + 40 * 4096, storage_host.disks[0].data + 5120 + 5192, 3512), 0);
	cr_assert_eq(rig.ram[9 * 4096 + 2999], 0xEE);
	cr_assert_eq(rig.ram[40 * 4096 + 3512], 0xEE);
}

Test(vsp, write_from_neighbours_and_others)
{
	const struct vstor_packet packet = write_10(100, 24); // 12288 bytes
	const uint64_t pfns[] = { 20, 21, 5, 6 };

	for (uint32_t i = 0; i < GUEST_PAGES * 4096; i++)
		rig.ram[i] = (uint8_t)(i * 31 + i / 4096);
	cr_assert(guest_send_srb(1, &packet, 64, 512, pfns, 12288));
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 12288);
	cr_assert_eq(
		memcmp(storage_host.disks[0].data + 51200, rig.ram + 20 * 4096 + 512, 7680), 0);
	cr_assert_eq(
		memcmp(storage_host.disks[0].data + 51200 + 7680, rig.ram + 5 * 4096, 4608), 0);
	cr_assert_eq(storage_host.disks[0].data[51200 - 1], (uint8_t)(99 * 13 + 51199));
}

Test(vsp, largest_transfer)
{
	const struct vstor_packet packet = read_10(0, 256); // 128 KiB
	struct vstor_packet more = read_10(0, 257);
	uint64_t pfns[34];

	for (uint32_t i = 0; i < 34; i++)
		pfns[i] = (i * 7) % GUEST_PAGES; // no two are neighbours
	cr_assert(guest_send_srb(1, &packet, 64, 2048, pfns, 128 << 10));
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 128 << 10);
	cr_assert(guest_send_srb(2, &more, 64, 0, pfns, 257 * 512));
	guest_poll();
	expect_answer(2, VSTOR_SRB_STATUS_INVALID_REQUEST, 0);
}

// What Linux's scan and sd send, in order.
Test(vsp, linux_probe)
{
	static const struct {
		uint8_t cdb[16];
		uint8_t cdb_length;
		uint16_t length;
		uint8_t srb_status;
	} steps[] = {
		{ { 0x12, 0, 0, 0, 36 }, 6, 36, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 0, 0, 0, 64 }, 6, 64, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0, 0, 4 }, 6, 4, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0, 0, 255 }, 6, 255, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0x80, 0, 255 }, 6, 255, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0x83, 0, 255 }, 6, 255, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0xB0, 0, 255 }, 6, 255, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0xB1, 0, 255 }, 6, 255, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x12, 1, 0xB2, 0, 255 }, 6, 255, 0x84 }, // no unmap here
		{ { 0xA0, [8] = 0x10, [9] = 0x08 }, 12, 4104, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0 }, 6, 0, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x9E, 0x10, [13] = 32 }, 16, 32, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x1A, 0, 0x3F, 0, 4 }, 6, 4, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x1A, 0, 0x08, 0, 4 }, 6, 4, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x1A, 0, 0x08, 0, 36 }, 6, 36, VSTOR_SRB_STATUS_SUCCESS },
		{ { 0x28, [8] = 8 }, 10, 4096, VSTOR_SRB_STATUS_SUCCESS },
	};
	const uint64_t pfns[] = { 1, 2 };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct vstor_packet packet =
			guest_srb(steps[i].cdb, steps[i].cdb_length, steps[i].length);

		cr_assert(guest_send_srb(i + 1, &packet, 64, 0, pfns, steps[i].length));
		guest_poll();
		cr_assert(guest_receive());
		cr_assert_eq(guest_answer.srb.srb_status, steps[i].srb_status, "step %zu", i);
		cr_assert_leq(guest_answer.srb.data_transfer_length, steps[i].length);
	}
}

// --- what a request gets that is wrong ---

Test(vsp, scsi_error_comes_with_sense)
{
	const struct vstor_packet packet = read_10(GUEST_BLOCKS, 1);
	const uint64_t pfn = 1;

	cr_assert(guest_send_srb(9, &packet, 64, 0, &pfn, 512));
	guest_poll();
	expect_answer(9, VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID, 0);
	expect_srb_sense(5, 0x21, 0);
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_IO_DEVICE_ERROR);
}

Test(vsp, medium_error_in_the_middle)
{
	const struct vstor_packet packet = write_10(0, 1);
	const uint64_t pfn = 1;

	storage_host.disks[0].fail = BLOCK_ERROR_IO;
	cr_assert(guest_send_srb(9, &packet, 64, 0, &pfn, 512));
	guest_poll();
	expect_answer(9, VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID, 0);
	expect_srb_sense(3, 0x0C, 0);
	storage_host.disks[0].fail = BLOCK_ERROR_BUSY;
	cr_assert(guest_send_srb(10, &packet, 64, 0, &pfn, 512));
	guest_poll();
	expect_answer(10, VSTOR_SRB_STATUS_BUSY, 0);
	cr_assert_eq(guest_answer.srb.scsi_status, SCSI_STATUS_BUSY);
}

Test(vsp_custom, read_only_disk)
{
	const struct vstor_packet packet = write_10(0, 1);
	const uint64_t pfn = 1;

	guest_create(4, 4, BLOCK_DEVICE_READ_ONLY);
	guest_initialize(VSTOR_VERSION_6_2);
	cr_assert(guest_send_srb(9, &packet, 64, 0, &pfn, 512));
	guest_poll();
	expect_answer(9, VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID, 0);
	expect_srb_sense(7, 0x27, 0);
}

Test(vsp, missing_lun)
{
	struct vstor_packet ready = guest_srb((const uint8_t[6]){ 0 }, 6, 0);
	struct vstor_packet inquiry = guest_srb((const uint8_t[6]){ 0x12, 0, 0, 0, 36 }, 6, 36);
	const uint64_t pfn = 1;

	for (int i = 0; i < 3; i++) {
		ready.srb.path_id = inquiry.srb.path_id = i == 0;
		ready.srb.target_id = inquiry.srb.target_id = i == 1;
		ready.srb.lun = inquiry.srb.lun = i == 2;
		cr_assert(guest_send_srb(1, &ready, 64, 0, NULL, 0));
		guest_poll();
		expect_answer(1, VSTOR_SRB_STATUS_INVALID_LUN, 0);
		cr_assert_eq(guest_answer.status, VSTOR_STATUS_DEVICE_DOES_NOT_EXIST);
		cr_assert(guest_send_srb(2, &inquiry, 64, 0, &pfn, 36));
		guest_poll();
		expect_answer(2, VSTOR_SRB_STATUS_SUCCESS, 36);
		cr_assert_eq(rig.ram[4096], 0x7F);
	}
}

Test(vsp, several_luns)
{
	struct vstor_packet packet = read_10(0, 1);
	struct memory_disk second;
	struct scsi_disk scsi;
	const uint64_t pfn = 1;

	memory_disk_init(&second, 16, 512, 0);
	memset(second.data, 0x22, 16 * 512);
	cr_assert(scsi_disk_init(&scsi, &second.device, &storage_host.scsi[0].identity, 4096));
	cr_assert(scsi_adapter_attach(&storage_host.adapter, 0, 1, 9, &scsi));
	packet.srb.target_id = 1;
	packet.srb.lun = 9;
	cr_assert(guest_send_srb(1, &packet, 64, 0, &pfn, 512));
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 512);
	cr_assert_eq(rig.ram[4096], 0x22);
	cr_assert_eq(second.kicks, 1);
	cr_assert_eq(guest_answer.srb.target_id, 1);
	cr_assert_eq(guest_answer.srb.lun, 9);
	scsi_adapter_detach(&storage_host.adapter, 0, 1, 9);
	memory_disk_destroy(&second);
}

static void expect_reject(const struct vstor_packet *packet, uint32_t offset, const uint64_t *pfns,
	uint32_t byte_count)
{
	const uint32_t before = storage_host.disks[0].count[BLOCK_READ];

	cr_assert(guest_send_srb(3, packet, 64, offset, pfns, byte_count));
	cr_assert_not(guest_poll() & VSP_FAILED);
	expect_answer(3, VSTOR_SRB_STATUS_INVALID_REQUEST, 0);
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_INVALID_PARAMETER);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], before);
}

Test(vsp, pages_that_are_not_ram)
{
	const struct vstor_packet packet = read_10(0, 16);
	static const uint64_t bad[] = { GUEST_PAGES, UINT64_MAX, 1ULL << 52, 0x8000000000000000 };

	for (size_t i = 0; i < 4; i++) {
		const uint64_t first[] = { bad[i], 1 }, second[] = { 1, bad[i] };

		expect_reject(&packet, 0, first, 8192);
		expect_reject(&packet, 0, second, 8192);
	}
	cr_assert_eq(rig.ram[4096], 0xEE); // not even the good page
}

Test(vsp, lengths_that_do_not_fit)
{
	const uint64_t pfns[] = { 1, 2, 3 };
	struct vstor_packet packet = read_10(0, 1);

	expect_reject(&packet, 0, pfns, 511); // less range than transfer
	packet.srb.data_transfer_length = UINT32_MAX;
	expect_reject(&packet, 0, pfns, 512);
	packet.srb.data_transfer_length = 512;
	expect_reject(&packet, 0, NULL, 0);    // in-band: no range at all
	packet.srb.data_transfer_length = 511; // more in the CDB than in the transfer
	cr_assert(guest_send_srb(4, &packet, 64, 0, pfns, 4096));
	guest_poll();
	expect_answer(4, VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID, 0);
	expect_srb_sense(5, 0x24, 0);
	packet.srb.data_transfer_length = 1024; // less: only what was asked for
	cr_assert(guest_send_srb(5, &packet, 64, 0, pfns, 4096));
	guest_poll();
	expect_answer(5, VSTOR_SRB_STATUS_SUCCESS, 512);
	cr_assert_eq(rig.ram[4096 + 512], 0xEE);
}

Test(vsp, two_ranges_are_refused)
{
	const struct vmbus_gpa_direct_header direct = { 0, 2 };
	const struct vmbus_gpa_range_header range = { 512, 0 };
	const struct vstor_packet packet = read_10(0, 2);
	const uint64_t pfn = 1;
	const struct vmbus_piece header[] = { { &direct, 8 }, { &range, 8 }, { &pfn, 8 },
		{ &range, 8 }, { &pfn, 8 } };
	const struct vmbus_piece piece = { &packet, 64 };

	cr_assert(guest_send(&(struct vmbus_packet_out){ .type = VMBUS_PACKET_GPA_DIRECT,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = 8,
		.header = header,
		.header_count = 5,
		.payload = &piece,
		.payload_count = 1 }));
	guest_poll();
	expect_answer(8, VSTOR_SRB_STATUS_INVALID_REQUEST, 0);
}

Test(vsp, short_srb)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;

	cr_assert(guest_send_srb(1, &packet, 56, 0, &pfn, 512)); // this version has 64
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_INVALID_REQUEST, 0);
	cr_assert(guest_send_srb(2, &packet, 40, 0, &pfn, 512)); // no version has
	guest_poll();
	cr_assert(guest_receive());
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_INVALID_PARAMETER);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], 0);
}

Test(vsp, no_completion_unless_requested)
{
	const struct vstor_packet packet = write_10(5, 1);
	const struct vmbus_gpa_direct_header direct = { 0, 1 };
	const struct vmbus_gpa_range_header range = { 512, 0 };
	const uint64_t pfn = 1;
	const struct vmbus_piece header[] = { { &direct, 8 }, { &range, 8 }, { &pfn, 8 } };
	const struct vmbus_piece piece = { &packet, 64 };

	for (int i = 0; i < 20; i++) { // more than there are slots
		cr_assert(guest_send(&(struct vmbus_packet_out){ .type = VMBUS_PACKET_GPA_DIRECT,
			.header = header,
			.header_count = 3,
			.payload = &piece,
			.payload_count = 1 }));
		cr_assert_eq(guest_poll(), 0);
	}
	cr_assert_not(guest_receive());
	cr_assert_eq(storage_host.disks[0].count[BLOCK_WRITE], 20);
}

// --- what ends the channel ---

static void expect_failure(const char *reason)
{
	cr_assert(guest_poll() & VSP_FAILED);
	cr_assert_not_null(vsp_failure(vsp()));
	if (reason)
		cr_assert_str_eq(vsp_failure(vsp()), reason);
	cr_assert_eq(vsp_poll(vsp()), VSP_FAILED);
	cr_assert_not(guest_receive());
}

Test(vsp, completion_from_the_guest)
{
	const struct vstor_packet packet = read_10(0, 1);
	const struct vmbus_piece piece = { &packet, 64 };

	cr_assert(guest_send(&(struct vmbus_packet_out){
		.type = VMBUS_PACKET_COMPLETION, .payload = &piece, .payload_count = 1 }));
	expect_failure("storage: a packet that is neither in-band nor GPA-direct");
}

Test(vsp, packet_without_header)
{
	const struct vstor_packet packet = read_10(0, 1);

	cr_assert(guest_send_packet(1, &packet, 8));
	expect_failure("storage: a packet too short for its header");
}

Test(vsp, broken_ring_index)
{
	rig_control(&rig.channels[0], false)->in = 12;
	expect_failure(vmbus_ring_status_name(VMBUS_RING_BAD_IN_INDEX));
}

Test(vsp, packet_larger_than_any_request)
{
	static const uint8_t large[3000];
	const struct vmbus_piece piece = { large, sizeof(large) };

	cr_assert(guest_send(&(struct vmbus_packet_out){
		.type = VMBUS_PACKET_IN_BAND, .payload = &piece, .payload_count = 1 }));
	expect_failure(vmbus_ring_status_name(VMBUS_RING_PACKET_TOO_LARGE));
}

Test(vsp, failure_with_requests_in_flight)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;

	storage_host.disks[0].deferred = true;
	cr_assert(guest_send_srb(1, &packet, 64, 0, &pfn, 512));
	cr_assert(guest_send_srb(2, &packet, 64, 0, &pfn, 512));
	cr_assert_eq(guest_poll(), 0);
	rig_control(&rig.channels[0], false)->in = UINT32_MAX;
	expect_failure(NULL);
	cr_assert_not(vsp_idle(vsp()));
	cr_assert_eq(memory_disk_run(&storage_host.disks[0], 10), 2);
	cr_assert(vsp_idle(vsp()));
	cr_assert_not(guest_receive());
}

Test(vsp_custom, unusable_rings)
{
	guest_create(4, 1, 0);
	rig.channels[0].rings.in_page_count = 1;
	rig_start(&rig.channels[0]);
	expect_failure(vmbus_ring_status_name(VMBUS_RING_BAD_PAGES));
	rig.channels[0].rings.in_page_count = 4;
}

Test(vsp_init, configurations_out_of_bounds)
{
	static const struct {
		uint32_t slots, transfer;
	} bad[] = { { 0, 4096 }, { STORAGE_VSP_MAX_SLOTS + 1, 4096 }, { 1, 0 }, { 1, 4095 },
		{ 1, STORAGE_VSP_MAX_TRANSFER + 4096 }, { UINT32_MAX, UINT32_MAX } };
	struct storage_vsp_config config = storage_host.config;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		config.slot_count = bad[i].slots;
		config.max_transfer_bytes = bad[i].transfer;
		cr_assert_eq(vsp_size(&storage_vsp_class, &config, false), 0);
		cr_assert_null(
			vsp_open(&storage_vsp_class, vsp(), &rig.channels[0].rings, &config));
	}
}

// --- many at once ---

Test(vsp, many_in_flight_and_out_of_order)
{
	const uint64_t pfns[] = { 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
	bool seen[11] = { false };

	storage_host.disks[0].deferred = true;
	for (uint32_t i = 0; i < 10; i++) {
		const struct vstor_packet packet = read_10(i * 8, 8);

		cr_assert(guest_send_srb(i + 1, &packet, 64, 0, &pfns[i], 4096));
	}
	cr_assert_eq(guest_poll(), 0);
	cr_assert_eq(storage_host.disks[0].waiting, 8); // as many as there are slots
	cr_assert_eq(storage_host.disks[0].kicks, 1);	// in one batch
	cr_assert_eq(memory_disk_run(&storage_host.disks[0], 3), 3);
	cr_assert_eq(guest_poll(), VSP_SIGNAL);
	cr_assert_eq(storage_host.disks[0].waiting, 7); // the two others came in
	cr_assert_eq(memory_disk_run(&storage_host.disks[0], 10), 7);
	guest_poll();
	for (uint32_t i = 0; i < 10; i++) {
		cr_assert(guest_receive());
		cr_assert_eq(guest_answer.srb.srb_status, VSTOR_SRB_STATUS_SUCCESS);
		cr_assert_not(seen[guest_packet()->transaction_id]);
		seen[guest_packet()->transaction_id] = true;
	}
	cr_assert_eq(memcmp(rig.ram + 10 * 4096, storage_host.disks[0].data, 10 * 4096), 0);
}

Test(vsp, one_signal_per_batch)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;
	const uint64_t before = vsp()->counters.signals;

	for (uint32_t i = 0; i < 6; i++)
		cr_assert(guest_send_srb(i, &packet, 64, 0, &pfn, 512));
	cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert_eq(vsp()->counters.signals, before + 1);
	cr_assert_eq(rig_control(&rig.channels[0], false)->interrupt_mask, 0);
}

// The ring to the guest is full: completions wait, come in order, and none is lost.
Test(vsp_custom, ring_to_the_guest_is_full)
{
	const struct vstor_packet packet = read_10(0, 1);
	const struct vmbus_ring_control *control_page;
	const uint64_t pfn = 1;
	uint64_t sent = 0, received = 0;
	bool was_full = false;

	guest_create(2, 64, 0); // 4096 bytes of ring: 46 completions
	guest_initialize(VSTOR_VERSION_6_2);
	control_page = rig_control(&rig.channels[0], true);
	while (received < 2000) {
		while (sent < 2000 && guest_send_srb(sent + 1, &packet, 64, 0, &pfn, 512))
			sent++;
		guest_poll();
		was_full |= control_page->pending_send_size > 0;
		for (uint32_t i = 0; i < 20 && guest_receive(); i++)
			cr_assert_eq(guest_packet()->transaction_id, ++received);
	}
	cr_assert(was_full);
	cr_assert_gt(vsp()->counters.ring_full, 0);
	guest_poll();
	cr_assert_not(guest_receive());
	cr_assert_eq(control_page->pending_send_size, 0);
}

// A guest that puts packets in faster than they can be handled does not keep the thread.
Test(vsp_custom, poll_is_bounded)
{
	const struct vstor_packet packet = read_10(0, 1);
	const struct vmbus_piece piece = { &packet, 64 };
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND, .payload = &piece, .payload_count = 1
	};
	uint32_t polls = 1;

	guest_create(GUEST_RING_PAGES, 64, 0);
	guest_initialize(VSTOR_VERSION_6_2);
	while (guest_send(&out))
		;
	while (vsp_poll(vsp()) & VSP_AGAIN)
		polls++;
	cr_assert_gt(polls, 1);
	cr_assert(guest_send(&out)); // all of it was read
}

// WRITE SAME of the whole disk: more steps than a poll takes. NDOB, and no cheap way to zero.
static struct vstor_packet long_command(void)
{
	const uint8_t cdb[16] = { 0x93, 0x01, [12] = GUEST_BLOCKS >> 8 };

	return guest_srb(cdb, 16, 0);
}

// Each of them is 16 steps of 128 KiB; a slot for each, and then for one alone.
Test(vsp_custom, long_commands_do_not_keep_a_poll)
{
	static const uint32_t slots[] = { 8, 1 };
	const struct vstor_packet packet = long_command();

	for (int round = 0; round < 2; round++) {
		uint32_t before = 0;

		guest_create(GUEST_RING_PAGES, slots[round], 0);
		guest_initialize(VSTOR_VERSION_6_2);
		for (uint64_t i = 0; i < 8; i++)
			cr_assert(guest_send_packet(i, &packet, 64));
		while (vsp_poll(vsp()) & VSP_AGAIN) {
			cr_assert_leq(storage_host.disks[0].count[BLOCK_WRITE] - before,
				STORAGE_VSP_POLL_STEPS);
			before = storage_host.disks[0].count[BLOCK_WRITE];
		}
		cr_assert_eq(before, 8 * 16);
		for (uint64_t i = 0; i < 8; i++)
			expect_answer(i, VSTOR_SRB_STATUS_SUCCESS, 0);
		if (!round)
			guest_destroy();
	}
}

// 256 reads, which end at once, of 128 KiB: half of them are as much as one poll moves.
Test(vsp_custom, poll_is_bounded_in_bytes)
{
	const struct vstor_packet packet = read_10(0, 256);
	uint64_t pfns[32];
	uint32_t sent = 0;

	guest_create(GUEST_RING_PAGES, 256, 0);
	guest_initialize(VSTOR_VERSION_6_2);
	for (uint32_t i = 0; i < 32; i++)
		pfns[i] = 1 + i;
	while (guest_send_srb(sent, &packet, 64, 0, pfns, 128 << 10))
		sent++;
	cr_assert_gt(sent, STORAGE_VSP_POLL_BYTES >> 17);
	cr_assert(vsp_poll(vsp()) & VSP_AGAIN);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], STORAGE_VSP_POLL_BYTES >> 17);
	guest_poll();
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], sent);
}

Test(vsp, reset_waits_for_the_last_step)
{
	const struct vstor_packet packet = long_command();
	const struct vstor_packet reset = control(VSTOR_OPERATION_RESET_LUN);

	storage_host.scsi[0].block->flags &= ~BLOCK_DEVICE_CAN_ZERO;
	cr_assert(guest_send_packet(1, &packet, 64));
	cr_assert(guest_send_packet(2, &reset, 64));
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 0);
	cr_assert(guest_receive());
	cr_assert_eq(guest_packet()->transaction_id, 2);
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_SUCCESS);
}

Test(vsp, stop_between_two_steps)
{
	const struct vstor_packet packet = long_command();

	storage_host.scsi[0].block->flags &= ~BLOCK_DEVICE_CAN_ZERO;
	cr_assert(guest_send_packet(1, &packet, 64));
	cr_assert(vsp_poll(vsp()) & VSP_AGAIN);
	cr_assert_not(vsp_idle(vsp()));
	vsp_stop(vsp());
	cr_assert(vsp_idle(vsp()));
	cr_assert_eq(storage_host.disks[0].count[BLOCK_WRITE], 0);
}

Test(vsp, reset_waits_for_what_came_before)
{
	static const uint32_t resets[] = { VSTOR_OPERATION_RESET_LUN, VSTOR_OPERATION_RESET_ADAPTER,
		VSTOR_OPERATION_RESET_BUS };
	const struct vstor_packet write = write_10(0, 1);
	const uint64_t pfn = 1;

	for (uint32_t i = 0; i < 3; i++) {
		const struct vstor_packet reset = control(resets[i]);

		storage_host.disks[0].deferred = true;
		cr_assert(guest_send_srb(1, &write, 64, 0, &pfn, 512));
		cr_assert(guest_send_packet(2, &reset, 64));
		cr_assert(guest_send_srb(3, &write, 64, 0, &pfn, 512));
		cr_assert_eq(guest_poll(), 0);
		cr_assert_eq(storage_host.disks[0].waiting, 1); // the later write has not begun
		memory_disk_run(&storage_host.disks[0], 1);
		guest_poll();
		expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 512);
		cr_assert(guest_receive());
		cr_assert_eq(guest_packet()->transaction_id, 2);
		cr_assert_eq(guest_answer.status, VSTOR_STATUS_SUCCESS);
		memory_disk_run(&storage_host.disks[0], 1);
		guest_poll();
		expect_answer(3, VSTOR_SRB_STATUS_SUCCESS, 512);
	}
}

Test(vsp, rescan)
{
	const struct vstor_packet ready = guest_srb((const uint8_t[6]){ 0 }, 6, 0);

	cr_assert_eq(scsi_adapter_detach(&storage_host.adapter, 0, 0, 0), &storage_host.scsi[0]);
	storage_vsp_rescan(vsp());
	cr_assert_eq(guest_poll(), VSP_SIGNAL);
	cr_assert(guest_receive());
	cr_assert_eq(guest_packet()->type, VMBUS_PACKET_IN_BAND);
	cr_assert_eq(guest_packet()->transaction_id, 0);
	cr_assert_eq(guest_answer.operation, VSTOR_OPERATION_ENUMERATE_BUS);
	cr_assert_not(guest_receive());
	cr_assert(guest_send_srb(1, &ready, 64, 0, NULL, 0));
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_INVALID_LUN, 0);
}

Test(vsp, disk_taken_away_in_flight)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;

	storage_host.disks[0].deferred = true;
	cr_assert(guest_send_srb(1, &packet, 64, 0, &pfn, 512));
	guest_poll();
	scsi_adapter_detach(&storage_host.adapter, 0, 0, 0);
	cr_assert_eq(storage_host.scsi[0].in_flight, 1);
	memory_disk_run(&storage_host.disks[0], 1);
	cr_assert_eq(storage_host.scsi[0].in_flight, 0);
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 512);
}

Test(vsp, stop_with_requests_in_flight)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;

	storage_host.disks[0].deferred = true;
	cr_assert(guest_send_srb(1, &packet, 64, 0, &pfn, 512));
	guest_poll();
	vsp_stop(vsp());
	cr_assert_not(vsp_idle(vsp()));
	memory_disk_run(&storage_host.disks[0], 1);
	cr_assert(vsp_idle(vsp()));
	cr_assert(guest_send_srb(2, &packet, 64, 0, &pfn, 512));
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert_not(guest_receive());
}

// The guest changes the packet while it is read: what was checked is what is used.
Test(vsp, packet_changes_after_it_was_read)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;

	storage_host.disks[0].deferred = true;
	cr_assert(guest_send_srb(1, &packet, 64, 0, &pfn, 512));
	guest_poll();
	for (uint32_t i = 1; i < GUEST_RING_PAGES; i++)
		memset(rig.channels[0].rings.in_pages[i], 0xFF, 4096);
	memory_disk_run(&storage_host.disks[0], 1);
	guest_poll();
	expect_answer(1, VSTOR_SRB_STATUS_SUCCESS, 512);
	cr_assert_eq(memcmp(rig.ram + 4096, storage_host.disks[0].data, 512), 0);
}

// --- saved and restored ---

static void move(void)
{
	cr_assert(rig_move());
}

Test(vsp_custom, a_saved_one_goes_on_in_the_middle_of_the_initialization)
{
	struct vstor_packet packet = control(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION);

	guest_create(4, 2, 0);
	move();
	expect(VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_STATUS_SUCCESS);
	move();
	packet.version.major_minor = VSTOR_VERSION_6_2;
	guest_control(&packet, 64, VSTOR_STATUS_SUCCESS);
	move();
	expect(VSTOR_OPERATION_QUERY_PROPERTIES, VSTOR_STATUS_SUCCESS);
	move();
	expect(VSTOR_OPERATION_END_INITIALIZATION, VSTOR_STATUS_SUCCESS);
	move();
	expect(VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_STATUS_INVALID_DEVICE_STATE);
	cr_assert_eq(vsp()->counters.packets, 5);
}

// Some are under way, some wait for a slot, one is a reset: all are answered, each once.
Test(vsp_custom, a_saved_one_loses_no_request)
{
	const struct vstor_packet read = read_10(0, 8);
	const struct vstor_packet reset = control(VSTOR_OPERATION_RESET_BUS);
	const uint64_t pfn = 1;

	guest_create(4, 4, 0);
	guest_initialize(VSTOR_VERSION_6_2);
	storage_host.disks[0].deferred = true;
	for (uint64_t i = 0; i < 3; i++)
		cr_assert(guest_send_srb(i, &read, 64, 0, &pfn, 4096));
	cr_assert(guest_send_packet(3, &reset, 64));
	for (uint64_t i = 4; i < 10; i++)
		cr_assert(guest_send_srb(i, &read, 64, 0, &pfn, 4096));
	guest_poll();
	cr_assert_eq(storage_host.disks[0].waiting, 3);
	cr_assert_not(vsp_idle(vsp()));
	move();
	storage_host.disks[0].deferred = false;
	guest_poll();
	for (uint64_t i = 0; i < 10; i++) {
		cr_assert(guest_receive());
		cr_assert_eq(guest_packet()->transaction_id, i);
		cr_assert_eq(guest_answer.status, VSTOR_STATUS_SUCCESS);
	}
	cr_assert_not(guest_receive());
}

// The guest does not take its completions: those that wait are saved, and come in order.
Test(vsp_custom, a_saved_one_keeps_what_waits_for_room)
{
	const struct vstor_packet packet = read_10(0, 1);
	const uint64_t pfn = 1;
	uint64_t sent = 0, received = 0;
	bool waited = false;

	guest_create(2, 16, 0);
	guest_initialize(VSTOR_VERSION_6_2);
	while (received < 1000) {
		while (sent < 1000 && guest_send_srb(sent + 1, &packet, 64, 0, &pfn, 512))
			sent++;
		guest_poll();
		waited |= vsp()->unsent_first != NULL;
		storage_vsp_rescan(vsp());
		move();
		for (uint32_t i = 0; i < 20 && guest_receive(); i++)
			if (guest_packet()->type == VMBUS_PACKET_COMPLETION)
				cr_assert_eq(guest_packet()->transaction_id, ++received);
	}
	cr_assert(waited);
}

Test(vsp_custom, a_form_that_makes_no_sense_is_not_restored)
{
	static uint8_t form[64 << 10];
	void *other;
	size_t size;

	guest_create(4, 2, 0);
	guest_initialize(VSTOR_VERSION_6_2);
	other = aligned_alloc(
		16, (vsp_size(&storage_vsp_class, &storage_host.config, false) + 15) & ~15ul);
	vsp_pause(vsp());
	size = vsp_save(vsp(), form, sizeof(form));
	for (size_t length = 0; length < size; length++)
		cr_assert_null(vsp_restore(&storage_vsp_class, other, &rig.channels[0].rings,
			&storage_host.config, form, length));
	// Each byte of it, changed: it is restored, or it is not, and then it serves.
	for (size_t i = 0; i < size; i++) {
		struct vsp *restored;

		form[i] ^= 0xff;
		restored = vsp_restore(&storage_vsp_class, other, &rig.channels[0].rings,
			&storage_host.config, form, size);
		cr_assert(!restored || !(vsp_poll(restored) & VSP_FAILED));
		form[i] ^= 0xff;
	}
	free(other);
}
