// SPDX-License-Identifier: BSD-2-Clause
// What the compiler calls in place of each indirect call and jump of the hypervisor, by the register that
// holds the target. The processor predicts the return to go to the loop, and nothing that a guest has
// taught it counts.
	.macro thunk register
	.section .text.retpoline.\register, "ax"
	.balign 16
	.global __x86_indirect_thunk_\register
__x86_indirect_thunk_\register:
	call 2f
1:	pause
	lfence
	jmp 1b
2:	movq %\register, (%rsp)
	ret
	.endm

	.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	thunk \register
	.endr

	.section .note.GNU-stack, "", @progbits
