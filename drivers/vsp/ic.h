// SPDX-License-Identifier: BSD-2-Clause
// The base of the integration components' VSPs, on vsp.h: it offers versions, then asks the guest
// whatever the component has to ask, one question at a time, and takes the answer. A component is a
// row of this table: GUID, versions, and what its questions say.
#ifndef LUMEN_DRIVERS_VSP_IC_H
#define LUMEN_DRIVERS_VSP_IC_H

#include "drivers/common/ic.h"
#include "drivers/vsp/vsp.h"

// A flag of vsp_poll(): the guest has answered a question; see ic_status().
#define IC_ANSWERED VSP_OWN

enum { IC_PACKET_MAX = 8192 }; // from the guest, in bytes

struct ic_host; // ic/backend.h
struct ic_vsp;

struct ic_component {
	struct vsp_class class; // IC_CLASS() fills in all that is not the component's own
	enum ic_message_type type;
	struct ic_versions versions;
	uint16_t body_max; // of a question, in bytes
	bool ask_at_once;  // the first question comes as soon as versions are agreed
	// Writes the body of the next question to `body` (zeroed, body_max bytes, aligned to
	// VSP_ALIGNMENT); returns its length, or 0: there is nothing to be said this time.
	uint16_t (*question)(struct ic_vsp *ic, void *body);
	// Takes the body of an answer that says IC_STATUS_OK; false: it breaks the component's
	// rules. NULL: whatever it says, it is not looked at.
	bool (*answer)(struct ic_vsp *ic, const struct ic_message *message);
};

// What components have in common, in the initializer of a class.
#define IC_CLASS(class_name, class_guid)                                                           \
	.name = class_name, .guid = class_guid, .pipe = true, .poll_packets = 64, .poll_cost = 64, \
	.saved_version = 1, .counters = ic_counters, .size = ic_size, .open = ic_open,             \
	.packet = ic_packet, .kick = ic_kick, .sent = ic_sent, .save = ic_save,                    \
	.restore = ic_restore, .restore_out = ic_restore_out

// What a component is opened with.
struct ic_config {
	const struct ic_component *component;
	const void
		*host; // what the component asks of its host; its header says what; NULL: nothing
	uint32_t argument; // of the component's
};

enum ic_state {
	IC_OFFER,   // our versions are to be sent
	IC_AGREE,   // the guest is to pick some
	IC_READY,   // there is nothing to do
	IC_WAITING, // the guest is to answer a question
};

struct ic_vsp {
	struct vsp vsp;
	const struct ic_component *component;
	const struct ic_host *host;
	enum ic_state state;
	bool due;		// a question is to be asked
	bool out_waits;		// `out` waits for room in the ring
	uint8_t transaction_id; // of the last message
	uint32_t status;	// of the last answer
	uint32_t argument;	// of the next question: the component's
	uint64_t memory;	// what the component remembers; saved
	struct ic_dialect dialect;
	uint64_t questions, answers, late; // late: ticks at which the last one had no answer
	struct vsp_out out;
	struct ic_frame *message; // the body follows
};

// Has the guest asked by the next poll. Returns false, and nothing happens, if it cannot be asked
// now: it has not agreed on a version yet, or has been asked and not answered.
bool ic_ask(struct ic_vsp *ic, uint32_t argument);

// Returns whether a question is on its way, or not answered yet.
bool ic_asked(const struct ic_vsp *ic);

// Returns the status of the last answer: IC_STATUS_OK, or why not.
uint32_t ic_status(const struct ic_vsp *ic);

// For rows: asks at each tick; a guest that has not answered is not asked again, but counted.
void ic_tick(struct vsp *vsp);

// For IC_CLASS().
extern const struct vsp_counter ic_counters[];
size_t ic_size(const void *config);
void ic_open(struct vsp *vsp, const void *config);
uint32_t ic_packet(struct vsp *vsp);
void ic_kick(struct vsp *vsp);
void ic_sent(struct vsp *vsp, struct vsp_out *out);
void ic_save(const struct vsp *vsp, struct vsp_writer *to);
bool ic_restore(struct vsp *vsp, struct vsp_reader *from);
struct vsp_out *ic_restore_out(struct vsp *vsp, uint16_t type, uint32_t length);

#endif
