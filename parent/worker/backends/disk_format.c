// SPDX-License-Identifier: BSD-2-Clause
// See disk_format.h.
#include "parent/worker/backends/disk_format.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"

enum { SECTOR = 512 };

static const struct disk_format {
	const char *name, *tool_name;
	int offset;
	unsigned length;
	const char *magic;
} formats[] = {
#define X(name, tool_name, offset, magic) { name, tool_name, offset, sizeof(magic) - 1, magic },
	DISK_FORMATS(X)
#undef X
};

// The two places where magics are. A disk of one sector has it twice.
struct ends {
	char first[SECTOR], last[SECTOR];
};

static bool read_ends(int fd, struct ends *ends)
{
	off_t size = lseek(fd, 0, SEEK_END);

	memset(ends, 0, sizeof(*ends));
	if (size < 0 || pread(fd, ends->first, SECTOR, 0) < 0)
		return false;
	return size < SECTOR || pread(fd, ends->last, SECTOR, size - SECTOR) >= 0;
}

static const struct disk_format *find_format(const struct ends *ends)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const struct disk_format *format = &formats[i];
		const char *at = format->offset < 0 ? ends->last + SECTOR + format->offset
						    : ends->first + format->offset;

		if (!memcmp(at, format->magic, format->length))
			return format;
	}
	return NULL;
}

static bool judge(const char *path, const struct ends *ends, struct failure *failure)
{
	const struct disk_format *format = find_format(ends);

	if (!format)
		return true;
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The disk %.120s is a %s image, and disks are raw here: convert it (qemu-img "
		"convert "
		"-f %s -O raw %.120s NEW), or insist on it as it is (--disk FILE,format=raw).",
		path, format->name, format->tool_name, path);
}

bool disk_format_is_raw(int fd, const char *path, struct failure *failure)
{
	struct ends ends;

	if (read_ends(fd, &ends))
		return judge(path, &ends, failure);
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "The disk %s cannot be read: %s.",
		path, strerror(errno));
}
