// SPDX-License-Identifier: BSD-2-Clause
// Partitions and their properties, creation of virtual processors (TLFS: Virtualization Host,
// HvCallCreatePartition and following, HV_PARTITION_PROPERTY_CODE).
#ifndef HYPERCALL_PARTITION_H
#define HYPERCALL_PARTITION_H

#include "hypercall/types.h"

// TLFS: HV_PARTITION_CREATION_FLAGS.
#define HV_PARTITION_CREATION_FLAG_SMT_ENABLED_GUEST		   (1ull << 0)
#define HV_PARTITION_CREATION_FLAG_NESTED_VIRTUALIZATION_CAPABLE   (1ull << 1)
#define HV_PARTITION_CREATION_FLAG_GPA_SUPER_PAGES_ENABLED	   (1ull << 4)
#define HV_PARTITION_CREATION_FLAG_EXO_PARTITION		   (1ull << 8)
#define HV_PARTITION_CREATION_FLAG_VTL1_OVERRIDE		   (1ull << 9)
#define HV_PARTITION_CREATION_FLAG_VTL2_OVERRIDE		   (1ull << 10)
#define HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED		   (1ull << 13)
#define HV_PARTITION_CREATION_FLAG_ENABLE_PERFMON_PMU		   (1ull << 15)
#define HV_PARTITION_CREATION_FLAG_ENABLE_PERFMON_LBR		   (1ull << 16)
#define HV_PARTITION_CREATION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED  (1ull << 19)
#define HV_PARTITION_CREATION_FLAG_HYPERCALL_DOORBELL_PAGE_ENABLED (1ull << 20)
#define HV_PARTITION_CREATION_FLAG_X2APIC_CAPABLE		   (1ull << 22)

// What Linux asks for in HvCallCreatePartition.
#define HV_COMPATIBILITY_VERSION 0x609

// TLFS: HV_PARTITION_PROPERTY_CODE. Those that have a meaning on x64 without VTLs and isolation.
enum hv_partition_property_code {
	HvPartitionPropertyPrivilegeFlags = 0x00010000,
	HvPartitionPropertySyntheticProcFeatures = 0x00010001,
	HvPartitionPropertySuspend = 0x00020000,
	HvPartitionPropertyCpuReserve = 0x00020001,
	HvPartitionPropertyCpuCap = 0x00020002,
	HvPartitionPropertyCpuWeight = 0x00020003,
	HvPartitionPropertyCpuGroupId = 0x00020004,
	HvPartitionPropertyTimeFreeze = 0x00030003,
	HvPartitionPropertyApicFrequency = 0x00030004,
	HvPartitionPropertyReferenceTime = 0x00030005,
	HvPartitionPropertyDebugChannelId = 0x00040000,
	HvPartitionPropertyVirtualTlbPageCount = 0x00050000,
	HvPartitionPropertyZeroMemoryOnReset = 0x00050002,
	HvPartitionPropertyProcessorsPerSocket = 0x00050003,
	HvPartitionPropertyNestedTlbSize = 0x00050004,
	HvPartitionPropertyGpaPageAccessTracking = 0x00050005,
	HvPartitionPropertyImplementedPhysicalAddressBits = 0x00050010,
	HvPartitionPropertyNonArchitecturalCoreSharing = 0x00050011,
	HvPartitionPropertyUnimplementedMsrAction = 0x00050017,
	HvPartitionPropertyReferenceTscPageActive = 0x00050019,
	HvPartitionPropertyAutoEoiEnabled = 0x0005001a,
	HvPartitionPropertyDepositStatus = 0x0005001e,
	HvPartitionPropertyProcessorVendor = 0x00060000,
	HvPartitionPropertyProcessorFeaturesDeprecated = 0x00060001,
	HvPartitionPropertyProcessorXsaveFeatures = 0x00060002,
	HvPartitionPropertyProcessorCLFlushSize = 0x00060003,
	HvPartitionPropertyEnlightenmentModifications = 0x00060004,
	HvPartitionPropertyCompatibilityVersion = 0x00060005,
	HvPartitionPropertyPhysicalAddressWidth = 0x00060006,
	HvPartitionPropertyXsaveStates = 0x00060007,
	HvPartitionPropertyMaxXsaveDataSize = 0x00060008,
	HvPartitionPropertyProcessorClockFrequency = 0x00060009,
	HvPartitionPropertyProcessorFeatures0 = 0x0006000a,
	HvPartitionPropertyProcessorFeatures1 = 0x0006000b,
	HvPartitionPropertyRootProcessorFeatures0 = 0x00060010,
	HvPartitionPropertyRootProcessorFeatures1 = 0x00060011,
	HvPartitionPropertyRootProcessorXsaveFeatures = 0x00060012,
	HvPartitionPropertyRootSyntheticProcFeatures = 0x00060013,
	HvPartitionPropertyPhysicalAddressSize = 0x00060014,
	HvPartitionPropertyFeatureBankCount = 0x00060015,
	HvPartitionPropertyGuestOsId = 0x00070000,
	HvPartitionPropertyProcessorVirtualizationFeatures = 0x00080000,
	HvPartitionPropertyVmmCapabilities = 0x00090007,
	HvPartitionPropertyAssignableSyntheticProcFeatures = 0x00090009,
};

// HvPartitionPropertySyntheticProcFeatures: what the child sees of the interface. Privileges and
// CPUID follow from it.
#define HV_SYNTHETIC_FEATURE_HYPERVISOR_PRESENT		 (1ull << 0)
#define HV_SYNTHETIC_FEATURE_HV1			 (1ull << 1)
#define HV_SYNTHETIC_FEATURE_VP_RUNTIME			 (1ull << 2)
#define HV_SYNTHETIC_FEATURE_PARTITION_REFERENCE_COUNTER (1ull << 3)
#define HV_SYNTHETIC_FEATURE_SYNIC_REGS			 (1ull << 4)
#define HV_SYNTHETIC_FEATURE_SYNTHETIC_TIMER_REGS	 (1ull << 5)
#define HV_SYNTHETIC_FEATURE_INTR_CTRL_REGS		 (1ull << 6)
#define HV_SYNTHETIC_FEATURE_HYPERCALL_REGS		 (1ull << 7)
#define HV_SYNTHETIC_FEATURE_VP_INDEX			 (1ull << 8)
#define HV_SYNTHETIC_FEATURE_PARTITION_REFERENCE_TSC	 (1ull << 9)
#define HV_SYNTHETIC_FEATURE_GUEST_IDLE_REG		 (1ull << 10)
#define HV_SYNTHETIC_FEATURE_FREQUENCY_REGS		 (1ull << 11)
#define HV_SYNTHETIC_FEATURE_EXTENDED_GVA_RANGES	 (1ull << 15)
#define HV_SYNTHETIC_FEATURE_ACCESS_VSM			 (1ull << 16)
#define HV_SYNTHETIC_FEATURE_FAST_HYPERCALL_OUTPUT	 (1ull << 18)
#define HV_SYNTHETIC_FEATURE_START_VIRTUAL_PROCESSOR	 (1ull << 20)
#define HV_SYNTHETIC_FEATURE_DIRECT_SYNTHETIC_TIMERS	 (1ull << 22)
#define HV_SYNTHETIC_FEATURE_EXTENDED_PROCESSOR_MASKS	 (1ull << 24)
#define HV_SYNTHETIC_FEATURE_TB_FLUSH_HYPERCALLS	 (1ull << 25)
#define HV_SYNTHETIC_FEATURE_SYNTHETIC_CLUSTER_IPI	 (1ull << 26)
#define HV_SYNTHETIC_FEATURE_NOTIFY_LONG_SPIN_WAIT	 (1ull << 27)
#define HV_SYNTHETIC_FEATURE_QUERY_NUMA_DISTANCE	 (1ull << 28)
#define HV_SYNTHETIC_FEATURE_SIGNAL_EVENTS		 (1ull << 29)
#define HV_SYNTHETIC_FEATURE_RETARGET_DEVICE_INTERRUPT	 (1ull << 30)
#define HV_SYNTHETIC_FEATURE_RESTORE_TIME		 (1ull << 31)
#define HV_SYNTHETIC_FEATURE_ENLIGHTENED_VMCS		 (1ull << 32)
#define HV_SYNTHETIC_FEATURE_ACCESS_VP_REGISTERS	 (1ull << 38)
#define HV_SYNTHETIC_FEATURE_INSTALL_INTERCEPT		 (1ull << 48)

// HvPartitionPropertyProcessorVendor.
enum hv_processor_vendor {
	HvProcessorVendorAmd = 0,
	HvProcessorVendorIntel = 1,
	HvProcessorVendorHygon = 2,
};

#define HV_PROCESSOR_FEATURE_BANKS 2

// TLFS: HvCallCreatePartition (x64). In the features a set bit means disabled.
struct hv_input_create_partition {
	uint64_t flags; // HV_PARTITION_CREATION_FLAG_*
	struct hv_proximity_domain_info proximity_domain_info;
	uint32_t compatibility_version;
	uint32_t rsvd_z0;
	uint64_t disabled_processor_features[HV_PROCESSOR_FEATURE_BANKS];
	uint64_t disabled_xsave_features;
	uint64_t rsvd_z1;
};
HV_ASSERT_SIZE(struct hv_input_create_partition, 56);
HV_ASSERT_OFFSET(struct hv_input_create_partition, compatibility_version, 16);
HV_ASSERT_OFFSET(struct hv_input_create_partition, disabled_processor_features, 24);
HV_ASSERT_OFFSET(struct hv_input_create_partition, disabled_xsave_features, 40);

struct hv_output_create_partition {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_output_create_partition, 8);

// TLFS: HvCallInitializePartition, HvCallFinalizePartition, HvCallDeletePartition.
struct hv_input_initialize_partition {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_input_initialize_partition, 8);

struct hv_input_finalize_partition {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_input_finalize_partition, 8);

struct hv_input_delete_partition {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_input_delete_partition, 8);

// TLFS: HvCallGetPartitionProperty.
struct hv_input_get_partition_property {
	hv_partition_id partition_id;
	uint32_t property_code; // enum hv_partition_property_code
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_get_partition_property, 16);

struct hv_output_get_partition_property {
	uint64_t property_value;
};
HV_ASSERT_SIZE(struct hv_output_get_partition_property, 8);

// TLFS: HvCallSetPartitionProperty.
struct hv_input_set_partition_property {
	hv_partition_id partition_id;
	uint32_t property_code; // enum hv_partition_property_code
	uint32_t rsvd_z;
	uint64_t property_value;
};
HV_ASSERT_SIZE(struct hv_input_set_partition_property, 24);
HV_ASSERT_OFFSET(struct hv_input_set_partition_property, property_value, 16);

// HvCallGetPartitionId has no input.
struct hv_output_get_partition_id {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_output_get_partition_id, 8);

// TLFS: HvCallGetNextChildPartition.
struct hv_input_get_next_child_partition {
	hv_partition_id parent_partition_id;
	hv_partition_id previous_child_partition_id; // HV_PARTITION_ID_INVALID: the first one
};
HV_ASSERT_SIZE(struct hv_input_get_next_child_partition, 16);

struct hv_output_get_next_child_partition {
	hv_partition_id next_child_partition_id; // HV_PARTITION_ID_INVALID: no more
};
HV_ASSERT_SIZE(struct hv_output_get_next_child_partition, 8);

// TLFS: HvCallCreateVp.
struct hv_input_create_vp {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint8_t rsvd_z[3];
	uint8_t subnode_type;
	uint64_t subnode_id;
	struct hv_proximity_domain_info proximity_domain_info;
	uint64_t flags;
};
HV_ASSERT_SIZE(struct hv_input_create_vp, 40);
HV_ASSERT_OFFSET(struct hv_input_create_vp, subnode_type, 15);
HV_ASSERT_OFFSET(struct hv_input_create_vp, proximity_domain_info, 24);
HV_ASSERT_OFFSET(struct hv_input_create_vp, flags, 32);

// TLFS: HvCallDeleteVp.
struct hv_input_delete_vp {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_delete_vp, 16);

// TLFS: HvCallGetVpCpuidValues. The list: struct hv_cpuid_leaf_info; out: struct hv_cpuid_result.
#define HV_GET_VP_CPUID_USE_VP_XFEM_XSS		0x1
#define HV_GET_VP_CPUID_APPLY_REGISTERED_VALUES 0x2

struct hv_input_get_vp_cpuid_values {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t flags;
	uint32_t rsvd_z0;
	uint32_t rsvd_z1;
};
HV_ASSERT_SIZE(struct hv_input_get_vp_cpuid_values, 24);

// The TLFS has eight bytes here; Linux and the VMMs that issue the call have these.
struct hv_cpuid_leaf_info {
	uint32_t eax;
	uint32_t ecx;
	uint64_t xfem;
	uint64_t xss;
};
HV_ASSERT_SIZE(struct hv_cpuid_leaf_info, 24);

struct hv_cpuid_result {
	uint32_t eax;
	uint32_t ebx;
	uint32_t ecx;
	uint32_t edx;
};
HV_ASSERT_SIZE(struct hv_cpuid_result, 16);

// TLFS: HvCallMapVpStatePage, HvCallUnmapVpStatePage.
enum hv_vp_state_page_type {
	HvVpStatePageRegisters = 0,
	HvVpStatePageInterceptMessage = 1,
	HvVpStatePageGhcb = 2,
};

#define HV_MAP_VP_STATE_PAGE_LOCATION_PROVIDED 0x01 // in flags

struct hv_input_map_vp_state_page {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint16_t type; // enum hv_vp_state_page_type
	uint8_t input_vtl;
	uint8_t flags;
	hv_gpa_page_number requested_map_location;
};
HV_ASSERT_SIZE(struct hv_input_map_vp_state_page, 24);
HV_ASSERT_OFFSET(struct hv_input_map_vp_state_page, flags, 15);

struct hv_output_map_vp_state_page {
	hv_gpa_page_number map_location;
};
HV_ASSERT_SIZE(struct hv_output_map_vp_state_page, 8);

struct hv_input_unmap_vp_state_page {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint16_t type; // enum hv_vp_state_page_type
	uint8_t input_vtl;
	uint8_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_unmap_vp_state_page, 16);

#endif
