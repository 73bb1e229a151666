// SPDX-License-Identifier: BSD-2-Clause
// Names of statuses.
#include "lumen/status.h"

#include "base/macros.h"
#include "guest-sdk/texts.h"

#define HV_NAME(name, number, text)    "HV_STATUS_" #name "\0"
#define LUMEN_NAME(name, number, text) "LUMEN_" #name "\0"

// In the order of the numbers below.
static const char names[] = HV_STATUS_TABLE(HV_NAME) LUMEN_STATUS_TABLE(LUMEN_NAME);

#define NUMBER(name, number, text) number,

static const uint32_t numbers[] = { HV_STATUS_TABLE(NUMBER) LUMEN_STATUS_TABLE(NUMBER) };

size_t lumen_status_index(lumen_status status)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i] == status)
			return i;
	}
	return STATUS_UNKNOWN;
}

const char *lumen_status_name(lumen_status status)
{
	size_t index = lumen_status_index(status);

	return index == STATUS_UNKNOWN ? "unknown status" : text_at(names, index);
}
