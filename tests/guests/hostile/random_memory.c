// SPDX-License-Identifier: BSD-2-Clause
// Accesses to random memory and ports.
#include "tests/guests/hostile/random.h"

enum { POWER_FIRST = 0x600, POWER_LAST = 0x603, CONSOLE_FIRST = 0x3f8, CONSOLE_LAST = 0x3ff };

// --- accesses ---

// Where nothing is, the worker takes plain moves only.
static bool load(struct random_vp *vp)
{
	uint64_t at = random_address(vp);

	switch (random_below(vp, 4)) {
	case 0:
		__asm__ volatile("movb (%0), %%al" : : "r"(at) : "rax");
		break;
	case 1:
		__asm__ volatile("movzwl (%0), %%eax" : : "r"(at) : "rax");
		break;
	case 2:
		__asm__ volatile("movl (%0), %%eax" : : "r"(at) : "rax");
		break;
	default:
		__asm__ volatile("movq (%0), %%rax" : : "r"(at) : "rax");
	}
	return true;
}

static bool store(struct random_vp *vp)
{
	uint64_t at = random_address(vp), value = random_value(vp);

	switch (random_below(vp, 4)) {
	case 0:
		__asm__ volatile("movb %b1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case 1:
		__asm__ volatile("movw %w1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case 2:
		__asm__ volatile("movl %k1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	default:
		__asm__ volatile("movq %1, (%0)" : : "r"(at), "r"(value) : "memory");
	}
	return true;
}

static bool other_access(struct random_vp *vp)
{
	uint64_t at = random_solid_address(vp), value = random_value(vp);

	switch (random_below(vp, 6)) {
	case 0:
		__asm__ volatile("lock orq %1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case 1:
		__asm__ volatile("xchgl %k1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case 2:
		__asm__ volatile("lock cmpxchgw %w1, (%0)"
				 :
				 : "r"(at), "r"(value)
				 : "rax", "memory");
		break;
	case 3:
		__asm__ volatile("movups (%0), %%xmm0" : : "r"(at));
		break;
	case 4:
		__asm__ volatile("movups %%xmm0, (%0)" : : "r"(at) : "memory");
		break;
	default:
		__asm__ volatile("btsq %1, (%0)" : : "r"(at), "r"(value & 0xfff) : "memory");
	}
	return true;
}

// From one pair of pages to another, over the borders.
static bool string(struct random_vp *vp)
{
	uint64_t from = random_solid_address(vp), to = random_solid_address(vp);
	uint64_t count = random_below(vp, random_one_in(vp, 4) ? 4096 : 64);
	uint64_t rax = random_value(vp);

	if (random_one_in(vp, 4))
		__asm__ volatile("std");
#define STRING(instruction)                                                                        \
	__asm__ volatile(instruction : "+S"(from), "+D"(to), "+c"(count), "+a"(rax) : : "memory")
	switch (random_below(vp, 8)) {
	case 0:
		STRING("rep movsb");
		break;
	case 1:
		STRING("rep movsl");
		break;
	case 2:
		STRING("rep movsq");
		break;
	case 3:
		STRING("rep stosb");
		break;
	case 4:
		STRING("rep stosq");
		break;
	case 5:
		STRING("rep lodsl");
		break;
	case 6:
		STRING("repe cmpsw");
		break;
	default:
		STRING("repne scasb");
	}
#undef STRING
	__asm__ volatile("cld");
	return true;
}

// What would end the child, or spoil what is printed, is left to random code.
static uint16_t any_port(struct random_vp *vp)
{
	static const uint16_t ports[] = { 0x20, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71,
		0x80, 0xa0, 0x2f8, 0xcf8, 0xcfc, 0x3000, 0x3003, 0xfff8, 0xffff };
	uint16_t port = random_one_in(vp, 2)
				? (uint16_t)random_u64(vp)
				: (uint16_t)(random_of(vp, ports) + random_below(vp, 4));

	if ((port >= POWER_FIRST - 3 && port <= POWER_LAST) ||
		(port >= CONSOLE_FIRST - 3 && port <= CONSOLE_LAST))
		return 0x80;
	return port;
}

static bool port(struct random_vp *vp)
{
	uint16_t number = any_port(vp);
	uint64_t value = random_value(vp);

	switch (random_below(vp, 6)) {
	case 0:
		__asm__ volatile("inb %w1, %b0" : "=a"(value) : "d"(number));
		break;
	case 1:
		__asm__ volatile("inw %w1, %w0" : "=a"(value) : "d"(number));
		break;
	case 2:
		__asm__ volatile("inl %w1, %k0" : "=a"(value) : "d"(number));
		break;
	case 3:
		__asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(number));
		break;
	case 4:
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "d"(number));
		break;
	default:
		__asm__ volatile("outl %k0, %w1" : : "a"(value), "d"(number));
	}
	return true;
}

static bool port_string(struct random_vp *vp)
{
	uint64_t at = random_solid_address(vp), count = random_below(vp, 64);
	uint16_t number = any_port(vp);

	if (random_one_in(vp, 4))
		__asm__ volatile("std");
	if (random_one_in(vp, 2))
		__asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(number) : "memory");
	else
		__asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(number) : "memory");
	__asm__ volatile("cld");
	return true;
}

struct random_action random_memory[] = {
	{ .name = "load", .run = load, .weight = 500 },
	{ .name = "store", .run = store, .weight = 500 },
	{ .name = "access", .run = other_access, .weight = 300 },
	{ .name = "string", .run = string, .weight = 400 },
	{ .name = "port", .run = port, .weight = 200 },
	{ .name = "port-string", .run = port_string, .weight = 100 },
	{ .name = NULL },
};
