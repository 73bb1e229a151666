// SPDX-License-Identifier: BSD-2-Clause
// The Unix sockets on which the worker listens, in the child's directory.
#pragma once

// Opens one, in place of what is there. Returns a descriptor that does not block, or -1 after
// logging why.
int listener_open(const char *directory, const char *name, int backlog);
