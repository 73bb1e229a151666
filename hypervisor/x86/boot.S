// SPDX-License-Identifier: BSD-2-Clause
// From Multiboot (1 or 2) in 32-bit protected mode to boot_main() in 64-bit mode; and the other
// processors from real mode.
#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00010003 // page-aligned modules, memory map, addresses given here
#define MB2_MAGIC 0xe85250d6
#define HV_IMAGE_BASE 0xffffffff80000000
#define PHYS(symbol) ((symbol) - HV_IMAGE_BASE)

	.section .multiboot, "a"
	.balign 8
mb1_header:
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
	.long PHYS(mb1_header), image_load_phys, image_data_end_phys, image_end_phys, PHYS(boot_entry)

	.balign 8
mb2_header:
	.long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
	.short 2, 0		// addresses
	.long 24, PHYS(mb2_header), image_load_phys, image_data_end_phys, image_end_phys
	.short 3, 0		// entry point
	.long 12, PHYS(boot_entry), 0
	.short 6, 0		// modules on page boundaries
	.long 8
	.short 0, 0
	.long 8
mb2_end:

	.section .boot, "ax"
	.code32
	.global boot_entry
boot_entry:
	cli
	cld
	movl %eax, PHYS(boot_magic)
	movl %ebx, PHYS(boot_info)

// The tables that bring a processor up: the first 4 GiB at 0, at DIRECT_MAP and at HV_IMAGE_BASE
// (its top 2 GiB), in 2 MiB pages.
	xorl %ecx, %ecx
	movl $PHYS(boot_pd), %edi
1:	movl %ecx, %eax
	shll $21, %eax
	movl %ecx, %edx
	shrl $11, %edx
	orl $0x83, %eax
	movl %eax, (%edi, %ecx, 8)
	movl %edx, 4(%edi, %ecx, 8)
	incl %ecx
	cmpl $2048, %ecx
	jne 1b
	xorl %ecx, %ecx
2:	movl %ecx, %eax
	shll $12, %eax
	addl $PHYS(boot_pd) + 3, %eax
	movl %eax, PHYS(boot_pdpt)(, %ecx, 8)
	incl %ecx
	cmpl $4, %ecx
	jne 2b
	movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4)
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8
	movl $PHYS(boot_long), %edi

// EDI: the physical address of the 64-bit code to go on with, at its place in the image.
enter_long_mode:
	movl $0x20, %eax		// CR4.PAE
	movl %eax, %cr4
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		// EFER.LME | NXE
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl $0x80010033, %eax		// CR0.PG | WP | NE | ET | MP | PE
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	ljmp $0x08, $PHYS(long_mode)
	.code64
long_mode:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movl %edi, %edi
	addq $HV_IMAGE_BASE, %rdi
	jmp *%rdi

boot_long:
	movq $boot_stack + 8192, %rsp
	movl boot_magic(%rip), %edi
	movl boot_info(%rip), %esi
	call boot_main
	ud2

// Switches to the stack whose top is RDI and calls RSI, which does not return.
	.global boot_call_on_stack
boot_call_on_stack:
	movq %rdi, %rsp
	xorl %ebp, %ebp
	call *%rsi
	ud2

// --- the other processors: copied to a page below 1 MiB, started there in real mode ---
	.global trampoline_start, trampoline_end
	.code16
trampoline_start:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl trampoline_gdt_pointer - trampoline_start
	movl $0x11, %eax
	movl %eax, %cr0
	ljmpl $0x10, $PHYS(ap_protected)
	.balign 8
trampoline_gdt_pointer:
	.short 31
	.long PHYS(boot_gdt)
trampoline_end:

	.code32
ap_protected:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $PHYS(ap_long), %edi
	jmp enter_long_mode

	.code64
ap_long:
	movq host_cr3(%rip), %rax
	movq %rax, %cr3
	movq trampoline_stack(%rip), %rsp
	xorl %ebp, %ebp
	call ap_main
	ud2

	.section .rodata
	.balign 8
	.global boot_gdt
boot_gdt: // trap.c's too
	.quad 0
	.quad 0x00af9b000000ffff	// 64-bit code
	.quad 0x00cf9b000000ffff	// 32-bit code
	.quad 0x00cf93000000ffff	// data
boot_gdt_pointer:
	.short 31
	.long PHYS(boot_gdt)

	.local boot_magic, boot_info, boot_pml4, boot_pdpt, boot_pdpt_high, boot_pd, boot_stack
	.comm boot_magic, 4, 4
	.comm boot_info, 4, 4
	.comm trampoline_stack, 8, 8
	.comm boot_pml4, 4096, 4096
	.comm boot_pdpt, 4096, 4096
	.comm boot_pdpt_high, 4096, 4096
	.comm boot_pd, 4 * 4096, 4096
	.comm boot_stack, 8192, 4096


	.section .note.GNU-stack, "", @progbits
