// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's address space: its image at the top, all of RAM in a direct map, stacks with
// guard pages.
#pragma once

#include "hypervisor/core/lib.h"

#define HV_IMAGE_BASE 0xffffffff80000000ul // virtual = physical + this, for the image only
#define DIRECT_MAP    0xffff800000000000ul
#define STACKS_BASE   0xffffff0000000000ul
#define DEVICES_BASE  0xffffff8000000000ul

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

// The physical memory that the hypervisor takes for itself at boot, ascending: the 2 MiB of its
// image, and a piece at the top of RAM below 4 GiB. Everything comes from that piece by
// boot_alloc(); what is left goes to the root's page pool.
struct spa_range {
	uint64_t base, end;
};
extern struct spa_range hypervisor_memory[2];
#define RESERVE (&hypervisor_memory[1])
extern uint64_t reserve_next;

// Chooses the reserve from the loader's memory map. Early, before memory_init().
void memory_reserve_init(void);
uint64_t memory_top(void); // end of RAM
// Zeroed pages. Panics when the reserve is too small, which its size rules out.
void *boot_alloc(unsigned int pages);

// Builds and loads the final address space: W^X image, direct map of RAM, nothing else.
void memory_init(void);
extern uint64_t host_cr3;

// Maps one page of device registers, uncached. Boot only; the same page gives the same address.
volatile uint32_t *map_device(uint64_t spa);

// Maps the stack of processor INDEX (guarded below by unmapped pages); returns its lowest address.
void *map_stack(unsigned int index);
