// SPDX-License-Identifier: BSD-2-Clause
// The processor of the test's machine in place of the one that runs the test: it has every feature
// that has a bit, so that what a guest does not see was left out by us.
#pragma once

#include <stdint.h>

#include "base/macros.h"

struct cpuid_result {
	uint32_t eax, ebx, ecx, edx;
};

// AVX at 576 is all that it has of extended state. Only leaves 7 and 0xd have subleaves.
static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
	static const struct {
		uint32_t leaf, subleaf;
		struct cpuid_result result;
	} leaves[] = {
		{ 0, 0, { 0x1f, 0x68747541, 0x444d4163, 0x69746e65 } }, // AuthenticAMD
		{ 1, 0, { 0x00a20f12, 0x00080800, 0xffffffff, 0xffffffff } },
		{ 7, 0, { 0, 0xffffffff, 0xffffffff, 0xffffffff } },
		{ 0xd, 0, { 7, 832, 832, 0 } },
		{ 0xd, 1, { 0xf, 832, 0, 0 } },
		{ 0xd, 2, { 256, 576, 0, 0 } },
		{ 0x80000000, 0, { 0x80000021, 0x68747541, 0x444d4163, 0x69746e65 } },
		{ 0x80000001, 0, { 0x00a20f12, 0, 0xffffffff, 0xffffffff } },
		{ 0x80000007, 0, { 0, 0, 0, 0xffffffff } },
		{ 0x80000008, 0, { 0x3030, 0xffffffff, 0, 0 } },
		{ 0x8000000a, 0, { 1, 0x8000, 0, 0xffffffff } },
		{ 0x80000021, 0, { 0xffffffff, 0, 0, 0 } },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(leaves); i++)
		if (leaves[i].leaf == leaf &&
			(leaves[i].subleaf == subleaf || (leaf != 7 && leaf != 0xd)))
			return leaves[i].result;
	return (struct cpuid_result){ 0, 0, 0, 0 };
}
