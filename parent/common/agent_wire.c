// SPDX-License-Identifier: BSD-2-Clause
// See agent_wire.h.
#include "parent/common/agent_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

void agent_begin(struct agent_stream *stream, int fd)
{
	stream->fd = fd;
	stream->ended = false;
	stream->in_first = stream->in_end = stream->out_first = stream->out_end = 0;
}

bool agent_has_room(const struct agent_stream *stream)
{
	return AGENT_OUT_MAX - stream->out_end >= AGENT_PAYLOAD_MAX + sizeof(struct agent_header);
}

static void append(struct agent_stream *stream, const void *bytes, size_t length)
{
	if (length)
		memcpy(stream->out + stream->out_end, bytes, length);
	stream->out_end += length;
}

void agent_put(struct agent_stream *stream, enum agent_type type, const void *one,
	size_t one_length, const void *two, size_t two_length)
{
	const struct agent_header header = { type, (uint32_t)(one_length + two_length) };

	append(stream, &header, sizeof(header));
	append(stream, one, one_length);
	append(stream, two, two_length);
}

short agent_events(const struct agent_stream *stream, bool listen)
{
	return (short)((listen ? POLLIN : 0) | (stream->out_first < stream->out_end ? POLLOUT : 0));
}

static bool is_passing(int error)
{
	return error == EAGAIN || error == EINTR;
}

static void send_some(struct agent_stream *stream)
{
	const size_t length = stream->out_end - stream->out_first;
	ssize_t sent = send(
		stream->fd, stream->out + stream->out_first, length, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		stream->ended |= !is_passing(errno);
	else
		stream->out_first += (size_t)sent;
	if (stream->out_first < stream->out_end)
		return;
	stream->out_first = stream->out_end = 0;
}

// What is left of a frame goes to the front: so there is room for all of it.
static void receive_some(struct agent_stream *stream)
{
	ssize_t got;

	memmove(stream->in, stream->in + stream->in_first, stream->in_end - stream->in_first);
	stream->in_end -= stream->in_first;
	stream->in_first = 0;
	if (stream->in_end == sizeof(stream->in))
		return;
	got = recv(stream->fd, stream->in + stream->in_end, sizeof(stream->in) - stream->in_end,
		MSG_DONTWAIT);
	if (got > 0)
		stream->in_end += (size_t)got;
	else
		stream->ended |= !got || !is_passing(errno);
}

void agent_move(struct agent_stream *stream, short revents)
{
	if (revents & (POLLIN | POLLHUP | POLLERR))
		receive_some(stream);
	if (revents & POLLOUT && stream->out_first < stream->out_end)
		send_some(stream);
}

bool agent_next(struct agent_stream *stream, struct agent_frame *frame)
{
	struct agent_header header;

	if (stream->in_end - stream->in_first < sizeof(header))
		return false;
	memcpy(&header, stream->in + stream->in_first, sizeof(header));
	if (header.length > AGENT_PAYLOAD_MAX) {
		stream->ended = true;
		stream->in_first = stream->in_end;
		return false;
	}
	if (stream->in_end - stream->in_first - sizeof(header) < header.length)
		return false;
	*frame = (struct agent_frame){ header.type, header.length,
		stream->in + stream->in_first + sizeof(header) };
	stream->in_first += sizeof(header) + header.length;
	return true;
}

static bool wait_for(struct agent_stream *stream, bool listen)
{
	struct pollfd poll_for = { .fd = stream->fd, .events = agent_events(stream, listen) };
	int count;

	do
		count = poll(&poll_for, 1, AGENT_PATIENCE_MS);
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		stream->ended = true;
	else
		agent_move(stream, poll_for.revents);
	return !stream->ended;
}

bool agent_send(struct agent_stream *stream, enum agent_type type, const void *one,
	size_t one_length, const void *two, size_t two_length)
{
	while (!agent_has_room(stream))
		if (!wait_for(stream, false))
			return false;
	agent_put(stream, type, one, one_length, two, two_length);
	while (stream->out_first < stream->out_end)
		if (!wait_for(stream, false))
			return false;
	return true;
}

// What has come before the end is taken.
bool agent_receive(struct agent_stream *stream, struct agent_frame *frame)
{
	while (!agent_next(stream, frame)) {
		if (stream->ended)
			return false;
		wait_for(stream, true);
	}
	return true;
}

bool agent_interrupts(struct agent_stream *stream)
{
	receive_some(stream);
	return stream->ended || stream->in_first < stream->in_end;
}

void agent_fail(struct agent_stream *stream, const char *sentence)
{
	agent_send(stream, AGENT_FAILED, sentence, strlen(sentence) + 1, NULL, 0);
}

bool agent_take(struct agent_frame *frame, void *front, size_t length)
{
	if (frame->length < length)
		return false;
	memcpy(front, frame->bytes, length);
	frame->bytes += length;
	frame->length -= (uint32_t)length;
	return true;
}

const char *agent_string(struct agent_frame *frame)
{
	const uint8_t *end = frame->length ? memchr(frame->bytes, 0, frame->length) : NULL;
	const char *string = (const char *)frame->bytes;

	if (!end)
		return NULL;
	frame->length -= (uint32_t)(end + 1 - frame->bytes);
	frame->bytes = end + 1;
	return string;
}
