// SPDX-License-Identifier: BSD-2-Clause
// Each device, VSP and VSC joined: the VSP is moved in the middle of each exchange, the guest
// closes in the middle of each and opens again; and guests of the components that answer late,
// never or twice.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/fcopy.h"
#include "drivers/proto/kvp.h"
#include "drivers/proto/shutdown.h"
#include "drivers/proto/vss.h"
#include "drivers/vsp/ic/components.h"
#include "ic/ic_guest.h"
#include "lumen/ic.h"
#include "lumen/storage.h"
#include "net/net_kernel.h"
#include "storage/storage_host.h"

static struct lumen_ic *component;
static struct ic_order order; // that the component gets
static struct lumen_storage *storage;
static uint32_t told;
static _Alignas(4096) uint8_t buffer[3][8192];

// A device, and its VSC in the hands of a kernel.
struct pair {
	void (*create)(void);
	void (*open)(void);
	void (*destroy)(void);
	void (*begin)(void);  // an exchange, when the channel is ready for one
	void (*finish)(void); // sees that all that were begun end well
	bool (*poll)(void);
	void (*close)(void);
};

// --- the components ---

static void told_of(void *context)
{
	told++;
}

static void told_time(void *context, const struct lumen_time_sample *sample)
{
	told++;
}

static void create_shutdown(void)
{
	ic_guest_create(&shutdown_component);
	order = (struct ic_order){ 0 };
}

static void open_shutdown(void)
{
	static const struct lumen_shutdown_handlers handlers = { told_of, told_of, NULL, NULL };

	cr_assert_eq(lumen_shutdown_open(NULL, &handlers, &component), LUMEN_OK);
}

static void create_heartbeat(void)
{
	ic_guest_create(&heartbeat_component);
	order = (struct ic_order){ 0 };
}

static void open_heartbeat(void)
{
	cr_assert_eq(lumen_heartbeat_open(NULL, &component), LUMEN_OK);
}

static void create_time(void)
{
	ic_guest_create(&timesync_component);
	order = (struct ic_order){ 0 };
}

static void open_time(void)
{
	static const struct lumen_time_handler handler = { told_time, NULL };

	cr_assert_eq(lumen_time_open(NULL, &handler, &component), LUMEN_OK);
}

static lumen_ic_answer told_to(void *context)
{
	told++;
	return LUMEN_IC_DONE;
}

static lumen_ic_answer one_pair(
	void *context, enum lumen_kvp_pool pool, uint32_t index, char *key, char *value)
{
	told++;
	strcpy(key, "key");
	strcpy(value, "value");
	return index ? LUMEN_IC_NO_MORE : LUMEN_IC_DONE;
}

static void create_kvp(void)
{
	ic_guest_create(&kvp_component);
	order = (struct ic_order){ .argument = KVP_ORDER(KVP_ENUMERATE, 0) };
}

static void open_kvp(void)
{
	static const struct lumen_kvp_handlers handlers = { .enumerate = one_pair };

	cr_assert_eq(lumen_kvp_open(NULL, &handlers, &component), LUMEN_OK);
}

static void create_vss(void)
{
	ic_guest_create(&vss_component);
}

static void open_vss(void)
{
	static const struct lumen_vss_handlers handlers = { told_to, told_to, told_to, NULL };

	order = (struct ic_order){ .argument = VSS_FREEZE };
	cr_assert_eq(lumen_vss_open(NULL, &handlers, &component), LUMEN_OK);
}

static lumen_ic_answer take_start(void *context, const struct lumen_fcopy_file *file)
{
	return told_to(context);
}

static lumen_ic_answer take_piece(void *context, uint64_t offset, const void *data, uint32_t size)
{
	return told_to(context);
}

static void give_up(void *context)
{
}

static void create_fcopy(void)
{
	static const char words[] = "7000\0/name";

	ic_guest_create(&fcopy_component);
	ic_guest_file_size = sizeof(ic_guest_file);
	ic_guest_file_at = 0;
	order = (struct ic_order){
		.argument = FCOPY_START, .words = words, .words_length = sizeof(words)
	};
}

static void open_fcopy(void)
{
	static const struct lumen_fcopy_handlers handlers = { take_start, take_piece, told_to,
		give_up, NULL };

	ic_guest_file_at = 0;
	cr_assert_eq(lumen_fcopy_open(NULL, &handlers, &component), LUMEN_OK);
}

static bool poll_component(void)
{
	return lumen_ic_poll(component);
}

// Two questions: what there is to be said by itself, and one more.
static void begin_question(void)
{
	ic_begin(ic(), &order);
}

static void take_turns(void)
{
	for (uint32_t turn = 0; turn < 20; turn++) {
		rig_run();
		lumen_ic_poll(component);
	}
}

static void finish_questions(void)
{
	take_turns();
	if (order.argument == VSS_FREEZE && ic()->component == &vss_component)
		order.argument = VSS_THAW; // what is frozen is not frozen again
	cr_assert(ic_begin(ic(), &order));
	take_turns();
	cr_assert_not(ic_asked(ic()));
	cr_assert_eq(ic_status(ic()), IC_STATUS_OK, "%s: 0x%x", ic()->component->class.name,
		ic_status(ic()));
	cr_assert_geq(ic()->answers, 1);
	cr_assert_eq(ic()->questions, ic()->answers);
	cr_assert_eq(vsp()->counters.packets, 1 + ic()->answers);
	cr_assert_eq(vsp()->counters.malformed, 0);
	cr_assert_eq(lumen_ic_status(component), LUMEN_OK);
	cr_assert_eq(lumen_ic_bad_messages(component), 0);
	cr_assert(ic()->component == &heartbeat_component || told >= ic()->answers);
}

static void close_component(void)
{
	lumen_ic_close(component);
}

// --- storage ---

static struct lumen_request requests[3];
static uint32_t done;

static void on_done(struct lumen_request *request)
{
	done++;
}

static void create_storage(void)
{
	storage_host_create(BLOCK_DEVICE_WRITE_CACHE, 1024, 0);
}

static void open_storage(void)
{
	const struct lumen_storage_config config = { .depth = 2, .timeout_ns = 1000 };

	storage_host.disks[0].deferred = false;
	cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0), &config, &storage), LUMEN_OK);
	storage_host.disks[0].deferred = true;
	rig.complete = 1;
	done = 0;
	memset(requests, 0, sizeof(requests));
}

static void begin_reads(void)
{
	static struct lumen_segment segments[3];

	for (uint32_t i = 0; i < 3; i++) {
		segments[i] = (struct lumen_segment){ .data = buffer[i], .length = 4096 };
		requests[i] = (struct lumen_request){
			.disk = lumen_storage_disk(storage, 0),
			.operation = LUMEN_READ,
			.block = 100 * i,
			.count = 8,
			.segments = &segments[i],
			.segment_count = 1,
			.done = on_done,
		};
		cr_assert_eq(lumen_storage_submit(&requests[i]), LUMEN_OK);
	}
}

static bool poll_storage(void)
{
	return lumen_storage_poll(storage);
}

static void finish_reads(void)
{
	for (uint32_t turn = 0; turn < 20 && done < 3; turn++) {
		rig_run();
		lumen_storage_poll(storage);
	}
	cr_assert_eq(done, 3);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(requests[i].status, LUMEN_OK);
		cr_assert_eq(memcmp(buffer[i], storage_host.disks[0].data + 51200 * i, 4096), 0);
	}
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
}

static void close_storage(void)
{
	const uint32_t begun = requests[0].disk ? 3 : 0;

	lumen_storage_close(storage);
	cr_assert_eq(done, begun);
	cr_assert_eq(storage_host.disks[0].waiting, 0);
	cr_assert_eq(storage_host.scsi[0].in_flight, 0);
}

// --- the network: three frames out, and each comes back ---

static struct lumen_net_frame frames[3];

static void create_net(void)
{
	net_host_create(1, 0);
}

static void open_net(void)
{
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .depth = 2, .timeout_ns = 1000 }),
		LUMEN_OK);
	net_host.wire.deferred = true;
	net_host.wire.sent_count = 0;
	rig.complete = 1;
	memset(frames, 0, sizeof(frames));
}

static void begin_frames(void)
{
	static struct lumen_segment segments[3];

	for (uint32_t i = 0; i < 3; i++) {
		net_kernel_fill(buffer[i], 1000, i);
		segments[i] = (struct lumen_segment){ .data = buffer[i], .length = 1000 };
		frames[i] = (struct lumen_net_frame){
			.segments = &segments[i], .segment_count = 1, .done = net_kernel_done
		};
		cr_assert_eq(lumen_net_send(net_kernel.net, &frames[i]), LUMEN_OK);
	}
}

static bool poll_net(void)
{
	return lumen_net_poll(net_kernel.net);
}

static void take_net_turns(void)
{
	for (uint32_t turn = 0; turn < 20; turn++) {
		rig_run();
		poll_net();
	}
	rig_poll(&rig.channels[0]); // the wire has rooms, wherever the VSP is now
}

static void finish_frames(void)
{
	take_net_turns();
	cr_assert_eq(net_kernel.good, 3);
	cr_assert_eq(net_host.wire.sent_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct memory_wire_frame *sent = memory_wire_sent(&net_host.wire, i);

		cr_assert_arr_eq(sent->bytes, buffer[i], 1000);
		memset(buffer[i], 0xFF, 6);
		cr_assert(net_kernel_comes(buffer[i], 1000));
	}
	take_net_turns();
	cr_assert_eq(net_kernel.received, 3);
	cr_assert_arr_eq(net_kernel.bytes, buffer[2], 1000);
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_OK);
}

static void close_net(void)
{
	const uint32_t begun = frames[0].segments ? 3 : 0;

	lumen_net_close(net_kernel.net);
	cr_assert_eq(net_kernel.done, begun);
	cr_assert_eq(rig.gpadls, 0);
	cr_assert_null(net_host.wire.sending);
}

// --- all of them ---

#define COMPONENT(name)                                                                            \
	{                                                                                          \
		create_##name, open_##name, rig_destroy, begin_question, finish_questions,         \
			poll_component, close_component                                            \
	}

static const struct pair pairs[] = {
	COMPONENT(shutdown),
	COMPONENT(heartbeat),
	COMPONENT(time),
	COMPONENT(kvp),
	COMPONENT(vss),
	COMPONENT(fcopy),
	{ create_storage, open_storage, storage_host_destroy, begin_reads, finish_reads,
		poll_storage, close_storage },
	{ create_net, open_net, rig_destroy, begin_frames, finish_frames, poll_net, close_net },
};

enum { PAIRS = ARRAY_SIZE(pairs), STEPS = 12 };

// The ends take steps in turn, and an exchange begins on the way.
static void go(const struct pair *pair, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++) {
		if (i == STEPS / 2)
			pair->begin();
		if (i % 2)
			pair->poll();
		else
			rig_run();
	}
}

static void close(const struct pair *pair)
{
	pair->close();
	cr_assert_eq(rig.pages, 0);
	cr_assert_not(rig.channels[0].open);
	cr_assert_null(vsp());
}

Test(pairs, a_vsp_goes_on_elsewhere_in_the_middle_of_each_exchange)
{
	for (uint32_t i = 0; i < 2 * PAIRS; i++) {
		const struct pair *pair = &pairs[i / 2];

		pair->create();
		rig.interrupts = i % 2;
		rig.moves = true;
		pair->open();
		go(pair, STEPS);
		pair->finish();
		cr_assert_geq(rig.moved, STEPS);
		close(pair);
		pair->destroy();
	}
}

// Moved once, between any two steps.
Test(pairs, a_vsp_goes_on_elsewhere_after_each_step)
{
	for (uint32_t i = 0; i < PAIRS * STEPS; i++) {
		const struct pair *pair = &pairs[i / STEPS];

		pair->create();
		rig.interrupts = false;
		pair->open();
		for (uint32_t step = 0; step < STEPS; step++) {
			if (step == STEPS / 2)
				pair->begin();
			if (step == i % STEPS) {
				cr_assert(rig_move());
				// A signal may have been lost on the way.
				cr_assert(rig_poll(&rig.channels[0]) & VSP_SIGNAL);
			}
			if (step % 2)
				pair->poll();
			else
				rig_run();
		}
		pair->finish();
		close(pair);
		pair->destroy();
	}
}

Test(pairs, a_guest_that_closes_in_the_middle_of_any_exchange_leaves_nothing)
{
	for (uint32_t i = 0; i < 2 * PAIRS; i++) {
		const struct pair *pair = &pairs[i / 2];

		pair->create();
		rig.interrupts = i % 2;
		for (uint32_t steps = 0; steps <= STEPS; steps++) {
			pair->open();
			go(pair, steps);
			close(pair);
		}
		pair->open();
		go(pair, STEPS);
		pair->finish();
		close(pair);
		pair->destroy();
	}
}

// --- the components' guests that answer as they like ---

static const struct ic_component *const components[] = { &shutdown_component, &heartbeat_component,
	&timesync_component };

// The guest has a question in its hands.
static void open_asked(const struct ic_component *of)
{
	ic_guest_agree(of, of->versions.list[of->versions.count - 1]);
	vsp_poll(vsp());
	ic_ask(ic(), 0);
	vsp_poll(vsp());
	cr_assert(receive());
	cr_assert_eq(header.type, of->type);
}

// As a guest's driver does.
static void answer_well(void)
{
	static uint8_t copy[8192];

	memcpy(copy, body, header.size);
	copy[0] += header.type == IC_MESSAGE_HEARTBEAT;
	respond(copy, header.size);
}

Test(pairs, a_guest_that_answers_late_is_asked_again)
{
	for (uint32_t i = 0; i < 3; i++) {
		open_asked(components[i]);
		rig_pass(60000);
		cr_assert_eq(vsp_poll(vsp()) & ~IC_SILENT, 0);
		cr_assert_not(receive());
		move();
		answer_well();
		cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
		cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
		cr_assert(ic_ask(ic(), 0));
		vsp_poll(vsp());
		cr_assert(receive());
	}
}

Test(pairs, a_guest_that_never_answers_is_asked_once_and_holds_nothing_up)
{
	for (uint32_t i = 0; i < 3; i++) {
		open_asked(components[i]);
		for (uint32_t minute = 0; minute < 10; minute++) {
			rig_pass(60000);
			cr_assert_eq(vsp_poll(vsp()) & ~IC_SILENT, 0);
			cr_assert_not(ic_ask(ic(), 0));
		}
		cr_assert_not(receive());
		cr_assert_eq(ic()->questions, 1);
		cr_assert_eq(ic()->late > 0, components[i]->ask_at_once);
		rig_close(&rig.channels[0]); // is idle at once
		open_asked(components[i]);
	}
}

Test(pairs, a_guest_that_answers_twice_is_counted_and_asked_again)
{
	for (uint32_t i = 0; i < 3; i++) {
		open_asked(components[i]);
		answer_well();
		answer_well();
		cr_assert_eq(vsp_poll(vsp()) & (IC_ANSWERED | VSP_FAILED), IC_ANSWERED);
		cr_assert_eq(ic()->answers, 1);
		cr_assert_eq(ic()->stray, 1);
		cr_assert(ic_ask(ic(), 0));
		vsp_poll(vsp());
		cr_assert(receive());
	}
}
