// SPDX-License-Identifier: BSD-2-Clause
// See rig.h: the channels, and the host's end of them.
#include "rig.h"

#include <stdlib.h>
#include <string.h>

struct rig rig;

void rig_check(bool condition)
{
	if (!condition)
		abort();
}

// --- the guest's memory ---

static void *memory_page(void *context, uint64_t gpa_page)
{
	(void)context;
	if (gpa_page < rig.ram_pages)
		return rig.ram + gpa_page * VMBUS_PAGE_SIZE;
	return rig.channels[0].config.handler ? rig_memory_at(gpa_page << VMBUS_PAGE_SHIFT) : NULL;
}

const struct vmbus_memory rig_memory = { NULL, memory_page };

// --- rings ---

static void *const *make_ring(uint32_t count)
{
	void **pages = calloc(count, sizeof(*pages));

	for (uint32_t i = 0; i < count; i++) {
		pages[i] = aligned_alloc(VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE);
		memset(pages[i], 0, VMBUS_PAGE_SIZE);
	}
	return pages;
}

static void free_ring(void *const *pages, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(pages[i]);
	free((void *)(uintptr_t)pages);
}

// Ends begin where the rings stand. Those that are broken stay so.
static void init_end(struct rig_end *end, bool host, const struct vsp_rings *rings)
{
	const enum vmbus_ring_status reads =
		host ? vmbus_ring_reader_init(&end->reader, rings->in_pages, rings->in_page_count)
		     : vmbus_ring_reader_init(
			       &end->reader, rings->out_pages, rings->out_page_count);
	const enum vmbus_ring_status writes =
		host ? vmbus_ring_writer_init(&end->writer, rings->out_pages, rings->out_page_count)
		     : vmbus_ring_writer_init(&end->writer, rings->in_pages, rings->in_page_count);

	rig_check(rig.hostile || (reads == VMBUS_RING_OK && writes == VMBUS_RING_OK));
	end->status = VMBUS_RING_EMPTY;
	end->wrote = false;
}

struct vmbus_ring_control *rig_control(struct lumen_channel *channel, bool to_guest)
{
	return to_guest ? channel->rings.out_pages[0] : channel->rings.in_pages[0];
}

bool rig_read(struct rig_end *end)
{
	end->status = vmbus_ring_read(&end->reader, end->buffer, sizeof(end->buffer), &end->packet);
	if (end->status != VMBUS_RING_OK)
		return false;
	vmbus_ring_reader_commit(&end->reader);
	return true;
}

bool rig_write(struct rig_end *end, const struct vmbus_packet_out *packet)
{
	end->status = vmbus_ring_write(&end->writer, packet);
	if (end->status != VMBUS_RING_OK)
		return false;
	vmbus_ring_writer_commit(&end->writer);
	end->wrote = true;
	return true;
}

bool rig_say(struct rig_end *end, uint16_t type, uint64_t transaction_id, const void *payload,
	uint32_t length)
{
	const struct vmbus_piece piece = { payload, length };

	return rig_write(end, &(struct vmbus_packet_out){
				      .type = type,
				      .transaction_id = transaction_id,
				      .payload = &piece,
				      .payload_count = 1,
			      });
}

// --- the VSP ---

static void *vsp_room(const struct lumen_channel *channel)
{
	const size_t size = vsp_size(channel->class, channel->vsp_config, channel->index > 0);

	rig_check(size > 0);
	return aligned_alloc(
		VSP_ALIGNMENT, (size + VSP_ALIGNMENT - 1) / VSP_ALIGNMENT * VSP_ALIGNMENT);
}

// Of a primary channel; of any other there are none.
static struct lumen_channel *sub_of(struct lumen_channel *channel, uint32_t index)
{
	return channel->index == 0 && index < RIG_CHANNELS ? &rig.channels[index] : NULL;
}

static void stop_vsp(struct lumen_channel *channel)
{
	if (!channel->vsp || channel->stopped)
		return;
	vsp_stop(channel->vsp);
	if (rig.backend)
		rig.backend(UINT32_MAX);
	rig_check(vsp_idle(channel->vsp));
	channel->stopped = true;
}

// With those of its sub-channels.
static void free_vsp(struct lumen_channel *channel)
{
	struct lumen_channel *sub;

	stop_vsp(channel);
	for (uint32_t i = 1; (sub = sub_of(channel, i)); i++)
		free_vsp(sub);
	if (channel->vsp && channel->rings.primary)
		vsp_leave(channel->vsp);
	free(channel->vsp); // where its memory begins
	channel->vsp = NULL;
	channel->stopped = false;
}

void rig_start(struct lumen_channel *channel)
{
	free_vsp(channel);
	channel->rings.primary = channel->index ? rig.channels[0].vsp : NULL;
	if (!channel->class || (channel->index && !channel->rings.primary))
		return;
	channel->vsp =
		vsp_open(channel->class, vsp_room(channel), &channel->rings, channel->vsp_config);
	rig_check(channel->vsp != NULL);
	if (channel->rings.primary)
		vsp_join(channel->vsp);
}

// The host offers what the class has asked for, as far as there are channels.
static void offer_subs(const struct vsp *vsp)
{
	const uint32_t count = vsp_sub_channels(vsp);

	rig_check(!vsp->primary);
	for (; rig.offered_subs < count && rig.offered_subs < RIG_CHANNELS - 1; rig.changes++)
		rig.channels[++rig.offered_subs].rescinded = false;
}

struct rig_end *rig_take_over(struct lumen_channel *channel)
{
	free_vsp(channel);
	init_end(&channel->host, true, &channel->rings);
	return &channel->host;
}

static uint32_t poll_once(struct lumen_channel *channel)
{
	const uint32_t flags = channel->vsp ? vsp_poll(channel->vsp) : 0;

	channel->signalled |= (flags & VSP_SIGNAL) != 0;
	if (flags & VSP_SUB_CHANNELS)
		offer_subs(channel->vsp);
	rig_check(!(flags & VSP_FAILED) || rig.hostile);
	return flags;
}

// If it may be another channel that has more to do now. Returns whether it was.
static bool poll_others(const struct lumen_channel *channel)
{
	if (!rig.channels[0].vsp || !vsp_any_waits(rig.channels[0].vsp))
		return false;
	for (uint32_t i = 0; i < RIG_CHANNELS; i++) {
		struct lumen_channel *other = &rig.channels[i];

		if (other != channel && poll_once(other) & VSP_FAILED)
			stop_vsp(other);
	}
	return true;
}

uint32_t rig_poll(struct lumen_channel *channel)
{
	uint32_t all = 0, flags;

	do {
		flags = poll_once(channel);
		all |= flags;
	} while (poll_others(channel) || flags & VSP_AGAIN);
	return all;
}

static size_t save(struct lumen_channel *channel, uint8_t *form, size_t room)
{
	size_t size;

	size = vsp_save(channel->vsp, form, room);
	if (size) {
		rig_check(vsp_save(channel->vsp, form, size - 1) == 0);
		rig_check(vsp_save(channel->vsp, form, size) == size);
	}
	return size;
}

static bool moves_along(const struct lumen_channel *channel)
{
	return channel->vsp && !channel->stopped && !vsp_failure(channel->vsp);
}

// Until there is nothing under way on any channel. One that fails in the middle of it is stopped,
// as at any other time.
static void pause_all(uint8_t *form, size_t room)
{
	struct lumen_channel *primary = &rig.channels[0];

	for (uint32_t i = 0; i < RIG_CHANNELS; i++) {
		if (!moves_along(&rig.channels[i]))
			continue;
		rig_check(vsp_save(rig.channels[i].vsp, form, room) == 0); // it is not paused
		vsp_pause(rig.channels[i].vsp);
	}
	for (uint32_t turn = 0; !vsp_idle(primary->vsp); turn++) {
		rig_check(turn < 1000 && vsp_save(primary->vsp, form, room) == 0);
		for (uint32_t i = 0; i < RIG_CHANNELS; i++)
			if (moves_along(&rig.channels[i]) &&
				rig_poll(&rig.channels[i]) & VSP_FAILED)
				stop_vsp(&rig.channels[i]);
		if (rig.backend)
			rig.backend(UINT32_MAX);
	}
}

static void restore(struct lumen_channel *channel, const uint8_t *form, size_t size)
{
	channel->rings.primary = channel->index ? rig.channels[0].vsp : NULL;
	channel->vsp = vsp_restore(channel->class, vsp_room(channel), &channel->rings,
		channel->vsp_config, form, size);
	rig_check(channel->vsp != NULL);
	if (channel->rings.primary)
		vsp_join(channel->vsp);
}

bool rig_move(void)
{
	static uint8_t forms[RIG_CHANNELS][64 << 10];
	size_t sizes[RIG_CHANNELS] = { 0 };

	if (!moves_along(&rig.channels[0]))
		return false;
	pause_all(forms[0], sizeof(forms[0]));
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		if (moves_along(&rig.channels[i]))
			sizes[i] = save(&rig.channels[i], forms[i], sizeof(forms[i]));
	if (!sizes[0])
		return false;
	for (uint32_t i = RIG_CHANNELS; i-- > 0;) {
		free(rig.channels[i].vsp);
		rig.channels[i].vsp = NULL;
	}
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		if (sizes[i])
			restore(&rig.channels[i], forms[i], sizes[i]);
	if (rig.backend)
		rig.backend(0); // what it asks of its host at once
	rig.moved++;
	return true;
}

// --- a channel ---

struct lumen_channel *rig_offer(uint32_t index, const struct vmbus_guid *type,
	const struct vsp_class *class, const void *config)
{
	struct lumen_channel *channel = &rig.channels[index];

	channel->type = *type;
	channel->class = class;
	channel->vsp_config = config;
	return channel;
}

void rig_open(struct lumen_channel *channel, uint32_t to_host_pages, uint32_t to_guest_pages)
{
	rig_check(!channel->open);
	channel->rings = (struct vsp_rings){
		.in_pages = make_ring(to_host_pages),
		.in_page_count = to_host_pages,
		.out_pages = make_ring(to_guest_pages),
		.out_page_count = to_guest_pages,
		.index = channel->index,
	};
	channel->open = true;
	channel->signalled = false;
	channel->tick_ms = 0;
	init_end(&channel->guest, false, &channel->rings);
	init_end(&channel->host, true, &channel->rings);
	rig_start(channel);
	if (rig.on_open)
		rig.on_open(channel);
}

void rig_close(struct lumen_channel *channel)
{
	struct lumen_channel *sub;

	rig_check(channel->open);
	free_vsp(channel);
	for (uint32_t i = 1; (sub = sub_of(channel, i)); i++)
		sub->rescinded = true;
	if (channel->index == 0)
		rig.offered_subs = 0;
	free_ring(channel->rings.in_pages, channel->rings.in_page_count);
	free_ring(channel->rings.out_pages, channel->rings.out_page_count);
	channel->open = false;
}

// --- the host ---

static void call_handler(struct lumen_channel *channel)
{
	if (!channel->open || !rig.interrupts || !channel->config.handler)
		return;
	channel->signalled = rig.polled && !rig.waiting;
	if (channel->signalled)
		return;
	// Without a look at the reader, as in guest-sdk/vmbus_channel.c: a thread may be reading.
	__atomic_store_n(&rig_control(channel, true)->interrupt_mask, 1, __ATOMIC_RELAXED);
	rig_irq_off = true;
	channel->config.handler(channel->config.context, channel);
	rig_irq_off = false;
}

static void run_vsp(struct lumen_channel *channel)
{
	bool failed;

	if (rig.moves)
		rig_move();
	failed = rig_poll(channel) & VSP_FAILED;
	if (failed)
		stop_vsp(channel);
	else if (rig.moves)
		rig_move();
}

static bool run_channel(struct lumen_channel *channel)
{
	if (!channel->open)
		return false;
	if (channel->vsp && !channel->stopped)
		run_vsp(channel);
	channel->signalled |= channel->host.wrote;
	channel->host.wrote = false;
	if (!channel->signalled)
		return false;
	channel->signalled = false;
	call_handler(channel);
	return !channel->signalled;
}

static bool run_backend(void)
{
	return rig.backend && rig.backend(rig.complete) > 0;
}

bool rig_run(void)
{
	bool any;

	if (rig.mute)
		return false;
	if (++rig.runs == rig.mute_after) {
		rig.mute = true;
		return false;
	}
	if (rig.runs == rig.rescind_after) {
		rig_rescind();
		return true;
	}
	any = run_backend();
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		any |= run_channel(&rig.channels[i]);
	return any || run_backend(); // of what has come in just now
}

static void tick(struct lumen_channel *channel, uint32_t ms)
{
	const uint32_t period = channel->class ? channel->class->tick_ms : 0;

	if (!channel->vsp || !period)
		return;
	for (channel->tick_ms += ms; channel->tick_ms >= period; channel->tick_ms -= period)
		vsp_tick(channel->vsp);
}

void rig_pass(uint32_t ms)
{
	rig.now += ms * 1000000ull;
	rig.time_of_day += ms * 10000ull;
	rig.reference_time += ms * 10000ull;
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		tick(&rig.channels[i], ms);
}

void rig_rescind_one(struct lumen_channel *channel)
{
	__atomic_store_n(&channel->rescinded, true, __ATOMIC_RELAXED);
	stop_vsp(channel);
	call_handler(channel);
}

void rig_rescind(void)
{
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		rig_rescind_one(&rig.channels[i]);
}

void rig_destroy(void)
{
	rig_check(rig.pages == 0 && !rig_irq_off);
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		rig_check(!rig.channels[i].open);
	free(rig.ram);
	rig.ram = NULL;
}
