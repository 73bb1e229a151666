// SPDX-License-Identifier: BSD-2-Clause
// See vmbus_host.h.
#include "parent/worker/vmbus_host.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "hypercall/status.h"
#include "parent/worker/worker.h"

enum {
	RETRY_MS = 5, // then twice as long each time: a child that is halted takes no message, ever
	RETRY_MAX_MS = 1000,
	MESSAGES_PER_TURN = 64, // of the guest: the loop has others to look after
};

static uint64_t *get_gpadl_words(void *context, uint32_t count)
{
	struct vmbus_host *host = context;
	size_t bytes = count * sizeof(uint64_t);
	uint64_t *words;

	if (bytes > VMBUS_HOST_GPADL_BYTES - host->gpadl_bytes)
		return NULL;
	words = malloc(bytes);
	if (words)
		host->gpadl_bytes += bytes;
	return words;
}

static void put_gpadl_words(void *context, uint64_t *words, uint32_t count)
{
	struct vmbus_host *host = context;

	host->gpadl_bytes -= count * sizeof(uint64_t);
	free(words);
}

static struct vmbus_device *find_device(struct vmbus_host *host, uint32_t relid)
{
	return relid <= VMBUS_HOST_CHANNELS ? host->devices[relid] : NULL;
}

// Gets host addresses for the rings' pages, and the port at which the guest signals.
static bool prepare_open(
	struct vmbus_host *host, struct vmbus_device *device, const struct vmbus_action *action)
{
	const struct vmbus_memory memory = guest_memory_for_vmbus(&host->worker->memory);
	uint32_t count = action->open.ring_pages;
	int error;

	device->pages = calloc(count, sizeof(*device->pages));
	if (!device->pages || !vmbus_gpadl_map(action->open.ring, &memory, device->pages, count))
		return false;
	error = partition_open_event(
		&host->worker->partition, action->open.connection_id, device->event_fd);
	if (!error)
		return true;
	log_limited(&host->openings, "%s: no port for the guest's signals: %s", device->name,
		strerror(error));
	return false;
}

static void forget_open(struct vmbus_host *host, struct vmbus_device *device)
{
	partition_close_event(&host->worker->partition, device->connection_id);
	free(device->pages);
	device->pages = NULL;
	device->open = false;
}

static bool open_device(
	struct vmbus_host *host, struct vmbus_device *device, const struct vmbus_action *action)
{
	uint32_t split = action->open.downstream_page;
	struct vmbus_device_open open;

	device->connection_id = action->open.connection_id;
	device->event_flag = action->open.event_flag;
	__atomic_store_n(&device->target_vp, action->open.target_vp, __ATOMIC_RELAXED);
	if (prepare_open(host, device, action)) {
		open = (struct vmbus_device_open){
			.in_pages = device->pages,
			.in_page_count = split,
			.out_pages = device->pages + split,
			.out_page_count = action->open.ring_pages - split,
		};
		device->open = device->ops->open(device, &open);
	}
	if (!device->open)
		forget_open(host, device);
	return device->open;
}

static void action_open(struct vmbus_host *host, const struct vmbus_action *action)
{
	struct vmbus_device *device = find_device(host, action->relid);
	bool done = device && open_device(host, device, action);

	if (device)
		log_limited(&host->openings, "%s: the child opens its channel%s", device->name,
			done ? "" : ", and that fails");
	vmbus_server_open_complete(&host->server, action->relid, done);
}

// So a primary channel that is opened anew begins with none, on whatever connection.
static void withdraw_subs(struct vmbus_host *host, const struct vmbus_device *primary)
{
	for (uint32_t relid = 1; relid < host->relid_end; relid++)
		if (host->devices[relid] && host->devices[relid]->primary == primary)
			vmbus_server_rescind(&host->server, relid);
}

static void action_close(struct vmbus_host *host, const struct vmbus_action *action)
{
	struct vmbus_device *device = find_device(host, action->relid);

	if (device)
		withdraw_subs(host, device);
	if (device && device->open)
		device->ops->close(device); // completed by look_at_device()
	else
		vmbus_server_close_complete(&host->server, action->relid);
}

static void action_modify(struct vmbus_host *host, const struct vmbus_action *action)
{
	struct vmbus_device *device = find_device(host, action->relid);

	if (device)
		__atomic_store_n(&device->target_vp, action->target_vp, __ATOMIC_SEQ_CST);
}

static void action_connected(struct vmbus_host *host, const struct vmbus_action *action)
{
	host->version = action->version;
	log_limited(&host->connections, "the child speaks VMBus %u.%u", action->version >> 16,
		action->version & 0xffff);
}

static void action_disconnected(struct vmbus_host *host, const struct vmbus_action *action)
{
	host->version = 0;
	log_limited(&host->connections, "the child has left the VMBus");
}

static void action_teardown(struct vmbus_host *host, const struct vmbus_action *action)
{
	struct vmbus_device *device = find_device(host, action->relid);

	if (device && device->ops->teardown)
		device->ops->teardown(device, action->gpadl_id);
}

static void action_freed(struct vmbus_host *host, const struct vmbus_action *action)
{
	struct vmbus_device *device = find_device(host, action->relid);

	host->devices[action->relid] = NULL;
	close(device->event_fd);
	device->relid = 0;
	device->ops->gone(device);
}

static void action_socket(struct vmbus_host *host, const struct vmbus_action *action)
{
	if (host->sockets.asked)
		host->sockets.asked(host->sockets.context, &action->socket);
	else
		vmbus_server_answer_socket(&host->server, action->socket.id, true);
}

static void action_violation(struct vmbus_host *host, const struct vmbus_action *action)
{
	log_limited(&host->violations,
		"the child broke a rule of VMBus: %s (message %u, channel %u)",
		vmbus_violation_name(action->violation.reason), action->violation.message_type,
		action->relid);
}

static void (*const action_handlers[])(
	struct vmbus_host *host, const struct vmbus_action *action) = {
	[VMBUS_ACTION_CONNECTED] = action_connected,
	[VMBUS_ACTION_DISCONNECTED] = action_disconnected,
	[VMBUS_ACTION_OPEN] = action_open,
	[VMBUS_ACTION_CLOSE] = action_close,
	[VMBUS_ACTION_MODIFY] = action_modify,
	[VMBUS_ACTION_GPADL_TEARDOWN] = action_teardown,
	[VMBUS_ACTION_FREED] = action_freed,
	[VMBUS_ACTION_SOCKET] = action_socket,
	[VMBUS_ACTION_VIOLATION] = action_violation,
};

static void note_post(struct vmbus_host *host, const struct vmbus_post *post, int status)
{
	message_log_add(&host->worker->messages,
		&(struct capture_vmbus){ .version = CAPTURE_VERSION,
			.direction = CAPTURE_TO_GUEST,
			.sint = post->sint,
			.length = post->length,
			.message_type = VMBUS_SYNIC_MESSAGE_TYPE,
			.vp = post->vp,
			.status = (uint32_t)status },
		post->bytes);
}

// Returns false if the hypervisor has no buffer for it now.
static bool post(struct vmbus_host *host, const struct vmbus_post *post)
{
	int status = partition_post_message(&host->worker->partition, post->vp, post->sint,
		VMBUS_SYNIC_MESSAGE_TYPE, post->bytes, post->length);

	if (status == HV_STATUS_INSUFFICIENT_BUFFERS || status == HV_STATUS_INSUFFICIENT_MEMORY)
		return false;
	if (status)
		log_limited(&host->lost,
			"a message to the child's VP %u is lost: hypercall status %d", post->vp,
			status);
	host->messages_out++;
	note_post(host, post, status);
	return true;
}

static void retry_later(struct vmbus_host *host)
{
	host->retries++;
	loop_timer_start(&host->retry, host->retry_ms);
	host->retry_ms = host->retry_ms < RETRY_MAX_MS / 2 ? host->retry_ms * 2 : RETRY_MAX_MS;
}

// Carries out what the last calls of the server led to: actions first, then messages (server.h).
static void settle(struct vmbus_host *host)
{
	const struct vmbus_post *next;
	struct vmbus_action action;

	while (vmbus_server_next_action(&host->server, &action))
		action_handlers[action.type](host, &action);
	while ((next = vmbus_server_next_post(&host->server))) {
		if (!post(host, next)) {
			retry_later(host);
			return;
		}
		host->retry_ms = RETRY_MS;
		vmbus_server_posted(&host->server);
	}
}

static void end_flood(struct vmbus_host *host, int error)
{
	worker_end(host->worker, LUMEN_EXIT_CRASHED,
		"The child floods the VMBus with messages: %s.", strerror(error));
	loop_remove(&host->worker->loop, &host->messages);
}

static void note_message(
	struct vmbus_host *host, uint32_t connection, const struct hv_message *message)
{
	message_log_add(&host->worker->messages,
		&(struct capture_vmbus){ .version = CAPTURE_VERSION,
			.direction = CAPTURE_TO_HOST,
			.length = message->header.payload_size,
			.message_type = message->header.message_type,
			.connection = connection },
		message->payload);
}

static void take_message(
	struct vmbus_host *host, uint32_t connection, const struct hv_message *message)
{
	if (test_synic_message(&host->worker->test_synic, connection, message))
		return;
	host->messages_in++;
	note_message(host, connection, message);
	if (message->header.message_type == VMBUS_SYNIC_MESSAGE_TYPE)
		vmbus_server_message(
			&host->server, connection, message->payload, message->header.payload_size);
	settle(host);
}

// Takes some messages while the server has room for what they lead to. If it has none, the rest
// waits in the driver, until retry_expired() has posted something. Returns whether there was any.
static bool take_messages(struct vmbus_host *host)
{
	struct hv_message message;
	uint32_t connection;
	int error = 0, taken = 0;
	bool ready;

	while ((ready = vmbus_server_ready(&host->server)) && taken < MESSAGES_PER_TURN) {
		error = partition_get_message(&host->worker->partition, &connection, &message);
		if (error)
			break;
		take_message(host, connection, &message);
		taken++;
	}
	if (error && error != EAGAIN && error != EINTR)
		end_flood(host, error);
	else
		loop_change(&host->worker->loop, &host->messages, ready ? EPOLLIN : 0);
	return taken || !ready;
}

// EPOLLERR: the driver's queue has run over, and it stays so. What is still in it does not matter.
static bool messages_ready(struct loop_source *source, uint32_t events)
{
	struct vmbus_host *host = container_of(source, struct vmbus_host, messages);

	if (!(events & EPOLLERR))
		return take_messages(host);
	end_flood(host, EOVERFLOW);
	return true;
}

static void retry_expired(struct loop_source *source)
{
	struct vmbus_host *host = container_of(source, struct vmbus_host, retry);

	settle(host);
	if (vmbus_server_ready(&host->server))
		take_messages(host);
}

// A sub-channel, or a connection: what breaks is not offered again.
static bool is_for_once(const struct vmbus_device *device)
{
	return device->primary || device->offer.flags & VMBUS_OFFER_TLNPI_PROVIDER;
}

// Rule: a device is on the list from when it gets its first event to when those are taken. So one
// that is gone, or about to be freed, is on no list.
static void look_at_device(struct vmbus_host *host, struct vmbus_device *device)
{
	uint32_t events = __atomic_exchange_n(&device->events, 0, __ATOMIC_ACQ_REL);

	if (events & VMBUS_DEVICE_ASKED)
		device->ops->asked(device);
	if (events & VMBUS_DEVICE_ORDERS)
		device->ops->orders(device);
	if (events & VMBUS_DEVICE_FAILED && is_for_once(device))
		vmbus_server_rescind(&host->server, device->relid);
	else if (events & VMBUS_DEVICE_FAILED)
		vmbus_server_fail(&host->server, device->relid);
	if (events & VMBUS_DEVICE_CLOSED) {
		device->ops->closed(device);
		forget_open(host, device);
		vmbus_server_close_complete(&host->server, device->relid);
	}
	settle(host);
}

static void take_reports(struct vmbus_host *host)
{
	struct vmbus_device *device = __atomic_exchange_n(&host->reported, NULL, __ATOMIC_ACQUIRE);

	while (device) {
		struct vmbus_device *next = device->next_reported;

		look_at_device(host, device);
		device = next;
	}
}

static void devices_reported(struct loop_source *source)
{
	take_reports(container_of(source, struct vmbus_host, device_events));
}

static bool init_server(struct vmbus_host *host)
{
	struct vmbus_server_config config = {
		.channels = host->channels,
		.channel_count = VMBUS_HOST_CHANNELS,
		.gpadls = host->gpadls,
		.gpadl_count = VMBUS_HOST_GPADLS,
		.actions = host->actions,
		.action_count = ARRAY_SIZE(host->actions),
		.posts = host->posts,
		.post_count = ARRAY_SIZE(host->posts),
		.memory = guest_memory_for_vmbus(&host->worker->memory),
		.storage = { .context = host, .get = get_gpadl_words, .put = put_gpadl_words },
		.vp_count = host->worker->config.vps,
		.max_version = VMBUS_VERSION_5_3,
	};

	if (vmbus_server_init(&host->server, &config))
		return true;
	log_line("the VMBus server refuses its own configuration");
	return false;
}

static bool open_ports(struct vmbus_host *host)
{
	static const uint32_t connections[] = { VMBUS_CONNECTION_MESSAGE,
		VMBUS_CONNECTION_MESSAGE_MULTICLIENT };

	for (unsigned i = 0; i < ARRAY_SIZE(connections); i++) {
		int error = partition_open_messages(&host->worker->partition, connections[i]);

		if (!error)
			continue;
		log_line("no message port for connection %u: %s", connections[i], strerror(error));
		return false;
	}
	return true;
}

bool vmbus_host_start(struct vmbus_host *host, struct worker *worker)
{
	struct loop *loop = &worker->loop;

	host->worker = worker;
	host->retry_ms = RETRY_MS;
	return init_server(host) && open_ports(host) &&
	       loop_add(loop, &host->messages, worker->partition.fd, EPOLLIN, messages_ready) &&
	       loop_add_timer(loop, &host->retry, retry_expired) &&
	       loop_add_event(loop, &host->device_events, devices_reported);
}

bool vmbus_host_offer(struct vmbus_host *host, struct vmbus_device *device)
{
	device->host = host;
	device->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->event_fd < 0)
		return false;
	device->relid = vmbus_server_offer(&host->server, &device->offer);
	if (!device->relid) {
		close(device->event_fd);
		return false;
	}
	host->devices[device->relid] = device;
	if (device->relid >= host->relid_end)
		host->relid_end = device->relid + 1;
	settle(host);
	return true;
}

bool vmbus_host_rescind(struct vmbus_device *device)
{
	struct vmbus_host *host = device->host;

	if (!device->relid || !vmbus_server_rescind(&host->server, device->relid))
		return false;
	settle(host);
	return true;
}

bool vmbus_host_answer_socket(struct vmbus_host *host, uint32_t id, bool refused)
{
	const bool there = vmbus_server_answer_socket(&host->server, id, refused);

	settle(host);
	return there;
}

enum vmbus_channel_state vmbus_host_state(const struct vmbus_device *device)
{
	return device->relid ? device->host->channels[device->relid - 1].state : VMBUS_CHANNEL_FREE;
}

struct vmbus_gpadl *vmbus_host_hold(struct vmbus_device *device, uint32_t gpadl)
{
	return vmbus_server_gpadl_hold(&device->host->server, device->relid, gpadl);
}

void vmbus_host_release(struct vmbus_device *device, struct vmbus_gpadl *gpadl)
{
	vmbus_server_gpadl_release(&device->host->server, gpadl);
}

// Waits until all that is open has been closed. The loop does not run any more: the devices'
// reports are taken here.
static bool drain(struct vmbus_host *host, deadline_ns deadline)
{
	struct pollfd reports = { .fd = host->device_events.fd, .events = POLLIN };
	int left = 1;

	settle(host);
	while (left && !vmbus_server_idle(&host->server)) {
		left = deadline_left_ms(deadline);
		poll(&reports, 1, left);
		loop_event_take(&host->device_events);
		take_reports(host);
	}
	return vmbus_server_idle(&host->server);
}

bool vmbus_host_stop(struct vmbus_host *host, deadline_ns deadline)
{
	bool done;

	vmbus_server_reset(&host->server);
	done = drain(host, deadline);
	for (uint32_t relid = 1; done && relid < host->relid_end; relid++)
		if (host->devices[relid])
			close(host->devices[relid]->event_fd);
	return done;
}

void vmbus_device_signal(struct vmbus_device *device)
{
	uint32_t vp = __atomic_load_n(&device->target_vp, __ATOMIC_SEQ_CST);
	int status;

	__atomic_add_fetch(&device->signals, 1, __ATOMIC_RELAXED);
	if (vp == VMBUS_VP_NO_INTERRUPT)
		return;
	status = partition_signal_event(
		&device->host->worker->partition, vp, VMBUS_SINT, (uint16_t)device->event_flag);
	if (status)
		log_limited(&device->host->lost,
			"%s: a signal to the child's VP %u is lost: hypercall status %d",
			device->name, vp, status);
}

void vmbus_device_report(struct vmbus_device *device, enum vmbus_device_event event)
{
	struct vmbus_host *host = device->host;

	if (__atomic_fetch_or(&device->events, event, __ATOMIC_ACQ_REL))
		return; // it is on the list
	device->next_reported = __atomic_load_n(&host->reported, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&host->reported, &device->next_reported, device, true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	loop_event_signal(&host->device_events);
}
