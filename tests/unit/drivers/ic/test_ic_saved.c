// SPDX-License-Identifier: BSD-2-Clause
// The saved forms of all components' VSPs, when they lie: each byte in turn, in each state. What is
// restored serves as it says, and breaks nothing; what makes no sense is not restored.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/kvp.h"
#include "drivers/proto/vss.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

enum {
	TURNS = 6,
	STATES = 5,
	FORM = 16384,
	HEADER = 36, // of the base's form: one that lies in here is not restored
};

static const struct row {
	const struct ic_component *component;
	struct ic_version version;
	uint32_t argument;
	const char *words;
	uint32_t words_length;
} rows[] = {
	{ &shutdown_component, { 3, 2 }, 0, NULL, 0 },
	{ &heartbeat_component, { 3, 0 }, 0, NULL, 0 },
	{ &timesync_component, { 4, 0 }, 0, NULL, 0 },
	{ &kvp_component, { 4, 0 }, KVP_ORDER(KVP_ENUMERATE, 0), "a\0b", 4 },
	{ &vss_component, { 5, 0 }, VSS_FREEZE, NULL, 0 },
	{ &fcopy_component, { 1, 1 }, 0, "20000\0/a/b", 11 },
};

static const uint8_t lies[] = { 0xff, 0x80, 0x01, 0x04, 0x10 };

// What has come is answered, if it is anything.
static void guest_answers(void)
{
	struct rig_end *guest = &rig.channels[0].guest;
	struct ic_frame frame;
	const uint8_t *said;

	while (rig_read(guest)) {
		said = guest->packet.payload;
		if (guest->packet.payload_length < sizeof(frame))
			continue;
		memcpy(&frame, said, sizeof(frame));
		if (frame.header.size > guest->packet.payload_length - sizeof(frame))
			continue;
		header = frame.header;
		header.status = IC_STATUS_OK;
		respond(said + sizeof(frame), frame.header.size);
	}
}

static void serve(struct vsp *restored, bool answering)
{
	for (int turn = 0; turn < TURNS; turn++) {
		if (vsp_poll(restored) & VSP_FAILED)
			break;
		if (answering)
			guest_answers();
		vsp_tick(restored);
	}
	vsp_stop(restored);
	cr_assert(vsp_idle(restored));
	while (rig_read(&rig.channels[0].guest))
		continue;
}

// In a room of its size, so that the sanitizer sees to its ends. Returns whether it is restored.
static bool restore(const uint8_t *form, size_t size, bool answering)
{
	struct lumen_channel *channel = &rig.channels[0];
	void *room = aligned_alloc(
		VSP_ALIGNMENT, (vsp_size(channel->class, channel->vsp_config, channel->index > 0) +
				       VSP_ALIGNMENT - 1) &
				       ~(size_t)(VSP_ALIGNMENT - 1));
	struct vsp *restored =
		vsp_restore(channel->class, room, &channel->rings, channel->vsp_config, form, size);

	if (restored)
		serve(restored, answering);
	free(room);
	return restored;
}

// Until it is in this state: the first ones have nobody who answers.
static size_t save_in(const struct row *row, unsigned state, uint8_t *form)
{
	const struct ic_order order = { row->argument, 3, row->words, row->words_length };

	if (state < 2)
		ic_guest_open(row->component, IC_GUEST_PAGES);
	else
		ic_guest_agree(row->component, row->version);
	if (state)
		vsp_poll(vsp());
	if (state >= 3)
		ic_begin(ic(), &order);
	for (unsigned i = 3; i < state; i++) {
		vsp_poll(vsp());
		guest_answers();
	}
	vsp_pause(vsp());
	return vsp_save(vsp(), form, FORM);
}

static void lie(const struct row *row, unsigned state)
{
	static uint8_t form[FORM];
	const size_t size = save_in(row, state, form);

	cr_assert(size);
	ic_guest_file_at = 0;
	ic_guest_file_size = sizeof(ic_guest_file);
	for (size_t at = 0; at < size; at++)
		for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
			form[at] ^= lies[i];
			cr_assert(!restore(form, size, i % 2) || at >= HEADER);
			form[at] ^= lies[i];
		}
}

Test(ic_saved, a_form_that_lies_breaks_nothing)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned state = 0; state < STATES; state++)
			lie(&rows[i], state);
}

// The same where the host's last message waits for room.
Test(ic_saved, a_form_that_lies_of_what_waits_breaks_nothing)
{
	static uint8_t form[FORM];
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ic_guest_open(rows[i].component, IC_GUEST_PAGES);
		rig_control(&rig.channels[0], true)->out = 8; // there is no room
		rig_start(&rig.channels[0]);
		vsp_poll(vsp());
		cr_assert(ic()->out_waits);
		vsp_pause(vsp());
		size = vsp_save(vsp(), form, sizeof(form));
		cr_assert(size);
		for (size_t at = 0; at < size; at++) {
			form[at] ^= lies[at % ARRAY_SIZE(lies)];
			cr_assert(!restore(form, size, false) || at >= HEADER);
			form[at] ^= lies[at % ARRAY_SIZE(lies)];
		}
	}
}
