// SPDX-License-Identifier: BSD-2-Clause
// One client of the control socket: its request, its answer, its console. See control.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/descriptor.h"
#include "parent/worker/devices/device.h"
#include "parent/worker/worker.h"

enum { CHUNK = 4096, INPUT_CHUNK = 256 };

void control_client_drop(struct control_client *client)
{
	if (client->state == CONTROL_MESSAGES)
		client->control->worker->messages.followers--;
	loop_remove(client->control->loop, &client->source);
	close(client->source.fd);
	if (client->brought >= 0)
		close(client->brought);
	client->state = CONTROL_FREE;
}

// Returns how much of it went, 0 if the client takes nothing now, -1 if it is gone.
static ssize_t send_some(const struct control_client *client, const void *bytes, size_t length)
{
	ssize_t sent = send(client->source.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	return sent;
}

static void wait_for_room(struct control_client *client, bool wait)
{
	const uint32_t events = client->source.events & ~EPOLLOUT;

	loop_change(client->control->loop, &client->source, events | (wait ? EPOLLOUT : 0));
}

// The answer, and whatever else has an end.

// Returns whether there is something left to send.
static bool next_text(struct control_client *client)
{
	struct worker *worker = client->control->worker;

	if (client->sent < client->length)
		return true;
	client->sent = client->length = 0;
	if (client->part)
		client->length =
			worker_stat(worker, client->part++ - 1, client->text, sizeof(client->text));
	else if (client->verb && (client->verb->flags & VERB_TELLS))
		client->length = worker_tell(worker, client->text, sizeof(client->text));
	client->verb = NULL;
	return client->length;
}

static bool send_text(struct control_client *client)
{
	while (next_text(client)) {
		ssize_t sent = send_some(
			client, client->text + client->sent, client->length - client->sent);

		if (sent < 0)
			return false;
		if (!sent) {
			// Whatever else it says does not matter any more.
			loop_change(client->control->loop, &client->source, EPOLLOUT);
			return true;
		}
		client->sent += (size_t)sent;
	}
	return false;
}

static void put_answer(struct control_client *client, const char *error)
{
	int length = error ? snprintf(client->text, sizeof(client->text), "error %s\n", error)
			   : snprintf(client->text, sizeof(client->text), "ok\n");

	client->sent = 0;
	client->length = (size_t)length;
}

static void begin_answer(struct control_client *client)
{
	client->state = CONTROL_ANSWER;
	if (!send_text(client))
		control_client_drop(client);
}

void control_client_answer(struct control_client *client, const char *error)
{
	put_answer(client, error);
	if (error)
		client->verb = NULL;
	begin_answer(client);
}

// The console.

// A turn sends the history once at most: the child may be adding to it all the time.
static bool send_console(struct control_client *client)
{
	struct console *console = &client->control->worker->console;
	uint8_t chunk[CHUNK];
	size_t length = 1, total = 0;

	while (length && total < CONSOLE_HISTORY) {
		uint64_t position = client->position;
		ssize_t sent;

		length = console_read(console, &position, chunk, sizeof(chunk));
		sent = length ? send_some(client, chunk, length) : 0;
		if (sent < 0)
			return false;
		// The rest is read again when there is room.
		client->position = position - length + (size_t)sent;
		total += length;
		if ((size_t)sent < length)
			break;
	}
	wait_for_room(client, length);
	return true;
}

// Takes input as far as the console has room; without, the client is not listened to until
// control_console() finds that there is some. Returns false if that was the last of it.
static bool receive_console(struct control_client *client)
{
	struct worker *worker = client->control->worker;
	uint8_t chunk[INPUT_CHUNK];
	ssize_t length = recv(client->source.fd, chunk, sizeof(chunk), MSG_PEEK | MSG_DONTWAIT);
	size_t taken;

	if (length <= 0)
		return length < 0 && (errno == EAGAIN || errno == EINTR);
	taken = console_input(&worker->console, chunk, (size_t)length);
	if (taken)
		recv(client->source.fd, chunk, taken, MSG_DONTWAIT);
	loop_change(&worker->loop, &client->source,
		taken < (size_t)length ? client->source.events & ~EPOLLIN
				       : client->source.events | EPOLLIN);
	devices_input_ready(&worker->devices);
	return true;
}

static void serve_console(struct control_client *client, uint32_t events)
{
	bool gone = events & (EPOLLHUP | EPOLLERR);

	if (!gone && (events & EPOLLOUT))
		gone = !send_console(client);
	if (gone) {
		client->state = CONTROL_TYPED;
		wait_for_room(client, false);
	}
	if ((gone || (events & EPOLLIN)) && !receive_console(client))
		control_client_drop(client);
}

// The messages between the child and its VMBus server.

// Returns whether there is something left to send.
static bool next_records(struct control_client *client)
{
	const struct message_log *log = &client->control->worker->messages;
	struct capture_record record;

	if (client->sent < client->length)
		return true;
	client->sent = client->length = 0;
	while (client->length + sizeof(record) <= sizeof(client->text) &&
		message_log_read(log, &client->position, &record)) {
		memcpy(client->text + client->length, &record, sizeof(record));
		client->length += sizeof(record);
	}
	return client->length;
}

// A turn sends so much at most: the child may be posting all the time. What does not go waits for
// room, and what the log has written over by then is lost.
static bool send_messages(struct control_client *client)
{
	size_t total = 0;
	bool more;

	while ((more = next_records(client)) && total < sizeof(client->text)) {
		ssize_t sent = send_some(
			client, client->text + client->sent, client->length - client->sent);

		if (sent < 0)
			return false;
		client->sent += (size_t)sent;
		total += (size_t)sent;
		if (client->sent < client->length)
			break;
	}
	wait_for_room(client, more);
	return true;
}

bool control_client_send(struct control_client *client)
{
	static bool (*const senders[])(struct control_client * client) = {
		[CONTROL_ANSWER] = send_text,
		[CONTROL_CONSOLE] = send_console,
		[CONTROL_MESSAGES] = send_messages,
	};

	return senders[client->state](client);
}

// The requests.

static unsigned followers(const struct control *control)
{
	unsigned count = 0;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		count += control->clients[i].state == CONTROL_CONSOLE ||
			 control->clients[i].state == CONTROL_MESSAGES ||
			 control->clients[i].state == CONTROL_VERB;
	return count;
}

static bool may_follow(struct control_client *client)
{
	if (followers(client->control) < CONTROL_FOLLOWERS_MAX)
		return true;
	control_client_answer(client, "Too many clients follow this child already.");
	return false;
}

static void request_console(struct control_client *client)
{
	if (!may_follow(client))
		return;
	client->state = CONTROL_CONSOLE;
	client->position = console_oldest(&client->control->worker->console);
	if (send_some(client, "ok\n", 3) < 3 || !send_console(client))
		client->state = CONTROL_TYPED;
}

static void request_messages(struct control_client *client)
{
	struct worker *worker = client->control->worker;
	const struct capture_hello hello = { .magic = CAPTURE_MAGIC,
		.version = CAPTURE_VERSION,
		.partition = worker->partition.id,
		.next = worker->messages.next };

	if (!may_follow(client))
		return;
	client->state = CONTROL_MESSAGES;
	client->position = hello.next;
	worker->messages.followers++;
	put_answer(client, NULL);
	memcpy(client->text + client->length, &hello, sizeof(hello));
	client->length += sizeof(hello);
	if (!send_messages(client))
		control_client_drop(client);
}

static void request_stat(struct control_client *client)
{
	client->part = 1;
	control_client_answer(client, NULL);
}

static bool is_gone(const struct control_client *client)
{
	char byte;

	return !recv(client->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

// Answered by control_verb_done(). Who has given up waiting for us wants it no more. What is sent
// behind it is read when it is wanted.
static void request_verb(struct control_client *client, const struct verb *verb, char *words)
{
	const uint32_t seconds = (uint32_t)strtoul(words, &words, 10);
	const char *error;

	if (is_gone(client)) {
		control_client_drop(client);
		return;
	}
	if (!may_follow(client))
		return;
	client->state = CONTROL_VERB;
	client->verb = verb;
	if (verb->flags & VERB_SENDS)
		loop_change(client->control->loop, &client->source, EPOLLHUP);
	error = synthetic_begin_verb(client->control->worker, verb,
		seconds ? seconds : verb->seconds, words + (*words == '\t'), &client->brought);
	if (error)
		control_client_answer(client, error);
}

static void request_kill(struct control_client *client)
{
	struct worker *worker = client->control->worker;

	control_client_answer(client, NULL);
	worker_kill(worker);
}

static const struct control_request {
	const char *name;
	void (*handle)(struct control_client *client);
} control_requests[] = {
	{ "console", request_console },
	{ CAPTURE_REQUEST, request_messages },
	{ "stat", request_stat },
	{ "kill", request_kill },
};

static void handle_request(struct control_client *client)
{
	char *words = client->line + strcspn(client->line, "\t");
	const struct verb *verb;

	for (size_t i = 0; i < ARRAY_SIZE(control_requests); i++)
		if (!strcmp(client->line, control_requests[i].name)) {
			control_requests[i].handle(client);
			return;
		}
	if (*words)
		*words++ = 0;
	verb = verb_find(client->line);
	if (verb)
		request_verb(client, verb, words);
	else
		control_client_answer(client, "The request is not known.");
}

// The first descriptor that comes is kept.
static ssize_t receive_byte(struct control_client *client, char *byte)
{
	int brought;
	const ssize_t got = descriptor_receive(client->source.fd, byte, 1, &brought);

	if (client->brought < 0)
		client->brought = brought;
	else if (brought >= 0)
		close(brought);
	return got;
}

// Reads the request byte by byte: what comes behind it belongs to the console.
void control_client_receive(struct control_client *client)
{
	while (client->line_length < sizeof(client->line)) {
		char *byte = &client->line[client->line_length];
		ssize_t got = receive_byte(client, byte);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return; // the rest is still to come
		if (got <= 0)
			break;
		if (*byte == '\n') {
			*byte = 0;
			handle_request(client);
			return;
		}
		client->line_length++;
	}
	control_client_drop(client);
}

// One that waits for a verb has nothing more to say, or is gone, if it does not send a file.
static void verb_ready(struct control_client *client, uint32_t events)
{
	const struct verb *verb = client->verb;

	if ((verb->flags & VERB_SENDS) && !(events & (EPOLLHUP | EPOLLERR))) {
		loop_change(client->control->loop, &client->source, EPOLLHUP);
		synthetic_sent(client->control->worker, verb);
		return;
	}
	control_client_drop(client);
	synthetic_forget_verb(client->control->worker, verb);
}

// One that follows messages has nothing more to say, or is gone.
static void messages_ready(struct control_client *client, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT || !send_messages(client))
		control_client_drop(client);
}

// Each branch takes something, drops the client, or changes what it waits for.
static bool client_ready(struct loop_source *source, uint32_t events)
{
	struct control_client *client = (struct control_client *)source;

	switch (client->state) {
	case CONTROL_REQUEST:
		control_client_receive(client);
		break;
	case CONTROL_CONSOLE:
	case CONTROL_TYPED:
		serve_console(client, events);
		break;
	case CONTROL_MESSAGES:
		messages_ready(client, events);
		break;
	case CONTROL_ANSWER:
		if (!send_text(client))
			control_client_drop(client);
		break;
	default:
		verb_ready(client, events);
		break;
	}
	return true;
}

bool control_client_start(struct control *control, struct control_client *client, int fd)
{
	memset(client, 0, sizeof(*client));
	client->control = control;
	client->brought = -1;
	client->number = control->accepted++;
	if (!loop_add(control->loop, &client->source, fd, EPOLLIN, client_ready))
		return false;
	client->state = CONTROL_REQUEST;
	return true;
}
