// SPDX-License-Identifier: BSD-2-Clause
// The hypercalls: one row each (TLFS: Hypercall Reference). Dispatch, privilege checks, guest
// wrappers, docs/abi.md and the negative tests come from here.
#ifndef HYPERCALL_TABLE_H
#define HYPERCALL_TABLE_H

#include "hypercall/cpuid.h"
#include "hypercall/intercept.h"
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/partition.h"
#include "hypercall/port.h"
#include "hypercall/stats.h"
#include "hypercall/synic.h"
#include "hypercall/tlb.h"
#include "hypercall/types.h"

// Which partition a call may name, in which state that has to be, and what else may work on it
// meanwhile. A combination, like privileges; the partition's id is in the input.
#define HV_TARGET_NONE	    0x00u // none
#define HV_TARGET_SELF	    0x01u // the caller
#define HV_TARGET_SELF_IF   0x02u // the caller, if it has the privilege that is not CREATE_PARTITIONS
#define HV_TARGET_CHILD	    0x04u // a child of the caller, who may create partitions
#define HV_TARGET_FAMILY    (HV_TARGET_SELF | HV_TARGET_CHILD) // the caller or a child
#define HV_TARGET_ID_AT_8   0x08u // its id is at offset 8 of the input, not first
#define HV_TARGET_ANY_STATE 0x10u // in any state, not only initialized
#define HV_TARGET_SHARED    0x20u // not while an exclusive call works on it
#define HV_TARGET_EXCLUSIVE 0x40u // while no shared or exclusive call works on it

// X(code, Name, type, kind, in_element, out_element, fast, variable, privilege, target)
//   Name         as the TLFS has it, without HvCall
//   type, kind   the fixed headers, struct hv_input_type and struct hv_output_type: In, Out or
//                InOut: which of them a simple call has; Rep: a rep call, with an input header
//   in_element, out_element  bytes of one list element of a rep call, 0: no list
//   fast         1: parameters may be in registers: 16 bytes of input, with XMM 112 of input and
//                output
//   variable     1: a variable header follows the fixed one
//   privilege    of the caller, one of these bits; HV_PRIVILEGE_NONE: none
//   target       HV_TARGET_*
//
// Names and sizes that the TLFS leaves out (0x46, 0x53, 0x54, 0x56) or gives otherwise (0x9a, 0xc1,
// 0xf4) are those that Linux and OpenVMM issue.
#define HV_HYPERCALL_TABLE(X)                                                                      \
	X(0x0002, FlushVirtualAddressSpace, flush_virtual_address_space, In, 0, 0, 1, 0,           \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0003, FlushVirtualAddressList, flush_virtual_address_list, Rep, 8, 0, 1, 0,            \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0008, NotifyLongSpinWait, notify_long_spin_wait, In, 0, 0, 1, 0, HV_PRIVILEGE_NONE,    \
		HV_TARGET_NONE)                                                                    \
	X(0x000b, SendSyntheticClusterIpi, send_synthetic_cluster_ipi, In, 0, 0, 1, 0,             \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0013, FlushVirtualAddressSpaceEx, flush_virtual_address_space_ex, In, 0, 0, 1, 1,      \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0014, FlushVirtualAddressListEx, flush_virtual_address_list_ex, Rep, 8, 0, 1, 1,       \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0015, SendSyntheticClusterIpiEx, send_synthetic_cluster_ipi_ex, In, 0, 0, 1, 1,        \
		HV_PRIVILEGE_NONE, HV_TARGET_NONE)                                                 \
	X(0x0040, CreatePartition, create_partition, InOut, 0, 0, 1, 0,                            \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_NONE)                                    \
	X(0x0041, InitializePartition, initialize_partition, In, 0, 0, 1, 0,                       \
		HV_PRIVILEGE_CREATE_PARTITIONS,                                                    \
		HV_TARGET_CHILD | HV_TARGET_ANY_STATE | HV_TARGET_EXCLUSIVE)                       \
	X(0x0042, FinalizePartition, finalize_partition, In, 0, 0, 1, 0,                           \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD | HV_TARGET_EXCLUSIVE)             \
	X(0x0043, DeletePartition, delete_partition, In, 0, 0, 1, 0,                               \
		HV_PRIVILEGE_CREATE_PARTITIONS,                                                    \
		HV_TARGET_CHILD | HV_TARGET_ANY_STATE | HV_TARGET_EXCLUSIVE)                       \
	X(0x0044, GetPartitionProperty, get_partition_property, InOut, 0, 0, 1, 0,                 \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_FAMILY | HV_TARGET_ANY_STATE)            \
	X(0x0045, SetPartitionProperty, set_partition_property, In, 0, 0, 1, 0,                    \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_FAMILY | HV_TARGET_ANY_STATE)            \
	X(0x0046, GetPartitionId, get_partition_id, Out, 0, 0, 1, 0,                               \
		HV_PRIVILEGE_ACCESS_PARTITION_ID, HV_TARGET_NONE)                                  \
	X(0x0047, GetNextChildPartition, get_next_child_partition, InOut, 0, 0, 1, 0,              \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_FAMILY | HV_TARGET_ANY_STATE)            \
	X(0x0048, DepositMemory, deposit_memory, Rep, 8, 0, 1, 0, HV_PRIVILEGE_ACCESS_MEMORY_POOL, \
		HV_TARGET_FAMILY | HV_TARGET_ANY_STATE | HV_TARGET_SHARED)                         \
	X(0x0049, WithdrawMemory, withdraw_memory, Rep, 0, 8, 1, 0,                                \
		HV_PRIVILEGE_ACCESS_MEMORY_POOL, HV_TARGET_FAMILY | HV_TARGET_ANY_STATE)           \
	X(0x004a, GetMemoryBalance, get_memory_balance, InOut, 0, 0, 1, 0,                         \
		HV_PRIVILEGE_ACCESS_MEMORY_POOL, HV_TARGET_FAMILY | HV_TARGET_ANY_STATE)           \
	X(0x004b, MapGpaPages, map_gpa_pages, Rep, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS,     \
		HV_TARGET_CHILD | HV_TARGET_EXCLUSIVE)                                             \
	X(0x004c, UnmapGpaPages, unmap_gpa_pages, Rep, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS, \
		HV_TARGET_CHILD | HV_TARGET_EXCLUSIVE)                                             \
	X(0x004d, InstallIntercept, install_intercept, In, 0, 0, 1, 0,                             \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x004e, CreateVp, create_vp, In, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS,             \
		HV_TARGET_CHILD | HV_TARGET_EXCLUSIVE)                                             \
	X(0x004f, DeleteVp, delete_vp, In, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS,             \
		HV_TARGET_CHILD | HV_TARGET_EXCLUSIVE)                                             \
	X(0x0050, GetVpRegisters, get_vp_registers, Rep, 4, 16, 1, 0,                              \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_ACCESS_VP_REGISTERS,                 \
		HV_TARGET_CHILD | HV_TARGET_SELF_IF | HV_TARGET_SHARED)                            \
	X(0x0051, SetVpRegisters, set_vp_registers, Rep, 32, 0, 1, 0,                              \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_ACCESS_VP_REGISTERS,                 \
		HV_TARGET_CHILD | HV_TARGET_SELF_IF | HV_TARGET_SHARED)                            \
	X(0x0052, TranslateVirtualAddress, translate_virtual_address, InOut, 0, 0, 1, 0,           \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD | HV_TARGET_SHARED)                \
	X(0x0053, ReadGpa, read_gpa, InOut, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS,            \
		HV_TARGET_CHILD)                                                                   \
	X(0x0054, WriteGpa, write_gpa, InOut, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS,          \
		HV_TARGET_CHILD)                                                                   \
	X(0x0056, ClearVirtualInterrupt, clear_virtual_interrupt, In, 0, 0, 1, 0,                  \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x0058, DeletePort, delete_port, In, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PORT,               \
		HV_TARGET_FAMILY | HV_TARGET_SHARED)                                               \
	X(0x005b, DisconnectPort, disconnect_port, In, 0, 0, 1, 0, HV_PRIVILEGE_CONNECT_PORT,      \
		HV_TARGET_FAMILY | HV_TARGET_SHARED)                                               \
	X(0x005c, PostMessage, post_message, In, 0, 0, 0, 0, HV_PRIVILEGE_POST_MESSAGES,           \
		HV_TARGET_NONE)                                                                    \
	X(0x005d, SignalEvent, signal_event, In, 0, 0, 1, 0, HV_PRIVILEGE_SIGNAL_EVENTS,           \
		HV_TARGET_NONE)                                                                    \
	X(0x006d, UnmapStatsPage, unmap_stats_page, In, 0, 0, 1, 0, HV_PRIVILEGE_ACCESS_STATS,     \
		HV_TARGET_FAMILY | HV_TARGET_ID_AT_8 | HV_TARGET_EXCLUSIVE)                        \
	X(0x0091, RegisterInterceptResult, register_intercept_result, In, 0, 0, 1, 0,              \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x0092, UnregisterInterceptResult, unregister_intercept_result, In, 0, 0, 1, 0,          \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x0094, AssertVirtualInterrupt, assert_virtual_interrupt, In, 0, 0, 1, 0,                \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x0095, CreatePort, create_port, In, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PORT,               \
		HV_TARGET_FAMILY | HV_TARGET_SHARED)                                               \
	X(0x0096, ConnectPort, connect_port, In, 0, 0, 1, 0, HV_PRIVILEGE_CONNECT_PORT,            \
		HV_TARGET_FAMILY | HV_TARGET_SHARED)                                               \
	X(0x0099, StartVirtualProcessor, start_virtual_processor, In, 0, 0, 0, 0,                  \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_START_VIRTUAL_PROCESSOR,             \
		HV_TARGET_CHILD | HV_TARGET_SELF_IF | HV_TARGET_SHARED)                            \
	X(0x009a, GetVpIndexFromApicId, get_vp_index_from_apic_id, Rep, 4, 4, 1, 0,                \
		HV_PRIVILEGE_NONE, HV_TARGET_FAMILY)                                               \
	X(0x00c0, SignalEventDirect, signal_event_direct, InOut, 0, 0, 1, 0,                       \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x00c1, PostMessageDirect, post_message_direct, In, 0, 0, 0, 0,                          \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD)                                   \
	X(0x00e1, MapVpStatePage, map_vp_state_page, InOut, 0, 0, 1, 0,                            \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_FAMILY)                                  \
	X(0x00e2, UnmapVpStatePage, unmap_vp_state_page, In, 0, 0, 1, 0,                           \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_FAMILY)                                  \
	X(0x00f4, GetVpCpuidValues, get_vp_cpuid_values, Rep, 24, 16, 1, 0,                        \
		HV_PRIVILEGE_CREATE_PARTITIONS, HV_TARGET_CHILD | HV_TARGET_SHARED)                \
	X(0x0131, MapStatsPage2, map_stats_page2, In, 0, 0, 1, 0, HV_PRIVILEGE_ACCESS_STATS,       \
		HV_TARGET_FAMILY | HV_TARGET_ID_AT_8 | HV_TARGET_EXCLUSIVE)

enum hv_call_code {
#define HV_CALL_ENUM(code, name, ...) HvCall##name = code,
	HV_HYPERCALL_TABLE(HV_CALL_ENUM)
#undef HV_CALL_ENUM
};

// For expansions of the table: what a row's kind says. HV_CALL_IS_REP(kind) is 1 or 0;
// HV_CALL_IN(kind, type) and HV_CALL_OUT(kind, type) are the bytes of the fixed headers.
#define HV_CALL_IS_REP(kind)	HV_CALL_IS_REP_##kind
#define HV_CALL_IS_REP_In	0
#define HV_CALL_IS_REP_Out	0
#define HV_CALL_IS_REP_InOut	0
#define HV_CALL_IS_REP_Rep	1
#define HV_CALL_IN(kind, type)	HV_CALL_IN_##kind(type)
#define HV_CALL_IN_In(type)	sizeof(struct hv_input_##type)
#define HV_CALL_IN_Out(type)	0
#define HV_CALL_IN_InOut(type)	sizeof(struct hv_input_##type)
#define HV_CALL_IN_Rep(type)	sizeof(struct hv_input_##type)
#define HV_CALL_OUT(kind, type) HV_CALL_OUT_##kind(type)
#define HV_CALL_OUT_In(type)	0
#define HV_CALL_OUT_Out(type)	sizeof(struct hv_output_##type)
#define HV_CALL_OUT_InOut(type) sizeof(struct hv_output_##type)
#define HV_CALL_OUT_Rep(type)	0

// Statuses that the TLFS documents for single calls. Every call may also return those of the
// dispatcher: INVALID_HYPERCALL_CODE, INVALID_HYPERCALL_INPUT, INVALID_ALIGNMENT, ACCESS_DENIED.
// X(Name, status after HV_STATUS_)
#define HV_HYPERCALL_STATUS_TABLE(X)                                                               \
	X(PostMessage, ACCESS_DENIED)                                                              \
	X(PostMessage, INVALID_CONNECTION_ID)                                                      \
	X(PostMessage, INVALID_PORT_ID)                                                            \
	X(PostMessage, INVALID_PARAMETER)                                                          \
	X(PostMessage, INSUFFICIENT_BUFFERS)                                                       \
	X(PostMessage, INVALID_VP_INDEX)                                                           \
	X(PostMessage, INVALID_SYNIC_STATE)                                                        \
	X(SignalEvent, ACCESS_DENIED)                                                              \
	X(SignalEvent, INVALID_CONNECTION_ID)                                                      \
	X(SignalEvent, INVALID_PORT_ID)                                                            \
	X(SignalEvent, INVALID_PARAMETER)                                                          \
	X(SignalEvent, INVALID_VP_INDEX)                                                           \
	X(SignalEvent, INVALID_SYNIC_STATE)                                                        \
	X(StartVirtualProcessor, ACCESS_DENIED)                                                    \
	X(StartVirtualProcessor, INVALID_PARTITION_ID)                                             \
	X(StartVirtualProcessor, INVALID_VP_INDEX)                                                 \
	X(StartVirtualProcessor, INVALID_REGISTER_VALUE)                                           \
	X(StartVirtualProcessor, INVALID_VP_STATE)                                                 \
	X(StartVirtualProcessor, INVALID_PARTITION_STATE)                                          \
	X(StartVirtualProcessor, INVALID_VTL_STATE)                                                \
	X(GetVpIndexFromApicId, ACCESS_DENIED)                                                     \
	X(GetVpIndexFromApicId, INVALID_PARAMETER)                                                 \
	X(GetVpIndexFromApicId, INVALID_PARTITION_ID)                                              \
	X(GetVpIndexFromApicId, INVALID_REGISTER_VALUE)                                            \
	X(GetVpIndexFromApicId, INVALID_VP_STATE)                                                  \
	X(GetVpIndexFromApicId, INVALID_PARTITION_STATE)                                           \
	X(GetVpIndexFromApicId, INVALID_VTL_STATE)

#endif
