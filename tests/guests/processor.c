// SPDX-License-Identifier: BSD-2-Clause
// What a guest can do with instructions and register bits that CPUID does not offer it: nothing.
// Each bit of CR4 and EFER that can be set is one that CPUID offers, and each that it offers can be
// set.
#include "examples/kernel/kernel.h"

#include "base/macros.h"

enum { UD = 6, GP = 13 };
enum { MSR_EFER = 0xc0000080, MSR_DR1_MASK = 0xc0011019, MSR_DR0_MASK = 0xc0011027 };

#define BIT(n) (1ull << (n))

// --- single instructions ---

// BYTES, with ECX zero. If they are taken for more or fewer than they are, what follows is not NOP.
#define RUN(name, bytes)                                                                           \
	static void run_##name(void *context)                                                      \
	{                                                                                          \
		(void)context;                                                                     \
		__asm__ volatile(".byte " bytes                                                    \
				 "; xor %%eax, %%eax; cmp %%eax, %%eax; jz 1f; ud2; 1:"            \
				 :                                                                 \
				 : "c"(0)                                                          \
				 : "rax", "rdx", "memory", "cc");                                  \
	}
RUN(rdpmc, "0x0f, 0x33")
RUN(rdpru, "0x0f, 0x01, 0xfd")
RUN(wbinvd, "0x0f, 0x09")
RUN(wbnoinvd, "0xf3, 0x0f, 0x09")
RUN(wbinvd_prefixed, "0x66, 0x2e, 0x48, 0x0f, 0x09")
RUN(invd, "0x0f, 0x08")
RUN(invd_prefixed, "0x66, 0x0f, 0x08")
RUN(monitorx, "0x0f, 0x01, 0xfa")

static const struct instruction {
	const char *name;
	void (*run)(void *context);
	int vector; // 0: it goes on behind it
} instructions[] = {
	{ "RDPMC", run_rdpmc, GP },
	{ "RDPRU", run_rdpru, UD },
	{ "WBINVD", run_wbinvd, 0 },
	{ "WBNOINVD", run_wbnoinvd, 0 },
	{ "WBINVD with prefixes", run_wbinvd_prefixed, 0 },
	{ "INVD", run_invd, 0 },
	{ "INVD with a prefix", run_invd_prefixed, 0 },
	{ "MONITORX", run_monitorx, UD },
};

static void check_instructions(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(instructions); i++) {
		int vector = kernel_try(instructions[i].run, NULL, NULL);

		kernel_check(vector == instructions[i].vector, "%s: exception %d (expected %d)",
			instructions[i].name, vector, instructions[i].vector);
	}
}

// --- register bits ---

enum word { ALWAYS, L1_ECX, L1_EDX, L7_EBX, L7_ECX, L81_ECX, L81_EDX, L821_EAX, WORDS };

static const struct bit {
	uint8_t bit, word, feature; // the bit of the register, and where CPUID offers it
} cr4_bits[] = {
	{ 0, L1_EDX, 1 },
	{ 1, L1_EDX, 1 },
	{ 2, L1_EDX, 4 },
	{ 3, L1_EDX, 2 },
	{ 4, L1_EDX, 3 },
	{ 5, L1_EDX, 6 },
	{ 6, ALWAYS, 0 },
	{ 7, L1_EDX, 13 },
	{ 8, ALWAYS, 0 },
	{ 9, L1_EDX, 24 },
	{ 10, L1_EDX, 25 },
	{ 11, L7_ECX, 2 },
	{ 16, L7_EBX, 0 },
	{ 17, L1_ECX, 17 },
	{ 18, L1_ECX, 26 },
	{ 20, L7_EBX, 7 },
	{ 21, L7_EBX, 20 },
	{ 22, L7_ECX, 3 },
}, efer_bits[] = {
	{ 0, L81_EDX, 11 },
	{ 8, L81_EDX, 29 },
	{ 10, L81_EDX, 29 },
	{ 11, L81_EDX, 20 },
	{ 14, L81_EDX, 25 },
	{ 15, L81_ECX, 17 },
	{ 21, L821_EAX, 8 },
};

static uint32_t words[WORDS];

static void read_words(void)
{
	words[ALWAYS] = 1;
	words[L1_ECX] = kernel_cpuid(1, 0).ecx;
	words[L1_EDX] = kernel_cpuid(1, 0).edx;
	words[L7_EBX] = kernel_cpuid(7, 0).ebx;
	words[L7_ECX] = kernel_cpuid(7, 0).ecx;
	words[L81_ECX] = kernel_cpuid(0x80000001, 0).ecx;
	words[L81_EDX] = kernel_cpuid(0x80000001, 0).edx;
	words[L821_EAX] = kernel_cpuid(0x80000021, 0).eax;
}

static bool offered(const struct bit *bits, unsigned int count, unsigned int bit)
{
	for (unsigned int i = 0; i < count; i++)
		if (bits[i].bit == bit)
			return words[bits[i].word] >> bits[i].feature & 1;
	return false;
}

static void write_cr4(void *value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(*(uint64_t *)value) : "memory");
}

static void write_cr4_r15(void *value)
{
	__asm__ volatile("mov %0, %%r15; mov %%r15, %%cr4"
			 :
			 : "r"(*(uint64_t *)value)
			 : "r15", "memory");
}

static uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static void check_cr4_bit(unsigned int bit)
{
	const bool wanted = offered(cr4_bits, ARRAY_SIZE(cr4_bits), bit);
	uint64_t before = read_cr4(), value = before | BIT(bit), after;
	int vector = kernel_try(bit & 1 ? write_cr4 : write_cr4_r15, &value, NULL);

	after = read_cr4();
	write_cr4(&before);
	if (wanted)
		kernel_check(!vector && after == value, "CR4 bit %u is offered: exception %d, %lx",
			bit, vector, after);
	else
		kernel_check(vector == GP && after == before,
			"CR4 bit %u is not offered: exception %d, %lx", bit, vector, after);
}

static void check_efer_bit(unsigned int bit)
{
	const bool wanted = offered(efer_bits, ARRAY_SIZE(efer_bits), bit);
	uint64_t before = kernel_rdmsr(MSR_EFER);
	int vector = kernel_try_wrmsr(MSR_EFER, before | BIT(bit));

	kernel_wrmsr(MSR_EFER, before);
	kernel_check(vector == (wanted ? 0 : GP), "EFER bit %u is %soffered: exception %d", bit,
		wanted ? "" : "not ", vector);
}

static void check_cr4_rules(void)
{
	uint64_t before = read_cr4(), value = before & ~BIT(5);

	kernel_check(kernel_try(write_cr4, &value, NULL) == GP && read_cr4() == before,
		"long mode without PAE");
}

// CPUID must not tell of data breakpoint masks without their registers.
static void check_breakpoint_masks(void)
{
	bool offered_masks = kernel_cpuid(0x80000001, 0).ecx & 1 << 26;
	uint64_t value;

	kernel_check(offered_masks == !kernel_try_rdmsr(MSR_DR0_MASK, &value) &&
			     offered_masks == !kernel_try_rdmsr(MSR_DR1_MASK, &value),
		"breakpoint masks are %soffered, and so are their registers",
		offered_masks ? "" : "not ");
}

int kernel_main(void)
{
	read_words();
	check_instructions();
	for (unsigned int bit = 0; bit < 64; bit++)
		check_cr4_bit(bit);
	check_cr4_rules();
	for (unsigned int bit = 0; bit < 64; bit++)
		check_efer_bit(bit);
	check_breakpoint_masks();
	return kernel_failures();
}
