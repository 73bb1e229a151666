// SPDX-License-Identifier: BSD-2-Clause
// The hypercalls: one row each (TLFS: Hypercall Reference). Dispatch, privilege checks, guest
// wrappers, docs/abi.md and the negative tests come from here.
#ifndef HYPERCALL_TABLE_H
#define HYPERCALL_TABLE_H

#include "hypercall/cpuid.h"
#include "hypercall/types.h"

// X(code, Name, kind, in, in_element, out, out_element, fast, variable, privilege)
//   Name         as the TLFS has it, without HvCall
//   kind         SIMPLE or REP
//   in, out      bytes of the fixed headers
//   in_element, out_element  bytes of one list element of a rep call, 0: no list
//   fast         1: parameters may be in registers: 16 bytes of input, with XMM 112 of input and
//                output
//   variable     1: a variable header follows the fixed one
//   privilege    of the caller, one of these bits; HV_PRIVILEGE_NONE: none. What a caller may do to
//                another partition (its child only) is not the table's to say.
//
// Names and sizes that the TLFS leaves out (0x46, 0x53, 0x54, 0x56) or gives otherwise (0x9a, 0xc1,
// 0xf4) are those that Linux and OpenVMM issue.
#define HV_HYPERCALL_TABLE(X)                                                                      \
	X(0x0002, FlushVirtualAddressSpace, SIMPLE, 24, 0, 0, 0, 1, 0, HV_PRIVILEGE_NONE)          \
	X(0x0003, FlushVirtualAddressList, REP, 24, 8, 0, 0, 1, 0, HV_PRIVILEGE_NONE)              \
	X(0x0008, NotifyLongSpinWait, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_NONE)                 \
	X(0x000b, SendSyntheticClusterIpi, SIMPLE, 16, 0, 0, 0, 1, 0, HV_PRIVILEGE_NONE)           \
	X(0x0013, FlushVirtualAddressSpaceEx, SIMPLE, 32, 0, 0, 0, 1, 1, HV_PRIVILEGE_NONE)        \
	X(0x0014, FlushVirtualAddressListEx, REP, 32, 8, 0, 0, 1, 1, HV_PRIVILEGE_NONE)            \
	X(0x0015, SendSyntheticClusterIpiEx, SIMPLE, 24, 0, 0, 0, 1, 1, HV_PRIVILEGE_NONE)         \
	X(0x0040, CreatePartition, SIMPLE, 56, 0, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)      \
	X(0x0041, InitializePartition, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)   \
	X(0x0042, FinalizePartition, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)     \
	X(0x0043, DeletePartition, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)       \
	X(0x0044, GetPartitionProperty, SIMPLE, 16, 0, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS) \
	X(0x0045, SetPartitionProperty, SIMPLE, 24, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS) \
	X(0x0046, GetPartitionId, SIMPLE, 0, 0, 8, 0, 1, 0, HV_PRIVILEGE_ACCESS_PARTITION_ID)      \
	X(0x0047, GetNextChildPartition, SIMPLE, 16, 0, 8, 0, 1, 0,                                \
		HV_PRIVILEGE_CREATE_PARTITIONS)                                                    \
	X(0x0048, DepositMemory, REP, 8, 8, 0, 0, 1, 0, HV_PRIVILEGE_ACCESS_MEMORY_POOL)           \
	X(0x0049, WithdrawMemory, REP, 16, 0, 0, 8, 1, 0, HV_PRIVILEGE_ACCESS_MEMORY_POOL)         \
	X(0x004a, GetMemoryBalance, SIMPLE, 16, 0, 16, 0, 1, 0, HV_PRIVILEGE_ACCESS_MEMORY_POOL)   \
	X(0x004b, MapGpaPages, REP, 24, 8, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)             \
	X(0x004c, UnmapGpaPages, REP, 24, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)           \
	X(0x004d, InstallIntercept, SIMPLE, 24, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)     \
	X(0x004e, CreateVp, SIMPLE, 40, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)             \
	X(0x004f, DeleteVp, SIMPLE, 16, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)             \
	X(0x0050, GetVpRegisters, REP, 16, 4, 0, 16, 1, 0,                                         \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_ACCESS_VP_REGISTERS)                 \
	X(0x0051, SetVpRegisters, REP, 16, 32, 0, 0, 1, 0,                                         \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_ACCESS_VP_REGISTERS)                 \
	X(0x0052, TranslateVirtualAddress, SIMPLE, 32, 0, 16, 0, 1, 0,                             \
		HV_PRIVILEGE_CREATE_PARTITIONS)                                                    \
	X(0x0053, ReadGpa, SIMPLE, 32, 0, 24, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)             \
	X(0x0054, WriteGpa, SIMPLE, 48, 0, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)             \
	X(0x0056, ClearVirtualInterrupt, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS) \
	X(0x0058, DeletePort, SIMPLE, 16, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PORT)                 \
	X(0x005b, DisconnectPort, SIMPLE, 16, 0, 0, 0, 1, 0, HV_PRIVILEGE_CONNECT_PORT)            \
	X(0x005c, PostMessage, SIMPLE, 256, 0, 0, 0, 0, 0, HV_PRIVILEGE_POST_MESSAGES)             \
	X(0x005d, SignalEvent, SIMPLE, 8, 0, 0, 0, 1, 0, HV_PRIVILEGE_SIGNAL_EVENTS)               \
	X(0x006d, UnmapStatsPage, SIMPLE, 24, 0, 0, 0, 1, 0, HV_PRIVILEGE_ACCESS_STATS)            \
	X(0x0091, RegisterInterceptResult, SIMPLE, 64, 0, 0, 0, 1, 0,                              \
		HV_PRIVILEGE_CREATE_PARTITIONS)                                                    \
	X(0x0092, UnregisterInterceptResult, SIMPLE, 32, 0, 0, 0, 1, 0,                            \
		HV_PRIVILEGE_CREATE_PARTITIONS)                                                    \
	X(0x0094, AssertVirtualInterrupt, SIMPLE, 32, 0, 0, 0, 1, 0,                               \
		HV_PRIVILEGE_CREATE_PARTITIONS)                                                    \
	X(0x0095, CreatePort, SIMPLE, 56, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PORT)                 \
	X(0x0096, ConnectPort, SIMPLE, 72, 0, 0, 0, 1, 0, HV_PRIVILEGE_CONNECT_PORT)               \
	X(0x0099, StartVirtualProcessor, SIMPLE, 240, 0, 0, 0, 0, 0,                               \
		HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_START_VIRTUAL_PROCESSOR)             \
	X(0x009a, GetVpIndexFromApicId, REP, 16, 4, 0, 4, 1, 0, HV_PRIVILEGE_NONE)                 \
	X(0x00c0, SignalEventDirect, SIMPLE, 16, 0, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)    \
	X(0x00c1, PostMessageDirect, SIMPLE, 280, 0, 0, 0, 0, 0, HV_PRIVILEGE_CREATE_PARTITIONS)   \
	X(0x00e1, MapVpStatePage, SIMPLE, 24, 0, 8, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)       \
	X(0x00e2, UnmapVpStatePage, SIMPLE, 16, 0, 0, 0, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)     \
	X(0x00f4, GetVpCpuidValues, REP, 24, 24, 0, 16, 1, 0, HV_PRIVILEGE_CREATE_PARTITIONS)      \
	X(0x0131, MapStatsPage2, SIMPLE, 32, 0, 0, 0, 1, 0, HV_PRIVILEGE_ACCESS_STATS)

enum hv_call_code {
#define HV_CALL_ENUM(                                                                              \
	code, name, kind, in, in_element, out, out_element, fast, variable, privilege)             \
	HvCall##name = code,
	HV_HYPERCALL_TABLE(HV_CALL_ENUM)
#undef HV_CALL_ENUM
};

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
