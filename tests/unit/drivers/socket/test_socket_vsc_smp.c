// SPDX-License-Identifier: BSD-2-Clause
// A socket on which one thread sends and another receives, while a third is the host and the
// processor that takes the interrupts: both streams are whole.
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "lumen/socket.h"
#include "socket_host.h"

enum { BYTES = SOCKET_HOST_BYTES };

static struct lumen_sockets sockets;
static struct lumen_socket *sock;
static uint32_t left; // threads of the guest's

static uint64_t forever(void)
{
	return lumen_deadline_ns(UINT64_MAX);
}

static void *send_all(void *argument)
{
	static uint8_t bytes[BYTES];
	uint32_t sent;

	(void)argument;
	for (uint32_t i = 0; i < BYTES; i++)
		bytes[i] = socket_host_byte(i);
	cr_assert_eq(lumen_socket_send(sock, bytes, BYTES, forever(), &sent), LUMEN_OK);
	cr_assert_eq(sent, BYTES);
	lumen_socket_end(sock);
	__atomic_sub_fetch(&left, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *receive_all(void *argument)
{
	static uint8_t bytes[3000];
	uint32_t count, all = 0;

	(void)argument;
	do {
		cr_assert_eq(lumen_socket_receive(sock, bytes, sizeof(bytes), forever(), &count),
			LUMEN_OK);
		for (uint32_t i = 0; i < count; i++)
			cr_assert_eq(bytes[i], socket_host_byte(all + i));
		all += count;
	} while (count);
	cr_assert_eq(all, BYTES);
	__atomic_sub_fetch(&left, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *host(void *argument)
{
	(void)argument;
	while (__atomic_load_n(&left, __ATOMIC_ACQUIRE) || socket_host.taken < BYTES)
		rig_run();
	return NULL;
}

static void run_threads(bool interrupts)
{
	void *(*const work[])(void *) = { host, send_all, receive_all };
	pthread_t threads[3];

	left = 2;
	socket_host_create();
	rig.interrupts = interrupts;
	lumen_sockets_start(&sockets, NULL, NULL);
	cr_assert_eq(lumen_socket_connect(&sockets, 1, &sock), LUMEN_OK);
	socket_host.to_write = BYTES;
	socket_host.ended = true;
	rig.threaded = true;
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, work[i], NULL), 0);
	for (uint32_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	rig.threaded = false;
	for (uint32_t i = 0; i < BYTES; i++)
		cr_assert_eq(socket_host.bytes[i], socket_host_byte(i));
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK);
	lumen_socket_close(sock, 0);
	rig_destroy();
}

Test(socket_smp, interrupts, .timeout = 100)
{
	run_threads(true);
}

Test(socket_smp, polling, .timeout = 100)
{
	run_threads(false);
}
