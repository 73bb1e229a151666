// SPDX-License-Identifier: BSD-2-Clause
// Which instructions the worker takes, and what they move. Encodings: tests/unit/x86/test_insn.c.
#include <criterion/criterion.h>

#include "parent/worker/instruction.h"

#include "base/macros.h"

static struct insn decode(const uint8_t *bytes, unsigned count)
{
	struct insn got;

	cr_assert(instruction_decode(bytes, count, 64, &got));
	cr_assert_eq(got.length, count);
	return got;
}

#define DECODE(...)                                                                                \
	decode((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

Test(instruction, moves_are_told_apart)
{
	struct insn got = DECODE(0x44, 0x8b, 0x08); // mov (%rax),%r9d

	cr_expect(got.kind == INSN_LOAD && got.reg == 9);
	cr_expect(got.size == 4 && got.dest_size == 4);
	got = DECODE(0x88, 0x0a); // mov %cl,(%rdx)
	cr_expect(got.kind == INSN_STORE && got.reg == 1 && got.size == 1);
	got = DECODE(0x66, 0xc7, 0x07, 0x34, 0x12); // movw $0x1234,(%rdi)
	cr_expect(got.kind == INSN_STORE_IMM && got.size == 2);
	got = DECODE(0x4c, 0x0f, 0xbe, 0x13); // movsbq (%rbx),%r10
	cr_expect(got.kind == INSN_LOAD && got.reg == 10 && got.size == 1 && got.dest_size == 8);
}

Test(instruction, others_are_refused)
{
	static const uint8_t others[][4] = {
		{ 0x01, 0x08 },	      // add
		{ 0x87, 0x08 },	      // xchg
		{ 0x8b, 0xc8 },	      // mov between registers
		{ 0x0f, 0x22, 0xe0 }, // mov to CR4
		{ 0x0f, 0x05 },	      // syscall
	};
	struct insn got;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect(!instruction_decode(others[i], 4, 64, &got), "number %zu", i);
	cr_expect(!instruction_decode((const uint8_t[]){ 0x8b }, 1, 64, &got), "one byte short");
}

Test(instruction, loads_replace_what_they_should)
{
	struct insn load = DECODE(0x8b, 0x00); // mov (%rax),%eax

	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x1122334455667788), 0x55667788);
	load = DECODE(0x66, 0x8b, 0x00); // mov (%rax),%ax
	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x1234), 0xffffffffffff1234);
	load = DECODE(0x8a, 0x20); // mov (%rax),%ah
	cr_assert_eq(instruction_load(&load, 0x1111, 0xab), 0xab11);
	load = DECODE(0x48, 0x0f, 0xbe, 0x00); // movsbq (%rax),%rax
	cr_assert_eq(instruction_load(&load, 0, 0x80), 0xffffffffffffff80);
	load = DECODE(0x0f, 0xbf, 0x00); // movswl (%rax),%eax
	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x8000), 0xffff8000);
}

Test(instruction, stores_take_what_they_should)
{
	struct insn store = DECODE(0x88, 0x22); // mov %ah,(%rdx)

	cr_assert_eq(instruction_store(&store, 0x1234), 0x12);
	store = DECODE(0x89, 0x02); // mov %eax,(%rdx)
	cr_assert_eq(instruction_store(&store, UINT64_MAX), 0xffffffff);
	store = DECODE(0x48, 0x89, 0x02); // mov %rax,(%rdx)
	cr_assert_eq(instruction_store(&store, UINT64_MAX), UINT64_MAX);
	store = DECODE(0x48, 0xc7, 0x02, 0xff, 0xff, 0xff, 0xff); // movq $-1,(%rdx)
	cr_assert_eq(instruction_store(&store, 0), UINT64_MAX);
	store = DECODE(0xc6, 0x02, 0xff); // movb $-1,(%rdx)
	cr_assert_eq(instruction_store(&store, 0), 0xff);
}
