// SPDX-License-Identifier: BSD-2-Clause
// A child that attacks: one mode a run, by the word mode=NAME on its command line; 0 or more of
// what a mode checks may fail. A mode is a row of its group's table; a group is a file. To add one:
// a row, or a file with a table and its name in main.c.
#pragma once

#include "examples/kernel/internal.h"

struct mode {
	const char *name;
	void (*run)(uint64_t argument); // on the boot processor; returns: the run ends
	uint64_t argument;
};

// Each ends with a row without a name.
extern const struct mode stack_modes[], table_modes[], debug_modes[], overlay_modes[],
	random_modes[], random_bus_modes[], device_modes[], flood_modes[];

// --- pages.c: the hypervisor's pages in the guest's memory ---

enum hostile_page {
	PAGE_HYPERCALL, // guests only read it
	PAGE_TSC,	// so this one
	PAGE_APIC,	// no memory at all: each access exits
	PAGE_SIM,	// memory as any other
	PAGE_HOLE,	// nothing is there
};

// Puts the page there if it has to be, and returns its address, or 0 (a check has failed then).
uint64_t hostile_page(enum hostile_page page);

// --- idt.c: an interrupt table of our own, for states in which the kernel base's handlers, which
// are C, cannot run ---

// The interrupt table: all gates lead to an IRETQ, behind the error code if there is one. Loads it;
// interrupts are off from here on.
void hostile_idt_load(void);
// The gate of VECTOR takes stack IST (1 to 7; 0: the one that is in use).
void hostile_idt_ist(uint8_t vector, unsigned int ist, uint64_t top);
// The gate of VECTOR leads to CODE in ring 3 for callers there, on their own stack.
void hostile_idt_user(uint8_t vector, const void *code);
const void *hostile_idt(void); // where it is: a page
