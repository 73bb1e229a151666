// SPDX-License-Identifier: BSD-2-Clause
// Fuzz target: VSTOR packets of any content, with any ranges, over real rings to the VSP, while the
// disk completes early or late. Raw bytes may also go over the ring's control page.
#include <stdlib.h>
#include <string.h>

#include "drivers/vsp/storage/storage.h"
#include "tests/unit/drivers/memory_disk.h"
#include "vmbus/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define PAGES 5u
#define RAM   8u

static _Alignas(4096) uint8_t rings[2][PAGES][VMBUS_PAGE_SIZE];
static void *pages[2][PAGES];
static uint8_t *ram;

static void *ram_page(void *context, uint64_t gpa_page)
{
	return gpa_page < RAM ? ram + gpa_page * VMBUS_PAGE_SIZE : NULL;
}

struct guest {
	struct vmbus_ring_writer writer;
	struct vmbus_ring_reader reader;
	struct memory_disk disk;
	struct scsi_disk scsi;
	struct scsi_adapter adapter;
	struct vsp *vsp;
	uint8_t *memory;
};

static void create(struct guest *guest, uint8_t disk_flags)
{
	static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ",
		"S-0001", 1 };
	struct storage_vsp_config config = {
		.memory = { NULL, ram_page },
		.adapter = &guest->adapter,
		.slot_count = 4,
		.max_transfer_bytes = 16384,
	};
	const struct vsp_rings both = {
		.in_pages = pages[0],
		.in_page_count = PAGES,
		.out_pages = pages[1],
		.out_page_count = PAGES,
	};

	memset(rings, 0, sizeof(rings));
	for (uint32_t i = 0; i < 2 * PAGES; i++)
		pages[i / PAGES][i % PAGES] = rings[i / PAGES][i % PAGES];
	ram = calloc(RAM, VMBUS_PAGE_SIZE);
	memset(guest, 0, sizeof(*guest));
	vmbus_ring_writer_init(&guest->writer, pages[0], PAGES);
	vmbus_ring_reader_init(&guest->reader, pages[1], PAGES);
	memory_disk_init(&guest->disk, 64, 512, disk_flags);
	guest->disk.deferred = true;
	scsi_disk_init(&guest->scsi, &guest->disk.device, &identity, config.max_transfer_bytes);
	scsi_adapter_attach(&guest->adapter, 0, 0, 0, &guest->scsi);
	guest->memory =
		aligned_alloc(16, (vsp_size(&storage_vsp_class, &config) + 15) & ~(size_t)15);
	guest->vsp = vsp_open(&storage_vsp_class, guest->memory, &both, &config);
}

static void destroy(struct guest *guest)
{
	vsp_stop(guest->vsp);
	memory_disk_run(&guest->disk, UINT32_MAX);
	if (!vsp_idle(guest->vsp) || guest->scsi.in_flight)
		abort();
	memory_disk_destroy(&guest->disk);
	free(guest->memory);
	free(ram);
}

static void send(struct guest *guest, uint8_t kind, const void *payload, uint32_t length,
	uint32_t offset, uint32_t bytes)
{
	const struct vmbus_gpa_direct_header direct = { 0, 1 };
	const struct vmbus_gpa_range_header range = { bytes & 0x7FFF, offset & 0xFFF };
	const uint64_t pfns[] = { 1, offset >> 12, 2, 3, offset >> 13, 4, 5, 6, 7 };
	const struct vmbus_piece header[] = { { &direct, 8 }, { &range, 8 },
		{ pfns, (uint32_t)vmbus_pages_spanned(range.byte_offset, range.byte_count) * 8 } };
	const struct vmbus_piece piece = { payload, length };
	const bool has_range = (kind & 1) && range.byte_count > 0;

	vmbus_ring_write(&guest->writer,
		&(struct vmbus_packet_out){
			.type = has_range ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
			.flags = kind & 2 ? 0 : VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = offset,
			.header = has_range ? header : NULL,
			.header_count = has_range ? 3 : 0,
			.payload = &piece,
			.payload_count = 1,
		});
	vmbus_ring_writer_commit(&guest->writer);
}

static void initialize(struct guest *guest, uint16_t version)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_BEGIN_INITIALIZATION };

	send(guest, 2, &packet, 64, 0, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION;
	packet.version.major_minor = version;
	send(guest, 2, &packet, 64, 0, 0);
	packet.operation = VSTOR_OPERATION_QUERY_PROPERTIES;
	send(guest, 2, &packet, 64, 0, 0);
	packet.operation = VSTOR_OPERATION_END_INITIALIZATION;
	send(guest, 2, &packet, 64, 0, 0);
	vsp_poll(guest->vsp);
}

static void receive(struct guest *guest)
{
	static _Alignas(8) uint8_t buffer[4096];
	struct vmbus_packet packet;

	while (vmbus_ring_read(&guest->reader, buffer, sizeof(buffer), &packet) == VMBUS_RING_OK)
		if (packet.payload_length != 64 && packet.payload_length != 48)
			abort();
	vmbus_ring_reader_commit(&guest->reader);
}

// One step: 8 bytes of what, then up to 64 bytes of payload.
static size_t step(struct guest *guest, const uint8_t *input, size_t size)
{
	const uint32_t length = input[1] % 65 < size - 8 ? input[1] % 65 : (uint32_t)(size - 8);
	const uint32_t offset = (uint32_t)(input[2] | input[3] << 8 | input[4] << 16);

	if (input[0] == 0xFF)
		memcpy(rings[input[1] & 1][0] + (input[2] & 0x7F), input + 8, length);
	else
		send(guest, input[0], input + 8, length, offset,
			(uint32_t)(input[5] | input[6] << 8));
	if (input[7] & 1)
		vsp_poll(guest->vsp);
	memory_disk_run(&guest->disk, input[7] >> 1 & 3);
	if (input[7] & 8)
		receive(guest);
	return 8 + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct guest guest;

	if (size < 2)
		return 0;
	create(&guest, input[0] & 0x1F);
	if (input[0] & 0x80)
		initialize(&guest, input[0] & 0x40 ? VSTOR_VERSION_6_2 : VSTOR_VERSION_4_2);
	for (input++, size--; size >= 8;) {
		size_t used = step(&guest, input, size);

		input += used;
		size -= used;
	}
	vsp_poll(guest.vsp);
	destroy(&guest);
	return 0;
}
