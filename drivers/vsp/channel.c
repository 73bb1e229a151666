// SPDX-License-Identifier: BSD-2-Clause
// See vsp.h: rings, the loop between them, what waits for room, and the end.
#include "drivers/vsp/vsp.h"

#include <string.h>

#include "base/macros.h"

static const struct vsp_counter base_counters[] = {
#define X(field) { #field, offsetof(struct vsp, counters.field) },
	X(packets) X(malformed) X(batches) X(signals) X(ring_full)
#undef X
};

enum { BASE_COUNTERS = ARRAY_SIZE(base_counters) };

size_t vsp_size(const struct vsp_class *class, const void *config, bool sub)
{
	return class->size(config, sub);
}

static void init_rings(struct vsp *vsp, const struct vsp_rings *rings)
{
	enum vmbus_ring_status status =
		vmbus_ring_reader_init(&vsp->reader, rings->in_pages, rings->in_page_count);

	if (status == VMBUS_RING_OK)
		status = vmbus_ring_writer_init(
			&vsp->writer, rings->out_pages, rings->out_page_count);
	if (status != VMBUS_RING_OK)
		vsp_fail(vsp, vmbus_ring_status_name(status));
}

struct vsp *vsp_open(const struct vsp_class *class, void *memory, const struct vsp_rings *rings,
	const void *config)
{
	const size_t size = class->size(config, rings->primary != NULL);
	struct vsp *vsp = memory;

	if (!size)
		return NULL;
	memset(memory, 0, size);
	vsp->class = class;
	vsp->primary = rings->primary;
	vsp->index = rings->index;
	vsp->unsent_end = &vsp->unsent_first;
	init_rings(vsp, rings);
	class->open(vsp, config);
	return vsp;
}

void vsp_fail(struct vsp *vsp, const char *reason)
{
	if (!vsp->failure)
		vsp->failure = reason;
}

// --- sub-channels ---

void vsp_join(struct vsp *sub)
{
	sub->next = sub->primary->next;
	sub->primary->next = sub;
}

void vsp_leave(struct vsp *sub)
{
	struct vsp **at = &sub->primary->next;

	while (*at && *at != sub)
		at = &(*at)->next;
	if (*at)
		*at = sub->next;
}

uint32_t vsp_sub_channels(const struct vsp *vsp)
{
	return __atomic_load_n(&vsp->sub_channels, __ATOMIC_RELAXED);
}

bool vsp_ask_sub_channels(struct vsp *vsp, uint32_t count)
{
	if (count > vsp->sub_channels_max)
		return false;
	if (count > vsp->sub_channels) {
		__atomic_store_n(&vsp->sub_channels, count, __ATOMIC_RELAXED);
		vsp->own_flags |= VSP_SUB_CHANNELS;
	}
	return true;
}

static bool ended(const struct vsp *vsp)
{
	return vsp->stopped || vsp->failure;
}

// What was written has to be published; what is in the ring may be read again, or has to be.
static bool waits(const struct vsp *vsp)
{
	const bool reads = !vsp->full && !vsp->paused;

	return !ended(vsp) && (vsp->wrote || (reads && (vsp->held || vsp->behind)));
}

bool vsp_any_waits(const struct vsp *primary)
{
	if (ended(primary))
		return false;
	for (const struct vsp *vsp = primary; vsp; vsp = vsp->next)
		if (waits(vsp))
			return true;
	return false;
}

// --- to the guest ---

// Returns false if it is not in the ring: no room, and then the guest will signal when there is, or
// the ring is broken.
static bool write_out(struct vsp *vsp, const struct vsp_out *out)
{
	const struct vmbus_piece header = { out->header, out->header_length };
	const struct vmbus_piece payload = { out->payload, out->length };
	const struct vmbus_packet_out packet = {
		.type = out->type,
		.flags = out->flags,
		.transaction_id = out->transaction_id,
		.header = &header,
		.header_count = out->header_length ? 1 : 0,
		.payload = &payload,
		.payload_count = 1,
	};
	enum vmbus_ring_status status = vmbus_ring_write(&vsp->writer, &packet);

	if (status == VMBUS_RING_OK) {
		vsp->wrote = true;
		return true;
	}
	if (status != VMBUS_RING_FULL) {
		vsp_fail(vsp, vmbus_ring_status_name(status));
		return false;
	}
	vsp->counters.ring_full++;
	vsp->signal_due |= vmbus_ring_writer_commit(&vsp->writer);
	if (vmbus_ring_writer_wait(
		    &vsp->writer, vmbus_ring_packet_room(out->header_length, out->length)))
		vsp->again = true; // there is room by now, and nobody will tell
	return false;
}

bool vsp_send(struct vsp *vsp, struct vsp_out *out)
{
	// In order: what waits for room is not overtaken.
	if (ended(vsp) || (!vsp->unsent_first && write_out(vsp, out)))
		return true;
	out->next = NULL;
	*vsp->unsent_end = out;
	vsp->unsent_end = &out->next;
	return false;
}

static void send_unsent(struct vsp *vsp)
{
	while (vsp->unsent_first && write_out(vsp, vsp->unsent_first)) {
		struct vsp_out *out = vsp->unsent_first;

		vsp->unsent_first = out->next;
		if (!vsp->unsent_first)
			vsp->unsent_end = &vsp->unsent_first;
		vsp->class->sent(vsp, out);
	}
}

// --- from the guest ---

// What is left of a poll.
struct budget {
	uint32_t packets, cost;
};

static void spend(struct budget *budget, uint32_t cost)
{
	budget->packets--;
	budget->cost -= cost < budget->cost ? cost : budget->cost;
}

void vsp_mark(struct vsp *vsp)
{
	vsp->behind = vsp->reader.pages.size;
}

// So much has been read behind a mark. The ring is not larger than what may have been there.
static void take_from_mark(struct vsp *vsp, uint32_t before)
{
	const uint32_t after = vsp->reader.out;
	const uint32_t bytes =
		after > before ? after - before : after + vsp->reader.pages.size - before;

	vsp->behind -= bytes < vsp->behind ? bytes : vsp->behind;
}

// Reads until there is nothing more, or nothing more can be taken. Returns true if the ring is
// empty.
static bool read_all(struct vsp *vsp, struct budget *budget)
{
	while (!vsp->full && !vsp->failure && budget->packets && budget->cost) {
		const uint32_t before = vsp->reader.out;
		enum vmbus_ring_status status =
			vmbus_ring_read(&vsp->reader, vsp->buffer, vsp->buffer_size, &vsp->packet);

		if (status == VMBUS_RING_EMPTY) {
			vsp->behind = 0;
			return true;
		}
		if (status != VMBUS_RING_OK) {
			vsp_fail(vsp, vmbus_ring_status_name(status));
			return false;
		}
		vsp->counters.packets++;
		take_from_mark(vsp, before);
		spend(budget, vsp->class->packet(vsp));
	}
	return false;
}

// While the class is full, the ring is left masked: what ends that is a completion or room in the
// other ring, and both lead to the next poll.
static void receive(struct vsp *vsp)
{
	struct budget budget = { vsp->class->poll_packets, vsp->class->poll_cost };
	bool empty;

	do {
		vmbus_ring_reader_mask(&vsp->reader);
		empty = read_all(vsp, &budget);
		if (vsp->failure)
			return;
		vsp->signal_due |= vmbus_ring_reader_commit(&vsp->reader);
	} while (empty && vmbus_ring_reader_unmask(&vsp->reader));
	if (!budget.packets || !budget.cost)
		vsp->again = true;
	vsp->held = vsp->full;
	if (budget.packets < vsp->class->poll_packets)
		vsp->counters.batches++;
}

static uint32_t take_flags(struct vsp *vsp)
{
	uint32_t flags = vsp->own_flags | (vsp->failure ? VSP_FAILED : 0);

	if (!vsp->failure) {
		vsp->signal_due |= vmbus_ring_writer_commit(&vsp->writer);
		if (vsp->again)
			flags |= VSP_AGAIN;
	}
	if (vsp->signal_due) {
		flags |= VSP_SIGNAL;
		vsp->counters.signals++;
	}
	vsp->own_flags = 0;
	vsp->signal_due = false;
	vsp->again = false;
	vsp->wrote = false;
	return flags;
}

uint32_t vsp_poll(struct vsp *vsp)
{
	const struct vsp_class *class = vsp->class;

	if (vsp->stopped || (vsp->primary && ended(vsp->primary)))
		return 0;
	// First what ends by itself: it makes room for more.
	if (class->work)
		class->work(vsp);
	if (!vsp->failure)
		send_unsent(vsp);
	if (!vsp->failure && !vsp->paused)
		receive(vsp);
	if (class->kick)
		class->kick(vsp);
	return take_flags(vsp);
}

bool vsp_tick(struct vsp *vsp)
{
	if (ended(vsp))
		return false;
	return vsp->paused || vsp->class->tick(vsp);
}

const char *vsp_failure(const struct vsp *vsp)
{
	return vsp->failure;
}

void vsp_stop(struct vsp *vsp)
{
	for (struct vsp *sub = vsp->primary ? NULL : vsp->next; sub; sub = sub->next)
		vsp_stop(sub);
	vsp->stopped = true;
	if (vsp->class->stop)
		vsp->class->stop(vsp);
}

bool vsp_idle(const struct vsp *vsp)
{
	for (const struct vsp *sub = vsp->primary ? NULL : vsp->next; sub; sub = sub->next)
		if (!vsp_idle(sub))
			return false;
	return !vsp->class->idle || vsp->class->idle(vsp);
}

// --- counters ---

const struct vsp_counter *vsp_counter(const struct vsp_class *class, unsigned index)
{
	const struct vsp_counter *counter;

	if (index < BASE_COUNTERS)
		return &base_counters[index];
	counter = class->counters;
	for (index -= BASE_COUNTERS; counter && counter->name && index; index--)
		counter++;
	return counter && counter->name ? counter : NULL;
}

uint64_t vsp_count(const struct vsp *vsp, const struct vsp_counter *counter)
{
	const uint8_t *base = (const uint8_t *)vsp;

	return __atomic_load_n((const uint64_t *)(base + counter->offset), __ATOMIC_RELAXED);
}
