// SPDX-License-Identifier: BSD-2-Clause
// The control socket, /run/lumen/NAME/ctl: a Unix stream socket. A client sends one line, a
// request; the answer is `ok` or `error <sentence>` on a line, then what the request gives. Main
// thread.
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/worker/console.h"
#include "parent/worker/loop.h"

enum { CONTROL_CLIENTS_MAX = 16, CONTROL_LINE_MAX = 64, CONTROL_TEXT_MAX = 64 << 10 };

// What the requests lead to.
struct control_wiring {
	void *context;
	// Writes the statistics, `name value` lines, to `text`; returns their length.
	size_t (*stat)(void *context, char *text, size_t size);
	// Asks the child to power off; control_stopped() says what became of it. Returns NULL, or
	// why it cannot be asked: a sentence.
	const char *(*stop)(void *context);
	// Ends the child at once.
	void (*kill)(void *context);
	// There is console input to be fetched.
	void (*input)(void *context);
};

struct control;

enum control_client_state { CONTROL_FREE, CONTROL_REQUEST, CONTROL_STOP, CONTROL_CONSOLE };

struct control_client {
	struct loop_source source;
	struct control *control;
	enum control_client_state state;
	char line[CONTROL_LINE_MAX]; // the request, as far as it has come
	size_t line_length;
	uint64_t position; // in the console's output
};

struct control {
	struct loop *loop;
	struct console *console;
	struct control_wiring wiring;
	struct loop_source listener;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

// Opens the socket in `directory` and serves it from the loop. Returns false and logs why if it
// cannot.
bool control_init(struct control *control, struct loop *loop, struct console *console,
	const char *directory, const struct control_wiring *wiring);

// Sends new console output to the clients that follow it, and takes input that had to wait.
void control_console(struct control *control);

// Answers those who have asked for the child to be stopped: it powers off (NULL), or it does not,
// and why: a sentence.
void control_stopped(struct control *control, const char *error);

// Sends what is left of the console's output, within a second, and closes everything.
void control_close(struct control *control, const char *directory);

#endif
