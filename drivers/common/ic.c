// SPDX-License-Identifier: BSD-2-Clause
// See ic.h.
#include "drivers/common/ic.h"

#include <string.h>

#include "base/macros.h"
#include "drivers/common/pipe.h"

// --- messages ---

bool ic_parse(const void *bytes, uint32_t length, struct ic_message *message)
{
	struct ic_header header;

	if (length < sizeof(header))
		return false;
	memcpy(&header, bytes, sizeof(header));
	if (header.size > length - sizeof(header))
		return false;
	*message = (struct ic_message){ header, (const uint8_t *)bytes + sizeof(header) };
	return true;
}

static struct ic_frame frame_for(const struct ic_header *header)
{
	return (struct ic_frame){ pipe_header_for(sizeof(*header) + header->size), *header };
}

struct ic_frame ic_request(const struct ic_dialect *dialect, enum ic_message_type type,
	uint8_t transaction_id, uint16_t size)
{
	const struct ic_header header = {
		.framework = dialect->framework,
		.type = (uint16_t)type,
		.message = dialect->message,
		.size = size,
		.transaction_id = transaction_id,
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};

	return frame_for(&header);
}

struct ic_frame ic_response(const struct ic_header *request, uint32_t status, uint16_t size)
{
	struct ic_header header = *request;

	header.size = size;
	header.status = status;
	header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	return frame_for(&header);
}

bool ic_is_response(
	const struct ic_header *header, enum ic_message_type type, uint8_t transaction_id)
{
	const uint8_t flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;

	return (header->flags & flags) == flags && header->type == type &&
	       header->transaction_id == transaction_id;
}

// --- versions ---

// Of the framework, which all components share.
static const struct ic_version framework_list[] = { { 1, 0 }, { 3, 0 } };
static const struct ic_versions frameworks = { framework_list, ARRAY_SIZE(framework_list) };

uint16_t ic_offer(struct ic_offer *offer, const struct ic_versions *messages)
{
	const uint32_t count = frameworks.count + messages->count;

	offer->counts = (struct ic_negotiate){
		.framework_count = (uint16_t)frameworks.count,
		.message_count = (uint16_t)messages->count,
	};
	memcpy(offer->versions, framework_list, sizeof(framework_list));
	memcpy(offer->versions + frameworks.count, messages->list,
		messages->count * sizeof(*messages->list));
	return (uint16_t)(sizeof(offer->counts) + count * sizeof(*offer->versions));
}

static bool is_among(const uint8_t *offered, uint32_t count, const struct ic_version *version)
{
	for (uint32_t i = 0; i < count; i++)
		if (!memcmp(offered + i * sizeof(*version), version, sizeof(*version)))
			return true;
	return false;
}

// Finds the newest of ours among what was offered. Returns false if there is none.
static bool find_newest(const uint8_t *offered, uint32_t count, const struct ic_versions *ours,
	struct ic_version *newest)
{
	for (uint32_t i = ours->count; i-- > 0;)
		if (is_among(offered, count, &ours->list[i])) {
			*newest = ours->list[i];
			return true;
		}
	return false;
}

enum ic_agreement ic_choose(const struct ic_message *offer, const struct ic_versions *messages,
	struct ic_dialect *dialect, struct ic_choice *choice)
{
	const uint8_t *list = offer->body + sizeof(choice->counts);
	const uint32_t size = offer->header.size;
	struct ic_negotiate counts;
	struct ic_dialect both;

	memset(choice, 0, sizeof(*choice));
	if (size < sizeof(counts))
		return IC_CUT_SHORT;
	memcpy(&counts, offer->body, sizeof(counts));
	if ((counts.framework_count + counts.message_count) * sizeof(struct ic_version) >
		size - sizeof(counts))
		return IC_CUT_SHORT;
	if (!find_newest(list, counts.framework_count, &frameworks, &both.framework))
		return IC_NO_VERSION;
	list += counts.framework_count * sizeof(struct ic_version);
	if (!find_newest(list, counts.message_count, messages, &both.message))
		return IC_NO_VERSION;
	*choice = (struct ic_choice){ { 1, 1, 0 }, both.framework, both.message };
	*dialect = both;
	return IC_AGREED;
}

static bool speaks(const struct ic_versions *ours, const struct ic_version *version)
{
	return is_among((const uint8_t *)ours->list, ours->count, version);
}

enum ic_agreement ic_take_choice(const struct ic_message *response,
	const struct ic_versions *messages, struct ic_dialect *dialect)
{
	struct ic_choice choice;

	if (response->header.size < sizeof(choice))
		return IC_CUT_SHORT;
	memcpy(&choice, response->body, sizeof(choice));
	if (choice.counts.framework_count != 1 || choice.counts.message_count != 1 ||
		!speaks(&frameworks, &choice.framework) || !speaks(messages, &choice.message))
		return IC_NO_VERSION;
	*dialect = (struct ic_dialect){ choice.framework, choice.message };
	return IC_AGREED;
}
