// SPDX-License-Identifier: BSD-2-Clause
// Why the hypervisor says no, in words: texts for people who write kernels. Data only. Two parties
// have them: lumen_explain() of the guest SDK, which knows a status and what was tried, and the
// hypervisor's log, which knows the rule that was broken.
//
// How the hypervisor uses it: where the dispatcher or an MSR is refused it has an enum
// hv_rejection; an array made from HV_REJECTION_TABLE gives status and text:
//
//	static const struct { hv_status status; const char *text; } rejections[] = {
//	#define ROW(name, status, applies, text) [HvRejection##name] = { HV_STATUS_##status, text },
//		HV_REJECTION_TABLE(ROW)
//	#undef ROW
//	};
//	log_limited("partition %lu VP %u: HvCall%s: %s", id, vp, name, rejections[why].text);
//
// (names of calls and MSRs come from the tables by #name). For a lacking privilege it adds the
// names that HV_PRIVILEGE_TABLE has for the bits of the row; for a status that a handler returns,
// the text that HV_CALL_ADVICE_TABLE has for the call and the status, if any; for an MSR the row of
// HV_MSR_TABLE.
#ifndef HYPERCALL_EXPLAIN_H
#define HYPERCALL_EXPLAIN_H

#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypercall/status.h"
#include "hypercall/table.h"

// What the dispatcher checks, in this order (TLFS: Hypercall Interface).
// X(name, status after HV_STATUS_, applies, text)
//   applies  to which rows of the hypercall table: an expression of rep, fast, variable, in, out
//            (true if the row has it); what cannot be meant is left out of an explanation
#define HV_REJECTION_TABLE(X)                                                                      \
	X(NoSuchCall, INVALID_HYPERCALL_CODE, true, "this hypervisor has no call with this code")  \
	X(NoPrivilege, ACCESS_DENIED, true, "the partition lacks the privilege")                   \
	X(ReservedBits, INVALID_HYPERCALL_INPUT, true,                                             \
		"bits 30:27, 47:44, 63:60 of the control word are reserved, and bit 31 (nested) "  \
		"is for hypervisors")                                                              \
	X(RepRange, INVALID_HYPERCALL_INPUT, rep,                                                  \
		"a rep call needs a start index (bits 59:48) below its rep count (bits 43:32)")    \
	X(RepOnSimple, INVALID_HYPERCALL_INPUT, !rep,                                              \
		"a simple call has rep count and start index 0")                                   \
	X(NoVariableHeader, INVALID_HYPERCALL_INPUT, !variable,                                    \
		"the call has no variable header (bits 26:17)")                                    \
	X(NotFast, INVALID_HYPERCALL_INPUT, !fast,                                                 \
		"the call has no fast form (bit 16): its parameters are in memory")                \
	X(FastTooLong, INVALID_HYPERCALL_INPUT, fast,                                              \
		"input, up to a multiple of 16, and output of a fast call have 112 bytes")         \
	X(BlockAlignment, INVALID_ALIGNMENT, in || out,                                            \
		"the GPAs of input and output are multiples of 8")                                 \
	X(BlockCrossesPage, INVALID_ALIGNMENT, in || out,                                          \
		"neither input nor output crosses a page")                                         \
	X(BlockOutside, INVALID_ALIGNMENT, in || out,                                              \
		"input is in memory that the guest may read, output in memory that it may write")

enum hv_rejection {
#define HV_REJECTION_ENUM(name, status, applies, text) HvRejection##name,
	HV_REJECTION_TABLE(HV_REJECTION_ENUM)
#undef HV_REJECTION_ENUM
};

// Privileges by the names of the TLFS (HV_PARTITION_PRIVILEGE_MASK). X(name after HV_PRIVILEGE_,
// Name). Bit n is CPUID 0x40000003 EAX bit n, or EBX bit n - 32.
#define HV_PRIVILEGE_TABLE(X)                                                                      \
	X(ACCESS_VP_RUNTIME, AccessVpRunTimeReg)                                                   \
	X(ACCESS_PARTITION_REFERENCE_COUNTER, AccessPartitionReferenceCounter)                     \
	X(ACCESS_SYNIC_REGS, AccessSynicRegs)                                                      \
	X(ACCESS_SYNTHETIC_TIMER_REGS, AccessSyntheticTimerRegs)                                   \
	X(ACCESS_INTR_CTRL_REGS, AccessIntrCtrlRegs)                                               \
	X(ACCESS_HYPERCALL_MSRS, AccessHypercallMsrs)                                              \
	X(ACCESS_VP_INDEX, AccessVpIndex)                                                          \
	X(ACCESS_RESET_REG, AccessResetReg)                                                        \
	X(ACCESS_STATS_REG, AccessStatsReg)                                                        \
	X(ACCESS_PARTITION_REFERENCE_TSC, AccessPartitionReferenceTsc)                             \
	X(ACCESS_GUEST_IDLE_REG, AccessGuestIdleReg)                                               \
	X(ACCESS_FREQUENCY_REGS, AccessFrequencyRegs)                                              \
	X(ACCESS_DEBUG_REGS, AccessDebugRegs)                                                      \
	X(ACCESS_REENLIGHTENMENT_CONTROLS, AccessReenlightenmentControls)                          \
	X(ACCESS_ROOT_SCHEDULER_REG, AccessRootSchedulerReg)                                       \
	X(ACCESS_TSC_INVARIANT_CONTROLS, AccessTscInvariantControls)                               \
	X(CREATE_PARTITIONS, CreatePartitions)                                                     \
	X(ACCESS_PARTITION_ID, AccessPartitionId)                                                  \
	X(ACCESS_MEMORY_POOL, AccessMemoryPool)                                                    \
	X(POST_MESSAGES, PostMessages)                                                             \
	X(SIGNAL_EVENTS, SignalEvents)                                                             \
	X(CREATE_PORT, CreatePort)                                                                 \
	X(CONNECT_PORT, ConnectPort)                                                               \
	X(ACCESS_STATS, AccessStats)                                                               \
	X(DEBUGGING, Debugging)                                                                    \
	X(CPU_MANAGEMENT, CpuManagement)                                                           \
	X(ACCESS_VSM, AccessVsm)                                                                   \
	X(ACCESS_VP_REGISTERS, AccessVpRegisters)                                                  \
	X(START_VIRTUAL_PROCESSOR, StartVirtualProcessor)

// What a status of a certain call most often means. X(Call, status after HV_STATUS_, text)
#define HV_CALL_ADVICE_TABLE(X)                                                                    \
	X(FlushVirtualAddressSpace, INVALID_PARAMETER, "flags has reserved bits set")              \
	X(FlushVirtualAddressList, INVALID_PARAMETER,                                              \
		"flags has reserved bits set, or one that lists do not take")                      \
	X(FlushVirtualAddressSpaceEx, INVALID_PARAMETER,                                           \
		"flags has reserved bits set, or the VP set is not of a known format")             \
	X(FlushVirtualAddressListEx, INVALID_PARAMETER,                                            \
		"flags has reserved bits set, or the VP set is not of a known format")             \
	X(FlushVirtualAddressSpaceEx, INVALID_HYPERCALL_INPUT,                                     \
		"the variable header holds one word for each bit of valid_bank_mask")              \
	X(FlushVirtualAddressListEx, INVALID_HYPERCALL_INPUT,                                      \
		"the variable header holds one word for each bit of valid_bank_mask")              \
	X(SendSyntheticClusterIpiEx, INVALID_HYPERCALL_INPUT,                                      \
		"the variable header holds one word for each bit of valid_bank_mask")              \
	X(SendSyntheticClusterIpi, INVALID_PARAMETER,                                              \
		"the vector is 16 to 255, and reserved fields are 0")                              \
	X(SendSyntheticClusterIpiEx, INVALID_PARAMETER,                                            \
		"the vector is 16 to 255, reserved fields are 0, and the VP set is of a known "    \
		"format")                                                                          \
	X(PostMessage, INVALID_CONNECTION_ID,                                                      \
		"nobody listens at this connection id; VMBus is at 4, before version 5.0 at 1")    \
	X(PostMessage, INVALID_PARAMETER,                                                          \
		"the message type is 1 to 0x7fffffff, the payload at most 240 bytes, and the "     \
		"reserved field 0")                                                                \
	X(PostMessage, INSUFFICIENT_BUFFERS,                                                       \
		"the receiver has not taken the earlier messages yet: try again later")            \
	X(PostMessage, INVALID_SYNIC_STATE,                                                        \
		"the receiver's SynIC, SIM page or SINT is not enabled")                           \
	X(SignalEvent, INVALID_CONNECTION_ID,                                                      \
		"nobody listens at this connection id; a VMBus channel's is in its offer")         \
	X(SignalEvent, INVALID_PARAMETER,                                                          \
		"the flag number is beyond the port's flags, or the reserved field is not 0")      \
	X(SignalEvent, INVALID_SYNIC_STATE,                                                        \
		"the receiver's SynIC, SIEF page or SINT is not enabled")                          \
	X(StartVirtualProcessor, INVALID_VP_STATE, "the processor runs already")                   \
	X(StartVirtualProcessor, INVALID_VP_INDEX,                                                 \
		"VP indices are not APIC ids: ask HvCallGetVpIndexFromApicId")                     \
	X(StartVirtualProcessor, INVALID_REGISTER_VALUE,                                           \
		"the context's control registers, EFER and segments do not make a valid state")    \
	X(GetVpIndexFromApicId, INVALID_PARAMETER, "no processor has this APIC id")                \
	X(DepositMemory, INVALID_PARAMETER, "a page is not the caller's to give")                  \
	X(ConnectPort, INVALID_PORT_ID, "the port partition has no such port")                     \
	X(CreatePort, INVALID_PARAMETER, "port type, SINT or flag count is out of range")

// MSRs: who may touch them, and what has to be so before. An access that is refused gives #GP.
// X(name after HV_X64_MSR_, last one's name, privilege after HV_PRIVILEGE_, text)
#define HV_MSR_TABLE(X)                                                                            \
	X(GUEST_OS_ID, GUEST_OS_ID, ACCESS_HYPERCALL_MSRS,                                         \
		"0 takes the hypercall page away; anything else allows hypercalls")                \
	X(HYPERCALL, HYPERCALL, ACCESS_HYPERCALL_MSRS,                                             \
		"bit 0 stays clear until HV_X64_MSR_GUEST_OS_ID is written; with bit 1 set "       \
		"(locked) nothing can be written")                                                 \
	X(VP_INDEX, VP_INDEX, ACCESS_VP_INDEX, "it can only be read")                              \
	X(RESET, RESET, ACCESS_RESET_REG, "bit 0 resets the partition")                            \
	X(VP_RUNTIME, VP_RUNTIME, ACCESS_VP_RUNTIME, "it can only be read")                        \
	X(TIME_REF_COUNT, TIME_REF_COUNT, ACCESS_PARTITION_REFERENCE_COUNTER,                      \
		"it can only be read")                                                             \
	X(REFERENCE_TSC, REFERENCE_TSC, ACCESS_PARTITION_REFERENCE_TSC,                            \
		"the page is a GPA in bits 63:12, with bit 0 set")                                 \
	X(TSC_FREQUENCY, APIC_FREQUENCY, ACCESS_FREQUENCY_REGS, "they can only be read")           \
	X(EOI, TPR, ACCESS_INTR_CTRL_REGS, "EOI can only be written, TPR has 8 bits")              \
	X(VP_ASSIST_PAGE, VP_ASSIST_PAGE, ACCESS_INTR_CTRL_REGS,                                   \
		"the page is a GPA in bits 63:12, with bit 0 set")                                 \
	X(SCONTROL, SIRBP, ACCESS_SYNIC_REGS,                                                      \
		"SVERSION can only be read; pages are GPAs in bits 63:12, with bit 0 set")         \
	X(SINT0, SINT15, ACCESS_SYNIC_REGS,                                                        \
		"a SINT that is not masked (bit 16) has a vector of 16 to 255")                    \
	X(STIMER0_CONFIG, STIMER3_COUNT, ACCESS_SYNTHETIC_TIMER_REGS,                              \
		"reserved bits are 0; direct mode has a vector of 16 to 255; a timer whose "       \
		"message goes to SINT 0 is not enabled")                                           \
	X(GUEST_IDLE, GUEST_IDLE, ACCESS_GUEST_IDLE_REG, "it can only be read")                    \
	X(CRASH_P0, CRASH_CTL, NONE, "they are there with CPUID 0x40000003 EDX bit 10 only")       \
	X(REENLIGHTENMENT_CONTROL, TSC_EMULATION_STATUS, ACCESS_REENLIGHTENMENT_CONTROLS,          \
		"reserved bits are 0")                                                             \
	X(TSC_INVARIANT_CONTROL, TSC_INVARIANT_CONTROL, ACCESS_TSC_INVARIANT_CONTROLS,             \
		"only bit 0 can be written, and it stays set")

#endif
