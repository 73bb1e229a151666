// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus and a host that takes devices away at every step, loses messages, answers
// late, never, twice, or what was not asked. Memory that is freed while the host has it ends a test
// (guest_rig.h).
#include "guest_case.h"

#include "base/macros.h"

// What happened to a driver that does everything once.
struct story {
	struct guest_rig *rig;
	struct echo_device echo;
	struct lumen_vmbus *bus;
	struct lumen_channel *channel;
	struct listener listener;
	uint32_t exchanged; // packets
	uint32_t pages_lost;
	bool time_ran_out;

	uint32_t countdown; // to the moment at which the fault happens
	uint32_t moments;   // that there were
};

// Statuses that a driver may see when the host goes wrong as these tests let it.
static bool went_well(struct story *story, lumen_status status)
{
	bool rescinded = story->channel && lumen_channel_rescinded(story->channel);

	// An open whose answer was lost keeps the channel busy.
	cr_assert(status == LUMEN_OK || status == LUMEN_TIMED_OUT ||
			  (rescinded && status == LUMEN_RESCINDED) ||
			  (story->time_ran_out && status == LUMEN_BAD_STATE),
		"status %#x", status);
	story->time_ran_out |= status == LUMEN_TIMED_OUT;
	return status == LUMEN_OK;
}

// Sends a packet and reads the answer, unless the device goes away meanwhile.
static void story_exchange(struct story *story)
{
	_Alignas(8) uint8_t buffer[256];
	struct vmbus_packet packet;
	lumen_status status = send_text(story->channel, 5, "hello");

	if (status == LUMEN_RESCINDED)
		return;
	cr_assert_eq(status, LUMEN_OK);
	for (;;) {
		status = lumen_channel_receive(story->channel, buffer, sizeof(buffer), &packet);
		if (status == LUMEN_OK) {
			story->exchanged++;
			return;
		}
		cr_assert_eq(status, LUMEN_BUSY);
		if (!lumen_channel_unmask(story->channel) && !guest_rig_run(story->rig))
			return;
	}
}

static void story_open(struct story *story)
{
	struct lumen_channel_config config = channel_config(&story->listener);

	if (!went_well(story, lumen_channel_open(story->channel, &config)))
		return;
	story_exchange(story);
	if (lumen_channel_set_vp(story->channel, 0) == LUMEN_TIMED_OUT)
		story->time_ran_out = true;
	story_exchange(story);
	lumen_channel_close(story->channel);
}

static void story_buffer(struct story *story)
{
	const uint32_t count = 60; // a header and two bodies
	void *pages = lumen_alloc_pages(count);
	lumen_status status;
	uint32_t id;

	status = lumen_gpadl_create(story->channel, pages, count, &id);
	if (went_well(story, status) && went_well(story, lumen_gpadl_destroy(story->channel, id)))
		id = 0;
	if (id)
		story->pages_lost += count;
	else
		lumen_free_pages(pages, count);
}

static void story_run(struct story *story, uint8_t vector)
{
	struct lumen_channel *channel;
	const uint32_t *changes;
	uint32_t turn;

	if (!went_well(story, guest_rig_connect(story->rig, vector, &story->bus)))
		return;
	changes = lumen_vmbus_changes(story->bus);
	for (turn = 0; turn < 2; turn++) {
		channel = lumen_vmbus_find(story->bus, &echo_type, 0);
		if (!channel)
			return;
		story->channel = channel;
		story_buffer(story);
		story_open(story);
	}
	cr_assert_gt(*changes, 0);
}

static void story_begin(struct story *story, uint32_t countdown)
{
	memset(story, 0, sizeof(*story));
	story->rig = guest_rig_create(VMBUS_VERSION_5_3);
	story->rig->hook_context = story;
	story->countdown = countdown;
	echo_add(story->rig, &story->echo, 1, 0);
}

static void moment(struct story *story, struct guest_rig *rig)
{
	if (story->moments++ == story->countdown)
		guest_rig_rescind(rig, story->echo.device);
}

static bool rescind_before_message(
	void *context, struct guest_rig *rig, union vmbus_message *message)
{
	moment(context, rig);
	return true;
}

static void rescind_before_post(void *context, struct guest_rig *rig)
{
	moment(context, rig);
}

// Whenever the host takes the device away: nothing is lost, nothing hangs, the number is given
// back.
static void rescind_everywhere(uint8_t vector, bool at_posts, bool slow_close)
{
	struct story story;
	uint32_t when, last = UINT32_MAX;

	for (when = 0; when <= last; when++) {
		story_begin(&story, when);
		story.echo.slow_close = slow_close;
		if (at_posts)
			story.rig->on_post = rescind_before_post;
		else
			story.rig->hook = rescind_before_message;
		story_run(&story, vector);
		cr_assert_not(story.time_ran_out, "at step %u", when);
		if (last == UINT32_MAX && story.moments < when)
			last = when;
		guest_rig_run(story.rig);
		if (story.channel && lumen_channel_rescinded(story.channel))
			cr_assert_eq(lumen_channel_release(story.channel), LUMEN_OK);
		lumen_vmbus_find(story.bus, NULL, 0);
		guest_rig_run(story.rig);
		if (story.moments > when)
			cr_assert_eq(story.echo.device->relid, 0, "at step %u", when);
		else
			cr_assert_eq(story.exchanged, 4);
		finish(story.rig, story.bus);
	}
	cr_assert_gt(when, at_posts ? 20 : 12);
}

BOTH_WAYS(guest_faults, a_rescind_at_every_message_to_the_guest)
{
	rescind_everywhere(*vector, false, false);
	rescind_everywhere(*vector, false, true);
}

BOTH_WAYS(guest_faults, a_rescind_at_every_message_to_the_host)
{
	rescind_everywhere(*vector, true, false);
	rescind_everywhere(*vector, true, true);
}

static bool rescind_after_created(
	void *context, struct guest_rig *rig, union vmbus_message *message)
{
	struct story *story = context;

	if (message->header.type == VMBUS_MESSAGE_GPADL_CREATED)
		guest_rig_rescind(rig, story->echo.device);
	return true;
}

// The answer and the rescind come together: the pages are back when it is said that they are.
BOTH_WAYS(guest_faults, a_rescind_right_behind_a_gpadl)
{
	struct story story;
	uint32_t id, i;
	void *pages;

	story_begin(&story, 0);
	story.bus = connected(story.rig, *vector);
	story.channel = lumen_vmbus_find(story.bus, &echo_type, 0);
	pages = lumen_alloc_pages(3);
	story.rig->hook = rescind_after_created;
	cr_assert_eq(lumen_gpadl_create(story.channel, pages, 3, &id), LUMEN_RESCINDED);
	for (i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(story.rig->server.config.gpadls[i].state, VMBUS_GPADL_FREE);
	lumen_free_pages(pages, 3);
	cr_assert_eq(lumen_channel_release(story.channel), LUMEN_OK);
	finish(story.rig, story.bus);
}

static bool lose_message(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	struct story *story = context;

	return story->moments++ != story->countdown;
}

// Whichever message is lost: the time runs out, the guest goes on, and keeps its hands off what the
// host may still have.
BOTH_WAYS(guest_faults, each_message_to_the_guest_lost)
{
	struct story story;
	lumen_status status;
	uint32_t when = 0;

	do {
		story_begin(&story, when);
		story.rig->hook = lose_message;
		story_run(&story, *vector);
		cr_assert_lt(story.rig->now_ns - story.rig->start_ns, 9000000000);
		cr_assert(story.time_ran_out || !story.channel || story.moments <= when ||
				  story.rig->now_ns - story.rig->start_ns >= 1000000000,
			"nobody missed message %u", when);
		status = story.bus ? lumen_vmbus_disconnect(story.bus) : LUMEN_OK;
		cr_assert(
			status == LUMEN_OK || (status == LUMEN_TIMED_OUT && story.moments > when));
		guest_rig_destroy(story.rig);
	} while (story.moments > when++);
	cr_assert_gt(when, 12);
}

// Each message from here on waits until the guest has given up, and comes then.
BOTH_WAYS(guest_faults, an_open_that_is_answered_late_is_closed)
{
	struct guest_case c;
	uint32_t before;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	before = c.rig->pages_out;
	c.rig->hold_opens = true;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_TIMED_OUT);
	cr_assert_eq(c.rig->pages_out, before + 8); // 3 + 4 of rings, 1 of their list: the host's
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_STATE);
	c.rig->hold_opens = false;
	guest_rig_complete_opens(c.rig, true);
	guest_rig_run(c.rig);
	cr_assert_eq(c.echo.opens, 1);
	cr_assert_eq(c.echo.closes, 1);
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
	exchange(c.rig, c.channel, 1);
	lumen_channel_close(c.channel);
	cr_assert_eq(c.rig->pages_out, before + 8);

	// The same, and refused in the end.
	c.rig->hold_opens = true;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_TIMED_OUT);
	c.rig->hold_opens = false;
	guest_rig_complete_opens(c.rig, false);
	guest_rig_run(c.rig);
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
	lumen_channel_close(c.channel);
	finish_without(c.rig, c.bus, 16);
}

BOTH_WAYS(guest_faults, a_rescind_while_an_open_is_not_answered)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	c.rig->hold_opens = true;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_TIMED_OUT);
	guest_rig_rescind(c.rig, c.echo.device);
	guest_rig_run(c.rig);
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_RESCINDED);
	c.rig->hold_opens = false;
	guest_rig_complete_opens(c.rig, true);
	guest_rig_run(c.rig);
	cr_assert_eq(lumen_channel_release(c.channel), LUMEN_OK);
	guest_rig_run(c.rig);
	cr_assert_eq(c.echo.device->relid, 0);
	cr_assert_eq(lumen_channel_release(c.channel), LUMEN_BAD_STATE);
	finish_without(c.rig, c.bus, 8);
}

BOTH_WAYS(guest_faults, a_refused_open_leaves_nothing)
{
	struct guest_case c;
	uint32_t before, i;

	guest_case_begin(&c, VMBUS_VERSION_4_0, *vector);
	c.echo.refuses = true;
	before = c.rig->pages_out;
	for (i = 0; i < 100; i++)
		cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_REFUSED);
	cr_assert_eq(c.rig->pages_out, before);
	c.echo.refuses = false;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
	exchange(c.rig, c.channel, 1);
	guest_case_end(&c);
}

BOTH_WAYS(guest_faults, the_handler_hears_of_a_rescind)
{
	struct guest_case c;
	_Alignas(8) uint8_t buffer[64];
	struct vmbus_packet packet;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	c.echo.slow_close = true;
	guest_case_open(&c);
	exchange(c.rig, c.channel, 1);
	cr_assert_eq(c.listener.rescinds, 0);
	guest_rig_rescind(c.rig, c.echo.device);
	guest_rig_run(c.rig);
	cr_assert_eq(c.listener.rescinds, 1);
	cr_assert(lumen_channel_rescinded(c.channel));
	cr_assert_eq(send_text(c.channel, 2, "too late"), LUMEN_RESCINDED);
	cr_assert_eq(lumen_channel_receive(c.channel, buffer, 64, &packet), LUMEN_BUSY);
	cr_assert_eq(lumen_channel_set_vp(c.channel, 0), LUMEN_RESCINDED);
	cr_assert_eq(lumen_channel_release(c.channel), LUMEN_BAD_STATE); // not closed
	lumen_channel_close(c.channel);
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_RESCINDED);
	cr_assert_eq(lumen_channel_release(c.channel), LUMEN_OK);
	guest_rig_run(c.rig);
	cr_assert_eq(c.echo.device->relid, 0);
	finish(c.rig, c.bus);
}

// A host that closes at its leisure keeps the rings until then.
BOTH_WAYS(guest_faults, a_host_that_never_gives_the_rings_back_keeps_them)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	guest_case_open(&c);
	c.rig->mute = true;
	lumen_channel_close(c.channel);
	cr_assert(guest_rig_said(c.rig, "vmbus: the host keeps a channel's rings"));
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_TIMED_OUT);
	c.rig->mute = false;
	guest_rig_run(c.rig);
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
	exchange(c.rig, c.channel, 1);
	lumen_channel_close(c.channel);
	finish_without(c.rig, c.bus, 16);
}

BOTH_WAYS(guest_faults, a_gpadl_that_is_answered_late_is_torn_down)
{
	struct guest_case c;
	uint32_t id, i;
	void *pages;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	pages = lumen_alloc_pages(300); // more messages than the hypervisor keeps
	c.rig->mute = true;
	cr_assert_eq(lumen_gpadl_create(c.channel, pages, 300, &id), LUMEN_TIMED_OUT);
	c.rig->mute = false;
	guest_rig_run(c.rig);
	lumen_vmbus_find(c.bus, NULL, 0); // posts what was left
	guest_rig_run(c.rig);
	for (i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(c.rig->server.config.gpadls[i].state, VMBUS_GPADL_FREE);
	lumen_free_pages(pages, 300);

	// More than the queues hold: the host hears of a part only, which it cannot use.
	pages = lumen_alloc_pages(1000);
	c.rig->deaf = true;
	cr_assert_eq(lumen_gpadl_create(c.channel, pages, 1000, &id), LUMEN_TIMED_OUT);
	c.rig->deaf = false;
	guest_rig_run(c.rig);
	lumen_vmbus_find(c.bus, NULL, 0);
	guest_rig_run(c.rig);
	lumen_free_pages(pages, 1000);
	finish(c.rig, c.bus);
}

// A message of a GPADL of three cannot be posted. The host has heard of it unless that was the
// first.
BOTH_WAYS(guest_faults, a_gpadl_that_cannot_be_told)
{
	struct guest_case c;
	uint32_t id, failed;
	void *pages;

	for (failed = 0; failed < 3; failed++) {
		guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
		pages = lumen_alloc_pages(60);
		c.rig->post_status = HV_STATUS_ACCESS_DENIED;
		c.rig->post_fails_at = c.rig->posts + failed;
		c.rig->post_failures = 1000;
		cr_assert_eq(
			lumen_gpadl_create(c.channel, pages, 60, &id), HV_STATUS_ACCESS_DENIED);
		cr_assert_eq(id == 0, failed == 0);
		c.rig->post_failures = 0;
		// The rest is in the queue: with it, the host answers.
		if (id)
			cr_assert_eq(lumen_gpadl_destroy(c.channel, id), LUMEN_OK);
		lumen_free_pages(pages, 60);
		// What was not posted is not posted later.
		guest_case_open(&c);
		exchange(c.rig, c.channel, 1);
		lumen_channel_close(c.channel);
		finish(c.rig, c.bus);
	}
}

// The pages of a GPADL that is answered late can be had back.
BOTH_WAYS(guest_faults, a_gpadl_that_is_answered_late_can_be_destroyed)
{
	struct guest_case c;
	uint32_t id;
	void *pages;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	pages = lumen_alloc_pages(60);
	c.rig->mute = true;
	cr_assert_eq(lumen_gpadl_create(c.channel, pages, 60, &id), LUMEN_TIMED_OUT);
	cr_assert_neq(id, 0);
	c.rig->mute = false;
	cr_assert_eq(lumen_gpadl_destroy(c.channel, id), LUMEN_OK);
	cr_assert_eq(lumen_gpadl_destroy(c.channel, id), LUMEN_BAD_ARGUMENT);
	lumen_free_pages(pages, 60);
	finish(c.rig, c.bus);
}

BOTH_WAYS(guest_faults, a_host_that_does_not_answer_the_unload)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct lumen_vmbus *bus = connected(rig, *vector);
	uint64_t start = rig->now_ns;

	rig->mute = true;
	cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_TIMED_OUT);
	cr_assert_eq(rig->now_ns - start, 1000000000);
	rig->mute = false;
	guest_rig_run(rig); // the answer finds nobody
	finish(rig, connected(rig, *vector));
}

Test(guest_faults, a_host_that_does_not_end_its_offers_is_left)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct story story = { .countdown = 1 };
	struct lumen_vmbus *bus = NULL;

	rig->hook = lose_message;
	rig->hook_context = &story;
	cr_assert_eq(guest_rig_connect(rig, GUEST_RIG_VECTOR, &bus), LUMEN_TIMED_OUT);
	cr_assert_null(bus);
	cr_assert_eq(rig->server.state, VMBUS_SERVER_DISCONNECTED);
	finish(rig, NULL);
}

// Each message comes twice. (A refused contact would count twice: the host speaks 5.3.)
static bool twice(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	guest_rig_say(rig, message, VMBUS_MESSAGE_MAX);
	return true;
}

BOTH_WAYS(guest_faults, a_host_that_says_everything_twice)
{
	struct story story;

	story_begin(&story, UINT32_MAX);
	story.rig->hook = twice;
	story_run(&story, *vector);
	cr_assert_not(story.time_ran_out);
	cr_assert_eq(story.exchanged, 4);
	cr_assert_null(lumen_vmbus_find(story.bus, NULL, 1));
	cr_assert_gt(story.rig->log_count, 0);
	finish(story.rig, story.bus);
}

// Before each message, one of each type about things that do not exist or were not asked.
static bool lie(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	static const uint32_t numbers[] = { 0, 1, 2, 3, 2047, 2048, 0x80000001, UINT32_MAX };
	uint32_t type, i;

	for (type = 0; type < VMBUS_MESSAGE_TYPE_COUNT + 3; type++) {
		for (i = 0; i < ARRAY_SIZE(numbers); i++) {
			union vmbus_message lies = { 0 };
			bool real = numbers[i] == 1;

			memset(lies.bytes, i & 1 ? 0xFF : 0, sizeof(lies));
			lies.header.type = type;
			if (type == VMBUS_MESSAGE_OFFER_CHANNEL) {
				lies.offer_channel.relid = real ? 1 : 3000;
				lies.offer_channel.is_dedicated_interrupt = 0;
			} else if (type == VMBUS_MESSAGE_GPADL_TORNDOWN) {
				lies.gpadl_torndown.gpadl = numbers[i] | 0x80000000;
			} else if (type == VMBUS_MESSAGE_GPADL_CREATED) {
				lies.gpadl_created.relid = numbers[i];
				lies.gpadl_created.gpadl = numbers[i] | 0x80000000;
			} else if (type == VMBUS_MESSAGE_OPEN_CHANNEL_RESULT) {
				lies.open_channel_result.relid = numbers[i];
				lies.open_channel_result.open_id = 0x80000000;
			} else if (type == VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER) {
				lies.rescind_channel_offer.relid = real ? 9 : numbers[i];
			} else if (type == VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE) {
				lies.modify_channel_response.relid = real ? 9 : numbers[i];
			} else if (type == VMBUS_MESSAGE_VERSION_RESPONSE ||
				   type == VMBUS_MESSAGE_ALL_OFFERS_DELIVERED ||
				   type == VMBUS_MESSAGE_UNLOAD_COMPLETE) {
				continue; // their lies can hit
			}
			guest_rig_say(rig, &lies, i & 2 ? VMBUS_MESSAGE_MAX : 200);
			guest_rig_say(rig, &lies, 9);
			guest_rig_say(rig, &lies, 3);
			guest_rig_say(rig, &lies, 255);
		}
	}
	return true;
}

BOTH_WAYS(guest_faults, a_host_that_lies)
{
	struct story story;

	story_begin(&story, UINT32_MAX);
	story.rig->hook = lie;
	story_run(&story, *vector);
	cr_assert_not(story.time_ran_out);
	cr_assert_eq(story.exchanged, 4);
	cr_assert_null(lumen_vmbus_find(story.bus, NULL, 1));
	// One line for each kind of violation.
	cr_assert_gt(story.rig->log_count, 3);
	cr_assert_leq(story.rig->log_count, 22);
	finish(story.rig, story.bus);
}

static bool move_refused(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	if (message->header.type == VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE)
		message->modify_channel_response.status = VMBUS_STATUS_UNSUCCESSFUL;
	return true;
}

Test(guest_faults, a_move_can_be_refused_or_forgotten)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	guest_case_open(&c);
	c.rig->hook = move_refused;
	cr_assert_eq(lumen_channel_set_vp(c.channel, 0), LUMEN_REFUSED);
	c.rig->mute = true;
	cr_assert_eq(lumen_channel_set_vp(c.channel, 0), LUMEN_TIMED_OUT);
	cr_assert_eq(lumen_channel_set_vp(c.channel, 0), LUMEN_BAD_STATE); // one at a time
	c.rig->mute = false;
	c.rig->hook = NULL;
	guest_rig_run(c.rig);
	cr_assert_eq(lumen_channel_set_vp(c.channel, 0), LUMEN_OK);
	guest_case_end(&c);
}

Test(guest_faults, more_offers_than_the_guest_has_room_for)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct lumen_vmbus_config config = { .synic = &rig->synics[0], .channels = 3 };
	struct echo_device echo[5] = { 0 };
	struct lumen_vmbus *bus;
	uint32_t i;

	for (i = 0; i < 5; i++)
		echo_add(rig, &echo[i], i, 0);
	cr_assert_eq(lumen_vmbus_connect(&config, &bus), LUMEN_OK);
	cr_assert_not_null(lumen_vmbus_find(bus, NULL, 2));
	cr_assert_null(lumen_vmbus_find(bus, NULL, 3));
	cr_assert_eq(rig->log_count, 1);
	cr_assert_str_eq(rig->log[0], "vmbus: the host broke the protocol: too many offers");
	config.channels = 2048;
	cr_assert_eq(lumen_vmbus_connect(&config, &bus), LUMEN_BAD_ARGUMENT);
	finish(rig, bus);
}
