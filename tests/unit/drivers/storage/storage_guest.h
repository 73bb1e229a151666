// SPDX-License-Identifier: BSD-2-Clause
// A raw guest for the tests of the storage VSP, on the rig: storvsc's side of the protocol.
#pragma once

#include "storage_host.h"

#define GUEST_PAGES	 64u // RAM: guest pages 0 to 63
#define GUEST_RING_PAGES 16u // the most that a ring may have here, control page included
#define GUEST_BLOCKS	 4096u

extern struct vstor_packet guest_answer; // the last one
extern uint32_t guest_at; // the channel that the following are about: 0 after guest_create()

static inline struct lumen_channel *guest_channel(void)
{
	return &rig.channels[guest_at];
}

static inline struct vsp *vsp(void)
{
	return guest_channel()->vsp;
}

static inline struct vmbus_packet *guest_packet(void)
{
	return &guest_channel()->guest.packet; // the last one that arrived
}

// Makes everything, with a disk at LUN 0 and rings of that many pages. The channel is open and
// nothing has been sent.
void guest_create(uint32_t ring_pages, uint32_t slots, uint32_t disk_flags);
void guest_destroy(void);

// Puts a packet into the ring to the host; returns false if it is full.
bool guest_send(const struct vmbus_packet_out *out);

// Sends a payload in-band, with a completion requested.
bool guest_send_packet(uint64_t transaction_id, const struct vstor_packet *packet, uint32_t length);

// Sends an SRB as storvsc does: with a range if the SRB says that it has data.
bool guest_send_srb(uint64_t transaction_id, const struct vstor_packet *packet, uint32_t length,
	uint32_t byte_offset, const uint64_t *pfns, uint32_t byte_count);

// Takes the next packet from the host: true, and it is in guest_packet() and guest_answer.
bool guest_receive(void);

// Lets the VSP run until it has nothing more to do; returns all flags that it gave.
static inline uint32_t guest_poll(void)
{
	return rig_poll(guest_channel());
}

// Sends a control operation, and checks that it is completed with that status.
void guest_control(const struct vstor_packet *packet, uint32_t length, uint32_t status);

// Goes through storvsc's initialization at a version.
void guest_initialize(uint16_t version);

// An EXECUTE_SRB packet.
struct vstor_packet guest_srb(const uint8_t *cdb, uint8_t cdb_length, uint32_t data_length);
