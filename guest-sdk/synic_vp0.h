// SPDX-License-Identifier: BSD-2-Clause
// What the two halves of the SynIC share. Internal.
#ifndef GUEST_SDK_SYNIC_VP0_H
#define GUEST_SDK_SYNIC_VP0_H

#include "lumen/synic.h"

// The struct that was last started on VP 0, for lumen_synic_poll_this(); NULL: none.
extern struct lumen_synic *lumen_synic_vp0;

#endif
