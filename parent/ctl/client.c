// SPDX-License-Identifier: BSD-2-Clause
// lumenctl's end of the control socket.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/ctl/deadline.h"

enum {
	ANSWER_MAX = 16 << 20, // bytes: no worker says more
	CHUNK = 65536,
};

static const char *why_not(void)
{
	return deadline_passed() ? "it does not answer" : strerror(errno);
}

static int connect_to(int directory, int flags)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	rundir_socket_address(directory, RUNDIR_SOCKET, &address);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

int ctl_connect(int directory, bool quiet)
{
	int fd = connect_to(directory, 0);

	if (fd < 0 && !quiet)
		ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker cannot be reached: %s.", why_not());
	return fd;
}

int ctl_connect_now(int directory)
{
	return connect_to(directory, SOCK_NONBLOCK);
}

// Reads the first line of the answer, byte by byte: the rest is the caller's.
static bool read_answer(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && read(fd, line + length, 1) == 1) {
		if (line[length] == '\n') {
			line[length] = 0;
			return true;
		}
		length++;
	}
	return false;
}

// Reads the first line of the answer. Returns NULL if it is ok, or a sentence that says why not, in
// `line` if it is the worker's.
static const char *take_verdict(int fd, char *line, size_t size)
{
	static const char error[] = "error ";

	if (!read_answer(fd, line, size))
		return deadline_passed() ? "The worker does not answer."
					 : "The worker did not answer: the child has just ended.";
	if (!strcmp(line, "ok"))
		return NULL;
	return strncmp(line, error, strlen(error)) ? "The worker's answer makes no sense."
						   : line + strlen(error);
}

int ctl_verdict(int fd)
{
	char line[300];
	const char *why = take_verdict(fd, line, sizeof(line));

	return why ? ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s", why) : 0;
}

static int request(int directory, const char *request, bool quiet)
{
	int fd = ctl_connect(directory, quiet);
	const char *why;
	char line[300];

	if (fd < 0)
		return -1;
	dprintf(fd, "%s\n", request); // one that cannot be read is not answered either
	why = take_verdict(fd, line, sizeof(line));
	if (!why)
		return fd;
	if (!quiet)
		ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s", why);
	close(fd);
	return -1;
}

int ctl_request(int directory, const char *what, unsigned int seconds, bool quiet)
{
	int fd;

	deadline_start(seconds);
	fd = request(directory, what, quiet);
	deadline_end();
	return fd;
}

// Copies a socket to its end. Returns false if that does not come.
static bool copy_answer(int fd, FILE *copy)
{
	static char chunk[CHUNK];
	ssize_t length = 0;
	size_t all = 0;

	while (all < ANSWER_MAX && (length = read(fd, chunk, sizeof(chunk))) > 0) {
		fwrite(chunk, 1, (size_t)length, copy);
		all += (size_t)length;
	}
	return !length;
}

// The whole answer is taken before any of it is shown: nobody who reads us slowly is the worker's
// concern.
char *ctl_take_answer(int fd, bool quiet)
{
	char *text = NULL;
	size_t size;
	FILE *copy = open_memstream(&text, &size);
	bool whole = copy && copy_answer(fd, copy);

	if (copy && fclose(copy))
		whole = false;
	if (whole)
		return text;
	free(text);
	if (!quiet)
		ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker's answer has no end: %s.", why_not());
	return NULL;
}

char *ctl_ask(int directory, const char *what, unsigned int seconds, bool quiet)
{
	char *text;
	int fd;

	deadline_start(seconds);
	fd = request(directory, what, quiet);
	text = fd >= 0 ? ctl_take_answer(fd, quiet) : NULL;
	deadline_end();
	if (fd >= 0)
		close(fd);
	return text;
}
