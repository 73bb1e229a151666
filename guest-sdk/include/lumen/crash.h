// SPDX-License-Identifier: BSD-2-Clause
// Telling the host that the kernel has crashed (TLFS: Guest Crash Enlightenment Interface).
#ifndef LUMEN_CRASH_H
#define LUMEN_CRASH_H

#include <stddef.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

// The most of a message that is passed on, in bytes.
#define LUMEN_CRASH_TEXT_MAX 1024u

// Reports a crash with numbers of the kernel's own (Linux: error, RIP, RAX, ...), and with a
// message of `length` bytes if `text` is not NULL; then p[3] and p[4] are not sent, and where the
// host takes no messages it gets none. The host may stop the partition at once or let it go on (to
// write a dump, to halt). Any context, several processors at once too: the first one reports.
// LUMEN_NOT_SUPPORTED: nobody listens; LUMEN_BUSY: another one has reported.
lumen_status lumen_crash_report(const uint64_t p[5], const char *text, size_t length);

LUMEN_DECLS_END

#endif
