// SPDX-License-Identifier: BSD-2-Clause
// FNV-1a, of 64 bits: what is the same for the same name, and tells nothing of it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FNV_START 0xcbf29ce484222325ull

// Goes on with `length` bytes from what has been hashed so far (FNV_START: nothing).
static inline uint64_t fnv_hash(uint64_t hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++) {
		hash ^= at[i];
		hash *= 0x100000001b3;
	}
	return hash;
}
