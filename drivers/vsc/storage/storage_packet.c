// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: a piece of a request becomes a SCSI command and a packet: what all packets have
// in common is there already, the caller's pages go into it as a list.
#include "drivers/vsc/storage/storage_internal.h"

// What one packet takes of a request.
struct storage_piece {
	uint64_t block;
	uint64_t blocks;  // of what is left of the request
	uint32_t bytes;	  // of data
	uint32_t words;	  // used in queue->words; 0: no data
	uint32_t segment; // where the next piece goes on
	uint32_t offset;
};

// --- data: the list of pages ---

static void storage_put_range(
	struct lumen_disk_queue *queue, struct storage_piece *piece, uint32_t offset, uint64_t *end)
{
	// struct vmbus_gpa_direct_header and struct vmbus_gpa_range_header.
	queue->words[0] = 1ull << 32;
	queue->words[1] = piece->bytes | (uint64_t)offset << 32;
	piece->words = (uint32_t)(end - queue->words);
}

// Lists the pages of at most `limit` bytes of the request's data from piece->segment on. One range
// is all that hosts take, so the piece ends where the data do not go on with a page of their own:
// lumen_storage_submit() has seen to it that a block ends there too.
static void storage_map(struct lumen_disk_queue *queue, const struct lumen_request *request,
	uint32_t limit, struct storage_piece *piece)
{
	uint64_t *word = queue->words + 2;
	uint32_t first = 0;

	while (piece->bytes < limit && piece->segment < request->segment_count) {
		const struct lumen_segment *segment = &request->segments[piece->segment];
		const uint32_t in_page =
			(uint32_t)(vsc_address(segment) + piece->offset) % VMBUS_PAGE_SIZE;
		uint32_t part = segment->length - piece->offset;

		if (piece->bytes == 0)
			first = in_page;
		else if (in_page || (first + piece->bytes) % VMBUS_PAGE_SIZE)
			break;
		if (part > limit - piece->bytes)
			part = limit - piece->bytes;
		word = vsc_put_pages(word, segment, piece->offset, part);
		piece->bytes += part;
		piece->offset += part;
		if (piece->offset == segment->length) {
			piece->segment++;
			piece->offset = 0;
		}
	}
	storage_put_range(queue, piece, first, word);
}

// --- commands ---

typedef void storage_builder(struct lumen_disk_queue *queue, const struct lumen_request *request,
	struct storage_piece *piece, struct vmscsi_request *srb);

static void storage_build_transfer(struct lumen_disk_queue *queue,
	const struct lumen_request *request, struct storage_piece *piece,
	struct vmscsi_request *srb)
{
	const struct lumen_disk *disk = request->disk;
	const bool write = request->operation == LUMEN_WRITE;
	const uint64_t bytes = piece->blocks << disk->block_shift;

	storage_map(queue, request,
		bytes < disk->max_transfer ? (uint32_t)bytes : disk->max_transfer, piece);
	piece->blocks = piece->bytes >> disk->block_shift;
	srb->cdb[1] = write && (request->flags & LUMEN_REQUEST_FUA) ? SCSI_CDB_FUA : 0;
	if ((piece->block + piece->blocks) >> 32) { // SBC-3 5.16 and 5.39
		srb->cdb[0] = write ? SCSI_WRITE_16 : SCSI_READ_16;
		storage_put(&srb->cdb[2], 8, piece->block);
		storage_put(&srb->cdb[10], 4, piece->blocks);
		srb->cdb_length = 16;
	} else { // 5.11 and 5.34
		srb->cdb[0] = write ? SCSI_WRITE_10 : SCSI_READ_10;
		storage_put(&srb->cdb[2], 4, piece->block);
		storage_put(&srb->cdb[7], 2, piece->blocks);
		srb->cdb_length = 10;
	}
}

static void storage_build_flush(struct lumen_disk_queue *queue, const struct lumen_request *request,
	struct storage_piece *piece, struct vmscsi_request *srb)
{
	srb->cdb[0] = SCSI_SYNCHRONIZE_CACHE_10; // SBC-3 5.22; 0 blocks from 0 on: all
	srb->cdb_length = 10;
}

// SBC-3 5.28. The parameter list lies in the slot's own memory.
static void storage_build_unmap(struct lumen_disk_queue *queue, const struct lumen_request *request,
	struct storage_piece *piece, struct vmscsi_request *srb)
{
	uint8_t *list = queue->lists + (size_t)queue->vsc.free * STORAGE_LIST_STRIDE;
	const uint64_t gpa = lumen_gpa(list);

	if (piece->blocks > request->disk->max_unmap)
		piece->blocks = request->disk->max_unmap;
	memset(list, 0, STORAGE_UNMAP_LIST);
	storage_put(&list[0], 2, STORAGE_UNMAP_LIST - 2);
	storage_put(&list[2], 2, 16);
	storage_put(&list[8], 8, piece->block);
	storage_put(&list[16], 4, piece->blocks);
	srb->cdb[0] = SCSI_UNMAP;
	srb->cdb[8] = STORAGE_UNMAP_LIST;
	srb->cdb_length = 10;
	queue->words[2] = gpa >> VMBUS_PAGE_SHIFT;
	piece->bytes = STORAGE_UNMAP_LIST;
	storage_put_range(queue, piece, (uint32_t)gpa % VMBUS_PAGE_SIZE, queue->words + 3);
}

// SBC-3 5.48. All pieces have the same data.
static void storage_build_write_same(struct lumen_disk_queue *queue,
	const struct lumen_request *request, struct storage_piece *piece,
	struct vmscsi_request *srb)
{
	if (piece->blocks > request->disk->max_write_same)
		piece->blocks = request->disk->max_write_same;
	storage_map(queue, request, request->disk->block_size, piece);
	piece->segment = 0; // and all of the last segment was used
	srb->cdb[0] = SCSI_WRITE_SAME_16;
	storage_put(&srb->cdb[2], 8, piece->block);
	storage_put(&srb->cdb[10], 4, piece->blocks);
	srb->cdb_length = 16;
}

static void storage_build_scsi(struct lumen_disk_queue *queue, const struct lumen_request *request,
	struct storage_piece *piece, struct vmscsi_request *srb)
{
	if (request->segment_count > 0)
		storage_map(queue, request, storage_of(queue)->max_transfer, piece);
	memcpy(srb->cdb, request->cdb, sizeof(request->cdb));
	srb->cdb_length = request->cdb_length;
}

static storage_builder *const storage_builders[] = {
	[LUMEN_READ] = storage_build_transfer,
	[LUMEN_WRITE] = storage_build_transfer,
	[LUMEN_FLUSH] = storage_build_flush,
	[LUMEN_UNMAP] = storage_build_unmap,
	[LUMEN_WRITE_SAME] = storage_build_write_same,
	[LUMEN_SCSI] = storage_build_scsi,
};

// The rest of the SRB is the same for all (storage_init_packet()).
static void storage_fill_srb(struct vmscsi_request *srb, const struct lumen_request *request,
	const struct storage_piece *piece)
{
	const bool in =
		request->operation == LUMEN_READ ||
		(request->operation == LUMEN_SCSI && (request->flags & LUMEN_REQUEST_DATA_IN));

	memcpy(&srb->port_number, &request->disk->address, 4); // port, path, target, LUN
	srb->data_transfer_length = piece->bytes;
	srb->srb_flags = VSTOR_SRB_FLAGS_QUEUE_ACTION_ENABLE |
			 VSTOR_SRB_FLAGS_DISABLE_SYNCH_TRANSFER | VSTOR_SRB_FLAGS_NO_QUEUE_FREEZE;
	if (piece->bytes == 0) {
		srb->data_in = VSTOR_DATA_NONE;
		return;
	}
	srb->data_in = in ? VSTOR_DATA_IN : VSTOR_DATA_OUT;
	srb->srb_flags |= in ? VSTOR_SRB_FLAGS_DATA_IN : VSTOR_SRB_FLAGS_DATA_OUT;
}

static lumen_status storage_queue_packet(
	struct lumen_disk_queue *queue, const struct storage_piece *piece)
{
	const struct vmbus_piece header = { queue->words, piece->words * 8 };
	const struct vmbus_piece payload = { &queue->packet, storage_of(queue)->packet_size };

	return lumen_channel_queue(queue->vsc.channel,
		&(struct vmbus_packet_out){
			.type = piece->words ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
			.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = vsc_next_id(&queue->vsc),
			.header = &header,
			.header_count = piece->words ? 1 : 0,
			.payload = &payload,
			.payload_count = 1,
		});
}

lumen_status storage_send_piece(struct lumen_disk_queue *queue, struct lumen_request *request)
{
	struct vmscsi_request *srb = &queue->packet.srb;
	struct storage_piece piece = {
		.block = request->block + request->count - request->blocks_left,
		.blocks = request->blocks_left,
		.segment = request->segment,
		.offset = request->segment_offset,
	};
	lumen_status status;

	memset(srb->cdb, 0, sizeof(srb->cdb));
	storage_builders[request->operation](queue, request, &piece, srb);
	storage_fill_srb(srb, request, &piece);
	status = storage_queue_packet(queue, &piece);
	if (status != LUMEN_OK)
		return status;
	vsc_take_slot(&queue->vsc, request, piece.bytes);
	request->in_flight++;
	request->blocks_left -= piece.blocks;
	request->segment = piece.segment;
	request->segment_offset = piece.offset;
	return LUMEN_OK;
}
