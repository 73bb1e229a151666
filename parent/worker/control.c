// SPDX-License-Identifier: BSD-2-Clause
// See control.h: the socket, and what concerns all clients. One of them is in control_client.c.
#include "parent/worker/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/rundir.h"
#include "parent/worker/deadline.h"
#include "parent/worker/listener.h"
#include "parent/worker/worker.h"

enum {
	BACKLOG = 8,
	RETRY_MS = 100, // to accept without descriptors
	CLOSE_MS = 1000,
};

// Whose place another one may take.
static bool is_passing(const struct control_client *client)
{
	return client->state == CONTROL_REQUEST || client->state == CONTROL_ANSWER ||
	       client->state == CONTROL_TYPED;
}

// Returns a free place: if there is none, that of the oldest of those who can go. There are more
// places than followers.
static struct control_client *make_place(struct control *control)
{
	struct control_client *oldest = NULL;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state == CONTROL_FREE)
			return client;
		if (is_passing(client) && (!oldest || client->number < oldest->number))
			oldest = client;
	}
	control_client_drop(oldest);
	return oldest;
}

// Errors of accept() that leave the connection where it is: the listener would be ready for ever.
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool listener_ready(struct loop_source *source, uint32_t events)
{
	struct control *control = container_of(source, struct control, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		if (!control_client_start(control, make_place(control), fd))
			close(fd);
		return true;
	}
	if (!is_shortage(errno))
		return errno != EAGAIN;
	loop_change(control->loop, &control->listener, 0);
	loop_timer_start(&control->retry, RETRY_MS);
	return true;
}

static void listener_retry(struct loop_source *source)
{
	struct control *control = container_of(source, struct control, retry);

	loop_change(control->loop, &control->listener, EPOLLIN);
}

// One that lumenctl has made for the worker: it follows the child from its first instruction on.
static bool start_first_client(struct control *control)
{
	struct control_client *client = &control->clients[0];

	if (!control->worker->client_fd)
		return true;
	if (!control_client_start(control, client, control->worker->client_fd))
		return false;
	control_client_receive(client);
	return true;
}

bool control_init(struct control *control, struct worker *worker)
{
	const int fd = listener_open(worker->directory, RUNDIR_SOCKET, BACKLOG);

	memset(control, 0, sizeof(*control));
	control->loop = &worker->loop;
	control->worker = worker;
	return fd >= 0 &&
	       loop_add(control->loop, &control->listener, fd, EPOLLIN, listener_ready) &&
	       loop_add_timer(control->loop, &control->retry, listener_retry) &&
	       start_first_client(control);
}

void control_console(struct control *control)
{
	const bool room = console_has_room(&control->worker->console);

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state == CONTROL_CONSOLE && !control_client_send(client))
			client->state = CONTROL_TYPED;
		if (room && (client->state == CONTROL_CONSOLE || client->state == CONTROL_TYPED))
			loop_change(
				control->loop, &client->source, client->source.events | EPOLLIN);
	}
}

void control_messages(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		// One that waits for room is called when it has some.
		if (client->state == CONTROL_MESSAGES && !(client->source.events & EPOLLOUT) &&
			!control_client_send(client))
			control_client_drop(client);
	}
}

static struct control_client *find_sender(struct control *control, const struct verb *verb)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].state == CONTROL_VERB && control->clients[i].verb == verb)
			return &control->clients[i];
	return NULL;
}

int32_t control_verb_read(
	struct control *control, const struct verb *verb, void *bytes, uint32_t size)
{
	struct control_client *client = find_sender(control, verb);
	ssize_t got = client ? recv(client->source.fd, bytes, size, MSG_DONTWAIT) : 0;

	if (got > 0)
		return (int32_t)got;
	if (!client || !got || (errno != EAGAIN && errno != EINTR))
		return -1;
	loop_change(control->loop, &client->source, EPOLLIN);
	return 0;
}

void control_verb_done(struct control *control, const struct verb *verb, const char *error)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_VERB || (verb && client->verb != verb))
			continue;
		control_client_answer(client, verb || (client->verb->flags & VERB_ENDS)
						      ? error
						      : "The child has ended instead.");
	}
}

static bool has_something_to_send(const struct control_client *client)
{
	return client->state == CONTROL_ANSWER || client->state == CONTROL_CONSOLE ||
	       client->state == CONTROL_MESSAGES;
}

// Sends to all, and drops those that have it all. Returns how many have not: their sockets are in
// `polls`.
static nfds_t send_rest(struct control *control, struct pollfd *polls)
{
	nfds_t count = 0;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state == CONTROL_FREE)
			continue;
		if (has_something_to_send(client) && control_client_send(client) &&
			(client->source.events & EPOLLOUT))
			polls[count++] =
				(struct pollfd){ .fd = client->source.fd, .events = POLLOUT };
		else
			control_client_drop(client);
	}
	return count;
}

void control_close(struct control *control)
{
	const deadline_ns deadline = deadline_in_ms(CLOSE_MS);
	struct pollfd polls[CONTROL_CLIENTS_MAX];
	nfds_t count;

	while ((count = send_rest(control, polls)) && deadline_left_ms(deadline))
		poll(polls, count, deadline_left_ms(deadline));
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].state != CONTROL_FREE)
			control_client_drop(&control->clients[i]);
	loop_remove(control->loop, &control->listener);
	close(control->listener.fd);
}
