// SPDX-License-Identifier: BSD-2-Clause
// Intrusive doubly linked lists. A list head is a node that points at itself when empty.
#pragma once

#include "hypervisor/core/lib.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

// Before AT; before the head is at the end.
static inline void list_insert_before(struct list *at, struct list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}

// Removes NODE and leaves it self-linked, so that removing it again does nothing.
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_for_each(pos, head, member)                                                           \
	for (pos = container_of((head)->next, __typeof__(*pos), member); &pos->member != (head);   \
		pos = container_of(pos->member.next, __typeof__(*pos), member))

#define list_first(head, type, member)                                                             \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))
