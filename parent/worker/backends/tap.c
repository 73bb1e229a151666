// SPDX-License-Identifier: BSD-2-Clause
// See tap.h. Frames leave by the ring, a batch with one system call, and a request there waits
// until the TAP is readable. Frames are read one by one: a ring's read of a TAP (Linux 6.1: no
// RWF_NOWAIT) would not come back without one.
#include "parent/worker/backends/tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/backends/ring.h"
#include "parent/worker/log.h"

enum {
	ENTRIES = 512,
	READS_MAX = 64, // tried in one kick; what is left is told by the wait, at once
};

enum { HEADER = sizeof(struct net_header) };

struct tap {
	struct net_wire wire; // first
	int fd;
	struct io_uring ring; // requests are about a frame (their data), or the wait (NULL)
	struct net_buffer *rooms, **rooms_end;
	bool readable, waits; // there may be frames; the ring tells when there are
	bool gone;
	uint64_t refused;
	struct log_limit broken;
};

static struct tap *tap_of(struct net_wire *wire)
{
	return (struct tap *)wire;
}

struct net_wire *tap_wire(struct tap *tap)
{
	return &tap->wire;
}

int tap_event_fd(const struct tap *tap)
{
	return tap->ring.ring_fd;
}

uint64_t tap_refused(const struct tap *tap)
{
	return __atomic_load_n(&tap->refused, __ATOMIC_RELAXED);
}

// --- the ring ---

// Hands over what has been prepared. What the kernel does not take now is taken the next time.
static void submit(struct tap *tap)
{
	const int result = io_uring_submit(&tap->ring);

	if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
		log_limited(
			&tap->broken, "network: io_uring takes no requests: %s", strerror(-result));
}

static struct io_uring_sqe *prepare(struct tap *tap)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&tap->ring);

	if (!sqe) {
		submit(tap);
		sqe = io_uring_get_sqe(&tap->ring);
	}
	return sqe;
}

static void sent(struct tap *tap, struct net_buffer *frame, int result)
{
	if (result <= HEADER)
		__atomic_add_fetch(&tap->refused, 1, __ATOMIC_RELAXED);
	frame->done(frame, result > HEADER ? (uint32_t)result - HEADER : 0);
}

// An interface that somebody has deleted would be readable for ever. (A wait that is cancelled, as
// one whose thread has ended is when it would be over, says nothing of the interface.)
static void waited(struct tap *tap, int result)
{
	tap->waits = false;
	tap->gone = result > 0 && !(result & POLLIN);
	tap->readable = !tap->gone;
	if (tap->gone)
		log_limited(&tap->broken, "network: the TAP is gone: no more frames come");
}

// Takes what is done, or (`up_to_wait`) what was done before the wait was: that has to be found in
// the ring by the next poll, which it leads to.
static void reap(struct tap *tap, bool up_to_wait)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&tap->ring, &cqe)) {
		struct net_buffer *frame = io_uring_cqe_get_data(cqe);
		const int result = cqe->res;

		if (!frame && up_to_wait)
			return;
		io_uring_cqe_seen(&tap->ring, cqe);
		if (frame)
			sent(tap, frame, result);
		else
			waited(tap, result);
	}
}

// --- the wire ---

static void send_frame(struct net_wire *wire, struct net_buffer *frame)
{
	struct tap *tap = tap_of(wire);
	struct io_uring_sqe *sqe = prepare(tap);

	if (!sqe) {
		sent(tap, frame, -EBUSY);
		return;
	}
	io_uring_prep_writev(sqe, RING_FILE, (const struct iovec *)frame->iov, frame->iov_count, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, frame);
}

static void receive(struct net_wire *wire, struct net_buffer *room)
{
	struct tap *tap = tap_of(wire);

	room->next = NULL;
	*tap->rooms_end = room;
	tap->rooms_end = &room->next;
}

// Returns false if there is no frame.
static bool read_one(struct tap *tap)
{
	struct net_buffer *room = tap->rooms;
	const ssize_t result =
		readv(tap->fd, (const struct iovec *)room->iov, (int)room->iov_count);

	if (result <= HEADER)
		return false;
	tap->rooms = room->next;
	if (!tap->rooms)
		tap->rooms_end = &tap->rooms;
	room->done(room, (uint32_t)result - HEADER);
	return true;
}

static void wait_for_frames(struct tap *tap)
{
	struct io_uring_sqe *sqe;

	if (tap->waits || tap->gone || !tap->rooms || !(sqe = prepare(tap)))
		return;
	io_uring_prep_poll_add(sqe, RING_FILE, POLLIN);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, NULL);
	tap->waits = true;
}

// *left: how often it may still try.
static void read_frames(struct tap *tap, uint32_t *left)
{
	for (; *left && tap->readable && tap->rooms; --*left)
		tap->readable = read_one(tap);
}

// What the root answers to a frame is there when the ring has sent it: it is read at once, so that
// one signal tells the guest of both.
static void kick(struct net_wire *wire)
{
	struct tap *tap = tap_of(wire);
	uint32_t left = READS_MAX;

	do {
		read_frames(tap, &left);
		wait_for_frames(tap);
		if (!io_uring_sq_ready(&tap->ring))
			return;
		submit(tap);
		reap(tap, !left);
	} while (tap->readable);
}

static void take_back(struct net_wire *wire)
{
	struct tap *tap = tap_of(wire);
	struct net_buffer *room = tap->rooms, *next;

	tap->rooms = NULL;
	tap->rooms_end = &tap->rooms;
	for (; room; room = next) {
		next = room->next;
		room->done(room, 0);
	}
}

static void set_takes(struct net_wire *wire, uint32_t takes)
{
	struct tap *tap = tap_of(wire);
	unsigned int flags = 0;

	if (takes & NET_TAKES_UNFINISHED)
		flags |= TUN_F_CSUM;
	if (takes & NET_TAKES_LARGE)
		flags |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	if (ioctl(tap->fd, TUNSETOFFLOAD, flags))
		log_limited(&tap->broken, "network: the TAP's offloads stay as they are: %s",
			strerror(errno));
}

void tap_poll(struct tap *tap)
{
	reap(tap, false);
}

// --- open and close ---

static int open_ring(struct tap *tap)
{
	static const uint8_t operations[] = { IORING_OP_WRITEV, IORING_OP_POLL_ADD,
		IORING_OP_POLL_REMOVE };
	const int error = ring_open(&tap->ring, ENTRIES, -1, operations, ARRAY_SIZE(operations));

	if (error)
		tap->ring.ring_fd = -1;
	return error;
}

struct tap *tap_make(struct failure *failure)
{
	static const struct net_wire_ops ops = { send_frame, receive, kick, take_back, set_takes };
	struct tap *tap = calloc(1, sizeof(*tap));
	int error;

	if (!tap) {
		failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The worker has too little memory.");
		return NULL;
	}
	tap->wire.ops = &ops;
	tap->fd = -1;
	tap->rooms_end = &tap->rooms;
	error = open_ring(tap);
	if (!error)
		return tap;
	failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The network card has no io_uring: %s.",
		strerror(-error));
	tap_close(tap);
	return NULL;
}

// A wait of a thread that has ended stays, and holds the TAP, until something comes.
static void end_wait(struct tap *tap)
{
	struct io_uring_sqe *sqe = tap->waits ? prepare(tap) : NULL;

	if (!sqe)
		return;
	io_uring_prep_poll_remove(sqe, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, NULL);
	submit(tap);
	reap(tap, false);
}

void tap_drop(struct tap *tap)
{
	if (tap->fd < 0)
		return;
	end_wait(tap);
	ring_set_file(&tap->ring, -1);
	close(tap->fd);
	tap->fd = -1;
}

bool tap_take(struct tap *tap, int fd)
{
	tap_drop(tap);
	if (ioctl(fd, TUNSETOFFLOAD, 0) || ring_set_file(&tap->ring, fd))
		return false;
	reap(tap, false); // the wait for another one
	tap->fd = fd;
	tap->waits = tap->gone = tap->readable = false;
	return true;
}

void tap_close(struct tap *tap)
{
	if (tap->ring.ring_fd >= 0)
		io_uring_queue_exit(&tap->ring);
	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}
