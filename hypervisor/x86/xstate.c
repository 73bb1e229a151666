// SPDX-License-Identifier: BSD-2-Clause
// Extended state.
#include "hypervisor/x86/boot.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/vp.h"
#include "hypervisor/x86/cpu.h"

enum { X87 = 1 << 0, SSE = 1 << 1, AVX = 1 << 2, AVX512 = 7 << 5, PKRU = 1 << 9 };

uint64_t host_xcr0;

void xstate_enable(void)
{
	if (!(cpuid(1, 0).ecx & 1 << 26))
		panic("this processor has no XSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	host_xcr0 = cpuid(0xd, 0).eax & (X87 | SSE | AVX | AVX512 | PKRU);
	xcr0_write(host_xcr0);
	ASSERT(cpuid(0xd, 0).ebx <= PAGE_SIZE);
}

// QEMU's emulation of SVM (7.2) has no XSETBV intercept, so what the processor holds is what
// counts.
uint64_t vp_xcr0(const struct vp *vp)
{
	return vp->loaded_on ? xcr0_read() & host_xcr0 : vp->xcr0;
}

bool vp_xcr0_valid(uint64_t value)
{
	return value & X87 && !(value & ~host_xcr0) && !(value & AVX && !(value & SSE)) &&
	       (!(value & AVX512) || (value & (AVX512 | AVX)) == (AVX512 | AVX));
}
