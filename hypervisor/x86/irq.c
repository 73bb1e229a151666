// SPDX-License-Identifier: BSD-2-Clause
// Physical interrupts, from the entry code to the virtual APIC.
#include "hypervisor/x86/irq.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/apic.h"

// Level-triggered interrupts that are in service physically until the root's VP ends them. The
// physical EOI ends the highest one, so an early EOI of a lower one has to wait for those above.
static uint64_t level_ended[PCPU_MAX][4];

void irq_window(void)
{
	__asm__ volatile("stgi\n\tsti\n\tnop\n\tnop\n\tcli\n\tclgi" ::: "memory");
}

void irq_halt(void)
{
	__asm__ volatile("stgi\n\tsti\n\thlt\n\tcli\n\tclgi" ::: "memory");
}

void irq_note(unsigned int vector)
{
	struct pcpu *cpu = this_cpu();

	cpu->interrupts[vector / 64] |= BIT(vector % 64);
	cpu->irq_pending = true;
}

static void end_level(struct pcpu *cpu, unsigned int vector)
{
	uint64_t *ended = level_ended[cpu->index];

	ended[vector / 64] |= BIT(vector % 64);
	while (bit_test(ended, vector = apic_highest_in_service())) { // none: 0, never set
		ended[vector / 64] &= ~BIT(vector % 64);
		apic_eoi();
	}
}

static void device_interrupt(struct pcpu *cpu, unsigned int vector)
{
	struct vp *vp = partition_vp(root_partition, cpu->index);
	bool level = apic_is_level(vector);

	if (!level)
		apic_eoi();
	if (vp && vapic_interrupt(vp, vector, level ? VAPIC_LEVEL : VAPIC_EDGE))
		return;
	log_limited("no VP takes the interrupt with vector %x", vector);
	if (level)
		end_level(cpu, vector);
}

static void dispatch(struct pcpu *cpu, unsigned int vector)
{
	if (vector == IRQ_VECTOR_SPURIOUS)
		return;
	if (vector != IRQ_VECTOR_TIMER && vector != IRQ_VECTOR_KICK) {
		device_interrupt(cpu, vector);
		return;
	}
	if (vector == IRQ_VECTOR_TIMER) // no more than a store: others set it, too
		WRITE_ONCE(cpu->timers_changed, true);
	apic_eoi();
}

void irq_dispatch(void)
{
	struct pcpu *cpu = this_cpu();

	cpu->irq_pending = false;
	// From the highest down, which is the order of the physical in-service register.
	for (int word = 3; word >= 0; word--) {
		while (cpu->interrupts[word]) {
			unsigned int bit = 63 - __builtin_clzll(cpu->interrupts[word]);

			cpu->interrupts[word] &= ~BIT(bit);
			dispatch(cpu, word * 64 + bit);
		}
	}
}

void vapic_level_eoi(struct vp *vp, unsigned int vector)
{
	if (vp->partition->is_root)
		end_level(this_cpu(), vector);
	else
		intercept_apic_eoi(vp, vector);
}

void irq_nmi(void)
{
	struct vp *vp = partition_vp(root_partition, 0);

	irq_window(); // takes it
	if (vp)
		vp_request(vp, VP_REQ_NMI);
}
