// SPDX-License-Identifier: BSD-2-Clause
// The base of the integration components' VSPs, on vsp.h: it offers versions, then asks the guest
// whatever the component has to ask, one question at a time, and takes the answer. A component is a
// row of this table: GUID, versions, and what its questions say.
//
// What the embedder wants of the guest is an order: one question or, of a component that is a
// series, as many as it takes. An order has a deadline, and fails alone; a series may have
// something to tidy up then, for which it has as much time again. An answer to a question that is
// over (late, or the second one) is counted, and otherwise nothing.
#pragma once

#include "drivers/common/ic.h"
#include "drivers/vsp/vsp.h"

// Flags of vsp_poll(). The order is over, or the guest has answered what nobody has ordered; see
// ic_status(). The guest leaves questions of the component's own unanswered; it answers again. The
// order has failed, as the guest was late, though it is not over yet: what has been done is undone.
#define IC_ANSWERED VSP_OWN
#define IC_SILENT   (VSP_OWN << 1)
#define IC_BACK	    (VSP_OWN << 2)
#define IC_LATE	    (VSP_OWN << 3)

enum {
	IC_PACKET_MAX = 8192,	 // from the guest, in bytes
	IC_NOT_YET = UINT16_MAX, // in place of a question's length
};

struct ic_host; // ic/backend.h
struct ic_vsp;

struct ic_component {
	struct vsp_class class; // IC_CLASS() fills in all that is not the component's own
	enum ic_message_type type;
	struct ic_versions versions;
	uint16_t body_max;    // of a question, in bytes
	uint16_t words_max;   // of an order's words, in bytes; 0: it takes none
	bool ask_at_once;     // the first question comes as soon as versions are agreed
	bool series;	      // an answer, or the deadline, leads to the next question of the order
	bool lasting;	      // an order may last: its deadline is that of each answer
	const char *measures; // the name of ic_vsp.measured, for statistics; NULL: nothing
	uint8_t silent_late;  // ticks in a row without an answer that make IC_SILENT; 0: none do
	// Writes the body of the next question to `body` (zeroed, body_max bytes, aligned to
	// VSP_ALIGNMENT); returns its length, or 0: there is nothing to be said this time, and a
	// series is at its end; or IC_NOT_YET: again at the next poll.
	uint16_t (*question)(struct ic_vsp *ic, void *body);
	// Takes the body of an answer that says IC_STATUS_OK; false: it breaks the component's
	// rules. NULL: whatever it says, it is not looked at.
	bool (*answer)(struct ic_vsp *ic, const struct ic_message *message);
};

// What components have in common, in the initializer of a class.
#define IC_CLASS(class_name, class_guid)                                                           \
	.name = class_name, .guid = class_guid, .pipe = true, .poll_packets = 64, .poll_cost = 64, \
	.saved_version = 3, .counters = ic_counters, .size = ic_size, .open = ic_open,             \
	.packet = ic_packet, .kick = ic_kick, .sent = ic_sent, .save = ic_save,                    \
	.restore = ic_restore, .restore_out = ic_restore_out

// What a component is opened with.
struct ic_config {
	const struct ic_component *component;
	const void *host;  // what it asks of its host (ic/backend.h); NULL: nothing
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
	bool due;		   // a question is to be asked
	bool out_waits;		   // `out` waits for room in the ring
	uint8_t transaction_id;	   // of the last message
	uint8_t late_row;	   // ticks since the last answer at which there was none
	uint32_t status;	   // of the last exchange
	uint32_t result;	   // of the order: the first status that is not IC_STATUS_OK
	uint32_t refusal;	   // of the order: the last status of the guest's that is not
	uint32_t argument;	   // of the next question: the component's
	uint32_t step;		   // questions of this order that have been sent
	uint32_t patience, waited; // ticks: of the order, since it or the last answer began
	uint64_t memory;	   // what the component remembers; saved
	int64_t measured;	   // what component->measures, last
	struct ic_dialect dialect;
	uint64_t questions, answers, late; // late: ticks at which the last one had no answer
	uint64_t expired, stray;	   // deadlines that have passed, answers to nothing
	struct vsp_out out;
	struct ic_frame *message; // the body follows
	char *words;		  // of the order
	uint32_t words_length;
};

struct ic_order {
	uint32_t argument;     // the component's
	uint32_t patience;     // ticks that the guest has; 0: all the time
	const char *words;     // each ends with a zero; copied
	uint32_t words_length; // bytes, the zeroes included
};

// Begins an order by the next poll. Returns false, and nothing happens, if that cannot be now: the
// guest has not agreed on a version yet, an order is under way, or there are too many words.
bool ic_begin(struct ic_vsp *ic, const struct ic_order *order);

// An order that is only its argument.
bool ic_ask(struct ic_vsp *ic, uint32_t argument);

// Gives up the order that is under way, if there is one, as if its deadline had passed.
void ic_cancel(struct ic_vsp *ic);

// Returns whether an order is under way.
bool ic_asked(const struct ic_vsp *ic);

// Returns what became of the last order: IC_STATUS_OK, or why not.
uint32_t ic_status(const struct ic_vsp *ic);

// Returns whether it is the guest who says so: some statuses are ours, too.
bool ic_refused(const struct ic_vsp *ic);

// --- for rows ---

// A tick. Asks; a guest that has not answered is not asked again, but counted.
bool ic_tick(struct vsp *vsp);

// A tick, of which there have to be some only while an order is under way. One whose deadline has
// passed has failed, with IC_STATUS_TIMEOUT.
bool ic_expire(struct vsp *vsp);

// Returns a word of the order by its number, "" behind the last.
const char *ic_word(const struct ic_vsp *ic, unsigned index);

// What components that only do as they are told have in common.
#define IC_ORDERED .tick_ms = IC_ORDER_TICK_MS, .tick = ic_expire
enum {
	IC_ORDER_TICK_MS = 1000,
	IC_UNDO_TICKS = 10, // at most that a guest has for each answer, once it was late
};

// For IC_CLASS().
extern const struct vsp_counter ic_counters[];
size_t ic_size(const void *config, bool sub);
void ic_open(struct vsp *vsp, const void *config);
uint32_t ic_packet(struct vsp *vsp);
void ic_kick(struct vsp *vsp);
void ic_sent(struct vsp *vsp, struct vsp_out *out);
void ic_save(const struct vsp *vsp, struct vsp_writer *to);
bool ic_restore(struct vsp *vsp, struct vsp_reader *from);
struct vsp_out *ic_restore_out(struct vsp *vsp, const struct vsp_out *saved);
