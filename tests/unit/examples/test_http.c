// SPDX-License-Identifier: BSD-2-Clause
// The HTTP example's requests and responses: what is right is understood, and what is wrong gets
// the status that RFC 9110 and 9112 have for it.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "examples/http/request.h"
#include "examples/http/response.h"

#define HOST "Host: a\r\n"

static struct http_request request;
static uint32_t used;

// From memory that ends where it ends, so that the sanitizers see who reads on.
static uint32_t parse_bytes(const char *text, size_t length)
{
	char *copy = malloc(length ? length : 1);
	uint32_t status;

	memcpy(copy, text, length);
	status = http_parse(copy, (uint32_t)length, &request, &used);
	free(copy);
	return status;
}

static uint32_t parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

Test(request, of_a_page)
{
	static const char text[] = "GET /a/b.html HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\nGET /next";

	cr_assert_eq(parse(text), 200);
	cr_assert_str_eq(request.path, "/a/b.html");
	cr_assert_not(request.head_only);
	cr_assert(request.keep_alive);
	cr_assert_str_eq(text + used, "GET /next");
}

Test(request, is_not_complete_until_its_empty_line)
{
	static const char text[] = "\r\nHEAD / HTTP/1.1\r\n" HOST "\r\n";

	for (size_t length = 0; length < sizeof(text) - 1; length++)
		cr_assert_eq(parse_bytes(text, length), 0, "%zu bytes", length);
	cr_assert_eq(parse(text), 200);
	cr_assert_eq(used, sizeof(text) - 1);
	cr_assert(request.head_only);
}

Test(request, lines_may_end_in_lf)
{
	cr_assert_eq(parse("GET / HTTP/1.1\nHost: a\n\n"), 200);
	cr_assert_eq(parse("GET / HTTP/1.1\nHost: a\n\r"), 0);
}

Test(request, targets)
{
	static const struct {
		const char *target;
		uint32_t status;
		const char *path;
	} all[] = {
		{ "/", 200, "/" },
		{ "/a%20b%C3%a4", 200, "/a b\xc3\xa4" },
		{ "/a?b=c%", 200, "/a" },
		{ "/../..//x", 200, "/../..//x" }, // the file system's root is its own parent
		{ "http://host:80/a/b", 200, "/a/b" },
		{ "HTTP://host", 200, "/" },
		{ "http://", 200, "/" },
		{ "", 400, NULL },
		{ "a", 400, NULL },
		{ "*", 400, NULL },
		{ "?", 400, NULL },
		{ "https://host/a", 400, NULL },
		{ "/a%", 400, NULL },
		{ "/a%2", 400, NULL },
		{ "/a%2g", 400, NULL },
		{ "/a%00b", 400, NULL },
		{ "/\x01", 400, NULL },
		{ "/\x80", 400, NULL },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", all[i].target);
		cr_assert_eq(parse(text), all[i].status, "%s", all[i].target);
		if (all[i].path)
			cr_assert_str_eq(request.path, all[i].path);
	}
}

Test(request, longest_path)
{
	char text[512];

	snprintf(text, sizeof(text), "GET /%0254d HTTP/1.0\r\n\r\n", 0);
	cr_assert_eq(parse(text), 200);
	cr_assert_eq(strlen(request.path), HTTP_PATH_MAX);
	snprintf(text, sizeof(text), "GET /%0255d HTTP/1.0\r\n\r\n", 0);
	cr_assert_eq(parse(text), 414);
}

Test(request, heads)
{
	static const struct {
		const char *text;
		uint32_t status;
	} all[] = {
		{ "POST / HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "get / HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "G(T / HTTP/1.1\r\n" HOST "\r\n", 400 }, { " / HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /\r\n\r\n", 400 }, // HTTP/0.9
		{ "GET\r\n\r\n", 400 }, { "GET / HTTP/1.1 \r\n" HOST "\r\n", 505 },
		{ "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 }, { "GET / HTTPS\r\n" HOST "\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 }, // no host
		{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 }, { "GET / HTTP/1.0\r\n\r\n", 200 },
		{ "GET / HTTP/1.1\r\n" HOST " goes on\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Length : 3\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "a: b\rc\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200 },
		{ "GET / HTTP/1.1\r\n" HOST "content-length: 1\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413 },
		{ "\x16\x03\x01\x02\x01\n\n", 400 }, // TLS
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_assert_eq(parse(all[i].text), all[i].status, "%s", all[i].text);
}

Test(request, connections)
{
	static const struct {
		const char *version, *field;
		bool kept;
	} all[] = {
		{ "1.1", "", true },
		{ "1.1", "Connection: close\r\n", false },
		{ "1.1", "connection:\t TE , Close \r\n", false },
		{ "1.1", "Connection: closed\r\n", true },
		{ "1.1", "Connection: keep-alive\r\nConnection: close\r\n", false },
		{ "1.0", "", false },
		{ "1.0", "Connection: Keep-Alive\r\n", true },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/%s\r\n" HOST "%s\r\n", all[i].version,
			all[i].field);
		cr_assert_eq(parse(text), 200);
		cr_assert_eq(request.keep_alive, all[i].kept, "%s", all[i].field);
	}
}

Test(request, longest_head)
{
	static char text[2 * HTTP_HEAD_MAX];
	const int rest = HTTP_HEAD_MAX - (int)strlen("GET / HTTP/1.0\r\na: \r\n\r\n");

	snprintf(text, sizeof(text), "GET / HTTP/1.0\r\na: %0*d\r\n\r\nmore", rest, 0);
	cr_assert_eq(parse(text), 200);
	cr_assert_eq(used, HTTP_HEAD_MAX);
	cr_assert_eq(parse_bytes(text, HTTP_HEAD_MAX - 1), 0);
	snprintf(text, sizeof(text), "GET / HTTP/1.0\r\na: %0*d\r\n\r\n", rest + 1, 0);
	cr_assert_eq(parse(text), 431);
	memset(text, '\n', sizeof(text)); // nothing but empty lines
	cr_assert_eq(parse_bytes(text, HTTP_HEAD_MAX - 1), 0);
	cr_assert_eq(parse_bytes(text, HTTP_HEAD_MAX), 431);
}

// Any byte may be anything: the sanitizers look on.
Test(request, damaged_in_each_byte)
{
	static const char text[] =
		"GET http://a/b%20c?d HTTP/1.1\r\n" HOST "Connection: a, close\r\n\r\n";
	char damaged[sizeof(text)];

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		for (int value = 0; value < 256; value++) {
			memcpy(damaged, text, sizeof(text));
			damaged[at] = (char)value;
			parse_bytes(damaged, sizeof(text) - 1);
			cr_assert_leq(used, sizeof(text) - 1);
		}
	}
}

// --- responses ---

static char to[HTTP_RESPONSE_MAX + 1];

static const char *respond(struct http_response response)
{
	const uint32_t length = http_respond(to, &response);

	cr_assert_lt(length, HTTP_RESPONSE_MAX);
	to[length] = 0;
	return to;
}

Test(response, of_a_file)
{
	cr_assert_str_eq(respond((struct http_response){ .status = 200,
				 .type = "text/css",
				 .length = 5000000000,
				 .keep_alive = true }),
		"HTTP/1.1 200 OK\r\nServer: Lumen\r\nContent-Type: text/css\r\n"
		"Content-Length: 5000000000\r\nConnection: keep-alive\r\n\r\n");
}

Test(response, of_an_error)
{
	cr_assert_str_eq(respond((struct http_response){ .status = 405 }),
		"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nServer: Lumen\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 18\r\n"
		"Connection: close\r\n\r\nMethod Not Allowed");
	cr_assert(strstr(respond((struct http_response){ .status = 999 }), "500 Internal"));
	cr_assert(strstr(respond((struct http_response){ .status = 404, .head_only = true }),
		"Content-Length: 9\r\nConnection: close\r\n\r\n"));
	cr_assert_not(strstr(to, "\r\n\r\nNot Found"));
}

// A path cannot end its line.
Test(response, location_is_encoded)
{
	char path[HTTP_PATH_MAX + 1] = { 0 };

	respond((struct http_response){ .status = 301, .location = "/a b\r\nc\xff" });
	cr_assert(strstr(to, "\r\nLocation: /a%20b%0d%0ac%ff/\r\n"));
	memset(path, '"', HTTP_PATH_MAX);
	respond((struct http_response){ .status = 301, .location = path });
	cr_assert(strstr(to, "%22%22/\r\n"));
	cr_assert(strstr(to, "\r\n\r\nMoved Permanently"));
}

Test(response, types)
{
	cr_assert_str_eq(http_type("/index.html"), "text/html; charset=utf-8");
	cr_assert_str_eq(http_type("/a.tar.css"), "text/css; charset=utf-8");
	cr_assert_str_eq(http_type("/a.css/b"), "application/octet-stream");
	cr_assert_str_eq(http_type("/a."), "application/octet-stream");
	cr_assert_str_eq(http_type("/cssx.cssx"), "application/octet-stream");
}
