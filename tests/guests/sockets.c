// SPDX-License-Identifier: BSD-2-Clause
// Both ends of VMBus sockets, for tests: runs in the root and in a Linux child.
//
//   sockets echo WHERE                     says back what each connection says, until it is killed
//   sockets drive WHERE COUNT BYTES ROUNDS COUNT connections at once, which say BYTES each, end
//   their
//                                          stream, and check that all of it comes back; ROUNDS
//                                          times
//   sockets hold WHERE COUNT               COUNT connections, each of which says one byte; prints
//                                          "held", and waits to be killed
//   sockets pty ROWS COLUMNS [WORD TEXT]... -- COMMAND...
//                                          runs a command on a terminal of that size; when it has
//                                          said a word, types the text; ends with its status
//   sockets flood WHERE                    connects, and writes without reading, until it cannot
//
// WHERE: vsock:PORT (in the child: listens at it, or connects to the root's), unix:PATH, or
// child:PATH:PORT (in the root: to the child's port).
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 512, CHUNK = 4096, PATIENCE_MS = 60000 };

struct connection {
	int fd;		    // 0: none
	bool ended;	    // the other end's stream
	size_t sent, got;   // of ours
	size_t waiting, at; // echo: bytes that are to be said back
	uint8_t bytes[CHUNK];
};

static struct connection connections[CONNECTIONS_MAX];

static void die(const char *what)
{
	printf("sockets: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t pattern(size_t connection, size_t at)
{
	return (uint8_t)(connection * 7 + at * 13 + (at >> 8));
}

// --- addresses ---

union address {
	struct sockaddr any;
	struct sockaddr_vm vm;
	struct sockaddr_un un;
};

static int make_socket(const char *where, bool listens, union address *address, socklen_t *length)
{
	memset(address, 0, sizeof(*address));
	if (!strncmp(where, "vsock:", 6)) {
		address->vm = (struct sockaddr_vm){ .svm_family = AF_VSOCK,
			.svm_cid = listens ? VMADDR_CID_ANY : VMADDR_CID_HOST,
			.svm_port = (unsigned)strtoul(where + 6, NULL, 10) };
		*length = sizeof(address->vm);
	} else {
		const char *path = strchr(where, ':') + 1;

		address->un.sun_family = AF_UNIX;
		snprintf(address->un.sun_path, sizeof(address->un.sun_path), "%.*s",
			*where == 'c' ? (int)(strrchr(path, ':') - path) : 100, path);
		*length = sizeof(address->un);
	}
	return socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int listen_at(const char *where)
{
	union address address;
	socklen_t length;
	int fd = make_socket(where, true, &address, &length);

	if (address.any.sa_family == AF_UNIX)
		unlink(address.un.sun_path);
	if (fd < 0 || bind(fd, &address.any, length) || listen(fd, 256))
		die(where);
	return fd;
}

static void ask_worker(int fd, const char *where)
{
	char line[100] = "";

	dprintf(fd, "CONNECT %s\n", strrchr(where, ':') + 1);
	for (size_t i = 0; i + 1 < sizeof(line) && read(fd, line + i, 1) == 1; i++)
		if (line[i] == '\n')
			break;
	if (strncmp(line, "OK ", 3)) {
		printf("sockets: %s: %s", where, line);
		exit(2);
	}
}

static int connect_to(const char *where)
{
	union address address;
	socklen_t length;
	int fd = make_socket(where, false, &address, &length);

	if (fd < 0 || connect(fd, &address.any, length))
		die(where);
	if (*where == 'c')
		ask_worker(fd, where);
	return fd;
}

static bool again(ssize_t count)
{
	return count < 0 && (errno == EAGAIN || errno == EINTR);
}

// --- echo ---

static void echo_one(struct connection *connection)
{
	ssize_t count = 0;

	if (!connection->waiting) {
		connection->at = 0;
		count = recv(connection->fd, connection->bytes, CHUNK, MSG_DONTWAIT);
		connection->waiting = count > 0 ? (size_t)count : 0;
		connection->ended = count <= 0 && !again(count);
	}
	if (connection->waiting) {
		count = send(connection->fd, connection->bytes + connection->at,
			connection->waiting, MSG_DONTWAIT | MSG_NOSIGNAL);
		connection->ended = count < 0 && !again(count);
		if (count > 0) {
			connection->at += (size_t)count;
			connection->waiting -= (size_t)count;
		}
	}
	if (!connection->ended)
		return;
	close(connection->fd);
	memset(connection, 0, sizeof(*connection));
}

static void take_connection(int listener)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (connections[i].fd)
			continue;
		connections[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connections[i].fd < 0)
			connections[i].fd = 0;
		return;
	}
}

static void echo(const char *where)
{
	static struct pollfd polls[CONNECTIONS_MAX + 1];
	int listener = listen_at(where);

	printf("sockets: listening\n");
	for (;;) {
		polls[0] = (struct pollfd){ listener, POLLIN, 0 };
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			polls[i + 1] = (struct pollfd){ connections[i].fd ? connections[i].fd : -1,
				connections[i].waiting ? POLLOUT : POLLIN, 0 };
		if (poll(polls, CONNECTIONS_MAX + 1, -1) < 0)
			continue;
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			if (connections[i].fd && polls[i + 1].fd >= 0 && polls[i + 1].revents)
				echo_one(&connections[i]);
		if (polls[0].revents)
			take_connection(listener);
	}
}

// --- drive ---

static void say(struct connection *connection, size_t number, size_t bytes)
{
	const size_t left = bytes - connection->sent, length = left < CHUNK ? left : CHUNK;
	ssize_t count;

	for (size_t i = 0; i < length; i++)
		connection->bytes[i] = pattern(number, connection->sent + i);
	count = send(connection->fd, connection->bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count < 0 && !again(count))
		die("send");
	connection->sent += count > 0 ? (size_t)count : 0;
	if (connection->sent == bytes)
		shutdown(connection->fd, SHUT_WR);
}

static void hear(struct connection *connection, size_t number)
{
	ssize_t count = recv(connection->fd, connection->bytes, CHUNK, MSG_DONTWAIT);

	if (count < 0 && !again(count))
		die("recv");
	for (ssize_t i = 0; i < count; i++) {
		if (connection->bytes[i] == pattern(number, connection->got++))
			continue;
		printf("sockets: connection %zu: byte %zu is wrong\n", number, connection->got - 1);
		exit(1);
	}
	connection->ended = !count;
}

static size_t wait_for(struct pollfd *polls, size_t count, size_t bytes)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		const struct connection *connection = &connections[i];

		polls[i] = (struct pollfd){ connection->ended ? -1 : connection->fd,
			(short)(POLLIN | (connection->sent < bytes ? POLLOUT : 0)), 0 };
		left += !connection->ended;
	}
	errno = ETIMEDOUT;
	if (left && poll(polls, count, PATIENCE_MS) <= 0)
		die("poll");
	return left;
}

static uint64_t slowest_ms;

static int connect_in_time(const char *where)
{
	struct timespec before, after;
	uint64_t ms;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &before);
	fd = connect_to(where);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ms = (uint64_t)(after.tv_sec - before.tv_sec) * 1000 + (uint64_t)(after.tv_nsec / 1000000) -
	     (uint64_t)(before.tv_nsec / 1000000);
	if (ms > slowest_ms)
		slowest_ms = ms;
	return fd;
}

static void drive_round(const char *where, size_t count, size_t bytes)
{
	static struct pollfd polls[CONNECTIONS_MAX];

	memset(connections, 0, sizeof(connections));
	for (size_t i = 0; i < count; i++)
		connections[i].fd = connect_in_time(where);
	while (wait_for(polls, count, bytes)) {
		for (size_t i = 0; i < count; i++) {
			if (polls[i].revents & POLLOUT && connections[i].sent < bytes)
				say(&connections[i], i, bytes);
			if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
				hear(&connections[i], i);
		}
	}
	for (size_t i = 0; i < count; i++) {
		close(connections[i].fd);
		if (connections[i].got == bytes)
			continue;
		printf("sockets: connection %zu: %zu of %zu bytes came back\n", i,
			connections[i].got, bytes);
		exit(1);
	}
}

static void drive(const char *where, size_t count, size_t bytes, size_t rounds)
{
	for (size_t i = 0; i < rounds; i++)
		drive_round(where, count, bytes);
	printf("sockets: %zu connections, %zu bytes each, all right; the slowest began in %llu "
	       "ms\n",
		count * rounds, bytes, (unsigned long long)slowest_ms);
}

static void hold(const char *where, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (send(connect_to(where), "x", 1, MSG_NOSIGNAL) != 1)
			die("send");
	printf("sockets: held\n");
	for (;;)
		pause();
}

static void flood(const char *where)
{
	int fd = connect_to(where);
	struct pollfd room = { fd, POLLOUT, 0 };
	static uint8_t bytes[CHUNK];
	size_t sent = 0;
	ssize_t count;

	while (poll(&room, 1, 3000) > 0) {
		count = send(fd, bytes, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count < 0 && !again(count))
			die("send");
		sent += count > 0 ? (size_t)count : 0;
	}
	printf("sockets: %zu bytes, and no more\n", sent);
}

// Passes output on until it has said `word`; to its end, without one. Returns false at the end.
static bool hear_word(int master, const char *word)
{
	static char heard[65536];
	static size_t length;
	ssize_t count;

	while (!word || !memmem(heard, length, word, strlen(word))) {
		if (length == sizeof(heard))
			length = 0;
		count = read(master, heard + length, sizeof(heard) - length);
		if (count <= 0)
			return false;
		if (write(STDOUT_FILENO, heard + length, (size_t)count) < 0)
			die("output");
		length += (size_t)count;
	}
	length = 0;
	return true;
}

static int on_terminal(char **argv)
{
	const struct winsize size = { .ws_row = (unsigned short)atoi(argv[2]),
		.ws_col = (unsigned short)atoi(argv[3]) };
	char **command = argv + 4;
	int master, state;
	pid_t pid;

	while (*command && strcmp(*command, "--"))
		command++;
	pid = forkpty(&master, NULL, NULL, &size);
	if (!pid) {
		execvp(command[1], command + 1);
		_exit(127);
	}
	for (argv += 4; argv + 1 < command; argv += 2)
		if (hear_word(master, argv[0]) && write(master, argv[1], strlen(argv[1])) < 0)
			die("terminal");
	hear_word(master, NULL);
	waitpid(pid, &state, 0);
	return WIFEXITED(state) ? WEXITSTATUS(state) : 128;
}

int main(int argc, char **argv)
{
	const size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 5 && !strcmp(argv[1], "pty"))
		return on_terminal(argv);
	if (argc < 3 || count > CONNECTIONS_MAX)
		return 2;
	if (!strcmp(argv[1], "echo"))
		echo(argv[2]);
	else if (!strcmp(argv[1], "flood"))
		flood(argv[2]);
	else if (!strcmp(argv[1], "hold") && argc == 4)
		hold(argv[2], count);
	else if (!strcmp(argv[1], "drive") && argc == 6)
		drive(argv[2], count, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	else
		return 2;
	return 0;
}
