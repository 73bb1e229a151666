// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/hostile/hostile.h"

#define GATE_INTERRUPT 0x8e
#define GATE_DPL3      0x60
#define ERROR_CODES    0x60227d00u // the vectors that have one

enum { VECTORS = 256 };

struct gate { // APM2 4.8.3
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset16;
	uint32_t offset32, rsvd;
};

static struct gate idt[VECTORS] __attribute__((aligned(KERNEL_PAGE_SIZE)));

void hostile_iretq(void);
void hostile_iretq_code(void);
__asm__(".text\n"
	"hostile_iretq_code: add $8, %rsp\n"
	"hostile_iretq: iretq\n");

static void set(uint8_t vector, const void *code, uint16_t selector, uint8_t type)
{
	uint64_t at = (uint64_t)code;

	idt[vector] = (struct gate){ .offset0 = (uint16_t)at,
		.offset16 = (uint16_t)(at >> 16),
		.offset32 = (uint32_t)(at >> 32),
		.selector = selector,
		.type = type };
}

void hostile_idt_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned int i = 0; i < VECTORS; i++)
		set((uint8_t)i,
			i < 32 && ERROR_CODES >> i & 1 ? (void *)hostile_iretq_code
						       : (void *)hostile_iretq,
			KERNEL_CS, GATE_INTERRUPT);
	kernel_irq_off();
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void hostile_idt_ist(uint8_t vector, unsigned int ist, uint64_t top)
{
	this_cpu()->tss.ist[ist - 1] = top;
	idt[vector].ist = (uint8_t)ist;
}

void hostile_idt_user(uint8_t vector, const void *code)
{
	set(vector, code, KERNEL_USER_CS, GATE_INTERRUPT | GATE_DPL3);
}

const void *hostile_idt(void)
{
	return idt;
}
