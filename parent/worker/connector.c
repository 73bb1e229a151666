// SPDX-License-Identifier: BSD-2-Clause
// See connector.h.
#include "parent/worker/connector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/common/descriptor.h"
#include "parent/common/rundir.h"

struct request {
	uint32_t id, port;
};

bool connector_pair(int ends[2])
{
	return !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static int connect_to(int directory, uint32_t port)
{
	struct sockaddr_un address;
	char name[sizeof(RUNDIR_VSOCK) + 16];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(name, sizeof(name), RUNDIR_VSOCK "_%u", port);
	rundir_socket_address(directory, name, &address);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

bool connector_serve(int fd, int directory)
{
	struct request request;
	ssize_t length = recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	int connected;

	if (length != sizeof(request))
		return length < 0 && (errno == EAGAIN || errno == EINTR);
	connected = connect_to(directory, request.port);
	// Who takes no answers gets none. One without a descriptor: nobody listens.
	descriptor_send(fd, &request.id, sizeof(request.id), connected, MSG_DONTWAIT);
	if (connected >= 0)
		close(connected);
	return true;
}

bool connector_ask(int fd, uint32_t id, uint32_t port)
{
	const struct request request = { id, port };

	return send(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(request);
}

bool connector_answer(int fd, uint32_t *id, int *connected)
{
	return descriptor_receive(fd, id, sizeof(*id), connected) == (ssize_t)sizeof(*id);
}
