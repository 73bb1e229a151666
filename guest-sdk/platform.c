// SPDX-License-Identifier: BSD-2-Clause
// What a kernel gets that does not say otherwise (lumen/platform.h). Those that need another part
// of the SDK are in files of their own, so that this one pulls nothing in.
#include "lumen/platform.h"

#include "guest-sdk/arch.h"

#define WEAK __attribute__((weak))

WEAK uint64_t lumen_gpa(const void *address)
{
	return (uintptr_t)address;
}

// The compiler takes the lowest addresses for null pointers: it does not get to see them.
WEAK void *lumen_memory(uint64_t gpa)
{
	__asm__("" : "+r"(gpa));
	return (void *)(uintptr_t)gpa;
}

WEAK uint64_t lumen_irq_save(void)
{
	return arch_irq_save();
}

WEAK void lumen_irq_restore(uint64_t state)
{
	arch_irq_restore(state);
}

WEAK uint32_t lumen_this_vp(void)
{
	return 0;
}

WEAK void lumen_wake(const uint32_t *word)
{
	(void)word;
}

WEAK void lumen_log(enum lumen_log_level level, const char *line)
{
	(void)level;
	(void)line;
}

WEAK _Noreturn void lumen_panic(const char *line)
{
	lumen_log(LUMEN_LOG_ERROR, line);
	arch_stop();
}
