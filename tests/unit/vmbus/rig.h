// SPDX-License-Identifier: BSD-2-Clause
// A VMBus server joined to a simulated guest, for tests and fuzz targets: guest memory, GPADL
// storage that counts, and functions to say something as the guest and to take what comes out.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "vmbus/packet.h"
#include "vmbus/server.h"

#define RIG_PAGES    64 // of guest memory: page numbers 0 to 63
#define RIG_CHANNELS 4
#define RIG_GPADLS   6
#define RIG_VPS	     4

struct rig {
	struct vmbus_server server;
	struct vmbus_server_channel channels[RIG_CHANNELS];
	struct vmbus_gpadl gpadls[RIG_GPADLS];
	struct vmbus_action actions[VMBUS_SERVER_ACTIONS(RIG_CHANNELS, RIG_GPADLS)];
	struct vmbus_post posts[VMBUS_SERVER_POSTS(RIG_CHANNELS, RIG_GPADLS)];
	_Alignas(4096) uint8_t memory[RIG_PAGES][VMBUS_PAGE_SIZE];
	uint32_t words_out; // storage that the server has
	uint32_t words_max; // and may have at most
};

static inline void *rig_page(void *context, uint64_t gpa_page)
{
	struct rig *rig = context;

	return gpa_page < RIG_PAGES ? rig->memory[gpa_page] : NULL;
}

static inline uint64_t *rig_words_get(void *context, uint32_t count)
{
	struct rig *rig = context;

	if (rig->words_out + count > rig->words_max)
		return NULL;
	rig->words_out += count;
	return malloc(count * sizeof(uint64_t));
}

static inline void rig_words_put(void *context, uint64_t *words, uint32_t count)
{
	struct rig *rig = context;

	rig->words_out -= count;
	free(words);
}

static inline struct vmbus_server_config rig_config(struct rig *rig)
{
	return (struct vmbus_server_config){
		.channels = rig->channels,
		.channel_count = RIG_CHANNELS,
		.gpadls = rig->gpadls,
		.gpadl_count = RIG_GPADLS,
		.actions = rig->actions,
		.action_count = ARRAY_SIZE(rig->actions),
		.posts = rig->posts,
		.post_count = ARRAY_SIZE(rig->posts),
		.memory = { rig, rig_page },
		.storage = { rig, rig_words_get, rig_words_put },
		.vp_count = RIG_VPS,
		.max_version = VMBUS_VERSION_5_3,
	};
}

// Returns a fresh rig. There is one: it takes the place of the one before.
static inline struct rig *rig_new(void)
{
	static struct rig the_rig;
	struct rig *rig = &the_rig;
	struct vmbus_server_config config;
	uint32_t i;

	for (i = 0; i < RIG_GPADLS; i++)
		free(rig->gpadls[i].words); // of the one before
	memset(rig, 0, sizeof(*rig));
	rig->words_max = 3 * VMBUS_GPADL_WORDS_MAX;
	config = rig_config(rig);
	if (!vmbus_server_init(&rig->server, &config))
		abort();
	return rig;
}

// Says `length` bytes of *message as the guest, on the connection of 5.0 and later.
static inline bool rig_say(struct rig *rig, const union vmbus_message *message, uint32_t length)
{
	return vmbus_server_message(
		&rig->server, VMBUS_CONNECTION_MESSAGE_MULTICLIENT, message, length);
}

// Says a message at its type's size.
static inline bool rig_say_whole(struct rig *rig, const union vmbus_message *message)
{
	return rig_say(rig, message, vmbus_message_info(message->header.type)->size);
}

// Fills in a GPADL_HEADER for one range of `pages` whole pages from page number `first` on, as far
// as they fit. Returns the message's length.
static inline uint32_t rig_gpadl_header(
	union vmbus_message *message, uint32_t relid, uint32_t id, uint32_t pages, uint64_t first)
{
	struct vmbus_gpa_range_header range = { .byte_count = pages * VMBUS_PAGE_SIZE };
	uint32_t i;

	memset(message, 0, sizeof(*message));
	message->gpadl_header.header.type = VMBUS_MESSAGE_GPADL_HEADER;
	message->gpadl_header.relid = relid;
	message->gpadl_header.gpadl = id;
	message->gpadl_header.length = (uint16_t)(8 + 8 * pages);
	message->gpadl_header.range_count = 1;
	memcpy(message->bytes + 20, &range, 8);
	for (i = 0; i < pages && i < 26; i++) {
		uint64_t page = first + i;

		memcpy(message->bytes + 28 + 8 * i, &page, 8);
	}
	return 28 + 8 * i;
}
