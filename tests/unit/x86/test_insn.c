// SPDX-License-Identifier: BSD-2-Clause
// The instruction decoder. The assembler says how instructions are encoded, and the processor what
// they do to the flags.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "x86/insn.h"

#include "base/macros.h"

// The encoding of TEXT in MODE bits: id_start up to id_end.
#define CODE(id, mode, text)                                                                       \
	__asm__(".pushsection .rodata\n.code" #mode "\n" #id "_start:\n" text "\n" #id             \
		"_end:\n.code64\n.popsection");                                                    \
	extern const uint8_t id##_start[], id##_end[];

// X(id, mode, text, expected fields of struct insn)
#define CASES(X)                                                                                   \
	X(mov_cr8, 64, "mov %rdi, %cr8", .kind = INSN_MOV_CR, .size = 8, .reg = 7, .control = 8)   \
	X(mov_cr8_high, 64, "mov %r12, %cr8", .kind = INSN_MOV_CR, .size = 8, .reg = 12,           \
		.control = 8)                                                                      \
	X(mov_cr8_lock, 32, ".byte 0xf0, 0x0f, 0x22, 0xc1", .kind = INSN_MOV_CR, .size = 4,        \
		.reg = 1, .control = 8)                                                            \
	X(mov_cr4, 64, "mov %rax, %cr4", .kind = INSN_MOV_CR, .size = 8, .control = 4)             \
	X(mov_cr4_high, 64, "mov %r9, %cr4", .kind = INSN_MOV_CR, .size = 8, .reg = 9,             \
		.control = 4)                                                                      \
	X(mov_cr4_32, 32, "mov %esi, %cr4", .kind = INSN_MOV_CR, .size = 4, .reg = 6,              \
		.control = 4)                                                                      \
	X(mov_cr4_16, 16, "mov %esi, %cr4", .kind = INSN_MOV_CR, .size = 4, .reg = 6,              \
		.control = 4)                                                                      \
	X(mov_cr4_prefixed, 64, ".byte 0x66, 0x0f, 0x22, 0xe3", .kind = INSN_MOV_CR, .size = 8,    \
		.reg = 3, .control = 4)                                                            \
	X(mov_cr4_mod, 64, ".byte 0x0f, 0x22, 0x63", .kind = INSN_MOV_CR, .size = 8, .reg = 3,     \
		.control = 4)                                                                      \
	X(mov_cr0, 64, "mov %rcx, %cr0", .kind = INSN_MOV_CR, .size = 8, .reg = 1, .control = 0)   \
	X(repeated_prefix, 64, ".byte 0x66, 0x3e, 0x2e, 0x44, 0x89, 0x37", .kind = INSN_STORE,     \
		.size = 2, .reg = 14)                                                              \
	X(store4, 64, "movl %eax, (%rdi)", .kind = INSN_STORE, .size = 4, .reg = 0)                \
	X(store4_high, 64, "movl %r15d, 0xb0(%r13)", .kind = INSN_STORE, .size = 4, .reg = 15)     \
	X(store_sib, 64, "movl %esi, 0xb0(%rsp)", .kind = INSN_STORE, .size = 4, .reg = 6)         \
	X(store_sib_none, 64, "movl %esi, 0x7ee000b0(,%rcx,8)", .kind = INSN_STORE, .size = 4,     \
		.reg = 6)                                                                          \
	X(store_rip, 64, "movl %edx, 0x1000(%rip)", .kind = INSN_STORE, .size = 4, .reg = 2)       \
	X(store_abs32, 64, "movl %ecx, 0xffffffffff5fc0b0", .kind = INSN_STORE, .size = 4,         \
		.reg = 1)                                                                          \
	X(store8, 64, "movq %rbx, (%rax)", .kind = INSN_STORE, .size = 8, .reg = 3)                \
	X(store2, 64, "movw %bx, (%rax)", .kind = INSN_STORE, .size = 2, .reg = 3)                 \
	X(store1, 64, "movb %bl, (%rax)", .kind = INSN_STORE, .size = 1, .reg = 3)                 \
	X(store1_sil, 64, "movb %sil, (%rax)", .kind = INSN_STORE, .size = 1, .reg = 6)            \
	X(store1_dh, 64, "movb %dh, (%rax)", .kind = INSN_STORE, .size = 1, .reg = 2,              \
		.high_byte = true)                                                                 \
	X(store_imm, 64, "movl $0x12345678, 0x80(%rbx)", .kind = INSN_STORE_IMM, .size = 4,        \
		.imm = 0x12345678)                                                                 \
	X(store_imm8, 64, "movq $-2, (%rbx)", .kind = INSN_STORE_IMM, .size = 8,                   \
		.imm = 0xfffffffffffffffe)                                                         \
	X(store_imm2, 32, "movw $0x1234, 0xfee00080", .kind = INSN_STORE_IMM, .size = 2,           \
		.imm = 0x1234)                                                                     \
	X(store_imm1, 64, "movb $0x7f, (%rbx)", .kind = INSN_STORE_IMM, .size = 1, .imm = 0x7f)    \
	X(load4, 64, "movl 0xf0(%rdx), %r9d", .kind = INSN_LOAD, .size = 4, .reg = 9)              \
	X(load32, 32, "movl 0xfee00030, %ebx", .kind = INSN_LOAD, .size = 4, .reg = 3)             \
	X(load_moffs32, 32, "movl 0xfee00030, %eax", .kind = INSN_LOAD, .size = 4, .reg = 0)       \
	X(load_moffs64, 64, "movabsl 0x1122334455667788, %eax", .kind = INSN_LOAD, .size = 4,      \
		.reg = 0)                                                                          \
	X(store_moffs16, 16, "movw %ax, 0x1234", .kind = INSN_STORE, .size = 2, .reg = 0)          \
	X(load16, 16, "movw 0x12(%bx,%si), %cx", .kind = INSN_LOAD, .size = 2, .reg = 1)           \
	X(load16_disp16, 16, "movw 0x1234, %cx", .kind = INSN_LOAD, .size = 2, .reg = 1)           \
	X(load16_wide, 16, "movl (%edi), %ecx", .kind = INSN_LOAD, .size = 4, .reg = 1)            \
	X(load32_narrow, 32, "movl 4(%bp), %ecx", .kind = INSN_LOAD, .size = 4, .reg = 1)          \
	X(store_moffs64, 64, "movabsl %eax, 0x1122334455667788", .kind = INSN_STORE, .size = 4,    \
		.reg = 0)                                                                          \
	X(store_segment, 32, "movl %eax, %fs:0x10(%esi)", .kind = INSN_STORE, .size = 4, .reg = 0) \
	X(store16_wide, 16, "movl %eax, 0x10(%bx)", .kind = INSN_STORE, .size = 4, .reg = 0)       \
	X(store_sib_high, 64, "movq %r15, 0x10(%r8,%r9,8)", .kind = INSN_STORE, .size = 8,         \
		.reg = 15)                                                                         \
	X(load1_ah, 64, "movb (%rdx), %ah", .kind = INSN_LOAD, .size = 1, .reg = 0,                \
		.high_byte = true)                                                                 \
	X(movzx1, 64, "movzbl (%rax), %ecx", .kind = INSN_LOAD, .size = 1, .dest_size = 4,         \
		.reg = 1)                                                                          \
	X(movzx2, 64, "movzwq (%rax), %r8", .kind = INSN_LOAD, .size = 2, .dest_size = 8,          \
		.reg = 8)                                                                          \
	X(movsx1, 64, "movsbw (%rax), %cx", .kind = INSN_LOAD, .size = 1, .dest_size = 2,          \
		.reg = 1, .sign_extend = true)                                                     \
	X(movsx2, 64, "movswl (%rax), %ecx", .kind = INSN_LOAD, .size = 2, .dest_size = 4,         \
		.reg = 1, .sign_extend = true)                                                     \
	X(movsxd, 64, "movslq (%rax), %rcx", .kind = INSN_LOAD, .size = 4, .dest_size = 8,         \
		.reg = 1, .sign_extend = true)                                                     \
	X(xchg, 64, "xchgl %eax, 0x300(%rdi)", .kind = INSN_XCHG, .size = 4, .reg = 0)             \
	X(or_mem, 64, "orl %ecx, (%rax)", .kind = INSN_ALU, .alu = ALU_OR, .size = 4, .reg = 1)    \
	X(lock_and, 64, "lock andl %ecx, (%rax)", .kind = INSN_ALU, .alu = ALU_AND, .size = 4,     \
		.reg = 1)                                                                          \
	X(xor_reg, 64, "xorl (%rax), %ecx", .kind = INSN_ALU, .alu = ALU_XOR, .size = 4, .reg = 1, \
		.to_reg = true)                                                                    \
	X(cmp_imm8, 64, "cmpl $-1, (%rax)", .kind = INSN_ALU, .alu = ALU_CMP, .size = 4,           \
		.has_imm = true, .imm = UINT64_MAX)                                                \
	X(and_imm, 64, "andl $0x12345678, (%rax)", .kind = INSN_ALU, .alu = ALU_AND, .size = 4,    \
		.has_imm = true, .imm = 0x12345678)                                                \
	X(or_imm1, 64, "orb $0x10, (%rax)", .kind = INSN_ALU, .alu = ALU_OR, .size = 1,            \
		.has_imm = true, .imm = 0x10)                                                      \
	X(test_reg, 64, "testl %edx, (%rax)", .kind = INSN_ALU, .alu = ALU_TEST, .size = 4,        \
		.reg = 2)                                                                          \
	X(test_imm, 64, "testl $0x1000, 0x300(%rdi)", .kind = INSN_ALU, .alu = ALU_TEST,           \
		.size = 4, .has_imm = true, .imm = 0x1000)                                         \
	X(test_imm1, 64, "testb $0x10, 0x301(%rdi)", .kind = INSN_ALU, .alu = ALU_TEST, .size = 1, \
		.has_imm = true, .imm = 0x10)

#define DECLARE(id, mode, text, ...) CODE(id, mode, text)
CASES(DECLARE)

static const struct decode_case {
	const char *text;
	const uint8_t *start, *end;
	unsigned int mode;
	struct insn want;
} cases[] = {
#define ROW(id, mode, text, ...) { text, id##_start, id##_end, mode, { __VA_ARGS__ } },
	CASES(ROW)
};

// Fields that mean something for this kind of instruction.
static void check(const struct decode_case *c, const struct insn *got)
{
	const struct insn *want = &c->want;
	unsigned int dest_size = want->dest_size ? want->dest_size : want->size;

	cr_expect_eq(got->kind, want->kind, "%s", c->text);
	cr_expect_eq(got->length, c->end - c->start, "%s: length %u", c->text, got->length);
	cr_expect_eq(got->size, want->size, "%s: size %u", c->text, got->size);
	if (want->kind == INSN_MOV_CR) {
		cr_expect_eq(got->reg, want->reg, "%s: register %u", c->text, got->reg);
		cr_expect_eq(got->control, want->control, "%s: CR%u", c->text, got->control);
		return;
	}
	cr_expect(got->memory, "%s", c->text);
	cr_expect_eq(got->imm, want->imm, "%s: immediate %lx", c->text, got->imm);
	if (want->kind == INSN_ALU) {
		cr_expect_eq(got->alu, want->alu, "%s: operation %u", c->text, got->alu);
		cr_expect_eq(got->has_imm, want->has_imm, "%s", c->text);
		cr_expect_eq(got->to_reg, want->to_reg, "%s", c->text);
	}
	if (want->kind == INSN_STORE_IMM || want->has_imm)
		return;
	cr_expect_eq(got->dest_size, dest_size, "%s: %u bytes", c->text, got->dest_size);
	cr_expect_eq(got->reg, want->reg, "%s: register %u", c->text, got->reg);
	cr_expect_eq(got->high_byte, want->high_byte, "%s", c->text);
	cr_expect_eq(got->sign_extend, want->sign_extend, "%s", c->text);
}

Test(insn, decodes_what_the_assembler_made)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct decode_case *c = &cases[i];
		uint8_t bytes[15] = { 0 };
		struct insn got;

		memcpy(bytes, c->start, c->end - c->start);
		cr_assert(insn_decode(bytes, sizeof(bytes), c->mode, &got), "%s", c->text);
		check(c, &got);
	}
}

Test(insn, a_byte_less_is_not_enough)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct decode_case *c = &cases[i];
		size_t length = c->end - c->start;

		for (size_t count = 0; count <= length; count++) {
			uint8_t *bytes = malloc(count + !count); // exact: ASan sees a byte more
			struct insn got;

			memcpy(bytes, c->start, count);
			cr_expect_eq(insn_decode(bytes, count, c->mode, &got), count == length,
				"%s: %zu of %zu bytes", c->text, count, length);
			free(bytes);
		}
	}
}

CODE(push, 64, "push %rax")
CODE(call, 64, "call .")
CODE(movups, 64, "movups %xmm0, (%rax)")
CODE(mov_imm_ext, 64, ".byte 0xc7, 0x08, 1, 2, 3, 4")
CODE(not_mem, 64, "notl (%rax)")
CODE(arpl, 32, "arpl %ax, (%ecx)")
CODE(cpuid, 64, "cpuid")
CODE(movsb, 64, "movsb")
CODE(prefixes_only, 64, ".byte 0x66, 0x66, 0x66, 0x66")
CODE(long_prefixes, 64,
	".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66\n"
	"movl %eax, (%rdi)")

Test(insn, refuses_what_it_does_not_know)
{
	static const struct {
		const uint8_t *start, *end;
		unsigned int mode;
	} unknown[] = {
		{ push_start, push_end, 64 }, { call_start, call_end, 64 },
		{ movups_start, movups_end, 64 }, { mov_imm_ext_start, mov_imm_ext_end, 64 },
		{ not_mem_start, not_mem_end, 64 }, { arpl_start, arpl_end, 32 },
		{ cpuid_start, cpuid_end, 64 }, { movsb_start, movsb_end, 64 },
		{ prefixes_only_start, prefixes_only_end, 64 },
		{ long_prefixes_start, long_prefixes_end, 64 }, // 16 bytes
	};

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		struct insn got;

		cr_expect_not(insn_decode(unknown[i].start, unknown[i].end - unknown[i].start,
				      unknown[i].mode, &got),
			"case %zu", i);
	}
}

CODE(rex_then_prefix, 64, ".byte 0x48, 0x66, 0x89, 0x08")
CODE(register_form, 64, "movl %eax, %ecx")

Test(insn, rex_counts_only_right_before_the_opcode)
{
	struct insn got;

	cr_assert(insn_decode(rex_then_prefix_start, 4, 64, &got));
	cr_assert_eq(got.size, 2);
	cr_assert_eq(got.length, 4);
}

Test(insn, two_registers_are_not_memory)
{
	struct insn got;

	cr_assert(insn_decode(register_form_start, 2, 64, &got));
	cr_assert_not(got.memory);
}

// Whatever the bytes are: the length that is reported is what was looked at.
Test(insn, random_bytes_stay_within_their_count)
{
	static const unsigned int modes[] = { 16, 32, 64 };
	struct insn got, again;

	srand(1);
	for (int round = 0; round < 300000; round++) {
		uint8_t bytes[15];
		unsigned int mode = modes[round % 3];
		uint8_t *exact;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand() >> 7;
		if (!insn_decode(bytes, sizeof(bytes), mode, &got))
			continue;
		cr_assert(got.length >= 1 && got.length <= 15 && got.reg < 16);
		exact = malloc(got.length);
		memcpy(exact, bytes, got.length);
		cr_assert(insn_decode(exact, got.length, mode, &again));
		cr_assert_eq(memcmp(&got, &again, sizeof(got)), 0);
		cr_assert_not(insn_decode(exact, got.length - 1, mode, &again));
		free(exact);
	}
}

static uint64_t gpr[16];

static uint64_t get(bool high_byte, unsigned int size)
{
	struct insn insn = { .reg = 1, .high_byte = high_byte, .dest_size = size };

	return insn_get_reg(&insn, gpr);
}

static uint64_t set(bool high_byte, unsigned int size, uint64_t value)
{
	struct insn insn = { .reg = 1, .high_byte = high_byte, .dest_size = size };

	insn_set_reg(&insn, gpr, value);
	return gpr[1];
}

Test(insn, registers_by_size)
{
	gpr[1] = 0x1122334455667788;
	cr_assert_eq(get(false, 8), 0x1122334455667788);
	cr_assert_eq(get(false, 4), 0x55667788);
	cr_assert_eq(get(false, 1), 0x88);
	cr_assert_eq(get(true, 1), 0x77);
	cr_assert_eq(set(true, 1, 0xab), 0x112233445566ab88);
	cr_assert_eq(set(false, 2, 0xffff1234), 0x1122334455661234);
	cr_assert_eq(set(false, 4, 0xdeadbeef), 0xdeadbeef, "32 bits clear the upper half");
	cr_assert_eq(set(false, 8, UINT64_MAX), UINT64_MAX);
}

#define HOST_OP(text, type)                                                                        \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n pushq %2\n popfq\n " text                       \
			 " %3, %0\n pushfq\n popq %1\n lea 128(%%rsp), %%rsp"                      \
			 : "+r"(*(type *)a), "=&r"(after)                                          \
			 : "r"(before), "r"((type)b)                                               \
			 : "cc", "memory")

#define HOST_SIZES(name, op)                                                                       \
	static uint64_t host_##name(uint64_t *a, uint64_t b, unsigned int size, uint64_t before)   \
	{                                                                                          \
		uint64_t after;                                                                    \
		if (size == 1)                                                                     \
			HOST_OP(op "b", uint8_t);                                                  \
		else if (size == 2)                                                                \
			HOST_OP(op "w", uint16_t);                                                 \
		else if (size == 4)                                                                \
			HOST_OP(op "l", uint32_t);                                                 \
		else                                                                               \
			HOST_OP(op "q", uint64_t);                                                 \
		return after;                                                                      \
	}
HOST_SIZES(add, "add")
HOST_SIZES(or, "or")
HOST_SIZES(adc, "adc")
HOST_SIZES(sbb, "sbb")
HOST_SIZES(and, "and")
HOST_SIZES(sub, "sub")
HOST_SIZES(xor, "xor")
HOST_SIZES(cmp, "cmp")
HOST_SIZES(test, "test")

Test(insn, arithmetic_is_that_of_the_processor)
{
	static uint64_t (*const host[])(uint64_t *, uint64_t, unsigned int, uint64_t) = {
		[ALU_ADD] = host_add,
		[ALU_OR] = host_or,
		[ALU_ADC] = host_adc,
		[ALU_SBB] = host_sbb,
		[ALU_AND] = host_and,
		[ALU_SUB] = host_sub,
		[ALU_XOR] = host_xor,
		[ALU_CMP] = host_cmp,
		[ALU_TEST] = host_test,
	};
	static const uint64_t values[] = { 0, 1, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x7fff, 0x8000,
		0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
		0xffffffffffffffff, 0x123456789abcdef0 };
	enum { CARRY = 1, AUX = 0x10, ARITHMETIC = 0x8d5 };

	for (enum insn_alu op = ALU_ADD; op <= ALU_TEST; op++)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			for (size_t k = 0; k < ARRAY_SIZE(values) * 8; k++) {
				unsigned int size = 1u << (k & 3);
				uint64_t a = values[i], b = values[k >> 3];
				uint64_t flags = 0x202 | (k & 4 ? CARRY : 0), ours = flags, result;
				uint64_t mask = size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;
				uint64_t defined = ARITHMETIC;

				if (op == ALU_OR || op == ALU_AND || op == ALU_XOR ||
					op == ALU_TEST)
					defined &= ~(uint64_t)AUX;
				result = insn_alu(op, a, b, size, &ours);
				flags = host[op](&a, b, size, flags);
				cr_assert_eq(result, a & mask, "op %u size %u", op, size);
				cr_assert_eq(ours & defined, flags & defined,
					"op %u size %u %lx %lx: %lx, not %lx", op, size, values[i],
					b, ours, flags);
			}
}
