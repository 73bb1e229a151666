// SPDX-License-Identifier: BSD-2-Clause
// Entry of exceptions and interrupts, and the way back to kernel_try().

	.section .text.kernel_vectors, "ax"
	.global kernel_vectors
kernel_vectors:			// five bytes each: the return address says which one it was
	.rept 256
	call common
	.endr

// The processor has aligned the stack to 16 before it pushed five words and, for some exceptions, an
// error code; so the alignment after the call tells whether there is one.
common:
	testb $8, %spl
	jnz 1f
	push (%rsp)
	movq $0, 8(%rsp)
1:	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call kernel_interrupt
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp		// vector and error code
	iretq

// bool kernel_call(void (*function)(void *), void *context, uint64_t *resume): calls function; false.
// An exception sets RSP to *resume, RIP to kernel_call_resume and RAX to 1.
	.section .text.kernel_call, "ax"
	.global kernel_call, kernel_call_resume
kernel_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push (%rdx)		// of an outer kernel_call()
	push %rdx
	sub $8, %rsp
	mov %rsp, (%rdx)
	mov %rdi, %rax
	mov %rsi, %rdi
	call *%rax
	xor %eax, %eax
kernel_call_resume:
	add $8, %rsp
	pop %rdx
	pop (%rdx)
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.section .note.GNU-stack, "", @progbits
