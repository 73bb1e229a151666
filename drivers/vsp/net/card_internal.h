// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the network card.
#pragma once

#include "drivers/vsp/net/card.h"

// Private memory.
struct net_oid_buffer {
	const uint8_t *bytes;
	uint32_t length;
};

// What an answer's buffer may have.
#define NET_OID_MAX                                                                                \
	(NET_ANSWER_MAX - sizeof(struct rndis_header) - sizeof(struct rndis_query_complete))

// Each returns an enum rndis_status; `to` has room for NET_OID_MAX bytes, *length is 0 before.
uint32_t net_oid_query(struct net_card *card, uint32_t oid, const struct net_oid_buffer *asked,
	uint8_t *to, uint32_t *length);
uint32_t net_oid_set(struct net_card *card, uint32_t oid, const struct net_oid_buffer *value);
