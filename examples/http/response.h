// SPDX-License-Identifier: BSD-2-Clause
// Heads of responses, and bodies of those that are no files.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	HTTP_LOCATION_MAX = 3 * 255 + 1, // HTTP_PATH_MAX, each character as %XX, and a '/'
	HTTP_RESPONSE_MAX = 1280,	 // bytes of a head with a body that is no file
};

struct http_response {
	uint32_t status;
	const char *type; // NULL: by the status, as its body is
	uint64_t length;  // of a body that is a file
	bool keep_alive;
	const char *location; // 301: a path, not encoded, to which a '/' is added
	const char *body;     // NULL: a file, or the status in words
	bool head_only;	      // the body is not sent
};

// Puts the head, and the body if it is no file, into HTTP_RESPONSE_MAX bytes. Returns how many
// there are.
uint32_t http_respond(char *to, const struct http_response *response);

// The Content-Type of a file, by its name.
const char *http_type(const char *path);
