// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls with all registers, in 32-bit code too, and functions in ring 3.

	.text

// void hypercall_at(struct hypercall_registers *, const void *entry)
	.global hypercall_at
hypercall_at:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	push %rsi			// what is called
	mov %rdi, %rax
	mov 8(%rax), %rcx
	mov 16(%rax), %rdx
	mov 24(%rax), %r8
	mov 32(%rax), %rbx
	mov 40(%rax), %rbp
	mov 48(%rax), %rsi
	mov 56(%rax), %rdi
	mov 64(%rax), %r9
	mov 72(%rax), %r10
	mov 80(%rax), %r11
	mov 88(%rax), %r12
	mov 96(%rax), %r13
	mov 104(%rax), %r14
	mov 112(%rax), %r15
	mov 0(%rax), %rax
	call *(%rsp)
	push %rax
	mov 16(%rsp), %rax		// the registers again
	popq 0(%rax)
	mov %rcx, 8(%rax)
	mov %rdx, 16(%rax)
	mov %r8, 24(%rax)
	mov %rbx, 32(%rax)
	mov %rbp, 40(%rax)
	mov %rsi, 48(%rax)
	mov %rdi, 56(%rax)
	mov %r9, 64(%rax)
	mov %r10, 72(%rax)
	mov %r11, 80(%rax)
	mov %r12, 88(%rax)
	mov %r13, 96(%rax)
	mov %r14, 104(%rax)
	mov %r15, 112(%rax)
	pushfq
	popq 120(%rax)
	add $16, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.global entry_vmmcall, entry_vmcall
entry_vmmcall:
	vmmcall
	ret
entry_vmcall:
	vmcall
	ret

// void xmm_load(const uint64_t *xmm), xmm_store(uint64_t *xmm): XMM0 to XMM5.
	.global xmm_load, xmm_store
xmm_load:
	movups 0(%rdi), %xmm0
	movups 16(%rdi), %xmm1
	movups 32(%rdi), %xmm2
	movups 48(%rdi), %xmm3
	movups 64(%rdi), %xmm4
	movups 80(%rdi), %xmm5
	ret
xmm_store:
	movups %xmm0, 0(%rdi)
	movups %xmm1, 16(%rdi)
	movups %xmm2, 32(%rdi)
	movups %xmm3, 48(%rdi)
	movups %xmm4, 64(%rdi)
	movups %xmm5, 80(%rdi)
	ret

// void mode_enter(const struct mode_frame { rip, cs, rflags, rsp, ss } *, void *argument): goes
// where the frame says, with the argument in RDI. What ends it is an exception.
	.global mode_enter
mode_enter:
	pushq 32(%rdi)
	pushq 24(%rdi)
	pushq 16(%rdi)
	pushq 8(%rdi)
	pushq 0(%rdi)
	mov %rsi, %rdi
	iretq

// A function in ring 3 returns to here: the exception tells that it is done.
	.global user_end
user_end:
	int3

// In 32-bit code: loads the registers from struct { eax, ebx, ecx, edx, esi, edi } at EDI, issues
// the call, stores EAX and EDX there, and says so by INT3.
	.code32
	.global call32_vmmcall, call32_vmcall, call32_end
call32_vmmcall:
	push %edi
	call 1f
	vmmcall
	jmp 2f
call32_vmcall:
	push %edi
	call 1f
	vmcall
2:	xchg (%esp), %edi
	mov %eax, 0(%edi)
	mov %edx, 12(%edi)
call32_end:
	int3
1:	mov 0(%edi), %eax
	mov 4(%edi), %ebx
	mov 8(%edi), %ecx
	mov 12(%edi), %edx
	mov 16(%edi), %esi
	mov 20(%edi), %edi
	ret
	.code64

	.section .note.GNU-stack, "", @progbits
