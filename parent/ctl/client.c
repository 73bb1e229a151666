// SPDX-License-Identifier: BSD-2-Clause
// lumenctl's end of the control socket, and the requests that are only that: stop and kill.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *name, bool quiet)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	_Static_assert(RUNDIR_PATH_MAX <= sizeof(address.sun_path), "a path fits a socket address");
	if (fd >= 0 && rundir_path(address.sun_path, name, RUNDIR_SOCKET) &&
		!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	if (!quiet)
		ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker of %s cannot be reached: %s.", name,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
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

// Makes the request on a connection. Returns NULL if the answer is ok, or a sentence that says why
// not, in `line` if it is the worker's.
static const char *converse(int fd, const char *request, char *line, size_t size)
{
	static const char error[] = "error ";

	if (dprintf(fd, "%s\n", request) < 0 || !read_answer(fd, line, size))
		return "The worker did not answer: the child has just ended.";
	if (!strcmp(line, "ok"))
		return NULL;
	return strncmp(line, error, strlen(error)) ? "The worker's answer makes no sense."
						   : line + strlen(error);
}

int ctl_request(const char *name, const char *request, bool quiet)
{
	int fd = connect_to(name, quiet);
	const char *why;
	char line[300];

	if (fd < 0)
		return -1;
	why = converse(fd, request, line, sizeof(line));
	if (!why)
		return fd;
	if (!quiet)
		ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s", why);
	close(fd);
	return -1;
}

static int find_running(const char *name)
{
	struct rundir_status child;
	int status = ctl_find(name, &child);

	if (!status && child.state != RUNDIR_RUNNING)
		status = ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s does not run.", name);
	return status;
}

// A request after which the child ends: waits for that.
static int request_end(int argc, char **argv, const char *request)
{
	const char *name;
	int fd, status = ctl_one_name(argc, argv, &name, false, NULL);

	if (!status)
		status = find_running(name);
	if (status)
		return status;
	fd = ctl_request(name, request, false);
	if (fd < 0)
		return LUMEN_EXIT_OUR_FAULT;
	close(fd);
	return rundir_wait(name) ? LUMEN_EXIT_OUR_FAULT : 0;
}

int ctl_stop(int argc, char **argv)
{
	return request_end(argc, argv, "stop");
}

int ctl_kill(int argc, char **argv)
{
	return request_end(argc, argv, "kill");
}
