// SPDX-License-Identifier: BSD-2-Clause
// Random code: bytes, and single instructions that matter to a hypervisor, with random registers,
// in ring 0, in ring 3, step by step, in any page.
#include "tests/guests/hostile/random.h"

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_IF (1ull << 9)

enum { CODE_SIZE = 32, HLT = 0xf4, NOP = 0x90 };

// Loads all registers but RSP from the array; whoever returns from CODE gets the caller's back.
void random_enter(const uint64_t registers[RANDOM_REGISTERS], const void *code, uint64_t rflags);
// The same, and returns by IRETQ from an interrupt with this frame.
_Noreturn void random_leave(const uint64_t registers[RANDOM_REGISTERS], const uint64_t frame[5]);
__asm__(".text\n"
	".macro load_registers\n"
	"	mov (%rdi), %rax\n	mov 8(%rdi), %rbx\n	mov 16(%rdi), %rcx\n"
	"	mov 24(%rdi), %rdx\n	mov 32(%rdi), %rsi\n	mov 48(%rdi), %rbp\n"
	"	mov 56(%rdi), %r8\n	mov 64(%rdi), %r9\n	mov 72(%rdi), %r10\n"
	"	mov 80(%rdi), %r11\n	mov 88(%rdi), %r12\n	mov 96(%rdi), %r13\n"
	"	mov 104(%rdi), %r14\n	mov 112(%rdi), %r15\n	mov 40(%rdi), %rdi\n"
	".endm\n"
	"random_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	push $1f\n"
	"	push %rsi\n"
	"	push %rdx\n"
	"	load_registers\n"
	"	popfq\n"
	"	ret\n"
	"1:	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	cld\n	ret\n"
	"random_leave:\n"
	"	mov %rsi, %rsp\n"
	"	load_registers\n"
	"	iretq\n");

// With all that may be in front of them and behind them, by chance.
static const char *const instructions[] = {
	"\x0f\x01\xd9",				// VMMCALL
	"\x0f\x01\xc1",				// VMCALL
	"\x0f\x01\xd8",				// VMRUN
	"\x0f\x01\xda",				// VMLOAD
	"\x0f\x01\xdb",				// VMSAVE
	"\x0f\x01\xdc",				// STGI
	"\x0f\x01\xdd",				// CLGI
	"\x0f\x01\xde",				// SKINIT
	"\x0f\x01\xdf",				// INVLPGA
	"\x0f\x01\xd0",				// XGETBV
	"\x0f\x01\xd1",				// XSETBV
	"\x0f\x01\xf9",				// RDTSCP
	"\x0f\x01\xfd",				// RDPRU
	"\x0f\x01\xc8",				// MONITOR
	"\x0f\x01\xc9",				// MWAIT
	"\x0f\x01\xfa",				// MONITORX
	"\x0f\x01\xfb",				// MWAITX
	"\x0f\x01\xf8",				// SWAPGS
	"\x0f\x01\xcb",				// STAC
	"\x0f\x33",				// RDPMC
	"\x0f\x09",				// WBINVD
	"\xf3\x0f\x09",				// WBNOINVD
	"\x0f\x08",				// INVD
	"\x0f\x30",				// WRMSR
	"\x0f\x32",				// RDMSR
	"\x0f\xa2",				// CPUID
	"\x0f\xaa",				// RSM
	"\x0f\x05",				// SYSCALL
	"\x0f\x07",				// SYSRET
	"\x0f\x34",				// SYSENTER
	"\x0f\x35",				// SYSEXIT
	"\x0f\x06",				// CLTS
	"\x0f\x01\x3e",				// INVLPG (%rsi)
	"\x66\x0f\x38\x82\x06",			// INVPCID (%rsi), %rax
	"\x0f\x22\xe0",				// MOV %rax, %cr4
	"\x44\x0f\x22\xc0",			// MOV %rax, %cr8
	"\x0f\x01\xf0",				// LMSW %ax
	"\x0f\xae\x07",				// FXSAVE (%rdi)
	"\x0f\xae\x27",				// XSAVE (%rdi)
	"\x0f\xc7\x27",				// XSAVEC (%rdi)
	"\xf1",					// INT1
	"\xcc",					// INT3
	"\xcf",					// IRET
	"\x48\xcf",				// IRETQ
	"\xcb",					// RETF
	"\xec",					// IN
	"\xee",					// OUT
	"\xf3\x6c",				// REP INSB
	"\xf3\x6f",				// REP OUTSL
	"\xf3\x48\xa5",				// REP MOVSQ
	"\xf0\x0f\xb1\x0f",			// LOCK CMPXCHG %ecx, (%rdi)
	"\xf0\x0f\xc7\x0f",			// LOCK CMPXCHG8B (%rdi)
	"\xf0\x48\x0f\xc1\x07",			// LOCK XADD %rax, (%rdi)
	"\x8e\xd0",				// MOV %eax, %ss
	"\xfb\xcc",				// STI; INT3
	"\x9d",					// POPF
	"\xdb\xe3\xd9\xe8\xd9\xee\xde\xf9\x9b", // FNINIT; FLD1; FLDZ; FDIVP; FWAIT
};

static size_t put_instruction(struct random_vp *vp, uint8_t *code)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0x2e, 0x64, 0x65, 0xf0, 0xf2, 0xf3, 0x48 };
	const char *bytes = random_of(vp, instructions);
	size_t length = 0;

	while (random_one_in(vp, 8) && length < 3)
		code[length++] = random_of(vp, prefixes);
	while (*bytes)
		code[length++] = (uint8_t)*bytes++;
	return length;
}

// HLT with interrupts off is for the others to end, so it is rare.
static uint8_t any_byte(struct random_vp *vp)
{
	uint8_t byte = (uint8_t)random_u64(vp);

	return byte != HLT || random_one_in(vp, 64) ? byte : NOP;
}

// At most so many bytes; UD2 behind them.
static void put_code(struct random_vp *vp, uint8_t *code, bool bytes)
{
	size_t length = 0;

	if (bytes)
		for (length = 0; length < 16; length++)
			code[length] = any_byte(vp);
	else
		do
			length += put_instruction(vp, code + length);
		while (random_one_in(vp, 3) && length < CODE_SIZE / 2);
	if (random_one_in(vp, 2))
		code[length++] = 0xc3; // RET
	for (; length < CODE_SIZE; length += 2) {
		code[length] = 0x0f;
		code[length + 1] = 0x0b;
	}
}

static void choose_registers(struct random_vp *vp, uint64_t registers[RANDOM_REGISTERS])
{
	for (unsigned int i = 0; i < RANDOM_REGISTERS; i++)
		registers[i] = random_one_in(vp, 3) ? random_value(vp) : random_solid_address(vp);
}

// Code in the middle of a page, or that goes over its end into the next one, whatever that is.
static uint8_t *place_code(struct random_vp *vp, bool bytes)
{
	uint8_t code[2 * CODE_SIZE];
	uint64_t at = random_one_in(vp, 4) ? KERNEL_PAGE_SIZE - 1 - random_below(vp, 8)
					   : random_below(vp, KERNEL_PAGE_SIZE - CODE_SIZE);

	put_code(vp, code, bytes);
	for (uint64_t i = 0; i < CODE_SIZE && at + i < KERNEL_PAGE_SIZE; i++)
		vp->code[at + i] = code[i];
	return random_map(vp, (uint64_t)vp->code) + at;
}

static bool run_in_ring0(struct random_vp *vp, bool bytes, uint64_t rflags)
{
	uint64_t registers[RANDOM_REGISTERS];
	const uint8_t *code = place_code(vp, bytes);

	choose_registers(vp, registers);
	random_enter(registers, code, rflags);
	return true;
}

static bool run_instructions(struct random_vp *vp)
{
	return run_in_ring0(vp, false, 2);
}

static bool run_bytes(struct random_vp *vp)
{
	return run_in_ring0(vp, true, 2);
}

static bool run_steps(struct random_vp *vp)
{
	return run_in_ring0(vp, random_one_in(vp, 2), RFLAGS_TF | 2);
}

static bool run_with_interrupts(struct random_vp *vp)
{
	random_ipi(vp->index, 16 + (uint32_t)random_below(vp, 240));
	return run_in_ring0(vp, false, RFLAGS_IF | 2);
}

// What is there, or nothing useful.
static bool run_anywhere(struct random_vp *vp)
{
	uint64_t registers[RANDOM_REGISTERS];
	const uint8_t *code;

	choose_registers(vp, registers);
	code = random_map(vp, random_code_page(vp)) + random_below(vp, KERNEL_PAGE_SIZE - 16);
	random_enter(registers, code, 2);
	return true;
}

static _Noreturn void return_to(struct random_vp *vp, const uint64_t frame[5])
{
	uint64_t registers[RANDOM_REGISTERS];

	choose_registers(vp, registers);
	random_leave(registers, frame);
}

static bool run_in_ring3(struct random_vp *vp)
{
	const uint8_t *code = place_code(vp, random_one_in(vp, 2));
	const uint64_t frame[5] = { (uint64_t)code, KERNEL_USER_CS,
		2 | (random_u64(vp) & (RFLAGS_TF | RFLAGS_IF | 0x43000)),
		random_solid_address(vp) & ~7ull, KERNEL_USER_SS };

	return_to(vp, frame);
}

// Any frame: selectors, flags, addresses.
static bool return_anywhere(struct random_vp *vp)
{
	const uint8_t *code = place_code(vp, false);
	uint64_t frame[5] = { (uint64_t)code, KERNEL_CS, 2, random_solid_address(vp), KERNEL_SS };

	frame[random_below(vp, 5)] = random_value(vp);
	if (random_one_in(vp, 2))
		frame[2] = random_u64(vp) & 0x3fffff;
	return_to(vp, frame);
}

// 32-bit and 16-bit code, by a segment that says so, on the first 4 GiB.
static bool run_old_code(struct random_vp *vp)
{
	const uint64_t frame[5] = { (uint64_t)vp->code, KERNEL_CS32,
		2 | (random_u64(vp) & RFLAGS_TF), (uint64_t)random_ram(vp) + 2048, KERNEL_SS };

	put_code(vp, vp->code, random_one_in(vp, 2));
	return_to(vp, frame);
}

struct random_action random_code[] = {
	{ .name = "instructions", .run = run_instructions, .weight = 1000 },
	{ .name = "bytes", .run = run_bytes, .weight = 400 },
	{ .name = "steps", .run = run_steps, .weight = 200 },
	{ .name = "with-interrupts", .run = run_with_interrupts, .weight = 200 },
	{ .name = "anywhere", .run = run_anywhere, .weight = 1 },
	{ .name = "ring3", .run = run_in_ring3, .weight = 300 },
	{ .name = "iret", .run = return_anywhere, .weight = 200 },
	{ .name = "code32", .run = run_old_code, .weight = 200 },
	{ .name = NULL },
};
