// SPDX-License-Identifier: BSD-2-Clause
// Interrupts and starting of virtual processors (TLFS: HvCallAssertVirtualInterrupt,
// HvCallSendSyntheticClusterIpi, HvCallStartVirtualProcessor, HvCallGetVpIndexFromApicId).
#ifndef HYPERCALL_INTERRUPT_H
#define HYPERCALL_INTERRUPT_H

#include "hypercall/registers.h"
#include "hypercall/tlb.h"
#include "hypercall/types.h"

// TLFS: HV_INTERRUPT_TYPE.
enum hv_interrupt_type {
	HvX64InterruptTypeFixed = 0,
	HvX64InterruptTypeLowestPriority = 1,
	HvX64InterruptTypeSmi = 2,
	HvX64InterruptTypeRemoteRead = 3,
	HvX64InterruptTypeNmi = 4,
	HvX64InterruptTypeInit = 5,
	HvX64InterruptTypeSipi = 6,
	HvX64InterruptTypeExtInt = 7,
	HvX64InterruptTypeLocalInt0 = 8,
	HvX64InterruptTypeLocalInt1 = 9,
};

// TLFS: HV_INTERRUPT_CONTROL.
#define HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED	      0x1u
#define HV_INTERRUPT_CONTROL_LOGICAL_DESTINATION_MODE 0x2u

struct hv_interrupt_control {
	uint32_t interrupt_type; // enum hv_interrupt_type
	uint32_t flags;
};
HV_ASSERT_SIZE(struct hv_interrupt_control, 8);

#define HV_INTERRUPT_VECTOR_NONE 0xffffffffu

// TLFS: HvCallAssertVirtualInterrupt.
struct hv_input_assert_virtual_interrupt {
	hv_partition_id target_partition;
	struct hv_interrupt_control interrupt_control;
	uint64_t destination_address; // APIC id, or logical destination
	uint32_t requested_vector;
	uint8_t target_vtl;
	uint8_t rsvd_z0;
	uint16_t rsvd_z1;
};
HV_ASSERT_SIZE(struct hv_input_assert_virtual_interrupt, 32);
HV_ASSERT_OFFSET(struct hv_input_assert_virtual_interrupt, destination_address, 16);
HV_ASSERT_OFFSET(struct hv_input_assert_virtual_interrupt, requested_vector, 24);
HV_ASSERT_OFFSET(struct hv_input_assert_virtual_interrupt, target_vtl, 28);

// HvCallClearVirtualInterrupt: takes back the pending lowest-priority or ExtInt interrupt.
struct hv_input_clear_virtual_interrupt {
	hv_partition_id target_partition;
};
HV_ASSERT_SIZE(struct hv_input_clear_virtual_interrupt, 8);

// TLFS: HvCallSendSyntheticClusterIpi.
#define HV_SYNTHETIC_IPI_VECTOR_MIN 0x10
#define HV_SYNTHETIC_IPI_VECTOR_MAX 0xff

struct hv_input_send_synthetic_cluster_ipi {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t rsvd_z[3];
	uint64_t processor_mask; // bit per VP index
};
HV_ASSERT_SIZE(struct hv_input_send_synthetic_cluster_ipi, 16);
HV_ASSERT_OFFSET(struct hv_input_send_synthetic_cluster_ipi, processor_mask, 8);

// TLFS: HvCallSendSyntheticClusterIpiEx. The set's banks are the variable header.
struct hv_input_send_synthetic_cluster_ipi_ex {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t rsvd_z[3];
	struct hv_vp_set processor_set;
};
HV_ASSERT_SIZE(struct hv_input_send_synthetic_cluster_ipi_ex, 24);
HV_ASSERT_OFFSET(struct hv_input_send_synthetic_cluster_ipi_ex, processor_set, 8);

// TLFS: HV_INITIAL_VP_CONTEXT.
struct hv_initial_vp_context {
	uint64_t rip;
	uint64_t rsp;
	uint64_t rflags;
	struct hv_x64_segment_register cs;
	struct hv_x64_segment_register ds;
	struct hv_x64_segment_register es;
	struct hv_x64_segment_register fs;
	struct hv_x64_segment_register gs;
	struct hv_x64_segment_register ss;
	struct hv_x64_segment_register tr;
	struct hv_x64_segment_register ldtr;
	struct hv_x64_table_register idtr;
	struct hv_x64_table_register gdtr;
	uint64_t efer;
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t msr_cr_pat;
};
HV_ASSERT_SIZE(struct hv_initial_vp_context, 224);
HV_ASSERT_OFFSET(struct hv_initial_vp_context, cs, 24);
HV_ASSERT_OFFSET(struct hv_initial_vp_context, idtr, 152);
HV_ASSERT_OFFSET(struct hv_initial_vp_context, efer, 184);

// TLFS: HvCallStartVirtualProcessor.
struct hv_input_start_virtual_processor {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint8_t target_vtl;
	uint8_t rsvd_z[3];
	struct hv_initial_vp_context vp_context;
};
HV_ASSERT_SIZE(struct hv_input_start_virtual_processor, 240);
HV_ASSERT_OFFSET(struct hv_input_start_virtual_processor, vp_context, 16);

// TLFS: HvCallGetVpIndexFromApicId. The list: APIC ids (uint32_t); out: VP indices (uint32_t). The
// page pads both to eight bytes; Linux and OpenVMM do not.
struct hv_input_get_vp_index_from_apic_id {
	hv_partition_id partition_id;
	uint8_t target_vtl;
	uint8_t rsvd_z[7];
};
HV_ASSERT_SIZE(struct hv_input_get_vp_index_from_apic_id, 16);

#endif
