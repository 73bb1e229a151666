// SPDX-License-Identifier: BSD-2-Clause
// Sub-channels of the storage VSP: one protocol and one set of disks, requests on all channels;
// what a guest that is right, and one that is not, can do with them.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lumen/storage.h"
#include "storage_guest.h"

enum { SUBS = RIG_CHANNELS - 1, SLOTS = 4 };

// The raw guest has negotiated, but for sub-channels.
static void create(void)
{
	guest_create(GUEST_RING_PAGES, SLOTS, BLOCK_DEVICE_WRITE_CACHE);
	storage_host.config.sub_channels_max = SUBS;
	rig_start(&rig.channels[0]);
}

static void create_ready(void)
{
	create();
	guest_initialize(VSTOR_VERSION_6_2);
}

static void close_channel(uint32_t index)
{
	if (rig.channels[index].open)
		rig_close(&rig.channels[index]);
}

static void destroy(void)
{
	for (uint32_t i = RIG_CHANNELS; i-- > 0;)
		close_channel(i);
	storage_host_destroy();
}

TestSuite(subs_init, .init = create, .fini = destroy);
TestSuite(subs, .init = create_ready, .fini = destroy);

static void ask_for(uint16_t count, uint32_t status)
{
	const struct vstor_packet packet = { .operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS,
		.flags = VSTOR_FLAG_REQUEST_COMPLETION,
		.sub_channel_count = count };

	guest_control(&packet, sizeof(packet), status);
}

static void open_channel(uint32_t index)
{
	cr_assert(index <= rig.offered_subs && !rig.channels[index].rescinded);
	rig_open(&rig.channels[index], GUEST_RING_PAGES, GUEST_RING_PAGES);
}

static void open_subs(void)
{
	ask_for(SUBS, VSTOR_STATUS_SUCCESS);
	for (uint32_t i = 1; i <= SUBS; i++)
		open_channel(i);
}

// A read of 8 blocks, from and to where its number says.
static void read_on(uint32_t channel, uint8_t number)
{
	const uint8_t cdb[10] = { 0x28, 0, 0, 0, 0, (uint8_t)(8 * number), 0, 0, 8 };
	const struct vstor_packet packet = guest_srb(cdb, 10, 4096);
	const uint64_t pfn = number;

	guest_at = channel;
	cr_assert(guest_send_srb(number, &packet, sizeof(packet), 0, &pfn, 4096));
}

static void send_on(uint32_t channel, uint32_t operation)
{
	const struct vstor_packet packet = { .operation = operation };

	guest_at = channel;
	cr_assert(guest_send_packet(1000 + operation, &packet, sizeof(packet)));
}

static bool hear_on(uint32_t channel)
{
	guest_at = channel;
	return guest_receive();
}

// The read's answer is the next one on the channel, and its data are there.
static void expect_read(uint32_t channel, uint8_t number)
{
	cr_assert(hear_on(channel), "read %u on channel %u", number, channel);
	cr_assert_eq(guest_packet()->transaction_id, number);
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_SUCCESS);
	cr_assert_eq(
		memcmp(rig.ram + number * 4096, storage_host.disks[0].data + number * 4096, 4096),
		0);
}

static void run(void)
{
	while (rig_run())
		;
}

// --- asking ---

Test(subs, none_is_there_until_they_are_asked_for)
{
	cr_assert_eq(rig.offered_subs, 0);
	ask_for(1, VSTOR_STATUS_SUCCESS);
	cr_assert_eq(rig.offered_subs, 1);
	ask_for(SUBS, VSTOR_STATUS_SUCCESS);
	cr_assert_eq(rig.offered_subs, SUBS);
}

Test(subs, counts_that_are_odd)
{
	static const uint16_t too_many[] = { SUBS + 1, 0x100, 0xFFFF };

	ask_for(0, VSTOR_STATUS_SUCCESS);
	for (uint32_t i = 0; i < 3; i++)
		ask_for(too_many[i], VSTOR_STATUS_INVALID_PARAMETER);
	cr_assert_eq(rig.offered_subs, 0);
	for (uint32_t i = 0; i < 5; i++)
		ask_for(SUBS, VSTOR_STATUS_SUCCESS);
	ask_for(1, VSTOR_STATUS_SUCCESS); // which is there
	cr_assert_eq(rig.offered_subs, SUBS);
	cr_assert_eq(rig.changes, SUBS);
}

Test(subs_init, before_negotiation_there_are_none)
{
	ask_for(1, VSTOR_STATUS_INVALID_DEVICE_STATE);
	ask_for(0, VSTOR_STATUS_INVALID_DEVICE_STATE);
	cr_assert_eq(rig.offered_subs, 0);
}

Test(subs_init, old_versions_know_none)
{
	guest_initialize(VSTOR_VERSION_4_2);
	ask_for(1, VSTOR_STATUS_INVALID_PARAMETER);
	cr_assert_eq(rig.offered_subs, 0);
}

// --- requests ---

Test(subs, requests_are_answered_where_they_came)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	for (uint8_t i = 0; i < 6; i++)
		read_on(i % RIG_CHANNELS, i + 1);
	run();
	memory_disk_run(&storage_host.disks[0], 6);
	run();
	for (uint8_t i = 0; i < 6; i++)
		expect_read(i % RIG_CHANNELS, i + 1);
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		cr_assert_not(hear_on(i));
}

// Completed while another one is polled: the first has to be polled again.
Test(subs, a_channel_without_slots_goes_on_when_another_is_polled)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	for (uint8_t i = 1; i <= SLOTS + 1; i++)
		read_on(1, i);
	guest_poll();
	cr_assert_eq(storage_host.disks[0].waiting, SLOTS);
	memory_disk_run(&storage_host.disks[0], SLOTS);
	guest_at = 0;
	guest_poll();
	memory_disk_run(&storage_host.disks[0], 1);
	guest_poll();
	for (uint8_t i = 1; i <= SLOTS + 1; i++)
		expect_read(1, i);
}

// What was written to the others' rings by then is to be published, whoever is polled no more.
Test(subs, others_have_their_answers_when_one_fails)
{
	struct vsp *primary = rig.channels[0].vsp;

	open_subs();
	storage_host.disks[0].deferred = true;
	read_on(0, 1);
	run();
	cr_assert_not(vsp_any_waits(primary));
	memory_disk_run(&storage_host.disks[0], 1);
	rig_control(&rig.channels[1], false)->in = 3;
	cr_assert(vsp_poll(rig.channels[1].vsp) & VSP_FAILED);
	vsp_stop(rig.channels[1].vsp);
	cr_assert(vsp_any_waits(primary));
	cr_assert_not(hear_on(0));
	cr_assert(vsp_poll(primary) & VSP_SIGNAL);
	cr_assert_not(vsp_any_waits(primary));
	expect_read(0, 1);
}

static void expect_refused(uint32_t channel, uint32_t operation)
{
	send_on(channel, operation);
	run();
	cr_assert(hear_on(channel));
	cr_assert_eq(
		guest_answer.status, VSTOR_STATUS_INVALID_DEVICE_STATE, "operation %u", operation);
	cr_assert_not(hear_on(channel));
}

Test(subs, a_sub_channel_is_for_commands_only)
{
	static const uint32_t operations[] = { VSTOR_OPERATION_RESET_LUN,
		VSTOR_OPERATION_RESET_ADAPTER, VSTOR_OPERATION_RESET_BUS,
		VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_OPERATION_END_INITIALIZATION,
		VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_OPERATION_QUERY_PROPERTIES,
		VSTOR_OPERATION_FCHBA_DATA, VSTOR_OPERATION_CREATE_SUB_CHANNELS };

	open_subs();
	for (uint32_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		expect_refused(1, operations[i]);
	read_on(1, 1);
	run();
	expect_read(1, 1);
}

Test(subs_init, commands_before_the_protocol_is_done)
{
	static const uint32_t order[] = { VSTOR_OPERATION_BEGIN_INITIALIZATION,
		VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_OPERATION_QUERY_PROPERTIES };
	struct vstor_packet packet = { .version.major_minor = VSTOR_VERSION_6_2 };

	for (uint32_t i = 0; i < 3; i++) {
		packet.operation = order[i];
		guest_control(&packet, sizeof(packet), VSTOR_STATUS_SUCCESS);
	}
	ask_for(1, VSTOR_STATUS_SUCCESS); // which is in time
	open_channel(1);
	expect_refused(1, VSTOR_OPERATION_EXECUTE_SRB);
	guest_at = 0;
	packet.operation = VSTOR_OPERATION_END_INITIALIZATION;
	guest_control(&packet, sizeof(packet), VSTOR_STATUS_SUCCESS);
	read_on(1, 1);
	run();
	expect_read(1, 1);
}

// --- resets ---

// What was sent on any channel before the reset is done when that is answered, and what has come
// since is not begun.
Test(subs, a_reset_waits_for_all_channels)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	read_on(1, 1);
	run();
	read_on(2, 2); // unread yet
	send_on(0, VSTOR_OPERATION_RESET_BUS);
	guest_poll();
	run();
	read_on(1, 3);
	run();
	cr_assert_eq(storage_host.disks[0].waiting, 2);
	cr_assert_not(hear_on(0));
	memory_disk_run(&storage_host.disks[0], 1);
	run();
	cr_assert_not(hear_on(0));
	memory_disk_run(&storage_host.disks[0], 1);
	run();
	cr_assert(hear_on(0));
	cr_assert_eq(guest_answer.status, VSTOR_STATUS_SUCCESS);
	expect_read(1, 1);
	expect_read(2, 2);
	run();
	cr_assert_eq(storage_host.disks[0].waiting, 1);
	memory_disk_run(&storage_host.disks[0], 1);
	run();
	expect_read(1, 3);
}

// The guest may have nothing to say on the others, and so not signal them.
Test(subs, a_reset_has_the_others_polled)
{
	struct vsp *primary = rig.channels[0].vsp;

	open_subs();
	run();
	send_on(0, VSTOR_OPERATION_RESET_BUS);
	vsp_poll(primary);
	cr_assert_not(hear_on(0));
	for (uint32_t i = 1; i <= SUBS; i++) {
		cr_assert(vsp_any_waits(primary));
		vsp_poll(rig.channels[i].vsp);
	}
	cr_assert(vsp_any_waits(primary));
	cr_assert(vsp_poll(primary) & VSP_SIGNAL);
	cr_assert(hear_on(0));
	cr_assert_not(vsp_any_waits(primary));
}

Test(subs, a_reset_does_not_wait_for_a_channel_that_has_ended)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	read_on(1, 1);
	run();
	read_on(2, 2);
	send_on(0, VSTOR_OPERATION_RESET_BUS);
	vsp_poll(vsp());
	close_channel(2);
	rig.complete = 1;
	run();
	cr_assert(hear_on(0));
	expect_read(1, 1);
}

// --- the end of one, and of all ---

Test(subs, one_is_closed_and_opened_again_in_the_middle)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint8_t i = 0; i < RIG_CHANNELS; i++)
			read_on(i, (uint8_t)(10 * round + i + 1));
		run();
		close_channel(1);
		cr_assert_eq(storage_host.disks[0].waiting, 0);
		run();
		open_channel(1);
		read_on(1, 60);
		rig.complete = 3;
		run();
		rig.complete = 0;
		for (uint8_t i = 0; i < RIG_CHANNELS; i++)
			expect_read(i, (uint8_t)(i == 1 ? 60 : 10 * round + i + 1));
	}
}

static void break_ring(uint32_t channel)
{
	rig_control(&rig.channels[channel], false)->in = 3;
}

Test(subs, one_fails_by_itself)
{
	open_subs();
	break_ring(1);
	run();
	cr_assert_not_null(vsp_failure(rig.channels[1].vsp));
	cr_assert_null(vsp_failure(rig.channels[0].vsp));
	read_on(0, 1);
	read_on(2, 2);
	run();
	expect_read(0, 1);
	expect_read(2, 2);
}

Test(subs, one_is_rescinded_by_itself)
{
	open_subs();
	rig_rescind_one(&rig.channels[1]);
	read_on(0, 1);
	read_on(1, 3);
	read_on(2, 2);
	run();
	expect_read(0, 1);
	expect_read(2, 2);
	cr_assert_not(hear_on(1));
}

Test(subs, all_end_with_the_primary)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	read_on(1, 1);
	run();
	guest_at = 0;
	break_ring(0);
	cr_assert(guest_poll() & VSP_FAILED);
	cr_assert_eq(vsp_poll(rig.channels[1].vsp), 0);
	vsp_stop(rig.channels[0].vsp);
	cr_assert(rig.channels[1].vsp->stopped);
	cr_assert_not(vsp_idle(rig.channels[0].vsp));
	memory_disk_run(&storage_host.disks[0], 1);
	cr_assert(vsp_idle(rig.channels[0].vsp));
	cr_assert_not(hear_on(1));
}

Test(subs, whoever_opens_the_primary_anew_has_none)
{
	for (uint32_t round = 0; round < 3; round++) {
		open_subs();
		storage_host.disks[0].deferred = true;
		read_on(1, 1);
		run();
		close_channel(0);
		cr_assert_eq(storage_host.scsi[0].in_flight, 0);
		cr_assert_null(rig.channels[1].vsp);
		cr_assert(rig.channels[1].rescinded);
		cr_assert_eq(rig.offered_subs, 0);
		close_channel(1);
		close_channel(2);
		guest_at = 0;
		rig_open(&rig.channels[0], GUEST_RING_PAGES, GUEST_RING_PAGES);
		guest_initialize(VSTOR_VERSION_6_2);
	}
}

// --- saved and restored ---

Test(subs, saved_and_restored_in_the_middle)
{
	open_subs();
	storage_host.disks[0].deferred = true;
	for (uint32_t round = 0; round < 4; round++) {
		for (uint8_t i = 0; i < 6; i++)
			read_on(i % RIG_CHANNELS, (uint8_t)(10 * round + i + 1));
		if (round & 1)
			send_on(0, VSTOR_OPERATION_RESET_BUS);
		if (round & 2)
			run();
		cr_assert(rig_move());
		cr_assert_eq(vsp_sub_channels(rig.channels[0].vsp), SUBS);
		rig.complete = 1;
		run();
		rig.complete = 0;
		for (uint8_t i = 0; i < 6; i++)
			expect_read(i % RIG_CHANNELS, (uint8_t)(10 * round + i + 1));
		cr_assert_eq(hear_on(0), round & 1);
		cr_assert_not(hear_on(1));
	}
}

Test(subs, forms_of_other_channels_are_none)
{
	static uint8_t form[65536], memory[1 << 20] __attribute__((aligned(16)));
	struct lumen_channel *channel = &rig.channels[1];
	struct vsp_rings rings;
	size_t size;

	open_subs();
	cr_assert_leq(
		vsp_size(channel->class, channel->vsp_config, channel->index > 0), sizeof(memory));
	vsp_pause(channel->vsp);
	size = vsp_save(channel->vsp, form, sizeof(form));
	cr_assert_gt(size, 0);
	rings = channel->rings;
	cr_assert_not_null(
		vsp_restore(channel->class, memory, &rings, channel->vsp_config, form, size));
	rings.index = 2;
	cr_assert_null(
		vsp_restore(channel->class, memory, &rings, channel->vsp_config, form, size));
	vsp_resume(channel->vsp);
	vsp_pause(rig.channels[0].vsp);
	size = vsp_save(rig.channels[0].vsp, form, sizeof(form));
	cr_assert_gt(size, 0);
	storage_host.config.sub_channels_max = SUBS - 1; // there are fewer where it is restored
	cr_assert_null(vsp_restore(
		channel->class, memory, &rig.channels[0].rings, channel->vsp_config, form, size));
	vsp_resume(rig.channels[0].vsp);
}

enum { HEADER = 36, TURNS = 3 }; // of the base's form: one that lies in here is not restored

static void serve(struct vsp *restored)
{
	for (int turn = 0; turn < TURNS; turn++)
		vsp_poll(restored);
	cr_assert_leq(vsp_sub_channels(restored), restored->primary ? 0 : SUBS);
	vsp_stop(restored);
	cr_assert(vsp_idle(restored));
	while (rig_read(&guest_channel()->guest))
		continue;
}

// In a room of its size, so that the sanitizer sees to its ends. Returns whether it is restored.
static bool restore(const uint8_t *form, size_t size)
{
	const struct lumen_channel *channel = guest_channel();
	const size_t room_size = vsp_size(channel->class, channel->vsp_config, channel->index > 0);
	void *room = aligned_alloc(
		VSP_ALIGNMENT, (room_size + VSP_ALIGNMENT - 1) & ~(size_t)(VSP_ALIGNMENT - 1));
	struct vsp *restored =
		vsp_restore(channel->class, room, &channel->rings, channel->vsp_config, form, size);

	if (restored)
		serve(restored);
	free(room);
	return restored;
}

static void lie(uint32_t channel)
{
	static const uint8_t lies[] = { 0xFF, 0x80, 0x01, 0x04, 0x10 };
	static uint8_t form[4096];
	size_t size;

	guest_at = channel;
	vsp_pause(vsp());
	size = vsp_save(vsp(), form, sizeof(form));
	cr_assert(size);
	for (size_t i = 0; i < size * sizeof(lies); i++) {
		form[i / sizeof(lies)] ^= lies[i % sizeof(lies)];
		cr_assert(!restore(form, size) || i / sizeof(lies) >= HEADER);
		form[i / sizeof(lies)] ^= lies[i % sizeof(lies)];
	}
	cr_assert(restore(form, size));
}

Test(subs, forms_that_lie_break_nothing)
{
	open_subs();
	lie(1);
	lie(0);
}

// And in the middle of a reset, which waits for what a sub-channel has in its ring.
Test(subs, forms_that_lie_of_a_reset_break_nothing)
{
	open_subs();
	run();
	read_on(1, 1);
	send_on(0, VSTOR_OPERATION_RESET_BUS);
	vsp_poll(rig.channels[0].vsp);
	lie(0);
	lie(1);
}

// --- a VSC ---

static struct lumen_request requests[12];
static uint32_t done;

static void on_done(struct lumen_request *request)
{
	cr_assert_eq(request->status, LUMEN_OK);
	done++;
}

static void submit_all(struct lumen_storage *storage, uint8_t *buffer)
{
	static struct lumen_segment segments[12];

	for (uint32_t i = 0; i < 12; i++) {
		segments[i] = (struct lumen_segment){ .data = buffer + i * 4096, .length = 4096 };
		requests[i] = (struct lumen_request){
			.disk = lumen_storage_disk(storage, 0),
			.operation = LUMEN_READ,
			.block = 8 * i,
			.count = 8,
			.segments = &segments[i],
			.segment_count = 1,
			.done = on_done,
		};
		rig_vp = i;
		cr_assert_eq(lumen_storage_submit(&requests[i]), LUMEN_OK);
	}
}

// All queues move, also while the VSP is moved.
Test(subs_vsc, all_queues_move)
{
	static const uint32_t vps[RIG_CHANNELS + 1] = { 0, 1, 2, 3 };
	static _Alignas(4096) uint8_t buffer[12 * 4096];
	struct lumen_storage *storage;

	for (uint32_t round = 0; round < 3; round++) {
		// More are asked for than the rig has, in one of them: the rest does not come.
		const uint32_t count = RIG_CHANNELS + (round == 1);

		storage_host_create(0, STORAGE_HOST_BLOCKS, 0);
		storage_host.config.sub_channels_max = count - 1;
		rig.moves = round == 2;
		memset(buffer, 0xEE, sizeof(buffer));
		cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0),
				     &(struct lumen_storage_config){ .vps = vps,
					     .vp_count = count,
					     .bus = (void *)&storage,
					     .timeout_ns = 10000 },
				     &storage),
			LUMEN_OK);
		cr_assert_eq(lumen_storage_channels(storage), RIG_CHANNELS);
		storage_host.disks[0].deferred = true;
		done = 0;
		submit_all(storage, buffer);
		rig.complete = 2;
		while (done < 12)
			cr_assert(rig_run());
		cr_assert_eq(memcmp(buffer, storage_host.disks[0].data, sizeof(buffer)), 0);
		for (uint32_t i = 0; i < RIG_CHANNELS; i++)
			cr_assert_geq(rig.channels[i].vsp->counters.packets, 4);
		lumen_storage_close(storage);
		storage_host_destroy();
	}
}
