// SPDX-License-Identifier: BSD-2-Clause
// See netlink.h.
#include "parent/common/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	ANSWER_S = 10,
	ANSWER_MAX = 32768, // of one read: what the kernel writes at most (NLMSG_GOODSIZE's limit)
};

int netlink_open(void)
{
	const struct timeval patience = { .tv_sec = ANSWER_S };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

// --- writing ---

// Returns the place of so many bytes, zeroed and with what aligns the next ones; NULL: no room.
static void *append(struct netlink_message *message, size_t size)
{
	const uint32_t place = message->used;

	if (NLMSG_ALIGN(size) > NETLINK_MESSAGE_MAX - place) {
		message->too_long = true;
		return NULL;
	}
	message->used += (uint32_t)NLMSG_ALIGN(size);
	return message->bytes + place;
}

void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *body,
	size_t size)
{
	struct nlmsghdr *header;
	void *fixed;

	memset(message, 0, sizeof(*message));
	header = append(message, sizeof(*header));
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	fixed = append(message, size);
	if (fixed)
		memcpy(fixed, body, size);
}

void netlink_put(struct netlink_message *message, uint16_t type, const void *value, size_t size)
{
	struct rtattr *attribute = append(message, RTA_LENGTH(size));

	if (!attribute)
		return;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attribute), value, size);
}

void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value)
{
	netlink_put(message, type, &value, sizeof(value));
}

void netlink_put_u8(struct netlink_message *message, uint16_t type, uint8_t value)
{
	netlink_put(message, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink_message *message, uint16_t type, const char *text)
{
	netlink_put(message, type, text, strlen(text) + 1);
}

uint32_t netlink_nest(struct netlink_message *message, uint16_t type)
{
	const uint32_t place = message->used;

	netlink_put(message, type | NLA_F_NESTED, NULL, 0);
	return place;
}

void netlink_close(struct netlink_message *message, uint32_t place)
{
	struct rtattr *attribute = (struct rtattr *)(message->bytes + place);

	if (!message->too_long)
		attribute->rta_len = (uint16_t)(message->used - place);
}

// --- asking ---

struct answer {
	void (*each)(void *context, const struct nlmsghdr *answer);
	void *context;
	int error;
	bool complete;
};

static void take(struct answer *answer, const struct nlmsghdr *header)
{
	const struct nlmsgerr *result = NLMSG_DATA(header);

	if (header->nlmsg_type == NLMSG_ERROR) {
		answer->error = -result->error;
		answer->complete = true;
	} else if (header->nlmsg_type == NLMSG_DONE) {
		answer->complete = true;
	} else if (answer->each) {
		answer->each(answer->context, header);
	}
}

// Takes one read's messages. Returns 0 or an errno.
static int take_some(int socket, struct answer *answer, void *buffer)
{
	const struct nlmsghdr *header = buffer;
	ssize_t left;

	do
		left = recv(socket, buffer, ANSWER_MAX, 0);
	while (left < 0 && errno == EINTR);
	if (left <= 0)
		return left ? errno : EPIPE;
	for (int rest = (int)left; NLMSG_OK(header, (uint32_t)rest);
		header = NLMSG_NEXT(header, rest))
		take(answer, header);
	return 0;
}

int netlink_ask(int socket, struct netlink_message *message,
	void (*each)(void *context, const struct nlmsghdr *answer), void *context)
{
	struct answer answer = { .each = each, .context = context };
	struct nlmsghdr *header = (struct nlmsghdr *)message->bytes;
	void *buffer;
	int error = 0;

	if (message->too_long)
		return EMSGSIZE;
	buffer = malloc(ANSWER_MAX);
	if (!buffer)
		return ENOMEM;
	header->nlmsg_len = message->used;
	if (send(socket, header, message->used, 0) < 0)
		error = errno;
	while (!error && !answer.complete)
		error = take_some(socket, &answer, buffer);
	free(buffer);
	return error ? error : answer.error;
}

// --- reading ---

struct netlink_attributes netlink_of(const struct nlmsghdr *answer, size_t fixed)
{
	const size_t before = NLMSG_SPACE(fixed);

	if (answer->nlmsg_len < before)
		return (struct netlink_attributes){ 0 };
	return (struct netlink_attributes){ (const void *)((const uint8_t *)answer + before),
		answer->nlmsg_len - before };
}

struct netlink_attributes netlink_inside(const struct rtattr *attribute)
{
	if (!attribute)
		return (struct netlink_attributes){ 0 };
	return (struct netlink_attributes){ RTA_DATA(attribute), RTA_PAYLOAD(attribute) };
}

const struct rtattr *netlink_next(struct netlink_attributes *attributes)
{
	const struct rtattr *found = attributes->first;
	size_t size;

	if (!RTA_OK(found, attributes->size))
		return NULL;
	size = RTA_ALIGN(found->rta_len);
	attributes->first = (const void *)((const uint8_t *)found + size);
	attributes->size -= size < attributes->size ? size : attributes->size;
	return found;
}

const struct rtattr *netlink_find(struct netlink_attributes attributes, uint16_t type)
{
	const struct rtattr *found = netlink_next(&attributes);

	while (found && (found->rta_type & NLA_TYPE_MASK) != type)
		found = netlink_next(&attributes);
	return found;
}

uint32_t netlink_number(const struct rtattr *attribute)
{
	const size_t size = attribute ? RTA_PAYLOAD(attribute) : 0;
	uint32_t value = 0;

	if (size == 1 || size == 2 || size == 4)
		memcpy(&value, RTA_DATA(attribute), size);
	return value;
}

void netlink_text(const struct rtattr *attribute, char *text, size_t size)
{
	const size_t length = attribute ? strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute)) : 0;

	*text = 0;
	if (!length || length >= size)
		return;
	memcpy(text, RTA_DATA(attribute), length);
	text[length] = 0;
}
