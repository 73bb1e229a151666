// SPDX-License-Identifier: BSD-2-Clause
// Heads of requests, looked at once, from front to end. Nothing in them is trusted.
#include "examples/http/request.h"

#include "base/macros.h"

#define HTTP_SCHEME "http://"

struct slice {
	const char *text;
	uint32_t length;
};

// What the fields of a head have said so far.
struct fields {
	uint32_t hosts;
	bool close, keep_alive, body;
};

// --- characters and words ---

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is(struct slice word, const char *other)
{
	uint32_t i = 0;

	while (i < word.length && other[i] && lower(word.text[i]) == other[i])
		i++;
	return i == word.length && !other[i];
}

// Unlike is(), with upper and lower case.
static bool is_exactly(struct slice word, const char *other)
{
	return word.length == __builtin_strlen(other) &&
	       !__builtin_memcmp(word.text, other, word.length);
}

static bool begins(struct slice word, const char *other)
{
	const uint32_t length = (uint32_t)__builtin_strlen(other);

	return word.length >= length && is((struct slice){ word.text, length }, other);
}

static bool is_printable(char c)
{
	return c > ' ' && c < 0x7f;
}

// RFC 9110 5.6.2: what names of methods and fields consist of.
static bool is_token(struct slice word)
{
	static const char others[] = "\"(),/:;<=>?@[\\]{}";

	for (uint32_t i = 0; i < word.length; i++) {
		if (!is_printable(word.text[i]))
			return false;
		for (uint32_t j = 0; others[j]; j++)
			if (word.text[i] == others[j])
				return false;
	}
	return word.length > 0;
}

// What is before the next `end`; the rest is behind it. Without one it is all.
static struct slice take_until(struct slice *rest, char end)
{
	struct slice taken = { rest->text, 0 };

	while (taken.length < rest->length && taken.text[taken.length] != end)
		taken.length++;
	rest->text += taken.length;
	rest->length -= taken.length;
	if (rest->length) {
		rest->text++;
		rest->length--;
	}
	return taken;
}

static struct slice trim(struct slice text)
{
	while (text.length && (*text.text == ' ' || *text.text == '\t')) {
		text.text++;
		text.length--;
	}
	while (text.length &&
		(text.text[text.length - 1] == ' ' || text.text[text.length - 1] == '\t'))
		text.length--;
	return text;
}

// A line ends in CR LF, or in LF (RFC 9112 2.2).
static struct slice take_line(struct slice *rest)
{
	struct slice line = take_until(rest, '\n');

	if (line.length && line.text[line.length - 1] == '\r')
		line.length--;
	return line;
}

// --- the target ---

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The character that a target goes on with, decoded; 0: none that may be there.
static char take_character(struct slice *rest)
{
	char c = *rest->text;
	int high, low;

	if (c == '%') {
		if (rest->length < 3)
			return 0;
		high = digit(rest->text[1]);
		low = digit(rest->text[2]);
		if (high < 0 || low < 0)
			return 0;
		c = (char)(high << 4 | low);
		rest->text += 2;
		rest->length -= 2;
	} else if (!is_printable(c)) {
		return 0;
	}
	rest->text++;
	rest->length--;
	return c;
}

// RFC 9112 3.2.2: the absolute form, with scheme and host.
static struct slice without_host(struct slice target)
{
	const uint32_t scheme = sizeof(HTTP_SCHEME) - 1;
	struct slice rest = { target.text + scheme, target.length - scheme };
	const struct slice host = take_until(&rest, '/');

	if (host.text + host.length == rest.text)
		return (struct slice){ "/", 1 };
	return (struct slice){ rest.text - 1, rest.length + 1 };
}

static uint32_t parse_target(struct slice target, struct http_request *request)
{
	struct slice path;
	uint32_t length = 0;

	if (begins(target, HTTP_SCHEME))
		target = without_host(target);
	path = take_until(&target, '?');
	if (!path.length || *path.text != '/')
		return 400;
	while (path.length) {
		const char c = take_character(&path);

		if (!c)
			return 400;
		if (length == HTTP_PATH_MAX)
			return 414;
		request->path[length++] = c;
	}
	request->path[length] = 0;
	return 200;
}

// --- the first line ---

static uint32_t parse_version(struct slice version, struct http_request *request)
{
	if (is_exactly(version, "HTTP/1.1"))
		request->keep_alive = true;
	else if (is_exactly(version, "HTTP/1.0"))
		request->keep_alive = false;
	else
		return begins(version, "http/") ? 505 : 400;
	return 200;
}

static uint32_t parse_method(struct slice method, struct http_request *request)
{
	if (!is_token(method))
		return 400;
	request->head_only = is_exactly(method, "HEAD");
	return request->head_only || is_exactly(method, "GET") ? 200 : 405;
}

static uint32_t parse_first_line(struct slice line, struct http_request *request)
{
	const struct slice method = take_until(&line, ' '), target = take_until(&line, ' ');
	uint32_t status = parse_version(line, request);

	if (status == 200)
		status = parse_method(method, request);
	return status == 200 ? parse_target(target, request) : status;
}

// --- fields ---

static void take_host(struct slice value, struct fields *fields)
{
	(void)value;
	fields->hosts++;
}

// RFC 9112 9.3.
static void take_connection(struct slice value, struct fields *fields)
{
	while (value.length) {
		const struct slice word = trim(take_until(&value, ','));

		fields->close |= is(word, "close");
		fields->keep_alive |= is(word, "keep-alive");
	}
}

static void take_length(struct slice value, struct fields *fields)
{
	fields->body |= !is_exactly(value, "0");
}

static void take_encoding(struct slice value, struct fields *fields)
{
	(void)value;
	fields->body = true;
}

static const struct {
	const char *name;
	void (*take)(struct slice value, struct fields *fields);
} known[] = {
	{ "host", take_host },
	{ "connection", take_connection },
	{ "content-length", take_length },
	{ "transfer-encoding", take_encoding },
};

// False: it is none. A line that begins with a blank goes on with the one before, which nobody may
// do any more (RFC 9112 5.2); a blank before the colon is for smugglers (5.1).
static bool take_field(struct slice line, struct fields *fields)
{
	const struct slice name = take_until(&line, ':'), value = trim(line);

	if (!is_token(name) || name.text + name.length == line.text)
		return false;
	for (uint32_t i = 0; i < value.length; i++)
		if (value.text[i] == '\r' || !value.text[i])
			return false;
	for (uint32_t i = 0; i < ARRAY_SIZE(known); i++)
		if (is(name, known[i].name))
			known[i].take(value, fields);
	return true;
}

static uint32_t parse_fields(struct slice rest, struct http_request *request)
{
	struct fields fields = { 0 };
	const bool needs_host = request->keep_alive; // HTTP/1.1

	for (struct slice line = take_line(&rest); line.length; line = take_line(&rest))
		if (!take_field(line, &fields))
			return 400;
	if (fields.hosts > 1 || (needs_host && !fields.hosts))
		return 400;
	request->keep_alive = (request->keep_alive || fields.keep_alive) && !fields.close;
	return fields.body ? 413 : 200;
}

// --- the whole ---

// The bytes of the head with its empty line; 0: that is not there yet.
static uint32_t find_end(struct slice text)
{
	struct slice rest = text;
	uint32_t before;

	do {
		before = rest.length;
		if (!take_line(&rest).length && rest.length < before && rest.text[-1] == '\n')
			return text.length - rest.length;
	} while (rest.length);
	return 0;
}

uint32_t http_parse(const char *text, uint32_t length, struct http_request *request, uint32_t *used)
{
	struct slice rest = { text, length };
	uint32_t end, status;

	// RFC 9112 2.2: empty lines before a request are passed over.
	while (rest.length && (*rest.text == '\r' || *rest.text == '\n')) {
		rest.text++;
		rest.length--;
	}
	end = find_end(rest);
	*used = length - rest.length + end;
	if (!end || *used > HTTP_HEAD_MAX)
		return length < HTTP_HEAD_MAX ? 0 : 431;
	rest.length = end;
	status = parse_first_line(take_line(&rest), request);
	return status == 200 ? parse_fields(rest, request) : status;
}
