// SPDX-License-Identifier: BSD-2-Clause
// What lumenctl and an agent in a child (examples/linux/agent.c) say to each other, over a socket
// of the child's: frames. One connection is one command, or one file. Neither trusts the other: a
// frame that makes no sense ends the connection.
//
// lumenctl begins, with EXEC, PUT or GET; the agent may say FAILED, a sentence, at any time, and is
// done then.
//
//   EXEC    INPUT... INPUT_END, SIGNAL, SIZE ->   <- TAKEN, OUTPUT, ERRORS ... EXIT
//   PUT     DATA... END ->                        <- DONE
//   GET                                           <- FILE, DATA... END
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AGENT_PORT = 19541,	   // where the agent listens
	AGENT_PAYLOAD_MAX = 32768, // bytes of a frame
	AGENT_WINDOW = 65536,	   // bytes of input that are sent and not TAKEN yet, at most
	AGENT_PATIENCE_MS =
		60000, // for the other end to take or say something, where that is waited for
	AGENT_OUT_MAX = 2 * (AGENT_PAYLOAD_MAX + 8),
};

enum agent_type {
	AGENT_EXEC =
		1,   // struct agent_exec, then strings: TERM, the command's words (none: a shell)
	AGENT_INPUT, // bytes
	AGENT_INPUT_END, //
	AGENT_TAKEN,	 // u32: so many bytes of input
	AGENT_SIGNAL,	 // u32
	AGENT_SIZE,	 // struct agent_size, of the terminal
	AGENT_OUTPUT,	 // bytes
	AGENT_ERRORS,	 // bytes
	AGENT_EXIT,	 // u32: the command's status, or 128 and its signal
	AGENT_PUT,    // struct agent_file, then strings: the path, and its last part if that is a
		      // folder
	AGENT_GET,    // string: the path
	AGENT_FILE,   // struct agent_file
	AGENT_DATA,   // u64: where, then bytes
	AGENT_END,    // the file is whole
	AGENT_DONE,   // and in its place
	AGENT_FAILED, // string
};

struct agent_header {
	uint32_t type, length; // of what follows
};

struct agent_size {
	uint16_t rows, columns;
};

struct agent_exec {
	struct agent_size size; // of the terminal
	uint32_t terminal;	// it is to have one
};

struct agent_file {
	uint64_t size; // bytes; what no DATA is about is zeroes
	uint32_t mode; // 0777
	uint32_t rsvd_z;
};

struct agent_frame {
	uint32_t type, length;
	const uint8_t *bytes; // until the next call
};

// An end of a connection.
struct agent_stream {
	int fd;	    // does not block
	bool ended; // the other end is gone, or has said what makes no sense
	size_t in_first, in_end, out_first, out_end;
	uint8_t in[AGENT_PAYLOAD_MAX + sizeof(struct agent_header)];
	uint8_t out[AGENT_OUT_MAX];
};

void agent_begin(struct agent_stream *stream, int fd);

// Whether there is room for any frame.
bool agent_has_room(const struct agent_stream *stream);

// Puts a frame, of two parts, into the buffer, which has room. agent_move() sends it.
void agent_put(struct agent_stream *stream, enum agent_type type, const void *one,
	size_t one_length, const void *two, size_t two_length);

// What poll() is to look for. `listen`: frames are wanted, too.
short agent_events(const struct agent_stream *stream, bool listen);

// Sends and receives what can be, without waiting.
void agent_move(struct agent_stream *stream, short revents);

// Takes the next frame, if one has come as a whole.
bool agent_next(struct agent_stream *stream, struct agent_frame *frame);

// The same, waiting, AGENT_PATIENCE_MS at most each time. False: the connection is over. send:
// until the frame is on its way.
bool agent_send(struct agent_stream *stream, enum agent_type type, const void *one,
	size_t one_length, const void *two, size_t two_length);
bool agent_receive(struct agent_stream *stream, struct agent_frame *frame);

// Whether the other end has said something, or is gone.
bool agent_interrupts(struct agent_stream *stream);

// Sends a sentence as AGENT_FAILED.
void agent_fail(struct agent_stream *stream, const char *sentence);

// Takes a struct of the frame's front, and the next of the strings behind it: NULL, and the end of
// it, if there is none.
bool agent_take(struct agent_frame *frame, void *front, size_t length);
const char *agent_string(struct agent_frame *frame);
