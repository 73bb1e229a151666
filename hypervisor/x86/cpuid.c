// SPDX-License-Identifier: BSD-2-Clause
// CPUID as guests see it: the processor's leaves through masks (what is not named here is hidden),
// and the TLFS's own.
#include "hypercall/cpuid.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/cpuid_features.h"
#include "hypervisor/x86/state.h"
#include "hypervisor/x86/vapic_internal.h"

enum {
	MAX_BASIC = 0xd,
	MAX_EXTENDED = 0x80000021,
	LUMEN_VERSION = 0x00000001, // 0.1
	LUMEN_REVISION = 0,
	SPIN_RETRIES = 0xfff, // before HvCallNotifyLongSpinWait
};

#define ALL 0xffffffffu

// Leaf 1 ECX and EDX bits with a meaning of their own here.
#define CPUID1_ECX_X2APIC	(1u << 21)
#define CPUID1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID1_ECX_OSXSAVE	(1u << 27)
#define CPUID1_EDX_MCE		(1u << 7)
#define CPUID1_EDX_APIC		(1u << 9)
#define CPUID1_EDX_MCA		(1u << 14)
#define CPUID1_EDX_HTT		(1u << 28)
#define CPUID7_ECX_OSPKE	(1u << 4)
#define CPUID81_ECX_CMP_LEGACY	(1u << 1)
#define CPUID87_EDX_INVARIANT	(1u << 8)

#define XSAVE_HEADER_END 576u // legacy area and header

#define ANY	  0xff // subleaf: the leaf has none
#define FIX(name) static void name(struct vp *vp, uint32_t subleaf, struct cpuid_result *r)

struct cpuid_result host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	if (leaf > cpuid(leaf & 0x80000000, 0).eax)
		return (struct cpuid_result){ 0 };
	return cpuid(leaf, subleaf);
}

// --- features ---

enum backing { INSN, FACT, OURS, XSTATE, MSR, CR4, EFER, SPEC_CTRL, VIRT_SPEC_CTRL };

// XSTATE: a bit of XCR0 that 32 bits hold; of the others all fit.
struct feature {
	uint8_t bit, backing;
	uint32_t what;
};

#define FEATURE(bit, name, backing, what) { bit, backing, what },
#define FEATURES(list)                                                                             \
	(const struct feature[])                                                                   \
	{                                                                                          \
		list(FEATURE)                                                                      \
	}
#define COUNT_ONE(...) +1
#define WORD(leaf, subleaf, reg, list)                                                             \
	{                                                                                          \
		leaf, subleaf, offsetof(struct cpuid_result, reg), 0 list(COUNT_ONE),              \
			FEATURES(list)                                                             \
	}

// The registers that have a list of their own; the rows of leaves[] below leave them alone.
static const struct word {
	uint32_t leaf;
	uint8_t subleaf, offset, count;
	const struct feature *features;
} words[] = {
	WORD(0x00000001, ANY, ecx, CPUID_1_ECX),
	WORD(0x00000001, ANY, edx, CPUID_1_EDX),
	WORD(0x00000007, 0, ebx, CPUID_7_EBX),
	WORD(0x00000007, 0, ecx, CPUID_7_ECX),
	WORD(0x00000007, 0, edx, CPUID_7_EDX),
	WORD(0x00000007, 1, eax, CPUID_7_1_EAX),
	WORD(0x0000000d, 1, eax, CPUID_D_1_EAX),
	WORD(0x80000001, ANY, ecx, CPUID_81_ECX),
	WORD(0x80000001, ANY, edx, CPUID_81_EDX),
	WORD(0x80000008, ANY, ebx, CPUID_88_EBX),
	WORD(0x80000021, ANY, eax, CPUID_821_EAX),
};

static uint32_t *word_of(const struct word *word, struct cpuid_result *r)
{
	return (uint32_t *)((char *)r + word->offset);
}

static bool is_offered(const struct feature *feature, uint32_t host)
{
	return host >> feature->bit & 1 &&
	       (feature->backing != XSTATE || host_xcr0 >> feature->what & 1);
}

static uint32_t offered(const struct word *word, uint32_t host)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < word->count; i++)
		if (is_offered(&word->features[i], host))
			bits |= 1u << word->features[i].bit;
	return bits;
}

static const uint8_t control_backing[GUEST_CONTROLS] = { [GUEST_CR4] = CR4,
	[GUEST_EFER] = EFER,
	[GUEST_SPEC_CTRL] = SPEC_CTRL,
	[GUEST_VIRT_SPEC_CTRL] = VIRT_SPEC_CTRL };

// What every processor has and kernels set without looking: machine checks come to the hypervisor
// whatever CR4.MCE says, and there is no counter for RDPMC.
static uint64_t control_always(enum guest_control control)
{
	return control == GUEST_CR4 ? CR4_MCE | CR4_PCE : 0;
}

static uint64_t find_control_bits(enum guest_control control)
{
	uint64_t bits = control_always(control);

	for (const struct word *word = words; word < words + ARRAY_SIZE(words); word++) {
		struct cpuid_result r = host_cpuid(word->leaf, word->subleaf);

		for (unsigned int i = 0; i < word->count; i++)
			if (word->features[i].backing == control_backing[control] &&
				is_offered(&word->features[i], *word_of(word, &r)))
				bits |= word->features[i].what;
	}
	return bits;
}

uint64_t guest_control_bits(enum guest_control control)
{
	static uint64_t known[GUEST_CONTROLS]; // plus one; whoever comes first asks the processor
	uint64_t bits = READ_ONCE(known[control]);

	if (!bits) {
		bits = find_control_bits(control) + 1;
		WRITE_ONCE(known[control], bits);
	}
	return bits - 1;
}

// --- topology: one package, each VP a core with caches of its own ---

static uint32_t core_count(const struct vp *vp)
{
	return MAX(READ_ONCE(vp->partition->vp_count), 1u);
}

// Bits of an APIC id that tell cores apart.
static unsigned int core_bits(const struct vp *vp)
{
	unsigned int bits = 0;

	while (1u << bits < core_count(vp))
		bits++;
	return bits;
}

// In what leaf 1 and 0x80000001 have in common.
static void hide_absent(const struct vp *vp, struct cpuid_result *r)
{
	if (vapic_mode(vp) == VAPIC_DISABLED)
		r->edx &= ~CPUID1_EDX_APIC;
	if (!vp->partition->is_root)
		r->edx &= ~(CPUID1_EDX_MCE | CPUID1_EDX_MCA);
}

FIX(fix_features)
{
	uint32_t cores = core_count(vp);

	r->ebx = (r->ebx & 0xffff) | MIN(cores, 0xff) << 16 | vp->apic.id << 24;
	if (vp_reg64(vp, HvX64RegisterCr4) & CR4_OSXSAVE)
		r->ecx |= CPUID1_ECX_OSXSAVE;
	if (cores > 1)
		r->edx |= CPUID1_EDX_HTT;
	hide_absent(vp, r);
}

FIX(fix_intel_caches)
{
	r->eax &= 0x3ff; // no sharing
	if (r->eax & 0x1f)
		r->eax |= MIN(core_count(vp) - 1, 0x3fu) << 26;
}

FIX(fix_structured)
{
	r->eax = MIN(r->eax, 1u); // subleaves
	if (vp_reg64(vp, HvX64RegisterCr4) & CR4_PKE)
		r->ecx |= CPUID7_ECX_OSPKE;
}

FIX(fix_topology)
{
	enum { LEVEL_THREAD = 1 << 8, LEVEL_CORE = 2 << 8 };

	r->ecx = subleaf & 0xff;
	r->edx = vp->apic.id;
	if (subleaf == 0) {
		r->ebx = 1;
		r->ecx |= LEVEL_THREAD;
	} else if (subleaf == 1) {
		r->eax = core_bits(vp);
		r->ebx = core_count(vp);
		r->ecx |= LEVEL_CORE;
	}
}

// Where the XSAVE image (standard format) of COMPONENTS ends.
static uint32_t xsave_size(uint64_t components)
{
	uint32_t end = XSAVE_HEADER_END;

	for (unsigned int i = 2; i < 63; i++) {
		if (components & BIT(i)) {
			struct cpuid_result r = host_cpuid(0xd, i);

			end = MAX(end, r.eax + r.ebx);
		}
	}
	return end;
}

FIX(fix_xsave)
{
	*r = (struct cpuid_result){ host_xcr0, xsave_size(vp_xcr0(vp)), xsave_size(host_xcr0),
		host_xcr0 >> 32 };
}

FIX(fix_xsave_component)
{
	if (subleaf > 62 || !(host_xcr0 & BIT(subleaf)))
		*r = (struct cpuid_result){ 0 };
}

FIX(fix_extended_max)
{
	r->eax = MIN(r->eax, (uint32_t)MAX_EXTENDED);
}

FIX(fix_extended_features)
{
	if (core_count(vp) > 1)
		r->ecx |= CPUID81_ECX_CMP_LEGACY;
	hide_absent(vp, r);
}

// TLFS: HV_X64_MSR_TSC_INVARIANT_CONTROL decides whether the bit is shown.
FIX(fix_invariant_tsc)
{
	if (READ_ONCE(vp->partition->tsc_invariant_control) & HV_TSC_INVARIANT_CONTROL_EXPOSE)
		r->edx = CPUID87_EDX_INVARIANT;
}

uint32_t guest_address_bits(void)
{
	return MIN(host_cpuid(0x80000008, 0).eax & 0xff, (uint32_t)GPA_BITS);
}

FIX(fix_address_sizes)
{
	r->eax = guest_address_bits() | MIN(r->eax >> 8 & 0xff, 48u) << 8;
	r->ecx = core_bits(vp) << 12 | MIN(core_count(vp) - 1, 0xffu);
}

FIX(fix_amd_topology)
{
	r->eax = vp->apic.id;
	r->ebx = vp->apic.id & 0xff;
}

FIX(hv_features)
{
	r->eax = vp->partition->privileges;
	r->ebx = vp->partition->privileges >> 32;
}

FIX(hv_hints)
{
	r->ecx = guest_address_bits();
}

FIX(lumen_trace)
{
	if (vp->partition->is_root)
		*r = (struct cpuid_result){ trace_spa, trace_spa >> 32, trace_bytes, 0 };
}

// The answer: what MASK leaves of the processor's, its features that are offered, and SET, then
// what FIX makes of that.
struct leaf {
	uint32_t number;
	uint8_t subleaf; // or ANY; of several rows the first one counts
	struct cpuid_result mask, set;
	void (*fix)(struct vp *vp, uint32_t subleaf, struct cpuid_result *r);
};

#define NONE                                                                                       \
	{                                                                                          \
		0, 0, 0, 0                                                                         \
	}
#define PASS                                                                                       \
	{                                                                                          \
		ALL, ALL, ALL, ALL                                                                 \
	}
#define FEATURES_1_ECX                                                                             \
	(CPUID1_ECX_X2APIC | CPUID1_ECX_TSC_DEADLINE | HV_CPUID_1_ECX_HYPERVISOR_PRESENT)
#define FEATURES_EDX                                                                               \
	(HV_FEATURE_EDX_FREQUENCY_REGS | HV_FEATURE_EDX_GUEST_CRASH_REGS |                         \
		HV_FEATURE_EDX_SINT_POLLING | HV_FEATURE_EDX_HYPERCALL_MSR_LOCK |                  \
		HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS | HV_FEATURE_EDX_XMM_FAST_INPUT |           \
		HV_FEATURE_EDX_XMM_FAST_OUTPUT | HV_FEATURE_EDX_GUEST_IDLE)
// Each of these saves exits. Local flushes by hypercall would cost some: INVLPG and MOV to CR3 do
// not exit. Linux uses the EOI assist only with MSR_FOR_APIC, in x2APIC mode too. AutoEOI is not
// deprecated: it needs no EOI at all.
#define HINTS                                                                                      \
	(HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH | HV_HINT_MSR_FOR_APIC | HV_HINT_RELAXED_TIMING |      \
		HV_HINT_SYNTHETIC_CLUSTER_IPI | HV_HINT_EX_PROCESSOR_MASKS)

static const struct leaf leaves[] = {
	{ 0x00000000, ANY, { 0, ALL, ALL, ALL }, { MAX_BASIC, 0, 0, 0 }, NULL },
	{ 0x00000001, ANY, { ALL, 0xffff, 0, 0 }, { 0, 0, FEATURES_1_ECX, 0 }, fix_features },
	{ 0x00000002, ANY, PASS, NONE, NULL },
	{ 0x00000004, ANY, PASS, NONE, fix_intel_caches },
	{ 0x00000006, ANY, NONE, { 1 << 2, 0, 0, 0 }, NULL }, // ARAT: the timer does not stop
	{ 0x00000007, 0, { ALL, 0, 0, 0 }, NONE, fix_structured },
	{ 0x00000007, 1, NONE, NONE, NULL },
	{ 0x0000000b, ANY, NONE, NONE, fix_topology },
	{ 0x0000000d, 0, NONE, NONE, fix_xsave },
	{ 0x0000000d, 1, NONE, NONE, NULL },
	{ 0x0000000d, ANY, PASS, NONE, fix_xsave_component },
	{ 0x80000000, ANY, PASS, NONE, fix_extended_max },
	{ 0x80000001, ANY, { ALL, ALL, 0, 0 }, NONE, fix_extended_features },
	{ 0x80000002, ANY, PASS, NONE, NULL }, // name
	{ 0x80000003, ANY, PASS, NONE, NULL },
	{ 0x80000004, ANY, PASS, NONE, NULL },
	{ 0x80000005, ANY, PASS, NONE, NULL }, // caches and TLBs
	{ 0x80000006, ANY, PASS, NONE, NULL },
	{ 0x80000007, ANY, NONE, NONE, fix_invariant_tsc },
	{ 0x80000008, ANY, { ALL, 0, 0, 0 }, NONE, fix_address_sizes },
	{ 0x80000019, ANY, { ALL, ALL, 0, 0 }, NONE, NULL },	    // TLBs
	{ 0x8000001a, ANY, { ALL, 0, 0, 0 }, NONE, NULL },	    // performance hints
	{ 0x8000001d, ANY, { 0x3fff, ALL, ALL, ALL }, NONE, NULL }, // caches: no sharing
	{ 0x8000001e, ANY, NONE, NONE, fix_amd_topology },
	{ 0x80000021, ANY, NONE, NONE, NULL },
	{ HV_CPUID_VENDOR, ANY, NONE,
		{ HV_CPUID_HARDWARE_FEATURES, HV_VENDOR_EBX, HV_VENDOR_ECX, HV_VENDOR_EDX }, NULL },
	{ HV_CPUID_INTERFACE, ANY, NONE, { HV_INTERFACE_SIGNATURE, 0, 0, 0 }, NULL },
	{ HV_CPUID_VERSION, ANY, NONE, { LUMEN_REVISION, LUMEN_VERSION, 0, 0 }, NULL },
	{ HV_CPUID_FEATURES, ANY, NONE, { 0, 0, 0, FEATURES_EDX }, hv_features },
	{ HV_CPUID_ENLIGHTENMENT_INFO, ANY, NONE, { HINTS, SPIN_RETRIES, 0, 0 }, hv_hints },
	{ HV_CPUID_LIMITS, ANY, NONE, { PARTITION_MAX_VPS, PCPU_MAX, 0, 0 }, NULL },
	{ HV_CPUID_HARDWARE_FEATURES, ANY, NONE,
		{ HV_HARDWARE_MSR_BITMAPS | HV_HARDWARE_SLAT, 0, 0, 0 }, NULL },
	{ LUMEN_CPUID_SIGNATURE, ANY, NONE,
		{ LUMEN_CPUID_TRACE, LUMEN_SIGNATURE_EBX, LUMEN_SIGNATURE_ECX,
			LUMEN_SIGNATURE_EDX },
		NULL },
	{ LUMEN_CPUID_VERSION, ANY, NONE, { LUMEN_VERSION, LUMEN_REVISION, 0, 0 }, NULL },
	{ LUMEN_CPUID_TRACE, ANY, NONE, NONE, lumen_trace },
};

static const struct leaf *find(uint32_t number, uint32_t subleaf)
{
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		if (leaves[i].number == number &&
			(leaves[i].subleaf == ANY || leaves[i].subleaf == subleaf))
			return &leaves[i];
	return NULL;
}

static void add_features(
	uint32_t leaf, uint32_t subleaf, struct cpuid_result *from, struct cpuid_result *to)
{
	for (const struct word *word = words; word < words + ARRAY_SIZE(words); word++)
		if (word->leaf == leaf && (word->subleaf == ANY || word->subleaf == subleaf))
			*word_of(word, to) |= offered(word, *word_of(word, from));
}

void cpuid_read(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
	const struct leaf *row = find(leaf, subleaf);
	struct cpuid_result r;

	*result = (struct cpuid_result){ 0 };
	if (!row)
		return;
	r = host_cpuid(leaf, subleaf);
	result->eax = (r.eax & row->mask.eax) | row->set.eax;
	result->ebx = (r.ebx & row->mask.ebx) | row->set.ebx;
	result->ecx = (r.ecx & row->mask.ecx) | row->set.ecx;
	result->edx = (r.edx & row->mask.edx) | row->set.edx;
	add_features(leaf, subleaf, &r, result);
	if (row->fix)
		row->fix(vp, subleaf, result);
}

void cpuid_exit(struct vp *vp, const struct vp_exit *exit)
{
	uint64_t *gpr = vp->regs.gpr;
	struct cpuid_result r;

	cpuid_read(vp, gpr[RAX], gpr[RCX], &r);
	intercept_override_cpuid(vp, gpr[RAX], gpr[RCX], &r);
	if (intercept_cpuid(vp, &r))
		return;
	gpr[RAX] = r.eax;
	gpr[RBX] = r.ebx;
	gpr[RCX] = r.ecx;
	gpr[RDX] = r.edx;
	vp_skip_insn(vp, exit->insn_length);
}
