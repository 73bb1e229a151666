// SPDX-License-Identifier: BSD-2-Clause
// The devices that fuzz_devices.c drives, on the rig of the unit tests: a row for each.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/drivers/rig.h"

struct fuzz_device {
	const void *of; // the family's
	// Begins anew, rig included, and offers it as channel 0.
	void (*create)(const struct fuzz_device *device);
	void (*destroy)(void);
	// A raw guest: an honest beginning; a packet that is nearly right, on fuzz_channel(); looks
	// at one that came.
	void (*greet)(const struct fuzz_device *device);
	void (*guest_says)(const struct fuzz_device *device);
	void (*guest_hears)(const struct vmbus_packet *packet);
	// The VSP is asked for something by its embedder.
	void (*ask)(const struct fuzz_device *device);
	// The VSC (NULL: there is none): false, and it is not open; the kernel does something; the
	// end. Whether the host is found at fault.
	bool (*open)(const struct fuzz_device *device);
	void (*act)(void);
	void (*close)(void);
	bool (*blames)(void);
	// A raw host: a packet that is nearly right.
	void (*host_says)(const struct fuzz_device *device);
	// Answers of a VSP are changed before the VSC has them. NULL: they are not.
	void (*tamper)(void);
};

extern const struct fuzz_device fuzz_storage;
extern const struct fuzz_device fuzz_net;
extern const struct fuzz_device fuzz_socket;
extern const struct fuzz_device fuzz_ic[];
extern const uint32_t fuzz_ic_count;

// The channel that the steps are about now: the primary one, or a sub-channel that is open.
struct lumen_channel *fuzz_channel(void);

// The input, taken apart; zeroes behind its end.
uint32_t take(void);
uint32_t take32(void);
bool at_end(void);

// Changes up to `most` bytes.
void patch(void *bytes, uint32_t length, uint32_t most);
