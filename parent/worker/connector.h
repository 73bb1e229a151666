// SPDX-License-Identifier: BSD-2-Clause
// How a confined worker, which has no paths, gets connected to programs of the root: it asks the
// supervisor, by a socket between the two, for the one that listens at vsock_<port> in the child's
// directory, and gets a connected socket. That is all that can be asked for.
//
// The supervisor does not wait: neither for the program, whose listen queue may be full, nor for
// the worker.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Makes the two ends: [0] is the supervisor's. Returns false and errno.
bool connector_pair(int ends[2]);

// The supervisor's: carries out one request, of a worker that is not trusted. Returns false if
// there will be no more.
bool connector_serve(int fd, int directory);

// The worker's: asks for the program at a port. Returns false if that cannot be now.
bool connector_ask(int fd, uint32_t id, uint32_t port);

// The worker's: takes an answer. Returns false if there is none; *connected is -1 if nobody listens
// there.
bool connector_answer(int fd, uint32_t *id, int *connected);
