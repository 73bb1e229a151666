// SPDX-License-Identifier: BSD-2-Clause
// The decoder of moves: encodings as the assembler makes them, and everything else refused.
#include <criterion/criterion.h>
#include <string.h>

#include "parent/worker/instruction.h"

struct sample {
	const char *text;
	uint8_t bits, count;
	uint8_t bytes[15];
	struct instruction wanted;
};

static const struct sample samples[] = {
	{ "mov (%rax),%ecx", 64, 2, { 0x8b, 0x08 },
		{ .length = 2, .memory_size = 4, .register_size = 4, .reg = 1 } },
	{ "mov %ecx,(%rax)", 64, 2, { 0x89, 0x08 },
		{ .length = 2, .memory_size = 4, .register_size = 4, .reg = 1, .store = true } },
	{ "mov %r15,0x10(%r8,%r9,8)", 64, 5, { 0x4f, 0x89, 0x7c, 0xc8, 0x10 },
		{ .length = 5, .memory_size = 8, .register_size = 8, .reg = 15, .store = true } },
	{ "mov 0x12345678(%rip),%eax", 64, 6, { 0x8b, 0x05, 0x78, 0x56, 0x34, 0x12 },
		{ .length = 6, .memory_size = 4, .register_size = 4 } },
	{ "mov 0x12345678,%eax (SIB, no base)", 64, 7, { 0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12 },
		{ .length = 7, .memory_size = 4, .register_size = 4 } },
	{ "movl $0x11223344,-0x80(%rdi)", 64, 7, { 0xc7, 0x47, 0x80, 0x44, 0x33, 0x22, 0x11 },
		{ .length = 7,
			.memory_size = 4,
			.register_size = 4,
			.store = true,
			.immediate = true,
			.value = 0x11223344 } },
	{ "movq $-1,(%rdi)", 64, 7, { 0x48, 0xc7, 0x07, 0xff, 0xff, 0xff, 0xff },
		{ .length = 7,
			.memory_size = 8,
			.register_size = 8,
			.store = true,
			.immediate = true,
			.value = UINT64_MAX } },
	{ "movw $0x1234,(%rdi)", 64, 5, { 0x66, 0xc7, 0x07, 0x34, 0x12 },
		{ .length = 5,
			.memory_size = 2,
			.register_size = 2,
			.store = true,
			.immediate = true,
			.value = 0x1234 } },
	{ "mov %ah,(%rdx)", 64, 2, { 0x88, 0x22 },
		{ .length = 2,
			.memory_size = 1,
			.register_size = 1,
			.store = true,
			.high_byte = true } },
	{ "mov %spl,(%rdx)", 64, 3, { 0x40, 0x88, 0x22 },
		{ .length = 3, .memory_size = 1, .register_size = 1, .reg = 4, .store = true } },
	{ "movzwl (%rbx),%edx", 64, 3, { 0x0f, 0xb7, 0x13 },
		{ .length = 3, .memory_size = 2, .register_size = 4, .reg = 2 } },
	{ "movsbq (%rbx),%r10", 64, 4, { 0x4c, 0x0f, 0xbe, 0x13 },
		{ .length = 4,
			.memory_size = 1,
			.register_size = 8,
			.reg = 10,
			.sign_extend = true } },
	{ "mov 0xfec00000,%eax", 32, 5, { 0xa1, 0x00, 0x00, 0xc0, 0xfe },
		{ .length = 5, .memory_size = 4, .register_size = 4 } },
	{ "mov %eax,%fs:0x10(%esi)", 32, 4, { 0x64, 0x89, 0x46, 0x10 },
		{ .length = 4, .memory_size = 4, .register_size = 4, .store = true } },
	{ "mov (0x1234),%ax", 16, 4, { 0x8b, 0x06, 0x34, 0x12 },
		{ .length = 4, .memory_size = 2, .register_size = 2 } },
	{ "mov %eax,0x10(%bx)", 16, 4, { 0x66, 0x89, 0x47, 0x10 },
		{ .length = 4, .memory_size = 4, .register_size = 4, .store = true } },
};

static void check_sample(const struct sample *sample)
{
	struct instruction got;

	cr_assert(instruction_decode(sample->bytes, sample->count, sample->bits, &got), "%s",
		sample->text);
	cr_expect_eq(got.length, sample->wanted.length, "%s", sample->text);
	cr_expect_eq(got.memory_size, sample->wanted.memory_size, "%s", sample->text);
	cr_expect_eq(got.register_size, sample->wanted.register_size, "%s", sample->text);
	cr_expect_eq(got.store, sample->wanted.store, "%s", sample->text);
	cr_expect_eq(got.immediate, sample->wanted.immediate, "%s", sample->text);
	cr_expect_eq(got.high_byte, sample->wanted.high_byte, "%s", sample->text);
	cr_expect_eq(got.sign_extend, sample->wanted.sign_extend, "%s", sample->text);
	cr_expect_eq(got.value, sample->wanted.value, "%s", sample->text);
	if (!got.immediate)
		cr_expect_eq(got.reg, sample->wanted.reg, "%s", sample->text);
}

Test(instruction, moves_are_decoded)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		check_sample(&samples[i]);
}

Test(instruction, one_byte_short_is_refused)
{
	struct instruction got;

	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		for (unsigned count = 0; count < samples[i].count; count++)
			cr_expect(
				!instruction_decode(samples[i].bytes, count, samples[i].bits, &got),
				"%s, %u bytes", samples[i].text, count);
}

Test(instruction, others_are_refused)
{
	static const uint8_t others[][4] = {
		{ 0x01, 0x08 },		    // add
		{ 0x87, 0x08 },		    // xchg
		{ 0x8b, 0xc8 },		    // mov between registers
		{ 0xc7, 0x48, 0x00, 0x00 }, // c7 /1
		{ 0x0f, 0x05 },		    // syscall
		{ 0xa4 },		    // movsb
		{ 0xf0, 0x89, 0x08 },	    // lock mov
		{ 0x66, 0x66, 0x66, 0x66 }, // prefixes only
	};
	struct instruction got;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_expect(!instruction_decode(others[i], 4, 64, &got), "number %zu", i);
}

Test(instruction, loads_replace_what_they_should)
{
	struct instruction load = { .memory_size = 4, .register_size = 4 };

	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x1122334455667788), 0x55667788);
	load = (struct instruction){ .memory_size = 2, .register_size = 2 };
	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x1234), 0xffffffffffff1234);
	load = (struct instruction){ .memory_size = 1, .register_size = 1, .high_byte = true };
	cr_assert_eq(instruction_load(&load, 0x1111, 0xab), 0xab11);
	load = (struct instruction){ .memory_size = 1, .register_size = 8, .sign_extend = true };
	cr_assert_eq(instruction_load(&load, 0, 0x80), 0xffffffffffffff80);
	load = (struct instruction){ .memory_size = 2, .register_size = 4, .sign_extend = true };
	cr_assert_eq(instruction_load(&load, UINT64_MAX, 0x8000), 0xffff8000);
}

Test(instruction, stores_take_what_they_should)
{
	struct instruction store = { .memory_size = 1, .high_byte = true, .store = true };

	cr_assert_eq(instruction_store(&store, 0x1234), 0x12);
	store = (struct instruction){ .memory_size = 4, .store = true };
	cr_assert_eq(instruction_store(&store, UINT64_MAX), 0xffffffff);
	store = (struct instruction){ .memory_size = 8, .store = true };
	cr_assert_eq(instruction_store(&store, UINT64_MAX), UINT64_MAX);
}

Test(instruction, any_bytes_are_harmless)
{
	struct instruction got;
	uint8_t bytes[16];
	unsigned seed = 7;

	for (int i = 0; i < 300000; i++) {
		unsigned bits = 16u << (i % 3);

		for (int j = 0; j < 16; j++) {
			seed = seed * 1103515245 + 12345;
			bytes[j] = (uint8_t)(seed >> 16);
		}
		if (!instruction_decode(bytes, i % 17, bits, &got))
			continue;
		cr_assert_leq(got.length, INSTRUCTION_MAX);
		cr_assert_lt(got.reg, 16);
		instruction_load(&got, 1, 2);
		instruction_store(&got, 3);
	}
}
