// SPDX-License-Identifier: BSD-2-Clause
// Synthetic timers (TLFS: Timers). All functions: own VP, or paused.
#pragma once

#include "hypervisor/core/vp.h"

void stimers_reset(struct vp *vp);
void stimer_read_msr(struct vp *vp, uint32_t msr, uint64_t *value);
bool stimer_write_msr(struct vp *vp, uint32_t msr, uint64_t value); // false: #GP

// Tries again to put expired timers' messages into their slots.
void stimers_deliver(struct vp *vp);

// For stimer.c: may SINT's slot be filled now? If not, the guest will write EOM when it is free. Then fills it.
bool synic_slot_claim(struct vp *vp, unsigned int sint);
void synic_slot_fill(struct vp *vp, unsigned int sint, const struct hv_message *message, bool more);
