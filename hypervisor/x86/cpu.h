// SPDX-License-Identifier: BSD-2-Clause
// Instructions and bits of the processor that the hypervisor itself runs on.
#pragma once

#include "hypervisor/core/lib.h"
#include "hypervisor/x86/cpuid_read.h"

static inline uint64_t msr_rd(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void msr_wr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

// As above for MSRs that may not exist: false if the processor answers #GP.
bool msr_rd_safe(uint32_t msr, uint64_t *value);
bool msr_wr_safe(uint32_t msr, uint64_t value);

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#define READ_REG(name)                                                                             \
	static inline uint64_t read_##name(void)                                                   \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v));                                 \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##name(uint64_t v)                                                \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                        \
	}
// clang-format off
READ_REG(cr2) READ_REG(cr3) READ_REG(cr4) READ_REG(dr0) READ_REG(dr1) READ_REG(dr2) READ_REG(dr3)
	// clang-format on

	// XCR0 while the hypervisor saves and restores; what guests may set at most.
	extern uint64_t host_xcr0;

static inline uint64_t xcr0_read(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static inline void xcr0_write(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)

#define DR6_BS BIT(14)

#define CR0_PE BIT(0)
#define CR0_ET BIT(4)
#define CR0_WP BIT(16)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)

#define EFER_SCE    BIT(0)
#define EFER_LME    BIT(8)
#define EFER_LMA    BIT(10)
#define EFER_NXE    BIT(11)
#define EFER_SVME   BIT(12)
#define EFER_FFXSR  BIT(14)
#define EFER_TCE    BIT(15)
#define EFER_AIBRSE BIT(21) // automatic IBRS

// MSR_SPEC_CTRL; MSR_VIRT_SPEC_CTRL has only SSBD.
#define SPEC_CTRL_IBRS	BIT(0)
#define SPEC_CTRL_STIBP BIT(1)
#define SPEC_CTRL_SSBD	BIT(2)
#define SPEC_CTRL_PSFD	BIT(7)

enum { MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_TSC_ADJUST = 0x3b, MSR_SPEC_CTRL = 0x48 };
enum { MSR_PRED_CMD = 0x49, MSR_MTRR_CAP = 0xfe, MSR_MTRR_FIRST = 0x200, MSR_PAT = 0x277 };
enum { MSR_MTRR_DEF_TYPE = 0x2ff, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC_FIRST = 0x800 };
enum { MSR_X2APIC_LAST = 0x8ff, MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081 };
enum { MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083, MSR_SFMASK = 0xc0000084 };
enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101, MSR_KERNEL_GS_BASE = 0xc0000102 };
enum { MSR_TSC_AUX = 0xc0000103, MSR_VM_CR = 0xc0010114, MSR_VM_HSAVE_PA = 0xc0010117 };
enum { MSR_VIRT_SPEC_CTRL = 0xc001011f };
