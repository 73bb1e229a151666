// SPDX-License-Identifier: BSD-2-Clause
// Connections: requests are collected and answered one after the other. What is to be sent is a
// ring of pieces; lwIP is given them without a copy, and a piece's memory is its own until the
// other side has acknowledged it.
#include "examples/http/server.h"

#include <string.h>

#include "examples/http/cache.h"
#include "examples/http/request.h"
#include "examples/http/response.h"
#include "examples/http/stats.h"
#include "lwip/tcp.h"

enum {
	PORT = 80,
	PIECES = 10, // a head, and what is read ahead
	TICK = 2,    // of lwIP's, of 500 ms each: a second
	IDLE_MAX = 30,
	DRAIN_MAX = 5,
	INPUT_MAX = TCP_WND, // what is here is not in the window: it always has room
};

_Static_assert(TCP_WND >= HTTP_HEAD_MAX, "the longest head");

struct piece {
	struct cache_block *block; // NULL: it is text, which lwIP copies
	uint16_t offset, length;   // in the block or the text
	uint16_t written, acknowledged;
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

struct server_counters server_counters;

static struct connection connections[SERVER_CONNECTIONS];
static struct ext2 *files;

static struct piece *piece_at(struct connection *c, uint32_t index)
{
	return &c->pieces[(c->first + index) % PIECES];
}

// --- the end of a connection ---

static void drop_first_piece(struct connection *c)
{
	struct piece *piece = piece_at(c, 0);

	if (piece->block)
		cache_put(piece->block);
	c->first = (c->first + 1) % PIECES;
	c->count--;
	c->written -= c->written > 0;
}

// lwIP does not know it any more, nor what it had to send.
static void forget(struct connection *c)
{
	while (c->count)
		drop_first_piece(c);
	c->state = FREE;
	c->pcb = NULL;
	server_counters.open--;
}

static err_t abort_connection(struct connection *c)
{
	struct tcp_pcb *pcb = c->pcb;

	tcp_arg(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_abort(pcb);
	forget(c);
	server_counters.aborted++;
	return ERR_ABRT;
}

// What has come is dealt with: as much may come again.
static void take_input(struct connection *c, uint32_t length)
{
	c->input_length -= length;
	memmove(c->input, c->input + length, c->input_length);
	tcp_recved(c->pcb, (uint16_t)length);
}

// Nothing is to be acknowledged.
static err_t close_connection(struct connection *c)
{
	struct tcp_pcb *pcb = c->pcb;

	take_input(c, c->input_length); // or lwIP would reset it
	tcp_arg(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
	if (tcp_close(pcb))
		return abort_connection(c);
	forget(c);
	return ERR_OK;
}

// The answers are with lwIP, and no other follows.
static err_t begin_to_drain(struct connection *c)
{
	c->state = DRAIN;
	c->seconds = 0;
	take_input(c, c->input_length);
	return tcp_shutdown(c->pcb, 0, 1) ? abort_connection(c) : ERR_OK;
}

// --- answers ---

// To be called when there is room.
static void add_piece(
	struct connection *c, struct cache_block *block, uint32_t offset, uint32_t length)
{
	*piece_at(c, c->count++) = (struct piece){
		.block = block,
		.offset = (uint16_t)offset,
		.length = (uint16_t)length,
	};
}

static void answer(struct connection *c, struct http_response *response)
{
	response->keep_alive = c->keep_alive;
	add_piece(c, NULL, 0, http_respond(c->text, response));
	server_counters.requests++;
	server_counters.errors += response->status >= 400;
	c->seconds = 0;
	c->state = ANSWER;
}

static void answer_error(struct connection *c, uint32_t status, bool head_only)
{
	c->next = c->end = 0;
	answer(c, &(struct http_response){ .status = status, .head_only = head_only });
}

static void answer_stats(struct connection *c, bool head_only)
{
	static char page[STATS_MAX];

	stats_print(page);
	c->next = c->end = 0;
	answer(c,
		&(struct http_response){
			.status = 200, .type = STATS_TYPE, .body = page, .head_only = head_only });
}

static void answer_file(struct connection *c, const char *path, bool head_only)
{
	c->next = 0;
	c->end = head_only ? 0 : c->file.size;
	answer(c, &(struct http_response){ .status = 200,
			  .type = http_type(path),
			  .length = c->file.size,
			  .head_only = head_only });
}

static bool same(const char *a, const char *b)
{
	const size_t length = strlen(a);

	return length == strlen(b) && !memcmp(a, b, length);
}

// A directory is its index.html, and has a '/' at the end of its name, so that what it names is
// found there.
static void answer_directory(struct connection *c, const struct http_request *request)
{
	static char path[sizeof(request->path) + sizeof("index.html")];
	const size_t length = strlen(request->path);

	c->next = c->end = 0;
	if (request->path[length - 1] != '/') {
		answer(c, &(struct http_response){ .status = 301,
				  .location = request->path,
				  .head_only = request->head_only });
		return;
	}
	memcpy(path, request->path, length);
	memcpy(path + length, "index.html", sizeof("index.html"));
	if (ext2_find(files, path, &c->file) || c->file.directory)
		answer_error(c, 404, request->head_only);
	else
		answer_file(c, path, request->head_only);
}

static void answer_request(struct connection *c, const struct http_request *request)
{
	const lumen_status status = same(request->path, STATS_PATH)
					    ? LUMEN_OK
					    : ext2_find(files, request->path, &c->file);

	c->keep_alive = request->keep_alive;
	if (same(request->path, STATS_PATH))
		answer_stats(c, request->head_only);
	else if (status)
		answer_error(c, status == LUMEN_OUT_OF_RANGE ? 404 : 500, request->head_only);
	else if (c->file.directory)
		answer_directory(c, request);
	else
		answer_file(c, request->path, request->head_only);
}

// --- out ---

// Adds pieces of the file, as many as there is room for. False: a block that cannot be had.
static bool read_ahead(struct connection *c)
{
	const uint32_t block_size = files->block_size;

	while (c->next < c->end && c->count < PIECES) {
		const uint64_t left = c->end - c->next;
		struct cache_block *block;
		uint32_t number;

		if (ext2_map(&c->file, c->next / block_size, &number))
			return false;
		block = cache_get(number);
		if (!block)
			return true; // there will be news
		add_piece(c, block, 0, left < block_size ? (uint32_t)left : block_size);
		c->next += piece_at(c, c->count - 1)->length;
	}
	return true;
}

// Gives lwIP as much of a piece as it takes. Whether that is all of it.
static bool write_piece(struct connection *c, struct piece *piece)
{
	const char *data = piece->block ? (const char *)cache_bytes(piece->block) : c->text;
	const bool last = c->next == c->end && c->written == c->count - 1;
	uint16_t left = (uint16_t)(piece->length - piece->written), room = tcp_sndbuf(c->pcb);
	const uint16_t now = left < room ? left : room;
	uint8_t flags = last ? 0 : TCP_WRITE_FLAG_MORE;

	if (!piece->block)
		flags |= TCP_WRITE_FLAG_COPY;
	if (!now || tcp_write(c->pcb, data + piece->offset + piece->written, now, flags))
		return false; // when something is acknowledged there will be room
	piece->written += now;
	return piece->written == piece->length;
}

// False: a block that could not be read.
static bool write_pieces(struct connection *c)
{
	for (; c->written < c->count; c->written++) {
		struct piece *piece = piece_at(c, c->written);

		if (piece->block && cache_state(piece->block) == CACHE_FAILED)
			return false;
		if ((piece->block && cache_state(piece->block) == CACHE_READING) ||
			!write_piece(c, piece))
			break;
	}
	return true;
}

static bool is_answered(const struct connection *c)
{
	return c->next == c->end && c->written == c->count;
}

// --- in ---

// Takes a request out of what has come. False: there is none, or no room for an answer.
static bool take_request(struct connection *c)
{
	static struct http_request request;
	uint32_t used, status;

	if (c->count == PIECES)
		return false;
	status = http_parse(c->input, c->input_length, &request, &used);
	if (!status)
		return false;
	if (status == 200) {
		answer_request(c, &request);
		take_input(c, used);
	} else {
		c->keep_alive = false;
		answer_error(c, status, false);
	}
	return true;
}

// Does all that can be done now. ERR_ABRT: lwIP does not know the connection any more.
static err_t go_on(struct connection *c)
{
	bool works = true;

	while (works && (c->state == ANSWER || (c->state == REQUEST && take_request(c)))) {
		works = read_ahead(c) && write_pieces(c);
		if (!works || !is_answered(c))
			break;
		if (!c->keep_alive)
			return begin_to_drain(c);
		c->state = REQUEST;
	}
	if (!works)
		return abort_connection(c); // the head has promised what cannot be had
	if (c->half_closed && c->state != ANSWER && !c->count)
		return close_connection(c);
	tcp_output(c->pcb);
	return ERR_OK;
}

static err_t on_received(void *context, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct connection *c = context;

	(void)pcb;
	(void)error;
	if (!p) {
		c->half_closed = true;
		return go_on(c);
	}
	if (p->tot_len > INPUT_MAX - c->input_length) {
		pbuf_free(p); // more than its window
		return abort_connection(c);
	}
	c->input_length += pbuf_copy_partial(p, c->input + c->input_length, p->tot_len, 0);
	pbuf_free(p);
	if (c->state == DRAIN)
		take_input(c, c->input_length);
	return go_on(c);
}

static err_t on_acknowledged(void *context, struct tcp_pcb *pcb, uint16_t length)
{
	struct connection *c = context;

	(void)pcb;
	while (length && c->count) {
		struct piece *piece = piece_at(c, 0);
		const uint16_t left = (uint16_t)(piece->length - piece->acknowledged);
		const uint16_t now = length < left ? length : left;

		piece->acknowledged += now;
		length = (uint16_t)(length - now);
		if (piece->acknowledged == piece->length)
			drop_first_piece(c);
	}
	c->seconds = 0;
	return go_on(c);
}

// --- connections ---

static void on_error(void *context, err_t error)
{
	struct connection *c = context;

	(void)error;
	if (c) // lwIP has freed it
		forget(c);
}

// A request has to come as a whole within the time: what has come of it is no progress.
static err_t on_tick(void *context, struct tcp_pcb *pcb)
{
	struct connection *c = context;

	(void)pcb;
	if (++c->seconds <= (c->state == DRAIN ? DRAIN_MAX : IDLE_MAX))
		return go_on(c);
	server_counters.timeouts++;
	return c->count ? abort_connection(c) : close_connection(c);
}

static struct connection *find_free(void)
{
	for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++)
		if (connections[i].state == FREE)
			return &connections[i];
	return NULL;
}

// Closes the connection that has waited longest for a request that has not begun.
static struct connection *make_free(void)
{
	struct connection *longest = NULL;

	for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
		struct connection *c = &connections[i];

		if (c->state == REQUEST && !c->count && !c->input_length &&
			(!longest || c->seconds > longest->seconds))
			longest = c;
	}
	if (longest)
		close_connection(longest);
	return longest;
}

static err_t on_accept(void *context, struct tcp_pcb *pcb, err_t error)
{
	struct connection *c = find_free();

	(void)context;
	if (error || !pcb)
		return ERR_VAL;
	server_counters.connections++;
	c = c ? c : make_free();
	if (!c) {
		server_counters.refused++;
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	memset(c, 0, sizeof(*c));
	c->state = REQUEST;
	c->pcb = pcb;
	server_counters.open++;
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_acknowledged);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_tick, TICK);
	tcp_nagle_disable(pcb); // whether more follows is said
	return ERR_OK;
}

// Each time another one is the first to have room.
void server_run(void)
{
	static uint32_t first;

	first++;
	for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
		struct connection *c = &connections[(first + i) % SERVER_CONNECTIONS];

		if (c->state != FREE)
			go_on(c);
	}
}

static struct tcp_pcb *listener;

bool server_start(struct ext2 *fs)
{
	struct tcp_pcb *pcb = tcp_new(), *listening = NULL;

	files = fs;
	if (pcb && tcp_bind(pcb, IP_ADDR_ANY, PORT) == ERR_OK)
		listening = tcp_listen_with_backlog(pcb, SERVER_CONNECTIONS);
	if (!listening)
		return false;
	listener = listening;
	tcp_accept(listener, on_accept);
	return true;
}

void server_stop(void)
{
	tcp_close(listener);
	for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++)
		if (connections[i].state != FREE)
			abort_connection(&connections[i]);
}
