// SPDX-License-Identifier: BSD-2-Clause
// Which hypervisor is below, and what it lets this partition do (TLFS: Feature and Interface
// Discovery). All by CPUID: any context, and nothing has to be enabled before.
#ifndef LUMEN_DETECT_H
#define LUMEN_DETECT_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/cpuid.h"
#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// What lumen_detect() finds. Fields of an interface that is not there are zero.
struct lumen_hypervisor {
	bool present; // there is some hypervisor (CPUID 1 ECX bit 31)
	bool hyperv;  // it has the Hyper-V interface ("Hv#1"): the rest of the SDK works

	char vendor[13];    // of leaf 0x40000000: "Microsoft Hv", "KVMKVMKVM", "XenVMMXenVMM", ...
	uint32_t last_leaf; // of the Hyper-V range

	// HV_CPUID_VERSION.
	uint16_t major, minor;
	uint32_t build;
	uint32_t service_pack; // EDX bits 23:0 are the service number, 31:24 its branch
	uint64_t privileges;   // HV_PRIVILEGE_*
	uint32_t features;     // HV_FEATURE_EDX_*
	uint32_t power;	       // HV_FEATURE_ECX_*
	uint32_t hints;	       // HV_HINT_*
	uint32_t spin_retries; // HV_SPINLOCK_RETRIES_NEVER: never notify
	uint32_t address_bits; // of physical addresses, 0: not said
	uint32_t max_vps;      // of this partition, 0: not said
	uint32_t hardware;     // HV_HARDWARE_*
	uint32_t nested;       // HV_CPUID_NESTED_FEATURES EAX

	// The first leaf of other interfaces that are there too; 0: not there. A kernel that has
	// drivers for them can choose.
	uint32_t kvm_leaf;	// "KVMKVMKVM"
	uint32_t xen_leaf;	// "XenVMMXenVMM"
	uint32_t lumen_leaf;	// "LumenLumenHv": the hypervisor is Lumen
	uint32_t lumen_version; // major << 16 | minor
};

// Fills *found in from CPUID. Returns found->hyperv.
bool lumen_detect(struct lumen_hypervisor *found);

// Whether the Hyper-V interface is there and the partition has all of these privileges
// (HV_PRIVILEGE_*; with HV_PRIVILEGE_NONE: whether the interface is there). The answers of CPUID
// are read once (an intercept each) and kept, so this is cheap enough for any path.
bool lumen_has(uint64_t privileges);

// The same for feature bits (HV_FEATURE_EDX_*), all of them.
bool lumen_has_features(uint32_t features);

// What the hypervisor recommends (HV_HINT_*), all of them.
bool lumen_is_advised(uint32_t hints);

// How often to try a lock before HvCallNotifyLongSpinWait (TLFS: Implementation Recommendations);
// HV_SPINLOCK_RETRIES_NEVER: the hypervisor does not want to know.
uint32_t lumen_spin_retries(void);

LUMEN_DECLS_END

#endif
