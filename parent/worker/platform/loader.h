// SPDX-License-Identifier: BSD-2-Clause
// Puts a kernel, its initrd and its command line into a child's memory and says how to enter it.
// The files are untrusted. Portable: needs nothing but the guest memory and file descriptors.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parent/common/failure.h"
#include "parent/worker/memory.h"

struct loader_input {
	const char *kernel;  // path; for messages too
	const char *initrd;  // path or NULL
	const char *command; // the command line, "" for none
	uint64_t rsdp;	     // GPA of the ACPI root pointer
};

// How to enter a kernel: 32-bit protected mode without paging, flat segments, interrupts off. That
// is what Linux' 32-bit boot protocol, PVH and Multiboot have in common.
struct loader_entry {
	uint32_t rip;
	uint32_t rax; // Multiboot: the magic; else 0
	uint32_t rbx; // PVH: GPA of the start info; Multiboot: of the boot information; else 0
	uint32_t rsi; // Linux: GPA of the boot parameters; else 0
	uint32_t gdt; // GPA of the GDT
};

// The GDT and its selectors (Linux: Documentation/arch/x86/boot.rst, __BOOT_CS).
enum {
	LOADER_CODE_SELECTOR = 0x10,
	LOADER_DATA_SELECTOR = 0x18,
	LOADER_TASK_SELECTOR = 0x20,
	LOADER_GDT_LIMIT = 0x27,
};

// Loads a bzImage (boot protocol 2.10 or newer), an ELF file with a PVH note, or a file with a
// Multiboot header. What the kernel is told lies at the addresses in layout.h where the kernel
// leaves room there, else at others of its RAM below 640 KiB, else above 1 MiB. On failure *failure
// has one sentence, and the memory's contents are of no use.
bool loader_load(const struct guest_memory *memory, const struct loader_input *input,
	struct loader_entry *entry, struct failure *failure);
