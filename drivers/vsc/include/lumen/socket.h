// SPDX-License-Identifier: BSD-2-Clause
// VMBus sockets (hvsock): streams of bytes between the kernel and programs of its host, as many as
// there are channels. Ports are those of Linux' AF_VSOCK.
//
//	static struct lumen_sockets sockets;
//	lumen_sockets_start(&sockets, bus, NULL);
//	lumen_socket_connect(&sockets, 1024, &socket);        // a client
//	lumen_socket_accept(&sockets, 77, &socket);           // a server
//	lumen_socket_send(socket, text, length, deadline, &sent);
//	lumen_socket_receive(socket, buffer, size, deadline, &received);
//	lumen_socket_close(socket, deadline);
//
// Deadlines are what lumen_deadline_ns() gives. With 0 sending and receiving wait for nothing, so
// that one thread can serve all of them: lumen_sockets_wait() is for that. It makes no difference
// whether VMBus has a vector.
//
// Any number of processors may call at once; but one thing that sends on a socket, and one that
// receives. Nothing is allocated but by accept and connect. What comes from the host is checked; a
// host that breaks a rule costs that connection.
#ifndef LUMEN_SOCKET_H
#define LUMEN_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"
#include "lumen/vmbus.h"

LUMEN_DECLS_BEGIN

#define LUMEN_SOCKET_MAX_PORT 0x7fffffffu

struct lumen_socket; // one connection, at the kernel's end

// What all connections have in common. Zeroes are a good choice.
struct lumen_sockets_config {
	// Of each ring's data: how much is under way before its sender waits. 0: 5 and 5, which
	// hosts before VMBus 5.0 insist on.
	uint32_t send_pages, receive_pages;
};

// The kernel's sockets. The kernel's memory, and the SDK's from lumen_sockets_start() on.
struct lumen_sockets {
	struct lumen_vmbus *bus;
	struct lumen_sockets_config config;
	uint32_t events;
	uint32_t last_port; // of the kernel's ends
};

// --- all sockets ---

// Begins: one for the bus, until it is disconnected. *config is copied; NULL: zeroes. Thread
// context. (It is the bus's watcher, lumen_vmbus_watch().)
void lumen_sockets_start(struct lumen_sockets *sockets, struct lumen_vmbus *bus,
	const struct lumen_sockets_config *config);

// A counter that goes up, with lumen_wake(), whenever a program of the host's may have connected,
// or something may have become possible on a socket, or it has ended: look at it before trying.
// Any context.
static inline uint32_t lumen_sockets_events(const struct lumen_sockets *sockets)
{
	return __atomic_load_n(&sockets->events, __ATOMIC_ACQUIRE);
}

// Waits until that counter is not `seen` any more, or lumen_now_ns() reaches the deadline. May
// return early. What has been tried before, and said LUMEN_BUSY, is worth another try then; what
// has not is not waited for. Thread context, interrupts on, no lock held.
void lumen_sockets_wait(struct lumen_sockets *sockets, uint32_t seen, uint64_t deadline_ns);

// --- a connection begins ---

// Connects to the program of the host's that listens at a port, and waits for it. Allocates (with
// defaults 19 pages). Thread context. LUMEN_REFUSED (nobody listens there, or the host has no
// room); LUMEN_TIMED_OUT (after the bus's timeout; with VMBus 4.0 also if nobody listens),
// LUMEN_NOT_SUPPORTED (an older one), LUMEN_BAD_ARGUMENT (port), or what lumen_channel_open() says.
lumen_status lumen_socket_connect(
	struct lumen_sockets *sockets, uint32_t port, struct lumen_socket **socket_out);

// Takes the connection that a program of the host's has begun to this port and that is the oldest
// nobody has taken yet. Nothing has to be done before that, but a host does not wait for ever: ours
// 10 s. Otherwise as connect. LUMEN_BUSY: there is none.
lumen_status lumen_socket_accept(
	struct lumen_sockets *sockets, uint32_t port, struct lumen_socket **socket_out);

// --- both streams ---

// Sends bytes. *sent says how many are on their way, also if it is not LUMEN_OK; the memory is the
// caller's again. `deadline_ns`: how long to wait for room (thread context, interrupts on, no lock
// held); 0: not at all, in any context. LUMEN_TIMED_OUT; LUMEN_BUSY (0 only): not all, try again
// when lumen_sockets_events() has changed; LUMEN_RESCINDED: the connection has ended, nobody reads;
// LUMEN_BAD_STATE: after lumen_socket_end(); LUMEN_BAD_HOST.
lumen_status lumen_socket_send(struct lumen_socket *socket, const void *data, uint32_t length,
	uint64_t deadline_ns, uint32_t *sent);

// Receives up to `size` bytes (not 0): what is there, at least one. LUMEN_OK with *received 0 is
// the end: the host's program has ended its stream, or is gone (lumen_socket_status()). Deadline
// and context as above. LUMEN_TIMED_OUT and LUMEN_BUSY (0 only): there is nothing; LUMEN_BAD_HOST.
lumen_status lumen_socket_receive(struct lumen_socket *socket, void *buffer, uint32_t size,
	uint64_t deadline_ns, uint32_t *received);

// Ends the kernel's stream: the host's program reads its end after all that was sent. It may go on
// writing. Any context; does not wait. Nothing happens if it was done before.
void lumen_socket_end(struct lumen_socket *socket);

// LUMEN_OK while there is a connection, even if both streams have ended; LUMEN_RESCINDED when the
// host has ended it and all that it sent has been received; LUMEN_BAD_HOST. Any context.
lumen_status lumen_socket_status(const struct lumen_socket *socket);

// In words, for the log: what the host did wrong, or NULL. Any context; a constant string.
const char *lumen_socket_failure(const struct lumen_socket *socket);

// --- and its end ---

// Ends the kernel's stream, throws away what comes still, and waits until the host has ended the
// connection: then its program has read all, or is gone. After the deadline (0: at once) what it
// has not read is lost. Frees everything. Thread context; nobody else may use the socket by now.
// LUMEN_OK, LUMEN_TIMED_OUT or LUMEN_BAD_HOST: how it went; it is closed in any case.
lumen_status lumen_socket_close(struct lumen_socket *socket, uint64_t deadline_ns);

LUMEN_DECLS_END

#endif
