// SPDX-License-Identifier: BSD-2-Clause
// The network card that a guest sees behind its channels: what it answers to RNDIS' control
// messages, and what the guest has set. No channel, no allocation; one thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/proto/ndis.h"
#include "drivers/proto/rndis.h"

#define NET_ANSWER_MAX	 512u // of net_card_answer()
#define NET_MTU_MIN	 68u
#define NET_MTU_MAX	 9000u
#define NET_QUEUES_MAX	 64u
#define NET_FRAME_HEADER 18u	// with a VLAN tag
#define NET_LSO_MAX	 65536u // bytes that a guest may give in one frame to be cut
#define NET_MESSAGE_MAX	 (NET_LSO_MAX + 1024u)
#define NET_MAX_MESSAGES 8u // in one packet of the guest's
#define NET_ALIGN_SHIFT	 3u // of those behind the first

// What this end can do for the guest (struct net_card_config's offloads).
#define NET_OFFLOAD_SEND_CHECKSUM 0x1u
#define NET_OFFLOAD_LSO		  0x2u
#define NET_OFFLOAD_RECEIVED	  0x4u // says of received frames that their checksums are right
#define NET_OFFLOAD_COALESCE	  0x8u // gives it several segments of a flow as one frame

struct net_card_config {
	uint8_t mac[6];
	uint32_t mtu; // NET_MTU_MIN to NET_MTU_MAX
	uint64_t bits_per_second;
	uint32_t offloads; // NET_OFFLOAD_*
	uint32_t queues;   // 1 to NET_QUEUES_MAX
};

struct net_card_counters {
	uint64_t queries, sets;
	uint64_t refused;   // of these: an OID or a value that is not known
	uint64_t malformed; // control messages that broke a rule
};

struct net_card {
	struct net_card_config config;
	bool initialized;
	bool link;
	uint8_t mac[6];	   // that the guest uses: its own, or one it has set
	uint32_t filter;   // NDIS_FILTER_*; 0: it wants no frames
	uint32_t offloads; // NET_OFFLOAD_* that it has turned on
	uint32_t hash;	   // NDIS_HASH_*; 0: no scaling
	uint32_t table_entries;
	uint8_t table[NDIS_RSS_TABLE_MAX]; // queues, each below config.queues
	uint8_t key[NDIS_RSS_KEY_SIZE];
	uint64_t sent, received, no_buffer; // frames, as the guest may ask; the data path counts
	struct net_card_counters counters;
};

// What the guest has set, saved.
struct net_card_form {
	uint64_t sent, received, no_buffer;
	struct net_card_counters counters;
	uint32_t filter, offloads, hash, table_entries;
	uint8_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
	uint8_t mac[6];
	uint8_t initialized, link;
};

void net_card_save(const struct net_card *card, struct net_card_form *form);

// Takes it back, right after net_card_init(). Returns false if it makes no sense.
bool net_card_restore(struct net_card *card, const struct net_card_form *form);

// Returns false if the configuration is out of bounds.
bool net_card_init(struct net_card *card, const struct net_card_config *config);

// Acts on a control message (private memory, `length` bytes, of which the message's own length may
// be less). Returns the length of the answer in `answer` (NET_ANSWER_MAX bytes); 0: there is none,
// because the message wants none or has no request id to answer to.
uint32_t net_card_answer(
	struct net_card *card, const uint8_t *message, uint32_t length, uint8_t *answer);

// The link has come or gone. Returns the length of the indication in `message`, or 0 if the guest
// has not initialized the card, or knows.
uint32_t net_card_set_link(struct net_card *card, bool link, uint8_t *message);
