// SPDX-License-Identifier: BSD-2-Clause
// See control.h.
#include "parent/worker/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/common/rundir.h"
#include "parent/worker/log.h"

enum { CHUNK = 4096, INPUT_CHUNK = 256, BACKLOG = 8 };

static void drop_client(struct control_client *client)
{
	loop_remove(client->control->loop, &client->source);
	close(client->source.fd);
	client->state = CONTROL_FREE;
}

// Sends an answer as a whole: it is small enough for an empty socket, and it ends the dialogue.
static void answer(struct control_client *client, const char *text, size_t length)
{
	if (send(client->source.fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) < (ssize_t)length)
		log_line("a control client did not take its answer");
}

static void answer_error(struct control_client *client, const char *sentence)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "error %s\n", sentence);

	answer(client, text, (size_t)length);
}

static void request_stat(struct control_client *client)
{
	static char text[CONTROL_TEXT_MAX]; // one thread
	struct control *control = client->control;
	size_t length = 3;

	memcpy(text, "ok\n", length);
	length +=
		control->wiring.stat(control->wiring.context, text + length, sizeof(text) - length);
	answer(client, text, length);
}

static void request_kill(struct control_client *client)
{
	answer(client, "ok\n", 3);
	client->control->wiring.kill(client->control->wiring.context);
}

// Answered by control_stopped(), when the child has answered.
static void request_stop(struct control_client *client)
{
	const struct control_wiring *wiring = &client->control->wiring;
	const char *error;

	client->state = CONTROL_STOP;
	error = wiring->stop(wiring->context);
	if (!error)
		return;
	answer_error(client, error);
	drop_client(client);
}

// Sends as much of the output as the client takes now. Returns false if it is gone.
static bool send_console(struct control_client *client)
{
	uint8_t chunk[CHUNK];
	uint64_t position = client->position;
	size_t length;

	while ((length = console_read(client->control->console, &position, chunk, sizeof(chunk)))) {
		ssize_t sent = send(client->source.fd, chunk, length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return false;
		if (sent < (ssize_t)length) {
			// The rest is read again when there is room.
			client->position = position - length + (sent > 0 ? (size_t)sent : 0);
			loop_change(client->control->loop, &client->source,
				client->source.events | EPOLLOUT);
			return true;
		}
		client->position = position;
	}
	loop_change(client->control->loop, &client->source, client->source.events & ~EPOLLOUT);
	return true;
}

// Takes input as far as the console has room. Returns false if the client is gone.
static bool receive_console(struct control_client *client)
{
	struct control *control = client->control;
	uint8_t chunk[INPUT_CHUNK];
	ssize_t length = recv(client->source.fd, chunk, sizeof(chunk), MSG_PEEK | MSG_DONTWAIT);
	size_t taken;

	if (length <= 0)
		return length < 0 && (errno == EAGAIN || errno == EINTR);
	taken = console_input(control->console, chunk, (size_t)length);
	if (taken)
		recv(client->source.fd, chunk, taken, MSG_DONTWAIT);
	// Without room: look again when control_console() says that there may be some.
	loop_change(control->loop, &client->source,
		taken < (size_t)length ? client->source.events & ~EPOLLIN
				       : client->source.events | EPOLLIN);
	control->wiring.input(control->wiring.context);
	return true;
}

static void request_console(struct control_client *client)
{
	answer(client, "ok\n", 3);
	client->state = CONTROL_CONSOLE;
	client->position = console_oldest(client->control->console);
	if (!send_console(client))
		drop_client(client);
}

static const struct control_request {
	const char *name;
	void (*handle)(struct control_client *client);
	bool stays; // the handler decides when the client is closed
} control_requests[] = {
	{ "console", request_console, true },
	{ "stat", request_stat, false },
	{ "stop", request_stop, true },
	{ "kill", request_kill, false },
};

static void handle_request(struct control_client *client)
{
	const struct control_request *request = NULL;

	for (size_t i = 0; i < sizeof(control_requests) / sizeof(*control_requests); i++)
		if (!strcmp(client->line, control_requests[i].name))
			request = &control_requests[i];
	if (request)
		request->handle(client);
	else
		answer_error(client, "The request is not known.");
	if (!request || !request->stays)
		drop_client(client);
}

// Reads the request byte by byte: what comes behind it belongs to the console.
static void receive_request(struct control_client *client)
{
	while (client->line_length < sizeof(client->line)) {
		char *byte = &client->line[client->line_length];
		ssize_t got = recv(client->source.fd, byte, 1, MSG_DONTWAIT);

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
	drop_client(client);
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct control_client *client = (struct control_client *)source;
	bool alive = true;

	if (client->state == CONTROL_REQUEST) {
		receive_request(client);
		return;
	}
	if (client->state == CONTROL_STOP) {
		drop_client(client); // it has nothing more to say, or is gone
		return;
	}
	if (events & EPOLLOUT)
		alive = send_console(client);
	if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		alive = receive_console(client);
	if (!alive)
		drop_client(client);
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct control *control =
		(struct control *)((char *)source - offsetof(struct control, listener));
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_FREE)
			continue;
		memset(client, 0, sizeof(*client));
		client->control = control;
		if (!loop_add(control->loop, &client->source, fd, EPOLLIN, client_ready))
			break;
		client->state = CONTROL_REQUEST;
		return;
	}
	close(fd);
}

static int open_socket(const char *directory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/%s", directory, RUNDIR_SOCKET);
	unlink(address.sun_path);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
		!listen(fd, BACKLOG))
		return fd;
	log_line("the control socket %s cannot be opened: %s", address.sun_path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool control_init(struct control *control, struct loop *loop, struct console *console,
	const char *directory, const struct control_wiring *wiring)
{
	int fd;

	memset(control, 0, sizeof(*control));
	control->loop = loop;
	control->console = console;
	control->wiring = *wiring;
	fd = open_socket(directory);
	return fd >= 0 && loop_add(loop, &control->listener, fd, EPOLLIN, listener_ready);
}

void control_console(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_CONSOLE)
			continue;
		if (!send_console(client)) {
			drop_client(client);
			continue;
		}
		loop_change(control->loop, &client->source, client->source.events | EPOLLIN);
	}
}

void control_stopped(struct control *control, const char *error)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_STOP)
			continue;
		if (error)
			answer_error(client, error);
		else
			answer(client, "ok\n", 3);
		drop_client(client);
	}
}

// A client gets a second to take the rest: then it is on its own.
static void flush_client(struct control_client *client)
{
	struct timeval limit = { .tv_sec = 1 };

	fcntl(client->source.fd, F_SETFL, 0);
	setsockopt(client->source.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	send_console(client);
}

void control_close(struct control *control, const char *directory)
{
	char path[RUNDIR_PATH_MAX];

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state == CONTROL_CONSOLE)
			flush_client(client);
		if (client->state != CONTROL_FREE)
			drop_client(client);
	}
	loop_remove(control->loop, &control->listener);
	close(control->listener.fd);
	snprintf(path, sizeof(path), "%s/%s", directory, RUNDIR_SOCKET);
	unlink(path);
}
