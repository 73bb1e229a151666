// SPDX-License-Identifier: BSD-2-Clause
// See connector.h.
#include "parent/worker/connector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/common/rundir.h"

struct request {
	uint32_t id, port;
};

// An answer: its id, and a descriptor unless nobody listens.
struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
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

static void answer(int fd, uint32_t id, int connected)
{
	struct control control = { { 0 } };
	struct iovec part = { &id, sizeof(id) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (connected >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &connected, sizeof(int));
	}
	sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); // who takes no answers gets none
}

bool connector_serve(int fd, int directory)
{
	struct request request;
	ssize_t length = recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	int connected;

	if (length != sizeof(request))
		return length < 0 && (errno == EAGAIN || errno == EINTR);
	connected = connect_to(directory, request.port);
	answer(fd, request.id, connected);
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
	struct control control;
	struct iovec part = { id, sizeof(*id) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *header;

	if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*id))
		return false;
	header = CMSG_FIRSTHDR(&message);
	*connected = -1;
	if (header)
		memcpy(connected, CMSG_DATA(header), sizeof(int));
	return true;
}
