// SPDX-License-Identifier: BSD-2-Clause
// Start of the boot processor, from 32-bit protected mode without paging (PVH, Multiboot 1), and of
// the others, from real mode or in 64-bit mode.
#define PTE	     0x7	// present, writable, user
#define PTE_LARGE    0x83	// present, writable, 2 MiB

	.section .note.pvh, "a", @note
	.balign 4
	.long 2f - 1f		// length of the name
	.long 4f - 3f		// length of the description
	.long 18		// XEN_ELFNOTE_PHYS32_ENTRY
1:	.asciz "Xen"
2:	.balign 4
3:	.long kernel_start32
4:

	.section .text.start, "ax"
	.code32
	.global kernel_start32
kernel_start32:
	cli
	cld
	mov %eax, kernel_boot_magic
	mov %ebx, kernel_boot_data

// The first 4 GiB one to one, in pages of 2 MiB.
	xor %ecx, %ecx
1:	mov %ecx, %eax
	shl $21, %eax
	or $PTE_LARGE, %eax
	mov %eax, page_directories(, %ecx, 8)
	inc %ecx
	cmp $2048, %ecx
	jne 1b
	xor %ecx, %ecx
2:	mov %ecx, %eax
	shl $12, %eax
	add $page_directories + PTE, %eax
	mov %eax, pdpt(, %ecx, 8)
	inc %ecx
	cmp $4, %ecx
	jne 2b
	movl $pdpt + PTE, kernel_pml4

	mov $boot_long, %edi

// EDI: the 64-bit code to go on with.
enter_long_mode:
	mov $0x620, %eax	// CR4: PAE, OSFXSR, OSXMMEXCPT
	mov %eax, %cr4
	mov $kernel_pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx	// EFER: LME, NXE
	rdmsr
	or $0x900, %eax
	wrmsr
	mov $0x80010033, %eax	// CR0: PG, WP, NE, ET, MP, PE
	mov %eax, %cr0
	lgdt boot_gdt_pointer
	ljmp $0x08, $1f
	.code64
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov %edi, %edi
	jmp *%rdi

boot_long:
	mov $kernel_boot_stack_end, %rsp
	xor %ebp, %ebp
	call kernel_boot
	ud2

// --- the other processors ---

	.section .text.kernel_trampoline, "ax"
	.global kernel_trampoline, kernel_trampoline_end
	.code16
kernel_trampoline:		// copied to a page below 1 MiB
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl trampoline_gdt_pointer - kernel_trampoline
	mov $0x11, %eax		// ET, PE
	mov %eax, %cr0
	ljmpl $0x18, $ap_protected
	.balign 4
trampoline_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt
kernel_trampoline_end:

	.code32
ap_protected:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $ap_long, %edi
	jmp enter_long_mode

	.code64
ap_long:
	mov kernel_ap_stack(%rip), %rsp
	.global kernel_ap_entry
kernel_ap_entry:		// on the stack: its struct kernel_cpu
	cld
	pop %rdi
	xor %ebp, %ebp
	call kernel_ap_main
	ud2

	.section .data.boot, "aw"
	.balign 8
	.global kernel_boot_magic, kernel_boot_data
kernel_boot_magic:
	.long 0
kernel_boot_data:
	.long 0

	.section .rodata.boot, "a"
	.balign 8
	.global kernel_boot_gdt
kernel_boot_gdt:
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff // code, 64 bit
	.quad 0x00cf93000000ffff // data
	.quad 0x00cf9b000000ffff // code, 32 bit
	.quad 0x00cff3000000ffff // data, ring 3
	.quad 0x00affb000000ffff // code, 64 bit, ring 3
boot_gdt_end:
boot_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt

	.section .bss.boot, "aw", @nobits
	.balign 4096
	.global kernel_pml4, kernel_boot_stack_end
kernel_pml4:
	.skip 4096
pdpt:	.skip 4096
page_directories:
	.skip 4 * 4096
	.skip 16384
kernel_boot_stack_end:

	.section .note.GNU-stack, "", @progbits
