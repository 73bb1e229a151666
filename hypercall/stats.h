// SPDX-License-Identifier: BSD-2-Clause
// Statistics pages: counters of 64 bits, by index (TLFS: HvCallMapStatsPage2, HV_STATS_OBJECT_TYPE,
// HV_STATS_OBJECT_IDENTITY). The indices are not in the TLFS; Linux has them.
#ifndef HYPERCALL_STATS_H
#define HYPERCALL_STATS_H

#include "hypercall/types.h"

enum hv_stats_object_type {
	HvStatsObjectPartition = 0x00010001,
	HvStatsObjectVp = 0x00010002,
};

// Whose copy of the counters: the object's own, or that of its parent.
enum hv_stats_area_type {
	HvStatsAreaSelf = 0,
	HvStatsAreaParent = 1,
	HvStatsAreaInternal = 2,
};

union hv_stats_object_identity {
	struct {
		hv_partition_id partition_id;
		uint32_t rsvd_z0;
		uint16_t rsvd_z1;
		uint8_t rsvd_z2;
		uint8_t stats_area_type; // enum hv_stats_area_type
	} partition;
	struct {
		hv_partition_id partition_id;
		hv_vp_index vp_index;
		uint16_t rsvd_z1;
		uint8_t rsvd_z2;
		uint8_t stats_area_type;
	} vp;
};
HV_ASSERT_SIZE(union hv_stats_object_identity, 16);
HV_ASSERT_OFFSET(union hv_stats_object_identity, vp.vp_index, 8);
HV_ASSERT_OFFSET(union hv_stats_object_identity, vp.stats_area_type, 15);

// TLFS: HvCallMapStatsPage2: the counters appear at the page that the caller names.
struct hv_input_map_stats_page2 {
	uint32_t type; // enum hv_stats_object_type
	uint32_t rsvd_z;
	union hv_stats_object_identity identity;
	hv_gpa_page_number map_location;
};
HV_ASSERT_SIZE(struct hv_input_map_stats_page2, 32);
HV_ASSERT_OFFSET(struct hv_input_map_stats_page2, identity, 8);
HV_ASSERT_OFFSET(struct hv_input_map_stats_page2, map_location, 24);

// TLFS: HvCallUnmapStatsPage. The page has the identity at 4, where it cannot be aligned; Linux
// pads.
struct hv_input_unmap_stats_page {
	uint32_t type; // enum hv_stats_object_type
	uint32_t rsvd_z;
	union hv_stats_object_identity identity;
};
HV_ASSERT_SIZE(struct hv_input_unmap_stats_page, 24);
HV_ASSERT_OFFSET(struct hv_input_unmap_stats_page, identity, 8);

#define HV_STATS_COUNTERS 512 // of a page

// X(name, index). Times are in units of 100 ns.
#define HV_STATS_PARTITION_COUNTERS(X)                                                             \
	X(PartitionVirtualProcessors, 1)                                                           \
	X(PartitionTlbSize, 3)                                                                     \
	X(PartitionAddressSpaces, 4)                                                               \
	X(PartitionDepositedPages, 5)                                                              \
	X(PartitionGpaPages, 6)                                                                    \
	X(PartitionGpaSpaceModifications, 7)                                                       \
	X(PartitionVirtualTlbFlushEntires, 8)                                                      \
	X(PartitionRecommendedTlbSize, 9)                                                          \
	X(PartitionGpaPages4K, 10)                                                                 \
	X(PartitionGpaPages2M, 11)                                                                 \
	X(PartitionGpaPages1G, 12)                                                                 \
	X(PartitionSkippedTimerTicks, 25)                                                          \
	X(PartitionPartitionId, 26)

#define HV_STATS_VP_COUNTERS(X)                                                                    \
	X(VpTotalRunTime, 1)                                                                       \
	X(VpHypervisorRunTime, 2)                                                                  \
	X(VpRemoteNodeRunTime, 3)                                                                  \
	X(VpNormalizedRunTime, 4)                                                                  \
	X(VpIdealCpu, 5)                                                                           \
	X(VpHypercallsCount, 7)                                                                    \
	X(VpHypercallsTime, 8)                                                                     \
	X(VpPageInvalidationsCount, 9)                                                             \
	X(VpPageInvalidationsTime, 10)                                                             \
	X(VpControlRegisterAccessesCount, 11)                                                      \
	X(VpControlRegisterAccessesTime, 12)                                                       \
	X(VpIoInstructionsCount, 13)                                                               \
	X(VpIoInstructionsTime, 14)                                                                \
	X(VpHltInstructionsCount, 15)                                                              \
	X(VpHltInstructionsTime, 16)                                                               \
	X(VpMwaitInstructionsCount, 17)                                                            \
	X(VpMwaitInstructionsTime, 18)                                                             \
	X(VpCpuidInstructionsCount, 19)                                                            \
	X(VpCpuidInstructionsTime, 20)                                                             \
	X(VpMsrAccessesCount, 21)                                                                  \
	X(VpMsrAccessesTime, 22)                                                                   \
	X(VpOtherInterceptsCount, 23)                                                              \
	X(VpOtherInterceptsTime, 24)                                                               \
	X(VpExternalInterruptsCount, 25)                                                           \
	X(VpExternalInterruptsTime, 26)                                                            \
	X(VpPendingInterruptsCount, 27)                                                            \
	X(VpPendingInterruptsTime, 28)                                                             \
	X(VpEmulatedInstructionsCount, 29)                                                         \
	X(VpEmulatedInstructionsTime, 30)                                                          \
	X(VpDebugRegisterAccessesCount, 31)                                                        \
	X(VpDebugRegisterAccessesTime, 32)                                                         \
	X(VpPageFaultInterceptsCount, 33)                                                          \
	X(VpPageFaultInterceptsTime, 34)                                                           \
	X(VpReflectedGuestPageFaults, 38)                                                          \
	X(VpApicMmioAccesses, 39)                                                                  \
	X(VpIoInterceptMessages, 40)                                                               \
	X(VpMemoryInterceptMessages, 41)                                                           \
	X(VpApicEoiAccesses, 42)                                                                   \
	X(VpOtherMessages, 43)                                                                     \
	X(VpLogicalProcessorMigrations, 45)                                                        \
	X(VpAddressDomainFlushes, 48)                                                              \
	X(VpAddressSpaceFlushes, 49)                                                               \
	X(VpGlobalGvaRangeFlushes, 50)                                                             \
	X(VpLocalGvaRangeFlushes, 51)                                                              \
	X(VpApicTprAccesses, 56)                                                                   \
	X(VpSyntheticInterrupts, 58)                                                               \
	X(VpVirtualInterrupts, 59)                                                                 \
	X(VpApicIpisSent, 60)                                                                      \
	X(VpApicSelfIpisSent, 61)                                                                  \
	X(VpGpaSpaceHypercalls, 62)                                                                \
	X(VpLogicalProcessorHypercalls, 63)                                                        \
	X(VpLongSpinWaitHypercalls, 64)                                                            \
	X(VpOtherHypercalls, 65)                                                                   \
	X(VpSyntheticInterruptHypercalls, 66)                                                      \
	X(VpVirtualInterruptHypercalls, 67)                                                        \
	X(VpVirtualMmuHypercalls, 68)                                                              \
	X(VpVirtualProcessorHypercalls, 69)                                                        \
	X(VpHardwareInterrupts, 70)                                                                \
	X(VpNestedPageFaultInterceptsCount, 71)                                                    \
	X(VpNestedPageFaultInterceptsTime, 72)                                                     \
	X(VpLogicalProcessorDispatches, 74)                                                        \
	X(VpWaitingForCpuTime, 75)                                                                 \
	X(VpOtherReflectedGuestExceptions, 79)                                                     \
	X(VpTotalCoreRunTime, 148)                                                                 \
	X(VpDepositHypercalls, 198)

#define HV_STATS_ENUM(name, index) name = index,
enum hv_stats_partition_counters { HV_STATS_PARTITION_COUNTERS(HV_STATS_ENUM) };

enum hv_stats_vp_counters { HV_STATS_VP_COUNTERS(HV_STATS_ENUM) };
#undef HV_STATS_ENUM

#endif
