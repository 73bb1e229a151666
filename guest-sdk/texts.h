// SPDX-License-Identifier: BSD-2-Clause
// Texts about statuses. Lists of them are without pointers, which a position-independent kernel
// would have to relocate: "one\0two\0". Internal.
#ifndef GUEST_SDK_TEXTS_H
#define GUEST_SDK_TEXTS_H

#include <stdint.h>

#include "lumen/status.h"

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

#define STATUS_UNKNOWN SIZE_MAX

// The place of a status in HV_STATUS_TABLE followed by LUMEN_STATUS_TABLE, or STATUS_UNKNOWN.
size_t lumen_status_index(lumen_status status);

#endif
