// SPDX-License-Identifier: BSD-2-Clause
// A connection: what has come of its requests, and what is to be sent: a ring of pieces. lwIP is
// given them without a copy, and a piece's memory is its own until the other side has acknowledged
// it. server.c calls the functions of the other files.
#pragma once

#include "examples/disk/disk.h"
#include "examples/http/cache.h"
#include "examples/http/request.h"
#include "examples/http/response.h"
#include "lwip/tcp.h"

enum {
	PIECES = 10,	     // a head, and what is read ahead
	INPUT_MAX = TCP_WND, // what is here is not in the window: it always has room
};

_Static_assert(TCP_WND >= HTTP_HEAD_MAX, "the longest head");

struct piece {
	struct cache_block *block; // NULL: it is text, which lwIP copies
	uint16_t length, written, acknowledged;
};

enum state {
	FREE,
	REQUEST, // comes
	ANSWER,	 // is on its way to lwIP
	DRAIN,	 // nothing is to be sent any more; what comes is thrown away until the other side
		 // closes
};

struct connection {
	enum state state;
	struct tcp_pcb *pcb;
	uint32_t seconds; // without progress
	bool keep_alive;
	bool half_closed; // nothing will come any more

	char input[INPUT_MAX];
	uint32_t input_length;

	char text[HTTP_RESPONSE_MAX];
	struct ext2_file file;
	uint64_t next, end; // of the file, which part has no pieces yet

	struct piece pieces[PIECES];
	uint32_t first, count, written; // in the ring; and of these, how many lwIP has
};

// --- answer.c ---

// Begins with the answer to a request: there has to be room for a piece.
void connection_answer(struct connection *c, struct ext2 *fs, const struct http_request *request);

// The same for a request that is wrong.
void connection_answer_error(struct connection *c, uint32_t status);

// --- pieces.c ---

// A block from its start, or (NULL) the text, for which there has to be room.
void connection_add_piece(struct connection *c, struct cache_block *block, uint32_t length);

// The other side has acknowledged so many bytes.
void connection_acknowledge(struct connection *c, uint32_t length);

// Forgets all pieces: lwIP does not know them any more.
void connection_drop_pieces(struct connection *c);

// Reads ahead as far as there is room, and gives lwIP as much as it takes. False: there is
// something that cannot be read.
bool connection_send(struct connection *c);

// Whether lwIP has all of the answer.
bool connection_is_answered(const struct connection *c);
