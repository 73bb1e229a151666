// SPDX-License-Identifier: BSD-2-Clause
// See listener.h.
#include "parent/worker/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/worker/log.h"

int listener_open(const char *directory, const char *name, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t room = sizeof(address.sun_path);
	int length = snprintf(address.sun_path, room, "%s/%s", directory, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	errno = ENAMETOOLONG;
	if (fd >= 0 && (size_t)length < room) {
		unlink(address.sun_path);
		if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, backlog))
			return fd;
	}
	log_line("the socket %s/%s cannot be opened: %s", directory, name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}
