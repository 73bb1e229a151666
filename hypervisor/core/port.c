// SPDX-License-Identifier: BSD-2-Clause
// Tables of ports and connections, and what goes through them.
//
// A table is a page, or a chain of them, of sets with a few entries each; an id lives in one set of
// any of the pages. Entries change under the partition's lock and are read without: `id` is written
// last when an entry becomes valid and cleared first when it goes, and an entry is used again only
// after a grace period.
#include "hypervisor/core/port.h"

#define SETS	 16
#define WAYS	 6
#define NO_ID	 0xffffffffu // not a 24-bit id
#define FREE_ID	 0	     // as pages start zeroed, an id is stored plus one
#define DYING_ID NO_ID

struct entry {
	uint32_t id_plus_1; // atomic; FREE_ID, DYING_ID
	uint32_t type;	    // enum hv_port_type
	union {
		struct port port;
		struct connection connection;
	};
};

struct port_table {
	struct port_table *next; // atomic
	uint64_t rsvd;
	struct entry sets[SETS][WAYS];
};
_Static_assert(sizeof(struct port_table) <= PAGE_SIZE, "one page");

static unsigned int set_of(uint32_t id)
{
	return (id ^ id >> 4 ^ id >> 16) % SETS;
}

static struct entry *find(struct port_table *table, uint32_t id)
{
	for (; table; table = __atomic_load_n(&table->next, __ATOMIC_ACQUIRE)) {
		struct entry *set = table->sets[set_of(id)];

		for (unsigned int i = 0; i < WAYS; i++)
			if (__atomic_load_n(&set[i].id_plus_1, __ATOMIC_ACQUIRE) == id + 1)
				return &set[i];
	}
	return NULL;
}

// A free entry for ID, in a new page if need be. Lock held. NULL: no memory.
static struct entry *find_free(struct port_table *table, struct page_pool *pool, uint32_t id)
{
	struct port_table *last = table;

	for (; table; last = table, table = table->next) {
		struct entry *set = table->sets[set_of(id)];

		for (unsigned int i = 0; i < WAYS; i++)
			if (set[i].id_plus_1 == FREE_ID)
				return &set[i];
	}
	table = page_alloc(pool);
	if (!table)
		return NULL;
	__atomic_store_n(&last->next, table, __ATOMIC_RELEASE);
	return &table->sets[set_of(id)][0];
}

static void publish(struct entry *entry, uint32_t id)
{
	__atomic_store_n(&entry->id_plus_1, id + 1, __ATOMIC_RELEASE);
}

// Takes ID out of TABLE; the entry is the caller's until recycle(). NULL: there is none.
static struct entry *unpublish(struct partition *partition, struct port_table *table, uint32_t id)
{
	struct entry *entry;

	spin_lock(&partition->lock);
	entry = find(table, id);
	if (entry)
		__atomic_store_n(&entry->id_plus_1, DYING_ID, __ATOMIC_RELEASE);
	spin_unlock(&partition->lock);
	return entry;
}

static void recycle(struct partition *partition, struct entry *entry)
{
	spin_lock(&partition->lock);
	__atomic_store_n(&entry->id_plus_1, FREE_ID, __ATOMIC_RELEASE);
	spin_unlock(&partition->lock);
}

// TLFS: HvCallCreatePort, the parameters of each type.
static hv_status check_info(
	const struct partition *partition, const struct hv_port_info *info, struct port *port)
{
	switch (info->port_type) {
	case HvPortTypeMessage:
		port->sint = info->message.target_sint;
		port->target_vp = info->message.target_vp;
		if (info->message.target_sint >= HV_SYNIC_SINT_COUNT || info->message.rsvd_z)
			return HV_STATUS_INVALID_PARAMETER;
		break;
	case HvPortTypeEvent:
		port->sint = info->event.target_sint;
		port->target_vp = info->event.target_vp;
		port->base_flag = info->event.base_flag_number;
		port->flag_count = info->event.flag_count;
		if (info->event.target_sint >= HV_SYNIC_SINT_COUNT || info->event.rsvd_z ||
			!port->flag_count ||
			port->base_flag + port->flag_count > HV_EVENT_FLAGS_COUNT)
			return HV_STATUS_INVALID_PARAMETER;
		break;
	default: // monitor pages and doorbells: not offered
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (info->rsvd_z || port->sint == HV_SYNIC_INTERCEPTION_SINT_INDEX)
		return HV_STATUS_INVALID_PARAMETER;
	if (port->target_vp != HV_ANY_VP &&
		!partition_vp((struct partition *)partition, port->target_vp))
		return HV_STATUS_INVALID_VP_INDEX;
	return HV_STATUS_SUCCESS;
}

static void init_messages(struct port_messages *messages, hv_port_id id)
{
	for (unsigned int i = 0; i < PORT_MESSAGE_BUFFERS; i++) {
		list_init(&messages->message[i].link);
		messages->message[i].body.header.port_id = id;
	}
}

// Puts PORT into the table. Its message page is given back by the caller if this fails.
static hv_status insert_port(
	struct partition *partition, hv_port_id id, uint32_t type, const struct port *port)
{
	hv_status status = HV_STATUS_SUCCESS;
	struct entry *entry = NULL;

	spin_lock(&partition->lock);
	if (partition->state != PARTITION_INITIALIZED)
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else if (find(partition->ports, id))
		status = HV_STATUS_INVALID_PORT_ID;
	else if (!(entry = find_free(partition->ports, &partition->pool, id)))
		status = HV_STATUS_INSUFFICIENT_MEMORY;
	if (entry) {
		entry->type = type;
		entry->port = *port;
		publish(entry, id);
	}
	spin_unlock(&partition->lock);
	return status;
}

hv_status port_create(struct partition *partition, hv_port_id id,
	struct partition *connection_partition, const struct hv_port_info *info)
{
	struct port port = { .connection_partition = connection_partition->id };
	hv_status status;

	if (id & ~HV_PORT_ID_MASK)
		return HV_STATUS_INVALID_PORT_ID;
	status = check_info(partition, info, &port);
	if (status)
		return status;
	if (info->port_type == HvPortTypeMessage) {
		port.messages = page_alloc(&partition->pool);
		if (!port.messages)
			return HV_STATUS_INSUFFICIENT_MEMORY;
		init_messages(port.messages, id);
	}
	status = insert_port(partition, id, info->port_type, &port);
	if (status)
		page_free(&partition->pool, port.messages);
	return status;
}

static void free_messages(struct partition *partition, struct port_messages *messages)
{
	if (!messages)
		return;
	for (unsigned int i = 0; i < PORT_MESSAGE_BUFFERS; i++)
		synic_unpost(&messages->message[i]);
	page_free(&partition->pool, messages);
}

hv_status port_delete(struct partition *partition, hv_port_id id)
{
	struct entry *entry;

	if (id & ~HV_PORT_ID_MASK)
		return HV_STATUS_INVALID_PORT_ID;
	entry = unpublish(partition, partition->ports, id);
	if (!entry)
		return HV_STATUS_INVALID_PORT_ID;
	quiesce_wait(); // senders that have found it are done
	free_messages(partition, entry->port.messages);
	recycle(partition, entry);
	return HV_STATUS_SUCCESS;
}

// TLFS-DEVIATION: HvCallConnectPort: a port may have several connections, all from its connection
// partition.
hv_status port_connect(struct partition *partition, hv_connection_id id,
	struct partition *port_partition, hv_port_id port_id, const struct hv_connection_info *info)
{
	hv_status status = HV_STATUS_SUCCESS;
	struct entry *port, *entry = NULL;

	if (id & ~HV_CONNECTION_ID_MASK)
		return HV_STATUS_INVALID_CONNECTION_ID;
	port = port_id & ~HV_PORT_ID_MASK ? NULL : find(port_partition->ports, port_id);
	if (!port || port->port.connection_partition != partition->id)
		return HV_STATUS_INVALID_PORT_ID;
	if (info->port_type != port->type)
		return HV_STATUS_INVALID_PARAMETER;

	spin_lock(&partition->lock);
	if (partition->state != PARTITION_INITIALIZED)
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else if (find(partition->connections, id))
		status = HV_STATUS_INVALID_CONNECTION_ID;
	else if (!(entry = find_free(partition->connections, &partition->pool, id)))
		status = HV_STATUS_INSUFFICIENT_MEMORY;
	if (entry) {
		entry->type = info->port_type;
		entry->connection = (struct connection){ port_partition->id, port_id };
		publish(entry, id);
	}
	spin_unlock(&partition->lock);
	return status;
}

hv_status port_disconnect(struct partition *partition, hv_connection_id id)
{
	struct entry *entry;

	if (id & ~HV_CONNECTION_ID_MASK)
		return HV_STATUS_INVALID_CONNECTION_ID;
	entry = unpublish(partition, partition->connections, id);
	if (!entry)
		return HV_STATUS_INVALID_CONNECTION_ID;
	quiesce_wait();
	recycle(partition, entry);
	return HV_STATUS_SUCCESS;
}

void ports_destroy(struct partition *partition)
{
	struct port_table *tables[] = { partition->ports, partition->connections };

	for (unsigned int i = 0; i < ARRAY_SIZE(tables); i++) {
		struct port_table *next;

		for (struct port_table *t = tables[i]; t; t = next) {
			for (unsigned int e = 0; i == 0 && e < SETS * WAYS; e++) {
				struct entry *entry = &t->sets[e / WAYS][e % WAYS];

				if (entry->id_plus_1 != FREE_ID)
					free_messages(partition, entry->port.messages);
			}
			next = t->next;
			if (t != tables[i]) // the first page is the partition's to free
				page_free(&partition->pool, t);
		}
	}
}

hv_status synic_accepts_messages(const struct vp *vp)
{
	bool enabled = READ_ONCE(vp->synic.scontrol) & HV_SYNIC_CONTROL_ENABLE &&
		       READ_ONCE(vp->synic.simp) & HV_X64_MSR_PAGE_ENABLE;

	return enabled ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_SYNIC_STATE;
}

hv_status synic_accepts_events(const struct vp *vp)
{
	bool enabled = READ_ONCE(vp->synic.scontrol) & HV_SYNIC_CONTROL_ENABLE &&
		       READ_ONCE(vp->synic.siefp) & HV_X64_MSR_PAGE_ENABLE;

	return enabled ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_SYNIC_STATE;
}

// The VP that a port's messages or events go to. HV_ANY_VP: messages go to the same VP always, so
// that they keep their order.
static struct vp *port_target(struct partition *partition, const struct entry *entry, uint32_t id)
{
	uint32_t count = READ_ONCE(partition->vp_count);
	struct vp *vp = NULL;

	if (entry->port.target_vp != HV_ANY_VP)
		return partition_vp(partition, entry->port.target_vp);
	if (entry->type == HvPortTypeMessage && count)
		vp = partition_vp(partition, id % count);
	return vp ? vp : partition_local_vp(partition);
}

struct route {
	const struct entry *port;
	struct vp *vp;
	hv_port_id port_id;
};

// From a connection to the port and its VP (TLFS: HvCallPostMessage, HvCallSignalEvent, return
// values).
static hv_status resolve(
	struct partition *sender, hv_connection_id id, uint32_t type, struct route *route)
{
	const struct entry *connection =
		id & ~HV_CONNECTION_ID_MASK ? NULL : find(sender->connections, id);
	struct partition *receiver;

	if (!connection)
		return HV_STATUS_INVALID_CONNECTION_ID;
	receiver = partition_find(connection->connection.port_partition);
	if (!receiver || READ_ONCE(receiver->state) != PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PORT_ID;
	route->port_id = connection->connection.port_id;
	route->port = find(receiver->ports, route->port_id);
	if (!route->port || route->port->type != type ||
		route->port->port.connection_partition != sender->id)
		return HV_STATUS_INVALID_PORT_ID;
	route->vp = port_target(receiver, route->port, route->port_id);
	return route->vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

static struct message *free_message(struct port_messages *messages)
{
	for (unsigned int i = 0; i < PORT_MESSAGE_BUFFERS; i++)
		if (!__atomic_load_n(&messages->message[i].target, __ATOMIC_ACQUIRE))
			return &messages->message[i];
	return NULL;
}

hv_status port_post_message(struct partition *sender, hv_connection_id id, uint32_t type,
	const void *payload, uint32_t size)
{
	struct port_messages *messages;
	struct message *message;
	struct route route;
	hv_status status = resolve(sender, id, HvPortTypeMessage, &route);

	if (!status)
		status = synic_accepts_messages(route.vp);
	if (status)
		return status;
	messages = route.port->port.messages;
	spin_lock(&messages->lock);
	message = free_message(messages);
	if (message) {
		message->body.header = (struct hv_message_header){
			.message_type = type, .payload_size = size, .port_id = route.port_id
		};
		memcpy(message->body.payload, payload, size);
		synic_post(route.vp, route.port->port.sint, message);
	}
	spin_unlock(&messages->lock);
	return message ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_BUFFERS;
}

hv_status port_signal_event(struct partition *sender, hv_connection_id id, uint16_t flag)
{
	struct route route;
	bool newly_signaled;
	hv_status status = resolve(sender, id, HvPortTypeEvent, &route);

	if (status)
		return status;
	if (flag >= route.port->port.flag_count)
		return HV_STATUS_INVALID_PARAMETER;
	status = synic_accepts_events(route.vp);
	if (status)
		return status;
	return synic_signal(route.vp, route.port->port.sint, route.port->port.base_flag + flag,
		&newly_signaled);
}
