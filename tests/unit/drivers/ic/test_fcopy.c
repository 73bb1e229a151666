// SPDX-License-Identifier: BSD-2-Clause
// The file copy component's VSP: files of all sizes, sources that are slow or gone, guests that
// refuse, say nothing, or say it late.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/proto/fcopy.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

static union {
	struct fcopy_header header;
	struct fcopy_start start;
	struct fcopy_write write;
} heard;

static uint8_t copied[40000];
static uint64_t copied_size;

static bool order(const char *words, uint32_t length)
{
	return ic_begin(ic(), &(struct ic_order){ FCOPY_START, 2, words, length });
}

#define ORDER(words) cr_assert(order(words, sizeof(words)))

static void begin(void)
{
	ic_guest_agree(&fcopy_component, (struct ic_version){ 1, 1 });
	vsp_poll(vsp());
	for (size_t i = 0; i < sizeof(ic_guest_file); i++)
		ic_guest_file[i] = (uint8_t)(i * 7 + i / 256);
	ic_guest_file_at = 0;
	ic_guest_file_size = sizeof(ic_guest_file);
	copied_size = 0;
}

// Returns false if the guest is asked nothing.
static bool listen(enum fcopy_operation operation)
{
	vsp_poll(vsp());
	if (!receive())
		return false;
	cr_assert_eq(header.type, IC_MESSAGE_FCOPY);
	memset(&heard, 0, sizeof(heard));
	memcpy(&heard, body, header.size);
	cr_assert_eq(heard.header.operation, operation);
	cr_assert_eq(header.size, operation == FCOPY_START   ? sizeof(struct fcopy_start)
				  : operation == FCOPY_WRITE ? FCOPY_WRITE_SIZE
							     : sizeof(struct fcopy_header));
	return true;
}

static void answer(uint32_t status)
{
	header.status = status;
	respond(&heard, header.size);
	move();
}

static void ends(uint32_t status)
{
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), status);
	cr_assert_not(ic_asked(ic()));
	cr_assert_not(receive());
}

static void take_block(void)
{
	cr_assert(listen(FCOPY_WRITE));
	cr_assert_eq(heard.write.offset, copied_size);
	memcpy(copied + copied_size, heard.write.data, heard.write.size);
	copied_size += heard.write.size;
	answer(IC_STATUS_OK);
}

static void copy(const char *words, uint32_t length, uint64_t size)
{
	copied_size = 0;
	ic_guest_file_at = 0;
	cr_assert(order(words, length));
	cr_assert(listen(FCOPY_START));
	cr_assert_eq(heard.start.size, size);
	answer(IC_STATUS_OK);
	while (copied_size < size)
		take_block();
	cr_assert(listen(FCOPY_COMPLETE));
	answer(IC_STATUS_OK);
	ends(IC_STATUS_OK);
	cr_assert_eq(copied_size, size);
	cr_assert_arr_eq(copied, ic_guest_file, size);
}

Test(fcopy, files_of_all_sizes_are_copied)
{
	static const uint32_t sizes[] = { 0, 1, FCOPY_BLOCK - 1, FCOPY_BLOCK, FCOPY_BLOCK + 1,
		40000 };
	char words[64];

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int length = snprintf(words, sizeof(words), "%u%c/a/b", sizes[i], 0);

		copy(words, (uint32_t)length + 1, sizes[i]);
	}
}

Test(fcopy, the_path_is_taken_apart)
{
	char text[1000];

	begin();
	ORDER("5\0/root/\xc3\xbc/x y");
	cr_assert(listen(FCOPY_START));
	cr_assert_eq(heard.start.flags, FCOPY_FLAG_OVERWRITE | FCOPY_FLAG_CREATE_PATH);
	cr_assert(utf16_to_utf8(text, sizeof(text), heard.start.path, FCOPY_NAME_UNITS));
	cr_assert_str_eq(text, "/root/\xc3\xbc/");
	cr_assert(utf16_to_utf8(text, sizeof(text), heard.start.name, FCOPY_NAME_UNITS));
	cr_assert_str_eq(text, "x y");
}

Test(fcopy, words_that_make_no_sense_ask_for_nothing)
{
	static const char *const wrong[] = { "x\0/a", "-1\0/a", "18446744073709551616\0/a",
		"18446744073709551615\0/a", "1\0a", "1\0/a/", "1\0/\xff" };
	char long_path[1000] = "1";

	begin();
	memset(long_path + 2, 'p', sizeof(long_path) - 3);
	long_path[2] = '/';
	cr_assert(order(long_path, sizeof(long_path)));
	ends(IC_STATUS_INVALID);
	long_path[900] = '/';
	cr_assert(order(long_path, sizeof(long_path)));
	ends(IC_STATUS_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const size_t first = strlen(wrong[i]) + 1;

		cr_assert(order(wrong[i], (uint32_t)(first + strlen(wrong[i] + first) + 1)));
		ends(IC_STATUS_INVALID);
	}
}

Test(fcopy, a_slow_source_is_waited_for)
{
	begin();
	ORDER("10000\0/a");
	cr_assert(listen(FCOPY_START));
	answer(IC_STATUS_OK);
	ic_guest_file_size = 0;
	cr_assert_not(listen(FCOPY_WRITE));
	move();
	cr_assert_not(listen(FCOPY_WRITE));
	copied_size = 0;
	for (ic_guest_file_size = 100; ic_guest_file_size <= 10000; ic_guest_file_size += 3300)
		take_block();
	cr_assert(listen(FCOPY_COMPLETE));
	answer(IC_STATUS_OK);
	ends(IC_STATUS_OK);
	cr_assert_arr_eq(copied, ic_guest_file, 10000);
}

Test(fcopy, a_source_that_is_gone_or_stuck_cancels)
{
	for (int stuck = 0; stuck < 2; stuck++) {
		begin();
		ORDER("10000\0/a");
		cr_assert(listen(FCOPY_START));
		answer(IC_STATUS_OK);
		take_block();
		ic_guest_file_size = stuck ? ic_guest_file_at : IC_GUEST_FILE_GONE;
		if (stuck) {
			cr_assert_not(listen(FCOPY_WRITE));
			vsp_tick(vsp());
			vsp_tick(vsp());
		}
		cr_assert(listen(FCOPY_CANCEL));
		answer(IC_STATUS_OK);
		ends(stuck ? IC_STATUS_TIMEOUT : IC_STATUS_ABORT);
	}
}

Test(fcopy, a_refusal_is_no_reason_to_cancel_but_a_failure_is)
{
	begin();
	ORDER("10000\0/a");
	cr_assert(listen(FCOPY_START));
	answer(0x80070050); // there is such a file
	ends(0x80070050);

	for (int at = 0; at < 2; at++) {
		copied_size = 0;
		ORDER("10000\0/a");
		cr_assert(listen(FCOPY_START));
		answer(IC_STATUS_OK);
		for (int i = 0; i < at; i++)
			take_block();
		cr_assert(listen(FCOPY_WRITE));
		answer(0x80070070); // the disk is full
		cr_assert(listen(FCOPY_CANCEL));
		answer(IC_STATUS_FAIL);
		ends(0x80070070);
	}
}

Test(fcopy, a_guest_that_says_nothing_is_told_to_cancel)
{
	struct ic_header late;

	begin();
	ORDER("10\0/a");
	cr_assert(listen(FCOPY_START));
	late = header;
	vsp_tick(vsp());
	vsp_tick(vsp());
	cr_assert(listen(FCOPY_CANCEL));
	header = late;
	respond(NULL, 0);
	vsp_poll(vsp());
	cr_assert(ic_asked(ic()));
	vsp_tick(vsp());
	vsp_tick(vsp());
	ends(IC_STATUS_TIMEOUT);
	cr_assert_eq(ic()->stray, 1);
	cr_assert_eq(ic()->expired, 2);
	copied_size = 0;
	copy("10\0/b", 6, 10);
}
