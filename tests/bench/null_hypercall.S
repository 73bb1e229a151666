// SPDX-License-Identifier: BSD-2-Clause
// A guest that measures the way guest -> hypervisor -> guest of a hypercall that does nothing: an invalid call code. It is
// loaded in the place of the root's kernel, so it looks like a bzImage (boot.rst); it prints one line and powers off.
//
// Under QEMU's -icount the time stamp counter counts instructions; a loop of known length in the same run says by what factor.
#define LOAD 0x1000000
#define ROUNDS 1000
#define LOOP_ROUNDS 100000 // of two instructions
#define AT(symbol) ((symbol) - image + LOAD)

	.section .text
	.globl _start
_start:
	// Boot sector and setup: eight sectors, of which only the header at 0x1f1 is looked at.
	.org 0x1f1
	.byte 7			// setup_sects: the image starts at the next page
	.org 0x202 - 4
	.long 0
	.ascii "HdrS"
	.word 0x020c		// version
	.org 0x234
	.byte 1			// relocatable_kernel
	.org 0x258
	.quad LOAD		// pref_address
	.long 0x100000		// init_size
	.org 4096

	.code32
image:
	movl $AT(stack_end), %esp
	movl $AT(pdpt) + 3, AT(pml4)
	movl $AT(pd) + 3, AT(pdpt)
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $21, %eax
	orl $0x83, %eax
	movl %eax, AT(pd)(, %ecx, 8)
	incl %ecx
	cmpl $512, %ecx
	jne 1b
	movl $0x20, %eax
	movl %eax, %cr4
	movl $AT(pml4), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80000011, %eax
	movl %eax, %cr0
	lgdt AT(gdt_pointer)
	ljmp $8, $AT(long_mode)

	.code64
long_mode:
	movl $0x40000000, %ecx	// HV_X64_MSR_GUEST_OS_ID
	movl $1, %eax
	xorl %edx, %edx
	wrmsr
	movl $0x40000001, %ecx	// HV_X64_MSR_HYPERCALL
	movl $(LOAD + 0x80000) | 1, %eax
	wrmsr

	movl $LOOP_ROUNDS, %ebx
	call read_tsc
	movq %rax, %r12
2:	decl %ebx
	jnz 2b
	call read_tsc
	subq %r12, %rax
	movq %rax, %r12		// ticks of 2 * LOOP_ROUNDS instructions

	call null_hypercalls	// once to warm up
	call null_hypercalls
	movq %rax, %r13

	// instructions per round = ticks * 2 * LOOP_ROUNDS / (loop ticks * ROUNDS), less the loop's own three and the page's ret
	movl $2 * LOOP_ROUNDS / ROUNDS, %eax
	mulq %r13
	divq %r12
	leaq AT(text), %rsi
	call print
	call print_decimal
	leaq AT(newline), %rsi
	call print
	movw $0x604, %dx
	movw $0x2000, %ax
	outw %ax, %dx
3:	hlt
	jmp 3b

// RAX: ticks of ROUNDS hypercalls through the hypercall page.
null_hypercalls:
	movl $ROUNDS, %ebx
	call read_tsc
	movq %rax, %rbp
4:	movl $0xfff, %ecx	// no such call
	movl $LOAD + 0x80000, %eax
	call *%rax
	cmpw $2, %ax		// HV_STATUS_INVALID_HYPERCALL_CODE
	jne failed
	decl %ebx
	jnz 4b
	call read_tsc
	subq %rbp, %rax
	ret

failed:
	leaq AT(bad), %rsi
	call print
	ud2

read_tsc:
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	ret

print:
	pushq %rax
	movw $0x3f8, %dx
5:	lodsb
	testb %al, %al
	jz 6f
	outb %al, %dx
	jmp 5b
6:	popq %rax
	ret

print_decimal:
	leaq AT(digits_end), %rsi
	movl $10, %ebx
7:	xorl %edx, %edx
	divq %rbx
	addb $'0', %dl
	decq %rsi
	movb %dl, (%rsi)
	testq %rax, %rax
	jnz 7b
	jmp print

text:	.asciz "null hypercall round trip, instructions: "
bad:	.asciz "the hypercall did not answer HV_STATUS_INVALID_HYPERCALL_CODE\n"
newline: .asciz "\n"
digits:	.skip 20
digits_end: .byte 0

	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff
gdt_pointer:
	.word 15
	.long AT(gdt)
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096
stack:	.skip 4096
stack_end:
