// SPDX-License-Identifier: BSD-2-Clause
// The SDK's memory functions under names of their own, as the test has a C library's.
#define memcpy	sdk_memcpy
#define memmove sdk_memmove
#define memset	sdk_memset
#define memcmp	sdk_memcmp
#include "guest-sdk/string.c"
