// SPDX-License-Identifier: BSD-2-Clause
// What lwIP asks of the compiler and of its surroundings (its name for this file).
#pragma once

#include <stdint.h>

#define LWIP_NO_CTYPE_H 1 // its unistd.h is for a type, ssize_t

// port.c
_Noreturn void port_assert(const char *what, const char *file, int line);
uint32_t port_random(void);

#define LWIP_PLATFORM_ASSERT(what) port_assert(what, __FILE__, __LINE__)
#define LWIP_PLATFORM_DIAG(arguments)
#define LWIP_RAND() port_random()
