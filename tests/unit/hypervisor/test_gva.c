// SPDX-License-Identifier: BSD-2-Clause
// The page walker: all paging modes, and who may do what (APM2 5.6).
#include "tests/unit/hypervisor/rig.h"

#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/gva.h"

enum { P = 1, W = 2, U = 4, PS = 0x80 };
#define NX BIT(63)

// Tables lie at TABLE(0), TABLE(1), ... top level first.
#define TABLE(n) (0x10000ull + (n)*PAGE_SIZE)

static struct vp *vp;

static void setup(void)
{
	rig_setup();
	vp = &rig.vp[0];
}

static void mode(uint64_t cr4, uint64_t efer)
{
	rig_set(vp, HvX64RegisterCr0, CR0_PE | CR0_PG | CR0_WP);
	rig_set(vp, HvX64RegisterCr3, TABLE(0));
	rig_set(vp, HvX64RegisterCr4, cr4);
	rig_set(vp, HvX64RegisterEfer, efer);
}

static void long_mode(void)
{
	mode(CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
}

// Maps GVA through LEVELS tables of 8-byte entries with RIGHTS in all; the last entry is LEAF.
static void map8(uint64_t gva, unsigned int levels, unsigned int leaf_level, uint64_t leaf)
{
	for (unsigned int level = levels; level >= leaf_level; level--) {
		uint64_t index = gva >> (12 + 9 * (level - 1)) & 511;
		uint64_t upper = levels == 3 && level == 3 ? P : P | W | U;
		uint64_t entry = level == leaf_level ? leaf : TABLE(levels - level + 1) | upper;

		rig_put64(TABLE(levels - level) + index * 8, entry);
	}
}

static void map4(uint64_t gva, unsigned int leaf_level, uint32_t leaf)
{
	uint32_t upper = TABLE(1) | P | W | U;

	rig_put(TABLE(0) + (gva >> 22) * 4, leaf_level == 2 ? &leaf : &upper, 4);
	if (leaf_level == 1)
		rig_put(TABLE(1) + (gva >> 12 & 1023) * 4, &leaf, 4);
}

static void expect(uint64_t gva, unsigned int access, enum gva_result want, uint64_t want_gpa)
{
	gpa_t got = gpa(0);
	enum gva_result result = gva_translate(vp, gva, access, &got);

	cr_expect_eq(result, want, "gva %lx access %x: %d, not %d", gva, access, result, want);
	if (want == GVA_OK)
		cr_expect_eq(
			got.value, want_gpa, "gva %lx -> %lx, not %lx", gva, got.value, want_gpa);
}

Test(gva, without_paging, .init = setup)
{
	rig_set(vp, HvX64RegisterCr0, CR0_PE);
	expect(0x12345, GVA_WRITE | GVA_USER, GVA_OK, 0x12345);
	expect(0x1fffff123, GVA_READ, GVA_OK, 0xfffff123);
}

Test(gva, four_levels, .init = setup)
{
	const uint64_t gva = 0xffff812345678000;

	long_mode();
	map8(gva, 4, 1, 0x5000 | P | W | U);
	expect(gva + 0xabc, GVA_WRITE | GVA_USER, GVA_OK, 0x5abc);
	expect(gva + PAGE_SIZE, GVA_READ, GVA_NOT_PRESENT, 0);
	map8(gva, 4, 2, 0x40200000 | P | W | U | PS);
	expect(gva, GVA_READ, GVA_OK, 0x40200000 + (gva & 0x1fffff));
	map8(gva, 4, 3, 0x80000000 | P | W | U | PS);
	expect(gva, GVA_READ, GVA_OK, 0x80000000 + (gva & 0x3fffffff));
}

Test(gva, not_canonical, .init = setup)
{
	long_mode();
	map8(0, 4, 1, 0x5000 | P | W | U);
	expect(0x0001000000000000, GVA_READ, GVA_NOT_PRESENT, 0);
	expect(0x8000000000000000, GVA_READ, GVA_NOT_PRESENT, 0);
}

Test(gva, pae, .init = setup)
{
	const uint64_t gva = 0xc1234000;

	mode(CR4_PAE, EFER_NXE);
	map8(gva, 3, 1, 0x5000 | P | W | U | NX);
	expect(gva + 4, GVA_WRITE | GVA_USER, GVA_OK, 0x5004);
	expect(gva, GVA_EXECUTE, GVA_PROTECTION, 0);
	map8(gva, 3, 2, 0x40200000 | P | W | U | PS);
	expect(gva, GVA_EXECUTE | GVA_USER, GVA_OK, 0x40200000 + (gva & 0x1fffff));
	// Bits 1, 2 and 5-8 of a PDPTE are reserved, and it has no large pages.
	rig_put64(TABLE(0) + 3 * 8, TABLE(1) | P | W);
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
	rig_put64(TABLE(0) + 3 * 8, TABLE(1) | P | PS);
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
}

Test(gva, pae_tables_are_aligned_to_32, .init = setup)
{
	mode(CR4_PAE, 0);
	rig_set(vp, HvX64RegisterCr3, TABLE(0) + 0x20);
	rig_put64(TABLE(0) + 0x20, TABLE(1) | P);
	rig_put64(TABLE(1), TABLE(2) | P | W | U);
	rig_put64(TABLE(2), 0x7000 | P);
	expect(0x10, GVA_READ, GVA_OK, 0x7010);
}

Test(gva, two_levels, .init = setup)
{
	const uint64_t gva = 0xc1234000;

	mode(CR4_PSE, 0);
	map4(gva, 1, 0x5000 | P | W | U);
	expect(gva + 8, GVA_WRITE | GVA_USER, GVA_OK, 0x5008);
	map4(gva, 2, 0x00400000 | P | W | U | PS);
	expect(gva, GVA_READ, GVA_OK, 0x00400000 + (gva & 0x3fffff));
	map4(gva, 2, 0x00400000 | 3 << 13 | P | W | U | PS); // PSE-36
	expect(gva, GVA_READ, GVA_OK, 0x300400000 + (gva & 0x3fffff));
	mode(0, 0); // without PSE the bit means nothing, and the entry a table
	map4(gva, 2, TABLE(1) | P | W | U | PS);
	expect(gva + 8, GVA_READ, GVA_OK, 0x5008);
}

// Who may do what, for a page with the given rights in its last entry (all in the upper ones).
struct right {
	uint64_t entry, extra_cr4;
	bool write_protect, ac;
	unsigned int access;
	enum gva_result want;
};

static const struct right rights[] = {
	{ P | W | U, 0, true, false, GVA_READ | GVA_USER, GVA_OK },
	{ P | W | U, 0, true, false, GVA_WRITE | GVA_USER, GVA_OK },
	{ P | W | U, 0, true, false, GVA_EXECUTE | GVA_USER, GVA_OK },
	{ P | W, 0, true, false, GVA_READ | GVA_USER, GVA_PROTECTION },
	{ P | W, 0, true, false, GVA_WRITE, GVA_OK },
	{ P, 0, true, false, GVA_WRITE, GVA_PROTECTION },
	{ P, 0, false, false, GVA_WRITE, GVA_OK }, // CR0.WP clear
	{ P | U, 0, false, false, GVA_WRITE | GVA_USER, GVA_PROTECTION },
	{ P | W | U | NX, 0, true, false, GVA_EXECUTE | GVA_USER, GVA_PROTECTION },
	{ P | W | NX, 0, true, false, GVA_EXECUTE, GVA_PROTECTION },
	{ P | W | NX, 0, true, false, GVA_WRITE, GVA_OK },
	{ P | W | U, 0, true, false, GVA_EXECUTE, GVA_OK },
	{ P | W | U, CR4_SMEP, true, false, GVA_EXECUTE, GVA_PROTECTION },
	{ P | W | U, CR4_SMEP, true, false, GVA_EXECUTE | GVA_USER, GVA_OK },
	{ P | W | U, CR4_SMAP, true, false, GVA_READ, GVA_PROTECTION },
	{ P | W | U, CR4_SMAP, true, false, GVA_WRITE, GVA_PROTECTION },
	{ P | W | U, CR4_SMAP, true, true, GVA_READ, GVA_OK }, // RFLAGS.AC
	{ P | W | U, CR4_SMAP, true, false, GVA_READ | GVA_USER, GVA_OK },
	{ P | W, CR4_SMAP | CR4_SMEP, true, false, GVA_EXECUTE, GVA_OK },
};

Test(gva, rights, .init = setup)
{
	const uint64_t gva = 0x400000;

	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		const struct right *r = &rights[i];
		enum gva_result got;
		gpa_t at;

		long_mode();
		rig_set(vp, HvX64RegisterCr0, CR0_PE | CR0_PG | (r->write_protect ? CR0_WP : 0));
		rig_set(vp, HvX64RegisterCr4, CR4_PAE | r->extra_cr4);
		vp->regs.rflags = r->ac ? BIT(18) : 0;
		map8(gva, 4, 1, 0x5000 | r->entry);
		got = gva_translate(vp, gva, r->access, &at);
		cr_expect_eq(got, r->want, "row %zu: %d, not %d", i, got, r->want);
	}
}

Test(gva, rights_of_all_levels_count, .init = setup)
{
	const uint64_t gva = 0x400000;

	long_mode();
	map8(gva, 4, 1, 0x5000 | P | W | U);
	rig_put64(TABLE(1), TABLE(2) | P | U); // not writable
	expect(gva, GVA_WRITE | GVA_USER, GVA_PROTECTION, 0);
	expect(gva, GVA_READ | GVA_USER, GVA_OK, 0x5000);
	rig_put64(TABLE(1), TABLE(2) | P | W); // not user
	expect(gva, GVA_READ | GVA_USER, GVA_PROTECTION, 0);
	rig_put64(TABLE(1), TABLE(2) | P | W | U | NX);
	expect(gva, GVA_EXECUTE | GVA_USER, GVA_PROTECTION, 0);
	expect(gva, GVA_WRITE | GVA_USER, GVA_OK, 0x5000);
}

Test(gva, reserved_bits, .init = setup)
{
	const uint64_t gva = 0x400000;

	long_mode();
	map8(gva, 4, 1, 0x5000 | P | BIT(GPA_BITS));
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
	map8(gva, 4, 2, 0x400000 | P | PS | BIT(13));
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
	map8(gva, 4, 2, 0x400000 | P | PS | BIT(12)); // the PAT bit
	expect(gva, GVA_READ, GVA_OK, 0x400000);
	map8(gva, 4, 4, TABLE(1) | P | PS);
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
	mode(CR4_PAE, EFER_LME | EFER_LMA); // NX is reserved without EFER.NXE
	map8(gva, 4, 1, 0x5000 | P | NX);
	expect(gva, GVA_READ, GVA_RESERVED_BITS, 0);
}

Test(gva, tables_outside_of_memory, .init = setup)
{
	long_mode();
	rig_set(vp, HvX64RegisterCr3, 0x7ffffffff000);
	expect(0, GVA_READ, GVA_UNMAPPED_GPA, 0);
}

Test(gva, fetch_ends_where_the_code_does, .init = setup)
{
	const uint64_t gva = 0x400000;
	uint8_t bytes[15];

	long_mode();
	map8(gva, 4, 1, 0x5000 | P | W | U);
	memset(rig.memory + 0x5000, 0x90, PAGE_SIZE);
	vp->regs.rip = gva + PAGE_SIZE - 4;
	cr_expect_eq(gva_fetch(vp, bytes, sizeof(bytes)), 4);
	vp->regs.rip = gva + PAGE_SIZE - 20;
	cr_expect_eq(gva_fetch(vp, bytes, sizeof(bytes)), 15);
	vp->regs.rip = 0x123400000;
	cr_expect_eq(gva_fetch(vp, bytes, sizeof(bytes)), 0);
}

Test(gva, fetch_adds_the_segment_base, .init = setup)
{
	struct hv_register_value *cs = rig_register(vp, HvX64RegisterCs);
	uint8_t bytes[2];

	rig_set(vp, HvX64RegisterCr0, 0);
	rig_set(vp, HvX64RegisterEfer, 0);
	cs->segment.base = 0x3000;
	cs->segment.attributes = HV_X64_SEGMENT_PRESENT;
	rig.memory[0x3010] = 0xf4;
	vp->regs.rip = 0x10;
	cr_expect_eq(gva_fetch(vp, bytes, 2), 2);
	cr_expect_eq(bytes[0], 0xf4);
}
