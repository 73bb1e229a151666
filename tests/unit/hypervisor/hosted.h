// SPDX-License-Identifier: BSD-2-Clause
// Included before everything else when the hypervisor's core is built for a test: the processor is
// a thread, and RAM is an array.
#pragma once

#define cpu_relax real_cpu_relax
#include "hypervisor/core/lib.h"
#undef cpu_relax

void cpu_relax(void); // who is waited for may have no processor at the moment

#define wbinvd real_wbinvd
#include "hypervisor/x86/cpu.h"
#undef wbinvd

void wbinvd(void);

#define this_cpu real_this_cpu
#include "hypervisor/core/pcpu.h"
#undef this_cpu

#define spa_to_va  real_spa_to_va
#define va_to_spa  real_va_to_spa
#define page_to_va real_page_to_va
#define va_to_page real_va_to_page
#include "hypervisor/x86/memory.h"
#undef spa_to_va
#undef va_to_spa
#undef page_to_va
#undef va_to_page

struct pcpu *this_cpu(void);
void *page_to_va(uint64_t page); // any address within machine_ram, or the test fails
uint64_t va_to_page(const void *va);

static inline uint64_t va_to_spa(const void *va)
{
	return va_to_page(va) << PAGE_SHIFT;
}
