// SPDX-License-Identifier: BSD-2-Clause
// lumen-diskbench DEVICE seq MIB | rand COUNT: reads past the page cache, one request at a time:
// in sequence in pieces of 1 MiB, or COUNT pieces of 4 KiB at (always the same) random places.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEQ_PIECE = 1 << 20, RAND_PIECE = 4096 };

struct pattern {
	size_t piece;
	uint64_t count;
	int random;
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

static int read_all(int fd, const struct pattern *pattern, uint64_t pieces)
{
	void *buffer;

	if (posix_memalign(&buffer, RAND_PIECE, pattern->piece))
		return -1;
	for (uint64_t i = 0; i < pattern->count; i++) {
		uint64_t at = (pattern->random ? next_random() : i) % pieces * pattern->piece;

		if (pread(fd, buffer, pattern->piece, (off_t)at) != (ssize_t)pattern->piece) {
			perror("lumen-diskbench: read");
			free(buffer);
			return -1;
		}
	}
	free(buffer);
	return 0;
}

static int run(const char *device, const struct pattern *pattern)
{
	uint64_t start, pieces;
	int error, fd = open(device, O_RDONLY | O_DIRECT);

	if (fd < 0) {
		perror("lumen-diskbench: open");
		return 1;
	}
	pieces = (uint64_t)lseek(fd, 0, SEEK_END) / pattern->piece;
	start = now_us();
	error = pieces ? read_all(fd, pattern, pieces) : -1;
	if (!error)
		printf("requests=%" PRIu64 " bytes=%" PRIu64 " us=%" PRIu64 "\n", pattern->count,
			pattern->count * pattern->piece, now_us() - start);
	close(fd);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct pattern pattern = { 0 };

	if (argc == 4 && !strcmp(argv[2], "seq"))
		pattern.piece = SEQ_PIECE;
	else if (argc == 4 && !strcmp(argv[2], "rand"))
		pattern.piece = RAND_PIECE;
	pattern.random = pattern.piece == RAND_PIECE;
	pattern.count = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	if (!pattern.piece || !pattern.count) {
		fprintf(stderr, "usage: lumen-diskbench DEVICE seq MIB | rand COUNT\n");
		return 1;
	}
	return run(argv[1], &pattern);
}
