// SPDX-License-Identifier: BSD-2-Clause
// Partition properties (TLFS: HV_PARTITION_PROPERTY_CODE): one row each.
#include "hypercall/partition.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/x86/cpu.h"

#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000 // TLFS: HvPartitionPropertyCpuWeight

struct property {
	uint32_t code;
	bool early; // may be set before the partition is initialized, and only then (TLFS: Early
		    // Properties)
	uint64_t (*get)(const struct partition *partition);
	hv_status (*set)(struct partition *partition,
		uint64_t value); // NULL: read-only. partition->lock held
};

static uint64_t get_privileges(const struct partition *p)
{
	return p->privileges;
}

// A parent may take privileges away from a child, not give those of a parent.
static hv_status set_privileges(struct partition *p, uint64_t value)
{
	if (value & ~partition_default_privileges(false))
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	p->privileges = value;
	return HV_STATUS_SUCCESS;
}

static uint64_t get_synthetic_features(const struct partition *p)
{
	return p->synthetic_features;
}

// TLFS: HV_PARTITION_SYNTHETIC_PROCESSOR_FEATURES. What a child is not to see, it may not use
// either; CPUID follows from the privileges. Features that there are not are no error: VMMs ask for
// all they know.
static const struct {
	uint64_t feature, privilege;
} synthetic_features[] = {
	{ HV_SYNTHETIC_FEATURE_VP_RUNTIME, HV_PRIVILEGE_VP_RUNTIME },
	{ HV_SYNTHETIC_FEATURE_PARTITION_REFERENCE_COUNTER,
		HV_PRIVILEGE_PARTITION_REFERENCE_COUNTER },
	{ HV_SYNTHETIC_FEATURE_SYNIC_REGS, HV_PRIVILEGE_SYNIC_REGS },
	{ HV_SYNTHETIC_FEATURE_SYNTHETIC_TIMER_REGS, HV_PRIVILEGE_SYNTHETIC_TIMER_REGS },
	{ HV_SYNTHETIC_FEATURE_INTR_CTRL_REGS, HV_PRIVILEGE_INTR_CTRL_REGS },
	{ HV_SYNTHETIC_FEATURE_HYPERCALL_REGS, HV_PRIVILEGE_HYPERCALL_MSRS },
	{ HV_SYNTHETIC_FEATURE_VP_INDEX, HV_PRIVILEGE_VP_INDEX },
	{ HV_SYNTHETIC_FEATURE_PARTITION_REFERENCE_TSC, HV_PRIVILEGE_PARTITION_REFERENCE_TSC },
	{ HV_SYNTHETIC_FEATURE_FREQUENCY_REGS, HV_PRIVILEGE_FREQUENCY_REGS },
	{ HV_SYNTHETIC_FEATURE_SIGNAL_EVENTS, HV_PRIVILEGE_SIGNAL_EVENTS },
};

static hv_status set_synthetic_features(struct partition *p, uint64_t value)
{
	p->synthetic_features = value;
	for (unsigned int i = 0; i < ARRAY_SIZE(synthetic_features); i++)
		if (!(value & synthetic_features[i].feature))
			p->privileges &= ~synthetic_features[i].privilege;
	return HV_STATUS_SUCCESS;
}

static uint64_t get_weight(const struct partition *p)
{
	return p->cpu_weight;
}

static hv_status set_weight(struct partition *p, uint64_t value)
{
	struct vp *vp;

	if (value < WEIGHT_MIN || value > WEIGHT_MAX)
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	p->cpu_weight = value;
	partition_for_each_vp(vp, p) WRITE_ONCE(vp->weight, value);
	return HV_STATUS_SUCCESS;
}

static uint64_t get_reference_time(const struct partition *p)
{
	return partition_reference_time(p, tsc_read());
}

static uint64_t get_unimplemented_msr_action(const struct partition *p)
{
	return p->unimplemented_msr_action;
}

static hv_status set_unimplemented_msr_action(struct partition *p, uint64_t value)
{
	if (value > HvUnimplementedMsrActionIgnoreWriteReadZero)
		return HV_STATUS_INVALID_PARAMETER;
	p->unimplemented_msr_action = value;
	return HV_STATUS_SUCCESS;
}

static uint64_t get_zero(const struct partition *p)
{
	return 0;
}

static uint64_t get_processor_vendor(const struct partition *p)
{
	return cpuid(0, 0).ecx == 0x6c65746e ? HvProcessorVendorIntel // "ntel"
					     : HvProcessorVendorAmd;
}

static uint64_t get_xsave_states(const struct partition *p)
{
	return (uint64_t)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;
}

static uint64_t get_xsave_size(const struct partition *p)
{
	return cpuid(0xd, 0).ecx;
}

static uint64_t get_clflush_size(const struct partition *p)
{
	return (cpuid(1, 0).ebx >> 8 & 0xff) * 8;
}

static uint64_t get_address_width(const struct partition *p)
{
	return cpuid(0x80000008, 0).eax & 0xff;
}

static uint64_t get_clock(const struct partition *p)
{
	return tsc_hz;
}

static uint64_t get_compatibility_version(const struct partition *p)
{
	return HV_COMPATIBILITY_VERSION;
}

static uint64_t get_guest_os_id(const struct partition *p)
{
	return p->guest_os_id;
}

static const struct property properties[] = {
	{ HvPartitionPropertyPrivilegeFlags, true, get_privileges, set_privileges },
	{ HvPartitionPropertySyntheticProcFeatures, true, get_synthetic_features,
		set_synthetic_features },
	{ HvPartitionPropertyCpuReserve, false, get_zero, NULL },
	{ HvPartitionPropertyCpuWeight, false, get_weight, set_weight },
	{ HvPartitionPropertyReferenceTime, false, get_reference_time, NULL },
	{ HvPartitionPropertyUnimplementedMsrAction, false, get_unimplemented_msr_action,
		set_unimplemented_msr_action },
	{ HvPartitionPropertyProcessorVendor, false, get_processor_vendor, NULL },
	{ HvPartitionPropertyProcessorCLFlushSize, false, get_clflush_size, NULL },
	{ HvPartitionPropertyCompatibilityVersion, false, get_compatibility_version, NULL },
	{ HvPartitionPropertyPhysicalAddressWidth, false, get_address_width, NULL },
	{ HvPartitionPropertyXsaveStates, false, get_xsave_states, NULL },
	{ HvPartitionPropertyMaxXsaveDataSize, false, get_xsave_size, NULL },
	{ HvPartitionPropertyProcessorClockFrequency, false, get_clock, NULL },
	{ HvPartitionPropertyGuestOsId, false, get_guest_os_id, NULL },
};

static const struct property *find_property(uint32_t code)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(properties); i++)
		if (properties[i].code == code)
			return &properties[i];
	return NULL;
}

hv_status hc_GetPartitionProperty(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_get_partition_property *in = call->in;
	struct hv_output_get_partition_property *out = call->out;
	const struct property *property = find_property(in->property_code);

	if (!property)
		return HV_STATUS_UNKNOWN_PROPERTY;
	if (target->state == PARTITION_FINALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	out->property_value = property->get(target);
	return HV_STATUS_SUCCESS;
}

hv_status hc_SetPartitionProperty(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_set_partition_property *in = call->in;
	const struct property *property = find_property(in->property_code);
	hv_status status;

	if (!property)
		return HV_STATUS_UNKNOWN_PROPERTY;
	if (!property->set)
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	spin_lock(&target->lock);
	if (target->state == PARTITION_FINALIZED ||
		(property->early && target->state != PARTITION_CREATED))
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else
		status = property->set(target, in->property_value);
	spin_unlock(&target->lock);
	return status;
}
