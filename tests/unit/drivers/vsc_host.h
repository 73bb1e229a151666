// SPDX-License-Identifier: BSD-2-Clause
// What the storage VSC stands on, for its tests: <lumen/platform.h> and <lumen/vmbus.h> in one
// process, over real rings, with the real VSP at the other end; and faults on demand. Time passes
// only when nothing else happens.
#ifndef TESTS_VSC_HOST_H
#define TESTS_VSC_HOST_H

#include "drivers/vsp/storage/storage.h"
#include "lumen/platform.h"
#include "lumen/storage.h"
#include "memory_disk.h"

#define VSC_HOST_CHANNELS 3u // the controller's and two sub-channels
#define VSC_HOST_DISKS	  3u
#define VSC_HOST_BLOCKS	  8192u

struct lumen_channel {
	uint32_t index;
	bool open, rescinded, stopped;
	struct lumen_channel_config config;
	uint32_t send_count, receive_count; // pages, with the control page
	void **send_pages, **receive_pages;
	struct vmbus_ring_writer writer; // the guest's ends
	struct vmbus_ring_reader reader;
	struct vsp *vsp; // NULL: nobody, or a test plays the host
	void *vsp_memory;
	uint32_t asked; // operation of the last packet that was no SRB
	uint32_t flushes;
	uint32_t signals; // from the guest to the host
	bool signalled;	  // from the host to the guest
	uint8_t sent[64]; // the last payload
	uint32_t sent_length;
	uint64_t sent_id;
	uint64_t sent_gpa; // of its data's first byte; 0: none
};

// Changes a packet after the guest has read it out of the ring.
typedef void vsc_host_tamper(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload);

struct vsc_host {
	// To be changed by tests.
	// Several threads: one calls vsc_host_run(), and is the processor with the interrupts; the
	// others wait by looking. Only between open and close.
	bool threaded;
	bool interrupts;	  // the handler is called when the host signals; else only polling
	bool mute;		  // the host does nothing
	uint32_t mute_after;	  // the host does nothing after so many runs; 0: never
	uint32_t rescind_after;	  // the host takes the device away after so many runs; 0: never
	uint16_t newest;	  // version of VSTOR that the host knows; 0: the VSP's
	lumen_status open_status; // of the next lumen_channel_open()
	uint32_t fail_alloc;	  // the allocation with this number fails, from 1 on
	uint32_t offered_subs;	  // sub-channels that the guest finds
	uint32_t max_transfer, slots;
	uint32_t vp;
	vsc_host_tamper *tamper;
	void (*on_commit)(void); // the guest has said how far it has read
	uint32_t complete;	 // deferred requests that the disks carry out in a run

	// To be looked at.
	struct lumen_channel channels[VSC_HOST_CHANNELS];
	struct memory_disk disks[VSC_HOST_DISKS];
	struct scsi_disk scsi[VSC_HOST_DISKS];
	struct scsi_adapter adapter;
	uint32_t blocks; // of each disk
	uint32_t runs, waits;
	uint32_t pages; // allocated now
	uint32_t allocations;
	uint64_t now;
	uint32_t changes;
};

extern struct vsc_host vsc_host;
extern _Thread_local bool vsc_host_irq_off;

// Begins anew, with a disk of VSC_HOST_BLOCKS blocks of 512 bytes at target 0, LUN 0. `flags`:
// BLOCK_DEVICE_*.
void vsc_host_create(uint32_t flags);
void vsc_host_create_sized(uint32_t flags, uint32_t blocks);

// Puts one more disk there. The rest lives in vsc_host.disks[index], index from 1 on.
void vsc_host_add_disk(
	uint32_t index, uint8_t target, uint8_t lun, uint32_t block_size, uint32_t flags);

// Frees the host's things, and aborts if the guest has kept memory.
void vsc_host_destroy(void);

// Frees what the guest has not given back.
void vsc_host_free_pages(void);

// The host does all that it can. Returns whether anything has happened.
bool vsc_host_run(void);

// The host takes the device away, and says so if it can.
void vsc_host_rescind(void);

// Stops the VSP of a channel: a test goes on in its place, with these ends of the rings.
struct vsc_raw {
	struct lumen_channel *channel;
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	struct vmbus_packet packet; // the last one read
	_Alignas(8) uint8_t buffer[16384];
};
void vsc_host_take_over(struct vsc_raw *raw, uint32_t channel);
bool vsc_raw_read(struct vsc_raw *raw);
void vsc_raw_write(struct vsc_raw *raw, uint16_t type, uint64_t transaction_id, const void *payload,
	uint32_t length);
// Completes a SCSI command with success.
void vsc_raw_complete(struct vsc_raw *raw, uint64_t transaction_id, uint32_t bytes);

// The guest physical address of memory of the test: not its address.
uint64_t vsc_host_gpa(const void *address);
void *vsc_host_memory(uint64_t gpa);

#endif
