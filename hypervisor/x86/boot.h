// SPDX-License-Identifier: BSD-2-Clause
// What only the way from the boot loader to the scheduler uses.
#pragma once

#include "hypervisor/core/lib.h"

// --- boot_info.c: what the loader said, in one form for Multiboot 1 and 2 ---

enum { BOOT_MODULES_MAX = 4, BOOT_MEMORY_MAX = 128, BOOT_CMDLINE_MAX = 2048 };
enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

struct memory_range { // as both versions have it
	uint64_t base, length;
	uint32_t type; // enum memory_type, or others as in ACPI's memory map
} __attribute__((packed));

struct boot_module {
	uint64_t start, end; // physical
	char cmdline[BOOT_CMDLINE_MAX];
};

struct boot_info {
	char cmdline[BOOT_CMDLINE_MAX];
	unsigned int module_count, memory_count;
	struct boot_module modules[BOOT_MODULES_MAX];
	struct memory_range memory[BOOT_MEMORY_MAX];
};
extern struct boot_info boot_info;

#define for_each_memory_range(m)                                                                   \
	for (const struct memory_range *m = boot_info.memory;                                      \
		m < boot_info.memory + boot_info.memory_count; m++)

// Copies what the loader left at physical address INFO. Early: the first 4 GiB are mapped.
void boot_info_read(uint32_t magic, uint32_t info);

// The value of "NAME=" in the hypervisor's command line (up to the next space), or NULL.
const char *boot_option(const char *name);

// Copies a string into SIZE bytes, as much of it as fits with its end.
void copy_string(char *to, const char *from, size_t size);

// --- acpi.c ---

// The RSDP's physical address, or 0.
uint64_t acpi_rsdp(void);

// APIC ids of the usable processors in the MADT's order; returns their number (at most MAX), 0
// without a MADT.
unsigned int acpi_processors(uint32_t *apic_ids, unsigned int max);

// --- on each processor ---

void trap_init(void);	  // its IDT and GDT
void xstate_enable(void); // its extended state, as far as it fits the page that a VP has for it

// --- the root partition: all of the machine but the hypervisor's memory and the local APICs ---

// root.c: makes it, with a VP for each processor. Boot processor, after create_pcpus().
void create_root_partition(void);

// root_kernel.c: loads its kernel (first boot module: bzImage, its command line; second: its
// initrd) and starts its first VP.
void start_root(void);
