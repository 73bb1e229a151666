// SPDX-License-Identifier: BSD-2-Clause
// The control socket, /run/lumen/NAME/ctl: a Unix stream socket. A client sends one line, a
// request; the answer is `ok` or `error <sentence>` on a line, then what the request gives. Main
// thread.
//
// Whatever the others do, a new client is heard: those that follow the child (console, messages, a
// device's verbs) have CONTROL_FOLLOWERS_MAX places, and for each of the others a newer one may
// take the place.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/common/verbs.h"
#include "parent/worker/console.h"
#include "parent/worker/loop.h"

enum {
	CONTROL_CLIENTS_MAX = 16,
	CONTROL_FOLLOWERS_MAX = 12,
	CONTROL_LINE_MAX = VERB_LINE_MAX,
	CONTROL_PART_MAX = 8 << 10,
};

struct control;
struct worker;

enum control_client_state {
	CONTROL_FREE,
	CONTROL_REQUEST, // its line is still to come
	CONTROL_ANSWER,	 // its answer is being sent, and that is all
	CONTROL_VERB,	 // waits for what becomes of it
	CONTROL_CONSOLE,
	CONTROL_TYPED, // of a console that is gone: what it has typed and the child has not read
	CONTROL_MESSAGES,
};

struct control_client {
	struct loop_source source;
	struct control *control;
	enum control_client_state state;
	uint64_t number;	     // of its connection: the oldest is the lowest
	char line[CONTROL_LINE_MAX]; // the request, as far as it has come
	size_t line_length;
	int brought;		     // the descriptor that came with it, or -1
	const struct verb *verb;     // that it waits for
	uint64_t position;	     // in the console's output, or the log of messages
	char text[CONTROL_PART_MAX]; // of the answer, from `sent` to `length` still to be sent
	size_t sent, length;
	unsigned part; // of the statistics that comes next; 0: the answer is no statistics
};

struct control {
	struct loop *loop;
	struct worker *worker;
	struct loop_source listener;
	struct loop_source retry; // to accept, when there were no descriptors
	uint64_t accepted;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

// Opens the socket in the child's directory and serves it from the worker's loop. Returns false and
// logs why if it cannot.
bool control_init(struct control *control, struct worker *worker);

// Sends new console output to the clients that follow it, and takes input that had to wait.
void control_console(struct control *control);

// Sends new messages to the clients that follow them.
void control_messages(struct control *control);

// Answers those who wait for a verb: it is done (NULL), or it is not, and why: a sentence. With no
// verb: the child has ended, which some wanted.
void control_verb_done(struct control *control, const struct verb *verb, const char *error);

// Takes what a verb that sends bytes has sent. Returns how much that was; 0: nothing now,
// synthetic_sent() comes; -1: no more will come.
int32_t control_verb_read(
	struct control *control, const struct verb *verb, void *bytes, uint32_t size);

// Sends what is left of all answers and of the console's output, for a second at most, and closes
// everything.
void control_close(struct control *control);

// Parts of the above (control_client.c).

// A new client on a connected socket. Returns false if it cannot be watched.
bool control_client_start(struct control *control, struct control_client *client, int fd);

// Takes as much of its request as has come.
void control_client_receive(struct control_client *client);

// Sends what there is to send and can be sent. Returns false if the client is finished or gone.
bool control_client_send(struct control_client *client);

// Answers it with `ok`, or with an error: a sentence. Then it is finished.
void control_client_answer(struct control_client *client, const char *error);

void control_client_drop(struct control_client *client);
