// SPDX-License-Identifier: BSD-2-Clause
// The head of a request of HTTP/1.1 (RFC 9112): what it asks for, or which status it gets instead.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	HTTP_HEAD_MAX = 4096, // bytes of a head
	HTTP_PATH_MAX = 255,  // of a path, decoded
};

struct http_request {
	bool head_only; // HEAD; otherwise GET
	bool keep_alive;
	char path[HTTP_PATH_MAX + 1]; // begins with '/'; decoded, without the query
};

// Looks at `length` bytes that have come. Returns 0: the head is not complete yet; 200: *request is
// what it asks for, and *used are its bytes, a next request may follow; otherwise the status that
// says what is wrong with it: the connection is of no use any more, as nobody knows where another
// request would begin.
uint32_t http_parse(
	const char *text, uint32_t length, struct http_request *request, uint32_t *used);
