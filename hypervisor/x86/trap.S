// SPDX-License-Identifier: BSD-2-Clause
// Interrupt and exception entries. Interrupts are only ever taken in irq_window() and in the idle
// halt; they note their vector and return. Exceptions are fatal unless the instruction has an entry
// in the fix-up table.
	.text
	.balign 16
	.global trap_entries
trap_entries: // 256 stubs of 16 bytes
	.set vector, 0
	.rept 256
	.balign 16
	.if vector >= 32 || !(0x60227d00 >> vector & 1) // those without an error code
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	.irp reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	pushq %\reg
	.endr
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call trap_handle
	movq %rbp, %rsp
	.irp reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	popq %\reg
	.endr
	addq $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
