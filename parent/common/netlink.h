// SPDX-License-Identifier: BSD-2-Clause
// rtnetlink (rtnetlink(7)): how the root's Linux is asked for its links, and to change them. One
// request at a time, and its answer.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NETLINK_MESSAGE_MAX = 2048 };

// A request that is being written.
struct netlink_message {
	uint32_t used;
	bool too_long;
	_Alignas(struct nlmsghdr) uint8_t bytes[NETLINK_MESSAGE_MAX];
};

// Attributes of an answer, or of another attribute.
struct netlink_attributes {
	const struct rtattr *first;
	size_t size;
};

// Returns a socket, or -1 and errno.
int netlink_open(void);

// Begins a request: RTM_..., NLM_F_... beside NLM_F_REQUEST and NLM_F_ACK, and its fixed part (a
// struct ifinfomsg or another of rtnetlink's).
void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *body,
	size_t size);

// Adds an attribute. One that does not fit is noticed by netlink_ask().
void netlink_put(struct netlink_message *message, uint16_t type, const void *value, size_t size);
void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value);
void netlink_put_u8(struct netlink_message *message, uint16_t type, uint8_t value);
void netlink_put_text(struct netlink_message *message, uint16_t type, const char *text);

// Begins an attribute that is made of those put until netlink_close() gets the returned place.
uint32_t netlink_nest(struct netlink_message *message, uint16_t type);
void netlink_close(struct netlink_message *message, uint32_t place);

// Makes the request and waits, at most some seconds, for all of its answer. `each`, if not NULL, is
// given every message of it that is no acknowledgement. Returns 0 or an errno.
int netlink_ask(int socket, struct netlink_message *message,
	void (*each)(void *context, const struct nlmsghdr *answer), void *context);

// Returns the attributes of a message whose fixed part has so many bytes: of a link, those of a
// struct ifinfomsg.
struct netlink_attributes netlink_of(const struct nlmsghdr *answer, size_t fixed);

// Returns those inside of an attribute; none if it is NULL.
struct netlink_attributes netlink_inside(const struct rtattr *attribute);

// Returns the first one of a type, or NULL.
const struct rtattr *netlink_find(struct netlink_attributes attributes, uint16_t type);

// Takes the first one away and returns it; NULL if there is none.
const struct rtattr *netlink_next(struct netlink_attributes *attributes);

// Returns a number of 1, 2 or 4 bytes; 0 if the attribute is NULL or of another size.
uint32_t netlink_number(const struct rtattr *attribute);

// Copies a text of at most size - 1 bytes; "" if the attribute is NULL.
void netlink_text(const struct rtattr *attribute, char *text, size_t size);
