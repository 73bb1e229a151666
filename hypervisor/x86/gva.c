// SPDX-License-Identifier: BSD-2-Clause
// Page walks in software (APM2 chapter 5). Protection keys are not looked at.
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/state.h"
#include "x86/insn.h"

enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4, PTE_LARGE = 0x80 };
#define PTE_NX	    BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define RFLAGS_AC   BIT(18)

enum { SEGMENT_LONG = 1 << 13, SEGMENT_DEFAULT_32 = 1 << 14, SEGMENT_DPL_SHIFT = 5 };

static const struct format {
	unsigned int levels, entry_size, index_bits;
	uint64_t cr3_mask;
} formats[] = { { 2, 4, 10, 0xfffff000 }, { 3, 8, 9, 0xffffffe0 }, { 4, 8, 9, PTE_ADDRESS } };

struct walk {
	struct vp *vp;
	const struct format *format;
	uint64_t gva, cr0, cr4, efer;
	unsigned int access;
	uint64_t table;
	uint64_t rights; // PTE_WRITE and PTE_USER of all levels, PTE_NX of any
};

unsigned int vp_code_mode(struct vp *vp, uint64_t *base)
{
	struct hv_register_value cs = { 0 };

	backend->get_register(vp, HvX64RegisterCs, &cs);
	*base = cs.segment.base;
	if (cs.segment.attributes & SEGMENT_LONG && vp_reg64(vp, HvX64RegisterEfer) & EFER_LMA) {
		*base = 0;
		return 64;
	}
	return cs.segment.attributes & SEGMENT_DEFAULT_32 ? 32 : 16;
}

unsigned int vp_cpl(struct vp *vp)
{
	struct hv_register_value ss = { 0 };

	backend->get_register(vp, HvX64RegisterSs, &ss);
	return ss.segment.attributes >> SEGMENT_DPL_SHIFT & 3;
}

static void walk_init(struct walk *w)
{
	w->format = &formats[!(w->cr4 & CR4_PAE) ? 0 : w->efer & EFER_LMA ? 2 : 1];
	w->table = vp_reg64(w->vp, HvX64RegisterCr3) & w->format->cr3_mask;
	w->rights = PTE_WRITE | PTE_USER;
}

static unsigned int level_shift(const struct walk *w, unsigned int level)
{
	return PAGE_SHIFT + (level - 1) * w->format->index_bits;
}

static bool canonical(const struct walk *w)
{
	unsigned int unused_bits = 64 - level_shift(w, w->format->levels + 1);

	if (w->format->levels < 4)
		return w->gva <= UINT32_MAX;
	return (uint64_t)((int64_t)(w->gva << unused_bits) >> unused_bits) == w->gva;
}

static bool may_be_large(const struct walk *w, unsigned int level)
{
	if (w->format->entry_size == 4)
		return level == 2 && w->cr4 & CR4_PSE;
	return level == 2 || (level == 3 && w->format->levels > 3);
}

// Bits that must be zero in an entry of the 8-byte formats; what lies beyond the second-level map
// counts among them.
static uint64_t reserved_bits(const struct walk *w, unsigned int level, bool large)
{
	uint64_t reserved = PTE_ADDRESS & ~(BIT(GPA_BITS) - 1);

	if (w->format->entry_size == 4)
		return 0;
	if (!(w->efer & EFER_NXE))
		reserved |= PTE_NX;
	if (w->format->levels == 3 && level == 3) // PDPTE of PAE paging (APM2 5.2.3)
		return reserved | PTE_NX | 0x1e6;
	if (level >= 4)
		reserved |= PTE_LARGE;
	if (large) // bit 12 is the PAT bit
		reserved |= (BIT(level_shift(w, level)) - 1) & ~0x1fffull;
	return reserved;
}

static uint64_t leaf_address(const struct walk *w, unsigned int level, uint64_t entry)
{
	uint64_t offset_mask = BIT(level_shift(w, level)) - 1;
	uint64_t base = entry & PTE_ADDRESS & ~offset_mask;

	if (w->format->entry_size == 4 && level == 2) // PSE-36: bits 20:13 are address bits 39:32
		base |= (entry >> 13 & 0xff) << 32;
	return base | (w->gva & offset_mask);
}

static bool permitted(const struct walk *w)
{
	bool user_page = w->rights & PTE_USER, user = w->access & GVA_USER;
	bool execute = w->access & GVA_EXECUTE;

	if ((user && !user_page) || (execute && w->rights & PTE_NX))
		return false;
	if (w->access & GVA_WRITE && !(w->rights & PTE_WRITE) && (user || w->cr0 & CR0_WP))
		return false;
	if (user || !user_page)
		return true;
	return execute ? !(w->cr4 & CR4_SMEP)
		       : !(w->cr4 & CR4_SMAP) || w->vp->regs.rflags & RFLAGS_AC;
}

// One level: reads the entry and checks it. *LEAF: it maps the page.
static enum gva_result step(struct walk *w, unsigned int level, uint64_t *entry, bool *leaf)
{
	unsigned int size = w->format->entry_size;
	uint64_t index = w->gva >> level_shift(w, level) & (PAGE_SIZE / size - 1);
	bool pdpte = w->format->levels == 3 && level == 3;

	*entry = 0;
	if (!guest_read(w->vp->partition, gpa(w->table + index * size), entry, size))
		return GVA_UNMAPPED_GPA;
	if (!(*entry & PTE_PRESENT))
		return GVA_NOT_PRESENT;
	*leaf = level == 1 || (*entry & PTE_LARGE && may_be_large(w, level));
	if (*entry & reserved_bits(w, level, *leaf && level > 1))
		return GVA_RESERVED_BITS;
	if (!pdpte) // those have no rights
		w->rights = (w->rights & (*entry | PTE_NX)) | (*entry & PTE_NX);
	return GVA_OK;
}

enum gva_result gva_translate(struct vp *vp, uint64_t gva, unsigned int access, gpa_t *gpa_out)
{
	struct walk w = { .vp = vp, .gva = gva, .access = access };
	enum gva_result result;
	uint64_t entry;
	bool leaf;

	w.cr0 = vp_reg64(vp, HvX64RegisterCr0);
	if (!(w.cr0 & CR0_PG)) {
		*gpa_out = gpa((uint32_t)gva);
		return GVA_OK;
	}
	w.cr4 = vp_reg64(vp, HvX64RegisterCr4);
	w.efer = vp_reg64(vp, HvX64RegisterEfer);
	walk_init(&w);
	if (!canonical(&w))
		return GVA_NOT_PRESENT;
	for (unsigned int level = w.format->levels;; level--) {
		result = step(&w, level, &entry, &leaf);
		if (result != GVA_OK)
			return result;
		if (leaf) {
			*gpa_out = gpa(leaf_address(&w, level, entry));
			return permitted(&w) ? GVA_OK : GVA_PROTECTION;
		}
		w.table = entry & PTE_ADDRESS;
	}
}

unsigned int gva_fetch(struct vp *vp, uint8_t *bytes, unsigned int max)
{
	unsigned int access = GVA_EXECUTE | (vp_cpl(vp) == 3 ? GVA_USER : 0), done = 0;
	uint64_t base, mask = vp_code_mode(vp, &base) == 64 ? UINT64_MAX : UINT32_MAX;
	uint64_t address = (base + vp->regs.rip) & mask;

	while (done < max) {
		unsigned int chunk = MIN(max - done, PAGE_SIZE - address % PAGE_SIZE);
		gpa_t from;

		if (gva_translate(vp, address, access, &from) != GVA_OK ||
			!guest_read(vp->partition, from, bytes + done, chunk))
			break;
		done += chunk;
		address = (address + chunk) & mask;
	}
	return done;
}

unsigned int gva_two_byte_length(struct vp *vp)
{
	uint8_t bytes[15];
	unsigned int count = gva_fetch(vp, bytes, sizeof(bytes)), prefixes = 0;

	while (prefixes + 2 < count && bytes[prefixes] != 0x0f)
		prefixes++;
	return prefixes + 2;
}

bool gva_fetch_insn(struct vp *vp, struct insn *insn)
{
	uint8_t bytes[15];
	uint64_t base;
	unsigned int count = gva_fetch(vp, bytes, sizeof(bytes));

	return insn_decode(bytes, count, vp_code_mode(vp, &base), insn);
}
