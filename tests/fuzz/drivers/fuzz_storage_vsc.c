// SPDX-License-Identifier: BSD-2-Clause
// Fuzz target: a hostile host. The storage VSC negotiates and works with the real VSP, or with
// packets of any content, while requests of all kinds are started, given up and waited for. Each
// request must end exactly once, and nothing may be kept.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/drivers/vsc_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define REQUESTS 16u
#define BLOCKS	 128u
#define MEMORY	 (256u << 10)

struct track {
	struct lumen_request request;
	struct lumen_segment segments[3];
	bool under_way;
};

static struct track tracks[REQUESTS];
static struct lumen_storage *storage;
static struct vsc_raw raw;
static _Alignas(4096) uint8_t memory[MEMORY];

// The input, taken apart. At its end there are zeroes, and `ended` is true.
static const uint8_t *input_at, *input_end;

static uint32_t take(void)
{
	return input_at < input_end ? *input_at++ : 0;
}

static uint32_t take32(void)
{
	uint32_t value = take();

	value |= take() << 8;
	value |= take() << 16;
	return value | take() << 24;
}

// --- the host ---

// A packet that is nearly right: a completion of what was sent last, with some bytes changed.
static void say(uint32_t how)
{
	struct vstor_packet payload = {
		.operation = VSTOR_OPERATION_COMPLETE_IO,
		.srb = { .srb_status = VSTOR_SRB_STATUS_SUCCESS },
	};
	const uint16_t type = how & 1 ? VMBUS_PACKET_COMPLETION : (uint16_t)(take() & 15);
	uint64_t id = raw.channel->sent_id;
	const struct vmbus_piece piece = { &payload, how & 2 ? 64 : take() % 65 };

	if (how & 4)
		id ^= take32();
	if (how & 8)
		id ^= (uint64_t)take() << 32;
	payload.srb.data_transfer_length = how & 16 ? take32() : 512 * (take() & 15);
	for (uint32_t i = how >> 5; i > 0; i--)
		((uint8_t *)&payload)[take() % 64] = (uint8_t)take();
	vmbus_ring_write(&raw.writer, &(struct vmbus_packet_out){
					      .type = type,
					      .transaction_id = id,
					      .payload = &piece,
					      .payload_count = 1,
				      });
	vmbus_ring_writer_commit(&raw.writer);
	raw.channel->signalled = true;
}

// An answer with something changed in the packet or in the guest's memory.
static void change_answer(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	const uint32_t how = take();
	struct vstor_packet asked;

	memcpy(&asked, channel->sent, sizeof(asked));
	if ((how & 0x20) && channel->sent_gpa && asked.srb.data_in == VSTOR_DATA_IN) {
		uint8_t *data = vsc_host_memory(channel->sent_gpa);

		data[take() % 64 % asked.srb.data_transfer_length] = (uint8_t)take();
	}
	if (how & 0xC0) // mostly honest
		return;
	if (how & 1)
		payload->status = take32();
	if (how & 2)
		((uint8_t *)payload)[take() % 48] = (uint8_t)take();
	if (how & 4)
		packet->transaction_id ^= take();
	if (how & 8)
		packet->payload_length = take() % 65;
	if (how & 16)
		payload->properties.max_transfer_bytes = take32();
}

static void break_ring(void)
{
	uint8_t *page =
		take() & 1 ? raw.channel->send_pages[0] : raw.channel->receive_pages[take() % 2];

	memset(page + take(), (int)take(), 1 + take() % 8);
	raw.channel->signalled = true;
}

// --- the guest ---

static void on_done(struct lumen_request *request)
{
	struct track *track = request->context;

	if (!track->under_way || request->sense_length > LUMEN_SENSE_SIZE ||
		request->transferred > MEMORY)
		abort();
	track->under_way = false;
	lumen_request_sense(request);
	if (request->status == LUMEN_OK && request->flags & 0x80) {
		request->flags = 0;
		track->under_way = true;
		if (lumen_storage_submit(request) != LUMEN_OK)
			track->under_way = false;
	}
}

static void fill_segments(struct track *track, uint32_t bytes)
{
	uint32_t count = 1 + take() % 3;

	track->request.segment_count = count;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t part = i + 1 < count ? bytes / count & ~511u : bytes;

		track->segments[i] = (struct lumen_segment){
			.data = memory + i * 65536 + (take() & 7) * 511,
			.length = part,
		};
		bytes -= part;
	}
}

static void start(void)
{
	struct track *track = &tracks[take() % REQUESTS];
	const uint32_t how = take();
	struct lumen_disk *disk = lumen_storage_disk(storage, how >> 7);

	if (track->under_way || !disk)
		return;
	*track = (struct track){ .under_way = true };
	track->request = (struct lumen_request){
		.disk = disk,
		.operation = (enum lumen_operation)(how & 7),
		.flags = take(),
		.block = take(),
		.count = take() % 120,
		.segments = track->segments,
		.done = on_done,
		.context = track,
		.cdb_length = (uint8_t)(take() % 18),
	};
	for (uint32_t i = 0; i < 4; i++)
		track->request.cdb[i] = (uint8_t)take();
	if (track->request.operation == LUMEN_SCSI)
		fill_segments(track, take() * 64);
	else if (track->request.operation == LUMEN_WRITE_SAME)
		fill_segments(track, disk->block_size);
	else if (track->request.operation <= LUMEN_WRITE)
		fill_segments(track, (uint32_t)track->request.count * disk->block_size);
	if (lumen_storage_queue(&track->request) != LUMEN_OK)
		track->under_way = false;
	if (how & 64)
		lumen_storage_kick(storage);
}

static void cancel(void)
{
	struct track *track = &tracks[take() % REQUESTS];

	if (track->under_way && !lumen_storage_cancel(&track->request))
		abort();
}

static void block(void)
{
	struct lumen_disk *disk = lumen_storage_disk(storage, 0);

	if (disk && disk->block_size <= 4096)
		lumen_disk_read(disk, take(), 1 + take() % 32, memory);
	lumen_storage_scan(storage);
}

static void step(uint32_t what)
{
	switch (what % 10) {
	case 0:
		vsc_host_run();
		break;
	case 1:
		lumen_storage_poll(storage);
		break;
	case 2:
		cancel();
		break;
	case 3:
		if (!raw.channel)
			vsc_host_take_over(&raw, 0);
		say(take());
		break;
	case 4:
		if (raw.channel && (what & 16))
			break_ring();
		break;
	case 5:
		if (what == 255)
			vsc_host_rescind();
		break;
	case 6:
		block();
		break;
	default:
		start();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct lumen_storage_config config = {
		.depth = size ? 1 + input[0] % 16 : 0,
		.send_pages = 2,
		.receive_pages = 1,
		.max_transfer = 8192,
		.timeout_ns = 100,
	};

	input_at = input;
	input_end = input + size;
	vsc_host_create_sized(BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_WRITE_CACHE, BLOCKS);
	vsc_host.slots = 8;
	vsc_host.max_transfer = 16384;
	take();
	vsc_host.interrupts = take() & 1;
	vsc_host.disks[0].deferred = false;
	vsc_host.tamper = take() & 1 ? change_answer : NULL;
	memset(tracks, 0, sizeof(tracks));
	memset(&raw, 0, sizeof(raw));
	if (lumen_storage_open(lumen_storage_find(NULL, 0), &config, &storage) == LUMEN_OK) {
		vsc_host.tamper = take() & 1 ? change_answer : NULL;
		vsc_host.disks[0].deferred = take() & 1;
		vsc_host.complete = 1;
		while (input_at < input_end)
			step(take());
		vsc_host.tamper = NULL;
		lumen_storage_close(storage);
	}
	for (uint32_t i = 0; i < REQUESTS; i++) {
		if (tracks[i].under_way)
			abort();
	}
	vsc_host_free_pages(); // those where a host that was asked may yet write
	vsc_host_destroy();
	return 0;
}
