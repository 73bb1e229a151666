// SPDX-License-Identifier: BSD-2-Clause
// The hyperv-testdev of --test-devices: SINTs that the child asserts itself, and connections of the
// child to itself. Its own messages and events come here through ordinary ports of the root, and go
// back to it directly (HvCallPostMessageDirect, HvCallSignalEventDirect).
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypercall/synic.h"
#include "parent/common/child_config.h"
#include "parent/worker/loop.h"

struct worker;

enum { TEST_CONNECTIONS = 256 };

// What arrives at a connection goes to a SINT of a VP; an event sets the flag that has the
// connection's number.
struct test_connection {
	bool open;
	uint8_t vp, sint;
	struct test_synic *synic;
	struct loop_source event; // of an event connection; stays when it is closed. fd 0: none yet
};

struct test_synic {
	struct worker *worker;
	pthread_mutex_t lock; // of all below. After the devices' lock.
	bool routes[CHILD_VPS_MAX][HV_SYNIC_SINT_COUNT];
	uint16_t next_flag[CHILD_VPS_MAX]; // with which to assert a SINT
	struct test_connection messages[TEST_CONNECTIONS], events[TEST_CONNECTIONS];
};

// Before the child runs.
void test_synic_init(struct test_synic *synic, struct worker *worker);

// Carries out a command (test_ports.h); what cannot be done is logged. Any thread.
void test_synic_command(void *synic, uint32_t command);

// Passes on a message that the child has posted. Returns false if the connection is not one of
// these. The loop's thread.
bool test_synic_message(
	struct test_synic *synic, uint32_t connection, const struct hv_message *message);
