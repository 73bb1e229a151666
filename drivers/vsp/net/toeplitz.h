// SPDX-License-Identifier: BSD-2-Clause
// The hash that spreads received flows over queues (Microsoft's RSS: Toeplitz), by a table that is
// made from the guest's key once. No allocation; any thread may hash while nobody makes the table.
#pragma once

#include <stdint.h>

#include "drivers/proto/ndis.h"

// Both addresses and both ports of IPv6.
#define TOEPLITZ_INPUT_MAX 36u

// For each byte of the input, what each of its values adds.
struct toeplitz {
	uint32_t adds[TOEPLITZ_INPUT_MAX][256];
};

void toeplitz_set_key(struct toeplitz *toeplitz, const uint8_t key[NDIS_RSS_KEY_SIZE]);

// Returns the hash of `length` bytes (TOEPLITZ_INPUT_MAX at most).
static inline uint32_t toeplitz_hash(
	const struct toeplitz *toeplitz, const uint8_t *input, uint32_t length)
{
	uint32_t hash = 0;

	for (uint32_t i = 0; i < length; i++)
		hash ^= toeplitz->adds[i][input[i]];
	return hash;
}

// Returns the hash of the flow that an Ethernet frame belongs to, from its first `length` bytes
// (private memory), of those kinds that `kinds` (NDIS_HASH_*) has; *kind is which, 0 if none fits:
// a frame of another protocol, cut short, or a fragment where ports are asked for (then addresses
// only).
uint32_t toeplitz_flow(const struct toeplitz *toeplitz, uint32_t kinds, const uint8_t *frame,
	uint32_t length, uint32_t *kind);
