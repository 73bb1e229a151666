// SPDX-License-Identifier: BSD-2-Clause
// lumenctl's way to the agent in a child: by the child's socket for connections (docs/worker.md,
// "Sockets").
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/ctl/ctl.h"
#include "parent/ctl/deadline.h"

// The worker gives the child 10 s.
enum { CONNECT_S = 20, LINE_MAX_LENGTH = 120 };

static bool read_line(int fd, char *line)
{
	for (size_t length = 0; length < LINE_MAX_LENGTH; length++) {
		if (read(fd, line + length, 1) != 1)
			return false;
		if (line[length] == '\n') {
			line[length] = 0;
			return true;
		}
	}
	return false;
}

// Returns 0, or an exit status after saying why not.
static int ask(const char *name, int fd)
{
	static const char error[] = "ERROR ";
	char line[LINE_MAX_LENGTH];

	dprintf(fd, "CONNECT %d\n", AGENT_PORT);
	if (!read_line(fd, line))
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker of %s does not answer.", name);
	if (!strncmp(line, "OK ", 3))
		return 0;
	if (strncmp(line, error, strlen(error)))
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker's answer makes no sense.");
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The agent in %s cannot be reached: %s", name,
		line + strlen(error));
}

// Within a deadline.
static int connect_agent(const char *name, int directory, int *fd)
{
	struct sockaddr_un address;

	rundir_socket_address(directory, RUNDIR_VSOCK, &address);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || connect(*fd, (struct sockaddr *)&address, sizeof(address)))
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The worker of %s cannot be reached: %s.",
			name, strerror(errno));
	return ask(name, *fd);
}

int ctl_agent(const char *name, struct agent_stream *stream)
{
	int status, fd = -1, directory = ctl_find_running(name, &status);

	if (directory < 0)
		return status;
	deadline_start(CONNECT_S);
	status = connect_agent(name, directory, &fd);
	deadline_end();
	close(directory);
	if (status && fd >= 0)
		close(fd);
	if (status)
		return status;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	agent_begin(stream, fd);
	return 0;
}
