// SPDX-License-Identifier: BSD-2-Clause
// See pcapng.h.
#include "parent/common/pcapng.h"

#include <string.h>

#include "base/macros.h"

enum { // block types, 4 to 4.6
	SECTION_HEADER = 0x0A0D0D0A,
	INTERFACE_DESCRIPTION = 1,
	INTERFACE_STATISTICS = 5,
	ENHANCED_PACKET = 6,
};

enum { BYTE_ORDER_MAGIC = 0x1A2B3C4D };

enum { // options, of the block that they are in
	END_OF_OPTIONS = 0,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	EPB_FLAGS = 2,
	EPB_DROPCOUNT = 4,
};

enum { NANOSECONDS = 9, INBOUND = 1, OUTBOUND = 2 }; // of IF_TSRESOL, EPB_FLAGS

struct part {
	const void *bytes;
	uint32_t length;
};

struct option {
	uint16_t code;
	struct part value;
};

static uint32_t padded(uint32_t length)
{
	return (length + 3) & ~3u;
}

static bool put(FILE *file, struct part part)
{
	static const uint8_t zeros[3];
	const uint32_t padding = padded(part.length) - part.length;

	return fwrite(part.bytes, 1, part.length, file) == part.length &&
	       fwrite(zeros, 1, padding, file) == padding;
}

static bool put_option(FILE *file, const struct option *option)
{
	const uint16_t head[] = { option->code, (uint16_t)option->value.length };

	return put(file, (struct part){ head, sizeof(head) }) && put(file, option->value);
}

// A block: its fixed part, what follows that, and options.
static bool put_block(FILE *file, uint32_t type, struct part fixed, struct part data,
	const struct option *options, uint32_t count)
{
	static const struct option end = { END_OF_OPTIONS, { "", 0 } };
	uint32_t total = 12 + padded(fixed.length) + padded(data.length) + (count ? 4 : 0);
	bool done;

	for (uint32_t i = 0; i < count; i++)
		total += 4 + padded(options[i].value.length);
	done = put(file, (struct part){ (uint32_t[]){ type, total }, 8 }) && put(file, fixed) &&
	       put(file, data);
	for (uint32_t i = 0; i < count; i++)
		done = done && put_option(file, &options[i]);
	return done && (!count || put_option(file, &end)) &&
	       put(file, (struct part){ &total, sizeof(total) });
}

static const struct part nothing = { "", 0 };

bool pcapng_begin(FILE *file)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint64_t length;
	} section = { BYTE_ORDER_MAGIC, 1, 0, UINT64_MAX }; // of a length that is not known yet

	return put_block(
		file, SECTION_HEADER, (struct part){ &section, sizeof(section) }, nothing, NULL, 0);
}

bool pcapng_add_interface(FILE *file, uint16_t link_type, const char *name, const char *description)
{
	const struct {
		uint16_t link_type, rsvd_z;
		uint32_t snap_length; // 0: any
	} interface = { link_type, 0, 0 };
	static const uint8_t resolution = NANOSECONDS;
	const struct option options[] = {
		{ IF_NAME, { name, (uint32_t)strlen(name) } },
		{ IF_DESCRIPTION, { description, (uint32_t)strlen(description) } },
		{ IF_TSRESOL, { &resolution, sizeof(resolution) } },
	};

	return put_block(file, INTERFACE_DESCRIPTION,
		(struct part){ &interface, sizeof(interface) }, nothing, options,
		ARRAY_SIZE(options));
}

bool pcapng_write_frame(FILE *file, const struct pcapng_frame *frame)
{
	const struct {
		uint32_t interface, time_high, time_low, captured, length;
	} fixed = { frame->interface, (uint32_t)(frame->time >> 32), (uint32_t)frame->time,
		frame->captured, frame->length };
	const uint32_t flags = frame->inbound ? INBOUND : OUTBOUND;
	const struct option options[] = { { EPB_FLAGS, { &flags, sizeof(flags) } },
		{ EPB_DROPCOUNT, { &frame->lost, sizeof(frame->lost) } } };

	return put_block(file, ENHANCED_PACKET, (struct part){ &fixed, sizeof(fixed) },
		(struct part){ frame->bytes, frame->captured }, options, frame->lost ? 2 : 1);
}

bool pcapng_write_statistics(
	FILE *file, uint32_t interface, uint64_t time, uint64_t received, uint64_t dropped)
{
	const struct {
		uint32_t interface, time_high, time_low;
	} fixed = { interface, (uint32_t)(time >> 32), (uint32_t)time };
	const struct option options[] = {
		{ ISB_IFRECV, { &received, sizeof(received) } },
		{ ISB_IFDROP, { &dropped, sizeof(dropped) } },
	};

	return put_block(file, INTERFACE_STATISTICS, (struct part){ &fixed, sizeof(fixed) },
		nothing, options, ARRAY_SIZE(options));
}
