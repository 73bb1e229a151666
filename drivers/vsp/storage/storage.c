// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: its memory, its slots, resets, and its saved form.
#include "drivers/vsp/storage/storage_internal.h"

#include <string.h>

// Descriptor, ranges and payload of the longest request; rounded up, there is more room than that.
#define STORAGE_PACKET_OVERHEAD 512u

struct storage_layout {
	uint32_t iov_max;
	uint32_t buffer_size;
	size_t slots;
	size_t iov;
	size_t buffer;
	size_t total;
};

static struct storage_vsp *storage_of(struct vsp *vsp)
{
	return (struct storage_vsp *)vsp;
}

static size_t storage_align(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

// Configuration is bounded, so nothing here can overflow.
static bool storage_layout(const struct storage_vsp_config *config, struct storage_layout *layout)
{
	const uint32_t transfer = config->max_transfer_bytes;

	if (config->slot_count == 0 || config->slot_count > STORAGE_VSP_MAX_SLOTS ||
		config->sub_channels_max > STORAGE_VSP_MAX_SUBS || transfer == 0 ||
		transfer > STORAGE_VSP_MAX_TRANSFER || transfer % VMBUS_PAGE_SIZE != 0)
		return false;
	layout->iov_max = transfer / VMBUS_PAGE_SIZE + 1;
	layout->buffer_size = STORAGE_PACKET_OVERHEAD + layout->iov_max * 8;
	layout->slots = storage_align(sizeof(struct storage_vsp));
	layout->iov =
		layout->slots + storage_align(sizeof(struct storage_slot) * config->slot_count);
	layout->buffer = layout->iov + storage_align(sizeof(struct vsp_iovec) * layout->iov_max *
						     config->slot_count);
	layout->total = layout->buffer + layout->buffer_size;
	return true;
}

static size_t storage_size(const void *config, bool sub)
{
	struct storage_layout layout;

	return storage_layout(config, &layout) ? layout.total : 0;
}

static void storage_init_slots(struct storage_vsp *vsp, struct vsp_iovec *iov)
{
	for (uint32_t i = vsp->slot_count; i-- > 0;) {
		struct storage_slot *slot = &vsp->slots[i];

		slot->vsp = vsp;
		slot->out.payload = &slot->answer;
		slot->out.type = VMBUS_PACKET_COMPLETION;
		slot->iov = iov + (size_t)i * vsp->iov_max;
		slot->next = vsp->free;
		vsp->free = slot;
	}
}

static void storage_open(struct vsp *base, const void *config)
{
	struct storage_vsp *vsp = storage_of(base);
	const struct storage_vsp_config *of = config;
	uint8_t *memory = (uint8_t *)vsp;
	struct storage_layout layout;

	if (!storage_layout(of, &layout))
		return; // storage_size() has said so, and there is no instance
	vsp->memory = of->memory;
	vsp->adapter = of->adapter;
	vsp->wwn = of->wwn;
	vsp->max_transfer_bytes = of->max_transfer_bytes;
	vsp->srb_size = VSTOR_PACKET_SIZE_V1;
	vsp->slot_count = of->slot_count;
	vsp->iov_max = layout.iov_max;
	vsp->slots = (struct storage_slot *)(memory + layout.slots);
	vsp->rescan.operation = VSTOR_OPERATION_ENUMERATE_BUS;
	vsp->rescan_out = (struct vsp_out){ .payload = &vsp->rescan, .type = VMBUS_PACKET_IN_BAND };
	base->sub_channels_max = base->primary ? 0 : of->sub_channels_max;
	base->buffer = memory + layout.buffer;
	base->buffer_size = layout.buffer_size;
	storage_init_slots(vsp, (struct vsp_iovec *)(memory + layout.iov));
}

// --- slots ---

// Nothing more is read while no slot is free, or a reset waits: on its own channel at once, on the
// others when all has been read that came before it.
static void storage_look_full(struct storage_vsp *vsp)
{
	vsp->base.full = !vsp->free || (storage_controller(vsp)->reset && !vsp->base.behind);
}

static void storage_free_slot(struct storage_slot *slot)
{
	slot->next = slot->vsp->free;
	slot->vsp->free = slot;
	storage_look_full(slot->vsp);
}

static struct storage_slot *storage_take_slot(struct storage_vsp *vsp)
{
	struct storage_slot *slot = vsp->free;

	vsp->free = slot->next;
	storage_look_full(vsp);
	return slot;
}

void storage_answer(struct storage_slot *slot)
{
	if (!slot->wants_completion || vsp_send(&slot->vsp->base, &slot->out))
		storage_free_slot(slot);
}

void storage_answer_status(struct storage_slot *slot, enum vstor_status status)
{
	slot->answer.operation = VSTOR_OPERATION_COMPLETE_IO;
	slot->answer.status = status;
	storage_answer(slot);
}

static void storage_sent(struct vsp *base, struct vsp_out *out)
{
	struct storage_vsp *vsp = storage_of(base);

	if (out == &vsp->rescan_out)
		vsp->rescan_waits = false;
	else
		storage_free_slot((struct storage_slot *)out);
}

// --- a poll ---

static void storage_mark_all(struct storage_vsp *primary)
{
	for (struct vsp *sub = primary->base.next; sub; sub = sub->next)
		vsp_mark(sub);
}

// Nothing is taken back; the answer waits until everything that came before is done. So when the
// guest has it, no old command can still write, whichever channel it was sent on.
void storage_begin_reset(struct storage_slot *slot)
{
	slot->vsp->reset = slot;
	storage_look_full(slot->vsp);
	storage_mark_all(slot->vsp);
}

// A channel that has ended reads nothing, but its commands may still be under way.
static bool storage_waits_for(const struct vsp *channel)
{
	return ((const struct storage_vsp *)channel)->executing > 0 ||
	       (channel->behind && !channel->stopped && !channel->failure);
}

static void storage_finish_reset(struct storage_vsp *primary)
{
	struct storage_slot *slot = primary->reset;
	struct vsp *channel;

	if (!slot)
		return;
	for (channel = &primary->base; channel; channel = channel->next)
		if (storage_waits_for(channel))
			return;
	primary->reset = NULL;
	for (channel = &primary->base; channel; channel = channel->next)
		storage_look_full(storage_of(channel));
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

static void storage_send_rescan(struct storage_vsp *vsp)
{
	if (!vsp->rescan_due || vsp->rescan_waits || vsp->state != STORAGE_READY)
		return;
	vsp->rescan_due = false;
	vsp->rescan_out.length = vsp->srb_size;
	vsp->rescan_waits = !vsp_send(&vsp->base, &vsp->rescan_out);
}

// Steps first: what ends in them gives slots, and what a reset has waited for.
static void storage_work(struct vsp *base)
{
	struct storage_vsp *vsp = storage_of(base);

	scsi_adapter_step(vsp->adapter, STORAGE_VSP_POLL_STEPS);
	storage_finish_reset(storage_controller(vsp));
	storage_look_full(vsp);
	storage_send_rescan(vsp);
}

static void storage_kick(struct vsp *base)
{
	struct storage_vsp *vsp = storage_of(base);

	base->again |= scsi_adapter_step(vsp->adapter, 0);
	scsi_adapter_kick(vsp->adapter);
	storage_finish_reset(storage_controller(vsp));
}

// Returns how much data the packet is about.
static uint32_t storage_packet(struct vsp *base)
{
	struct storage_vsp *vsp = storage_of(base);
	const struct vmbus_packet *packet = &base->packet;
	struct storage_slot *slot = storage_take_slot(vsp);

	slot->out.transaction_id = packet->transaction_id;
	slot->wants_completion = packet->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED;
	slot->out.length = packet->payload_length >= VSTOR_PACKET_SIZE_V2 ? VSTOR_PACKET_SIZE_V2
									  : VSTOR_PACKET_SIZE_V1;
	memset(&slot->answer, 0, sizeof(slot->answer));
	slot->command.data_length = 0;
	storage_handle(slot);
	storage_finish_reset(storage_controller(vsp));
	return slot->command.data_length; // the slot may be free by now, but nobody has it yet
}

void storage_vsp_rescan(struct vsp *vsp)
{
	storage_of(vsp)->rescan_due = true;
}

// Of all channels: no more commands than that can wait for a step.
static uint32_t storage_slots(struct vsp *base)
{
	uint32_t count = 0;

	for (const struct vsp *channel = vsp_primary(base); channel; channel = channel->next)
		count += ((const struct storage_vsp *)channel)->slot_count;
	return count;
}

static void storage_stop(struct vsp *base)
{
	struct storage_vsp *vsp = storage_of(base);

	for (uint32_t i = 0; i < vsp->slot_count; i++)
		scsi_cancel(&vsp->slots[i].command);
	scsi_adapter_step(vsp->adapter, storage_slots(base)); // they end without another step
	scsi_adapter_kick(vsp->adapter);
}

static bool storage_idle(const struct vsp *base)
{
	const struct storage_vsp *vsp = (const struct storage_vsp *)base;

	return vsp->executing == 0;
}

// --- saving: of an idle instance, so that only completions are left ---

struct storage_form {
	uint32_t state; // enum storage_state
	uint16_t version;
	uint8_t rescan_due;
	uint8_t reset_waits; // its completion is due
	uint64_t reset_transaction_id;
	uint32_t reset_length;
	uint32_t rsvd_z;
};

static void storage_save(const struct vsp *base, struct vsp_writer *to)
{
	const struct storage_vsp *vsp = (const struct storage_vsp *)base;
	const struct storage_slot *reset = vsp->reset;
	const struct storage_form form = {
		.state = vsp->state,
		.version = vsp->version,
		.rescan_due = vsp->rescan_due,
		.reset_waits = reset && reset->wants_completion,
		.reset_transaction_id = reset ? reset->out.transaction_id : 0,
		.reset_length = reset ? reset->out.length : 0,
	};

	vsp_write(to, &form, sizeof(form));
}

// What was in the ring when a reset came is in there still, or has been read. (The reset is the
// primary's.)
static bool storage_restore_sub(struct storage_vsp *vsp, const struct storage_form *form)
{
	if (storage_controller(vsp)->reset)
		vsp_mark(&vsp->base);
	return form->state == STORAGE_BEGIN && !form->rescan_due && !form->reset_waits;
}

static bool storage_restore(struct vsp *base, struct vsp_reader *from)
{
	struct storage_vsp *vsp = storage_of(base);
	struct storage_form form;

	if (!vsp_read(from, &form, sizeof(form)) || form.state > STORAGE_READY ||
		form.reset_length > sizeof(vsp->rescan) ||
		(form.state > STORAGE_QUERY_VERSION && !storage_set_version(vsp, form.version)) ||
		base->sub_channels > base->sub_channels_max)
		return false;
	vsp->state = (enum storage_state)form.state;
	vsp->rescan_due = form.rescan_due;
	if (base->primary)
		return storage_restore_sub(vsp, &form);
	if (form.reset_waits) {
		vsp->reset = storage_take_slot(vsp);
		vsp->reset->wants_completion = true;
		vsp->reset->out.transaction_id = form.reset_transaction_id;
		vsp->reset->out.length = form.reset_length;
		storage_look_full(vsp);
	}
	return true;
}

static struct vsp_out *storage_restore_out(struct vsp *base, const struct vsp_out *saved)
{
	struct storage_vsp *vsp = storage_of(base);

	if (saved->length > sizeof(vsp->rescan) || saved->header_length)
		return NULL;
	if (saved->type == VMBUS_PACKET_COMPLETION)
		return vsp->free ? &storage_take_slot(vsp)->out : NULL;
	if (saved->type != VMBUS_PACKET_IN_BAND || vsp->rescan_waits)
		return NULL;
	vsp->rescan_waits = true;
	return &vsp->rescan_out;
}

static const struct vsp_counter storage_counters[] = {
	{ "requests", offsetof(struct storage_vsp, requests) },
	{ "errors", offsetof(struct storage_vsp, errors) },
	{ NULL, 0 },
};

const struct vsp_class storage_vsp_class = {
	.name = "scsi",
	.guid = VSTOR_SCSI_GUID,
	.poll_packets = STORAGE_VSP_POLL_PACKETS,
	.poll_cost = STORAGE_VSP_POLL_BYTES,
	.saved_version = 1,
	.counters = storage_counters,
	.size = storage_size,
	.open = storage_open,
	.packet = storage_packet,
	.work = storage_work,
	.kick = storage_kick,
	.sent = storage_sent,
	.stop = storage_stop,
	.idle = storage_idle,
	.save = storage_save,
	.restore = storage_restore,
	.restore_out = storage_restore_out,
};
