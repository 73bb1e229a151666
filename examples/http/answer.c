// SPDX-License-Identifier: BSD-2-Clause
// What a request gets: a file, a directory's index.html, the page of statistics, or a status.
#include <string.h>

#include "examples/http/connection.h"
#include "examples/http/server.h"
#include "examples/http/stats.h"

static void answer(struct connection *c, struct http_response *response)
{
	response->keep_alive = c->keep_alive;
	connection_add_piece(c, NULL, http_respond(c->text, response));
	server_counters.requests++;
	server_counters.errors += response->status >= 400;
	c->next = c->end = 0; // no file follows
	c->seconds = 0;
	c->state = ANSWER;
}

static void answer_error(struct connection *c, uint32_t status, bool head_only)
{
	answer(c, &(struct http_response){ .status = status, .head_only = head_only });
}

static void answer_stats(struct connection *c, bool head_only)
{
	static char page[STATS_MAX];

	stats_print(page);
	answer(c,
		&(struct http_response){
			.status = 200, .type = STATS_TYPE, .body = page, .head_only = head_only });
}

static void answer_file(struct connection *c, const char *path, bool head_only)
{
	answer(c, &(struct http_response){ .status = 200,
			  .type = http_type(path),
			  .length = c->file.size,
			  .head_only = head_only });
	c->end = head_only ? 0 : c->file.size;
}

static bool same(const char *a, const char *b)
{
	const size_t length = strlen(a);

	return length == strlen(b) && !memcmp(a, b, length);
}

// A directory is its index.html, and has a '/' at the end of its name, so that what it names is
// found there.
static void answer_directory(
	struct connection *c, struct ext2 *fs, const struct http_request *request)
{
	static char path[sizeof(request->path) + sizeof("index.html")];
	const size_t length = strlen(request->path);

	if (request->path[length - 1] != '/') {
		answer(c, &(struct http_response){ .status = 301,
				  .location = request->path,
				  .head_only = request->head_only });
		return;
	}
	memcpy(path, request->path, length);
	memcpy(path + length, "index.html", sizeof("index.html"));
	if (ext2_find(fs, path, &c->file) || c->file.directory)
		answer_error(c, 404, request->head_only);
	else
		answer_file(c, path, request->head_only);
}

void connection_answer(struct connection *c, struct ext2 *fs, const struct http_request *request)
{
	const lumen_status status =
		same(request->path, STATS_PATH) ? LUMEN_OK : ext2_find(fs, request->path, &c->file);

	c->keep_alive = request->keep_alive;
	if (same(request->path, STATS_PATH))
		answer_stats(c, request->head_only);
	else if (status)
		answer_error(c, status == LUMEN_OUT_OF_RANGE ? 404 : 500, request->head_only);
	else if (c->file.directory)
		answer_directory(c, fs, request);
	else
		answer_file(c, request->path, request->head_only);
}

void connection_answer_error(struct connection *c, uint32_t status)
{
	c->keep_alive = false;
	answer_error(c, status, false);
}
