// SPDX-License-Identifier: BSD-2-Clause
// Lists of texts without pointers, which a position-independent kernel would have to relocate:
// "one\0two\0". Internal.
#ifndef GUEST_SDK_TEXTS_H
#define GUEST_SDK_TEXTS_H

#include <stddef.h>

// The nth text of a list that has so many.
static inline const char *text_at(const char *list, size_t n)
{
	while (n--) {
		while (*list)
			list++;
		list++;
	}
	return list;
}

#endif
