// SPDX-License-Identifier: BSD-2-Clause
// The hypercall page and the two ways into it. The hypervisor puts its code over the page (TLFS:
// Establishing the Hypercall Interface); until then it has code that returns
// LUMEN_RESULT_NOT_ENABLED and touches nothing. The page is part of .text: nothing is to be made
// executable or writable at run time.
//
// The code in the page takes RCX (control), RDX and R8 and returns in RAX; it may change R9 to R11
// too, which are the C caller's to lose (TLFS: Volatile Registers).
#include "lumen/hypercall.h"

_Static_assert(LUMEN_RESULT_NOT_ENABLED == 0xffff, "what the page returns");
_Static_assert(sizeof(struct lumen_call_registers) == 112, "the offsets below");

__asm__(".pushsection .text.lumen_hypercall_page, \"ax\", @progbits\n"
	".balign 4096\n"
	".globl lumen_hypercall_page\n"
	".hidden lumen_hypercall_page\n"
	".type lumen_hypercall_page, @function\n"
	"lumen_hypercall_page:\n"
	"	movl $0xffff, %eax\n"
	"	ret\n"
	".balign 4096, 0xcc\n"
	".size lumen_hypercall_page, . - lumen_hypercall_page\n"
	".popsection\n"

	".pushsection .text.lumen_hypercall_issue, \"ax\", @progbits\n"
	".globl lumen_hypercall_issue\n"
	".type lumen_hypercall_issue, @function\n"
	"lumen_hypercall_issue:\n"
	"	movq %rdi, %rcx\n"
	"	movq %rdx, %r8\n"
	"	movq %rsi, %rdx\n"
	"	jmp lumen_hypercall_page\n"
	".size lumen_hypercall_issue, . - lumen_hypercall_issue\n"
	".popsection\n");
