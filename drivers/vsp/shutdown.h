// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component's VSP: asks a guest to power off, as a power button would. The guest has
// to have a driver for it, and may refuse.
//
// One thread at a time, no call blocks, no memory is allocated. The embedder calls
// shutdown_vsp_poll() once after shutdown_vsp_open(), whenever the guest has signalled the channel,
// and after shutdown_vsp_request().
#ifndef LUMEN_DRIVERS_VSP_SHUTDOWN_H
#define LUMEN_DRIVERS_VSP_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/common/ic.h"
#include "vmbus/ring.h"

// Results of shutdown_vsp_poll().
#define SHUTDOWN_VSP_SIGNAL   0x1u // signal the channel's event to the guest
#define SHUTDOWN_VSP_AGAIN    0x2u // call again
#define SHUTDOWN_VSP_FAILED   0x4u // log shutdown_vsp_failure(), then close the channel
#define SHUTDOWN_VSP_ANSWERED 0x8u // the guest has answered: shutdown_vsp_status()

enum { SHUTDOWN_VSP_PACKET_MAX = 4096 };

enum shutdown_vsp_state {
	SHUTDOWN_VSP_OFFER,   // our versions are to be sent
	SHUTDOWN_VSP_AGREE,   // the guest is to pick some
	SHUTDOWN_VSP_READY,   // there is nothing to do
	SHUTDOWN_VSP_ASK,     // the request is to be sent
	SHUTDOWN_VSP_WAITING, // the guest is to answer it
};

struct shutdown_vsp {
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	enum shutdown_vsp_state state;
	struct ic_dialect dialect;
	uint8_t transaction_id; // of the last message
	uint32_t status;	// of the last answer
	const char *failure;
	uint64_t packet[SHUTDOWN_VSP_PACKET_MAX / sizeof(uint64_t)];
};

// Begins, on a channel that the guest has opened. in: the ring from the guest, its control page
// first; out: the ring to it. The pages must outlive the VSP. Rings that are unusable are a failure
// that the first poll tells.
void shutdown_vsp_open(struct shutdown_vsp *vsp, void *const *in_pages, uint32_t in_page_count,
	void *const *out_pages, uint32_t out_page_count);

// Does all that can be done now. Returns SHUTDOWN_VSP_* flags.
uint32_t shutdown_vsp_poll(struct shutdown_vsp *vsp);

// Has the guest asked to power off by the next poll. Returns false, and nothing happens, if it
// cannot be asked now: it has not agreed on a version yet, or has been asked and not answered.
bool shutdown_vsp_request(struct shutdown_vsp *vsp);

// Returns what the guest has answered: IC_STATUS_OK, or why not.
uint32_t shutdown_vsp_status(const struct shutdown_vsp *vsp);

// Returns why the channel has failed, a constant string for the log, or NULL.
const char *shutdown_vsp_failure(const struct shutdown_vsp *vsp);

#endif
