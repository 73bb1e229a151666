// SPDX-License-Identifier: BSD-2-Clause
// Detection by CPUID (TLFS: Feature and Interface Discovery).
#include "lumen/detect.h"

#include "guest-sdk/arch.h"

// Hypervisors that offer several interfaces put them at multiples of 0x100 (Xen: xen/arch-x86/
// cpuid.h; KVM with hv-* does the same).
enum { LEAF_STEP = 0x100, LEAF_END = 0x40010000, LEAF_LAST_NEEDED = HV_CPUID_LIMITS };

struct signature {
	uint32_t ebx, ecx, edx;
};

static const struct signature kvm = { 0x4b4d564b, 0x564b4d56, 0x0000004d }; // KVMKVMKVM
static const struct signature xen = { 0x566e6558, 0x65584d4d, 0x4d4d566e }; // XenVMMXenVMM
static const struct signature lumen = { LUMEN_SIGNATURE_EBX, LUMEN_SIGNATURE_ECX,
	LUMEN_SIGNATURE_EDX };

static bool has_signature(const struct arch_cpuid *leaf, const struct signature *s)
{
	return leaf->ebx == s->ebx && leaf->ecx == s->ecx && leaf->edx == s->edx;
}

static bool is_virtual(void)
{
	return arch_cpuid(1).ecx & HV_CPUID_1_ECX_HYPERVISOR_PRESENT;
}

// TLFS: the interface's leaves go up to 0x40000005 at least.
static bool is_hyperv(void)
{
	return arch_cpuid(HV_CPUID_VENDOR).eax >= LEAF_LAST_NEEDED &&
	       arch_cpuid(HV_CPUID_INTERFACE).eax == HV_INTERFACE_SIGNATURE;
}

static void spell(char *text, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		text[i] = (char)(word >> 8 * i);
}

static void find_others(struct lumen_hypervisor *found)
{
	for (uint32_t leaf = HV_CPUID_VENDOR; leaf < LEAF_END; leaf += LEAF_STEP) {
		struct arch_cpuid r = arch_cpuid(leaf);

		if (has_signature(&r, &kvm) && !found->kvm_leaf)
			found->kvm_leaf = leaf;
		if (has_signature(&r, &xen) && !found->xen_leaf)
			found->xen_leaf = leaf;
		if (has_signature(&r, &lumen) && !found->lumen_leaf)
			found->lumen_leaf = leaf;
	}
	if (found->lumen_leaf)
		found->lumen_version = arch_cpuid(found->lumen_leaf + 1).eax;
}

static void read_version(struct lumen_hypervisor *found)
{
	struct arch_cpuid r = arch_cpuid(HV_CPUID_VERSION);

	found->build = r.eax;
	found->major = (uint16_t)(r.ebx >> 16);
	found->minor = (uint16_t)r.ebx;
	found->service_pack = r.edx;
}

static uint64_t privileges_of(const struct arch_cpuid *features)
{
	return (uint64_t)features->ebx << 32 | features->eax;
}

static void read_features(struct lumen_hypervisor *found)
{
	struct arch_cpuid r = arch_cpuid(HV_CPUID_FEATURES);

	found->privileges = privileges_of(&r);
	found->power = r.ecx;
	found->features = r.edx;
	r = arch_cpuid(HV_CPUID_ENLIGHTENMENT_INFO);
	found->hints = r.eax;
	found->spin_retries = r.ebx;
	found->address_bits = r.ecx & HV_HINT_ECX_PHYSICAL_ADDRESS_BITS_MASK;
	found->max_vps = arch_cpuid(HV_CPUID_LIMITS).eax;
	if (found->last_leaf >= HV_CPUID_HARDWARE_FEATURES)
		found->hardware = arch_cpuid(HV_CPUID_HARDWARE_FEATURES).eax;
	if (found->last_leaf >= HV_CPUID_NESTED_FEATURES)
		found->nested = arch_cpuid(HV_CPUID_NESTED_FEATURES).eax;
}

bool lumen_detect(struct lumen_hypervisor *found)
{
	struct arch_cpuid vendor;

	*found = (struct lumen_hypervisor){ .present = is_virtual() };
	if (!found->present)
		return false;
	vendor = arch_cpuid(HV_CPUID_VENDOR);
	spell(found->vendor, vendor.ebx);
	spell(found->vendor + 4, vendor.ecx);
	spell(found->vendor + 8, vendor.edx);
	find_others(found);
	found->hyperv = is_hyperv();
	if (found->hyperv) {
		found->last_leaf = vendor.eax;
		read_version(found);
		read_features(found);
	}
	return found->hyperv;
}

// What was read once. All processors that read it at the same time write the same.
static struct {
	uint64_t privileges;
	uint32_t features, hints, spin_retries;
	bool hyperv;
	uint8_t looked;
} known;

static bool look(void)
{
	struct arch_cpuid r;

	if (__atomic_load_n(&known.looked, __ATOMIC_ACQUIRE))
		return known.hyperv;
	if (is_virtual() && is_hyperv()) {
		r = arch_cpuid(HV_CPUID_FEATURES);
		known.privileges = privileges_of(&r);
		known.features = r.edx;
		r = arch_cpuid(HV_CPUID_ENLIGHTENMENT_INFO);
		known.hints = r.eax;
		known.spin_retries = r.ebx;
		known.hyperv = true;
	}
	__atomic_store_n(&known.looked, 1, __ATOMIC_RELEASE);
	return known.hyperv;
}

bool lumen_has(uint64_t privileges)
{
	return look() && (known.privileges & privileges) == privileges;
}

bool lumen_has_features(uint32_t features)
{
	return look() && (known.features & features) == features;
}

bool lumen_is_advised(uint32_t hints)
{
	return look() && (known.hints & hints) == hints;
}

uint32_t lumen_spin_retries(void)
{
	return look() ? known.spin_retries : HV_SPINLOCK_RETRIES_NEVER;
}
