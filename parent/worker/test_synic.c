// SPDX-License-Identifier: BSD-2-Clause
// See test_synic.h.
#include "parent/worker/test_synic.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

// A command, taken apart (QEMU: hw/hyperv/hyperv_testdev.c).
struct command {
	uint8_t sint, vp, what, connection;
};

static struct log_limit lost;

static void log_lost(const char *what, uint32_t vp, uint32_t sint, int status)
{
	if (status)
		log_limited(&lost, "test device: %s for SINT %u of VP %u: hypercall status %d",
			what, sint, vp, status);
}

static int route_create(struct test_synic *synic, const struct command *command)
{
	synic->routes[command->vp][command->sint] = true;
	return 0;
}

static int route_destroy(struct test_synic *synic, const struct command *command)
{
	synic->routes[command->vp][command->sint] = false;
	return 0;
}

// No hypercall asserts a SINT and does nothing else. An event flag does, if it was clear; the test
// images look at no flag here, so each time another one serves.
static int sint_set(struct test_synic *synic, const struct command *command)
{
	uint16_t flag = synic->next_flag[command->vp]++ % HV_EVENT_FLAGS_COUNT;

	if (!synic->routes[command->vp][command->sint])
		return ENOENT;
	log_lost("an assertion", command->vp, command->sint,
		partition_signal_event(
			&synic->worker->partition, command->vp, command->sint, flag));
	return 0;
}

static void open_connection(struct test_connection *connection, const struct command *command)
{
	connection->open = true;
	connection->vp = command->vp;
	connection->sint = command->sint;
}

static int messages_create(struct test_synic *synic, const struct command *command)
{
	int error = partition_open_messages(&synic->worker->partition, command->connection);

	if (!error)
		open_connection(&synic->messages[command->connection], command);
	return error;
}

// Returns whether it was open.
static bool close_connection(struct test_connection *connection)
{
	bool open = connection->open;

	connection->open = false;
	return open;
}

static int messages_destroy(struct test_synic *synic, const struct command *command)
{
	if (!close_connection(&synic->messages[command->connection]))
		return ENOENT;
	return partition_close_messages(&synic->worker->partition, command->connection);
}

static void event_signalled(struct loop_source *source)
{
	struct test_connection *connection = container_of(source, struct test_connection, event);
	struct test_synic *synic = connection->synic;
	uint16_t flag = (uint16_t)(connection - synic->events);

	pthread_mutex_lock(&synic->lock);
	if (connection->open)
		log_lost("an event", connection->vp, connection->sint,
			partition_signal_event(
				&synic->worker->partition, connection->vp, connection->sint, flag));
	pthread_mutex_unlock(&synic->lock);
}

static int events_create(struct test_synic *synic, const struct command *command)
{
	struct test_connection *connection = &synic->events[command->connection];
	int error;

	connection->synic = synic;
	if (connection->event.fd <= 0 &&
		!loop_add_event(&synic->worker->loop, &connection->event, event_signalled))
		return EMFILE;
	error = partition_open_event(
		&synic->worker->partition, command->connection, connection->event.fd);
	if (!error)
		open_connection(connection, command);
	return error;
}

static int events_destroy(struct test_synic *synic, const struct command *command)
{
	if (!close_connection(&synic->events[command->connection]))
		return ENOENT;
	return partition_close_event(&synic->worker->partition, command->connection);
}

static int (*const commands[])(struct test_synic *synic, const struct command *command) = {
	[1] = route_create,
	[2] = route_destroy,
	[3] = sint_set,
	[4] = messages_create,
	[5] = messages_destroy,
	[6] = events_create,
	[7] = events_destroy,
};

void test_synic_init(struct test_synic *synic, struct worker *worker)
{
	memset(synic, 0, sizeof(*synic));
	synic->worker = worker;
	pthread_mutex_init(&synic->lock, NULL);
}

void test_synic_command(void *context, uint32_t word)
{
	struct test_synic *synic = context;
	struct command command = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
		(uint8_t)(word >> 24) };
	int error = EINVAL;

	if (command.what < ARRAY_SIZE(commands) && commands[command.what] &&
		command.vp < synic->worker->config.vps && command.sint < HV_SYNIC_SINT_COUNT) {
		pthread_mutex_lock(&synic->lock);
		error = commands[command.what](synic, &command);
		pthread_mutex_unlock(&synic->lock);
	}
	if (error)
		log_limited(&lost, "test device: command 0x%08x: %s", word, strerror(error));
}

bool test_synic_message(
	struct test_synic *synic, uint32_t connection, const struct hv_message *message)
{
	const struct test_connection *target;
	bool open;

	if (!synic->worker || connection >= TEST_CONNECTIONS)
		return false;
	target = &synic->messages[connection];
	pthread_mutex_lock(&synic->lock);
	open = target->open;
	if (open)
		log_lost("a message", target->vp, target->sint,
			partition_post_message(&synic->worker->partition, target->vp, target->sint,
				message->header.message_type, message->payload,
				message->header.payload_size));
	pthread_mutex_unlock(&synic->lock);
	return open;
}
