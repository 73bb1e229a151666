// SPDX-License-Identifier: BSD-2-Clause
// See pit.h. Registers and modes as in the data sheet of the 82C54 (Intel 231244); BCD is not
// there.
#include "parent/worker/platform/pit.h"

#include <string.h>

enum {
	CONTROL = 3, // the register

	CONTROL_READ_BACK = 3, // instead of a channel
	READ_BACK_NO_COUNT = 0x20,
	READ_BACK_NO_STATUS = 0x10,

	ACCESS_LATCH = 0,
	ACCESS_LOW = 1,
	ACCESS_HIGH = 2,

	STATUS_OUT = 0x80,
	STATUS_NULL_COUNT = 0x40, // it has not been loaded

	GATE_BIT = 0x01,
	SPEAKER_BIT = 0x02,
	REFRESH_BIT = 0x10,
	OUT_BIT = 0x20,

	REFRESH_100NS = 151, // a PC's channel 1: 18 ticks
	UNITS_PER_S = 10000000,
};

static const struct pit_mode {
	bool periodic;
	bool gate_holds;  // while it is low, nothing is counted
	bool gate_starts; // when it goes high, counting begins anew
	bool strobe;	  // the output is high but for a tick, which nobody sees
} modes[6] = {
	{ .gate_holds = true },			   // 0: interrupt on terminal count
	{ .gate_starts = true },		   // 1: hardware retriggerable one-shot
	{ .periodic = true, .gate_starts = true }, // 2: rate generator
	{ .periodic = true, .gate_starts = true }, // 3: square wave
	{ .gate_holds = true, .strobe = true },	   // 4: software triggered strobe
	{ .gate_starts = true, .strobe = true },   // 5: hardware triggered strobe
};

static uint64_t ticks(uint64_t now)
{
	return now / UNITS_PER_S * PIT_HZ + now % UNITS_PER_S * PIT_HZ / UNITS_PER_S;
}

void pit_init(struct pit *pit)
{
	memset(pit, 0, sizeof(*pit));
	for (int i = 0; i < PIT_CHANNELS; i++)
		pit->channels[i].gate = i != 2;
}

// Ticks counted so far.
static uint64_t counted(const struct pit_channel *channel, uint64_t tick)
{
	bool held = !channel->gate && modes[channel->mode].gate_holds;

	if (!channel->loaded || !channel->triggered)
		return 0;
	return held ? channel->start : tick - channel->start;
}

static uint16_t current_count(const struct pit_channel *channel, uint64_t tick)
{
	uint64_t done = counted(channel, tick);

	if (channel->mode == 3)
		done *= 2;
	if (modes[channel->mode].periodic)
		done %= channel->count ? channel->count : 1;
	return (uint16_t)(channel->count - done);
}

static bool output(const struct pit_channel *channel, uint64_t tick)
{
	const struct pit_mode *mode = &modes[channel->mode];
	uint64_t done = counted(channel, tick);

	if (!channel->loaded || mode->strobe)
		return channel->mode != 0;
	if (!channel->triggered || (mode->periodic && !channel->gate))
		return true;
	if (channel->mode == 2)
		return done % channel->count != channel->count - 1;
	if (channel->mode == 3)
		return done % channel->count < (channel->count + 1) / 2;
	return done >= channel->count;
}

static void load(struct pit_channel *channel, uint16_t count, uint64_t tick)
{
	const struct pit_mode *mode = &modes[channel->mode];
	bool held = !channel->gate && mode->gate_holds;

	channel->count = count ? count : 0x10000;
	channel->loaded = true;
	channel->start = held ? 0 : tick;
	// Only a rising gate triggers modes 1 and 5.
	channel->triggered = !mode->gate_starts || mode->periodic;
}

static void write_count(struct pit_channel *channel, uint8_t value, uint64_t tick)
{
	if (channel->access == ACCESS_LOW) {
		load(channel, value, tick);
	} else if (channel->access == ACCESS_HIGH) {
		load(channel, (uint16_t)(value << 8), tick);
	} else if (channel->write_high) {
		channel->write_high = false;
		load(channel, (uint16_t)(value << 8 | channel->low), tick);
	} else {
		channel->write_high = true;
		channel->low = value;
	}
}

static void latch_count(struct pit_channel *channel, uint64_t tick)
{
	if (channel->latched)
		return;
	channel->latched = true;
	channel->latch = current_count(channel, tick);
}

static void latch_status(struct pit_channel *channel, uint64_t tick)
{
	if (channel->status_latched)
		return;
	channel->status_latched = true;
	channel->status = (uint8_t)((output(channel, tick) ? STATUS_OUT : 0) |
				    (channel->loaded ? 0 : STATUS_NULL_COUNT) |
				    channel->access << 4 | channel->mode << 1);
}

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
	for (int i = 0; i < PIT_CHANNELS; i++) {
		if (!(value & 2 << i))
			continue;
		if (!(value & READ_BACK_NO_COUNT))
			latch_count(&pit->channels[i], tick);
		if (!(value & READ_BACK_NO_STATUS))
			latch_status(&pit->channels[i], tick);
	}
}

static void write_control(struct pit *pit, uint8_t value, uint64_t tick)
{
	unsigned number = value >> 6, mode = value >> 1 & 7;
	struct pit_channel *channel = &pit->channels[number % PIT_CHANNELS];

	if (number == CONTROL_READ_BACK) {
		read_back(pit, value, tick);
	} else if ((value >> 4 & 3) == ACCESS_LATCH) {
		latch_count(channel, tick);
	} else {
		*channel = (struct pit_channel){
			.gate = channel->gate,
			.access = value >> 4 & 3,
			.mode = (uint8_t)(mode >= 6 ? mode - 4 : mode),
		};
	}
}

uint8_t pit_read(struct pit *pit, unsigned offset, uint64_t now)
{
	struct pit_channel *channel = &pit->channels[offset % PIT_CHANNELS];
	uint16_t value;
	bool high;

	if (offset == CONTROL)
		return 0xff; // it cannot be read
	if (channel->status_latched) {
		channel->status_latched = false;
		return channel->status;
	}
	value = channel->latched ? channel->latch : current_count(channel, ticks(now));
	high = channel->access == ACCESS_HIGH || channel->read_high;
	if (channel->access != ACCESS_LOW && channel->access != ACCESS_HIGH)
		channel->read_high = !channel->read_high;
	if (!channel->read_high)
		channel->latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

void pit_write(struct pit *pit, unsigned offset, uint8_t value, uint64_t now)
{
	if (offset == CONTROL)
		write_control(pit, value, ticks(now));
	else
		write_count(&pit->channels[offset % PIT_CHANNELS], value, ticks(now));
}

uint8_t pit_read_gate(const struct pit *pit, uint64_t now)
{
	const struct pit_channel *channel = &pit->channels[2];

	return (uint8_t)((channel->gate ? GATE_BIT : 0) | (pit->speaker ? SPEAKER_BIT : 0) |
			 (now / REFRESH_100NS & 1 ? REFRESH_BIT : 0) |
			 (output(channel, ticks(now)) ? OUT_BIT : 0));
}

void pit_write_gate(struct pit *pit, uint8_t value, uint64_t now)
{
	struct pit_channel *channel = &pit->channels[2];
	const struct pit_mode *mode = &modes[channel->mode];
	uint64_t tick = ticks(now);
	bool gate = value & GATE_BIT;

	pit->speaker = value & SPEAKER_BIT;
	if (gate == channel->gate)
		return;
	if (mode->gate_holds) // both ways: from a time to how much, and back
		channel->start = tick - channel->start;
	channel->gate = gate;
	if (gate && mode->gate_starts) {
		channel->start = tick;
		channel->triggered = true;
	}
}
