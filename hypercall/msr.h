// SPDX-License-Identifier: BSD-2-Clause
// Synthetic MSRs, their contents, and the pages that they place (TLFS: Virtual Processors, Timers,
// Inter-Partition Communication, Partition Properties; appendix of MSRs).
#ifndef HYPERCALL_MSR_H
#define HYPERCALL_MSR_H

#include "hypercall/types.h"

#define HV_X64_MSR_GUEST_OS_ID		       0x40000000
#define HV_X64_MSR_HYPERCALL		       0x40000001
#define HV_X64_MSR_VP_INDEX		       0x40000002
#define HV_X64_MSR_RESET		       0x40000003
#define HV_X64_MSR_VP_RUNTIME		       0x40000010
#define HV_X64_MSR_TIME_REF_COUNT	       0x40000020
#define HV_X64_MSR_REFERENCE_TSC	       0x40000021
#define HV_X64_MSR_TSC_FREQUENCY	       0x40000022
#define HV_X64_MSR_APIC_FREQUENCY	       0x40000023
#define HV_X64_MSR_NPIEP_CONFIG		       0x40000040
#define HV_X64_MSR_EOI			       0x40000070
#define HV_X64_MSR_ICR			       0x40000071
#define HV_X64_MSR_TPR			       0x40000072
#define HV_X64_MSR_VP_ASSIST_PAGE	       0x40000073
#define HV_X64_MSR_SCONTROL		       0x40000080
#define HV_X64_MSR_SVERSION		       0x40000081
#define HV_X64_MSR_SIEFP		       0x40000082
#define HV_X64_MSR_SIMP			       0x40000083
#define HV_X64_MSR_EOM			       0x40000084
#define HV_X64_MSR_SIRBP		       0x40000085
#define HV_X64_MSR_SINT0		       0x40000090
#define HV_X64_MSR_SINT15		       0x4000009f
#define HV_X64_MSR_STIMER0_CONFIG	       0x400000b0
#define HV_X64_MSR_STIMER0_COUNT	       0x400000b1
#define HV_X64_MSR_STIMER1_CONFIG	       0x400000b2
#define HV_X64_MSR_STIMER1_COUNT	       0x400000b3
#define HV_X64_MSR_STIMER2_CONFIG	       0x400000b4
#define HV_X64_MSR_STIMER2_COUNT	       0x400000b5
#define HV_X64_MSR_STIMER3_CONFIG	       0x400000b6
#define HV_X64_MSR_STIMER3_COUNT	       0x400000b7
#define HV_X64_MSR_GUEST_IDLE		       0x400000f0
#define HV_X64_MSR_CRASH_P0		       0x40000100
#define HV_X64_MSR_CRASH_P1		       0x40000101
#define HV_X64_MSR_CRASH_P2		       0x40000102
#define HV_X64_MSR_CRASH_P3		       0x40000103
#define HV_X64_MSR_CRASH_P4		       0x40000104
#define HV_X64_MSR_CRASH_CTL		       0x40000105
#define HV_X64_MSR_REENLIGHTENMENT_CONTROL     0x40000106
#define HV_X64_MSR_TSC_EMULATION_CONTROL       0x40000107
#define HV_X64_MSR_TSC_EMULATION_STATUS	       0x40000108
#define HV_X64_MSR_STIME_UNHALTED_TIMER_CONFIG 0x40000114
#define HV_X64_MSR_STIME_UNHALTED_TIMER_COUNT  0x40000115
#define HV_X64_MSR_TSC_INVARIANT_CONTROL       0x40000118

// All synthetic MSRs lie in here; one that a partition has no use of or no right to gives #GP.
#define HV_X64_MSR_SYNTHETIC_FIRST 0x40000000
#define HV_X64_MSR_SYNTHETIC_LAST  0x400fffff

#define HV_X64_MSR_SINTn(n)	     (HV_X64_MSR_SINT0 + (n))
#define HV_X64_MSR_STIMERn_CONFIG(n) (HV_X64_MSR_STIMER0_CONFIG + 2 * (n))
#define HV_X64_MSR_STIMERn_COUNT(n)  (HV_X64_MSR_STIMER0_COUNT + 2 * (n))
#define HV_X64_MSR_CRASH_Pn(n)	     (HV_X64_MSR_CRASH_P0 + (n))
#define HV_X64_MSR_CRASH_P_COUNT     5

#define HV_SYNIC_SINT_COUNT		 16
#define HV_SYNIC_STIMER_COUNT		 4
#define HV_SYNIC_INTERCEPTION_SINT_INDEX 0
#define HV_SYNIC_VERSION		 1 // what SVERSION reads

// HV_X64_MSR_GUEST_OS_ID. TLFS: Guest OS Identity. Zero: none, which disables the hypercall page.
#define HV_GUEST_OS_ID_OPEN_SOURCE   (1ull << 63)
#define HV_GUEST_OS_ID_BUILD_MASK    0xffffull
#define HV_GUEST_OS_ID_VERSION_SHIFT 16 // 32 bits
#define HV_GUEST_OS_ID_OS_TYPE_SHIFT 56 // 7 bits, if open source
#define HV_GUEST_OS_ID_OS_TYPE_LINUX 0x1ull
#define HV_GUEST_OS_ID_OS_TYPE_LUMEN 0x7full // ours; not registered

// Registers that place a page: bit 0 enables, bits 63:12 are its GPA page number.
#define HV_X64_MSR_PAGE_ENABLE 0x1ull
#define HV_X64_MSR_PAGE_SHIFT  12
#define HV_X64_MSR_PAGE_MASK   (~0xfffull) // the GPA

// HV_X64_MSR_HYPERCALL. TLFS: Establishing the Hypercall Interface. Reserved bits are preserved.
#define HV_X64_MSR_HYPERCALL_ENABLE 0x1ull
#define HV_X64_MSR_HYPERCALL_LOCKED 0x2ull

// HV_X64_MSR_SCONTROL.
#define HV_SYNIC_CONTROL_ENABLE 0x1ull

// HV_X64_MSR_SINT0..15. TLFS: SINTx Registers. After reset: masked.
#define HV_SYNIC_SINT_VECTOR_MASK 0xffull
#define HV_SYNIC_SINT_MASKED	  (1ull << 16)
#define HV_SYNIC_SINT_AUTO_EOI	  (1ull << 17)
#define HV_SYNIC_SINT_POLLING	  (1ull << 18)
#define HV_SYNIC_SINT_VECTOR_MIN  16 // a smaller vector in an unmasked SINT gives #GP

// HV_X64_MSR_STIMER0..3_CONFIG. TLFS: Synthetic Timer Configuration Register.
#define HV_STIMER_CONFIG_ENABLE		   (1ull << 0)
#define HV_STIMER_CONFIG_PERIODIC	   (1ull << 1)
#define HV_STIMER_CONFIG_LAZY		   (1ull << 2)
#define HV_STIMER_CONFIG_AUTO_ENABLE	   (1ull << 3)
#define HV_STIMER_CONFIG_APIC_VECTOR_SHIFT 4
#define HV_STIMER_CONFIG_APIC_VECTOR_MASK  (0xffull << HV_STIMER_CONFIG_APIC_VECTOR_SHIFT)
#define HV_STIMER_CONFIG_DIRECT_MODE	   (1ull << 12)
#define HV_STIMER_CONFIG_SINTX_SHIFT	   16
#define HV_STIMER_CONFIG_SINTX_MASK	   (0xfull << HV_STIMER_CONFIG_SINTX_SHIFT)
#define HV_STIMER_CONFIG_VALID_MASK                                                                \
	(HV_STIMER_CONFIG_ENABLE | HV_STIMER_CONFIG_PERIODIC | HV_STIMER_CONFIG_LAZY |             \
		HV_STIMER_CONFIG_AUTO_ENABLE | HV_STIMER_CONFIG_APIC_VECTOR_MASK |                 \
		HV_STIMER_CONFIG_DIRECT_MODE | HV_STIMER_CONFIG_SINTX_MASK)

// HV_X64_MSR_CRASH_CTL. TLFS: HV_CRASH_CTL_REG_CONTENTS. Reads as what is supported.
#define HV_CRASH_CTL_PRE_OS_ID_SHIFT 58 // 3 bits
#define HV_CRASH_CTL_NO_CRASH_DUMP   (1ull << 61)
#define HV_CRASH_CTL_CRASH_MESSAGE   (1ull << 62) // P3 is the GPA of a text, P4 its length in bytes
#define HV_CRASH_CTL_CRASH_NOTIFY    (1ull << 63)

// HV_X64_MSR_TSC_INVARIANT_CONTROL. Bit 0 makes CPUID 0x80000007 EDX.8 visible; it stays set.
#define HV_TSC_INVARIANT_CONTROL_EXPOSE 0x1ull

// TLFS: Partition Reference TSC Mechanism. time in 100 ns = ((tsc * scale) >> 64) + offset.
struct hv_reference_tsc_page {
	uint32_t tsc_sequence; // 0: use HV_X64_MSR_TIME_REF_COUNT instead
	uint32_t rsvd;
	uint64_t tsc_scale;
	int64_t tsc_offset;
	uint64_t rsvd2[509];
};
HV_ASSERT_SIZE(struct hv_reference_tsc_page, HV_PAGE_SIZE);
HV_ASSERT_OFFSET(struct hv_reference_tsc_page, tsc_scale, 8);
HV_ASSERT_OFFSET(struct hv_reference_tsc_page, tsc_offset, 16);

#define HV_REFERENCE_TSC_SEQUENCE_INVALID 0

// TLFS: HV_VP_VTL_CONTROL.
struct hv_vp_vtl_control {
	uint32_t entry_reason;
	uint8_t vina_status;
	uint8_t rsvd_z0;
	uint16_t rsvd_z1;
	uint64_t vtl_return_rax;
	uint64_t vtl_return_rcx;
};
HV_ASSERT_SIZE(struct hv_vp_vtl_control, 24);

// TLFS: HV_VP_ASSIST_PAGE. Bit 0 of apic_assist: no EOI is needed for the highest bit in service.
#define HV_APIC_ASSIST_NO_EOI 0x1u

struct hv_vp_assist_page {
	uint32_t apic_assist;
	uint32_t rsvd_z0;
	struct hv_vp_vtl_control vtl_control;
	uint32_t nested_features;
	uint32_t nested_hypercall_controls;
	uint8_t enlighten_vm_entry;
	uint8_t rsvd_z1[7];
	hv_gpa current_nested_vmcs;
	uint8_t synthetic_time_unhalted_timer_expired;
	uint8_t rsvd_z2[7];
	uint8_t virtualization_fault_information[16];
	uint8_t rsvd_z3[HV_PAGE_SIZE - 80];
};
HV_ASSERT_SIZE(struct hv_vp_assist_page, HV_PAGE_SIZE);
HV_ASSERT_OFFSET(struct hv_vp_assist_page, vtl_control, 8);
HV_ASSERT_OFFSET(struct hv_vp_assist_page, enlighten_vm_entry, 40);
HV_ASSERT_OFFSET(struct hv_vp_assist_page, current_nested_vmcs, 48);
HV_ASSERT_OFFSET(struct hv_vp_assist_page, virtualization_fault_information, 64);

#endif
