// SPDX-License-Identifier: BSD-2-Clause
#include "hypervisor/x86/speculation.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/msr.h"

#define PRED_CMD_IBPB BIT(0)

struct speculation speculation;

void speculation_init(void)
{
	speculation.automatic_ibrs = host_cpuid(0x80000021, 0).eax & 1 << 8;
	speculation.ibpb =
		host_cpuid(0x80000008, 0).ebx & 1 << 12 || host_cpuid(7, 0).edx & 1 << 26;
	speculation.spec_ctrl = guest_control_bits(GUEST_SPEC_CTRL);
	speculation.virt_spec_ctrl = guest_control_bits(GUEST_VIRT_SPEC_CTRL);
	// APM2 3.1.7: with automatic IBRS, guests steer no indirect branch of the host's, and an
	// exit clears the return stack.
	speculation.fill_return_stack = speculation.ibpb && !speculation.automatic_ibrs;
}

void speculation_enable(void)
{
	if (speculation.automatic_ibrs)
		msr_wr(MSR_EFER, msr_rd(MSR_EFER) | EFER_AIBRSE);
}

void speculation_load(const struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	if (cpu->predictions_of != vp->partition->id && speculation.ibpb)
		msr_wr_safe(MSR_PRED_CMD, PRED_CMD_IBPB);
	cpu->predictions_of = vp->partition->id;
	if (speculation.spec_ctrl)
		msr_wr_safe(MSR_SPEC_CTRL, vp->spec_ctrl);
	if (speculation.virt_spec_ctrl)
		msr_wr_safe(MSR_VIRT_SPEC_CTRL, vp->virt_spec_ctrl);
}

void speculation_save(struct vp *vp)
{
	if (speculation.spec_ctrl)
		msr_rd_safe(MSR_SPEC_CTRL, &vp->spec_ctrl);
	if (speculation.virt_spec_ctrl)
		msr_rd_safe(MSR_VIRT_SPEC_CTRL, &vp->virt_spec_ctrl);
}

// 32 calls that nobody returns from but by misprediction, and then waits.
void speculation_fill_return_stack(void)
{
	uint32_t pairs = 16;

	__asm__ volatile("1:\n\tcall 2f\n0:\n\tpause\n\tlfence\n\tjmp 0b\n"
			 "2:\n\tcall 3f\n0:\n\tpause\n\tlfence\n\tjmp 0b\n"
			 "3:\n\tdec %0\n\tjnz 1b\n\tadd $256, %%rsp\n\tlfence"
			 : "+r"(pairs)
			 :
			 : "memory", "cc");
}
