// SPDX-License-Identifier: BSD-2-Clause
// Storage, both ends, for fuzz_devices.c.
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "lumen/storage.h"
#include "tests/unit/drivers/storage/storage_host.h"

enum { BLOCKS = 64, RAM = 8 };

// A disk, and often another one with larger blocks.
static void create(const struct fuzz_device *device)
{
	static const struct vstor_fc_wwn wwn = { .primary_active = 1 };
	const uint32_t what = take();

	(void)device;
	storage_host_create(what & 0x1F, BLOCKS, RAM);
	memset(rig.ram, 0, RAM * VMBUS_PAGE_SIZE);
	storage_host.config.slot_count = 4;
	storage_host.config.max_transfer_bytes = 16384;
	storage_host.config.sub_channels_max = RIG_CHANNELS - 1;
	storage_host.disks[0].deferred = true;
	storage_host.disks[0].no_zeroing = what & 0x20;
	storage_host.config.wwn = what & 0x40 ? &wwn : NULL;
	rig.complete = take() & 3;
	if (!(what & 0x80))
		return;
	storage_host.blocks = BLOCKS / 8;
	storage_host_add_disk(1, 0, 1, 4096, take() & 0x1F);
}

static void ask(const struct fuzz_device *device)
{
	const uint32_t what = take();

	(void)device;
	if (what & 1)
		storage_vsp_rescan(rig.channels[0].vsp);
	else if (what & 2)
		storage_host.disks[0].fail = -(int)(what >> 2 & 7);
	else
		rig.complete = what >> 2 & 3;
}

// --- a raw guest ---

static void send(
	uint32_t kind, const void *payload, uint32_t length, uint32_t offset, uint32_t bytes)
{
	const struct vmbus_gpa_direct_header direct = { 0, 1 };
	const struct vmbus_gpa_range_header range = { bytes & 0x7FFF, offset & 0xFFF };
	const uint64_t pfns[] = { 1, offset >> 12, 2, 3, offset >> 13, 4, 5, 6, 7 };
	const struct vmbus_piece header[] = { { &direct, 8 }, { &range, 8 },
		{ pfns, (uint32_t)vmbus_pages_spanned(range.byte_offset, range.byte_count) * 8 } };
	const struct vmbus_piece piece = { payload, length };
	const bool has_range = (kind & 1) && range.byte_count > 0;

	rig_write(&fuzz_channel()->guest,
		&(struct vmbus_packet_out){
			.type = has_range  ? VMBUS_PACKET_GPA_DIRECT
				: kind & 4 ? VMBUS_PACKET_COMPLETION
					   : VMBUS_PACKET_IN_BAND,
			.flags = kind & 2 ? 0 : VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = offset,
			.header = has_range ? header : NULL,
			.header_count = has_range ? 3 : 0,
			.payload = &piece,
			.payload_count = 1,
		});
}

static void greet(const struct fuzz_device *device)
{
	const bool old = take() & 1;
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_BEGIN_INITIALIZATION };

	(void)device;
	send(2, &packet, sizeof(packet), 0, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION;
	packet.version.major_minor = old ? VSTOR_VERSION_4_2 : VSTOR_VERSION_6_2;
	send(2, &packet, sizeof(packet), 0, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROPERTIES;
	send(2, &packet, sizeof(packet), 0, 0);
	packet.operation = VSTOR_OPERATION_END_INITIALIZATION;
	send(2, &packet, sizeof(packet), 0, 0);
	packet.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS;
	packet.sub_channel_count = take() % (RIG_CHANNELS + 1);
	send(2, &packet, sizeof(packet), 0, 0);
	rig_run();
	for (uint32_t i = 1; i <= rig.offered_subs; i++)
		rig_open(&rig.channels[i], 4, 4);
}

// A command in good form, but for its CDB, which is any.
static void send_command(uint32_t kind)
{
	struct vstor_packet packet = {
		.operation = VSTOR_OPERATION_EXECUTE_SRB,
		.srb = {
			.length = VSTOR_SRB_SIZE_V2,
			.lun = kind >> 7,
			.cdb_length = (uint8_t)(take() & 31),
			.sense_info_length = VSTOR_SENSE_SIZE,
			.data_in = kind >> 4 & 3,
			.data_transfer_length = take() << 4,
		},
	};

	for (uint32_t i = 0; i < sizeof(packet.srb.cdb); i++)
		packet.srb.cdb[i] = (uint8_t)take();
	for (uint32_t at = take(), i = take() & 63; i > 0; i--) // what is written
		rig.ram[VMBUS_PAGE_SIZE + at + i] = (uint8_t)take();
	send(1, &packet, sizeof(packet), 0, packet.srb.data_transfer_length);
}

static void guest_packet(uint32_t kind)
{
	const uint32_t length = take() % 65;
	const uint32_t offset = take() | take() << 8 | take() << 16;
	const uint32_t bytes = take() | take() << 8;
	uint8_t payload[64];

	for (uint32_t i = 0; i < length; i++)
		payload[i] = (uint8_t)take();
	if (kind & 0x10 && length > 4) // an operation that there may be
		memcpy(payload, (uint8_t[]){ payload[0] & 15, 0, 0, 0 }, 4);
	send(kind, payload, length, offset, bytes);
}

static void guest_says(const struct fuzz_device *device)
{
	const uint32_t kind = take();

	(void)device;
	if (kind & 8)
		send_command(kind);
	else
		guest_packet(kind);
}

static void guest_hears(const struct vmbus_packet *packet)
{
	(void)packet;
}

// --- a VSC ---

enum { REQUESTS = 16, MEMORY = 256 << 10 };

struct track {
	struct lumen_request request;
	struct lumen_segment segments[3];
	bool under_way;
};

static struct track tracks[REQUESTS];
static struct lumen_storage *storage;
static _Alignas(4096) uint8_t memory[MEMORY];

static bool open(const struct fuzz_device *device)
{
	static const uint32_t vps[RIG_CHANNELS] = { 0, 1, 2 };
	const struct lumen_storage_config config = {
		.depth = 1 + take() % 16,
		.send_pages = 2,
		.receive_pages = 1,
		.max_transfer = 8192,
		.timeout_ns = 1000000,
		.vps = vps,
		.vp_count = 1 + take() % RIG_CHANNELS,
		.bus = (void *)&storage,
	};

	(void)device;
	memset(tracks, 0, sizeof(tracks));
	storage_host.disks[0].deferred = false;
	if (lumen_storage_open(lumen_storage_find(NULL, 0), &config, &storage) != LUMEN_OK)
		return false;
	storage_host.disks[0].deferred = take() & 1;
	rig.complete = 1;
	return true;
}

static void close(void)
{
	storage_host.tamper = NULL;
	lumen_storage_close(storage);
	for (uint32_t i = 0; i < REQUESTS; i++)
		rig_check(!tracks[i].under_way);
}

static bool blames(void)
{
	return lumen_storage_status(storage) == LUMEN_BAD_HOST;
}

static void on_done(struct lumen_request *request)
{
	struct track *track = request->context;

	rig_check(track->under_way && request->sense_length <= LUMEN_SENSE_SIZE &&
		  request->transferred <= MEMORY);
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

static void start(uint32_t how)
{
	const uint32_t which = take();
	struct track *track = &tracks[which % REQUESTS];
	struct lumen_disk *disk = lumen_storage_disk(storage, how >> 7);

	rig_vp = which / REQUESTS; // and so the channel
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
	for (uint32_t i = 0;
		i < sizeof(track->request.cdb) && track->request.operation == LUMEN_SCSI; i++)
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

	rig_check(!track->under_way || lumen_storage_cancel(&track->request));
}

static void block(void)
{
	struct lumen_disk *disk = lumen_storage_disk(storage, 0);

	if (disk && disk->block_size <= 4096)
		lumen_disk_read(disk, take(), 1 + take() % 32, memory);
	lumen_storage_scan(storage);
}

static void act(void)
{
	const uint32_t how = take();

	switch (how >> 3 & 7) {
	case 0:
		lumen_storage_poll(storage);
		break;
	case 1:
		cancel();
		break;
	case 2:
	case 3:
		block();
		break;
	default:
		start(how);
	}
}

// --- a host that lies ---

// A completion of what was sent last, with some bytes changed.
static void host_says(const struct fuzz_device *device)
{
	const uint32_t how = take();
	struct vstor_packet payload = {
		.operation = VSTOR_OPERATION_COMPLETE_IO,
		.srb = { .srb_status = VSTOR_SRB_STATUS_SUCCESS },
	};
	const uint16_t type = how & 1 ? VMBUS_PACKET_COMPLETION : (uint16_t)(take() & 15);
	uint64_t id = fuzz_channel()->sent_id;
	const uint32_t length = how & 2 ? 64 : take() % 65;

	(void)device;
	if (how & 4)
		id ^= take32();
	if (how & 8)
		id ^= (uint64_t)take() << 32;
	payload.srb.data_transfer_length = how & 16 ? take32() : 512 * (take() & 15);
	patch(&payload, sizeof(payload), how >> 5);
	rig_say(&fuzz_channel()->host, type, id, &payload, length);
}

// An answer with something changed in the packet or in the guest's memory.
static void change_answer(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	const uint32_t how = take();
	struct vstor_packet asked;

	memcpy(&asked, channel->sent, sizeof(asked));
	if ((how & 0x20) && channel->sent_gpa && asked.srb.data_in == VSTOR_DATA_IN) {
		uint8_t *data = rig_memory_at(channel->sent_gpa);

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

static void tamper(void)
{
	storage_host.tamper = change_answer;
}

const struct fuzz_device fuzz_storage = {
	.create = create,
	.destroy = storage_host_destroy,
	.greet = greet,
	.guest_says = guest_says,
	.guest_hears = guest_hears,
	.ask = ask,
	.open = open,
	.act = act,
	.close = close,
	.blames = blames,
	.host_says = host_says,
	.tamper = tamper,
};
