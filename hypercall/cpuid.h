// SPDX-License-Identifier: BSD-2-Clause
// CPUID leaves of the hypervisor and partition privileges (TLFS: Feature and Interface Discovery,
// HV_PARTITION_PRIVILEGE_MASK).
#ifndef HYPERCALL_CPUID_H
#define HYPERCALL_CPUID_H

#include "hypercall/types.h"

#define HV_CPUID_1_ECX_HYPERVISOR_PRESENT (1u << 31) // of leaf 1

#define HV_CPUID_VENDOR		    0x40000000 // EAX: highest leaf; EBX, ECX, EDX: vendor
#define HV_CPUID_INTERFACE	    0x40000001 // EAX: HV_INTERFACE_SIGNATURE
#define HV_CPUID_VERSION	    0x40000002 // EAX: build; EBX: major << 16 | minor
#define HV_CPUID_FEATURES	    0x40000003 // EAX, EBX: privileges; ECX, EDX: features
#define HV_CPUID_ENLIGHTENMENT_INFO 0x40000004 // EAX: hints; EBX: spins; ECX: address bits
#define HV_CPUID_LIMITS		    0x40000005 // EAX: VPs; EBX: LPs; ECX: interrupt vectors
#define HV_CPUID_HARDWARE_FEATURES  0x40000006
#define HV_CPUID_CPU_MANAGEMENT	    0x40000007
#define HV_CPUID_SVM_FEATURES	    0x40000008 // shared virtual memory, not AMD's SVM
#define HV_CPUID_SKIP_LEVEL	    0x40000009 // what the hypervisor below offers to a nested one
#define HV_CPUID_NESTED_FEATURES    0x4000000a

// "Microsoft Hv": the vendor that Linux and Windows look for before they use the interface.
#define HV_VENDOR_EBX	       0x7263694d
#define HV_VENDOR_ECX	       0x666f736f
#define HV_VENDOR_EDX	       0x76482074
#define HV_INTERFACE_SIGNATURE 0x31237648 // "Hv#1"

// Lumen's own leaves, outside of the range that the TLFS defines. A part of the interface that is
// not the TLFS's: everything else here works without them.
#define LUMEN_CPUID_SIGNATURE 0x40000100 // EAX: highest leaf; EBX, ECX, EDX: "LumenLumenHv"
#define LUMEN_CPUID_VERSION   0x40000101 // EAX: major << 16 | minor; EBX: revision
#define LUMEN_CPUID_TRACE     0x40000102 // root: EAX, EBX: GPA of the trace ring; ECX: bytes
#define LUMEN_SIGNATURE_EBX   0x656d754c
#define LUMEN_SIGNATURE_ECX   0x6d754c6e
#define LUMEN_SIGNATURE_EDX   0x76486e65

// Privileges: bits 31:0 are HV_CPUID_FEATURES EAX, bits 63:32 EBX.
#define HV_PRIVILEGE_NONE				0ull
#define HV_PRIVILEGE_ACCESS_VP_RUNTIME			(1ull << 0)
#define HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER (1ull << 1)
#define HV_PRIVILEGE_ACCESS_SYNIC_REGS			(1ull << 2)
#define HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS	(1ull << 3)
#define HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS		(1ull << 4)
#define HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS		(1ull << 5)
#define HV_PRIVILEGE_ACCESS_VP_INDEX			(1ull << 6)
#define HV_PRIVILEGE_ACCESS_RESET_REG			(1ull << 7)
#define HV_PRIVILEGE_ACCESS_STATS_REG			(1ull << 8)
#define HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC	(1ull << 9)
#define HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG		(1ull << 10)
#define HV_PRIVILEGE_ACCESS_FREQUENCY_REGS		(1ull << 11)
#define HV_PRIVILEGE_ACCESS_DEBUG_REGS			(1ull << 12)
#define HV_PRIVILEGE_ACCESS_REENLIGHTENMENT_CONTROLS	(1ull << 13)
#define HV_PRIVILEGE_ACCESS_ROOT_SCHEDULER_REG		(1ull << 14)
#define HV_PRIVILEGE_ACCESS_TSC_INVARIANT_CONTROLS	(1ull << 15)
#define HV_PRIVILEGE_CREATE_PARTITIONS			(1ull << 32)
#define HV_PRIVILEGE_ACCESS_PARTITION_ID		(1ull << 33)
#define HV_PRIVILEGE_ACCESS_MEMORY_POOL			(1ull << 34)
#define HV_PRIVILEGE_ADJUST_MESSAGE_BUFFERS		(1ull << 35)
#define HV_PRIVILEGE_POST_MESSAGES			(1ull << 36)
#define HV_PRIVILEGE_SIGNAL_EVENTS			(1ull << 37)
#define HV_PRIVILEGE_CREATE_PORT			(1ull << 38)
#define HV_PRIVILEGE_CONNECT_PORT			(1ull << 39)
#define HV_PRIVILEGE_ACCESS_STATS			(1ull << 40)
#define HV_PRIVILEGE_DEBUGGING				(1ull << 43)
#define HV_PRIVILEGE_CPU_MANAGEMENT			(1ull << 44)
#define HV_PRIVILEGE_CONFIGURE_PROFILER			(1ull << 45)
#define HV_PRIVILEGE_EXTENDED_GVA_RANGES		(1ull << 47)
#define HV_PRIVILEGE_ACCESS_VSM				(1ull << 48)
#define HV_PRIVILEGE_ACCESS_VP_REGISTERS		(1ull << 49)
#define HV_PRIVILEGE_FAST_HYPERCALL_OUTPUT		(1ull << 51)
#define HV_PRIVILEGE_EXTENDED_HYPERCALLS		(1ull << 52)
#define HV_PRIVILEGE_START_VIRTUAL_PROCESSOR		(1ull << 53)
#define HV_PRIVILEGE_ISOLATION				(1ull << 54)

// The same bits as a guest finds them in EBX.
#define HV_FEATURE_EBX_CREATE_PARTITIONS ((uint32_t)(HV_PRIVILEGE_CREATE_PARTITIONS >> 32))
#define HV_FEATURE_EBX_POST_MESSAGES	 ((uint32_t)(HV_PRIVILEGE_POST_MESSAGES >> 32))
#define HV_FEATURE_EBX_SIGNAL_EVENTS	 ((uint32_t)(HV_PRIVILEGE_SIGNAL_EVENTS >> 32))
#define HV_FEATURE_EBX_CPU_MANAGEMENT	 ((uint32_t)(HV_PRIVILEGE_CPU_MANAGEMENT >> 32))

// HV_CPUID_FEATURES ECX.
#define HV_FEATURE_ECX_MAX_C_STATE_MASK 0x0000000f
#define HV_FEATURE_ECX_HPET_FOR_C3	(1u << 4)
#define HV_FEATURE_ECX_INVARIANT_MPERF	(1u << 5)

// HV_CPUID_FEATURES EDX.
#define HV_FEATURE_EDX_GUEST_DEBUGGING		(1u << 1)
#define HV_FEATURE_EDX_PERFORMANCE_MONITOR	(1u << 2)
#define HV_FEATURE_EDX_CPU_DYNAMIC_PARTITIONING (1u << 3)
#define HV_FEATURE_EDX_XMM_FAST_INPUT		(1u << 4)
#define HV_FEATURE_EDX_GUEST_IDLE		(1u << 5)
#define HV_FEATURE_EDX_HYPERVISOR_SLEEP		(1u << 6)
#define HV_FEATURE_EDX_NUMA_DISTANCE		(1u << 7)
#define HV_FEATURE_EDX_FREQUENCY_REGS		(1u << 8)
#define HV_FEATURE_EDX_SYNTHETIC_MACHINE_CHECK	(1u << 9)
#define HV_FEATURE_EDX_GUEST_CRASH_REGS		(1u << 10)
#define HV_FEATURE_EDX_DEBUG_REGS		(1u << 11)
#define HV_FEATURE_EDX_NPIEP			(1u << 12)
#define HV_FEATURE_EDX_DISABLE_HYPERVISOR	(1u << 13)
#define HV_FEATURE_EDX_EXTENDED_GVA_RANGES	(1u << 14)
#define HV_FEATURE_EDX_XMM_FAST_OUTPUT		(1u << 15)
#define HV_FEATURE_EDX_SINT_POLLING		(1u << 17)
#define HV_FEATURE_EDX_HYPERCALL_MSR_LOCK	(1u << 18)
#define HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS	(1u << 19)
#define HV_FEATURE_EDX_VSM_PAT			(1u << 20)
#define HV_FEATURE_EDX_VSM_BNDCFGS		(1u << 21)
#define HV_FEATURE_EDX_TIME_UNHALTED_TIMER	(1u << 23)
#define HV_FEATURE_EDX_LBR			(1u << 26)

// HV_CPUID_ENLIGHTENMENT_INFO EAX: what the guest had better do.
#define HV_HINT_HYPERCALL_FOR_SWITCH	       (1u << 0)
#define HV_HINT_HYPERCALL_FOR_LOCAL_FLUSH      (1u << 1)
#define HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH     (1u << 2)
#define HV_HINT_MSR_FOR_APIC		       (1u << 3)
#define HV_HINT_MSR_FOR_RESET		       (1u << 4)
#define HV_HINT_RELAXED_TIMING		       (1u << 5)
#define HV_HINT_DMA_REMAPPING		       (1u << 6)
#define HV_HINT_INTERRUPT_REMAPPING	       (1u << 7)
#define HV_HINT_X2APIC_MSR		       (1u << 8)
#define HV_HINT_DEPRECATE_AUTO_EOI	       (1u << 9)
#define HV_HINT_SYNTHETIC_CLUSTER_IPI	       (1u << 10)
#define HV_HINT_EX_PROCESSOR_MASKS	       (1u << 11)
#define HV_HINT_NESTED			       (1u << 12)
#define HV_HINT_INT_FOR_MBEC_SYSTEM_CALLS      (1u << 13)
#define HV_HINT_ENLIGHTENED_VMCS	       (1u << 14)
#define HV_HINT_SYNCED_TIMELINE		       (1u << 15)
#define HV_HINT_DIRECT_LOCAL_FLUSH_ENTIRE      (1u << 17)
#define HV_HINT_NO_NONARCH_CORE_SHARING	       (1u << 18)
#define HV_SPINLOCK_RETRIES_NEVER	       0xffffffffu // EBX: never notify
#define HV_HINT_ECX_PHYSICAL_ADDRESS_BITS_MASK 0x7f

// HV_CPUID_HARDWARE_FEATURES EAX: what is in use.
#define HV_HARDWARE_APIC_OVERLAY_ASSIST	      (1u << 0)
#define HV_HARDWARE_MSR_BITMAPS		      (1u << 1)
#define HV_HARDWARE_PERFORMANCE_COUNTERS      (1u << 2)
#define HV_HARDWARE_SLAT		      (1u << 3)
#define HV_HARDWARE_DMA_REMAPPING	      (1u << 4)
#define HV_HARDWARE_INTERRUPT_REMAPPING	      (1u << 5)
#define HV_HARDWARE_MEMORY_PATROL_SCRUBBER    (1u << 6)
#define HV_HARDWARE_DMA_PROTECTION	      (1u << 7)
#define HV_HARDWARE_HPET_REQUESTED	      (1u << 8)
#define HV_HARDWARE_SYNTHETIC_TIMERS_VOLATILE (1u << 9)

// May a caller with the privileges HAVE do what asks for NEED? NEED names alternatives: any one of
// its bits suffices; HV_PRIVILEGE_NONE asks for nothing.
static inline bool hv_privilege_suffices(uint64_t have, uint64_t need)
{
	return need == HV_PRIVILEGE_NONE || (have & need);
}

#endif
