// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls on ports and connections, and messages and events through them or directly
// (TLFS: Inter-Partition Communication).
#include "hypercall/stats.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/port.h"
#include "hypervisor/core/trace.h"

// The other end of a port or connection: some partition that the caller may name, in use.
static hv_status find_peer(struct hypercall *call, hv_partition_id id, const struct partition *self,
	struct partition **peer)
{
	if (id == HV_PARTITION_ID_SELF)
		id = call->partition->id;
	*peer = partition_find(id);
	if (!*peer || *peer == self ||
		(*peer != call->partition && (*peer)->parent != call->partition))
		return HV_STATUS_INVALID_PARTITION_ID;
	return (*peer)->state == PARTITION_INITIALIZED ? HV_STATUS_SUCCESS
						       : HV_STATUS_INVALID_PARTITION_STATE;
}

hv_status hc_CreatePort(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_create_port *in = call->in;
	struct partition *peer;
	hv_status status;

	if (in->port_vtl || in->min_connection_vtl || in->rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	status = find_peer(call, in->connection_partition_id, target, &peer);
	return status ? status : port_create(target, in->port_id, peer, &in->port_info);
}

hv_status hc_DeletePort(struct hypercall *call)
{
	const struct hv_input_delete_port *in = call->in;

	return port_delete(call->target, in->port_id);
}

hv_status hc_ConnectPort(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_connect_port *in = call->in;
	struct partition *peer;
	hv_status status;

	if (in->connection_vtl || in->rsvd_z0 || in->rsvd_z1 || in->rsvd_z2)
		return HV_STATUS_INVALID_PARAMETER;
	status = find_peer(call, in->port_partition_id, target, &peer);
	return status ? status
		      : port_connect(
				target, in->connection_id, peer, in->port_id, &in->connection_info);
}

hv_status hc_DisconnectPort(struct hypercall *call)
{
	const struct hv_input_disconnect_port *in = call->in;

	return port_disconnect(call->target, in->connection_id);
}

hv_status hc_PostMessage(struct hypercall *call)
{
	const struct hv_input_post_message *in = call->in;
	hv_status status;

	vp_count(call->vp, VpSyntheticInterruptHypercalls);
	if (in->message_type == HvMessageTypeNone ||
		in->message_type & HV_MESSAGE_TYPE_HYPERVISOR_MASK ||
		in->payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	status = port_post_message(call->partition, in->connection_id, in->message_type,
		in->payload, in->payload_size);
	trace(LUMEN_TRACE_PORT, call->vp, in->connection_id, status);
	return status;
}

hv_status hc_SignalEvent(struct hypercall *call)
{
	const struct hv_input_signal_event *in = call->in;
	hv_status status;

	vp_count(call->vp, VpSyntheticInterruptHypercalls);
	if (in->rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	status = port_signal_event(call->partition, in->connection_id, in->flag_number);
	trace(LUMEN_TRACE_PORT, call->vp, in->connection_id, status);
	return status;
}

static struct message *free_direct(struct vp *vp)
{
	for (unsigned int i = 0; i < SYNIC_DIRECT_MESSAGES; i++)
		if (!__atomic_load_n(&vp->synic.direct[i].target, __ATOMIC_ACQUIRE))
			return &vp->synic.direct[i];
	return NULL;
}

hv_status hc_PostMessageDirect(struct hypercall *call)
{
	const struct hv_input_post_message_direct *in = call->in;
	struct hv_message_header header;
	struct message *message;
	struct vp *vp;
	hv_status status = target_vp(call, in->vp_index, &vp);

	if (status)
		return status;
	memcpy(&header, in->message, sizeof(header));
	if (in->vtl || in->sint_index >= HV_SYNIC_SINT_COUNT ||
		header.message_type == HvMessageTypeNone ||
		header.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	status = synic_accepts_messages(vp);
	if (status)
		return status;
	spin_lock(&vp->direct_lock);
	message = free_direct(vp);
	if (message) {
		memcpy(&message->body, in->message, sizeof(message->body));
		message->body.header.message_flags = 0;
		synic_post(vp, in->sint_index, message);
	}
	spin_unlock(&vp->direct_lock);
	return message ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_BUFFERS;
}

hv_status hc_SignalEventDirect(struct hypercall *call)
{
	const struct hv_input_signal_event_direct *in = call->in;
	struct hv_output_signal_event_direct *out = call->out;
	bool newly_signaled = false;
	struct vp *vp;
	hv_status status = target_vp(call, in->target_vp, &vp);

	if (status)
		return status;
	if (in->target_vtl || in->target_sint >= HV_SYNIC_SINT_COUNT ||
		in->flag_number >= HV_EVENT_FLAGS_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	status = synic_accepts_events(vp);
	if (!status)
		status = synic_signal(vp, in->target_sint, in->flag_number, &newly_signaled);
	out->newly_signaled = newly_signaled;
	return status;
}
