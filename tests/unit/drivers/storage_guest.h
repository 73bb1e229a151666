// SPDX-License-Identifier: BSD-2-Clause
// A guest for the tests of the storage VSP: some pages of memory, real rings in them, and storvsc's
// side of the protocol.
#ifndef TESTS_STORAGE_GUEST_H
#define TESTS_STORAGE_GUEST_H

#include "drivers/vsp/storage/storage.h"
#include "memory_disk.h"
#include "vmbus/ring.h"

#define GUEST_PAGES	 64u // RAM: guest pages 0 to 63
#define GUEST_RING_PAGES 16u // the most that a ring may have, control page included
#define GUEST_BLOCKS	 4096u

struct storage_guest {
	uint8_t *memory;
	uint32_t ring_pages;
	void *to_host[GUEST_RING_PAGES];
	void *to_guest[GUEST_RING_PAGES];
	struct vmbus_ring_writer writer;
	struct vmbus_ring_reader reader;
	struct memory_disk disk;
	struct scsi_disk scsi;
	struct scsi_adapter adapter;
	struct storage_vsp_config config;
	struct vsp_rings rings;
	void *vsp_memory;
	struct vsp *vsp;

	// The last packet that arrived.
	struct vmbus_packet packet;
	struct vstor_packet answer;
	_Alignas(8) uint8_t buffer[1024];
};

// Makes everything, with a disk at LUN 0 and rings of that many pages. The channel is open and
// nothing has been sent.
void guest_create(
	struct storage_guest *guest, uint32_t ring_pages, uint32_t slots, uint32_t disk_flags);
void guest_destroy(struct storage_guest *guest);

// Puts a packet into the ring to the host; returns false if it is full.
bool guest_send(struct storage_guest *guest, const struct vmbus_packet_out *out);

// Sends a payload in-band, with a completion requested.
bool guest_send_packet(struct storage_guest *guest, uint64_t transaction_id,
	const struct vstor_packet *packet, uint32_t length);

// Sends an SRB as storvsc does: with a range if the SRB says that it has data.
bool guest_send_srb(struct storage_guest *guest, uint64_t transaction_id,
	const struct vstor_packet *packet, uint32_t length, uint32_t byte_offset,
	const uint64_t *pfns, uint32_t byte_count);

// Takes the next packet from the host: true, and it is in guest->packet and guest->answer.
bool guest_receive(struct storage_guest *guest);

// Lets the VSP run until it has nothing more to do; returns all flags that it gave.
uint32_t guest_poll(struct storage_guest *guest);

// Sends a control operation, and checks that it is completed with that status.
void guest_control(struct storage_guest *guest, const struct vstor_packet *packet, uint32_t length,
	uint32_t status);

// Goes through storvsc's initialization at a version.
void guest_initialize(struct storage_guest *guest, uint16_t version);

// An EXECUTE_SRB packet.
struct vstor_packet guest_srb(const uint8_t *cdb, uint8_t cdb_length, uint32_t data_length);

#endif
