// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's address space: its image at the top, all of RAM in a direct map, stacks with guard pages.
#pragma once

#include "hypervisor/core/lib.h"

#define HV_IMAGE_BASE  0xffffffff80000000ul // virtual = physical + this, for the image only
#define DIRECT_MAP     0xffff800000000000ul
#define STACKS_BASE    0xffffff0000000000ul
#define DEVICES_BASE   0xffffff8000000000ul

static inline void *spa_to_va(uint64_t spa)
{
	return (void *)(DIRECT_MAP + spa);
}

static inline uint64_t va_to_spa(const void *va)
{
	return (uint64_t)va - DIRECT_MAP;
}

static inline void *page_to_va(uint64_t spa_page)
{
	return spa_to_va(spa_page << PAGE_SHIFT);
}

static inline uint64_t va_to_page(const void *va)
{
	return va_to_spa(va) >> PAGE_SHIFT;
}
