// SPDX-License-Identifier: BSD-2-Clause
// The default of lumen_now_ns(): the reference time.
#include "lumen/clock.h"
#include "lumen/platform.h"

__attribute__((weak)) uint64_t lumen_now_ns(void)
{
	return lumen_clock_ns();
}
