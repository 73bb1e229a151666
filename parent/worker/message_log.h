// SPDX-License-Identifier: BSD-2-Clause
// The messages between the child and its VMBus server, for those who follow them on the control
// socket: one ring for all, which waits for nobody. A follower that reads too slowly finds that
// numbers are missing. Without a follower nothing is written down. Main thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parent/common/capture_wire.h"
#include "parent/worker/loop.h"

enum { MESSAGE_LOG_RECORDS = 512 };

struct message_log {
	unsigned followers;
	uint64_t next;		  // the number of the next record
	struct loop_source event; // there are new ones
	bool signalled;
	void (*news)(struct message_log *log);
	struct capture_record records[MESSAGE_LOG_RECORDS];
};

// Starts a log of zeroes. `news` is called from the loop after records have been added. Returns
// false if there are no descriptors left.
bool message_log_init(
	struct message_log *log, struct loop *loop, void (*news)(struct message_log *log));

// Notes a message, of `about->length` bytes. Costs nothing without a follower.
void message_log_add(
	struct message_log *log, const struct capture_vmbus *about, const uint8_t *bytes);

// Copies the record at *position, or the oldest one if that is gone, and moves on. Returns false if
// there is none.
bool message_log_read(
	const struct message_log *log, uint64_t *position, struct capture_record *record);
