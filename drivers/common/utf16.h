// SPDX-License-Identifier: BSD-2-Clause
// Text on Hyper-V's wires is UTF-16, little endian and zero-terminated; here it is UTF-8. No state,
// no allocation; any thread. What is invalid is refused, not repaired.
#ifndef LUMEN_DRIVERS_COMMON_UTF16_H
#define LUMEN_DRIVERS_COMMON_UTF16_H

#include <stdbool.h>
#include <stdint.h>

// Writes `text` and its terminator to `to`, which has room for so many units. Returns how many
// bytes that is, the terminator included, or 0 if it does not fit or is no UTF-8.
uint32_t utf16_from_utf8(uint16_t *to, uint32_t room, const char *text);

// Reads at most `units` units (`from` need not be aligned), up to the terminator, which has to be
// there. Returns false if it is not, if it is no UTF-16, or does not fit; *to is a string anyway.
bool utf16_to_utf8(char *to, uint32_t room, const void *from, uint32_t units);

#endif
