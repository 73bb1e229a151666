// SPDX-License-Identifier: BSD-2-Clause
// The default of lumen_wait(), for kernels that do not sleep: looks whether something has come.
#include "guest-sdk/arch.h"
#include "lumen/platform.h"
#include "lumen/synic.h"

__attribute__((weak)) void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)deadline_ns;
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value && !lumen_synic_poll_this())
		arch_pause();
}
