// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// This kernel's SynIC: pages and SINTs per processor, and the interrupt handler behind them (TLFS:
// Synthetic Interrupt Controller).
#include "driver.h"

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/io.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "hypercall/cpuid.h"

// arch/x86/kernel/cpu/mshyperv.c; what runs at HYPERVISOR_CALLBACK_VECTOR.
void hv_setup_vmbus_handler(void (*handler)(void));
void hv_remove_vmbus_handler(void);

#define SINT_VMBUS 2 // Linux's hv_vmbus

#define FLAG_WORDS (HV_EVENT_FLAGS_COUNT / BITS_PER_LONG)

#define MESSAGES_PER_TURN 16 // of one SINT; each is a copy and perhaps an MSR write

// Written by its own processor with interrupts off. The pages stay for the life of the module.
struct synic_cpu {
	struct hv_message *messages;  // the SIM page: a slot per SINT; NULL: not enabled
	unsigned long *flags;	      // the SIEF page: FLAG_WORDS per SINT
	void *sim_page, *sief_page;   // ours
	bool sim_mapped, sief_mapped; // somebody had enabled them before: theirs, mapped
	hv_vp_index vp;
	struct work_struct next_turn;
};
static DEFINE_PER_CPU(struct synic_cpu, synic_cpu);

static const struct {
	unsigned int sint;
	void (*received)(const struct hv_message *message);
} message_sints[] = {
	{ HV_SYNIC_INTERCEPTION_SINT_INDEX, mshv_vp_intercept },
	{ MSHV_SINT_MESSAGES, mshv_port_received },
};

static const unsigned int used_sints[] = {
	HV_SYNIC_INTERCEPTION_SINT_INDEX,
	MSHV_SINT_EVENTS,
	MSHV_SINT_MESSAGES,
};

static enum cpuhp_state synic_state;
static u64 sint_value; // of an unmasked SINT

// TLFS: SynIC Message Flags. The copy is made before the slot is freed: afterwards the hypervisor
// may write into it. Then freed before the pending bit is read: it sets the bit before it gives up
// because the slot is in use, so that either it finds the slot free or we find the bit and ask it
// to try again. A child that sends without end has the slot filled again each time: after
// MESSAGES_PER_TURN the rest waits for the next turn. False: there may be more.
static bool drain_messages(
	struct hv_message *slot, void (*received)(const struct hv_message *message))
{
	struct hv_message message;
	unsigned int i;

	for (i = 0; i < MESSAGES_PER_TURN; i++) {
		if (READ_ONCE(slot->header.message_type) == HvMessageTypeNone)
			return true;
		rmb(); // the type is written last
		memcpy(&message, slot, sizeof(message));
		WRITE_ONCE(slot->header.message_type, HvMessageTypeNone);
		mb();
		if (READ_ONCE(slot->header.message_flags) & HV_MESSAGE_FLAG_PENDING)
			wrmsrl(HV_X64_MSR_EOM, 0);
		received(&message);
	}
	return false;
}

// Each flag is cleared before its eventfd is signalled: a signal that comes in between sets it
// again.
static void scan_flags(unsigned long *flags)
{
	unsigned int word, bit;

	for (word = 0; word < FLAG_WORDS; word++) {
		unsigned long set = READ_ONCE(flags[word]) ? xchg(&flags[word], 0) : 0;

		for_each_set_bit(bit, &set, BITS_PER_LONG)
			mshv_event_signaled(word * BITS_PER_LONG + bit);
	}
}

// One turn: what has arrived on this processor, up to a number of messages. Interrupts are off. The
// next turn, if there has to be one, is a work item's: others get the processor in between.
static void synic_turn(void)
{
	struct synic_cpu *cpu = this_cpu_ptr(&synic_cpu);
	bool all = true;
	unsigned int i;

	if (!cpu->messages)
		return;
	rcu_read_lock();
	for (i = 0; i < ARRAY_SIZE(message_sints); i++)
		all &= drain_messages(
			cpu->messages + message_sints[i].sint, message_sints[i].received);
	scan_flags(cpu->flags + MSHV_SINT_EVENTS * FLAG_WORDS);
	rcu_read_unlock();
	if (!all)
		schedule_work_on(smp_processor_id(), &cpu->next_turn);
}

static void synic_next_turn(struct work_struct *work)
{
	local_irq_disable();
	synic_turn();
	local_irq_enable();
}

hv_vp_index mshv_synic_message_vp(void)
{
	return per_cpu(synic_cpu, cpumask_first(cpu_online_mask)).vp;
}

void mshv_synic_clear_flag(unsigned int flag)
{
	int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		unsigned long *flags = per_cpu(synic_cpu, cpu).flags;

		if (flags)
			clear_bit(flag, flags + MSHV_SINT_EVENTS * FLAG_WORDS);
	}
	cpus_read_unlock();
}

// Enables one of the two pages. If it is enabled already it stays where it is. Returns it, or NULL.
static void *page_enable(u32 msr, void *own, bool *mapped)
{
	u64 value;
	void *page;

	rdmsrl(msr, value);
	*mapped = value & HV_X64_MSR_PAGE_ENABLE;
	if (*mapped)
		return memremap(value & HV_X64_MSR_PAGE_MASK, PAGE_SIZE, MEMREMAP_WB);
	page = own;
	wrmsrl(msr, virt_to_phys(page) | HV_X64_MSR_PAGE_ENABLE);
	return page;
}

static void page_disable(u32 msr, void *page, bool mapped)
{
	if (mapped) {
		if (page)
			memunmap(page);
		return;
	}
	wrmsrl(msr, 0);
}

static void sints_write(u64 value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(used_sints); i++)
		wrmsrl(HV_X64_MSR_SINTn(used_sints[i]), value);
}

static void synic_disable(struct synic_cpu *cpu)
{
	struct hv_message *messages = cpu->messages;
	unsigned long *flags = cpu->flags, irq;

	local_irq_save(irq);
	sints_write(HV_SYNIC_SINT_MASKED);
	cpu->messages = NULL;
	cpu->flags = NULL;
	local_irq_restore(irq);
	cancel_work_sync(&cpu->next_turn); // no interrupt asks for one any more
	page_disable(HV_X64_MSR_SIMP, messages, cpu->sim_mapped);
	page_disable(HV_X64_MSR_SIEFP, flags, cpu->sief_mapped);
	if (!cpu->sim_mapped)
		wrmsrl(HV_X64_MSR_SCONTROL, 0);
}

static int synic_online(unsigned int id)
{
	struct synic_cpu *cpu = this_cpu_ptr(&synic_cpu);
	unsigned long *flags;
	struct hv_message *messages;
	u64 vp;

	rdmsrl(HV_X64_MSR_VP_INDEX, vp);
	cpu->vp = vp;
	messages = page_enable(HV_X64_MSR_SIMP, cpu->sim_page, &cpu->sim_mapped);
	flags = page_enable(HV_X64_MSR_SIEFP, cpu->sief_page, &cpu->sief_mapped);
	cpu->flags = flags;
	barrier(); // the handler looks at messages only
	cpu->messages = messages;
	if (!messages || !flags) {
		synic_disable(cpu);
		return -ENOMEM;
	}
	wrmsrl(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	sints_write(sint_value);
	return 0;
}

// Messages and events may be on their way to this processor as long as there is a partition.
static int synic_offline(unsigned int id)
{
	if (atomic_long_read(&mshv_counters.partitions))
		return -EBUSY;
	synic_disable(this_cpu_ptr(&synic_cpu));
	return 0;
}

static void pages_free(void)
{
	int id;

	for_each_possible_cpu(id) {
		struct synic_cpu *cpu = per_cpu_ptr(&synic_cpu, id);

		free_page((unsigned long)cpu->sim_page);
		free_page((unsigned long)cpu->sief_page);
		memset(cpu, 0, sizeof(*cpu));
	}
}

static int pages_alloc(void)
{
	int id;

	for_each_possible_cpu(id) {
		struct synic_cpu *cpu = per_cpu_ptr(&synic_cpu, id);

		cpu->sim_page = (void *)get_zeroed_page(GFP_KERNEL);
		cpu->sief_page = (void *)get_zeroed_page(GFP_KERNEL);
		INIT_WORK(&cpu->next_turn, synic_next_turn);
		if (!cpu->sim_page || !cpu->sief_page) {
			pages_free();
			return -ENOMEM;
		}
	}
	return 0;
}

// The callback vector has one handler. hv_vmbus has it if it has unmasked its SINT.
static bool vmbus_active(void)
{
	u64 sint;

	rdmsrl(HV_X64_MSR_SINTn(SINT_VMBUS), sint);
	return !(sint & HV_SYNIC_SINT_MASKED) &&
	       (sint & HV_SYNIC_SINT_VECTOR_MASK) == HYPERVISOR_CALLBACK_VECTOR;
}

int mshv_synic_init(void)
{
	int ret;

	if (vmbus_active()) {
		pr_err("hv_vmbus is in use, and the callback vector has one handler only\n");
		return -EBUSY;
	}
	// The kernel's handler ends the interrupt itself just if auto-EOI is not recommended.
	sint_value = HYPERVISOR_CALLBACK_VECTOR;
	if (!(cpuid_eax(HV_CPUID_ENLIGHTENMENT_INFO) & HV_HINT_DEPRECATE_AUTO_EOI))
		sint_value |= HV_SYNIC_SINT_AUTO_EOI;
	ret = pages_alloc();
	if (ret)
		return ret;
	hv_setup_vmbus_handler(synic_turn);
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "mshv:online", synic_online, synic_offline);
	if (ret < 0) {
		hv_remove_vmbus_handler();
		synchronize_rcu();
		pages_free();
		return ret;
	}
	synic_state = ret;
	return 0;
}

void mshv_synic_exit(void)
{
	cpuhp_remove_state(synic_state);
	hv_remove_vmbus_handler();
	synchronize_rcu(); // handlers that have begun are done
	pages_free();
}
