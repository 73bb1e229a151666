// SPDX-License-Identifier: BSD-2-Clause
// Descriptors that go from one process to another, beside bytes, by a Unix socket (unix(7)).
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Sends bytes, and with the first of them a descriptor unless it is -1; it stays the caller's, too.
// As sendmsg(), with its flags; no signal comes of it.
ssize_t descriptor_send(int socket, const void *bytes, size_t size, int descriptor, int flags);

// Takes bytes, and what came with them: *descriptor, the caller's then, or -1. As recvmsg() without
// waiting.
ssize_t descriptor_receive(int socket, void *bytes, size_t size, int *descriptor);
