// SPDX-License-Identifier: BSD-2-Clause
// lumen-diskbench DEVICE seq MIB | rand COUNT DEPTH: reads past the page cache, in sequence in
// pieces of 1 MiB, one at a time, or COUNT pieces of 4 KiB at (always the same) random places with
// DEPTH requests in flight.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SEQ_PIECE = 1 << 20, RAND_PIECE = 4096, DEPTH_MAX = 256 };

struct pattern {
	int random;
	size_t piece;
	uint64_t count;
	unsigned depth;
};

// Requests in flight, and how far we are with the pattern.
struct reader {
	const struct pattern *pattern;
	int fd;
	uint64_t pieces, submitted;
	char *buffers; // DEPTH pieces
	aio_context_t aio;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// xorshift64: the same places in every run.
static uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

// Puts up to COUNT more requests in flight, each with the buffer of one of CONTROLS.
static int submit(struct reader *reader, struct iocb **controls, unsigned count)
{
	const struct pattern *pattern = reader->pattern;
	unsigned filled = 0;

	for (; filled < count && reader->submitted < pattern->count;
		filled++, reader->submitted++) {
		uint64_t number = pattern->random ? next_random() : reader->submitted;

		controls[filled]->aio_offset = (int64_t)(number % reader->pieces * pattern->piece);
	}
	for (unsigned done = 0; done < filled;) {
		long now =
			syscall(SYS_io_submit, reader->aio, (long)(filled - done), controls + done);

		if (now <= 0)
			return -1;
		done += (unsigned)now;
	}
	return (int)filled;
}

static int read_all(struct reader *reader)
{
	const struct pattern *pattern = reader->pattern;
	struct iocb requests[DEPTH_MAX] = { 0 }, *controls[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	int in_flight;

	for (unsigned i = 0; i < pattern->depth; i++) {
		requests[i].aio_lio_opcode = IOCB_CMD_PREAD;
		requests[i].aio_fildes = (uint32_t)reader->fd;
		requests[i].aio_buf = (uintptr_t)(reader->buffers + i * pattern->piece);
		requests[i].aio_nbytes = pattern->piece;
		controls[i] = &requests[i];
	}
	for (in_flight = submit(reader, controls, pattern->depth); in_flight > 0;) {
		long done =
			syscall(SYS_io_getevents, reader->aio, 1l, (long)in_flight, events, NULL);
		int more;

		if (done <= 0)
			return -1;
		for (long i = 0; i < done; i++) {
			if (events[i].res != (int64_t)pattern->piece)
				return -1;
			controls[i] = (struct iocb *)(uintptr_t)events[i].obj;
		}
		more = submit(reader, controls, (unsigned)done);
		if (more < 0)
			return -1;
		in_flight += more - (int)done;
	}
	return in_flight;
}

static int run(const char *device, const struct pattern *pattern)
{
	struct reader reader = { .pattern = pattern };
	void *buffers;
	uint64_t start;

	reader.fd = open(device, O_RDONLY | O_DIRECT);
	if (reader.fd < 0 ||
		posix_memalign(&buffers, RAND_PIECE, pattern->depth * pattern->piece) ||
		syscall(SYS_io_setup, pattern->depth, &reader.aio)) {
		perror("lumen-diskbench");
		return 1;
	}
	reader.buffers = buffers;
	reader.pieces = (uint64_t)lseek(reader.fd, 0, SEEK_END) / pattern->piece;
	start = now_us();
	if (!reader.pieces || read_all(&reader) < 0) {
		fprintf(stderr, "lumen-diskbench: %s cannot be read\n", device);
		return 1;
	}
	printf("requests=%" PRIu64 " bytes=%" PRIu64 " us=%" PRIu64 "\n", pattern->count,
		pattern->count * pattern->piece, now_us() - start);
	return 0;
}

int main(int argc, char **argv)
{
	struct pattern pattern = { .depth = 1 };

	if (argc == 4 && !strcmp(argv[2], "seq")) {
		pattern.piece = SEQ_PIECE;
	} else if (argc == 5 && !strcmp(argv[2], "rand")) {
		pattern.piece = RAND_PIECE;
		pattern.random = 1;
		pattern.depth = (unsigned)strtoul(argv[4], NULL, 10);
	}
	pattern.count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	if (!pattern.piece || !pattern.count || !pattern.depth || pattern.depth > DEPTH_MAX) {
		fprintf(stderr, "usage: lumen-diskbench DEVICE seq MIB | rand COUNT DEPTH\n");
		return 1;
	}
	return run(argv[1], &pattern);
}
