// SPDX-License-Identifier: BSD-2-Clause
// The ring buffer: indices, publication and signals. The packets inside are packet.c.
//
// Four pairs of barriers, one side here, the other in the peer (or here again, for the other ring):
//   [DATA]  writer: data, then `in`.                reader: `in`, then data.
//   [ROOM]  reader: data read, then `out`.          writer: `out`, then overwrite.
//   [EMPTY] writer: `in`, then mask and `out`.      reader: mask = 0, then `in`.
//   [FULL]  writer: pending_send_size, then `out`.  reader: `out`, then pending_send_size.
// The first two are release and acquire. In the last two each side stores one word and then loads
// another, which only a full barrier keeps in order: without it both could see the old value, the
// one would not signal, and the other would wait for ever.
#include "vmbus/ring.h"

#include <string.h>

#include "vmbus/ring_copy.h"

// Indices are 32 bits, and sums of two must not wrap.
#define RING_SIZE_MAX (1u << 30)

static uint32_t load(const uint32_t *shared)
{
	return __atomic_load_n(shared, __ATOMIC_RELAXED);
}

static void store(uint32_t *shared, uint32_t value)
{
	__atomic_store_n(shared, value, __ATOMIC_RELAXED);
}

static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool index_valid(const struct vmbus_ring_pages *pages, uint32_t index)
{
	return index < pages->size && index % 8 == 0;
}

// Returns how many bytes lie between the indices.
static uint32_t filled(const struct vmbus_ring_pages *pages, uint32_t in, uint32_t out)
{
	return in >= out ? in - out : in + pages->size - out;
}

// Returns how many bytes can be written. Eight stay unused: a full ring must not look empty.
static uint32_t room(const struct vmbus_ring_pages *pages, uint32_t in, uint32_t out)
{
	return pages->size - filled(pages, in, out) - 8;
}

static enum vmbus_ring_status pages_init(
	struct vmbus_ring_pages *ring, void *const *pages, uint32_t page_count)
{
	uint32_t i;

	if (page_count < 2 || page_count - 1 > RING_SIZE_MAX / VMBUS_PAGE_SIZE)
		return VMBUS_RING_BAD_PAGES;
	for (i = 0; i < page_count; i++) {
		if (!pages[i])
			return VMBUS_RING_BAD_PAGES;
	}
	ring->control = pages[0];
	ring->data = pages + 1;
	ring->size = (page_count - 1) * VMBUS_PAGE_SIZE;
	return VMBUS_RING_OK;
}

enum vmbus_ring_status vmbus_ring_reader_init(
	struct vmbus_ring_reader *reader, void *const *pages, uint32_t page_count)
{
	memset(reader, 0, sizeof(*reader));
	reader->status = pages_init(&reader->pages, pages, page_count);
	if (reader->status)
		return reader->status;

	reader->out = load(&reader->pages.control->out);
	if (!index_valid(&reader->pages, reader->out))
		reader->status = VMBUS_RING_BAD_OUT_INDEX;
	reader->in = reader->out;
	reader->committed_out = reader->out;
	return reader->status;
}

enum vmbus_ring_status vmbus_ring_writer_init(
	struct vmbus_ring_writer *writer, void *const *pages, uint32_t page_count)
{
	memset(writer, 0, sizeof(*writer));
	writer->status = pages_init(&writer->pages, pages, page_count);
	if (writer->status)
		return writer->status;

	writer->in = load(&writer->pages.control->in);
	if (!index_valid(&writer->pages, writer->in))
		return writer->status = VMBUS_RING_BAD_IN_INDEX;
	writer->out = load(&writer->pages.control->out);
	if (!index_valid(&writer->pages, writer->out))
		return writer->status = VMBUS_RING_BAD_OUT_INDEX;
	writer->committed_in = writer->in;
	store(&writer->pages.control->pending_send_size, 0);
	store(&writer->pages.control->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
	return VMBUS_RING_OK;
}

enum vmbus_ring_status vmbus_ring_reader_look(struct vmbus_ring_reader *reader, uint32_t *available)
{
	uint32_t in;

	if (reader->status)
		return reader->status;
	if (reader->in == reader->out) {
		in = __atomic_load_n(&reader->pages.control->in, __ATOMIC_ACQUIRE); // [DATA]
		if (!index_valid(&reader->pages, in))
			return reader->status = VMBUS_RING_BAD_IN_INDEX;
		reader->in = in;
	}
	*available = filled(&reader->pages, reader->in, reader->out);
	return *available ? VMBUS_RING_OK : VMBUS_RING_EMPTY;
}

void vmbus_ring_reader_advance(struct vmbus_ring_reader *reader, uint32_t length)
{
	reader->out = vmbus_ring_offset(&reader->pages, reader->out, length);
}

bool vmbus_ring_reader_commit(struct vmbus_ring_reader *reader)
{
	struct vmbus_ring_control *control = reader->pages.control;
	uint32_t old_out = reader->committed_out;
	uint32_t pending, in;

	if (reader->out == old_out)
		return false;
	reader->committed_out = reader->out;
	__atomic_store_n(&control->out, reader->out, __ATOMIC_RELEASE); // [ROOM]

	if (!(load(&control->feature_bits) & VMBUS_RING_FEATURE_PENDING_SEND_SIZE))
		return false;
	full_barrier(); // [FULL]
	// Some writers ask for the whole ring less one byte, meaning "when it is empty"; what can
	// be written at most is the ring less eight, so the low bits do not count.
	pending = load(&control->pending_send_size) & ~7u;
	if (!pending)
		return false;
	in = load(&control->in);
	if (!index_valid(&reader->pages, in))
		return false; // the next read says so
	// Only for the step from "does not fit" to "fits": hosts and guests alike take signals that
	// they did not ask for as an attack or at least as noise.
	return room(&reader->pages, in, old_out) < pending &&
	       room(&reader->pages, in, reader->out) >= pending;
}

void vmbus_ring_reader_mask(struct vmbus_ring_reader *reader)
{
	// A hint: a signal that comes all the same does no harm, so no order is needed.
	if (reader->status < VMBUS_RING_BAD_PAGES)
		store(&reader->pages.control->interrupt_mask, 1);
}

bool vmbus_ring_reader_unmask(struct vmbus_ring_reader *reader)
{
	if (reader->status)
		return false;
	store(&reader->pages.control->interrupt_mask, 0);
	full_barrier(); // [EMPTY]
	return load(&reader->pages.control->in) != reader->out;
}

enum vmbus_ring_status vmbus_ring_writer_look(struct vmbus_ring_writer *writer, uint32_t length)
{
	uint32_t out;

	if (writer->status)
		return writer->status;
	if (room(&writer->pages, writer->in, writer->out) >= length)
		return VMBUS_RING_OK;
	out = __atomic_load_n(&writer->pages.control->out, __ATOMIC_ACQUIRE); // [ROOM]
	if (!index_valid(&writer->pages, out))
		return writer->status = VMBUS_RING_BAD_OUT_INDEX;
	writer->out = out;
	return room(&writer->pages, writer->in, out) >= length ? VMBUS_RING_OK : VMBUS_RING_FULL;
}

void vmbus_ring_writer_advance(struct vmbus_ring_writer *writer, uint32_t length)
{
	writer->in = vmbus_ring_offset(&writer->pages, writer->in, length);
	if (writer->waiting) {
		store(&writer->pages.control->pending_send_size, 0);
		writer->waiting = false;
	}
}

bool vmbus_ring_writer_commit(struct vmbus_ring_writer *writer)
{
	struct vmbus_ring_control *control = writer->pages.control;
	uint32_t old_in = writer->committed_in;

	if (writer->in == old_in)
		return false;
	writer->committed_in = writer->in;
	__atomic_store_n(&control->in, writer->in, __ATOMIC_RELEASE); // [DATA]
	full_barrier();						      // [EMPTY]
	if (load(&control->interrupt_mask))
		return false;
	// A reader that had not come this far reads on by itself. `out` is only compared: a wrong
	// one costs the peer a signal.
	return load(&control->out) == old_in;
}

bool vmbus_ring_writer_wait(struct vmbus_ring_writer *writer, uint32_t length)
{
	if (writer->status)
		return true;
	store(&writer->pages.control->pending_send_size, length);
	writer->waiting = true;
	full_barrier(); // [FULL]
	return vmbus_ring_writer_look(writer, length) != VMBUS_RING_FULL;
}

const char *vmbus_ring_status_name(enum vmbus_ring_status status)
{
	static const char *const names[VMBUS_RING_STATUS_COUNT] = {
		[VMBUS_RING_OK] = "ok",
		[VMBUS_RING_EMPTY] = "empty",
		[VMBUS_RING_FULL] = "full",
		[VMBUS_RING_UNWRITABLE] = "packet cannot be written",
		[VMBUS_RING_BAD_PAGES] = "ring pages missing or of wrong number",
		[VMBUS_RING_BAD_IN_INDEX] = "in index out of range",
		[VMBUS_RING_BAD_OUT_INDEX] = "out index out of range",
		[VMBUS_RING_SHORT_DESCRIPTOR] = "no room for a descriptor",
		[VMBUS_RING_BAD_LENGTHS] = "packet lengths do not fit",
		[VMBUS_RING_BAD_FLAGS] = "unknown packet flags",
		[VMBUS_RING_BAD_TYPE] = "unknown packet type",
		[VMBUS_RING_PACKET_TOO_LARGE] = "packet too large",
		[VMBUS_RING_BAD_RANGE_COUNT] = "wrong number of ranges in packet",
		[VMBUS_RING_BAD_RANGE] = "bad range in packet",
	};

	if ((unsigned int)status >= VMBUS_RING_STATUS_COUNT)
		return "unknown";
	return names[status];
}
