// SPDX-License-Identifier: BSD-2-Clause
// See console.h.
#include "parent/worker/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "parent/common/rundir.h"
#include "parent/worker/log.h"

// The log is in memory (/run): two files of at most this many bytes each.
enum { LOG_FILE_MAX = 4 << 20, LOG_CHUNK = 4096 };

static int open_log(const char *directory, const char *file)
{
	char path[PATH_MAX];
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", directory, file) < (int)sizeof(path))
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		log_line("the console log %s cannot be written: %s", path, strerror(errno));
	return fd;
}

void console_init(struct console *console, const char *directory, const struct console_wake *wake)
{
	memset(console, 0, sizeof(*console));
	pthread_mutex_init(&console->lock, NULL);
	console->wake = *wake;
	// Both at once: when the first is full there is no directory to find the second in.
	console->log_fd = open_log(directory, RUNDIR_CONSOLE);
	console->old_log_fd = open_log(directory, RUNDIR_CONSOLE_OLD);
}

void console_put(struct console *console, uint8_t byte)
{
	bool wake;

	pthread_mutex_lock(&console->lock);
	console->history[console->written++ % CONSOLE_HISTORY] = byte;
	wake = !console->awake;
	console->awake = true;
	pthread_mutex_unlock(&console->lock);
	if (wake)
		console->wake.wake(console->wake.context);
}

int console_get(struct console *console)
{
	bool wake = false;
	int byte = -1;

	pthread_mutex_lock(&console->lock);
	if (console->input_count) {
		byte = console->input[console->input_first];
		console->input_first = (console->input_first + 1) % CONSOLE_INPUT;
		console->input_count--;
	}
	if (!console->input_count && console->input_refused) {
		console->input_refused = false;
		wake = true;
	}
	pthread_mutex_unlock(&console->lock);
	if (wake)
		console->wake.wake(console->wake.context);
	return byte;
}

size_t console_input(struct console *console, const uint8_t *bytes, size_t length)
{
	size_t taken = 0;

	pthread_mutex_lock(&console->lock);
	while (taken < length && console->input_count < CONSOLE_INPUT) {
		uint32_t at = (console->input_first + console->input_count) % CONSOLE_INPUT;

		console->input[at] = bytes[taken++];
		console->input_count++;
	}
	if (taken < length)
		console->input_refused = true;
	pthread_mutex_unlock(&console->lock);
	return taken;
}

bool console_has_room(struct console *console)
{
	bool room;

	pthread_mutex_lock(&console->lock);
	room = console->input_count < CONSOLE_INPUT;
	pthread_mutex_unlock(&console->lock);
	return room;
}

static uint64_t oldest(const struct console *console)
{
	return console->written > CONSOLE_HISTORY ? console->written - CONSOLE_HISTORY : 0;
}

uint64_t console_oldest(struct console *console)
{
	uint64_t position;

	pthread_mutex_lock(&console->lock);
	position = oldest(console);
	pthread_mutex_unlock(&console->lock);
	return position;
}

// Copies what lies between the position and the end, up to the end of the ring.
static size_t copy_history(
	const struct console *console, uint64_t *position, uint8_t *to, size_t size)
{
	size_t at = *position % CONSOLE_HISTORY;
	size_t length = CONSOLE_HISTORY - at;

	if (length > console->written - *position)
		length = console->written - *position;
	if (length > size)
		length = size;
	memcpy(to, console->history + at, length);
	*position += length;
	return length;
}

size_t console_read(struct console *console, uint64_t *position, uint8_t *to, size_t size)
{
	uint64_t first;
	size_t length;

	pthread_mutex_lock(&console->lock);
	first = oldest(console);
	if (*position < first) {
		int said = snprintf((char *)to, size, "\r\n[lumen: %llu bytes are lost]\r\n",
			(unsigned long long)(first - *position));

		length = (size_t)said < size ? (size_t)said : size - 1;
		*position = first;
	} else {
		length = copy_history(console, position, to, size);
	}
	pthread_mutex_unlock(&console->lock);
	return length;
}

// Keeps what is in the log as the old one, and begins anew.
static void rotate_log(struct console *console)
{
	off_t from = 0;

	if (console->old_log_fd >= 0 &&
		(ftruncate(console->old_log_fd, 0) || lseek(console->old_log_fd, 0, SEEK_SET) ||
			sendfile(console->old_log_fd, console->log_fd, &from, console->log_length) <
				0))
		log_line("the old console log is not whole: %s", strerror(errno));
	if (ftruncate(console->log_fd, 0) || lseek(console->log_fd, 0, SEEK_SET))
		log_line("the console log cannot begin anew: %s", strerror(errno));
	console->log_length = 0;
}

bool console_log(struct console *console)
{
	uint8_t chunk[LOG_CHUNK];
	size_t length, total = 0;

	while (total < CONSOLE_HISTORY &&
		(length = console_read(console, &console->logged, chunk, sizeof(chunk)))) {
		total += length;
		if (console->log_fd >= 0 && write(console->log_fd, chunk, length) < 0) {
			log_line("the console log is lost from here: %s", strerror(errno));
			close(console->log_fd);
			console->log_fd = -1;
		}
		console->log_length += length;
		if (console->log_fd >= 0 && console->log_length >= LOG_FILE_MAX)
			rotate_log(console);
	}
	return total;
}

bool console_sleep(struct console *console)
{
	bool nothing;

	pthread_mutex_lock(&console->lock);
	nothing = console->logged == console->written;
	if (nothing)
		console->awake = false;
	pthread_mutex_unlock(&console->lock);
	return nothing;
}
