// SPDX-License-Identifier: BSD-2-Clause
// Start of the small test kernels: from the PVH entry (32-bit, no paging) to long mode with the first GiB
// mapped as it is, then main().

	.section .note.pvh, "a", @note
	.balign 4
	.long 2f - 1f		// length of the name
	.long 4f - 3f		// length of the description
	.long 18		// XEN_ELFNOTE_PHYS32_ENTRY
1:	.asciz "Xen"
2:	.balign 4
3:	.long start
4:

	.section .text.start, "ax"
	.code32
	.global start
start:
	cld
	mov $stack_end, %esp
	mov $pdpt + 3, %eax
	mov %eax, pml4
	mov $pd + 3, %eax
	mov %eax, pdpt
	mov $pd, %edi
	mov $0x83, %eax		// present, writable, 2 MiB
	mov $512, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	dec %ecx
	jnz 1b

	mov $pml4, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax		// PAE
	mov %eax, %cr4
	mov $0xc0000080, %ecx	// EFER
	rdmsr
	or $0x100, %eax		// LME
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax	// PG, PE
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $1f

	.code64
1:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %ebp, %ebp
	call main
2:	cli
	hlt
	jmp 2b

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff // code, 64 bit
	.quad 0x00cf93000000ffff // data
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096
	.skip 16384
stack_end:

	.section .note.GNU-stack, "", @progbits
