// SPDX-License-Identifier: BSD-2-Clause
// What is chosen, and from what: values, kinds of pages, addresses.
#include "tests/guests/hostile/random.h"

#include "hypercall/msr.h"

#define GIB		 (1ull << 30)
#define WINDOW(i)	 ((uint64_t)(16 + (i)) << 39)
#define MSR_APIC_BASE	 0x1bu
#define APIC_BASE_ENABLE 0x800ull
#define APIC_BASE_MODE	 0xc00ull
#define TABLE_BITS	 (KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE | KERNEL_PTE_USER)

// xorshift64*: Marsaglia, Xorshift RNGs; Vigna.
uint64_t random_u64(struct random_vp *vp)
{
	vp->state ^= vp->state >> 12;
	vp->state ^= vp->state << 25;
	vp->state ^= vp->state >> 27;
	return vp->state * 0x2545f4914f6cdd1dull;
}

struct random_vp *random_other(struct random_vp *vp)
{
	return &random_vps[random_below(vp, random_count)];
}

uint8_t *random_ram(struct random_vp *vp)
{
	return random_arena + random_below(vp, RANDOM_PAGES) * KERNEL_PAGE_SIZE;
}

// --- pages ---

static uint64_t page_of_arena(struct random_vp *vp)
{
	return (uint64_t)random_ram(vp);
}

uint32_t random_page_register(struct random_vp *vp)
{
	static const uint32_t registers[] = { HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP,
		HV_X64_MSR_HYPERCALL, HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_VP_ASSIST_PAGE };

	return random_of(vp, registers);
}

// As it is now; another processor may take the page away at once, if it is the partition's.
static uint64_t page_of_register(struct random_vp *vp)
{
	uint64_t value = kernel_rdmsr(random_page_register(vp));

	return value & HV_X64_MSR_PAGE_ENABLE ? value & HV_X64_MSR_PAGE_MASK : page_of_arena(vp);
}

static uint64_t page_of_apic(struct random_vp *vp)
{
	uint64_t base = kernel_rdmsr(MSR_APIC_BASE);

	// Elsewhere, or off, it is a hole.
	return (base & APIC_BASE_MODE) == APIC_BASE_ENABLE ? base & KERNEL_PTE_ADDRESS
							   : page_of_arena(vp);
}

static uint64_t page_of_hole(struct random_vp *vp)
{
	static const uint64_t holes[] = { 3 * GIB, 0xd0000000, 0xfec00000, 0xf0000000, 8 * GIB,
		1ull << 36, 1ull << 39, 1ull << 46 };

	return random_of(vp, holes) + random_below(vp, 4) * KERNEL_PAGE_SIZE;
}

// Around the end of the RAM, of the first megabyte, of what the processor can address.
static uint64_t page_of_border(struct random_vp *vp)
{
	static const uint64_t borders[] = { 0x9f000, 0x100000, 24ull << 20, 3 * GIB, 4 * GIB,
		1ull << 40, 1ull << 48, 1ull << 52 };

	return random_of(vp, borders) - KERNEL_PAGE_SIZE * random_below(vp, 2);
}

static uint64_t page_of_anything(struct random_vp *vp)
{
	return random_u64(vp) >> random_below(vp, 64) & ~0xfffull;
}

// Where the loader's data, the kernel or its tables are: this may well be the end.
static uint64_t page_of_kernel(struct random_vp *vp)
{
	return random_one_in(vp, 2) ? random_below(vp, 512) * KERNEL_PAGE_SIZE
				    : ((uint64_t)kernel_image_start & ~0xfffull) +
					      random_below(vp, 32) * KERNEL_PAGE_SIZE;
}

uint64_t random_page(struct random_vp *vp)
{
	static uint64_t (*const kinds[])(struct random_vp * vp) = { page_of_arena, page_of_arena,
		page_of_register, page_of_register, page_of_apic, page_of_hole, page_of_hole,
		page_of_border };

	if (random_one_in(vp, 1000000))
		return page_of_kernel(vp);
	// A few of those would be RAM that is not the arena.
	if (random_one_in(vp, 64))
		return page_of_anything(vp) | 32 * GIB;
	return random_of(vp, kinds)(vp);
}

uint64_t random_solid_page(struct random_vp *vp)
{
	static uint64_t (*const kinds[])(struct random_vp * vp) = { page_of_arena, page_of_register,
		page_of_register, page_of_apic };

	return random_one_in(vp, 200000) ? random_page(vp) : random_of(vp, kinds)(vp);
}

uint64_t random_code_page(struct random_vp *vp)
{
	uint64_t value = kernel_rdmsr(HV_X64_MSR_HYPERCALL);

	return value & HV_X64_MSR_PAGE_ENABLE && random_one_in(vp, 2) ? value & HV_X64_MSR_PAGE_MASK
								      : page_of_arena(vp);
}

uint64_t random_gpa(struct random_vp *vp)
{
	static const uint16_t offsets[] = { 0, 0, 8, 16, 0x100, 0x7f8, 0xf00, 0xff0, 0xff8, 0xfff };

	return random_page(vp) +
	       (random_one_in(vp, 8) ? random_below(vp, KERNEL_PAGE_SIZE) : random_of(vp, offsets));
}

// --- values ---

static uint64_t value_bit(struct random_vp *vp)
{
	return 1ull << random_below(vp, 64);
}

static uint64_t value_small(struct random_vp *vp)
{
	return random_below(vp, 16);
}

static uint64_t value_edge(struct random_vp *vp)
{
	return (random_one_in(vp, 2) ? 0 : 1ull << random_below(vp, 64)) - random_below(vp, 3);
}

static uint64_t value_flags(struct random_vp *vp)
{
	return random_gpa(vp) | random_below(vp, 16);
}

static uint64_t value_of_bits(struct random_vp *vp)
{
	return random_u64(vp) & random_u64(vp) >> random_below(vp, 64);
}

uint64_t random_value(struct random_vp *vp)
{
	static uint64_t (*const kinds[])(struct random_vp * vp) = { value_bit, value_small,
		value_edge, value_flags, value_of_bits, random_gpa, random_u64 };

	return random_of(vp, kinds)(vp);
}

void random_fill(struct random_vp *vp, void *bytes, size_t count)
{
	uint64_t *words = bytes, end = random_below(vp, count / sizeof(*words) + 1);

	for (size_t i = 0; i < count / sizeof(*words); i++)
		words[i] = i < end ? random_value(vp) : 0;
}

// --- addresses ---

static uint8_t *map(struct random_vp *vp, uint64_t slot, uint64_t page, uint64_t flags)
{
	uint8_t *at = (uint8_t *)WINDOW(vp->index) + slot * KERNEL_PAGE_SIZE;

	vp->tables[3][slot] = (page & KERNEL_PTE_ADDRESS) | TABLE_BITS | flags;
	kernel_invlpg(at);
	return at;
}

uint8_t *random_map(struct random_vp *vp, uint64_t page)
{
	return map(vp, RANDOM_SLOTS, page, 0);
}

// FROM: of the slots, half of them. What runs on behind its pages finds more of the same kind.
static uint64_t address(struct random_vp *vp, uint64_t from, uint64_t first, uint64_t second)
{
	uint64_t slot = from + random_below(vp, RANDOM_SLOTS / 4) * 2;
	uint64_t offset = random_one_in(vp, 2) ? random_below(vp, KERNEL_PAGE_SIZE)
					       : KERNEL_PAGE_SIZE - random_below(vp, 33);

	map(vp, slot + 1, second, KERNEL_PTE_NX);
	return (uint64_t)map(vp, slot, first, KERNEL_PTE_NX) + offset;
}

uint64_t random_address(struct random_vp *vp)
{
	return address(vp, 0, random_page(vp), random_page(vp));
}

uint64_t random_solid_address(struct random_vp *vp)
{
	return address(vp, RANDOM_SLOTS / 2, random_solid_page(vp), random_solid_page(vp));
}
