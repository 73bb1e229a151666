// SPDX-License-Identifier: BSD-2-Clause
// VMBus from the guest's side: the connection to the host, the devices that it offers, and their
// channels. Portable parts (protocol machine, rings) are in vmbus/; this joins them to the SynIC
// and to hypercalls.
//
// Nothing here starts threads or calls back but the handlers named below. A kernel with its own
// driver framework looks for devices with lumen_vmbus_find() after lumen_vmbus_connect(), and again
// whenever *lumen_vmbus_changes() has changed.
#ifndef LUMEN_VMBUS_H
#define LUMEN_VMBUS_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"
#include "lumen/synic.h"
#include "vmbus/protocol.h"
#include "vmbus/ring.h"

LUMEN_DECLS_BEGIN

struct lumen_vmbus;   // one for the kernel
struct lumen_channel; // one for each offer; belongs to the bus

struct lumen_vmbus_config {
	struct lumen_synic *synic; // of the VP to which the host's messages go: this one
	// For VMBUS_SINT of it, see struct lumen_sint. 0: polled, by lumen_synic_poll(), which all
	// waiting calls of VMBus and of the drivers on it make by themselves on this VP.
	uint8_t vector;
	uint32_t max_version; // 0: the newest that is known here; for tests
	uint32_t channels;    // the most that there may be; 0: 64
	uint64_t timeout_ns;  // for each answer of the host; 0: 10 s
};

// Connects to the host: negotiates the newest version that both know (5.3 down to 2.4), asks for
// the offers and waits until all are there. Allocates. Hypercalls must be enabled and *synic
// started. Thread context, once. LUMEN_NOT_SUPPORTED (nobody takes VMBus's messages here),
// LUMEN_REFUSED (no version in common), LUMEN_NO_PRIVILEGE (PostMessages, SignalEvents),
// LUMEN_NO_MEMORY, LUMEN_TIMED_OUT, what lumen_sint_enable() says, or another status of
// HvCallPostMessage.
lumen_status lumen_vmbus_connect(
	const struct lumen_vmbus_config *config, struct lumen_vmbus **bus_out);

// Unloads: tells the host that this kernel forgets everything, waits for its answer and frees the
// bus with all channels. They must be closed and the other VPs removed (LUMEN_BAD_STATE: nothing
// has happened). Thread context, on the VP of connect(); no other call on the bus or its channels
// may run or follow. LUMEN_TIMED_OUT: the host did not answer; the bus is gone all the same.
lumen_status lumen_vmbus_disconnect(struct lumen_vmbus *bus);

// The version agreed on, as VMBUS_VERSION().
uint32_t lumen_vmbus_version(const struct lumen_vmbus *bus);

// Takes VMBus's SINT on another VP into use, so that channels can be opened with it as target:
// *synic is that VP's, started, and this runs on it. `vector` as above. Thread context.
lumen_status lumen_vmbus_add_vp(struct lumen_vmbus *bus, struct lumen_synic *synic, uint8_t vector);

// The opposite, again on that VP. LUMEN_BAD_ARGUMENT: it was not added; LUMEN_BAD_STATE: an open
// channel has it as target.
lumen_status lumen_vmbus_remove_vp(struct lumen_vmbus *bus, struct lumen_synic *synic);

// A counter that goes up, with lumen_wake(), whenever a device has come or gone.
const uint32_t *lumen_vmbus_changes(const struct lumen_vmbus *bus);

// The `index`th primary channel of a device type (NULL: of any) that is not rescinded, in the order
// of the offers; NULL if there are not so many. Thread context. The pointer lives until
// lumen_channel_release() or disconnect; channels that were never given out are released by
// themselves when they are rescinded.
struct lumen_channel *lumen_vmbus_find(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t index);

// The sub-channel with this index (1, 2, ...) of a primary one, if the host has offered it and not
// rescinded it; else NULL. Context and life of the pointer as above.
struct lumen_channel *lumen_channel_sub(struct lumen_channel *channel, uint32_t index);

// What the host said of it.
const struct vmbus_offer_channel *lumen_channel_offer(const struct lumen_channel *channel);

// The host has signalled the channel, or has rescinded it (lumen_channel_rescinded() is then true).
// In interrupt context of the target VP, for a rescind of the VP of lumen_vmbus_connect() (or of
// lumen_synic_poll()): reads the ring, or wakes somebody who does. Signals are masked from before
// the call until lumen_channel_unmask(). May be called for no reason.
typedef void lumen_channel_handler(void *context, struct lumen_channel *channel);

struct lumen_channel_config {
	uint32_t send_pages, receive_pages; // of each ring's data, without its control page
	uint32_t target_vp;		    // VP index, one that the bus uses
	lumen_channel_handler *handler;
	void *context;
	const void *user_data; // VMBUS_USER_DEFINED_SIZE bytes for the VSP; NULL: zeroes
};

// Makes the rings, gives them to the host and opens the channel; its handler may be called before
// this returns. Allocates. Thread context; waits for the host. LUMEN_RESCINDED, LUMEN_REFUSED,
// LUMEN_TIMED_OUT, LUMEN_NO_MEMORY, LUMEN_BAD_STATE (open already, or an open that timed out is
// still unanswered), LUMEN_BAD_ARGUMENT (ring sizes, target VP), LUMEN_BUSY (too many GPADLs). This
// and the calls below that wait are serialised by the caller for one channel; different channels
// may be opened and closed at the same time.
lumen_status lumen_channel_open(
	struct lumen_channel *channel, const struct lumen_channel_config *config);

// Closes it and takes the rings back; the handler is not called any more when this returns. If the
// host does not give the GPADL back, its pages are never used again (and never freed). Thread
// context, not from the handler; waits for the host. A rescinded channel is closed too before it is
// released. Nothing happens if it is not open.
void lumen_channel_close(struct lumen_channel *channel);

// A rescinded channel that is closed, and whose buffers are destroyed: tells the host that it is
// not used any more; *channel is dead. LUMEN_BAD_STATE: it is not rescinded, or is open. Thread
// context.
lumen_status lumen_channel_release(struct lumen_channel *channel);

// Moves the signals of an open channel to another VP that the bus uses. The old one may be
// signalled a last time while this runs (below version 5.3, soon after). Thread context; waits for
// the host from 5.3 on. LUMEN_NOT_SUPPORTED (below 4.1), LUMEN_BAD_ARGUMENT, LUMEN_BAD_STATE,
// LUMEN_REFUSED, LUMEN_TIMED_OUT, LUMEN_RESCINDED.
lumen_status lumen_channel_set_vp(struct lumen_channel *channel, uint32_t target_vp);

// Whether the host has taken it away. Any context.
bool lumen_channel_rescinded(const struct lumen_channel *channel);

// Waits as lumen_wait() does, for drivers of channels: where VMBus is polled it also takes what has
// come from the host, every millisecond at least. Thread context, interrupts on, no lock held.
void lumen_channel_wait(
	struct lumen_channel *channel, const uint32_t *word, uint32_t value, uint64_t deadline_ns);

// The same, for a word that goes up with whatever the host says, such as *lumen_vmbus_changes().
void lumen_vmbus_sleep(
	struct lumen_vmbus *bus, const uint32_t *word, uint32_t value, uint64_t deadline_ns);

// --- sockets, for their driver (<lumen/socket.h>). Thread context ---

// Asks the host to connect a socket of the kernel's with the service, and waits for the channel of
// that connection. `guest` is a name for it that no other connection to the service has.
// LUMEN_REFUSED (nobody listens, or the host has no room), LUMEN_NOT_SUPPORTED (below version 4.0),
// LUMEN_TIMED_OUT (at 4.0 if nobody listens, too), or another status of HvCallPostMessage. The
// pointer lives until lumen_channel_give_back() or disconnect.
lumen_status lumen_vmbus_connect_socket(struct lumen_vmbus *bus, const struct vmbus_guid *service,
	const struct vmbus_guid *guest, struct lumen_channel **channel_out);

// The channel by which somebody of the host's wants to be connected with this service of the
// kernel's: each once, in the order of the offers; NULL: there is none. Life of the pointer as
// above.
struct lumen_channel *lumen_vmbus_accept_socket(
	struct lumen_vmbus *bus, const struct vmbus_guid *service);

// Of these two, closed: it is released as soon as the host has rescinded it, and *channel is dead.
void lumen_channel_give_back(struct lumen_channel *channel);

// *counter goes up, with lumen_wake(), whenever *lumen_vmbus_changes() does: one for the bus. NULL:
// none any more. Any context.
void lumen_vmbus_watch(struct lumen_vmbus *bus, uint32_t *counter);

// --- packets. Callers of the two sending functions are serialised by the caller, and so are those
// of the receiving ones; interrupts may be off. ---

// Writes a packet (vmbus/ring.h) and signals the host if it has to be. LUMEN_BUSY: no room, the
// handler is called when there is; LUMEN_BAD_HOST: the ring is broken, close the channel;
// LUMEN_RESCINDED.
lumen_status lumen_channel_send(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet);

// The same for several: written by lumen_channel_queue(), seen by the host after
// lumen_channel_flush().
lumen_status lumen_channel_queue(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet);
void lumen_channel_flush(struct lumen_channel *channel);

// Copies the next packet to `buffer` (private, aligned to 8, `size` bytes) and describes it.
// LUMEN_BUSY: nothing is there; LUMEN_BAD_HOST: the ring is broken.
lumen_status lumen_channel_receive(
	struct lumen_channel *channel, void *buffer, uint32_t size, struct vmbus_packet *packet);

// All that was received may be overwritten: tells the host (signals it if it waits for room), and
// asks for signals again. True: something has come meanwhile, receive again; signals are masked
// still.
bool lumen_channel_unmask(struct lumen_channel *channel);

// --- buffers shared with the host ---

// Gives the host `count` pages (1 to LUMEN_GPADL_PAGES_MAX) from `pages` on (aligned) as a GPADL of
// the channel. Thread context, waits. LUMEN_BAD_ARGUMENT, LUMEN_BUSY (too many GPADLs),
// LUMEN_REFUSED, LUMEN_RESCINDED, LUMEN_TIMED_OUT, or another status of HvCallPostMessage. After
// one of these *gpadl is 0 if the pages are the kernel's alone. If it is not, the host may have
// them: they must not be used again, unless lumen_gpadl_destroy() gets them back later.
#define LUMEN_GPADL_PAGES_MAX 8190u
lumen_status lumen_gpadl_create(
	struct lumen_channel *channel, const void *pages, uint32_t count, uint32_t *gpadl);

// Takes it back; only then the pages are the kernel's alone again. Of a rescinded channel too,
// before its release; not the rings' GPADL. LUMEN_BAD_ARGUMENT: the channel has no such GPADL, or
// none any more. LUMEN_TIMED_OUT, or another status of HvCallPostMessage: the pages are not back,
// and must not be used again unless a later try gets them.
lumen_status lumen_gpadl_destroy(struct lumen_channel *channel, uint32_t gpadl);

LUMEN_DECLS_END

#endif
