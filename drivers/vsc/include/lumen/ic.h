// SPDX-License-Identifier: BSD-2-Clause
// Integration components: small services that the host asks of a kernel, each on a channel of its
// own. Each has a function that opens it; the rest is the same for all. What is not opened is not
// linked.
//
// Shutdown, heartbeat and time answer by themselves, in the channel's handler, or wherever the SDK
// polls if VMBus has no vector; they call the kernel with nothing locked, after the host has its
// answer; interrupts may be off. Key-value pairs, backup and file copy ask the kernel, whose answer
// the host gets, and which may have to wait for a disk: they call it in lumen_ic_poll() and nowhere
// else. A message that breaks the rules is refused, counted, and otherwise forgotten.
#ifndef LUMEN_IC_H
#define LUMEN_IC_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"
#include "lumen/vmbus.h"

LUMEN_DECLS_BEGIN

struct lumen_ic; // one component

// --- all components ---

// Takes what the host has sent, and calls the kernel's functions: for those components that are
// said to need it, and for kernels without interrupts. Any context that these functions may have.
// Returns whether there was anything.
bool lumen_ic_poll(struct lumen_ic *ic);

// Sleeps, as lumen_wait() does, until there is something for lumen_ic_poll(), or until
// lumen_now_ns() reaches `deadline_ns`; may return early for no reason. Only for those components
// that are said to need lumen_ic_poll(). Thread context.
void lumen_ic_wait(struct lumen_ic *ic, uint64_t deadline_ns);

// LUMEN_OK while it works; LUMEN_RESCINDED or LUMEN_BAD_HOST if it will never again, and is to be
// closed. Any context.
lumen_status lumen_ic_status(const struct lumen_ic *ic);

// How many messages broke the rules. Any context.
uint32_t lumen_ic_bad_messages(const struct lumen_ic *ic);

// Closes it; the kernel's functions are not called any more when this returns. Thread context, not
// from one of them, and not while somebody is in lumen_ic_poll(). A channel that was rescinded is
// to be released by the caller (lumen_channel_release()).
void lumen_ic_close(struct lumen_ic *ic);

// --- shutdown: `lumenctl stop`, or Hyper-V's "Shut Down" ---

// What the host may ask for. NULL: refused, and the host is told so. Called once for each request:
// a kernel that takes time to end notes it, wakes a thread and returns.
struct lumen_shutdown_handlers {
	void (*power_off)(void *context);
	void (*restart)(void *context);
	void (*hibernate)(void *context);
	void *context; // the caller's
};

// Opens the component. *handlers is used until it is closed. Allocates. Thread context; waits for
// the host. LUMEN_NOT_SUPPORTED (the host does not offer it), LUMEN_NO_MEMORY, or what
// lumen_channel_open() says.
lumen_status lumen_shutdown_open(struct lumen_vmbus *bus,
	const struct lumen_shutdown_handlers *handlers, struct lumen_ic **ic_out);

// --- heartbeat: the host asks now and then whether the kernel is alive ---

// Opens the component, which answers by itself: the kernel is alive as long as it takes the
// channel's interrupts, or polls. Otherwise as lumen_shutdown_open().
lumen_status lumen_heartbeat_open(struct lumen_vmbus *bus, struct lumen_ic **ic_out);

// --- time synchronisation: what time it is at the host ---

#define LUMEN_TIME_SET	  0x1u // set the clock to it: after boot, pause, restore
#define LUMEN_TIME_SAMPLE 0x2u // one of many, to steer it by

// At reference time `reference_100ns` (lumen_clock_100ns()) it was `utc_100ns` after the beginning
// of 1601; the Unix epoch is 116,444,736,000,000,000 of these units later.
struct lumen_time_sample {
	uint64_t utc_100ns;
	uint64_t reference_100ns;
	uint8_t flags;		// LUMEN_TIME_*
	uint8_t leap_indicator; // NTP's, and the next; 0 from hosts before 4.0
	uint8_t stratum;
};

struct lumen_time_handler {
	void (*sample)(void *context, const struct lumen_time_sample *sample);
	void *context; // the caller's
};

// Opens the component. The clock must have been started (lumen_clock_start()). *receiver is used
// until it is closed. Otherwise as lumen_shutdown_open().
lumen_status lumen_time_open(struct lumen_vmbus *bus, const struct lumen_time_handler *receiver,
	struct lumen_ic **ic_out);

// --- what the kernel answers, in key-value pairs, backup and file copy ---

// Goes to the host as it is.
typedef uint32_t lumen_ic_answer;

#define LUMEN_IC_DONE	       0u
#define LUMEN_IC_FAILED	       0x80004005u
#define LUMEN_IC_NOT_SUPPORTED 0x80070032u
#define LUMEN_IC_EXISTS	       0x80070050u // the file is there, and not to be overwritten
#define LUMEN_IC_FULL	       0x80070070u // no room for it
#define LUMEN_IC_NO_MORE       0x80070103u // no such key; no pair with this index

// --- key-value pairs: texts that host and kernel leave each other ---

enum lumen_kvp_pool {
	LUMEN_KVP_EXTERNAL,	 // the host writes: `lumenctl set-kvp`
	LUMEN_KVP_GUEST,	 // the kernel's own, for the host to read
	LUMEN_KVP_AUTO,		 // what the kernel is: "OSName", "NetworkAddressIPv4", ...
	LUMEN_KVP_AUTO_EXTERNAL, // what the host says of itself
	LUMEN_KVP_AUTO_INTERNAL,
};

// Room for a key and a value, UTF-8 with its zero.
#define LUMEN_KVP_KEY_SIZE   766u
#define LUMEN_KVP_VALUE_SIZE 3070u

// `key` and `value` are texts in UTF-8, the SDK's; those that are not const are to be filled in, of
// the sizes above. The host's numbers come in decimal. A function that is NULL answers
// LUMEN_IC_NOT_SUPPORTED. Called in lumen_ic_poll().
struct lumen_kvp_handlers {
	lumen_ic_answer (*get)(
		void *context, enum lumen_kvp_pool pool, const char *key, char *value);
	lumen_ic_answer (*set)(
		void *context, enum lumen_kvp_pool pool, const char *key, const char *value);
	lumen_ic_answer (*remove)(void *context, enum lumen_kvp_pool pool, const char *key);
	// The pair number `index`, from 0 on. The host asks until it hears LUMEN_IC_NO_MORE.
	lumen_ic_answer (*enumerate)(
		void *context, enum lumen_kvp_pool pool, uint32_t index, char *key, char *value);
	void *context; // the caller's
};

// Opens the component, which needs lumen_ic_poll(). Otherwise as lumen_shutdown_open().
lumen_status lumen_kvp_open(struct lumen_vmbus *bus, const struct lumen_kvp_handlers *handlers,
	struct lumen_ic **ic_out);

// --- backup (VSS): the disks are to stand still while the host copies them ---

// Called in lumen_ic_poll(), but for a last thaw() in lumen_ic_close(). None is NULL.
struct lumen_vss_handlers {
	// Writes back what is to be on the disks, and holds further writes back.
	lumen_ic_answer (*freeze)(void *context);
	// Lets them go on. Called once after each freeze() that was LUMEN_IC_DONE: when the host
	// says so, begins anew, or is gone. A host may leave it at that for as long as it likes.
	lumen_ic_answer (*thaw)(void *context);
	// Whether a copy may be taken now, while the kernel runs.
	lumen_ic_answer (*hot_backup)(void *context);
	void *context; // the caller's
};

// Opens the component, which needs lumen_ic_poll(). Otherwise as lumen_shutdown_open().
lumen_status lumen_vss_open(struct lumen_vmbus *bus, const struct lumen_vss_handlers *handlers,
	struct lumen_ic **ic_out);

// --- file copy: the host sends a file ---

// The texts are in UTF-8. The name is not empty and has neither "/" nor "\"; the path is as the
// host's user gave it.
struct lumen_fcopy_file {
	const char *path, *name; // of its directory, and in there
	uint64_t size;		 // in bytes
	bool overwrite;		 // else LUMEN_IC_EXISTS, if it is there
	bool create_path;	 // make directories that are missing
};

// Called in lumen_ic_poll(), but for a last cancel() in lumen_ic_close(). One file at a time: after
// a start() that was LUMEN_IC_DONE come writes, and then complete() or cancel(), once. None is
// NULL.
struct lumen_fcopy_handlers {
	lumen_ic_answer (*start)(void *context, const struct lumen_fcopy_file *file);
	// Within the file's size.
	lumen_ic_answer (*write)(void *context, uint64_t offset, const void *data, uint32_t size);
	// All is there.
	lumen_ic_answer (*complete)(void *context);
	// What is there is to go: the host says so, begins anew, or is gone.
	void (*cancel)(void *context);
	void *context; // the caller's
};

// Opens the component, which needs lumen_ic_poll(). Otherwise as lumen_shutdown_open().
lumen_status lumen_fcopy_open(struct lumen_vmbus *bus, const struct lumen_fcopy_handlers *handlers,
	struct lumen_ic **ic_out);

LUMEN_DECLS_END

#endif
