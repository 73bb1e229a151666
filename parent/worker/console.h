// SPDX-License-Identifier: BSD-2-Clause
// The child's console between the UART (VP threads) and the readers (main thread): a history of
// output in which each reader has its own place, a queue of input, and the log file.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONSOLE_HISTORY = 1 << 20, // bytes, a power of two
	CONSOLE_INPUT = 1 << 12,   // likewise
};

// Told that there is output to collect, or room for input again. May come from any thread.
struct console_wake {
	void *context;
	void (*wake)(void *context);
};

struct console {
	pthread_mutex_t lock; // of all below; innermost, never held over a call out but wake()
	uint8_t history[CONSOLE_HISTORY];
	uint64_t written; // bytes of output since the start
	uint8_t input[CONSOLE_INPUT];
	uint32_t input_first, input_count;
	bool input_refused; // there was more input than room
	bool awake;	    // the main thread knows that there is output
	struct console_wake wake;
	// The main thread's own.
	int log_fd;	     // -1: no log
	int old_log_fd;	     // likewise
	uint64_t logged;     // bytes of output that are in the log files
	uint64_t log_length; // bytes in the current one
};

// Starts a console that logs to the child's directory. Without a log file it goes on, and says so.
void console_init(struct console *console, const char *directory, const struct console_wake *wake);

// Appends a byte of output. Any thread.
void console_put(struct console *console, uint8_t byte);

// Takes a byte of input, or returns -1. Any thread.
int console_get(struct console *console);

// Queues input; returns how much of it there was room for. wake() comes when there is room again.
size_t console_input(struct console *console, const uint8_t *bytes, size_t length);

// Returns whether there is room for input.
bool console_has_room(struct console *console);

// Copies output from *position on to `to`, at most `size` bytes; moves *position. If output is gone
// already, says so in the copy. Returns the number of bytes, 0 if there is nothing new.
size_t console_read(struct console *console, uint64_t *position, uint8_t *to, size_t size);

// Returns the position from which a new reader can read: the oldest output that is still there.
uint64_t console_oldest(struct console *console);

// Writes new output to the log: CONSOLE_HISTORY bytes at most, the child may be adding more all the
// time. Returns whether there was any. Main thread.
bool console_log(struct console *console);

// Asks for a wake() with the next output. Returns false if there is some already. Main thread.
bool console_sleep(struct console *console);
