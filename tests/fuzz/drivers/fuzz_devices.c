// SPDX-License-Identifier: BSD-2-Clause
// Fuzz target: all devices, from a table. At one end of a channel is a VSP or a hostile host, at
// the other a VSC or a hostile guest; an input is a list of steps: packets, ring faults, time,
// close and open, rescind, save and restore in the middle. Whatever is said, both ends stay within
// their memory, let go of everything, and end each request once (the rows' own checks); and a VSP
// and a VSC that nobody meddles with never find fault with each other.
#include "devices.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { PAGES = 4 }; // of a raw guest's rings

static const uint8_t *input_at, *input_end;
static bool
	honest; // so far: whoever is at the ends, nobody has meddled with the rings, or with a VSC

uint32_t take(void)
{
	return input_at < input_end ? *input_at++ : 0;
}

uint32_t take32(void)
{
	uint32_t value = take();

	value |= take() << 8;
	value |= take() << 16;
	return value | take() << 24;
}

bool at_end(void)
{
	return input_at >= input_end;
}

void patch(void *bytes, uint32_t length, uint32_t most)
{
	for (uint32_t count = take() % (most + 1); count > 0; count--) {
		const uint32_t at = (take() << 8 | take()) % length;

		((uint8_t *)bytes)[at] = (uint8_t)take();
	}
}

static uint32_t at; // number of the channel

static struct lumen_channel *channel(void)
{
	if (!rig.channels[at].open)
		at = 0;
	return &rig.channels[at];
}

struct lumen_channel *fuzz_channel(void)
{
	return channel();
}

// --- steps of both kinds of guests ---

static void break_ring(void)
{
	const uint32_t which = take();
	void *const *pages = which & 1 ? channel()->rings.out_pages : channel()->rings.in_pages;
	uint8_t *page = pages[which >> 1 & 1];
	const uint32_t at = take();

	honest = false;
	for (uint32_t i = 0; i <= (which >> 2 & 7); i++)
		page[at + i] = (uint8_t)take();
	channel()->signalled = true;
}

static void move(void)
{
	rig_move();
}

// What happens to either guest. Returns false if `what` is for the guest to do.
static bool happen(const struct fuzz_device *device, uint32_t what)
{
	switch (what % 16) {
	case 0:
		rig_run();
		return true;
	case 1:
		move();
		return true;
	case 2:
		rig_pass(take() * 100);
		return true;
	case 3:
		if (rig.channels[0].vsp && device->ask)
			device->ask(device);
		return true;
	case 4:
		if (what & 0x80)
			break_ring();
		return true;
	case 5:
		if (what == 0xF5)
			rig_rescind();
		else if (what == 0xE5)
			rig_rescind_one(channel());
		else
			at = (what >> 4) % RIG_CHANNELS;
		return true;
	default:
		return false;
	}
}

// --- a raw guest ---

static void hear(const struct fuzz_device *device)
{
	while (rig_read(&channel()->guest))
		if (honest)
			device->guest_hears(&channel()->guest.packet);
}

static void close_subs(void)
{
	for (uint32_t i = 1; i < RIG_CHANNELS; i++)
		if (rig.channels[i].open)
			rig_close(&rig.channels[i]);
}

// The channel is closed, and opened again; or a sub-channel that is offered is opened.
static void open_anew(uint32_t which)
{
	struct lumen_channel *channel = &rig.channels[which % RIG_CHANNELS];

	if (channel->open)
		rig_close(channel);
	if (channel->index == 0)
		close_subs(); // the host has taken them away
	if (channel->index <= rig.offered_subs && !channel->rescinded)
		rig_open(channel, PAGES, PAGES);
}

static void raw_guest(const struct fuzz_device *device, uint32_t how)
{
	honest = true;
	rig_open(channel(), PAGES, PAGES);
	if (how & 4)
		device->greet(device);
	while (!at_end() && !rig.channels[0].rescinded) {
		const uint32_t what = take();

		if (happen(device, what))
			continue;
		if (what % 16 == 6 && what & 0x80) {
			open_anew(what >> 4);
		} else if (what % 16 < 9) {
			hear(device);
		} else {
			device->guest_says(device);
			if (what & 0x80)
				rig_run();
		}
	}
	close_subs();
	rig_close(&rig.channels[0]);
}

// --- a VSC ---

static void host_says(const struct fuzz_device *device)
{
	honest = false;
	if (channel()->vsp)
		rig_take_over(channel());
	device->host_says(device);
}

static bool open_again(const struct fuzz_device *device)
{
	device->close();
	rig_free_pages(); // what is left for late writes: the host has closed its end, too
	return device->open(device);
}

static bool any_rescinded(void)
{
	for (uint32_t i = 0; i <= rig.offered_subs; i++)
		if (rig.channels[i].rescinded)
			return true;
	return false;
}

static void vsc(const struct fuzz_device *device, uint32_t how)
{
	bool open = false;

	honest = !(how & 4) || !device->tamper;
	if (!honest && device->tamper)
		device->tamper();
	open = device->open(device);
	rig_check(open || !honest);
	while (open && !at_end()) {
		const uint32_t what = take();

		if (happen(device, what))
			continue;
		if (what == 0x86)
			open = open_again(device);
		else if (what % 16 < 9)
			host_says(device);
		else
			device->act();
		rig_check(!open || !honest || any_rescinded() || !device->blames());
	}
	if (open)
		device->close();
	rig_free_pages(); // those where a host that was asked may yet write
}

// --- the table ---

static const struct fuzz_device *pick(uint32_t number)
{
	number %= 3 * fuzz_ic_count + 3; // storage and the network have most of the chances
	if (number < fuzz_ic_count)
		return &fuzz_ic[number];
	if (number >= 3 * fuzz_ic_count)
		return &fuzz_socket;
	return number < 2 * fuzz_ic_count ? &fuzz_storage : &fuzz_net;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct fuzz_device *device;
	uint32_t how;

	input_at = input;
	input_end = input + size;
	device = pick(take());
	how = take();
	at = 0;
	device->create(device);
	rig.hostile = true;
	rig.interrupts = how & 1;
	if (how & 2 && device->open)
		vsc(device, how);
	else
		raw_guest(device, how);
	device->destroy();
	return 0;
}
