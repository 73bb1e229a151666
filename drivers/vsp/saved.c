// SPDX-License-Identifier: BSD-2-Clause
// See vsp.h: the saved form of a VSP. A header, the counters, what waits for room, then what the
// class adds. Where the rings stand is in the rings, which are the guest's memory and saved with
// it.
#include "drivers/vsp/vsp.h"

#include <string.h>

// Changes with every change of the layout below. The class has a version of its own.
enum { FORM_VERSION = 3 };

struct form_header {
	struct vmbus_guid guid; // of the class
	uint16_t version, class_version;
	uint32_t unsent_count;
	uint32_t counter_count;
	uint32_t index;	       // of a sub-channel; 0 of the primary
	uint32_t sub_channels; // that were asked for
};

struct form_out {
	uint64_t transaction_id;
	uint32_t length, header_length; // of the payload, which follows, and of what follows that
	uint16_t type, flags;
	uint32_t rsvd_z;
};

void vsp_write(struct vsp_writer *to, const void *bytes, size_t length)
{
	to->overrun |= length > to->room;
	if (to->overrun || !length)
		return;
	memcpy(to->next, bytes, length);
	to->next += length;
	to->room -= length;
}

bool vsp_read(struct vsp_reader *from, void *bytes, size_t length)
{
	if (length > from->left) {
		memset(bytes, 0, length);
		return false;
	}
	if (length)
		memcpy(bytes, from->next, length);
	from->next += length;
	from->left -= length;
	return true;
}

void vsp_pause(struct vsp *vsp)
{
	vsp->paused = true;
}

void vsp_resume(struct vsp *vsp)
{
	vsp->paused = false;
}

// --- saving ---

static void save_header(const struct vsp *vsp, struct vsp_writer *to)
{
	struct form_header header = {
		.guid = vsp->class->guid,
		.version = FORM_VERSION,
		.class_version = vsp->class->saved_version,
		.index = vsp->index,
		.sub_channels = vsp->sub_channels,
	};

	for (const struct vsp_out *out = vsp->unsent_first; out; out = out->next)
		header.unsent_count++;
	while (vsp_counter(vsp->class, header.counter_count))
		header.counter_count++;
	vsp_write(to, &header, sizeof(header));
}

static void save_counters(const struct vsp *vsp, struct vsp_writer *to)
{
	const struct vsp_counter *counter;

	for (unsigned i = 0; (counter = vsp_counter(vsp->class, i)); i++) {
		const uint64_t value = vsp_count(vsp, counter);

		vsp_write(to, &value, sizeof(value));
	}
}

static void save_unsent(const struct vsp *vsp, struct vsp_writer *to)
{
	for (const struct vsp_out *out = vsp->unsent_first; out; out = out->next) {
		const struct form_out form = {
			.transaction_id = out->transaction_id,
			.length = out->length,
			.header_length = out->header_length,
			.type = out->type,
			.flags = out->flags,
		};

		vsp_write(to, &form, sizeof(form));
		vsp_write(to, out->payload, out->length);
		vsp_write(to, out->header, out->header_length);
	}
}

size_t vsp_save(struct vsp *vsp, void *form, size_t size)
{
	struct vsp_writer to = { form, size, false };

	if (!vsp->paused || vsp->stopped || vsp->failure || !vsp_idle(vsp))
		return 0;
	// What was read and written is the guest's to see: the rings say where we are.
	vsp->signal_due |= vmbus_ring_reader_commit(&vsp->reader);
	vsp->signal_due |= vmbus_ring_writer_commit(&vsp->writer);
	save_header(vsp, &to);
	save_counters(vsp, &to);
	vsp->class->save(vsp, &to);
	save_unsent(vsp, &to);
	return to.overrun ? 0 : size - to.room;
}

// --- restoring ---

static bool restore_header(const struct vsp_class *class, const struct vsp_rings *rings,
	struct form_header *header, struct vsp_reader *from)
{
	return vsp_read(from, header, sizeof(*header)) && header->version == FORM_VERSION &&
	       header->class_version == class->saved_version && header->index == rings->index &&
	       !memcmp(&header->guid, &class->guid, sizeof(class->guid));
}

static bool restore_counters(struct vsp *vsp, uint32_t count, struct vsp_reader *from)
{
	const struct vsp_counter *counter;
	uint32_t i;

	for (i = 0; (counter = vsp_counter(vsp->class, i)); i++)
		if (i == count ||
			!vsp_read(from, (uint8_t *)vsp + counter->offset, sizeof(uint64_t)))
			return false;
	return i == count;
}

static bool restore_out(struct vsp *vsp, struct vsp_reader *from)
{
	struct form_out form;
	struct vsp_out saved, *out;

	if (!vsp_read(from, &form, sizeof(form)))
		return false;
	saved = (struct vsp_out){
		.transaction_id = form.transaction_id,
		.length = form.length,
		.header_length = form.header_length,
		.type = form.type,
		.flags = form.flags,
	};
	out = vsp->class->restore_out(vsp, &saved);
	if (!out || !vsp_read(from, out->payload, saved.length) ||
		!vsp_read(from, out->header, saved.header_length))
		return false;
	saved.payload = out->payload;
	saved.header = out->header;
	*out = saved;
	*vsp->unsent_end = out;
	vsp->unsent_end = &out->next;
	return true;
}

// Each one read is one that the class has room for: the loop ends with its last.
static bool restore_unsent(struct vsp *vsp, uint32_t count, struct vsp_reader *from)
{
	for (uint32_t i = 0; i < count; i++)
		if (!restore_out(vsp, from))
			return false;
	return true;
}

struct vsp *vsp_restore(const struct vsp_class *class, void *memory, const struct vsp_rings *rings,
	const void *config, const void *form, size_t size)
{
	struct vsp_reader from = { form, size };
	struct form_header header;
	struct vsp *vsp;

	if (!restore_header(class, rings, &header, &from))
		return NULL;
	vsp = vsp_open(class, memory, rings, config);
	if (!vsp || !vsp_ask_sub_channels(vsp, header.sub_channels) ||
		!restore_counters(vsp, header.counter_count, &from) ||
		!class->restore(vsp, &from) || !restore_unsent(vsp, header.unsent_count, &from) ||
		from.left)
		return NULL;
	vsp->signal_due = true;
	vsp->again = true;
	return vsp;
}
