// SPDX-License-Identifier: BSD-2-Clause
// XMM0 to XMM5 of the VP that this processor holds: the hypervisor itself uses none of them.
#include "hypervisor/x86/state.h"

void xmm_read(void *to)
{
	__asm__ volatile("movdqu %%xmm0, (%0)\n movdqu %%xmm1, 16(%0)\n movdqu %%xmm2, 32(%0)\n"
			 "movdqu %%xmm3, 48(%0)\n movdqu %%xmm4, 64(%0)\n movdqu %%xmm5, 80(%0)"
			 :
			 : "r"(to)
			 : "memory");
}

void xmm_write(const void *from)
{
	__asm__ volatile("movdqu (%0), %%xmm0\n movdqu 16(%0), %%xmm1\n movdqu 32(%0), %%xmm2\n"
			 "movdqu 48(%0), %%xmm3\n movdqu 64(%0), %%xmm4\n movdqu 80(%0), %%xmm5"
			 :
			 : "r"(from)
			 : "memory");
}
