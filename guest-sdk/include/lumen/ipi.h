// SPDX-License-Identifier: BSD-2-Clause
// Interrupts to several VPs by one hypercall (TLFS: HvCallSendSyntheticClusterIpi). Worth it where
// lumen_is_advised(HV_HINT_SYNTHETIC_CLUSTER_IPI). Fixed interrupts, edge, `vector` 16 to 255. Any
// context; hypercalls are enabled. Errors: HV_STATUS_*, LUMEN_BAD_ARGUMENT, LUMEN_BAD_STATE.
#ifndef LUMEN_IPI_H
#define LUMEN_IPI_H

#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"
#include "lumen/vp.h"

LUMEN_DECLS_BEGIN

// To VPs 0 to 63: a bit for each. A fast call: no memory.
lumen_status lumen_ipi_send(uint8_t vector, uint64_t vps);

// To any VPs (NULL: all); where HV_HINT_EX_PROCESSOR_MASKS is set. Uses up to 4.5 KiB of stack.
lumen_status lumen_ipi_send_ex(uint8_t vector, const struct lumen_vp_set *vps);

LUMEN_DECLS_END

#endif
