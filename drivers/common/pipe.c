// SPDX-License-Identifier: BSD-2-Clause
// See pipe.h.
#include "drivers/common/pipe.h"

#include <string.h>

bool pipe_parse(const void *payload, uint32_t length, struct pipe_message *message)
{
	struct pipe_header header;

	if (length < sizeof(header))
		return false;
	memcpy(&header, payload, sizeof(header));
	if (header.type != PIPE_TYPE_DATA || header.size > length - sizeof(header))
		return false;
	*message = (struct pipe_message){ (const uint8_t *)payload + sizeof(header), header.size };
	return true;
}

struct pipe_header pipe_header_for(uint32_t length)
{
	return (struct pipe_header){ PIPE_TYPE_DATA, length };
}
