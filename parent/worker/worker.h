// SPDX-License-Identifier: BSD-2-Clause
// The worker: everything of one child, and how it ends.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "parent/common/child_config.h"
#include "parent/common/rundir.h"
#include "parent/worker/console.h"
#include "parent/worker/control.h"
#include "parent/worker/crash_watch.h"
#include "parent/worker/platform/devices.h"
#include "parent/worker/devices/table.h"
#include "parent/worker/platform/loader.h"
#include "parent/worker/loop.h"
#include "parent/worker/memory.h"
#include "parent/worker/message_log.h"
#include "parent/worker/partition.h"
#include "parent/worker/test_synic.h"
#include "parent/worker/vmbus_host.h"
#include "parent/worker/vp.h"

// How the child ended, or is about to. The first word counts, but a crash outweighs what the
// crashing child does next (power off, reset, or nothing until the time is up).
struct worker_end {
	pthread_mutex_t lock;
	bool ended, crashed;
	int status; // enum lumen_exit_status or the child's own
	char reason[RUNDIR_REASON_MAX];
};

struct worker {
	const char *name;
	const char *directory; // a path of /run/lumen/NAME; only until the child runs
	pid_t pid;	       // what others know it by: the supervisor's
	int connector_fd;      // connector.h; 0: there is none
	int client_fd;	       // a client of the control socket that has been there before; 0: none
	// Called when all is open and no thread runs yet; NULL: nothing to do.
	bool (*confine)(struct worker *worker, struct failure *failure);
	struct child_config config;
	struct guest_memory memory;
	struct partition partition;
	struct console console;
	struct devices devices;
	struct test_synic test_synic; // --test-devices
	struct vp vps[CHILD_VPS_MAX];
	struct vmbus_host vmbus;
	struct message_log messages;		    // of the VMBus
	struct device *synthetic[DEVICE_TABLE_MAX]; // those that a row has been attached of
	unsigned synthetic_count;
	struct control control;
	struct loop loop;
	struct loop_source console_event; // there is output; see console.h
	struct loop_source console_timer; // collects output for a moment
	struct loop_source end_event;
	struct loop_source time_limit;
	struct loop_source crash_timer;
	struct crash_watch crash_watch; // of a child that has reported a crash
	bool crash_reported;		// atomic: by the child itself, with its crash MSRs
	uint32_t crash_vp;		// by which VP of it
	struct loop_source signals;
	struct worker_end end;
	bool killed; // on request
};

// Ends the child with a status and a sentence that says why. Any thread; returns at once, the main
// thread does it.
__attribute__((format(printf, 3, 4))) void worker_end(
	struct worker *worker, int status, const char *format, ...);

// The child says that it has crashed. It goes on as long as --on-crash lets it, then it is ended.
__attribute__((format(printf, 2, 3))) void worker_crashed(
	struct worker *worker, const char *format, ...);

// Makes everything, enters the child, and returns true when it runs. On failure nothing is left.
bool worker_start(struct worker *worker, struct failure *failure);

// Serves the child until its end, and gives everything back: within 5 s of that
// end, whatever the kernel does with the disks. Returns the status;
// worker->end has the reason, too. Threads may be left that
// hang in the kernel, and that use *worker: exit.
int worker_run(struct worker *worker);

// Reads the child's reference time in units of 100 ns. Returns false, and leaves *time alone, if it
// cannot be read now.
bool worker_reference_time(struct worker *worker, uint64_t *time);

// What the child does, from the counters that `stat` shows, too.
void worker_sample(struct worker *worker, struct crash_sample *sample);

// Ends the child at once: the control socket asks for it, or a signal that the supervisor passes
// on.
void worker_kill(struct worker *worker);

// Writes a part of the statistics, `name value` lines, to `text` (CONTROL_PART_MAX bytes). Returns
// their length, 0 behind the last part. (stat.c)
size_t worker_stat(struct worker *worker, unsigned part, char *text, size_t size);

// The same of what the devices know of the child: one part.
size_t worker_tell(struct worker *worker, char *text, size_t size);
