// SPDX-License-Identifier: BSD-2-Clause
// The local APIC by synthetic MSRs, x2APIC MSRs or its page (TLFS: Virtual Interrupt Controller;
// SDM 3, chapter "APIC"), and the VP assist page (TLFS: Virtual Processor Assist Page).
#include "lumen/apic.h"

#include "guest-sdk/arch.h"
#include "guest-sdk/page_register.h"
#include "lumen/detect.h"

enum {
	MSR_APIC_BASE = 0x1b,
	MSR_X2APIC = 0x800, // and the register's offset divided by 16

	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SVR = 0xf0,
	APIC_ISR = 0x100,
	APIC_IRR = 0x200,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
};

#define APIC_BASE_X2APIC (1u << 10)
#define APIC_SVR_ENABLE	 (1u << 8)
#define APIC_ICR_PENDING (1u << 12)
#define APIC_ID_SHIFT	 24 // of a register in the page
#define APIC_BITMAP_STEP 16 // between registers of 32 vectors each

static enum { NOT_STARTED, BY_X2APIC, BY_PAGE } mode;
static bool has_synthetic; // EOI, ICR, TPR
static volatile uint8_t *registers;

static volatile uint32_t *in_page(uint32_t offset)
{
	return (volatile uint32_t *)(registers + offset);
}

static uint32_t read(uint32_t offset)
{
	return mode == BY_X2APIC ? (uint32_t)arch_rdmsr(MSR_X2APIC + (offset >> 4))
				 : *in_page(offset);
}

static void write(uint32_t offset, uint32_t value)
{
	if (mode == BY_X2APIC)
		arch_wrmsr(MSR_X2APIC + (offset >> 4), value);
	else
		*in_page(offset) = value;
}

lumen_status lumen_apic_start(volatile void *page, uint8_t spurious_vector)
{
	bool x2apic = arch_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;

	if (!x2apic && !page)
		return LUMEN_NOT_SUPPORTED;
	registers = page;
	has_synthetic = lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS);
	mode = x2apic ? BY_X2APIC : BY_PAGE;
	write(APIC_SVR, APIC_SVR_ENABLE | spurious_vector);
	return LUMEN_OK;
}

void lumen_eoi(void)
{
	if (has_synthetic)
		arch_wrmsr(HV_X64_MSR_EOI, 0);
	else if (mode != NOT_STARTED)
		write(APIC_EOI, 0);
}

void lumen_eoi_assisted(struct hv_vp_assist_page *assist)
{
	// TLFS: the guest tests and clears the bit in one step.
	uint32_t was =
		__atomic_fetch_and(&assist->apic_assist, ~HV_APIC_ASSIST_NO_EOI, __ATOMIC_ACQ_REL);

	if (!(was & HV_APIC_ASSIST_NO_EOI))
		lumen_eoi();
}

static void write_icr_page(uint32_t high, uint32_t low)
{
	while (read(APIC_ICR_LOW) & APIC_ICR_PENDING)
		arch_pause();
	write(APIC_ICR_HIGH, high);
	write(APIC_ICR_LOW, low);
	while (read(APIC_ICR_LOW) & APIC_ICR_PENDING)
		arch_pause();
}

void lumen_icr_write(uint64_t command)
{
	uint32_t high = (uint32_t)(command >> 32) << APIC_ID_SHIFT;

	// What was written before is seen by the receiver; x2APIC writes do not see to it (SDM 3).
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (mode == BY_X2APIC)
		arch_wrmsr(MSR_X2APIC + (APIC_ICR_LOW >> 4), command);
	else if (has_synthetic && mode == BY_PAGE)
		arch_wrmsr(HV_X64_MSR_ICR, (uint64_t)high << 32 | (uint32_t)command);
	else if (mode == BY_PAGE)
		write_icr_page(high, (uint32_t)command);
}

void lumen_tpr_write(uint8_t priority)
{
	if (has_synthetic)
		arch_wrmsr(HV_X64_MSR_TPR, priority);
	else if (mode != NOT_STARTED)
		write(APIC_TPR, priority);
}

uint8_t lumen_tpr_read(void)
{
	if (has_synthetic)
		return (uint8_t)arch_rdmsr(HV_X64_MSR_TPR);
	return mode == NOT_STARTED ? 0 : (uint8_t)read(APIC_TPR);
}

uint32_t lumen_apic_id(void)
{
	if (mode == NOT_STARTED)
		return arch_cpuid(1).ebx >> 24;
	return mode == BY_X2APIC ? read(APIC_ID) : read(APIC_ID) >> APIC_ID_SHIFT;
}

static bool has_bit(uint32_t bitmap, uint8_t vector)
{
	return mode != NOT_STARTED &&
	       read(bitmap + vector / 32u * APIC_BITMAP_STEP) & 1u << vector % 32;
}

bool lumen_apic_is_pending(uint8_t vector)
{
	return has_bit(APIC_IRR, vector);
}

bool lumen_apic_is_in_service(uint8_t vector)
{
	return has_bit(APIC_ISR, vector);
}

// --- the VP assist page ---

lumen_status lumen_vp_assist_enable(struct hv_vp_assist_page *page)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		return LUMEN_NO_PRIVILEGE;
	if ((uintptr_t)page % HV_PAGE_SIZE)
		return LUMEN_BAD_ARGUMENT;
	page_register_enable(HV_X64_MSR_VP_ASSIST_PAGE, page);
	return LUMEN_OK;
}

void lumen_vp_assist_disable(void)
{
	if (lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		page_register_disable(HV_X64_MSR_VP_ASSIST_PAGE);
}
