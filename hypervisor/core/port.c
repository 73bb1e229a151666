// SPDX-License-Identifier: BSD-2-Clause
// Ports and connections, and messages and events through them or directly (TLFS: Inter-Partition
// Communication). A connection names its port by partition and id and is resolved at each use, so
// no pointer can outlive the port.
//
// A partition has a table of each: a page, or a chain of them, of sets with a few entries each; an
// id lives in one set of any of the pages. Entries change under the partition's lock and are read
// without: the id is written last when an entry becomes valid and cleared first when it goes, and
// an entry is used again only after a grace period.
#include "hypercall/port.h"
#include "hypercall/stats.h"
#include "hypercall/synic.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/trace.h"

#define SETS	 16
#define WAYS	 6
#define FREE_ID	 0	     // as pages start zeroed, an id is stored plus one
#define DYING_ID 0xffffffffu // not a 24-bit id

// The buffers of a message port: one page.
struct port_messages {
	struct spinlock lock; // guards taking a free one; before the target's synic.lock
	struct message message[14];
};
_Static_assert(sizeof(struct port_messages) <= PAGE_SIZE, "one page");

struct entry {
	uint32_t id_plus_1;    // atomic; FREE_ID, DYING_ID
	uint32_t type;	       // enum hv_port_type
	hv_partition_id peer;  // port: who may send; connection: whose port it is
	hv_port_id port_id;    // port: its own
	hv_vp_index target_vp; // this and the rest: ports only. HV_ANY_VP: see port_target()
	uint16_t base_flag, flag_count;
	uint8_t sint;
	struct port_messages *messages; // NULL: not a message port
};

struct port_table {
	struct port_table *next; // atomic
	uint64_t rsvd;
	struct entry sets[SETS][WAYS];
};
_Static_assert(sizeof(struct port_table) <= PAGE_SIZE, "one page");
_Static_assert(HV_PORT_ID_MASK == HV_CONNECTION_ID_MASK, "one kind of id");

static unsigned int set_of(uint32_t id)
{
	return (id ^ id >> 4 ^ id >> 16) % SETS;
}

// The entry of TABLE's set for ID where `id_plus_1` has that value.
static struct entry *find_value(struct port_table *table, uint32_t id, uint32_t id_plus_1)
{
	for (; table; table = load_acquire(table->next)) {
		struct entry *set = table->sets[set_of(id)];

		for (unsigned int i = 0; i < WAYS; i++)
			if (load_acquire(set[i].id_plus_1) == id_plus_1)
				return &set[i];
	}
	return NULL;
}

static struct entry *find(struct port_table *table, uint32_t id)
{
	return id & ~HV_PORT_ID_MASK ? NULL : find_value(table, id, id + 1);
}

// Makes NEW (with id_plus_1 zero) ID's entry in TABLE, in a new page of it if need be. EXISTS: the
// status if there is one, or ID is none.
static hv_status insert(struct partition *partition, struct port_table *table, uint32_t id,
	hv_status exists, const struct entry *new)
{
	struct entry *entry;

	spin_guard(&partition->lock);
	if (partition->state != PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (find(table, id))
		return exists;
	entry = find_value(table, id, FREE_ID);
	if (!entry) {
		struct port_table *page = page_alloc(&partition->pool);

		if (!page)
			return HV_STATUS_INSUFFICIENT_MEMORY;
		page->next = table->next;
		store_release(table->next, page);
		entry = page->sets[set_of(id)];
	}
	*entry = *new;
	store_release(entry->id_plus_1, id + 1);
	return HV_STATUS_SUCCESS;
}

static void free_messages(struct partition *partition, struct port_messages *messages)
{
	for (unsigned int i = 0; messages && i < ARRAY_SIZE(messages->message); i++)
		synic_unpost(&messages->message[i]);
	page_free(&partition->pool, messages);
}

// Takes ID out of TABLE, and frees it when those who have found it are done. NONE: the status if it
// is not there.
static hv_status take_out(
	struct partition *partition, struct port_table *table, uint32_t id, hv_status none)
{
	struct entry *entry;

	spin_lock(&partition->lock);
	entry = find(table, id);
	if (entry)
		store_release(entry->id_plus_1, DYING_ID);
	spin_unlock(&partition->lock);
	if (!entry)
		return none;
	quiesce_wait();
	free_messages(partition, entry->messages);
	store_release(entry->id_plus_1, FREE_ID);
	return HV_STATUS_SUCCESS;
}

static void destroy(struct partition *partition, struct port_table *table)
{
	struct port_table *const first = table, *next;

	for (; table; table = next) {
		next = table->next;
		for (unsigned int i = 0; i < SETS * WAYS; i++) {
			struct entry *entry = &table->sets[i / WAYS][i % WAYS];

			if (entry->id_plus_1 != FREE_ID)
				free_messages(partition, entry->messages);
		}
		if (table != first)
			page_free(&partition->pool, table);
	}
}

void ports_destroy(struct partition *partition)
{
	destroy(partition, partition->ports);
	destroy(partition, partition->connections);
}

// The other end of a port or connection: some partition that the caller may name, in use.
static hv_status find_peer(struct hypercall *call, hv_partition_id id, struct partition **peer)
{
	*peer = partition_find(id == HV_PARTITION_ID_SELF ? call->partition->id : id);
	if (!*peer || *peer == call->target ||
		(*peer != call->partition && (*peer)->parent != call->partition))
		return HV_STATUS_INVALID_PARTITION_ID;
	return load_acquire((*peer)->state) == PARTITION_INITIALIZED
		       ? HV_STATUS_SUCCESS
		       : HV_STATUS_INVALID_PARTITION_STATE;
}

// TLFS: HvCallCreatePort, the parameters of each type.
static hv_status read_info(
	struct partition *partition, const struct hv_port_info *info, struct entry *port)
{
	bool event = info->port_type == HvPortTypeEvent;
	uint32_t sint = event ? info->event.target_sint : info->message.target_sint;

	port->sint = sint;
	port->target_vp = event ? info->event.target_vp : info->message.target_vp;
	port->base_flag = event ? info->event.base_flag_number : 0;
	port->flag_count = event ? info->event.flag_count : 0;
	// Monitor pages and doorbells are not offered.
	if ((!event && info->port_type != HvPortTypeMessage) || info->rsvd_z ||
		(event ? info->event.rsvd_z : info->message.rsvd_z) ||
		sint >= HV_SYNIC_SINT_COUNT || sint == HV_SYNIC_INTERCEPTION_SINT_INDEX ||
		(event && !port->flag_count) ||
		port->base_flag + port->flag_count > HV_EVENT_FLAGS_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	if (port->target_vp != HV_ANY_VP && !partition_vp(partition, port->target_vp))
		return HV_STATUS_INVALID_VP_INDEX;
	return HV_STATUS_SUCCESS;
}

HANDLER(CreatePort, create_port)
{
	struct entry new = { .type = in->port_info.port_type, .port_id = in->port_id };
	struct partition *peer;
	hv_status status;

	if (in->port_vtl || in->min_connection_vtl || in->rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	TRY(find_peer(call, in->connection_partition_id, &peer));
	if (in->port_id & ~HV_PORT_ID_MASK)
		return HV_STATUS_INVALID_PORT_ID;
	TRY(read_info(target, &in->port_info, &new));
	new.peer = peer->id;
	if (new.type == HvPortTypeMessage && !(new.messages = page_alloc(&target->pool)))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	status = insert(target, target->ports, in->port_id, HV_STATUS_INVALID_PORT_ID, &new);
	if (status)
		page_free(&target->pool, new.messages);
	return status;
}

HANDLER(DeletePort, delete_port)
{
	return take_out(target, target->ports, in->port_id, HV_STATUS_INVALID_PORT_ID);
}

// TLFS-DEVIATION: HvCallConnectPort: a port may have several connections, all from its connection
// partition.
HANDLER(ConnectPort, connect_port)
{
	struct entry new = { .type = in->connection_info.port_type, .port_id = in->port_id };
	const struct entry *port;
	struct partition *peer;

	if (in->connection_vtl || in->rsvd_z0 || in->rsvd_z1 || in->rsvd_z2)
		return HV_STATUS_INVALID_PARAMETER;
	TRY(find_peer(call, in->port_partition_id, &peer));
	if (in->connection_id & ~HV_CONNECTION_ID_MASK)
		return HV_STATUS_INVALID_CONNECTION_ID;
	port = find(peer->ports, in->port_id);
	if (!port || port->peer != target->id)
		return HV_STATUS_INVALID_PORT_ID;
	if (new.type != port->type)
		return HV_STATUS_INVALID_PARAMETER;
	new.peer = peer->id;
	return insert(target, target->connections, in->connection_id,
		HV_STATUS_INVALID_CONNECTION_ID, &new);
}

HANDLER(DisconnectPort, disconnect_port)
{
	return take_out(
		target, target->connections, in->connection_id, HV_STATUS_INVALID_CONNECTION_ID);
}

// The VP that a port's messages or events go to. HV_ANY_VP: messages go to the same VP always, so
// that they keep their order.
static struct vp *port_target(struct partition *partition, const struct entry *port)
{
	uint32_t count = READ_ONCE(partition->vp_count);
	struct vp *vp = NULL;

	if (port->target_vp != HV_ANY_VP)
		return partition_vp(partition, port->target_vp);
	if (port->type == HvPortTypeMessage && count)
		vp = partition_vp(partition, port->port_id % count);
	return vp ? vp : partition_local_vp(partition);
}

// From a connection to the port and its VP (TLFS: HvCallPostMessage, HvCallSignalEvent, return
// values).
static hv_status resolve(struct partition *sender, hv_connection_id id, uint32_t type,
	const struct entry **port, struct vp **vp)
{
	const struct entry *connection = find(sender->connections, id);
	struct partition *receiver;

	if (!connection)
		return HV_STATUS_INVALID_CONNECTION_ID;
	receiver = partition_find(connection->peer);
	if (!receiver || load_acquire(receiver->state) != PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PORT_ID;
	*port = find(receiver->ports, connection->port_id);
	if (!*port || (*port)->type != type || (*port)->peer != sender->id)
		return HV_STATUS_INVALID_PORT_ID;
	*vp = port_target(receiver, *port);
	return *vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

static hv_status post_message(struct partition *sender, const struct hv_input_post_message *in)
{
	const struct entry *port;
	struct message *message;
	struct vp *vp;

	TRY(resolve(sender, in->connection_id, HvPortTypeMessage, &port, &vp));
	TRY(synic_accepts_messages(vp));
	spin_guard(&port->messages->lock);
	message = message_free(port->messages->message, ARRAY_SIZE(port->messages->message));
	if (!message)
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	message->body.header = (struct hv_message_header){ .message_type = in->message_type,
		.payload_size = in->payload_size,
		.port_id = port->port_id };
	memcpy(message->body.payload, in->payload, in->payload_size);
	synic_post(vp, port->sint, message);
	return HV_STATUS_SUCCESS;
}

HANDLER(PostMessage, post_message)
{
	hv_status status;

	vp_count(call->vp, VpSyntheticInterruptHypercalls);
	if (in->message_type == HvMessageTypeNone ||
		in->message_type & HV_MESSAGE_TYPE_HYPERVISOR_MASK ||
		in->payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	status = post_message(call->partition, in);
	trace(LUMEN_TRACE_PORT, call->vp, in->connection_id, status);
	return status;
}

static hv_status signal_event(struct partition *sender, const struct hv_input_signal_event *in)
{
	const struct entry *port;
	bool newly_signaled;
	struct vp *vp;

	TRY(resolve(sender, in->connection_id, HvPortTypeEvent, &port, &vp));
	if (in->flag_number >= port->flag_count)
		return HV_STATUS_INVALID_PARAMETER;
	return synic_signal(vp, port->sint, port->base_flag + in->flag_number, &newly_signaled);
}

HANDLER(SignalEvent, signal_event)
{
	hv_status status;

	vp_count(call->vp, VpSyntheticInterruptHypercalls);
	if (in->rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	status = signal_event(call->partition, in);
	trace(LUMEN_TRACE_PORT, call->vp, in->connection_id, status);
	return status;
}

HANDLER(PostMessageDirect, post_message_direct)
{
	struct hv_message_header header;
	struct message *message;
	struct vp *vp;

	TRY(target_vp(call, in->vp_index, &vp));
	memcpy(&header, in->message, sizeof(header));
	if (in->vtl || in->sint_index >= HV_SYNIC_SINT_COUNT ||
		header.message_type == HvMessageTypeNone ||
		header.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	TRY(synic_accepts_messages(vp));
	spin_guard(&vp->direct_lock);
	message = message_free(vp->synic.direct, SYNIC_DIRECT_MESSAGES);
	if (!message)
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	memcpy(&message->body, in->message, sizeof(message->body));
	message->body.header.message_flags = 0;
	synic_post(vp, in->sint_index, message);
	return HV_STATUS_SUCCESS;
}

HANDLER(SignalEventDirect, signal_event_direct)
{
	struct hv_output_signal_event_direct *out = call->out;
	bool newly_signaled;
	struct vp *vp;

	TRY(target_vp(call, in->target_vp, &vp));
	if (in->target_vtl || in->target_sint >= HV_SYNIC_SINT_COUNT ||
		in->flag_number >= HV_EVENT_FLAGS_COUNT)
		return HV_STATUS_INVALID_PARAMETER;
	TRY(synic_signal(vp, in->target_sint, in->flag_number, &newly_signaled));
	out->newly_signaled = newly_signaled;
	return HV_STATUS_SUCCESS;
}
