// SPDX-License-Identifier: BSD-2-Clause
// The child's VMBus sockets: a channel for each connection, between a program of the child's and
// one of the root's, which has a Unix socket in the child's directory (docs/worker.md, "Sockets").
//
// A connection has one of a number of places from its first word on, until the child has let go of
// its channel; each step of it that somebody else has to take has a deadline.
#pragma once

#include "drivers/vsp/socket/socket.h"
#include "parent/worker/devices/device.h"

enum {
	// Connections of a child. Each takes one of the 256 event flags that the driver lets a
	// child have; with 64 VPs and all sub-channels the devices take 90.
	SOCKETS_MAX = 160,
	SOCKET_LINE_MAX = 32,
};

// What is waited for.
enum socket_state {
	SOCKET_FREE,
	SOCKET_LINE,	// the program of the root's is to say what it wants
	SOCKET_ANSWER,	// the child has asked; the supervisor is to say who listens
	SOCKET_OFFERED, // the child is to open the channel
	SOCKET_AGAIN,	// it is to let go of the channel, which it has not opened, and gets another
	SOCKET_OPEN,
	SOCKET_LEAVING, // the child is to let go of the channel; the program has been left
};

struct socket_device;

struct socket_connection {
	struct vmbus_device vmbus;
	struct socket_device *sockets;
	enum socket_state state;
	bool from_child;      // it has asked for the connection
	bool watched;	      // `program` is in the loop
	uint32_t port;	      // that somebody listens at
	uint32_t request;     // of the child's, in SOCKET_ANSWER
	uint32_t offers;      // of its channel, so far
	uint32_t number;      // of all connections'; an answer of the supervisor's has it
	deadline_ns deadline; // 0: none
	int fd;		      // of the program; -1: none
	struct loop_source program, signalled; // the latter in SOCKET_OPEN
	char line[SOCKET_LINE_MAX];
	uint32_t line_length;
	struct socket_wire wire;
	struct socket_vsp_config config;
	struct vsp *vsp; // while the channel is open
	uint64_t told;	 // bytes_out when it was served last
};

struct socket_device {
	struct device device;
	struct loop_source listener, connector, ticks;
	bool ticking, deaf; // deaf: the listener is out of the loop, until a tick
	uint32_t used, number;
	uint64_t opened, refused, late; // connections; those that nobody listened for; deadlines
	uint64_t again;			// offers that were made once more
	struct socket_connection connections[SOCKETS_MAX];
};

// All of its row but for class.
#define SOCKET_ROW                                                                                 \
	.size = sizeof(struct socket_device), .attach = socket_attach, .offer = socket_offer,      \
	.detach = socket_detach, .count = socket_count, .stat = socket_stat

bool socket_attach(struct device *device, struct failure *failure);
bool socket_offer(struct device *device);
bool socket_detach(struct device *device, deadline_ns deadline);
uint64_t socket_count(const struct device *device, const struct vsp_counter *counter);
void socket_stat(struct device *device, struct stat_text *stat);

// --- parts of the above ---

// Takes a place, and gives it back. NULL: there is none left.
struct socket_connection *socket_take_place(struct socket_device *sockets);
void socket_free_place(struct socket_connection *connection);

// The next step has to be taken in so many milliseconds.
void socket_set_deadline(struct socket_connection *connection, uint32_t ms);

// Begins with the line of a program that has connected, and serves what is in the loop from then
// on. False: it cannot be watched, and nothing has begun.
bool socket_begin(struct socket_connection *connection, int fd);

// Offers the connection's channel, to whose other end `fd` leads, as this instance. False: there is
// no channel left.
bool socket_offer_channel(
	struct socket_connection *connection, const struct vmbus_guid *instance, int fd);

// The child has not opened what it was offered in time: that is taken back, and offered once more.
// False: it is not that, or that was often enough.
bool socket_offer_again(struct socket_connection *connection);

// Ends a connection, whatever it waits for. The program is told why, unless that is NULL or it is
// connected already: a sentence.
void socket_end(struct socket_connection *connection, const char *why);
