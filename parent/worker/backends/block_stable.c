// SPDX-License-Identifier: BSD-2-Clause
// Flushes and FUA writes: what they promise, and how that ends for good.
//
// The kernel reports a failed write-back once: to the first fdatasync() or RWF_DSYNC write on this
// open file that asks. It has marked the pages as clean by then, so the next one succeeds although
// the data is lost. So after one failure all of them fail.
//
// Those that overlap go in epochs: what is under way together is reported together. Otherwise one
// could be reported as good because another, reported later, has taken the error.
#include "parent/worker/backends/block_file_internal.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "parent/worker/log.h"

void block_stable_init(struct block_file *file)
{
	file->stable.waiting_end = &file->stable.waiting;
}

bool block_stable_is(const struct block_request *request)
{
	return request->op == BLOCK_FLUSH ||
	       (request->op == BLOCK_WRITE && (request->flags & BLOCK_REQUEST_FUA));
}

void block_stable_submit(struct block_file *file, struct block_request *request)
{
	struct block_stable_state *stable = &file->stable;

	if (stable->failed) {
		block_file_complete(file, request, -EIO);
	} else if (stable->ended) {
		request->next = NULL;
		*stable->waiting_end = request;
		stable->waiting_end = &request->next;
	} else {
		stable->running++;
		file->engine->start(file, request);
	}
}

// Errors of a write that say that it was not tried: it does not wrong those before it. A flush has
// no such excuse once the kernel has had it.
static bool block_was_not_tried(const struct block_request *request, int error)
{
	static const int errors[] = { EAGAIN, ENOMEM, EINVAL, EOPNOTSUPP, EBADF, EROFS, EPERM };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i] == -error)
			return request->op == BLOCK_WRITE || error == -EAGAIN;
	return false;
}

static void block_stable_fail(struct block_file *file, int error)
{
	if (!file->stable.failed)
		log_line("disk %s: a flush has failed: %s. Writes that were done before may be "
			 "lost: every flush fails from here, until the child is started again",
			file->path, strerror(-error));
	file->stable.failed = true;
}

// The end of an epoch: everybody of it is told the same, and the next one begins.
static void block_stable_release(struct block_file *file)
{
	struct block_stable_state *stable = &file->stable;
	struct block_request *ended = stable->ended, *waiting = stable->waiting, *next;

	stable->ended = NULL;
	stable->waiting = NULL;
	stable->waiting_end = &stable->waiting;
	for (; ended; ended = next) {
		next = ended->next;
		block_file_complete(file, ended, stable->failed ? -EIO : 0);
	}
	for (; waiting; waiting = next) {
		next = waiting->next;
		block_stable_submit(file, waiting);
	}
}

void block_stable_end(struct block_file *file, struct block_request *request, int error)
{
	struct block_stable_state *stable = &file->stable;

	stable->running--;
	if (error && !block_was_not_tried(request, error))
		block_stable_fail(file, error);
	if (error) {
		block_file_complete(file, request, error);
	} else {
		request->next = stable->ended;
		stable->ended = request;
	}
	if (!stable->running)
		block_stable_release(file);
}
