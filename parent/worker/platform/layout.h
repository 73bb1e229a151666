// SPDX-License-Identifier: BSD-2-Clause
// Where things are in a child: guest physical addresses and I/O ports. docs/worker.md repeats what
// a guest may rely on; acpi/dsdt.asl repeats the windows, the console and the power block.
#pragma once

#define LAYOUT_KIB (1ull << 10)
#define LAYOUT_MIB (1ull << 20)
#define LAYOUT_GIB (1ull << 30)

// RAM: [0, 3 GiB), and what is left from 4 GiB on.
#define LAYOUT_LOW_RAM_END   (3 * LAYOUT_GIB)
#define LAYOUT_HIGH_RAM_BASE (4 * LAYOUT_GIB)
#define LAYOUT_MEMORY_MIN    (16 * LAYOUT_MIB)
#define LAYOUT_MEMORY_MAX    (60 * LAYOUT_GIB) // the VMBus window begins at 64 GiB
#define LAYOUT_MEMORY_UNIT   (2 * LAYOUT_MIB)  // memory is given in large pages

// The first megabyte: RAM for the guest's real-mode trampolines, with what the loader leaves there.
// Where the kernel itself is, the loader's data goes elsewhere: loader.h says where.
#define LAYOUT_BIOS_DATA    0x400 // as a PC's BIOS has it: the console's port, the RAM below 640 KiB
#define LAYOUT_LOADER_MIN   0x1000
#define LAYOUT_GDT	    0x5000
#define LAYOUT_START_INFO   0x6000 // PVH, Multiboot: all information on the boot, in one page
#define LAYOUT_BOOT_PARAMS  0x7000 // Linux: the zero page
#define LAYOUT_COMMAND_LINE 0x20000
#define LAYOUT_COMMAND_MAX  0xffff  // bytes, without the final 0
#define LAYOUT_LOW_END	    0x9f000 // up to here RAM, then reserved up to 1 MiB
#define LAYOUT_ACPI	    0xe0000 // the RSDP; the other tables follow
#define LAYOUT_ACPI_ROOM    0x1fff0
#define LAYOUT_RESET_VECTOR 0xffff0  // F000:FFF0, where a PC begins: code that asks for a reset
#define LAYOUT_HIGH_MEMORY  0x100000 // RAM again

#define LAYOUT_IOAPIC	   0xfec00000
#define LAYOUT_IOAPIC_SIZE 0x1000
#define LAYOUT_LOCAL_APIC  0xfee00000 // the hypervisor's

#define LAYOUT_CONSOLE_PORT 0x3f8
#define LAYOUT_CONSOLE_IRQ  4

// Where a PC has its clock. There is none, but Linux looks there, and waits for a second for a
// register that reads as all ones to stop being updated: so these two ports read as 0.
#define LAYOUT_CMOS_PORT  0x70
#define LAYOUT_CMOS_PORTS 2

// --legacy-timer, where a PC has its 8254 and the port with its channel 2's gate.
#define LAYOUT_PIT_PORT	     0x40
#define LAYOUT_PIT_GATE_PORT 0x61

// What a kernel takes for the text screen of a VGA. RAM, as all below 1 MiB.
#define LAYOUT_SCREEN 0xb8000

// The power block, four ports of one byte.
#define LAYOUT_SLEEP_CONTROL 0x600 // ACPI: SLEEP_CONTROL_REG
#define LAYOUT_SLEEP_STATUS  0x601 // ACPI: SLEEP_STATUS_REG
#define LAYOUT_RESET	     0x602 // ACPI: RESET_REG
#define LAYOUT_EXIT_STATUS   0x603 // Lumen's: the status with which the child wants to end
#define LAYOUT_POWER_PORTS   4
#define LAYOUT_RESET_VALUE   0x01
#define LAYOUT_SLEEP_TYPE_S5 5 // \_S5 in acpi/dsdt.asl
