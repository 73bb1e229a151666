// SPDX-License-Identifier: BSD-2-Clause
// Registers of virtual processors by name, their values, and the calls that read and write them
// (TLFS: HV_REGISTER_NAME, HV_REGISTER_VALUE, HvCallGetVpRegisters, HvCallSetVpRegisters).
#ifndef HYPERCALL_REGISTERS_H
#define HYPERCALL_REGISTERS_H

#include "hypercall/types.h"

// X(name, number). Those that Lumen has a use for; the others are in the TLFS.
#define HV_REGISTER_TABLE(X)                                                                       \
	X(HvRegisterExplicitSuspend, 0x00000000)                                                   \
	X(HvRegisterInterceptSuspend, 0x00000001)                                                  \
	X(HvRegisterInstructionEmulationHints, 0x00000002)                                         \
	X(HvRegisterDispatchSuspend, 0x00000003)                                                   \
	X(HvRegisterInternalActivityState, 0x00000004)                                             \
	X(HvRegisterHypervisorVersion, 0x00000100)                                                 \
	X(HvRegisterPrivilegesAndFeaturesInfo, 0x00000200)                                         \
	X(HvRegisterFeaturesInfo, 0x00000201)                                                      \
	X(HvRegisterImplementationLimitsInfo, 0x00000202)                                          \
	X(HvRegisterHardwareFeaturesInfo, 0x00000203)                                              \
	X(HvRegisterGuestCrashP0, 0x00000210)                                                      \
	X(HvRegisterGuestCrashP1, 0x00000211)                                                      \
	X(HvRegisterGuestCrashP2, 0x00000212)                                                      \
	X(HvRegisterGuestCrashP3, 0x00000213)                                                      \
	X(HvRegisterGuestCrashP4, 0x00000214)                                                      \
	X(HvRegisterGuestCrashCtl, 0x00000215)                                                     \
	X(HvRegisterProcessorClockFrequency, 0x00000240)                                           \
	X(HvRegisterInterruptClockFrequency, 0x00000241)                                           \
	X(HvRegisterGuestIdle, 0x00000250)                                                         \
	X(HvRegisterPendingInterruption, 0x00010002)                                               \
	X(HvRegisterInterruptState, 0x00010003)                                                    \
	X(HvRegisterPendingEvent0, 0x00010004)                                                     \
	X(HvRegisterPendingEvent1, 0x00010005)                                                     \
	X(HvRegisterDeliverabilityNotifications, 0x00010006)                                       \
	X(HvX64RegisterPendingDebugException, 0x00010007)                                          \
	X(HvRegisterPendingEvent2, 0x00010008)                                                     \
	X(HvRegisterPendingEvent3, 0x00010009)                                                     \
	X(HvX64RegisterRax, 0x00020000)                                                            \
	X(HvX64RegisterRcx, 0x00020001)                                                            \
	X(HvX64RegisterRdx, 0x00020002)                                                            \
	X(HvX64RegisterRbx, 0x00020003)                                                            \
	X(HvX64RegisterRsp, 0x00020004)                                                            \
	X(HvX64RegisterRbp, 0x00020005)                                                            \
	X(HvX64RegisterRsi, 0x00020006)                                                            \
	X(HvX64RegisterRdi, 0x00020007)                                                            \
	X(HvX64RegisterR8, 0x00020008)                                                             \
	X(HvX64RegisterR9, 0x00020009)                                                             \
	X(HvX64RegisterR10, 0x0002000a)                                                            \
	X(HvX64RegisterR11, 0x0002000b)                                                            \
	X(HvX64RegisterR12, 0x0002000c)                                                            \
	X(HvX64RegisterR13, 0x0002000d)                                                            \
	X(HvX64RegisterR14, 0x0002000e)                                                            \
	X(HvX64RegisterR15, 0x0002000f)                                                            \
	X(HvX64RegisterRip, 0x00020010)                                                            \
	X(HvX64RegisterRflags, 0x00020011)                                                         \
	X(HvX64RegisterXmm0, 0x00030000)                                                           \
	X(HvX64RegisterXmm1, 0x00030001)                                                           \
	X(HvX64RegisterXmm2, 0x00030002)                                                           \
	X(HvX64RegisterXmm3, 0x00030003)                                                           \
	X(HvX64RegisterXmm4, 0x00030004)                                                           \
	X(HvX64RegisterXmm5, 0x00030005)                                                           \
	X(HvX64RegisterXmm6, 0x00030006)                                                           \
	X(HvX64RegisterXmm7, 0x00030007)                                                           \
	X(HvX64RegisterXmm8, 0x00030008)                                                           \
	X(HvX64RegisterXmm9, 0x00030009)                                                           \
	X(HvX64RegisterXmm10, 0x0003000a)                                                          \
	X(HvX64RegisterXmm11, 0x0003000b)                                                          \
	X(HvX64RegisterXmm12, 0x0003000c)                                                          \
	X(HvX64RegisterXmm13, 0x0003000d)                                                          \
	X(HvX64RegisterXmm14, 0x0003000e)                                                          \
	X(HvX64RegisterXmm15, 0x0003000f)                                                          \
	X(HvX64RegisterFpMmx0, 0x00030010)                                                         \
	X(HvX64RegisterFpMmx1, 0x00030011)                                                         \
	X(HvX64RegisterFpMmx2, 0x00030012)                                                         \
	X(HvX64RegisterFpMmx3, 0x00030013)                                                         \
	X(HvX64RegisterFpMmx4, 0x00030014)                                                         \
	X(HvX64RegisterFpMmx5, 0x00030015)                                                         \
	X(HvX64RegisterFpMmx6, 0x00030016)                                                         \
	X(HvX64RegisterFpMmx7, 0x00030017)                                                         \
	X(HvX64RegisterFpControlStatus, 0x00030018)                                                \
	X(HvX64RegisterXmmControlStatus, 0x00030019)                                               \
	X(HvX64RegisterCr0, 0x00040000)                                                            \
	X(HvX64RegisterCr2, 0x00040001)                                                            \
	X(HvX64RegisterCr3, 0x00040002)                                                            \
	X(HvX64RegisterCr4, 0x00040003)                                                            \
	X(HvX64RegisterCr8, 0x00040004)                                                            \
	X(HvX64RegisterXfem, 0x00040005)                                                           \
	X(HvX64RegisterIntermediateCr0, 0x00041000)                                                \
	X(HvX64RegisterIntermediateCr4, 0x00041003)                                                \
	X(HvX64RegisterIntermediateCr8, 0x00041004)                                                \
	X(HvX64RegisterDr0, 0x00050000)                                                            \
	X(HvX64RegisterDr1, 0x00050001)                                                            \
	X(HvX64RegisterDr2, 0x00050002)                                                            \
	X(HvX64RegisterDr3, 0x00050003)                                                            \
	X(HvX64RegisterDr6, 0x00050004)                                                            \
	X(HvX64RegisterDr7, 0x00050005)                                                            \
	X(HvX64RegisterEs, 0x00060000)                                                             \
	X(HvX64RegisterCs, 0x00060001)                                                             \
	X(HvX64RegisterSs, 0x00060002)                                                             \
	X(HvX64RegisterDs, 0x00060003)                                                             \
	X(HvX64RegisterFs, 0x00060004)                                                             \
	X(HvX64RegisterGs, 0x00060005)                                                             \
	X(HvX64RegisterLdtr, 0x00060006)                                                           \
	X(HvX64RegisterTr, 0x00060007)                                                             \
	X(HvX64RegisterIdtr, 0x00070000)                                                           \
	X(HvX64RegisterGdtr, 0x00070001)                                                           \
	X(HvX64RegisterTsc, 0x00080000)                                                            \
	X(HvX64RegisterEfer, 0x00080001)                                                           \
	X(HvX64RegisterKernelGsBase, 0x00080002)                                                   \
	X(HvX64RegisterApicBase, 0x00080003)                                                       \
	X(HvX64RegisterPat, 0x00080004)                                                            \
	X(HvX64RegisterSysenterCs, 0x00080005)                                                     \
	X(HvX64RegisterSysenterEip, 0x00080006)                                                    \
	X(HvX64RegisterSysenterEsp, 0x00080007)                                                    \
	X(HvX64RegisterStar, 0x00080008)                                                           \
	X(HvX64RegisterLstar, 0x00080009)                                                          \
	X(HvX64RegisterCstar, 0x0008000a)                                                          \
	X(HvX64RegisterSfmask, 0x0008000b)                                                         \
	X(HvX64RegisterInitialApicId, 0x0008000c)                                                  \
	X(HvX64RegisterMsrMtrrCap, 0x0008000d)                                                     \
	X(HvX64RegisterMsrMtrrDefType, 0x0008000e)                                                 \
	X(HvX64RegisterMsrMtrrPhysBase0, 0x00080010)                                               \
	X(HvX64RegisterMsrMtrrPhysBase1, 0x00080011)                                               \
	X(HvX64RegisterMsrMtrrPhysBase2, 0x00080012)                                               \
	X(HvX64RegisterMsrMtrrPhysBase3, 0x00080013)                                               \
	X(HvX64RegisterMsrMtrrPhysBase4, 0x00080014)                                               \
	X(HvX64RegisterMsrMtrrPhysBase5, 0x00080015)                                               \
	X(HvX64RegisterMsrMtrrPhysBase6, 0x00080016)                                               \
	X(HvX64RegisterMsrMtrrPhysBase7, 0x00080017)                                               \
	X(HvX64RegisterMsrMtrrPhysBase8, 0x00080018)                                               \
	X(HvX64RegisterMsrMtrrPhysBase9, 0x00080019)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseA, 0x0008001a)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseB, 0x0008001b)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseC, 0x0008001c)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseD, 0x0008001d)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseE, 0x0008001e)                                               \
	X(HvX64RegisterMsrMtrrPhysBaseF, 0x0008001f)                                               \
	X(HvX64RegisterMsrMtrrPhysMask0, 0x00080040)                                               \
	X(HvX64RegisterMsrMtrrPhysMask1, 0x00080041)                                               \
	X(HvX64RegisterMsrMtrrPhysMask2, 0x00080042)                                               \
	X(HvX64RegisterMsrMtrrPhysMask3, 0x00080043)                                               \
	X(HvX64RegisterMsrMtrrPhysMask4, 0x00080044)                                               \
	X(HvX64RegisterMsrMtrrPhysMask5, 0x00080045)                                               \
	X(HvX64RegisterMsrMtrrPhysMask6, 0x00080046)                                               \
	X(HvX64RegisterMsrMtrrPhysMask7, 0x00080047)                                               \
	X(HvX64RegisterMsrMtrrPhysMask8, 0x00080048)                                               \
	X(HvX64RegisterMsrMtrrPhysMask9, 0x00080049)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskA, 0x0008004a)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskB, 0x0008004b)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskC, 0x0008004c)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskD, 0x0008004d)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskE, 0x0008004e)                                               \
	X(HvX64RegisterMsrMtrrPhysMaskF, 0x0008004f)                                               \
	X(HvX64RegisterMsrMtrrFix64k00000, 0x00080070)                                             \
	X(HvX64RegisterMsrMtrrFix16k80000, 0x00080071)                                             \
	X(HvX64RegisterMsrMtrrFix16kA0000, 0x00080072)                                             \
	X(HvX64RegisterMsrMtrrFix4kC0000, 0x00080073)                                              \
	X(HvX64RegisterMsrMtrrFix4kC8000, 0x00080074)                                              \
	X(HvX64RegisterMsrMtrrFix4kD0000, 0x00080075)                                              \
	X(HvX64RegisterMsrMtrrFix4kD8000, 0x00080076)                                              \
	X(HvX64RegisterMsrMtrrFix4kE0000, 0x00080077)                                              \
	X(HvX64RegisterMsrMtrrFix4kE8000, 0x00080078)                                              \
	X(HvX64RegisterMsrMtrrFix4kF0000, 0x00080079)                                              \
	X(HvX64RegisterMsrMtrrFix4kF8000, 0x0008007a)                                              \
	X(HvX64RegisterTscAux, 0x0008007b)                                                         \
	X(HvX64RegisterDebugCtl, 0x0008007d)                                                       \
	X(HvX64RegisterSpecCtrl, 0x00080084)                                                       \
	X(HvX64RegisterPredCmd, 0x00080085)                                                        \
	X(HvX64RegisterVirtSpecCtrl, 0x00080086)                                                   \
	X(HvX64RegisterTscVirtualOffset, 0x00080087)                                               \
	X(HvX64RegisterTsxCtrl, 0x00080088)                                                        \
	X(HvX64RegisterXss, 0x0008008b)                                                            \
	X(HvX64RegisterTscDeadline, 0x00080095)                                                    \
	X(HvX64RegisterTscAdjust, 0x00080096)                                                      \
	X(HvX64RegisterUmwaitControl, 0x00080098)                                                  \
	X(HvX64RegisterXfd, 0x00080099)                                                            \
	X(HvX64RegisterXfdErr, 0x0008009a)                                                         \
	X(HvX64RegisterMsrIa32MiscEnable, 0x000800a0)                                              \
	X(HvX64RegisterApicId, 0x00084802)                                                         \
	X(HvX64RegisterApicVersion, 0x00084803)                                                    \
	X(HvX64RegisterApicTpr, 0x00084808)                                                        \
	X(HvX64RegisterApicPpr, 0x0008480a)                                                        \
	X(HvX64RegisterApicEoi, 0x0008480b)                                                        \
	X(HvX64RegisterApicLdr, 0x0008480d)                                                        \
	X(HvX64RegisterApicSpurious, 0x0008480f)                                                   \
	X(HvX64RegisterApicIsr0, 0x00084810)                                                       \
	X(HvX64RegisterApicIsr1, 0x00084811)                                                       \
	X(HvX64RegisterApicIsr2, 0x00084812)                                                       \
	X(HvX64RegisterApicIsr3, 0x00084813)                                                       \
	X(HvX64RegisterApicIsr4, 0x00084814)                                                       \
	X(HvX64RegisterApicIsr5, 0x00084815)                                                       \
	X(HvX64RegisterApicIsr6, 0x00084816)                                                       \
	X(HvX64RegisterApicIsr7, 0x00084817)                                                       \
	X(HvX64RegisterApicTmr0, 0x00084818)                                                       \
	X(HvX64RegisterApicTmr1, 0x00084819)                                                       \
	X(HvX64RegisterApicTmr2, 0x0008481a)                                                       \
	X(HvX64RegisterApicTmr3, 0x0008481b)                                                       \
	X(HvX64RegisterApicTmr4, 0x0008481c)                                                       \
	X(HvX64RegisterApicTmr5, 0x0008481d)                                                       \
	X(HvX64RegisterApicTmr6, 0x0008481e)                                                       \
	X(HvX64RegisterApicTmr7, 0x0008481f)                                                       \
	X(HvX64RegisterApicIrr0, 0x00084820)                                                       \
	X(HvX64RegisterApicIrr1, 0x00084821)                                                       \
	X(HvX64RegisterApicIrr2, 0x00084822)                                                       \
	X(HvX64RegisterApicIrr3, 0x00084823)                                                       \
	X(HvX64RegisterApicIrr4, 0x00084824)                                                       \
	X(HvX64RegisterApicIrr5, 0x00084825)                                                       \
	X(HvX64RegisterApicIrr6, 0x00084826)                                                       \
	X(HvX64RegisterApicIrr7, 0x00084827)                                                       \
	X(HvX64RegisterApicEse, 0x00084828)                                                        \
	X(HvX64RegisterApicIcr, 0x00084830)                                                        \
	X(HvX64RegisterApicLvtTimer, 0x00084832)                                                   \
	X(HvX64RegisterApicLvtThermal, 0x00084833)                                                 \
	X(HvX64RegisterApicLvtLint0, 0x00084835)                                                   \
	X(HvX64RegisterApicLvtLint1, 0x00084836)                                                   \
	X(HvX64RegisterApicLvtError, 0x00084837)                                                   \
	X(HvX64RegisterApicInitCount, 0x00084838)                                                  \
	X(HvX64RegisterApicCurrentCount, 0x00084839)                                               \
	X(HvX64RegisterApicDivide, 0x0008483e)                                                     \
	X(HvX64RegisterApicSelfIpi, 0x0008483f)                                                    \
	X(HvRegisterVpRuntime, 0x00090000)                                                         \
	X(HvX64RegisterHypercall, 0x00090001)                                                      \
	X(HvRegisterGuestOsId, 0x00090002)                                                         \
	X(HvRegisterVpIndex, 0x00090003)                                                           \
	X(HvRegisterTimeRefCount, 0x00090004)                                                      \
	X(HvX64RegisterSyntheticEoi, 0x00090010)                                                   \
	X(HvX64RegisterSyntheticIcr, 0x00090011)                                                   \
	X(HvX64RegisterSyntheticTpr, 0x00090012)                                                   \
	X(HvRegisterVpAssistPage, 0x00090013)                                                      \
	X(HvRegisterReferenceTsc, 0x00090017)                                                      \
	X(HvRegisterReferenceTscSequence, 0x0009001a)                                              \
	X(HvRegisterStatsPartitionRetail, 0x00090020)                                              \
	X(HvRegisterStatsVpRetail, 0x00090022)                                                     \
	X(HvRegisterSint0, 0x000a0000)                                                             \
	X(HvRegisterSint1, 0x000a0001)                                                             \
	X(HvRegisterSint2, 0x000a0002)                                                             \
	X(HvRegisterSint3, 0x000a0003)                                                             \
	X(HvRegisterSint4, 0x000a0004)                                                             \
	X(HvRegisterSint5, 0x000a0005)                                                             \
	X(HvRegisterSint6, 0x000a0006)                                                             \
	X(HvRegisterSint7, 0x000a0007)                                                             \
	X(HvRegisterSint8, 0x000a0008)                                                             \
	X(HvRegisterSint9, 0x000a0009)                                                             \
	X(HvRegisterSint10, 0x000a000a)                                                            \
	X(HvRegisterSint11, 0x000a000b)                                                            \
	X(HvRegisterSint12, 0x000a000c)                                                            \
	X(HvRegisterSint13, 0x000a000d)                                                            \
	X(HvRegisterSint14, 0x000a000e)                                                            \
	X(HvRegisterSint15, 0x000a000f)                                                            \
	X(HvRegisterScontrol, 0x000a0010)                                                          \
	X(HvRegisterSversion, 0x000a0011)                                                          \
	X(HvRegisterSifp, 0x000a0012)                                                              \
	X(HvRegisterSipp, 0x000a0013)                                                              \
	X(HvRegisterEom, 0x000a0014)                                                               \
	X(HvRegisterStimer0Config, 0x000b0000)                                                     \
	X(HvRegisterStimer0Count, 0x000b0001)                                                      \
	X(HvRegisterStimer1Config, 0x000b0002)                                                     \
	X(HvRegisterStimer1Count, 0x000b0003)                                                      \
	X(HvRegisterStimer2Config, 0x000b0004)                                                     \
	X(HvRegisterStimer2Count, 0x000b0005)                                                      \
	X(HvRegisterStimer3Config, 0x000b0006)                                                     \
	X(HvRegisterStimer3Count, 0x000b0007)                                                      \
	X(HvRegisterStimeUnhaltedTimerConfig, 0x000b0100)                                          \
	X(HvRegisterStimeUnhaltedTimerCount, 0x000b0101)

enum hv_register_name {
#define HV_REGISTER_ENUM(name, number) name = number,
	HV_REGISTER_TABLE(HV_REGISTER_ENUM)
#undef HV_REGISTER_ENUM
};

// TLFS: HV_X64_SEGMENT_REGISTER.
struct hv_x64_segment_register {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attributes;
};
HV_ASSERT_SIZE(struct hv_x64_segment_register, 16);
HV_ASSERT_OFFSET(struct hv_x64_segment_register, selector, 12);
HV_ASSERT_OFFSET(struct hv_x64_segment_register, attributes, 14);

#define HV_X64_SEGMENT_TYPE_MASK   0x000f
#define HV_X64_SEGMENT_NON_SYSTEM  0x0010
#define HV_X64_SEGMENT_DPL_SHIFT   5 // 2 bits
#define HV_X64_SEGMENT_PRESENT	   0x0080
#define HV_X64_SEGMENT_AVAILABLE   0x1000
#define HV_X64_SEGMENT_LONG	   0x2000
#define HV_X64_SEGMENT_DEFAULT	   0x4000
#define HV_X64_SEGMENT_GRANULARITY 0x8000

// TLFS: HV_X64_TABLE_REGISTER.
struct hv_x64_table_register {
	uint16_t rsvd[3];
	uint16_t limit;
	uint64_t base;
};
HV_ASSERT_SIZE(struct hv_x64_table_register, 16);
HV_ASSERT_OFFSET(struct hv_x64_table_register, limit, 6);

// TLFS: HV_X64_FP_CONTROL_STATUS_REGISTER, the FXSAVE image's bytes 0 to 15.
struct hv_x64_fp_control_status_register {
	uint16_t fp_control;
	uint16_t fp_status;
	uint8_t fp_tag;
	uint8_t rsvd;
	uint16_t last_fp_op;
	uint64_t last_fp_rip;
};
HV_ASSERT_SIZE(struct hv_x64_fp_control_status_register, 16);
HV_ASSERT_OFFSET(struct hv_x64_fp_control_status_register, last_fp_rip, 8);

// TLFS: HV_X64_XMM_CONTROL_STATUS_REGISTER, the FXSAVE image's bytes 16 to 31.
struct hv_x64_xmm_control_status_register {
	uint64_t last_fp_rdp;
	uint32_t xmm_status_control;
	uint32_t xmm_status_control_mask;
};
HV_ASSERT_SIZE(struct hv_x64_xmm_control_status_register, 16);
HV_ASSERT_OFFSET(struct hv_x64_xmm_control_status_register, xmm_status_control, 8);

// TLFS: HV_REGISTER_VALUE.
struct hv_register_value {
	union {
		struct hv_u128 reg128;
		uint64_t reg64;
		uint32_t reg32;
		uint16_t reg16;
		uint8_t reg8;
		uint8_t bytes[16];
		struct hv_x64_segment_register segment;
		struct hv_x64_table_register table;
		struct hv_x64_fp_control_status_register fp_control_status;
		struct hv_x64_xmm_control_status_register xmm_control_status;
	};
};
HV_ASSERT_SIZE(struct hv_register_value, 16);

// TLFS: HV_REGISTER_ASSOC.
struct hv_register_assoc {
	uint32_t name; // enum hv_register_name
	uint32_t rsvd_z0;
	uint64_t rsvd_z1;
	struct hv_register_value value;
};
HV_ASSERT_SIZE(struct hv_register_assoc, 32);
HV_ASSERT_OFFSET(struct hv_register_assoc, value, 16);

// TLFS: HvCallGetVpRegisters. The list: register names (uint32_t); out: values.
struct hv_input_get_vp_registers {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint8_t input_vtl;
	uint8_t rsvd_z[3];
};
HV_ASSERT_SIZE(struct hv_input_get_vp_registers, 16);
HV_ASSERT_OFFSET(struct hv_input_get_vp_registers, input_vtl, 12);

// TLFS: HvCallSetVpRegisters. The list: struct hv_register_assoc.
struct hv_input_set_vp_registers {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint8_t input_vtl;
	uint8_t rsvd_z[3];
};
HV_ASSERT_SIZE(struct hv_input_set_vp_registers, 16);
HV_ASSERT_OFFSET(struct hv_input_set_vp_registers, input_vtl, 12);

// HvRegisterExplicitSuspend, HvRegisterInterceptSuspend.
#define HV_REGISTER_SUSPENDED 0x1ull

// HvRegisterInternalActivityState.
#define HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND 0x1ull
#define HV_INTERNAL_ACTIVITY_HALT_SUSPEND    0x2ull
#define HV_INTERNAL_ACTIVITY_IDLE_SUSPEND    0x4ull

// HvRegisterInterruptState.
#define HV_INTERRUPT_STATE_SHADOW     0x1ull
#define HV_INTERRUPT_STATE_NMI_MASKED 0x2ull

// HvRegisterPendingInterruption: what the next entry delivers. Bits 63:32 are the error code.
enum hv_x64_pending_interruption_type {
	HvX64PendingInterrupt = 0,
	HvX64PendingNmi = 2,
	HvX64PendingException = 3,
	HvX64PendingSoftwareInterrupt = 4,
	HvX64PendingPrivilegedSoftwareException = 5,
	HvX64PendingSoftwareException = 6,
};

#define HV_PENDING_INTERRUPTION_PENDING		   (1ull << 0)
#define HV_PENDING_INTERRUPTION_TYPE_SHIFT	   1 // 3 bits
#define HV_PENDING_INTERRUPTION_TYPE_MASK	   (7ull << 1)
#define HV_PENDING_INTERRUPTION_DELIVER_ERROR_CODE (1ull << 4)
#define HV_PENDING_INTERRUPTION_LENGTH_SHIFT	   5 // 4 bits: the instruction's length
#define HV_PENDING_INTERRUPTION_LENGTH_MASK	   (0xfull << 5)
#define HV_PENDING_INTERRUPTION_NESTED_EVENT	   (1ull << 9)
#define HV_PENDING_INTERRUPTION_VECTOR_SHIFT	   16 // 16 bits
#define HV_PENDING_INTERRUPTION_VECTOR_MASK	   (0xffffull << 16)
#define HV_PENDING_INTERRUPTION_ERROR_CODE_SHIFT   32

// HvRegisterPendingEvent0, 128 bits. The high half is the exception's parameter (CR2, DR6).
enum hv_x64_pending_event_type {
	HvX64PendingEventException = 0,
	HvX64PendingEventMemoryIntercept = 1,
	HvX64PendingEventNestedMemoryIntercept = 2,
	HvX64PendingEventVirtualizationFault = 3,
	HvX64PendingEventHypercallOutput = 4,
	HvX64PendingEventExtInt = 5,
	HvX64PendingEventShadowIpt = 6,
};

#define HV_PENDING_EVENT_PENDING	     (1ull << 0)
#define HV_PENDING_EVENT_TYPE_SHIFT	     1 // 3 bits
#define HV_PENDING_EVENT_TYPE_MASK	     (7ull << 1)
#define HV_PENDING_EVENT_DELIVER_ERROR_CODE  (1ull << 8)
#define HV_PENDING_EVENT_VECTOR_SHIFT	     16 // 16 bits; exceptions. ExtInt: bits 15:8
#define HV_PENDING_EVENT_VECTOR_MASK	     (0xffffull << 16)
#define HV_PENDING_EVENT_ERROR_CODE_SHIFT    32
#define HV_PENDING_EVENT_EXTINT_VECTOR_SHIFT 8

// HvRegisterDeliverabilityNotifications: asks for a message when this becomes deliverable.
#define HV_DELIVERABILITY_NMI			   (1ull << 0)
#define HV_DELIVERABILITY_INTERRUPT		   (1ull << 1)
#define HV_DELIVERABILITY_INTERRUPT_PRIORITY_SHIFT 2 // 4 bits
#define HV_DELIVERABILITY_INTERRUPT_PRIORITY_MASK  (0xfull << 2)
#define HV_DELIVERABILITY_SINTS_SHIFT		   48 // a bit per SINT

#endif
