// SPDX-License-Identifier: BSD-2-Clause
// See vp.h.
#include "parent/worker/vp.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/exits.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

enum { STOP_SIGNAL = SIGUSR1, STOP_INTERVAL_NS = 5000000 };

// Flat segments of 4 GiB, 32 bits: what the loader's GDT holds (loader.c).
static const struct hv_x64_segment_register code_segment = {
	.limit = 0xffffffff, .selector = LOADER_CODE_SELECTOR, .attributes = 0xc09b
};
static const struct hv_x64_segment_register data_segment = {
	.limit = 0xffffffff, .selector = LOADER_DATA_SELECTOR, .attributes = 0xc093
};
static const struct hv_x64_segment_register task_segment = {
	.limit = 0x67, .selector = LOADER_TASK_SELECTOR, .attributes = 0x008b
};

enum { CR0_PE = 1, CR0_ET = 0x10, RFLAGS_FIXED = 2 };

static int set_entry_state(struct worker *worker, const struct loader_entry *entry)
{
	const struct hv_register_assoc registers[] = {
		{ .name = HvX64RegisterRip, .value.reg64 = entry->rip },
		{ .name = HvX64RegisterRax, .value.reg64 = entry->rax },
		{ .name = HvX64RegisterRbx, .value.reg64 = entry->rbx },
		{ .name = HvX64RegisterRsi, .value.reg64 = entry->rsi },
		{ .name = HvX64RegisterRflags, .value.reg64 = RFLAGS_FIXED },
		{ .name = HvX64RegisterCr0, .value.reg64 = CR0_PE | CR0_ET },
		{ .name = HvX64RegisterCr4, .value.reg64 = 0 },
		{ .name = HvX64RegisterCs, .value.segment = code_segment },
		{ .name = HvX64RegisterDs, .value.segment = data_segment },
		{ .name = HvX64RegisterEs, .value.segment = data_segment },
		{ .name = HvX64RegisterSs, .value.segment = data_segment },
		{ .name = HvX64RegisterTr, .value.segment = task_segment },
		{ .name = HvX64RegisterGdtr,
			.value.table = { .base = entry->gdt, .limit = LOADER_GDT_LIMIT } },
	};

	return partition_set_registers(&worker->partition, 0, registers, ARRAY_SIZE(registers));
}

static void on_stop_signal(int number)
{
	// Its only purpose is to interrupt the ioctl.
}

bool vps_create(struct worker *worker, const struct loader_entry *entry, struct failure *failure)
{
	struct sigaction action = { .sa_handler = on_stop_signal }; // no SA_RESTART
	int status;

	sigaction(STOP_SIGNAL, &action, NULL); // now: a confined worker cannot
	for (uint32_t i = 0; i < CHILD_VPS_MAX; i++)
		worker->vps[i] = (struct vp){ .worker = worker, .index = i, .fd = -1 };
	for (uint32_t i = 0; i < worker->config.vps; i++) {
		worker->vps[i].fd = partition_create_vp(&worker->partition, i);
		if (worker->vps[i].fd < 0)
			return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
				"Virtual processor %u cannot be created: %s.", i, strerror(errno));
	}
	status = set_entry_state(worker, entry);
	if (!status)
		return true;
	return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
		"The kernel's entry state is refused: hypercall status %d.", status);
}

static bool must_stop(const struct vp *vp)
{
	return __atomic_load_n(&vp->stop, __ATOMIC_ACQUIRE);
}

static void *run_vp(void *context)
{
	struct vp *vp = context;
	struct hv_message message;
	bool go_on = true;

	while (go_on && !must_stop(vp)) {
		int error = partition_run_vp(vp->fd, &vp->answer, &message);

		if (!error) {
			go_on = exits_handle(vp, &message);
		} else if (error != EINTR) {
			worker_end(vp->worker, LUMEN_EXIT_OUR_FAULT,
				"Virtual processor %u cannot run: %s.", vp->index, strerror(error));
			go_on = false;
		}
	}
	__atomic_store_n(&vp->finished, true, __ATOMIC_RELEASE);
	return NULL;
}

bool vps_run(struct worker *worker, struct failure *failure)
{
	for (uint32_t i = 0; i < worker->config.vps; i++) {
		struct vp *vp = &worker->vps[i];
		int error = pthread_create(&vp->thread, NULL, run_vp, vp);

		if (error)
			return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
				"A thread cannot be started: %s.", strerror(error));
		vp->has_thread = true;
	}
	return true;
}

// A signal that comes between the thread's look at `stop` and its ioctl is lost: so once more,
// until it is heard.
static bool stop_vp(struct vp *vp, deadline_ns deadline)
{
	const struct timespec interval = { .tv_nsec = STOP_INTERVAL_NS };

	while (!__atomic_load_n(&vp->finished, __ATOMIC_ACQUIRE) && deadline_left_ms(deadline)) {
		pthread_kill(vp->thread, STOP_SIGNAL);
		nanosleep(&interval, NULL);
	}
	vp->has_thread = !deadline_join(vp->thread, deadline);
	return !vp->has_thread;
}

bool vps_stop(struct worker *worker, deadline_ns deadline)
{
	bool done = true;

	for (uint32_t i = 0; i < worker->config.vps; i++)
		__atomic_store_n(&worker->vps[i].stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < worker->config.vps; i++)
		if (worker->vps[i].has_thread)
			done = stop_vp(&worker->vps[i], deadline) && done;
	return done;
}

void vps_close(struct worker *worker)
{
	for (uint32_t i = 0; i < CHILD_VPS_MAX; i++)
		if (worker->vps[i].fd >= 0)
			close(worker->vps[i].fd);
}
