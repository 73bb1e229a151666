// SPDX-License-Identifier: BSD-2-Clause
// What the boot loader said, in one form for Multiboot 1 and 2.
#pragma once

#include "hypervisor/core/lib.h"

enum { BOOT_MODULES_MAX = 4, BOOT_MEMORY_MAX = 128, BOOT_CMDLINE_MAX = 2048 };

enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3, MEMORY_NVS = 4, MEMORY_BAD = 5 };

struct memory_range {
	uint64_t base, length;
	uint32_t type;
};

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

// Copies what the loader left at physical address INFO. Early: the first 4 GiB are mapped.
void boot_info_read(uint32_t magic, uint32_t info);

// The value of "NAME=" in the hypervisor's command line (up to the next space), or NULL.
const char *boot_option(const char *name);
