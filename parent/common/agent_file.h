// SPDX-License-Identifier: BSD-2-Clause
// A file from one end of an agent's connection to the other: holes stay holes, and a target is
// there when it is whole.
#pragma once

#include "parent/common/agent_wire.h"

enum { AGENT_SENTENCE_MAX = 400 };

// So many bytes of the file's size are done. May be NULL.
typedef void (*agent_progress)(uint64_t done, uint64_t size);

// Sends a regular file's data, and AGENT_END. Returns false with a sentence, or with "" if the
// connection is over, or the other end says something before it has all.
bool agent_send_file(struct agent_stream *stream, int fd, uint64_t size, agent_progress progress,
	char *sentence);

// Receives data to AGENT_END into a new file beside `path`, and renames it to that. The same
// results; what is left of it is removed. If the path is a folder, `last` is put behind it.
bool agent_receive_file(struct agent_stream *stream, const char *path, const char *last,
	const struct agent_file *file, agent_progress progress, char *sentence);

// Removes the file that is being received, if there is one: for a handler of signals.
void agent_forget_file(void);
