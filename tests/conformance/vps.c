// SPDX-License-Identifier: BSD-2-Clause
// The other processors, and interrupts.
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

enum {
	VECTOR_FIRST = 0x20,
	VECTOR_LAST = 0xef,
	APIC_ISR = 0x100,
	VP_TIME = 60000, // ms for what a VP is given to do
};

static struct vp {
	uint32_t processor; // the small kernel's index
	void (*function)(void *);
	void *argument;
	struct outcome outcome;
	bool busy, dead;
	uint32_t done;
} vps[MAX_VPS];

static uint32_t vp_of_processor[MAX_VPS];
static unsigned int counts[MAX_VPS][256];
static interrupt_handler *handlers[256];

uint32_t this_vp(void)
{
	return vp_of_processor[kernel_this_processor()];
}

uint32_t apic_id(unsigned int vp)
{
	return kernel_apic_id(vps[vp].processor);
}

bool vp_is_dead(unsigned int vp)
{
	return vps[vp].dead;
}

static void vp_body(void *context)
{
	struct vp *vp = context;

	kernel_irq_off();
	outcome_of(vp->function, vp->argument, &vp->outcome);
	__atomic_store_n(&vp->done, 1, __ATOMIC_RELEASE);
	kernel_irq_on();
}

void vp_start(unsigned int index, void (*function)(void *), void *argument)
{
	struct vp *vp = &vps[index];

	if (index >= machine.vps || vp->busy || vp->dead || index == this_vp())
		test_error("VP %u cannot be given work now", index);
	vp->function = function;
	vp->argument = argument;
	vp->done = 0;
	vp->busy = true;
	kernel_run(vp->processor, vp_body, vp);
}

void vp_wait(unsigned int index)
{
	struct vp *vp = &vps[index];

	if (!vp->busy)
		test_error("VP %u has nothing to do", index);
	if (!WAIT(__atomic_load_n(&vp->done, __ATOMIC_ACQUIRE), VP_TIME)) {
		vp->dead = true;
		test_fail("VP %u does not come back from what the test does on it", index);
	}
	kernel_join(vp->processor);
	vp->busy = false;
	outcome_adopt(&vp->outcome);
}

void vps_settle(void)
{
	for (unsigned int i = 1; i < machine.vps; i++) {
		struct vp *vp = &vps[i];

		if (!vp->busy || vp->dead)
			continue;
		vp->dead = !WAIT(__atomic_load_n(&vp->done, __ATOMIC_ACQUIRE), VP_TIME);
		if (vp->dead)
			test_fail("VP %u does not come back from what the test does on it", i);
		kernel_join(vp->processor);
		vp->busy = false;
	}
}

void vp_run(unsigned int index, void (*function)(void *), void *argument)
{
	if (index == this_vp()) {
		function(argument);
		return;
	}
	vp_start(index, function, argument);
	vp_wait(index);
}

static void find_index(void *argument)
{
	uint64_t *index = argument;

	if (kernel_try_rdmsr(HV_X64_MSR_VP_INDEX, index))
		*index = MAX_VPS;
}

// VPs are numbered as the hypervisor does. One that does not start, or whose number makes no sense,
// is left out: tests that are about that look themselves.
void vps_start(void)
{
	for (uint32_t i = 1; i < kernel_processors() && i < MAX_VPS; i++) {
		uint64_t index = MAX_VPS;

		if (!kernel_start(i))
			continue;
		kernel_run_on(i, find_index, &index);
		if (index != machine.vps)
			continue;
		vps[index].processor = i;
		vp_of_processor[i] = (uint32_t)index;
		machine.vps++;
	}
}

// --- interrupts ---

static void take(struct kernel_frame *frame)
{
	uint8_t vector = (uint8_t)frame->vector;

	__atomic_fetch_add(&counts[this_vp()][vector], 1, __ATOMIC_RELEASE);
	if (handlers[vector])
		handlers[vector](vector);
	else
		kernel_eoi();
}

void interrupt_set_handler(unsigned int vector, interrupt_handler *handler)
{
	handlers[vector & 0xff] = handler;
}

unsigned int interrupt_count(unsigned int vp, unsigned int vector)
{
	return __atomic_load_n(&counts[vp][vector & 0xff], __ATOMIC_ACQUIRE);
}

void interrupts_on(void)
{
	kernel_irq_on();
}

void interrupts_off(void)
{
	kernel_irq_off();
}

// CPUID leaves the guest: what another VP has sent just now is seen then at the latest.
void interrupts_take(void)
{
	uint32_t eax = 0, ecx = 0;

	__asm__ volatile("sti; cpuid; nop; nop; cli"
			 : "+a"(eax), "+c"(ecx)
			 :
			 : "ebx", "edx", "memory");
}

void apic_eoi(void)
{
	kernel_eoi();
}

uint32_t apic_read(uint32_t reg)
{
	return kernel_apic_read(reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	kernel_apic_write(reg, value);
}

void apic_ipi(uint32_t id, uint32_t icr_low)
{
	kernel_apic_send(id, icr_low);
}

static bool in_service(void)
{
	for (uint32_t i = 0; i < 8; i++)
		if (kernel_apic_read(APIC_ISR + 0x10 * i))
			return true;
	return false;
}

static void drain(void *argument)
{
	for (unsigned int i = 0; i < 256 && in_service(); i++)
		kernel_eoi();
	interrupts_take();
	for (unsigned int i = 0; i < 256; i++)
		counts[this_vp()][i] = 0;
}

static bool had_interrupts(unsigned int vp)
{
	for (unsigned int i = VECTOR_FIRST; i <= VECTOR_LAST; i++)
		if (counts[vp][i])
			return true;
	return false;
}

void interrupts_reset(void)
{
	for (unsigned int i = 0; i < 256; i++)
		handlers[i] = NULL;
	interrupts_take();
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		if (!vp_is_dead(vp) && had_interrupts(vp))
			vp_run(vp, drain, NULL);
}

void interrupts_prepare(void)
{
	for (unsigned int i = VECTOR_FIRST; i <= VECTOR_LAST; i++)
		kernel_set_handler((uint8_t)i, take);
}
