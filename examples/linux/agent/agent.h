// SPDX-License-Identifier: BSD-2-Clause
// The parts of the agent.
#pragma once

#include "parent/common/agent_wire.h"

// The command of a connection, from its request to its status. Returns when that has been sent, or
// nobody listens any more and nothing is left of the command but what has left its session.
void agent_execute(struct agent_stream *stream, struct agent_frame *request);
