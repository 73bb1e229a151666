// SPDX-License-Identifier: BSD-2-Clause
// Capture files, block by block; and a file that takes nothing more.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "parent/common/pcapng.h"

static char *bytes;
static size_t size;

static FILE *begin(void)
{
	FILE *file = open_memstream(&bytes, &size);

	cr_assert(pcapng_begin(file));
	cr_assert(pcapng_add_interface(file, 1, "lu-010203", "a port"));
	return file;
}

static uint32_t word(size_t at)
{
	uint32_t value;

	cr_assert_leq(at + sizeof(value), size);
	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

// Returns where the block behind this one begins.
static size_t next(size_t at, uint32_t type)
{
	const uint32_t length = word(at + 4);

	cr_assert_eq(word(at), type);
	cr_assert_eq(length % 4, 0);
	cr_assert_eq(word(at + length - 4), length);
	return at + length;
}

Test(pcapng, a_file_begins_with_its_interface)
{
	FILE *file = begin();
	size_t at;

	fclose(file);
	cr_assert_eq(word(8), 0x1A2B3C4D);
	at = next(0, 0x0A0D0D0A);
	cr_assert_eq(at, 28);
	cr_assert_eq(word(at + 8), 1, "Ethernet");
	cr_assert_arr_eq(bytes + at + 16, "\x02\0\x09\0lu-010203\0\0\0", 16);
	cr_assert_arr_eq(bytes + at + 32, "\x03\0\x06\0a port\0\0", 12);
	cr_assert_arr_eq(bytes + at + 44, "\x09\0\x01\0\x09\0\0\0\0\0\0\0", 12);
	cr_assert_eq(next(at, 1), size);
	free(bytes);
}

Test(pcapng, frames_of_every_length_are_padded)
{
	static const char data[] = "0123456789abcdef";

	for (uint32_t length = 0; length <= 16; length++) {
		const struct pcapng_frame frame = { .time = 0x123456789abcdefull,
			.inbound = length % 2,
			.bytes = data,
			.captured = length,
			.length = length + 100 };
		const uint32_t padded = (length + 3) & ~3u;
		FILE *file = begin();
		size_t at;

		cr_assert(pcapng_write_frame(file, &frame));
		fclose(file);
		at = next(next(0, 0x0A0D0D0A), 1);
		cr_assert_eq(word(at + 12), 0x1234567);
		cr_assert_eq(word(at + 16), 0x89abcdef);
		cr_assert_eq(word(at + 20), length);
		cr_assert_eq(word(at + 24), length + 100);
		cr_assert_arr_eq(bytes + at + 28, data, length);
		cr_assert_arr_eq(bytes + at + 28 + length, "\0\0\0", padded - length);
		cr_assert_eq(word(at + 28 + padded), 4 << 16 | 2);
		cr_assert_eq(word(at + 32 + padded), length % 2 ? 1 : 2);
		cr_assert_eq(next(at, 6), size);
		free(bytes);
	}
}

Test(pcapng, interfaces_are_numbered_as_they_come)
{
	FILE *file = begin();
	size_t at;

	cr_assert(pcapng_add_interface(file, 147, "vmbus", ""));
	cr_assert(pcapng_write_frame(file, &(struct pcapng_frame){ .interface = 1, .bytes = "" }));
	cr_assert(pcapng_write_statistics(file, 1, 0, 0, 0));
	fclose(file);
	at = next(next(0, 0x0A0D0D0A), 1);
	cr_assert_eq(word(at + 8), 147);
	cr_assert_arr_eq(bytes + at + 16, "\x02\0\x05\0vmbus\0\0\0", 12);
	at = next(at, 1);
	cr_assert_eq(word(at + 8), 1);
	at = next(at, 6);
	cr_assert_eq(word(at + 8), 1);
	cr_assert_eq(next(at, 5), size);
	free(bytes);
}

Test(pcapng, a_gap_stands_before_the_frame_behind_it)
{
	const struct pcapng_frame frame = { .lost = 0x500000003, .bytes = "abcd", .captured = 4 };
	FILE *file = begin();
	size_t at;

	cr_assert(pcapng_write_frame(file, &frame));
	fclose(file);
	at = next(next(0, 0x0A0D0D0A), 1);
	cr_assert_eq(word(at + 40), 8 << 16 | 4, "behind the flags");
	cr_assert_eq(word(at + 44), 3);
	cr_assert_eq(word(at + 48), 5);
	cr_assert_eq(next(at, 6), size);
	free(bytes);
}

Test(pcapng, the_end_says_what_is_missing)
{
	FILE *file = begin();
	size_t at;

	cr_assert(pcapng_write_statistics(file, 0, 7, 1000, 30));
	fclose(file);
	at = next(next(0, 0x0A0D0D0A), 1);
	cr_assert_eq(word(at + 16), 7);
	cr_assert_eq(word(at + 24), 1000);
	cr_assert_eq(word(at + 36), 30);
	cr_assert_eq(next(at, 5), size);
	free(bytes);
}

Test(pcapng, a_file_that_is_full_is_noticed)
{
	char room[64];
	FILE *file = fmemopen(room, sizeof(room), "w");

	setbuf(file, NULL);
	cr_assert_not(pcapng_begin(file) && pcapng_add_interface(file, 1, "lu-010203", "a port"));
	fclose(file);
}
