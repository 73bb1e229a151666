// SPDX-License-Identifier: BSD-2-Clause
// The supervisor connects the worker to programs that listen in the child's directory, and to
// nothing else, whatever it is asked.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/worker/connector.h"
#include "parent/worker/listener.h"

static char directory[] = "/tmp/lumen-connector-XXXXXX";
static int ends[2], directory_fd;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	cr_assert(connector_pair(ends));
}

static void teardown(void)
{
	char command[100];

	close(ends[0]);
	close(ends[1]);
	close(directory_fd);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(connector, .init = setup, .fini = teardown, .timeout = 20);

static int ask(uint32_t id, uint32_t port)
{
	uint32_t answered = 0;
	int connected = -1;

	cr_assert(connector_ask(ends[1], id, port));
	cr_assert(connector_serve(ends[0], directory_fd));
	cr_assert(connector_answer(ends[1], &answered, &connected));
	cr_assert_eq(answered, id);
	return connected;
}

Test(connector, who_listens_is_connected)
{
	int listener = listener_open(directory, "vsock_77", 4);
	int connected = ask(5, 77), accepted = accept(listener, NULL, NULL);
	char byte = 0;

	cr_assert_geq(connected, 0);
	cr_assert_eq(write(connected, "x", 1), 1);
	cr_assert_eq(read(accepted, &byte, 1), 1);
	cr_assert_eq(byte, 'x');
	cr_assert(fcntl(connected, F_GETFL) & O_NONBLOCK);
	close(accepted);
	close(connected);
	close(listener);
}

Test(connector, nobody_listens)
{
	int fd = open("/dev/null", O_RDONLY);
	char path[100];

	cr_assert_eq(ask(1, 77), -1);
	close(listener_open(directory, "vsock_78", 4)); // a socket that is left
	cr_assert_eq(ask(2, 78), -1);
	snprintf(path, sizeof(path), "%s/vsock_79", directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(ask(3, 79), -1, "no socket");
	cr_assert_eq(ask(4, UINT32_MAX), -1);
	close(fd);
}

// The supervisor does not wait for a place in somebody's queue.
Test(connector, a_queue_that_is_full)
{
	int listener = listener_open(directory, "vsock_77", 1), connected[8], count = 0;

	while (count < 8 && (connected[count] = ask(1, 77)) >= 0)
		count++;
	cr_assert_lt(count, 8);
	while (count--)
		close(connected[count]);
	close(listener);
}

Test(connector, requests_without_sense_end_it)
{
	cr_assert(connector_serve(ends[0], directory_fd), "nothing yet");
	cr_assert_eq(send(ends[1], "short", 5, 0), 5);
	cr_assert_not(connector_serve(ends[0], directory_fd));
	cr_assert_eq(send(ends[1], "far too long", 12, 0), 12);
	cr_assert_not(connector_serve(ends[0], directory_fd));
	close(ends[1]);
	ends[1] = -1;
	cr_assert_not(connector_serve(ends[0], directory_fd));
}

// A worker that takes no answers costs no descriptors.
Test(connector, answers_that_are_not_taken)
{
	int listener = listener_open(directory, "vsock_77", 128), before = dup(0), after;

	close(before);
	for (int i = 0; i < 5000; i++) {
		if (connector_ask(ends[1], 1, i & 1 ? 77 : 78))
			cr_assert(connector_serve(ends[0], directory_fd));
		close(accept(listener, NULL, NULL));
	}
	after = dup(0);
	cr_assert_eq(after, before);
	close(after);
	close(listener);
}

Test(connector, a_name_that_is_too_long_for_a_socket)
{
	static const char name[] = "12345678901234567890123456789012345678901234567890"
				   "12345678901234567890123456789012345678901234567890";

	cr_assert_eq(listener_open(directory, name, 1), -1);
}
