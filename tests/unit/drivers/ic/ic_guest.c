// SPDX-License-Identifier: BSD-2-Clause
// See ic_guest.h.
#include "ic_guest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct pipe_header pipe_header;
struct ic_header header;
const uint8_t *body;
bool ic_guest_reference_fails;
unsigned ic_guest_pairs;
char ic_guest_pair[200];
uint8_t ic_guest_file[40000];
uint32_t ic_guest_file_at, ic_guest_file_size;

static uint64_t time_of_day(void *context)
{
	(void)context;
	return rig.time_of_day;
}

static bool reference_time(void *context, uint64_t *time)
{
	(void)context;
	if (ic_guest_reference_fails)
		return false;
	*time = rig.reference_time;
	return true;
}

static void pair(void *context, uint32_t pool, const char *key, const char *value)
{
	ic_guest_pairs++;
	snprintf(ic_guest_pair, sizeof(ic_guest_pair), "%u %s %s", pool, key, value);
}

static int32_t read_file(void *context, void *bytes, uint32_t size)
{
	if (ic_guest_file_size == IC_GUEST_FILE_GONE)
		return -1;
	if (size > ic_guest_file_size - ic_guest_file_at)
		size = ic_guest_file_size - ic_guest_file_at;
	memcpy(bytes, ic_guest_file + ic_guest_file_at, size);
	ic_guest_file_at += size;
	return (int32_t)size;
}

const struct ic_host ic_guest_host = {
	.time_of_day = time_of_day,
	.reference_time = reference_time,
	.pair = pair,
	.read = read_file,
};

void ic_guest_create(const struct ic_component *component)
{
	static struct ic_config config;

	if (rig.channels[0].open)
		rig_close(&rig.channels[0]);
	config = (struct ic_config){ .component = component, .host = &ic_guest_host };
	rig_create(0);
	rig.hostile = true;
	rig_offer(0, &component->class.guid, &component->class, &config);
}

void ic_guest_open(const struct ic_component *component, uint32_t out_pages)
{
	ic_guest_create(component);
	rig_open(&rig.channels[0], IC_GUEST_PAGES, out_pages);
}

bool receive(void)
{
	const struct vmbus_packet *in = &rig.channels[0].guest.packet;

	if (!rig_read(&rig.channels[0].guest))
		return false;
	cr_assert_eq(in->type, VMBUS_PACKET_IN_BAND);
	memcpy(&pipe_header, in->payload, sizeof(pipe_header));
	memcpy(&header, in->payload + sizeof(pipe_header), sizeof(header));
	body = in->payload + sizeof(pipe_header) + sizeof(header);
	cr_assert_eq(pipe_header.type, PIPE_TYPE_DATA);
	cr_assert_eq(pipe_header.size, sizeof(header) + header.size);
	cr_assert_leq(sizeof(pipe_header) + pipe_header.size, in->payload_length);
	cr_assert_eq(header.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	return true;
}

void send(uint16_t type, const void *payload, uint32_t length)
{
	const struct vmbus_piece pieces[] = {
		{ &pipe_header, sizeof(pipe_header) },
		{ &header, sizeof(header) },
		{ payload, length },
	};
	const struct vmbus_packet_out out = {
		.type = type,
		.payload = pieces,
		.payload_count = 3,
	};

	cr_assert(rig_write(&rig.channels[0].guest, &out));
}

void respond(const void *payload, uint32_t length)
{
	header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	header.size = (uint16_t)length;
	pipe_header.size = (uint32_t)sizeof(header) + length;
	send(VMBUS_PACKET_IN_BAND, payload, length);
}

void pick(const struct ic_choice *choice)
{
	cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
	cr_assert(receive());
	respond(choice, sizeof(*choice));
}

void ic_guest_agree(const struct ic_component *component, struct ic_version message)
{
	const struct ic_choice choice = { { 1, 1, 0 }, { 3, 0 }, message };

	ic_guest_open(component, IC_GUEST_PAGES);
	pick(&choice);
}

void move(void)
{
	cr_assert(rig_move());
}
