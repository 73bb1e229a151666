// SPDX-License-Identifier: BSD-2-Clause
// See trace_ring.h.
#include "parent/ctl/trace_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { ENTRIES_MAX = 1 << 24 };

static bool read_all(int fd, uint64_t offset, void *to, size_t length)
{
	char *at = to;

	while (length) {
		ssize_t got = pread(fd, at, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		offset += (uint64_t)got;
		length -= (size_t)got;
	}
	return true;
}

bool trace_ring_look(struct trace_ring *ring)
{
	return read_all(ring->fd, 0, &ring->header, sizeof(ring->header));
}

static bool is_known(const struct lumen_trace_header *header)
{
	return header->magic == LUMEN_TRACE_MAGIC && header->version == LUMEN_TRACE_VERSION &&
	       header->entry_bytes == sizeof(struct lumen_trace_entry) && header->entries &&
	       header->entries <= ENTRIES_MAX;
}

int trace_ring_open(struct trace_ring *ring)
{
	const char *device = getenv("LUMEN_TRACE_DEVICE");
	int error = 0;

	ring->fd = open(device ? device : "/dev/mshv-trace", O_RDONLY | O_CLOEXEC);
	if (ring->fd < 0)
		return errno;
	if (!trace_ring_look(ring))
		error = EIO;
	else if (!is_known(&ring->header))
		error = EPROTO;
	if (error)
		close(ring->fd);
	return error;
}

void trace_ring_close(const struct trace_ring *ring)
{
	close(ring->fd);
}

bool trace_ring_copy(const struct trace_ring *ring, uint64_t first, uint64_t count,
	struct lumen_trace_entry *entries)
{
	const uint64_t all = ring->header.entries, at = first % all;
	const uint64_t straight = count < all - at ? count : all - at;
	const uint64_t offset = LUMEN_TRACE_HEADER_SIZE;

	return read_all(ring->fd, offset + at * sizeof(*entries), entries + at,
		       straight * sizeof(*entries)) &&
	       read_all(ring->fd, offset, entries, (count - straight) * sizeof(*entries));
}
