// SPDX-License-Identifier: BSD-2-Clause
// The web server: connections of lwIP's, files of a file system. One thread calls all of it.
#pragma once

#include <stdbool.h>

#include "examples/disk/disk.h"

enum { SERVER_CONNECTIONS = 32 };

struct server_counters {
	uint64_t requests, errors; // answered, and those of them with a status of 400 and more
	uint64_t connections;	   // that have come
	uint64_t refused;	   // of these, because all places were busy
	uint64_t timeouts, aborted;
	uint32_t open;
};

extern struct server_counters server_counters;

// Listens at port 80. False: lwIP has no memory.
bool server_start(struct ext2 *fs);

// Goes on with connections that wait: when the cache has news, or the card has room.
void server_run(void);

// Ends all connections.
void server_stop(void);
