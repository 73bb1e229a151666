// SPDX-License-Identifier: BSD-2-Clause
// Grace periods by the processors' guest_seq: entering a guest costs nothing more for them.
#include "hypervisor/core/grace.h"
#include "hypervisor/core/pcpu.h"

#define PASSED 1 // any odd number

void grace_begin(struct grace *grace)
{
	// Pairs with guest_leave() and idle(): a processor that we see in a guest makes its
	// guest_seq even, by a full barrier, before it looks anything up, and so finds our object
	// gone. Without a barrier here the processor could load its guest_seq before others see
	// what we have unlinked.
	full_fence();
	for (uint32_t i = 0; i < pcpu_count; i++)
		grace->seq[i] = pcpus[i] == this_cpu() || !pcpus[i]->online
					? PASSED
					: __atomic_load_n(&pcpus[i]->guest_seq, __ATOMIC_SEQ_CST);
}

// Two that wait for each other both count as quiescent, as neither uses what it has looked up
// before. If it has passed, it has made all its accesses: guest_enter() is a full barrier.
static bool passed(const struct pcpu *cpu, uint64_t seq)
{
	return seq & 1 || __atomic_load_n(&cpu->guest_seq, __ATOMIC_SEQ_CST) != seq ||
	       __atomic_load_n(&cpu->quiescing, __ATOMIC_SEQ_CST);
}

bool grace_over(struct grace *grace)
{
	bool over = true;

	for (uint32_t i = 0; i < pcpu_count; i++) {
		if (passed(pcpus[i], grace->seq[i]))
			grace->seq[i] = PASSED;
		else
			over = false;
	}
	return over;
}

void quiesce_wait(void)
{
	struct pcpu *self = this_cpu();
	struct grace grace;

	__atomic_store_n(&self->quiescing, true, __ATOMIC_SEQ_CST);
	grace_begin(&grace);
	while (!grace_over(&grace))
		cpu_relax();
	__atomic_store_n(&self->quiescing, false, __ATOMIC_SEQ_CST);
}
