// SPDX-License-Identifier: BSD-2-Clause
// Partition properties (TLFS: HV_PARTITION_PROPERTY_CODE).
#include "hypercall/partition.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/sched.h"
#include "hypervisor/x86/cpu.h"

#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000 // TLFS: HvPartitionPropertyCpuWeight
#define CAP_MIN	   (CPU_CAP_FULL / 100)

// A parent may take privileges away from a child, not give those of a parent.
static hv_status set_privileges(struct partition *p, uint64_t value)
{
	if (value & ~partition_default_privileges(false))
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	p->privileges = value;
	return HV_STATUS_SUCCESS;
}

// TLFS: HV_PARTITION_SYNTHETIC_PROCESSOR_FEATURES. What a child is not to see, it may not use
// either; CPUID follows from the privileges. Features that there are not are no error: VMMs ask for
// all they know.
// clang-format off
static const struct {
	uint64_t feature, privilege;
} synthetic_features[] = {
#define ROW(feature, privilege) { HV_SYNTHETIC_FEATURE_##feature, HV_PRIVILEGE_##privilege },
#define ACCESS(what)		ROW(what, ACCESS_##what)
	ACCESS(VP_RUNTIME) ACCESS(PARTITION_REFERENCE_COUNTER) ACCESS(SYNIC_REGS)
	ACCESS(SYNTHETIC_TIMER_REGS) ACCESS(INTR_CTRL_REGS) ACCESS(VP_INDEX)
	ACCESS(PARTITION_REFERENCE_TSC) ACCESS(FREQUENCY_REGS)
	ROW(HYPERCALL_REGS, ACCESS_HYPERCALL_MSRS) ROW(SIGNAL_EVENTS, SIGNAL_EVENTS)
};
// clang-format on

static hv_status set_synthetic_features(struct partition *p, uint64_t value)
{
	p->synthetic_features = value;
	for (unsigned int i = 0; i < ARRAY_SIZE(synthetic_features); i++)
		if (!(value & synthetic_features[i].feature))
			p->privileges &= ~synthetic_features[i].privilege;
	return HV_STATUS_SUCCESS;
}

static hv_status set_weight(struct partition *p, uint64_t value)
{
	if (value < WEIGHT_MIN || value > WEIGHT_MAX)
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	WRITE_ONCE(p->cpu_weight, value);
	return HV_STATUS_SUCCESS;
}

// A VP that has had its part waits for at most 2 slices / cap: with CAP_MIN that is a second.
static hv_status set_cap(struct partition *p, uint64_t value)
{
	struct vp *vp;

	if (value < CAP_MIN || value > CPU_CAP_FULL)
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	WRITE_ONCE(p->cpu_cap, value);
	partition_for_each_vp(vp, p) sched_look_again(READ_ONCE(vp->cpu));
	return HV_STATUS_SUCCESS;
}

static hv_status set_unimplemented_msr_action(struct partition *p, uint64_t value)
{
	if (value > HvUnimplementedMsrActionIgnoreWriteReadZero)
		return HV_STATUS_INVALID_PARAMETER;
	p->unimplemented_msr_action = value;
	return HV_STATUS_SUCCESS;
}

// With partition->lock held. No row: read-only. EARLY: only before the partition is initialized
// (TLFS: Early Properties).
static const struct setter {
	uint32_t code;
	bool early;
	hv_status (*set)(struct partition *partition, uint64_t value);
} setters[] = {
	{ HvPartitionPropertyPrivilegeFlags, true, set_privileges },
	{ HvPartitionPropertySyntheticProcFeatures, true, set_synthetic_features },
	{ HvPartitionPropertyCpuCap, false, set_cap },
	{ HvPartitionPropertyCpuWeight, false, set_weight },
	{ HvPartitionPropertyUnimplementedMsrAction, false, set_unimplemented_msr_action },
};

// The values of all properties there are, found by CODE.
static bool get_property(const struct partition *p, uint32_t code, uint64_t *value)
{
	const struct cpuid_result xsave = cpuid(0xd, 0);
	const bool intel = cpuid(0, 0).ecx == 0x6c65746e; // "ntel"
	const struct {
		uint32_t code;
		uint64_t value;
	} list[] = {
		{ HvPartitionPropertyPrivilegeFlags, p->privileges },
		{ HvPartitionPropertySyntheticProcFeatures, p->synthetic_features },
		{ HvPartitionPropertyCpuReserve, 0 },
		{ HvPartitionPropertyCpuCap, p->cpu_cap },
		{ HvPartitionPropertyCpuWeight, p->cpu_weight },
		{ HvPartitionPropertyReferenceTime, partition_reference_time(p, tsc_read()) },
		{ HvPartitionPropertyUnimplementedMsrAction, p->unimplemented_msr_action },
		{ HvPartitionPropertyProcessorVendor,
			intel ? HvProcessorVendorIntel : HvProcessorVendorAmd },
		{ HvPartitionPropertyProcessorCLFlushSize, (cpuid(1, 0).ebx >> 8 & 0xff) * 8 },
		{ HvPartitionPropertyCompatibilityVersion, HV_COMPATIBILITY_VERSION },
		{ HvPartitionPropertyPhysicalAddressWidth, cpuid(0x80000008, 0).eax & 0xff },
		{ HvPartitionPropertyXsaveStates, (uint64_t)xsave.edx << 32 | xsave.eax },
		{ HvPartitionPropertyMaxXsaveDataSize, xsave.ecx },
		{ HvPartitionPropertyProcessorClockFrequency, tsc_hz },
		{ HvPartitionPropertyGuestOsId, p->guest_os_id },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
		*value = list[i].value;
		if (list[i].code == code)
			return true;
	}
	return false;
}

HANDLER(GetPartitionProperty, get_partition_property)
{
	struct hv_output_get_partition_property *out = call->out;

	if (!get_property(target, in->property_code, &out->property_value))
		return HV_STATUS_UNKNOWN_PROPERTY;
	return target->state == PARTITION_FINALIZED ? HV_STATUS_INVALID_PARTITION_STATE
						    : HV_STATUS_SUCCESS;
}

HANDLER(SetPartitionProperty, set_partition_property)
{
	const struct setter *setter = setters, *end = &setters[ARRAY_SIZE(setters)];
	uint64_t before;

	if (!get_property(target, in->property_code, &before))
		return HV_STATUS_UNKNOWN_PROPERTY;
	while (setter < end && setter->code != in->property_code)
		setter++;
	if (setter == end)
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	spin_guard(&target->lock);
	if (target->state == PARTITION_FINALIZED ||
		(setter->early && target->state != PARTITION_CREATED))
		return HV_STATUS_INVALID_PARTITION_STATE;
	return setter->set(target, in->property_value);
}
