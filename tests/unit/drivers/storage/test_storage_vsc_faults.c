// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC against hosts that are slow, gone, refuse, or break the protocol: each costs at
// most the controller, every request ends once, and no memory is lost.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "lumen/storage.h"
#include "storage_host.h"

static struct lumen_storage *storage;
static struct lumen_disk *disk;
static uint8_t *buffer;
#define BUFFER_SIZE (64u << 10)

static lumen_status open_with(const struct lumen_storage_config *config)
{
	const lumen_status status =
		lumen_storage_open(lumen_storage_find(NULL, 0), config, &storage);

	disk = status == LUMEN_OK ? lumen_storage_disk(storage, 0) : NULL;
	return status;
}

static void create(void)
{
	storage_host_create(
		BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_WRITE_CACHE, STORAGE_HOST_BLOCKS, 0);
	if (!buffer)
		buffer = aligned_alloc(4096, BUFFER_SIZE);
	memset(buffer, 0xEE, BUFFER_SIZE);
}

static void create_open(void)
{
	create();
	cr_assert_eq(open_with(NULL), LUMEN_OK);
	cr_assert_not_null(disk);
}

static void destroy(void)
{
	storage_host_destroy();
}

static void close_destroy(void)
{
	lumen_storage_close(storage);
	destroy();
}

TestSuite(vsc_faults_open, .init = create, .fini = destroy);
TestSuite(vsc_faults, .init = create_open, .fini = close_destroy);

// --- requests under way ---

struct track {
	struct lumen_request request;
	struct lumen_segment segment;
	uint32_t done;
};

#define TRACKS 8u
static struct track tracks[TRACKS];

static void on_done(struct lumen_request *request)
{
	((struct track *)request->context)->done++;
}

static lumen_status submit(uint32_t index, enum lumen_operation operation, uint64_t count)
{
	struct track *track = &tracks[index];

	*track = (struct track){
		.segment = { .data = buffer + index * 4096, .length = (uint32_t)count * 512 },
		.request = { .disk = disk,
			.operation = operation,
			.block = index * 8,
			.count = count,
			.segments = &track->segment,
			.segment_count = 1,
			.done = on_done,
			.context = track },
	};
	return lumen_storage_submit(&track->request);
}

static void submit_all(void)
{
	for (uint32_t i = 0; i < TRACKS; i++)
		cr_assert_eq(submit(i, i % 2 ? LUMEN_WRITE : LUMEN_READ, 8), LUMEN_OK);
}

static void expect_all(lumen_status status)
{
	for (uint32_t i = 0; i < TRACKS; i++) {
		cr_assert_eq(tracks[i].done, 1);
		cr_assert_eq(tracks[i].request.status, status, "%x", tracks[i].request.status);
	}
}

static void run(void)
{
	while (rig_run())
		;
}

// The controller has failed: nothing works any more, and nothing does harm.
static void expect_failed(lumen_status status)
{
	cr_assert_eq(lumen_storage_status(storage), status);
	cr_assert_not_null(lumen_storage_failure(storage));
	cr_assert_eq(submit(0, LUMEN_READ, 1), status);
	cr_assert_eq(tracks[0].done, 0);
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), status);
	cr_assert_eq(lumen_disk_flush(disk), status);
	cr_assert_eq(lumen_storage_scan(storage), status);
	cr_assert_not(lumen_storage_poll(storage));
	lumen_storage_kick(storage);
}

// --- opening ---

Test(vsc_faults_open, the_channel_does_not_open)
{
	static const lumen_status statuses[] = { LUMEN_REFUSED, LUMEN_TIMED_OUT, LUMEN_NO_MEMORY };

	// LUMEN_REFUSED: the host did not take the GPADL of the rings, or the channel.
	for (uint32_t i = 0; i < 3; i++) {
		rig.open_status = statuses[i];
		cr_assert_eq(open_with(NULL), statuses[i]);
		cr_assert_eq(rig.pages, 0);
	}
	rig.channels[0].rescinded = true;
	cr_assert_eq(open_with(NULL), LUMEN_RESCINDED);
}

Test(vsc_faults_open, no_memory)
{
	for (uint32_t i = 1; i <= 2; i++) {
		rig.allocations = 0;
		rig.fail_alloc = i;
		cr_assert_eq(open_with(NULL), LUMEN_NO_MEMORY);
		cr_assert_eq(rig.pages, 0);
	}
}

// The host stops answering at each of its steps, until it stops too late for opening. The four
// questions of the protocol come first, then those about disks, where the host may yet write.
Test(vsc_faults_open, silence_at_each_step)
{
	const struct lumen_storage_config config = { .timeout_ns = 500 };
	lumen_status status = LUMEN_TIMED_OUT;
	uint32_t step;

	for (step = 1; status != LUMEN_OK; step++) {
		const uint64_t began = rig.now;

		cr_assert_lt(step, 40);
		rig.runs = 0;
		rig.mute = false;
		rig.mute_after = step;
		status = open_with(&config);
		if (status == LUMEN_OK)
			break;
		cr_assert_eq(status, LUMEN_TIMED_OUT);
		cr_assert_eq(rig.now, began + 500);
		cr_assert_eq(rig.pages > 0, step > 4);
		rig_free_pages();
	}
	cr_assert_geq(step, 12);
	cr_assert_not_null(disk);
	lumen_storage_close(storage);
}

Test(vsc_faults, silence_in_a_scan)
{
	rig.mute = true;
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_TIMED_OUT);
	rig.mute = false;
	run();
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_TIMED_OUT);
	cr_assert_eq(lumen_storage_disk(storage, 0), disk);
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_OK);
	lumen_storage_close(storage);
	rig_free_pages();
	cr_assert_eq(open_with(NULL), LUMEN_OK);
}

// Requests to a disk wait while it goes and another one, with other blocks, comes to its place.
Test(vsc_faults_open, a_disk_is_changed_under_its_requests)
{
	cr_assert_eq(open_with(&(struct lumen_storage_config){ .depth = 2 }), LUMEN_OK);
	storage_host_add_disk(1, 0, 7, 4096, 0);
	storage_host.disks[0].deferred = true;
	submit_all();
	run();
	scsi_adapter_detach(&storage_host.adapter, 0, 0, 0);
	scsi_adapter_detach(&storage_host.adapter, 0, 0, 7);
	cr_assert(scsi_adapter_attach(&storage_host.adapter, 0, 0, 0, &storage_host.scsi[1]));
	memory_disk_run(&storage_host.disks[0], 2);
	rig.complete = 1;
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_OK);
	cr_assert_null(lumen_storage_disk(storage, 0));
	cr_assert_not(disk->present);
	cr_assert_eq(disk->block_size, 512);
	run();
	for (uint32_t i = 0; i < TRACKS; i++)
		cr_assert_eq(tracks[i].done, 1);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	lumen_storage_close(storage);
}

Test(vsc_faults_open, rescind_at_each_step)
{
	uint32_t rescinds = 0;

	for (uint32_t step = 1; step < 40; step++) {
		lumen_status status;

		storage_host_destroy();
		create();
		rig.interrupts = step & 1;
		rig.rescind_after = step;
		status = open_with(NULL);
		if (status != LUMEN_OK) {
			cr_assert_eq(status, LUMEN_RESCINDED, "%x", status);
			rescinds++;
			continue;
		}
		cr_assert_not_null(disk);
		while (!rig.channels[0].rescinded)
			cr_assert_neq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_TIMED_OUT);
		expect_failed(LUMEN_RESCINDED);
		lumen_storage_close(storage);
	}
	cr_assert_geq(rescinds, 12);
}

// Answers of the host to the questions before the first command that end it.
static uint32_t refused_operation;

static void refuse(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (storage_host.asked == refused_operation)
		payload->status = VSTOR_STATUS_INVALID_DEVICE_REQUEST;
}

Test(vsc_faults_open, refused_at_each_question)
{
	static const uint32_t operations[] = { VSTOR_OPERATION_BEGIN_INITIALIZATION,
		VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_OPERATION_QUERY_PROPERTIES,
		VSTOR_OPERATION_END_INITIALIZATION };

	storage_host.tamper = refuse;
	for (uint32_t i = 0; i < 4; i++) {
		refused_operation = operations[i];
		cr_assert_eq(open_with(NULL), LUMEN_REFUSED);
		cr_assert_eq(rig.pages, 0);
	}
}

static void answer_before(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (storage_host.asked == refused_operation)
		packet->transaction_id -= 1ull << 32;
}

Test(vsc_faults_open, the_answer_to_the_question_before)
{
	storage_host.tamper = answer_before;
	refused_operation = VSTOR_OPERATION_QUERY_PROPERTIES;
	cr_assert_eq(open_with(NULL), LUMEN_BAD_HOST);
}

static uint32_t told_transfer;

static void tell_transfer(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (storage_host.asked == VSTOR_OPERATION_QUERY_PROPERTIES)
		payload->properties.max_transfer_bytes = told_transfer;
}

Test(vsc_faults_open, max_transfer)
{
	static const struct {
		uint32_t told, used;
	} cases[] = { { 0, 0 }, { 4095, 0 }, { 4096, 4096 }, { 8191, 4096 },
		{ UINT32_MAX, LUMEN_STORAGE_MAX_TRANSFER } };

	storage_host.tamper = tell_transfer;
	for (uint32_t i = 0; i < 5; i++) {
		told_transfer = cases[i].told;
		if (cases[i].used == 0) {
			cr_assert_eq(open_with(NULL), LUMEN_BAD_HOST);
			continue;
		}
		cr_assert_eq(open_with(NULL), LUMEN_OK);
		cr_assert_eq(lumen_storage_max_transfer(storage), cases[i].used);
		lumen_storage_close(storage);
	}
}

// A ring of one page limits what a packet can list.
Test(vsc_faults_open, short_ring)
{
	const struct lumen_storage_config config = { .send_pages = 1, .receive_pages = 1 };

	storage_host.config.max_transfer_bytes = 4 << 20;
	cr_assert_eq(open_with(&config), LUMEN_OK);
	cr_assert_eq(lumen_storage_max_transfer(storage), 239 * 4096);
	submit_all();
	run();
	expect_all(LUMEN_OK);
	lumen_storage_close(storage);
}

static void subs(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (storage_host.asked == VSTOR_OPERATION_QUERY_PROPERTIES) {
		payload->properties.flags = VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL;
		payload->properties.max_channel_count = 2;
	} else if (storage_host.asked == VSTOR_OPERATION_CREATE_SUB_CHANNELS) {
		payload->status = VSTOR_STATUS_SUCCESS;
		rig.offered_subs = 2;
		storage_host.tamper = NULL;
		rig.open_status = LUMEN_REFUSED; // of the first
	}
}

static const uint32_t three_vps[] = { 0, 1, 2 };
static const struct lumen_storage_config three = {
	.vps = three_vps, .vp_count = 3, .bus = (void *)&storage
};

Test(vsc_faults_open, a_sub_channel_does_not_open)
{
	storage_host.tamper = subs;
	cr_assert_eq(open_with(&three), LUMEN_OK);
	cr_assert_eq(lumen_storage_channels(storage), 1);
	lumen_storage_close(storage);
}

static void subs_that_open(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	subs(channel, packet, payload);
	rig.open_status = LUMEN_OK;
}

// What breaks on one channel ends what is under way on all.
Test(vsc_faults_open, a_fault_on_one_of_several_channels)
{
	static struct rig_end *raw;

	storage_host.tamper = subs_that_open;
	cr_assert_eq(open_with(&three), LUMEN_OK);
	cr_assert_eq(lumen_storage_channels(storage), 3);
	storage_host.disks[0].deferred = true;
	for (uint32_t i = 0; i < TRACKS; i++) {
		rig_vp = i;
		cr_assert_eq(submit(i, LUMEN_READ, 8), LUMEN_OK);
	}
	raw = rig_take_over(&rig.channels[2]);
	storage_host_complete(raw, 0x123456789, 0);
	run();
	expect_all(LUMEN_BAD_HOST);
	expect_failed(LUMEN_BAD_HOST);
	lumen_storage_close(storage);
}

// --- hosts that break the protocol ---

static struct rig_end *raw;
static uint64_t ids[TRACKS];

// Eight requests are with the host, which is the test from now on.
static void under_way(void)
{
	raw = rig_take_over(&rig.channels[0]);
	submit_all();
	for (uint32_t i = 0; i < TRACKS; i++) {
		cr_assert(rig_read(raw));
		ids[i] = raw->packet.transaction_id;
	}
}

struct lie {
	const char *name;
	uint16_t type;
	bool known_id; // the first request's, else `id`
	uint64_t id;
	uint32_t length;
	struct vstor_packet payload;
};

#define GOOD                                                                                       \
	{                                                                                          \
		.operation = VSTOR_OPERATION_COMPLETE_IO,                                          \
		.srb = {.srb_status = 1,                                                           \
			.data_transfer_length = 4096 }                                             \
	}

static const struct lie lies[] = {
	{ "id 0", VMBUS_PACKET_COMPLETION, false, 0, 64, GOOD },
	{ "id of an old generation", VMBUS_PACKET_COMPLETION, false, 0x100000000, 64, GOOD },
	{ "id of a generation to come", VMBUS_PACKET_COMPLETION, false, 0x900000001, 64, GOOD },
	{ "id of a slot that is free", VMBUS_PACKET_COMPLETION, false, 0x10000003F, 64, GOOD },
	{ "id of a slot that cannot be", VMBUS_PACKET_COMPLETION, false, 0x100000041, 64, GOOD },
	{ "id of all ones", VMBUS_PACKET_COMPLETION, false, UINT64_MAX, 64, GOOD },
	{ "id of the questions, none asked", VMBUS_PACKET_COMPLETION, false, 0x400000040, 64,
		GOOD },
	{ "no payload", VMBUS_PACKET_COMPLETION, true, 0, 0, GOOD },
	{ "short payload", VMBUS_PACKET_COMPLETION, true, 0, 40, GOOD },
	{ "completes nothing", VMBUS_PACKET_COMPLETION, true, 0, 64, { .operation = 3 } },
	{ "more data than asked for", VMBUS_PACKET_COMPLETION, true, 0, 64,
		{ .operation = 1, .srb = { .srb_status = 1, .data_transfer_length = 4097 } } },
	{ "more data than memory", VMBUS_PACKET_COMPLETION, true, 0, 64,
		{ .operation = 1,
			.srb = { .srb_status = 1, .data_transfer_length = UINT32_MAX } } },
	{ "more sense than there can be", VMBUS_PACKET_COMPLETION, true, 0, 64,
		{ .operation = 1, .srb = { .srb_status = 0x84, .sense_info_length = 21 } } },
	{ "completion as news", VMBUS_PACKET_IN_BAND, true, 0, 64, GOOD },
	{ "news too short", VMBUS_PACKET_IN_BAND, false, 0, 8, { .operation = 11 } },
	{ "news of nothing", VMBUS_PACKET_IN_BAND, false, 0, 64, { .operation = 0 } },
	{ "a command from the host", VMBUS_PACKET_IN_BAND, false, 0, 64, { .operation = 3 } },
	{ "an unknown operation", VMBUS_PACKET_IN_BAND, false, 0, 64, { .operation = 77 } },
};

Test(vsc_faults_open, lies)
{
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		const struct lie *lie = &lies[i];

		cr_assert_eq(open_with(NULL), LUMEN_OK);
		under_way();
		rig_say(raw, lie->type, lie->known_id ? ids[0] : lie->id, &lie->payload,
			lie->length);
		run();
		expect_all(LUMEN_BAD_HOST);
		cr_assert_eq(lumen_storage_status(storage), LUMEN_BAD_HOST, "%s", lie->name);
		expect_failed(LUMEN_BAD_HOST);
		lumen_storage_close(storage);
		cr_assert_eq(rig.pages, 0);
	}
}

Test(vsc_faults, doubled_completion)
{
	under_way();
	storage_host_complete(raw, ids[3], 4096);
	storage_host_complete(raw, ids[3], 4096);
	run();
	for (uint32_t i = 0; i < TRACKS; i++) {
		cr_assert_eq(tracks[i].done, 1);
		cr_assert_eq(tracks[i].request.status, i == 3 ? LUMEN_OK : LUMEN_BAD_HOST);
	}
	expect_failed(LUMEN_BAD_HOST);
}

// The slot has another request by then: the generation tells.
Test(vsc_faults, doubled_completion_of_a_slot_in_use_again)
{
	under_way();
	storage_host_complete(raw, ids[3], 4096);
	run();
	cr_assert_eq(submit(3, LUMEN_READ, 8), LUMEN_OK);
	cr_assert(rig_read(raw));
	cr_assert_eq((uint32_t)raw->packet.transaction_id, (uint32_t)ids[3]);
	cr_assert_neq(raw->packet.transaction_id, ids[3]);
	storage_host_complete(raw, ids[3], 4096);
	run();
	expect_all(LUMEN_BAD_HOST);
	expect_failed(LUMEN_BAD_HOST);
}

// An answer to what was given up is right once, and only once.
Test(vsc_faults, late_completion)
{
	under_way();
	cr_assert(lumen_storage_cancel(&tracks[0].request));
	cr_assert_eq(tracks[0].done, 1);
	cr_assert_eq(tracks[0].request.status, LUMEN_CANCELLED);
	memset(&tracks[0], 0x5A, sizeof(tracks[0]));
	storage_host_complete(raw, ids[0], 4096);
	run();
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	storage_host_complete(raw, ids[0], 4096);
	run();
	cr_assert_eq(lumen_storage_status(storage), LUMEN_BAD_HOST);
	for (uint32_t i = 1; i < TRACKS; i++)
		cr_assert_eq(tracks[i].request.status, LUMEN_BAD_HOST);
}

Test(vsc_faults, completions_in_any_order)
{
	under_way();
	for (uint32_t i = TRACKS; i-- > 0;)
		storage_host_complete(raw, ids[i], 4096);
	run();
	expect_all(LUMEN_OK);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
}

Test(vsc_faults, a_short_transfer_is_an_error)
{
	under_way();
	for (uint32_t i = 0; i < TRACKS; i++)
		storage_host_complete(raw, ids[i], i == 2 ? 4095 : 4096);
	run();
	for (uint32_t i = 0; i < TRACKS; i++)
		cr_assert_eq(tracks[i].request.status, i == 2 ? LUMEN_IO_ERROR : LUMEN_OK);
	cr_assert_eq(tracks[2].request.transferred, 4095);
	cr_assert_eq(lumen_request_sense(&tracks[2].request), 0);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
}

// Statuses that hosts give and the VSP does not.
Test(vsc_faults, port_driver_statuses)
{
	static const struct {
		uint8_t srb, scsi;
		uint32_t bytes;
		lumen_status status;
	} cases[TRACKS] = {
		{ VSTOR_SRB_STATUS_ABORTED, 0, 0, LUMEN_IO_ERROR },
		{ VSTOR_SRB_STATUS_BUSY | VSTOR_SRB_STATUS_QUEUE_FROZEN, 0, 0, LUMEN_BUSY },
		{ VSTOR_SRB_STATUS_ERROR, 0x28, 0, LUMEN_BUSY },
		{ VSTOR_SRB_STATUS_INVALID_LUN, 0, 0, LUMEN_RESCINDED },
		{ VSTOR_SRB_STATUS_DATA_OVERRUN, 0, 4096, LUMEN_IO_ERROR },
		{ VSTOR_SRB_STATUS_SUCCESS | VSTOR_SRB_STATUS_AUTOSENSE_VALID, 0, 4096, LUMEN_OK },
		{ VSTOR_SRB_STATUS_SUCCESS, 2, 4096, LUMEN_IO_ERROR },
		{ VSTOR_SRB_STATUS_PENDING, 0, 4096, LUMEN_IO_ERROR },
	};

	under_way();
	for (uint32_t i = 0; i < TRACKS; i++) {
		const struct vstor_packet answer = {
			.operation = VSTOR_OPERATION_COMPLETE_IO,
			.srb = { .srb_status = cases[i].srb,
				.scsi_status = cases[i].scsi,
				.data_transfer_length = cases[i].bytes },
		};

		rig_say(raw, VMBUS_PACKET_COMPLETION, ids[i], &answer, sizeof(answer));
	}
	run();
	for (uint32_t i = 0; i < TRACKS; i++) {
		cr_assert_eq(tracks[i].done, 1);
		cr_assert_eq(tracks[i].request.status, cases[i].status, "%u", i);
		cr_assert_eq(tracks[i].request.srb_status,
			tracks[i].request.status == LUMEN_OK && i != 5 ? 1 : cases[i].srb);
	}
}

Test(vsc_faults, news_that_are_allowed)
{
	static const struct vstor_packet enumerate = { .operation = VSTOR_OPERATION_ENUMERATE_BUS };
	static const struct vstor_packet remove = { .operation = VSTOR_OPERATION_REMOVE_DEVICE };
	static const struct vstor_packet wwn = { .operation = VSTOR_OPERATION_FCHBA_DATA };
	const uint32_t seen = *lumen_storage_changes(storage);

	raw = rig_take_over(&rig.channels[0]);
	rig_say(raw, VMBUS_PACKET_IN_BAND, 0, &enumerate, 16);
	rig_say(raw, VMBUS_PACKET_IN_BAND, 5, &remove, 64);
	rig_say(raw, VMBUS_PACKET_IN_BAND, 0, &wwn, 64);
	run();
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	cr_assert_eq(*lumen_storage_changes(storage), seen + 2);
}

static void endless(void)
{
	static const struct vstor_packet enumerate = { .operation = VSTOR_OPERATION_ENUMERATE_BUS };

	for (uint32_t i = 0; i < 100; i++)
		rig_say(raw, VMBUS_PACKET_IN_BAND, 0, &enumerate, 64);
}

// A host that sends news as fast as they are read would keep the guest for ever.
Test(vsc_faults, news_without_end)
{
	under_way();
	endless();
	rig.on_commit = endless;
	rig_run();
	expect_all(LUMEN_BAD_HOST);
	expect_failed(LUMEN_BAD_HOST);
}

// --- broken rings ---

Test(vsc_faults_open, ring_indices)
{
	static const struct {
		bool to_guest;
		uint32_t in, out;
	} cases[] = { { true, 3, 0 }, { true, 1u << 20, 0 }, { true, 8, 0 }, { true, 24, 0 } };

	for (uint32_t i = 0; i < 4; i++) {
		struct vmbus_ring_control *control;

		cr_assert_eq(open_with(NULL), LUMEN_OK);
		under_way();
		control = rig_control(&rig.channels[0], true);
		control->in = cases[i].in < 100 && cases[i].in % 8 == 0 ? control->out + cases[i].in
									: cases[i].in;
		cr_assert_not(lumen_storage_poll(storage));
		expect_all(LUMEN_BAD_HOST);
		expect_failed(LUMEN_BAD_HOST);
		lumen_storage_close(storage);
	}
}

// The `out` of the ring to the host: seen when the ring is full.
Test(vsc_faults_open, an_out_index_that_cannot_be)
{
	uint32_t count = 0;

	cr_assert_eq(open_with(&(struct lumen_storage_config){
			     .send_pages = 1, .depth = LUMEN_STORAGE_MAX_DEPTH }),
		LUMEN_OK);
	raw = rig_take_over(&rig.channels[0]);
	rig_control(&rig.channels[0], false)->out = 5;
	while (count < 1000 && lumen_storage_status(storage) == LUMEN_OK) {
		cr_assert_eq(submit(0, LUMEN_READ, 8), LUMEN_OK);
		cr_assert_eq(tracks[0].done, lumen_storage_status(storage) != LUMEN_OK);
		if (!tracks[0].done)
			lumen_storage_cancel(&tracks[0].request);
		count++;
	}
	cr_assert_lt(count, 100);
	cr_assert_eq(tracks[0].request.status, LUMEN_BAD_HOST);
	expect_failed(LUMEN_BAD_HOST);
	lumen_storage_close(storage);
}

Test(vsc_faults, a_packet_that_is_too_large)
{
	static const uint8_t large[512];

	under_way();
	rig_say(raw, VMBUS_PACKET_COMPLETION, ids[0], large, sizeof(large));
	run();
	expect_all(LUMEN_BAD_HOST);
	expect_failed(LUMEN_BAD_HOST);
}

// --- the host goes ---

Test(vsc_faults, rescind_with_requests_under_way)
{
	storage_host.disks[0].deferred = true;
	submit_all();
	run();
	rig_rescind();
	expect_all(LUMEN_RESCINDED);
	expect_failed(LUMEN_RESCINDED);
}

// One has parts with the host and parts that wait, others wait.
Test(vsc_faults_open, rescind_with_requests_that_wait)
{
	cr_assert_eq(open_with(&(struct lumen_storage_config){ .depth = 3, .max_transfer = 4096 }),
		LUMEN_OK);
	storage_host.disks[0].deferred = true;
	cr_assert_eq(submit(0, LUMEN_READ, 40), LUMEN_OK);
	for (uint32_t i = 1; i < TRACKS; i++)
		cr_assert_eq(submit(i, LUMEN_READ, 8), LUMEN_OK);
	run();
	rig_rescind();
	expect_all(LUMEN_RESCINDED);
	expect_failed(LUMEN_RESCINDED);
	lumen_storage_close(storage);
}

Test(vsc_faults, rescind_found_by_polling)
{
	rig.interrupts = false;
	storage_host.disks[0].deferred = true;
	submit_all();
	run();
	rig_rescind();
	cr_assert_eq(tracks[0].done, 0);
	lumen_storage_poll(storage);
	expect_all(LUMEN_RESCINDED);
	expect_failed(LUMEN_RESCINDED);
}

Test(vsc_faults, rescind_found_by_sending)
{
	rig.interrupts = false;
	rig_rescind();
	cr_assert_eq(submit(0, LUMEN_READ, 8), LUMEN_OK);
	cr_assert_eq(tracks[0].done, 1);
	cr_assert_eq(tracks[0].request.status, LUMEN_RESCINDED);
	expect_failed(LUMEN_RESCINDED);
}

Test(vsc_faults, rescind_in_a_blocking_call)
{
	storage_host.disks[0].deferred = true;
	rig.rescind_after = rig.runs + 1;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_RESCINDED);
	expect_failed(LUMEN_RESCINDED);
}

static lumen_status submitted;

static void submit_in_done(struct lumen_request *request)
{
	on_done(request);
	submitted = lumen_storage_submit(request);
}

Test(vsc_faults, done_of_a_failure_may_submit_and_cancel)
{
	storage_host.disks[0].deferred = true;
	submit_all();
	tracks[2].request.done = submit_in_done;
	run();
	rig_rescind();
	expect_all(LUMEN_RESCINDED);
	cr_assert_eq(submitted, LUMEN_RESCINDED);
	cr_assert_not(lumen_storage_cancel(&tracks[1].request));
}
