// SPDX-License-Identifier: BSD-2-Clause
// See agent_file.h.
#include "parent/common/agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = AGENT_PAYLOAD_MAX - sizeof(uint64_t), TRIES = 100 };

// "": what ends the connection has been said, or nobody hears it.
__attribute__((format(printf, 2, 3))) static bool fail(char *sentence, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, AGENT_SENTENCE_MAX, format, arguments);
	va_end(arguments);
	return false;
}

// --- sending ---

// The next part that is no hole. A file system that has no holes has one part. Returns false at the
// end.
static bool next_part(int fd, uint64_t from, uint64_t size, uint64_t *start, uint64_t *end)
{
	off_t data = lseek(fd, (off_t)from, SEEK_DATA);
	off_t hole;

	if (from >= size || (data < 0 && errno == ENXIO))
		return false;
	*start = data < 0 ? from : (uint64_t)data;
	hole = lseek(fd, (off_t)*start, SEEK_HOLE);
	*end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
	return *start < *end;
}

static bool send_part(
	struct agent_stream *stream, int fd, uint64_t at, uint64_t end, char *sentence)
{
	static uint8_t chunk[CHUNK];
	const size_t length = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
	ssize_t got = pread(fd, chunk, length, (off_t)at);

	if (got != (ssize_t)length)
		return fail(sentence, "The file cannot be read: %s.",
			got < 0 ? strerror(errno) : "it has become shorter");
	*sentence = 0;
	return agent_send(stream, AGENT_DATA, &at, sizeof(at), chunk, length);
}

static bool send_parts(
	struct agent_stream *stream, int fd, uint64_t size, agent_progress progress, char *sentence)
{
	uint64_t at = 0, end = 0;

	*sentence = 0;
	while (next_part(fd, end, size, &at, &end)) {
		for (; at < end; at += CHUNK) {
			if (agent_interrupts(stream) || !send_part(stream, fd, at, end, sentence))
				return false;
			if (progress)
				progress(at, size);
		}
	}
	return true;
}

bool agent_send_file(
	struct agent_stream *stream, int fd, uint64_t size, agent_progress progress, char *sentence)
{
	if (!send_parts(stream, fd, size, progress, sentence))
		return false;
	if (lseek(fd, 0, SEEK_END) < (off_t)size)
		return fail(sentence, "The file has become shorter.");
	return agent_send(stream, AGENT_END, NULL, 0, NULL, 0);
}

// --- receiving ---

static char partial[PATH_MAX]; // the path of what is being received; "": nothing is

void agent_forget_file(void)
{
	if (*partial)
		unlink(partial);
}

static bool is_folder(const char *path)
{
	struct stat stat_of;

	return !stat(path, &stat_of) && S_ISDIR(stat_of.st_mode);
}

// A link stays, and leads to the new file: if Linux follows it, too. In a folder like /tmp it does
// not follow somebody else's (fs.protected_symlinks), of which realpath() knows nothing. What is no
// file is not replaced by one.
static bool follow(char *target, char *sentence)
{
	char resolved[PATH_MAX];
	const char *found = realpath(target, resolved);
	struct stat followed, there;

	if (stat(target, &followed))
		return errno == ENOENT ||
		       fail(sentence, "%s cannot be written: %s.", target, strerror(errno));
	if (!S_ISREG(followed.st_mode))
		return fail(sentence, "%s is no regular file.", target);
	if (!found || lstat(found, &there) || there.st_dev != followed.st_dev ||
		there.st_ino != followed.st_ino)
		return fail(sentence, "%s has just been changed.", target);
	memcpy(target, resolved, sizeof(resolved));
	return true;
}

// Where it goes at last.
static bool find_target(const char *path, const char *last, char *target, char *sentence)
{
	const bool folder = is_folder(path);
	int length =
		snprintf(target, PATH_MAX, "%s%s%s", path, folder ? "/" : "", folder ? last : "");

	if (length >= PATH_MAX || !*path)
		return fail(sentence, "That is no path.");
	if (target[length - 1] == '/')
		return fail(sentence, "There is no folder %s.", path);
	return follow(target, sentence);
}

// Beside it, under a name that is no other's.
static int create_partial(const char *target)
{
	const char *slash = strrchr(target, '/');
	const int folder = slash ? (int)(slash + 1 - target) : 0;
	int fd = -1;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		snprintf(partial, sizeof(partial), "%.*s.lumen-%d-%d", folder, target, getpid(), i);
		fd = open(partial, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		*partial = 0;
	return fd;
}

static bool write_all(int fd, const uint8_t *bytes, size_t length, uint64_t at)
{
	while (length) {
		ssize_t done = pwrite(fd, bytes, length, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		at += (uint64_t)done;
		length -= (size_t)done;
	}
	return true;
}

// Returns false if that is the last one: with a sentence, or at the end, with *whole.
static bool take_data(struct agent_frame *frame, int fd, const struct agent_file *file,
	agent_progress progress, bool *whole, char *sentence)
{
	uint64_t at;

	*sentence = 0;
	*whole = frame->type == AGENT_END;
	if (*whole)
		return false;
	if (frame->type == AGENT_FAILED)
		return fail(sentence, "%.*s", (int)frame->length, (const char *)frame->bytes);
	if (frame->type != AGENT_DATA || !agent_take(frame, &at, sizeof(at)) || at > file->size ||
		frame->length > file->size - at)
		return fail(sentence, "The other end says what makes no sense.");
	if (!write_all(fd, frame->bytes, frame->length, at))
		return fail(sentence, "The file cannot be written: %s.", strerror(errno));
	if (progress)
		progress(at, file->size);
	return true;
}

static bool receive_data(struct agent_stream *stream, int fd, const struct agent_file *file,
	agent_progress progress, char *sentence)
{
	struct agent_frame frame;
	bool whole = false;

	do {
		*sentence = 0;
		if (!agent_receive(stream, &frame))
			return false;
	} while (take_data(&frame, fd, file, progress, &whole, sentence));
	return whole;
}

// The other end is not the one to open it to others.
static mode_t masked(uint32_t mode)
{
	const mode_t mask = umask(0);

	umask(mask);
	return mode & 0777 & ~mask;
}

static bool put_in_place(int fd, const char *target, const struct agent_file *file, char *sentence)
{
	if (ftruncate(fd, (off_t)file->size) || fchmod(fd, masked(file->mode)) ||
		rename(partial, target))
		return fail(sentence, "%s cannot be written: %s.", target, strerror(errno));
	*partial = 0;
	return true;
}

bool agent_receive_file(struct agent_stream *stream, const char *path, const char *last,
	const struct agent_file *file, agent_progress progress, char *sentence)
{
	char target[PATH_MAX];
	bool done;
	int fd;

	if (!find_target(path, last, target, sentence))
		return false;
	fd = create_partial(target);
	if (fd < 0)
		return fail(sentence, "%s cannot be written: %s.", target, strerror(errno));
	done = receive_data(stream, fd, file, progress, sentence) &&
	       put_in_place(fd, target, file, sentence);
	close(fd);
	agent_forget_file();
	*partial = 0;
	return done;
}
