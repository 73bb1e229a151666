// SPDX-License-Identifier: BSD-2-Clause
// Statuses, types, and heads with them (RFC 9110).
#include "examples/http/response.h"

#include "base/macros.h"
#include "examples/http/request.h"
#include "examples/kernel/kernel.h"

#define TYPE_DEFAULT "application/octet-stream"
#define TYPE_TEXT    "text/plain; charset=utf-8"

_Static_assert(HTTP_LOCATION_MAX == 3 * HTTP_PATH_MAX + 1, "locations");

static const struct {
	uint32_t status;
	const char *words, *fields;
} statuses[] = {
	{ 200, "OK", "" }, { 301, "Moved Permanently", "" }, { 400, "Bad Request", "" },
	{ 404, "Not Found", "" }, { 405, "Method Not Allowed", "Allow: GET, HEAD\r\n" },
	{ 413, "Content Too Large", "" }, { 414, "URI Too Long", "" },
	{ 431, "Request Header Fields Too Large", "" }, { 505, "HTTP Version Not Supported", "" },
	{ 500, "Internal Server Error", "" }, // the last: what is not here
};

static const struct {
	const char *suffix, *type;
} types[] = {
	{ "css", "text/css; charset=utf-8" },
	{ "gif", "image/gif" },
	{ "htm", "text/html; charset=utf-8" },
	{ "html", "text/html; charset=utf-8" },
	{ "ico", "image/x-icon" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript; charset=utf-8" },
	{ "json", "application/json" },
	{ "md", "text/markdown; charset=utf-8" },
	{ "mjs", "text/javascript; charset=utf-8" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "svg", "image/svg+xml" },
	{ "txt", TYPE_TEXT },
	{ "wasm", "application/wasm" },
	{ "webp", "image/webp" },
	{ "xml", "application/xml" },
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const char *http_type(const char *path)
{
	const char *suffix = "";

	for (; *path; path++)
		if (*path == '.')
			suffix = path + 1;
		else if (*path == '/')
			suffix = "";
	for (uint32_t i = 0; i < ARRAY_SIZE(types); i++)
		if (same(suffix, types[i].suffix))
			return types[i].type;
	return TYPE_DEFAULT;
}

// RFC 3986 2.3, and what else is no reason to encode a character of a path.
static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
}

static void encode(char to[HTTP_LOCATION_MAX + 1], const char *path)
{
	for (; *path; path++) {
		if (is_plain(*path))
			*to++ = *path;
		else
			to += kernel_format(to, 4, "%%%02x", (uint8_t)*path);
	}
	*to++ = '/';
	*to = 0;
}

static uint32_t put_location(char *to, const char *path)
{
	char location[HTTP_LOCATION_MAX + 1];

	encode(location, path);
	return (uint32_t)kernel_format(to, HTTP_RESPONSE_MAX, "Location: %s\r\n", location);
}

static uint32_t find_status(uint32_t status)
{
	uint32_t i = 0;

	while (i < ARRAY_SIZE(statuses) - 1 && statuses[i].status != status)
		i++;
	return i;
}

uint32_t http_respond(char *to, const struct http_response *response)
{
	const uint32_t row = find_status(response->status);
	const char *body = response->body ? response->body : statuses[row].words;
	const bool is_file = response->status == 200 && !response->body;
	uint32_t length = (uint32_t)kernel_format(to, HTTP_RESPONSE_MAX, "HTTP/1.1 %u %s\r\n%s",
		statuses[row].status, statuses[row].words, statuses[row].fields);

	if (response->location)
		length += put_location(to + length, response->location);
	length += (uint32_t)kernel_format(to + length, HTTP_RESPONSE_MAX - length,
		"Server: Lumen\r\nContent-Type: %s\r\nContent-Length: %lu\r\nConnection: "
		"%s\r\n\r\n",
		response->type ? response->type : TYPE_TEXT,
		is_file ? response->length : __builtin_strlen(body),
		response->keep_alive ? "keep-alive" : "close");
	if (!is_file && !response->head_only)
		length += (uint32_t)kernel_format(
			to + length, HTTP_RESPONSE_MAX - length, "%s", body);
	return length;
}
