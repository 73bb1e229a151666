// SPDX-License-Identifier: BSD-2-Clause
// See ic_guest.h.
#include "ic_guest.h"

#include <criterion/criterion.h>
#include <string.h>

_Alignas(4096) uint8_t ic_guest_memory[2][IC_GUEST_PAGES][4096];
static void *pages[2][IC_GUEST_PAGES];
static _Alignas(VSP_ALIGNMENT) uint8_t instance[2][16384];
static struct ic_config config;
static uint8_t form[8192];
static struct vmbus_ring_writer to_host;
static struct vmbus_ring_reader from_host;
static _Alignas(8) uint8_t packet[4096];

struct vsp *vsp;
struct vsp_rings ic_guest_rings;
struct pipe_header pipe_header;
struct ic_header header;
const uint8_t *body;
uint64_t ic_guest_time, ic_guest_reference;
bool ic_guest_reference_fails;

static uint64_t time_of_day(void *context)
{
	return ic_guest_time;
}

static bool reference_time(void *context, uint64_t *time)
{
	if (ic_guest_reference_fails)
		return false;
	*time = ic_guest_reference;
	return true;
}

const struct ic_host ic_guest_host = { NULL, time_of_day, reference_time };

struct ic_vsp *ic(void)
{
	return (struct ic_vsp *)vsp;
}

void ic_guest_reopen(const struct ic_component *component)
{
	config = (struct ic_config){ .component = component, .host = &ic_guest_host };
	cr_assert_leq(vsp_size(&component->class, &config), sizeof(instance[0]));
	vsp = vsp_open(&component->class, instance[0], &ic_guest_rings, &config);
}

void ic_guest_open(const struct ic_component *component, uint32_t out_pages)
{
	memset(ic_guest_memory, 0, sizeof(ic_guest_memory));
	for (int i = 0; i < 2 * IC_GUEST_PAGES; i++)
		pages[i / IC_GUEST_PAGES][i % IC_GUEST_PAGES] =
			ic_guest_memory[i / IC_GUEST_PAGES][i % IC_GUEST_PAGES];
	cr_assert_eq(vmbus_ring_writer_init(&to_host, pages[0], IC_GUEST_PAGES), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_reader_init(&from_host, pages[1], out_pages), VMBUS_RING_OK);
	ic_guest_rings = (struct vsp_rings){ pages[0], IC_GUEST_PAGES, pages[1], out_pages };
	ic_guest_reopen(component);
}

bool receive(void)
{
	struct vmbus_packet in;

	if (vmbus_ring_read(&from_host, packet, sizeof(packet), &in) != VMBUS_RING_OK)
		return false;
	vmbus_ring_reader_commit(&from_host);
	cr_assert_eq(in.type, VMBUS_PACKET_IN_BAND);
	memcpy(&pipe_header, in.payload, sizeof(pipe_header));
	memcpy(&header, in.payload + sizeof(pipe_header), sizeof(header));
	body = in.payload + sizeof(pipe_header) + sizeof(header);
	cr_assert_eq(pipe_header.type, PIPE_TYPE_DATA);
	cr_assert_eq(pipe_header.size, sizeof(header) + header.size);
	cr_assert_leq(sizeof(pipe_header) + pipe_header.size, in.payload_length);
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

	cr_assert_eq(vmbus_ring_write(&to_host, &out), VMBUS_RING_OK);
	vmbus_ring_writer_commit(&to_host);
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
	cr_assert_eq(vsp_poll(vsp), VSP_SIGNAL);
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
	uint8_t *other = (uint8_t *)vsp == instance[0] ? instance[1] : instance[0];
	const struct vsp_class *class = vsp->class;
	size_t size;

	cr_assert_eq(vsp_save(vsp, form, sizeof(form)), 0, "it is not paused");
	vsp_pause(vsp);
	size = vsp_save(vsp, form, sizeof(form));
	cr_assert_gt(size, 0);
	cr_assert_eq(vsp_save(vsp, form, size - 1), 0);
	cr_assert_eq(vsp_save(vsp, form, size), size);
	memset(vsp, 0xee, sizeof(*ic()));
	vsp = vsp_restore(class, other, &ic_guest_rings, &config, form, size);
	cr_assert_not_null(vsp);
}
