// SPDX-License-Identifier: BSD-2-Clause
// Physical interrupts. They are taken only in irq_window() and irq_halt(); the entry code notes the
// vector, irq_dispatch() acts. The hypervisor's own vectors are above all that an operating system
// gives to devices.
#pragma once

#include "hypervisor/core/lib.h"

enum irq_vector { IRQ_VECTOR_KICK = 0xf0, IRQ_VECTOR_TIMER = 0xf1, IRQ_VECTOR_SPURIOUS = 0xff };

// Lets pending interrupts in. GIF and IF are 0 before and after.
void irq_window(void);
// Halts until an interrupt came.
void irq_halt(void);

// By the entry code, with interrupts off: must only note.
void irq_note(unsigned int vector);
// Passes on what has arrived: device interrupts to the root's VP of this processor.
void irq_dispatch(void);

// A physical NMI arrived: it is for the root's first VP.
void irq_nmi(void);
