// SPDX-License-Identifier: BSD-2-Clause
// A partition that is no partition: the worker's interface to /dev/mshv (parent/worker/partition.h)
// with guests that are C functions, so that the whole worker runs in a unit test.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/intercept.h"
#include "parent/worker/partition.h"

// Messages and signals of the host go to the VMBus's SINT, or to this one.
enum { FAKE_TEST_SINT = 8 };

// A guest program for one VP. Called when the VP is to run; returns 0 and an intercept message, or
// EINTR (what fake_wait() returned). `step` counts the calls of this VP that returned a message.
typedef int (*fake_guest)(uint32_t vp, unsigned step, struct hv_message *message);

// Starts over with this guest. `memory` is known when the worker has mapped it.
void fake_reset(fake_guest guest);

extern const struct guest_memory *fake_memory;
// The last values that were set, by register name.
uint64_t fake_register(uint32_t vp, uint32_t name);
void fake_set_register(uint32_t vp, uint32_t name, uint64_t value);
unsigned fake_interrupts(void); // asserted so far
bool fake_open(void);		// the partition exists

// Intercept messages.
void fake_out(struct hv_message *message, uint16_t port, unsigned size, uint32_t value);
void fake_in(struct hv_message *message, uint16_t port, unsigned size);
void fake_crash(struct hv_message *message);
void fake_triple_fault(struct hv_message *message);

// Blocks for good. Returns EINTR when a signal comes.
int fake_wait(void);

// The guest posts a message to the host. Returns false if the connection does not exist.
bool fake_post(uint32_t connection, const void *bytes, uint8_t length);

// The driver has lost a message of the guest's: EPOLLERR, from now on.
void fake_overflow(void);

// From now on there is always another message of the guest's, as if a VP posted without end.
void fake_flood(void);

// All counters of the statistics pages are at their greatest.
void fake_fill_counters(void);

// Waits for the host's next message to a VP of the guest. Returns 0, or EINTR.
int fake_receive(void *bytes, uint8_t *length);

// The guest signals a channel; waits for a signal of the host's.
bool fake_signal(uint32_t connection);
int fake_wait_signal(void);
unsigned fake_last_flag(void); // of the host's signals
unsigned fake_last_sint(void);
