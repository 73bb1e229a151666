// SPDX-License-Identifier: BSD-2-Clause
// A Multiboot 1 header: linked into kernels that are to be started so, as GRUB and QEMU's -kernel
// do. (QEMU then prefers it to PVH.) It names the addresses, as loaders do not take 64-bit ELF
// files otherwise.
#define MAGIC 0x1badb002
#define FLAGS 0x00010003	// modules on page boundaries, memory map, addresses are given

	.section .multiboot, "a"
	.balign 4
header:
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)
	.long header, kernel_image_start, kernel_data_end, kernel_image_end, kernel_start32

	.section .note.GNU-stack, "", @progbits
