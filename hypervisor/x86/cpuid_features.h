// SPDX-License-Identifier: BSD-2-Clause
// The processor's features that CPUID offers to guests: an allow-list of single bits. What is not
// in it is hidden, and so is a bit that the processor does not have. X(bit, name, backing, what):
// what stands behind the bit, so that a guest that uses it loses nothing and learns nothing when
// the processor changes hands:
//
//	INSN, 0			instructions, and no state but what all guests have
//	FACT, 0			something about the processor that is so, whatever we do
//	OURS, 0			something that we emulate
//	XSTATE, bit		state that is saved if XCR0 has that bit; else it is not offered
//	CR4, bits		they may be set: no others may (control.c, svm_registers.c)
//	EFER, bits		the same
//	SPEC_CTRL, bits		the same; saved and loaded with the VP (speculation.c)
//	VIRT_SPEC_CTRL, bits	the same
//	MSR, number		a row of msr.c, or a register that the backend leaves to guests
#pragma once

// clang-format off
// (It takes several X's for one expression.)

// --- leaf 1 ---

// Not: DTES64, MONITOR, VMX, SMX, EIST, TM2, PDCM, DCA. X2APIC, TSC deadline and HYPERVISOR are set
// by cpuid.c, OSXSAVE follows CR4.
#define CPUID_1_ECX(X) \
	X(0, SSE3, XSTATE, 1) X(1, PCLMULQDQ, XSTATE, 1) X(9, SSSE3, XSTATE, 1) \
	X(12, FMA, XSTATE, 2) X(13, CMPXCHG16B, INSN, 0) X(17, PCID, CR4, CR4_PCIDE) \
	X(19, SSE4_1, XSTATE, 1) X(20, SSE4_2, XSTATE, 1) X(22, MOVBE, INSN, 0) \
	X(23, POPCNT, INSN, 0) X(25, AES, XSTATE, 1) X(26, XSAVE, CR4, CR4_OSXSAVE) \
	X(28, AVX, XSTATE, 2) X(29, F16C, XSTATE, 2) X(30, RDRAND, INSN, 0)

// What AMD has in leaf 0x80000001 too.
#define CPUID_COMMON_EDX(X) \
	X(0, FPU, XSTATE, 0) X(1, VME, CR4, CR4_VME | CR4_PVI) X(2, DE, CR4, CR4_DE) \
	X(3, PSE, CR4, CR4_PSE) X(4, TSC, CR4, CR4_TSD) X(5, MSR, OURS, 0) \
	X(6, PAE, CR4, CR4_PAE) X(7, MCE, MSR, 0x17a) X(8, CMPXCHG8B, INSN, 0) \
	X(9, APIC, OURS, 0) X(12, MTRR, MSR, MSR_MTRR_CAP) X(13, PGE, CR4, CR4_PGE) \
	X(14, MCA, MSR, 0x179) X(15, CMOV, INSN, 0) X(16, PAT, MSR, MSR_PAT) \
	X(17, PSE36, FACT, 0) X(23, MMX, XSTATE, 0) X(24, FXSR, CR4, CR4_OSFXSR)

// Not: PSN, DS, ACPI, TM, PBE. HTT is set by cpuid.c.
#define CPUID_1_EDX(X) \
	CPUID_COMMON_EDX(X) X(11, SYSENTER, MSR, 0x174) X(19, CLFLUSH, INSN, 0) \
	X(25, SSE, CR4, CR4_OSXMMEXCPT) X(26, SSE2, XSTATE, 1) X(27, SELF_SNOOP, FACT, 0)

// --- leaf 7 ---

// Not: TSC_ADJUST (a partition has one TSC), SGX, transactions, monitoring, MPX, trace.
#define CPUID_7_EBX(X) \
	X(0, FSGSBASE, CR4, CR4_FSGSBASE) X(3, BMI1, INSN, 0) X(5, AVX2, XSTATE, 2) \
	X(6, FDP_EXCEPTION_ONLY, FACT, 0) X(7, SMEP, CR4, CR4_SMEP) X(8, BMI2, INSN, 0) \
	X(9, ERMS, FACT, 0) X(10, INVPCID, INSN, 0) X(13, NO_FPU_CS_DS, FACT, 0) \
	X(16, AVX512F, XSTATE, 5) X(17, AVX512DQ, XSTATE, 5) X(18, RDSEED, INSN, 0) \
	X(19, ADX, INSN, 0) X(20, SMAP, CR4, CR4_SMAP) X(21, AVX512_IFMA, XSTATE, 5) \
	X(23, CLFLUSHOPT, INSN, 0) X(24, CLWB, INSN, 0) X(28, AVX512CD, XSTATE, 5) \
	X(29, SHA, XSTATE, 1) X(30, AVX512BW, XSTATE, 5) X(31, AVX512VL, XSTATE, 5)

// Not: WAITPKG, CET, LA57, TME, key locker, enqueues, PKS. OSPKE follows CR4.
#define CPUID_7_ECX(X) \
	X(1, AVX512_VBMI, XSTATE, 5) X(2, UMIP, CR4, CR4_UMIP) X(3, PKU, CR4, CR4_PKE) \
	X(6, AVX512_VBMI2, XSTATE, 5) X(8, GFNI, XSTATE, 1) X(9, VAES, XSTATE, 2) \
	X(10, VPCLMULQDQ, XSTATE, 2) X(11, AVX512_VNNI, XSTATE, 5) \
	X(12, AVX512_BITALG, XSTATE, 5) X(14, AVX512_VPOPCNTDQ, XSTATE, 5) \
	X(22, RDPID, MSR, MSR_TSC_AUX) X(25, CLDEMOTE, INSN, 0) X(27, MOVDIRI, INSN, 0) \
	X(28, MOVDIR64B, INSN, 0)

// Not: user interrupts, PCONFIG, CET, AMX, ARCH_CAPABILITIES, L1D_FLUSH (no rows for their MSRs).
#define CPUID_7_EDX(X) \
	X(2, AVX512_4VNNIW, XSTATE, 5) X(3, AVX512_4FMAPS, XSTATE, 5) X(4, FSRM, FACT, 0) \
	X(8, AVX512_VP2INTERSECT, XSTATE, 5) X(10, MD_CLEAR, INSN, 0) X(14, SERIALIZE, INSN, 0) \
	X(23, AVX512_FP16, XSTATE, 5) X(26, INTEL_IBRS_IBPB, SPEC_CTRL, SPEC_CTRL_IBRS) \
	X(27, INTEL_STIBP, SPEC_CTRL, SPEC_CTRL_STIBP) \
	X(31, INTEL_SSBD, SPEC_CTRL, SPEC_CTRL_SSBD)

#define CPUID_7_1_EAX(X) \
	X(4, AVX_VNNI, XSTATE, 2) X(5, AVX512_BF16, XSTATE, 5) X(10, FZRM, FACT, 0) \
	X(11, FSRS, FACT, 0) X(12, FSRC, FACT, 0)

// --- leaf 0xd. Not: XSAVES (its components are saved by nobody), XFD ---

#define CPUID_D_1_EAX(X) \
	X(0, XSAVEOPT, INSN, 0) X(1, XSAVEC, INSN, 0) X(2, XGETBV_1, INSN, 0)

// --- AMD's ---

// Not: SVM, ExtApicSpace, OSVW, IBS, SKINIT, WDT, LWP, performance counters, data breakpoint masks
// (no rows for their MSRs, and not saved), MONITORX.
#define CPUID_81_ECX(X) \
	X(0, LAHF_64, INSN, 0) X(4, ALT_MOV_CR8, OURS, 0) X(5, ABM, INSN, 0) \
	X(6, SSE4A, XSTATE, 1) X(7, MISALIGNED_SSE, FACT, 0) X(8, PREFETCH, INSN, 0) \
	X(11, XOP, XSTATE, 2) X(16, FMA4, XSTATE, 2) X(17, TCE, EFER, EFER_TCE) \
	X(21, TBM, INSN, 0) X(22, TOPOLOGY_EXTENSIONS, OURS, 0)

#define CPUID_81_EDX(X) \
	CPUID_COMMON_EDX(X) X(11, SYSCALL, EFER, EFER_SCE) X(20, NX, EFER, EFER_NXE) \
	X(22, MMX_EXTENSIONS, XSTATE, 0) X(25, FFXSR, EFER, EFER_FFXSR) X(26, PAGE_1G, FACT, 0) \
	X(27, RDTSCP, MSR, MSR_TSC_AUX) X(29, LONG_MODE, EFER, EFER_LME | EFER_LMA) \
	X(30, AMD_3DNOW_EXTENSIONS, XSTATE, 0) X(31, AMD_3DNOW, XSTATE, 0)

// Not: instructions retired, INVLPGB, RDPRU, MCOMMIT.
#define CPUID_88_EBX(X) \
	X(0, CLZERO, INSN, 0) X(2, XSAVE_ERROR_POINTERS, FACT, 0) X(9, WBNOINVD, OURS, 0) \
	X(12, IBPB, MSR, MSR_PRED_CMD) X(14, IBRS, SPEC_CTRL, SPEC_CTRL_IBRS) \
	X(15, STIBP, SPEC_CTRL, SPEC_CTRL_STIBP) X(16, IBRS_ALWAYS, FACT, 0) \
	X(17, STIBP_ALWAYS, FACT, 0) X(18, IBRS_PREFERRED, FACT, 0) \
	X(19, IBRS_SAME_MODE, FACT, 0) X(24, SSBD, SPEC_CTRL, SPEC_CTRL_SSBD) \
	X(25, VIRT_SSBD, VIRT_SPEC_CTRL, SPEC_CTRL_SSBD) X(26, SSB_NO, FACT, 0) \
	X(28, PSFD, SPEC_CTRL, SPEC_CTRL_PSFD) X(29, BTC_NO, FACT, 0) X(30, IBPB_RET, FACT, 0)

#define CPUID_821_EAX(X) \
	X(0, NO_NESTED_DATA_BREAKPOINT, FACT, 0) X(2, LFENCE_SERIALIZES, FACT, 0) \
	X(6, NULL_SELECTOR_CLEARS_BASE, FACT, 0) X(8, AUTOMATIC_IBRS, EFER, EFER_AIBRSE) \
	X(10, AMD_FSRS, FACT, 0) X(11, AMD_FSRC, FACT, 0) X(27, SBPB, MSR, MSR_PRED_CMD) \
	X(28, IBPB_BRTYPE, FACT, 0) X(29, SRSO_NO, FACT, 0) X(30, SRSO_USER_KERNEL_NO, FACT, 0)
