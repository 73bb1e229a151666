// SPDX-License-Identifier: BSD-2-Clause
// lumen-agent: carries out in a Linux child what `lumenctl exec` and `lumenctl copy` ask for, over
// a VMBus socket (parent/common/agent_wire.h). Whoever may speak to the child's sockets is root in
// it. One process for each connection; so many at most, others wait.
//
// Static, and without a file of its own: it serves as an example of a service for the root. It
// needs the driver, hv_sock. When it listens, it goes on in the background.
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/linux/agent/agent.h"
#include "parent/common/agent_file.h"

enum { CONNECTIONS_MAX = 128, BACKLOG = 128 };

static struct agent_stream stream;

// --- files ---

static void fail_with(const char *path, const char *what)
{
	char sentence[AGENT_SENTENCE_MAX];

	snprintf(sentence, sizeof(sentence), "%s %s: %s.", path, what, strerror(errno));
	agent_fail(&stream, sentence);
}

static void get(struct agent_frame *request)
{
	char sentence[AGENT_SENTENCE_MAX];
	const char *path = agent_string(request);
	// Opening a FIFO would wait, and a device ring.
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	struct agent_file file;
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat)) {
		fail_with(path ? path : "", "cannot be read");
		return;
	}
	if (!S_ISREG(stat.st_mode)) {
		snprintf(sentence, sizeof(sentence), "%s is no regular file.", path);
		agent_fail(&stream, sentence);
		return;
	}
	file = (struct agent_file){ .size = (uint64_t)stat.st_size, .mode = stat.st_mode & 0777 };
	if (agent_send(&stream, AGENT_FILE, &file, sizeof(file), NULL, 0) &&
		!agent_send_file(&stream, fd, file.size, NULL, sentence) && *sentence)
		agent_fail(&stream, sentence);
}

static void put(struct agent_frame *request)
{
	char sentence[AGENT_SENTENCE_MAX] = "That is no request.", path[4096], last[256];
	struct agent_file file;
	const char *strings[2];

	if (!agent_take(request, &file, sizeof(file)) || !(strings[0] = agent_string(request)) ||
		!(strings[1] = agent_string(request)) || strlen(strings[0]) >= sizeof(path) ||
		strlen(strings[1]) >= sizeof(last)) {
		agent_fail(&stream, sentence);
		return;
	}
	strcpy(path, strings[0]); // the frame goes with the next one
	strcpy(last, strings[1]);
	if (agent_receive_file(&stream, path, last, &file, NULL, sentence))
		agent_send(&stream, AGENT_DONE, NULL, 0, NULL, 0);
	else if (*sentence)
		agent_fail(&stream, sentence);
}

// --- connections ---

static void serve(int fd)
{
	struct agent_frame request;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	agent_begin(&stream, fd);
	if (!agent_receive(&stream, &request))
		return;
	if (request.type == AGENT_EXEC)
		agent_execute(&stream, &request);
	else if (request.type == AGENT_GET)
		get(&request);
	else if (request.type == AGENT_PUT)
		put(&request);
	else
		agent_fail(&stream, "The agent does not know what is asked of it.");
}

// What is still on its way when the last descriptor is closed may be lost, as the host takes the
// channel back: the other end closes first.
static void wait_for_end(int fd)
{
	static char bytes[65536];

	shutdown(fd, SHUT_WR);
	fcntl(fd, F_SETFL, 0);
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
}

static int listen_here(void)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = AGENT_PORT
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
		listen(fd, BACKLOG))
		return -1;
	return fd;
}

// Returns whether there is a process more.
static bool take_connection(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid = fd >= 0 ? fork() : -1;

	if (!pid) {
		signal(SIGPIPE, SIG_IGN);
		serve(fd);
		alarm(AGENT_PATIENCE_MS / 1000);
		wait_for_end(fd);
		_exit(0);
	}
	if (fd >= 0)
		close(fd);
	return pid > 0;
}

// Takes those that have ended; waits for one if there are as many as there may be.
static void reap(unsigned *count)
{
	while (*count && waitpid(-1, NULL, *count < CONNECTIONS_MAX ? WNOHANG : 0) > 0)
		--*count;
}

int main(void)
{
	int listener = listen_here();
	unsigned count = 0;

	if (listener < 0) {
		perror("lumen-agent");
		return 1;
	}
	if (fork())
		return 0;
	setsid();
	for (;;) {
		count += take_connection(listener);
		reap(&count);
	}
}
