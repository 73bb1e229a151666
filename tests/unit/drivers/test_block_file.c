// SPDX-License-Identifier: BSD-2-Clause
// The worker's file backend, with both engines, on a real file.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/backends/block_file_internal.h"
#include "tests/unit/parent/fake_block_system.h"

#define SIZE	 (8u << 20)
#define REQUESTS 64

static char path[] = "/tmp/lumen-block-XXXXXX";
static int fd;
static struct block_file *file;
static struct block_device *device;
static struct block_request requests[REQUESTS];
static struct vsp_iovec iovs[REQUESTS][2];
static uint8_t data[REQUESTS][65536];
static int results[REQUESTS];
static uint32_t done;

static void setup(void)
{
	uint8_t block[4096];

	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	for (uint32_t i = 0; i < SIZE / 4096; i++) {
		memset(block, (int)i, sizeof(block));
		memcpy(block, &i, sizeof(i));
		cr_assert_eq(write(fd, block, sizeof(block)), sizeof(block));
	}
	done = 0;
}

static void teardown(void)
{
	if (file)
		block_file_close(file);
	file = NULL;
	close(fd);
	unlink(path);
}

static bool have(enum block_file_engine engine)
{
	struct failure failure = { 0 };

	file = block_file_open(path, false, engine, &failure);
	if (!file && engine == BLOCK_FILE_URING)
		cr_skip_test("no io_uring here: %s", failure.text);
	cr_assert_not_null(file, "%s", failure.text);
	device = block_file_device(file);
	return true;
}

static void on_done(struct block_request *request, int result)
{
	results[request - requests] = result;
	done++;
}

static void submit(uint32_t i, enum block_op op, uint32_t flags, uint64_t offset, uint64_t length)
{
	const size_t first = length < 1000 ? length : 1000;

	iovs[i][0] = (struct vsp_iovec){ data[i], first };
	iovs[i][1] = (struct vsp_iovec){ data[i] + first, length - first };
	requests[i] = (struct block_request){ .op = op,
		.flags = flags,
		.offset = offset,
		.length = length,
		.iov = op <= BLOCK_WRITE ? iovs[i] : NULL,
		.iov_count = op <= BLOCK_WRITE ? 2 : 0,
		.done = on_done };
	results[i] = 1;
	device->ops->submit(device, &requests[i]);
}

// Waits on the descriptor, as the worker's loop does.
static void finish(uint32_t count)
{
	device->ops->kick(device);
	while (done < count) {
		struct pollfd pollfd = { .fd = block_file_event_fd(file), .events = POLLIN };

		cr_assert_eq(poll(&pollfd, 1, 10000), 1, "%u of %u done", done, count);
		block_file_poll(file);
	}
	cr_assert_eq(done, count);
	cr_assert_eq(block_file_in_flight(file), 0);
	done = 0;
}

static int run(enum block_op op, uint32_t flags, uint64_t offset, uint64_t length)
{
	submit(0, op, flags, offset, length);
	finish(1);
	return results[0];
}

// Reads have to wait. That the kernel takes a page out of its cache when it is asked to is no more
// than likely.
static void forget(void)
{
	fake_block_system.cold = true;
	cr_assert_eq(fdatasync(fd), 0);
	cr_assert_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static void check_block(const uint8_t *at, uint32_t index)
{
	uint32_t found;

	memcpy(&found, at, sizeof(found));
	cr_assert_eq(found, index, "block %u is at %u", found, index);
	cr_assert_eq(at[4095], (uint8_t)index);
}

TestSuite(block_file, .init = setup, .fini = teardown, .timeout = 60);

ParameterizedTestParameters(block_file, everything)
{
	static enum block_file_engine engines[] = { BLOCK_FILE_URING, BLOCK_FILE_THREADS,
		BLOCK_FILE_BEST };

	return cr_make_param_array(enum block_file_engine, engines, 3);
}

static void read_many(void)
{
	forget();
	for (int round = 0; round < 2; round++) { // cold, then from the page cache
		fake_block_system.cold = round == 0;
		for (uint32_t i = 0; i < REQUESTS; i++) {
			memset(data[i], 0, 8192);
			submit(i, BLOCK_READ, 0, (uint64_t)(i * 29 % 2000) * 4096, 8192);
		}
		finish(REQUESTS);
		for (uint32_t i = 0; i < REQUESTS; i++) {
			cr_assert_eq(results[i], 0);
			check_block(data[i], i * 29 % 2000);
			check_block(data[i] + 4096, i * 29 % 2000 + 1);
		}
	}
}

static void write_and_read_back(void)
{
	static const uint32_t flags[] = { 0, BLOCK_REQUEST_FUA };
	uint8_t back[65536];

	for (uint32_t i = 0; i < 2; i++) {
		memset(data[0], 0x40 + (int)i, sizeof(data[0]));
		cr_assert_eq(run(BLOCK_WRITE, flags[i], 512 * 7, 65536), 0);
		cr_assert_eq(pread(fd, back, 65536, 512 * 7), 65536);
		cr_assert_eq(memcmp(back, data[0], 65536), 0);
	}
	cr_assert_eq(run(BLOCK_FLUSH, 0, 0, 0), 0);
}

static void zero_and_unmap(void)
{
	uint8_t back[8192];
	struct stat before, after;
	int result;

	cr_assert_eq(fstat(fd, &before), 0);
	cr_assert_eq(run(BLOCK_FLUSH, 0, 0, 0), 0);
	result = run(BLOCK_WRITE_ZEROES, 0, 4096 * 100, 4096);
	cr_assert(result == 0 || result == BLOCK_ERROR_UNSUPPORTED);
	if (result == 0) {
		cr_assert_eq(pread(fd, back, 8192, 4096 * 100), 8192);
		cr_assert(back[0] == 0 && memcmp(back, back + 1, 4095) == 0);
		check_block(back + 4096, 101);
	}
	if (device->flags & BLOCK_DEVICE_CAN_UNMAP) {
		cr_assert_eq(run(BLOCK_UNMAP, 0, 4096 * 200, 4096 * 300), 0);
		cr_assert_eq(pread(fd, back, 4096, 4096 * 300), 4096);
		cr_assert(back[0] == 0 && memcmp(back, back + 1, 4095) == 0);
		cr_assert_eq(fstat(fd, &after), 0);
		cr_assert_lt(after.st_blocks, before.st_blocks);
		cr_assert_eq(after.st_size, before.st_size);
	}
}

static void end_of_file(void)
{
	cr_assert_eq(ftruncate(fd, SIZE / 2), 0);
	cr_assert_eq(run(BLOCK_READ, 0, SIZE / 2 - 4096, 8192), BLOCK_ERROR_IO);
	cr_assert_eq(run(BLOCK_READ, 0, SIZE - 4096, 4096), BLOCK_ERROR_IO);
	cr_assert_eq(run(BLOCK_READ, 0, SIZE / 2 - 4096, 4096), 0);
	cr_assert_eq(ftruncate(fd, SIZE), 0);
}

ParameterizedTest(enum block_file_engine *engine, block_file, everything)
{
	if (!have(*engine))
		return;
	cr_assert_eq(device->block_count, SIZE / 512);
	cr_assert_eq(device->block_size, 512);
	cr_assert_eq(device->flags & BLOCK_DEVICE_READ_ONLY, 0);
	read_many();
	write_and_read_back();
	zero_and_unmap();
	end_of_file();
}

// Closing waits for what is under way; its done() is called.
Test(block_file, close_with_requests_in_flight)
{
	for (int engine = BLOCK_FILE_BEST; engine <= BLOCK_FILE_THREADS; engine += 2) {
		have((enum block_file_engine)engine);
		forget();
		for (uint32_t i = 0; i < REQUESTS; i++)
			submit(i, BLOCK_READ, 0, (uint64_t)i * 16 * 4096, 4096);
		block_file_close(file);
		file = NULL;
		cr_assert_eq(done, REQUESTS);
		for (uint32_t i = 0; i < REQUESTS; i++)
			check_block(data[i], i * 16);
		done = 0;
	}
}

// More pieces than one system call takes, each of one block.
Test(block_file, more_than_1024_pieces)
{
	static struct vsp_iovec iov[1025];
	static uint8_t memory[1025 * 512];

	have(BLOCK_FILE_BEST);
	for (int round = 0; round < 2; round++) {
		if (round == 0)
			forget();
		else
			fake_block_system.cold = false;
		for (uint32_t i = 0; i < 1025; i++)
			iov[i] = (struct vsp_iovec){ memory + (1024 - i) * 512, 512 };
		requests[0] = (struct block_request){ .op = BLOCK_READ,
			.length = sizeof(memory),
			.iov = iov,
			.iov_count = 1025,
			.done = on_done };
		device->ops->submit(device, &requests[0]);
		finish(1);
		cr_assert_eq(results[0], 0);
		for (uint32_t i = 0; i < 1025; i += 8) {
			uint32_t found;

			memcpy(&found, memory + (1024 - i) * 512, sizeof(found));
			cr_assert_eq(found, i / 8);
		}
	}
}

Test(block_file, read_only)
{
	struct failure failure = { 0 };

	file = block_file_open(path, true, BLOCK_FILE_BEST, &failure);
	cr_assert_not_null(file);
	device = block_file_device(file);
	cr_assert_eq(device->flags, BLOCK_DEVICE_READ_ONLY);
	cr_assert_eq(run(BLOCK_READ, 0, 4096, 4096), 0);
	check_block(data[0], 1);
	cr_assert_eq(run(BLOCK_WRITE, 0, 4096, 4096), BLOCK_ERROR_READ_ONLY);
}

Test(block_file, one_writer_at_a_time)
{
	struct failure failure = { 0 };

	have(BLOCK_FILE_BEST);
	cr_assert_null(block_file_open(path, false, BLOCK_FILE_BEST, &failure));
	cr_assert_not_null(strstr(failure.text, "in use"));
	cr_assert_null(block_file_open(path, true, BLOCK_FILE_BEST, &failure));
	block_file_close(file);
	file = block_file_open(path, true, BLOCK_FILE_BEST, &failure);
	cr_assert_not_null(file);
	device = block_file_device(file);
	{
		struct block_file *second = block_file_open(path, true, BLOCK_FILE_BEST, &failure);

		cr_assert_not_null(second); // readers share
		block_file_close(second);
	}
}

Test(block_file, disks_that_are_none)
{
	struct failure failure = { 0 };

	cr_assert_null(block_file_open("/nonexistent/disk", false, BLOCK_FILE_BEST, &failure));
	cr_assert_str_eq(failure.text,
		"The disk /nonexistent/disk cannot be opened: No such file or directory.");
	cr_assert_null(block_file_open("/dev/null", false, BLOCK_FILE_BEST, &failure));
	cr_assert_not_null(strstr(failure.text, "neither a file nor a block device"));
	cr_assert_null(block_file_open("/tmp", true, BLOCK_FILE_BEST, &failure));
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_null(block_file_open(path, false, BLOCK_FILE_BEST, &failure));
	cr_assert_not_null(strstr(failure.text, "empty; 'truncate -s 1G'"));
	cr_assert_eq(ftruncate(fd, 511), 0);
	cr_assert_null(block_file_open(path, false, BLOCK_FILE_BEST, &failure));
	cr_assert_not_null(strstr(failure.text, "smaller than one block"));
}

// The same file by other ways, and by another program (QEMU locks some bytes of its images).
Test(block_file, a_file_in_use_by_another_path)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };
	struct failure failure = { 0 };
	char other[sizeof(path) + 5];

	snprintf(other, sizeof(other), "%s.link", path);
	cr_assert_eq(link(path, other), 0);
	have(BLOCK_FILE_BEST);
	for (int read_only = 0; read_only < 2; read_only++)
		cr_assert_null(block_file_open(other, read_only, BLOCK_FILE_BEST, &failure));
	unlink(other);
	cr_assert_eq(symlink(path, other), 0);
	cr_assert_null(block_file_open(other, false, BLOCK_FILE_BEST, &failure));
	unlink(other);
	cr_assert(strstr(failure.text, "is in use by another disk"), "%s", failure.text);
	block_file_close(file);
	file = NULL;
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	cr_assert_null(block_file_open(path, false, BLOCK_FILE_BEST, &failure));
	file = block_file_open(path, true, BLOCK_FILE_BEST, &failure);
	cr_assert_not_null(file, "%s", failure.text);
}

// A worker that was killed has its disk until what it has begun has ended: the kernel's ring has it
// open still.
static void *let_go(void *context)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)context;
	usleep(300000);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return NULL;
}

Test(block_file, who_is_about_to_let_go_of_it_is_waited_for)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct failure failure = { 0 };
	pthread_t thread;

	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	cr_assert_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
	file = block_file_open(path, false, BLOCK_FILE_BEST, &failure);
	pthread_join(thread, NULL);
	cr_assert_not_null(file, "%s", failure.text);
}

// A block device over the file, with a second node beside it. Skips the test where we may not.

static char loop[32], node[sizeof(path) + 5];

static void make_loop(void)
{
	int control = open("/dev/loop-control", O_RDWR), number, device_fd;
	struct stat stat_buffer;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	snprintf(loop, sizeof(loop), "/dev/loop%d", number);
	snprintf(node, sizeof(node), "%s.node", path);
	device_fd = open(loop, O_RDWR);
	if (device_fd < 0 || ioctl(device_fd, LOOP_SET_FD, fd) || fstat(device_fd, &stat_buffer) ||
		mknod(node, S_IFBLK | 0600, stat_buffer.st_rdev))
		cr_skip_test("no loop devices here: %s", strerror(errno));
	close(device_fd);
	close(control);
}

static void remove_loop(void)
{
	int device_fd = open(loop, O_RDWR);

	cr_expect_eq(ioctl(device_fd, LOOP_CLR_FD), 0);
	close(device_fd);
	unlink(node);
}

static struct block_file *open_loop(const char *device_path, bool read_only)
{
	static struct failure failure;
	struct block_file *opened =
		block_file_open(device_path, read_only, BLOCK_FILE_BEST, &failure);

	if (!opened)
		cr_expect(strstr(failure.text, "is in use"), "%s", failure.text);
	return opened;
}

Test(block_file, a_device_has_one_writer_by_whatever_node)
{
	struct block_file *first, *second;

	make_loop();
	for (int read_only = 0; read_only < 2; read_only++) {
		first = open_loop(loop, read_only);
		cr_assert_not_null(first);
		cr_expect_null(open_loop(node, false));
		cr_expect_null(open_loop(loop, false));
		second = open_loop(node, true);
		cr_expect_eq(!!second, read_only, "readers share");
		if (second)
			block_file_close(second);
		block_file_close(first);
	}
	remove_loop();
}

// As a mount does.
Test(block_file, a_device_that_is_claimed_is_refused)
{
	int claim;

	make_loop();
	claim = open(node, O_RDONLY | O_EXCL);
	cr_assert_geq(claim, 0);
	for (int read_only = 0; read_only < 2; read_only++)
		cr_expect_null(open_loop(loop, read_only));
	close(claim);
	file = open_loop(loop, false);
	cr_assert_not_null(file);
	cr_expect_lt(open(node, O_RDONLY | O_EXCL), 0, "and it cannot be mounted now");
	device = block_file_device(file);
	cr_expect_eq(run(BLOCK_READ, 0, 4096, 4096), 0);
	check_block(data[0], 1);
	cr_expect_eq(run(BLOCK_WRITE, BLOCK_REQUEST_FUA, 8192, 4096), 0);
	cr_expect_eq(run(BLOCK_FLUSH, 0, 0, 0), 0);
	block_file_close(file);
	file = NULL;
	remove_loop();
}

// What the kernel says once is true for ever.

static unsigned count_in_log(const char *log, const char *words)
{
	static char text[1 << 16];
	int log_fd = open(log, O_RDONLY);
	ssize_t length = read(log_fd, text, sizeof(text) - 1);
	unsigned count = 0;

	close(log_fd);
	text[length > 0 ? length : 0] = 0;
	for (const char *at = text; (at = strstr(at, words)); at++)
		count++;
	return count;
}

static void fail_once(enum block_op op, uint32_t flags, int error, int result)
{
	fake_block_system.sync_error = error;
	cr_assert_eq(run(op, flags, 0, op == BLOCK_FLUSH ? 0 : 4096), result);
	cr_assert_eq(fake_block_system.sync_error, 0, "the kernel has said it");
}

static void expect_flushes(int result)
{
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(run(BLOCK_FLUSH, 0, 0, 0), result);
		cr_assert_eq(run(BLOCK_WRITE, BLOCK_REQUEST_FUA, 8192, 4096), result);
		cr_assert_eq(run(BLOCK_WRITE, 0, 8192, 4096), 0);
		cr_assert_eq(run(BLOCK_READ, 0, 8192, 4096), 0);
	}
}

static const struct sync_case {
	enum block_op op;
	uint32_t flags;
	int error, result;
	bool sticks;
} sync_cases[] = {
	{ BLOCK_FLUSH, 0, EIO, BLOCK_ERROR_IO, true },
	{ BLOCK_FLUSH, 0, ENOSPC, BLOCK_ERROR_NO_SPACE, true },
	{ BLOCK_FLUSH, 0, ENOMEM, BLOCK_ERROR_BUSY, true }, // of the write-back, for all we know
	{ BLOCK_WRITE, BLOCK_REQUEST_FUA, EIO, BLOCK_ERROR_IO, true },
	{ BLOCK_WRITE, BLOCK_REQUEST_FUA, ENOSPC, BLOCK_ERROR_NO_SPACE, true },
	{ BLOCK_WRITE, BLOCK_REQUEST_FUA, EINVAL, BLOCK_ERROR_INVALID, false },
	{ BLOCK_WRITE, BLOCK_REQUEST_FUA, ENOMEM, BLOCK_ERROR_BUSY, false },
};

ParameterizedTestParameters(block_file, after_a_failed_flush_all_fail)
{
	static enum block_file_engine engines[] = { BLOCK_FILE_URING, BLOCK_FILE_THREADS };

	return cr_make_param_array(enum block_file_engine, engines, 2);
}

ParameterizedTest(enum block_file_engine *engine, block_file, after_a_failed_flush_all_fail)
{
	char log[] = "/tmp/lumen-block-log-XXXXXX";
	int log_fd = mkstemp(log), old = dup(STDERR_FILENO);

	dup2(log_fd, STDERR_FILENO);
	for (size_t i = 0; i < ARRAY_SIZE(sync_cases); i++) {
		const struct sync_case *sync = &sync_cases[i];

		if (!have(*engine))
			return;
		expect_flushes(0);
		fail_once(sync->op, sync->flags, sync->error, sync->result);
		expect_flushes(sync->sticks ? BLOCK_ERROR_IO : 0);
		block_file_close(file); // and it is over with the opening
		file = NULL;
		cr_assert_eq(count_in_log(log, "a flush has failed"), sync->sticks, "once");
		cr_assert_eq(ftruncate(log_fd, 0), 0);
		lseek(log_fd, 0, SEEK_SET);
	}
	dup2(old, STDERR_FILENO);
	unlink(log);
}

// One of those that are under way takes the error, whichever: none is reported as good.
ParameterizedTestParameters(block_file, flushes_that_overlap_fail_together)
{
	static enum block_file_engine engines[] = { BLOCK_FILE_URING, BLOCK_FILE_THREADS };

	return cr_make_param_array(enum block_file_engine, engines, 2);
}

ParameterizedTest(enum block_file_engine *engine, block_file, flushes_that_overlap_fail_together)
{
	if (!have(*engine))
		return;
	for (int round = 0; round < 2; round++) {
		fake_block_system.sync_error = round ? EIO : 0;
		for (uint32_t i = 0; i < 16; i++)
			submit(i, i % 4 ? BLOCK_FLUSH : BLOCK_WRITE, i % 4 ? 0 : BLOCK_REQUEST_FUA,
				0, i % 4 ? 0 : 4096);
		finish(16);
		for (uint32_t i = 0; i < 16; i++)
			cr_assert_eq(results[i], round ? BLOCK_ERROR_IO : 0, "%u", i);
	}
}

// Whatever the kernel says to a submission: nothing is lost, and nothing is waited for that does
// not come.
Test(block_file, submissions_that_fail_are_tried_again)
{
	static const int submits[] = { -EINTR, -EAGAIN, -EBUSY, 3, 1, -EINTR, 2, -EAGAIN };

	have(BLOCK_FILE_URING);
	forget();
	memcpy(fake_block_system.submits, submits, sizeof(submits));
	for (uint32_t i = 0; i < REQUESTS; i++)
		submit(i, BLOCK_READ, 0, (uint64_t)i * 16 * 4096, 4096);
	device->ops->kick(device);
	cr_assert(block_file_busy(file), "the kernel took nothing: there will be no event");
	for (int i = 0; block_file_busy(file); i++) {
		cr_assert_lt(i, 8);
		block_file_poll(file);
	}
	cr_assert_eq(fake_block_system.submit_calls, ARRAY_SIZE(submits));
	finish(REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		cr_assert_eq(results[i], 0);
		check_block(data[i], i * 16);
	}
}

Test(block_file, a_ring_that_is_broken_fails_its_requests)
{
	have(BLOCK_FILE_URING);
	forget();
	fake_block_system.submits[0] = 2;
	fake_block_system.submits[1] = -EBADF;
	for (uint32_t i = 0; i < 8; i++)
		submit(i, BLOCK_READ, 0, (uint64_t)i * 16 * 4096, 4096);
	finish(8);
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_eq(results[i], i < 2 ? 0 : BLOCK_ERROR_IO, "%u", i);
	cr_assert_eq(run(BLOCK_FLUSH, 0, 0, 0), BLOCK_ERROR_IO);
}

// A discard may take long: never in the thread that submits.
ParameterizedTestParameters(block_file, a_discard_is_waited_for_by_a_thread)
{
	static enum block_file_engine engines[] = { BLOCK_FILE_URING, BLOCK_FILE_THREADS };

	return cr_make_param_array(enum block_file_engine, engines, 2);
}

ParameterizedTest(enum block_file_engine *engine, block_file, a_discard_is_waited_for_by_a_thread)
{
	if (!have(*engine))
		return;
	file->engine->close(file);
	file->discard = true; // as of a device that has nothing better
	memset(&file->pool, 0, sizeof(file->pool));
	cr_assert_eq(file->engine->open(file), 0);
	forget();
	fake_block_system.hangs = true;
	submit(0, BLOCK_UNMAP, 0, 0, 1 << 20);
	device->ops->kick(device);
	block_file_poll(file);
	cr_assert_eq(done, 0);
	__atomic_store_n(&fake_block_system.hangs, false, __ATOMIC_RELEASE);
	submit(1, BLOCK_READ, 0, 4 << 20, 4096);
	finish(2);
	cr_assert_eq(results[0], 0);
	cr_assert_eq(results[1], 0);
	cr_assert_eq(fake_block_system.discards, 1);
}
