// SPDX-License-Identifier: BSD-2-Clause
// The framework of the integration components, as both ends see it: messages with a header, and the
// choice of versions. No state, no allocation; any thread. Nothing here trusts the other end.
#ifndef LUMEN_DRIVERS_COMMON_IC_H
#define LUMEN_DRIVERS_COMMON_IC_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/proto/ic.h"
#include "drivers/proto/pipe.h"

// --- messages ---

struct ic_message {
	struct ic_header header; // a copy
	const uint8_t *body;	 // header.size bytes, in what was parsed; not aligned
};

// Reads a message of the pipe (pipe_parse(); private memory). Returns false, and leaves *message
// alone, if its header is cut short or counts more than there is. Type, versions and flags are as
// they came.
bool ic_parse(const void *bytes, uint32_t length, struct ic_message *message);

// What goes in front of a body, into the ring.
struct ic_frame {
	struct pipe_header pipe;
	struct ic_header header;
};
HV_ASSERT(sizeof(struct ic_frame) == 28, "ic_frame");

// The versions that both ends have agreed on; zeroes before they have.
struct ic_dialect {
	struct ic_version framework, message;
};

// Frames a request of the host with a body of `size` bytes. The next one has the next id.
struct ic_frame ic_request(const struct ic_dialect *dialect, enum ic_message_type type,
	uint8_t transaction_id, uint16_t size);

// Frames the guest's response to a request: its header comes back, with a status and the size of
// the response's body.
struct ic_frame ic_response(const struct ic_header *request, uint32_t status, uint16_t size);

// Returns whether a message is the response to a request that was framed with this type and id.
bool ic_is_response(
	const struct ic_header *header, enum ic_message_type type, uint8_t transaction_id);

// --- versions ---

// Versions that an end speaks, the oldest first.
struct ic_versions {
	const struct ic_version *list;
	uint32_t count; // 1 to IC_VERSIONS_MAX
};

enum { IC_VERSIONS_MAX = 8 };

// The body of the host's first message.
struct ic_offer {
	struct ic_negotiate counts;
	struct ic_version versions[2 * IC_VERSIONS_MAX]; // those of the framework, then `messages`
};

// Host: writes what it speaks. Returns the body's length in bytes.
uint16_t ic_offer(struct ic_offer *offer, const struct ic_versions *messages);

enum ic_agreement {
	IC_AGREED,
	IC_NO_VERSION, // the ends have no version in common
	IC_CUT_SHORT,  // the body is shorter than what it counts
};

// Guest: picks the newest of each kind that both ends speak, from the host's offer, and writes the
// body of the response, also if there are none. *dialect is changed if they agree.
enum ic_agreement ic_choose(const struct ic_message *offer, const struct ic_versions *messages,
	struct ic_dialect *dialect, struct ic_choice *choice);

// Host: takes what the guest has picked. Only what was offered is an agreement; *dialect is changed
// if it is one.
enum ic_agreement ic_take_choice(const struct ic_message *response,
	const struct ic_versions *messages, struct ic_dialect *dialect);

#endif
