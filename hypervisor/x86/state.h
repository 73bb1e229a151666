// SPDX-License-Identifier: BSD-2-Clause
// Short questions about a VP's registers, for emulation. Own VP or paused.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/cpu.h"

// A 64-bit register that the backend keeps (CR0-4, EFER, PAT, ...); 0 if it has none of that name.
static inline uint64_t vp_reg64(struct vp *vp, enum hv_register_name name)
{
	struct hv_register_value value = { 0 };

	backend->get_register(vp, name, &value);
	return value.reg64;
}

static inline bool vp_set_reg64(struct vp *vp, enum hv_register_name name, uint64_t value)
{
	struct hv_register_value v = { .reg64 = value };

	return backend->set_register(vp, name, &v);
}

// 16, 32 or 64: what the code segment makes the default. *BASE: the segment's base.
unsigned int vp_code_mode(struct vp *vp, uint64_t *base);

// Current privilege level, 0..3.
unsigned int vp_cpl(struct vp *vp);

// XMM0 to XMM5, 96 bytes, of the VP that this processor has loaded.
void xmm_read(void *to);
void xmm_write(const void *from);

// Guest TSC = tsc_read() + this.
static inline uint64_t vp_tsc_offset(const struct vp *vp)
{
	return vp->partition->tsc_offset + vp->tsc_adjust;
}
