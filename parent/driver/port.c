// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Ports of the root and the children's connections to them (TLFS: Inter-Partition Communication):
// message ports feed the partition's queue, event ports an eventfd each.
#include "driver.h"

#include <linux/eventfd.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#define ID_MAX 0xFFFFFF // TLFS: HV_PORT_ID, HV_CONNECTION_ID: 24 bits

struct mshv_port {
	struct list_head link; // in partition->ports
	struct mshv_partition *partition;
	u32 id; // the root's port id
	u32 connection_id;
	struct eventfd_ctx *eventfd; // our reference; NULL: a message port
	unsigned int first_flag, flag_count;
	bool undeletable; // the hypervisor did not let go of it
};

// Ports by id; the interrupt handler reads it under RCU. Ids go round, so that a message that was
// under way when its port was deleted does not find another one.
static DEFINE_XARRAY_ALLOC1(ports);
static u32 next_id;

void mshv_port_received(const struct hv_message *message)
{
	struct mshv_port *port = xa_load(&ports, message->header.port_id);

	if (!port || port->eventfd)
		pr_debug("message 0x%x for port 0x%x, which does not exist\n",
			message->header.message_type, message->header.port_id);
	else
		mshv_messages_put(&port->partition->messages, port->connection_id, message);
}

// TLFS: HvCallCreatePort.
static int port_create(struct mshv_port *port)
{
	struct hv_input_create_port input = {
		.port_partition_id = HV_PARTITION_ID_SELF,
		.port_id = port->id,
		.connection_partition_id = port->partition->id,
	};
	struct hv_port_info *info = &input.port_info;
	int ret;

	if (port->eventfd) {
		info->port_type = HvPortTypeEvent;
		info->event.target_sint = MSHV_SINT_EVENTS;
		info->event.target_vp = HV_ANY_VP;
		info->event.base_flag_number = port->first_flag;
		info->event.flag_count = port->flag_count;
	} else {
		info->port_type = HvPortTypeMessage;
		info->message.target_sint = MSHV_SINT_MESSAGES;
		info->message.target_vp = mshv_synic_message_vp();
	}
	ret = mshv_simple_call(HvCallCreatePort, input, &mshv_own_pool);
	if (!ret)
		atomic_long_inc(&mshv_counters.ports);
	return ret;
}

static void port_delete(struct mshv_port *port)
{
	struct hv_input_delete_port input = {
		.port_partition_id = HV_PARTITION_ID_SELF,
		.port_id = port->id,
	};

	port->undeletable = mshv_simple_call(HvCallDeletePort, input, NULL);
	if (!port->undeletable)
		atomic_long_dec(&mshv_counters.ports);
}

// TLFS: HvCallConnectPort.
static int port_connect(struct mshv_port *port)
{
	struct hv_input_connect_port input = {
		.connection_partition_id = port->partition->id,
		.connection_id = port->connection_id,
		.port_partition_id = HV_PARTITION_ID_SELF,
		.port_id = port->id,
		.connection_info.port_type = port->eventfd ? HvPortTypeEvent : HvPortTypeMessage,
	};
	int ret = mshv_simple_call(HvCallConnectPort, input, &port->partition->pool);

	if (!ret)
		atomic_long_inc(&mshv_counters.connections);
	return ret;
}

static void port_disconnect(struct mshv_port *port)
{
	struct hv_input_disconnect_port input = {
		.connection_partition_id = port->partition->id,
		.connection_id = port->connection_id,
	};

	if (!mshv_simple_call(HvCallDisconnectPort, input, NULL))
		atomic_long_dec(&mshv_counters.connections);
}

// A port with an id, known to the interrupt handler.
static struct mshv_port *port_alloc(struct mshv_partition *partition, u32 connection_id)
{
	struct mshv_port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);

	if (!port)
		return NULL;
	port->partition = partition;
	port->connection_id = connection_id;
	if (xa_alloc_cyclic(&ports, &port->id, port, XA_LIMIT(1, ID_MAX), &next_id, GFP_KERNEL) >=
		0)
		return port;
	kfree(port);
	return NULL;
}

// Frees ports that are gone in the hypervisor. One that it did not delete keeps its id and its
// flags, so that nobody else gets them.
static void ports_free(struct list_head *list)
{
	struct mshv_port *port, *next;

	list_for_each_entry(port, list, link) {
		if (port->eventfd)
			mshv_events_unhook(port->first_flag, port->flag_count);
		if (port->undeletable)
			xa_store(&ports, port->id, NULL, GFP_KERNEL); // the id stays taken
		else
			xa_erase(&ports, port->id);
	}
	synchronize_rcu();
	list_for_each_entry_safe(port, next, list, link) {
		if (port->eventfd && !port->undeletable)
			mshv_events_free(port->first_flag, port->flag_count);
		if (port->eventfd)
			eventfd_ctx_put(port->eventfd);
		kfree(port);
	}
}

static void port_free(struct mshv_port *port)
{
	LIST_HEAD(list);

	list_add(&port->link, &list);
	ports_free(&list);
}

static void port_link(struct mshv_port *port)
{
	list_add(&port->link, &port->partition->ports);
	port->partition->port_count++;
	port->partition->flag_count += port->flag_count;
}

static void port_unlink(struct mshv_port *port)
{
	list_del(&port->link);
	port->partition->port_count--;
	port->partition->flag_count -= port->flag_count;
}

// Makes the port and its connection; then it is the partition's. Or frees it.
static int port_establish(struct mshv_port *port)
{
	int ret = port_create(port);

	if (!ret) {
		ret = port_connect(port);
		if (ret)
			port_delete(port);
	}
	if (ret)
		port_free(port);
	else
		port_link(port);
	return ret;
}

static struct mshv_port *port_find(struct mshv_partition *partition, u32 connection_id)
{
	struct mshv_port *port;

	list_for_each_entry(port, &partition->ports, link)
		if (port->connection_id == connection_id)
			return port;
	return NULL;
}

static int port_deassign(struct mshv_partition *partition, u32 connection_id, bool event)
{
	struct mshv_port *port = port_find(partition, connection_id);

	if (!port || !!port->eventfd != event)
		return -ENOENT;
	port_unlink(port);
	port_disconnect(port);
	port_delete(port);
	port_free(port);
	return 0;
}

// What both kinds ask for. The partition's lock is held.
static int port_assignable(struct mshv_partition *partition, u32 connection_id)
{
	if (!partition->initialized)
		return -EINVAL;
	if (port_find(partition, connection_id))
		return -EEXIST;
	return partition->port_count < MSHV_MAX_PORTS ? 0 : -ENOSPC;
}

static int message_port_assign(struct mshv_partition *partition, u32 connection_id)
{
	struct mshv_port *port;
	int ret = port_assignable(partition, connection_id);

	if (!ret)
		ret = mshv_messages_prepare(&partition->messages);
	if (ret)
		return ret;
	port = port_alloc(partition, connection_id);
	return port ? port_establish(port) : -ENOMEM;
}

static int event_port_assign(
	struct mshv_partition *partition, const struct lumen_mshv_signal_eventfd *args)
{
	struct eventfd_ctx *eventfd;
	struct mshv_port *port;
	int ret = port_assignable(partition, args->connection_id);

	if (ret)
		return ret;
	if (args->flag_count > MSHV_MAX_FLAGS - partition->flag_count)
		return -ENOSPC;
	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	port = port_alloc(partition, args->connection_id);
	ret = port ? mshv_events_alloc(eventfd, args->flag_count, &port->first_flag) : -ENOMEM;
	if (ret) {
		eventfd_ctx_put(eventfd);
		if (port)
			port_free(port);
		return ret;
	}
	port->eventfd = eventfd;
	port->flag_count = args->flag_count;
	return port_establish(port);
}

long mshv_port_message(struct mshv_partition *partition, void __user *arg)
{
	struct lumen_mshv_message_port args;
	long ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.connection_id > ID_MAX || args.flags & ~LUMEN_MSHV_PORT_DEASSIGN)
		return -EINVAL;
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	if (args.flags & LUMEN_MSHV_PORT_DEASSIGN)
		ret = port_deassign(partition, args.connection_id, false);
	else
		ret = message_port_assign(partition, args.connection_id);
	mutex_unlock(&partition->lock);
	return ret;
}

static bool event_args_valid(const struct lumen_mshv_signal_eventfd *args)
{
	if (args->connection_id > ID_MAX || args->flags & ~LUMEN_MSHV_PORT_DEASSIGN || args->rsvd)
		return false;
	return args->flags & LUMEN_MSHV_PORT_DEASSIGN ||
	       (args->flag_count && args->flag_count <= HV_EVENT_FLAGS_COUNT);
}

long mshv_port_event(struct mshv_partition *partition, void __user *arg)
{
	struct lumen_mshv_signal_eventfd args;
	long ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (!event_args_valid(&args))
		return -EINVAL;
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	if (args.flags & LUMEN_MSHV_PORT_DEASSIGN)
		ret = port_deassign(partition, args.connection_id, true);
	else
		ret = event_port_assign(partition, &args);
	mutex_unlock(&partition->lock);
	return ret;
}

void mshv_port_release(struct mshv_partition *partition)
{
	struct mshv_port *port;

	if (list_empty(&partition->ports))
		return;
	list_for_each_entry(port, &partition->ports, link) {
		port_disconnect(port);
		port_delete(port);
	}
	ports_free(&partition->ports);
	INIT_LIST_HEAD(&partition->ports);
}
