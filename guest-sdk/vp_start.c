// SPDX-License-Identifier: BSD-2-Clause
// Starting VPs by hypercall (TLFS: HvCallStartVirtualProcessor, HvCallGetVpIndexFromApicId).
#include "guest-sdk/arch.h"
#include "lumen/hypercall.h"
#include "lumen/vp.h"

#define MSR_PAT	 0x277u
#define MSR_EFER 0xc0000080u

#define RFLAGS_ALWAYS 0x2u

// Where a started VP begins: on its stack are the function and its argument.
void lumen_vp_begin(void);

__asm__(".pushsection .text.lumen_vp_begin, \"ax\", @progbits\n"
	".globl lumen_vp_begin\n"
	".hidden lumen_vp_begin\n"
	".type lumen_vp_begin, @function\n"
	"lumen_vp_begin:\n"
	"	popq %rax\n"
	"	popq %rdi\n"
	"	xorl %ebp, %ebp\n"
	"	call *%rax\n"
	"	ud2\n"
	".size lumen_vp_begin, . - lumen_vp_begin\n"
	".popsection\n");

// A segment register as loading the selector would fill it. A descriptor and HV_X64_SEGMENT_
// REGISTER have the attributes in the same order (SDM 3: Segment Descriptors).
static struct hv_x64_segment_register segment_of(uint16_t selector)
{
	const uint64_t *gdt = (const uint64_t *)(uintptr_t)arch_gdt().base;
	uint64_t descriptor = gdt[selector >> 3];
	uint32_t limit = (uint32_t)(descriptor & 0xffff) | (uint32_t)(descriptor >> 32 & 0xf0000);
	struct hv_x64_segment_register segment = {
		.base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000),
		.limit = limit,
		.selector = selector,
		.attributes = (uint16_t)(descriptor >> 40 & 0xf0ff),
	};

	if (segment.attributes & HV_X64_SEGMENT_GRANULARITY)
		segment.limit = limit << HV_PAGE_SHIFT | HV_PAGE_MASK;
	return segment;
}

static struct hv_x64_table_register table_of(struct arch_table table)
{
	return (struct hv_x64_table_register){ .limit = table.limit, .base = table.base };
}

void lumen_vp_context_like_this(struct hv_initial_vp_context *context, lumen_vp_entry *entry,
	void *argument, void *stack_top)
{
	struct hv_x64_segment_register data = segment_of(arch_ss());
	uint64_t *stack = (uint64_t *)stack_top - 2;

	stack[0] = (uintptr_t)entry;
	stack[1] = (uintptr_t)argument;
	*context = (struct hv_initial_vp_context){
		.rip = (uintptr_t)lumen_vp_begin,
		.rsp = (uintptr_t)stack,
		.rflags = RFLAGS_ALWAYS,
		.cs = segment_of(arch_cs()),
		.ds = data,
		.es = data,
		.fs = data,
		.gs = data,
		.ss = data,
		// As after INIT, but of 64 bits: processors want a busy TSS there.
		.tr = { .limit = 0xffff, .attributes = HV_X64_SEGMENT_PRESENT | 0xb },
		.ldtr = { .limit = 0xffff, .attributes = HV_X64_SEGMENT_PRESENT | 0x2 },
		.idtr = table_of(arch_idt()),
		.gdtr = table_of(arch_gdt()),
		.efer = arch_rdmsr(MSR_EFER),
		.cr0 = arch_cr0(),
		.cr3 = arch_cr3(),
		.cr4 = arch_cr4(),
		.msr_cr_pat = arch_rdmsr(MSR_PAT),
	};
}

lumen_status lumen_vp_start(uint32_t vp, const struct hv_initial_vp_context *context)
{
	LUMEN_CALL_BLOCK struct hv_input_start_virtual_processor in = {
		.partition_id = HV_PARTITION_ID_SELF,
		.vp_index = vp,
		.vp_context = *context,
	};

	return lumen_hypercall(HvCallStartVirtualProcessor, &in, NULL);
}

lumen_status lumen_vp_index_of(uint32_t apic_id, uint32_t *vp)
{
	LUMEN_CALL_BLOCK struct {
		struct hv_input_get_vp_index_from_apic_id header;
		uint32_t apic_id, pad;
	} in = { { .partition_id = HV_PARTITION_ID_SELF }, apic_id, 0 };
	LUMEN_CALL_BLOCK uint32_t out[2] = { 0 };
	lumen_status status = lumen_hypercall_rep(
		hv_call_control(HvCallGetVpIndexFromApicId, 0, 1, 0), &in, out, NULL);

	if (!status)
		*vp = out[0];
	return status;
}
