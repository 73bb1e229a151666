// SPDX-License-Identifier: BSD-2-Clause
// Connections from accept to close: requests are collected and answered one after the other.
#include "examples/http/server.h"

#include <string.h>

#include "examples/http/connection.h"

enum {
	PORT = 80,
	TICK = 2, // of lwIP's, of 500 ms each: a second
	IDLE_MAX = 30,
	DRAIN_MAX = 5,
};

struct server_counters server_counters;

static struct connection connections[SERVER_CONNECTIONS];
static struct ext2 *files;

// --- the end of a connection ---

// lwIP does not know it any more, nor what it had to send.
static void forget(struct connection *c)
{
	connection_drop_pieces(c);
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
		connection_answer(c, files, &request);
		take_input(c, used);
	} else {
		connection_answer_error(c, status);
	}
	return true;
}

// Does all that can be done now. ERR_ABRT: lwIP does not know the connection any more.
static err_t go_on(struct connection *c)
{
	bool works = true;

	while (works && (c->state == ANSWER || (c->state == REQUEST && take_request(c)))) {
		works = connection_send(c);
		if (!works || !connection_is_answered(c))
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
	connection_acknowledge(c, length);
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
