// SPDX-License-Identifier: BSD-2-Clause
// What the tests of SynIC, timers and interrupts share.
#pragma once

#include "tests/conformance/conformance.h"

// For what must happen (the wait ends when it does), and for what must not.
#define SLOW_MS	 30000
#define QUIET_MS 20

#define NEEDS_SYNIC HV_PRIVILEGE_ACCESS_SYNIC_REGS
#define NEEDS_STIMER                                                                               \
	(NEEDS_SYNIC | HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS |                                  \
		HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER)
#define NEEDS_DIRECT HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS

#define MS_100NS 10000ull // a millisecond in units of 100 ns

static inline uint64_t reference_time(void)
{
	return rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

// --- synthetic timers ---

#define STIMER_SINT(sint)     ((uint64_t)(sint) << HV_STIMER_CONFIG_SINTX_SHIFT)
#define STIMER_DIRECT(vector) (HV_STIMER_CONFIG_DIRECT_MODE | STIMER_VECTOR(vector))
#define STIMER_VECTOR(vector) ((uint64_t)(vector) << HV_STIMER_CONFIG_APIC_VECTOR_SHIFT)
#define STIMER_PAST	      1ull // a count that was reached long ago

// TLFS: Synthetic Timer Configuration Register: disabled before anything else is changed, enabled
// after the count is there.
static inline void stimer_start(unsigned int timer, uint64_t config, uint64_t count)
{
	wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), 0);
	wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), count);
	wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), config | HV_STIMER_CONFIG_ENABLE);
}

static inline void stimer_stop(unsigned int timer)
{
	wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), 0);
}

static inline bool stimer_enabled(unsigned int timer)
{
	return rdmsr(HV_X64_MSR_STIMERn_CONFIG(timer)) & HV_STIMER_CONFIG_ENABLE;
}

// row_name for a test of each of the four timers.
static inline bool stimer_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Synthetic timers: timer %u", row);
	return true;
}

// --- messages ---

typedef volatile struct hv_message slot_t;

static inline bool slot_full(const slot_t *slot)
{
	return slot->header.message_type != HvMessageTypeNone;
}

static inline struct hv_timer_message_payload timer_payload(const slot_t *slot)
{
	return (struct hv_timer_message_payload){
		.timer_index = (uint32_t)slot->payload64[0],
		.rsvd = slot->payload64[0] >> 32,
		.expiration_time = slot->payload64[1],
		.delivery_time = slot->payload64[2],
	};
}

// Empties the slot, and asks for the next message if there is one (TLFS: HV_MESSAGE_FLAGS).
static inline void slot_release(slot_t *slot)
{
	slot->header.message_type = HvMessageTypeNone;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (slot->header.message_flags & HV_MESSAGE_FLAG_PENDING)
		wrmsr(HV_X64_MSR_EOM, 0);
}

// --- the local APIC ---

#define APIC_PAGE_TPR  0x80
#define APIC_PAGE_SVR  0xf0
#define APIC_PAGE_ISR  0x100
#define APIC_PAGE_IRR  0x200
#define APIC_ICR_INIT  0x4500
#define APIC_ICR_FIXED 0x4000

static inline bool apic_vector_bit(uint32_t set, unsigned int vector)
{
	return apic_read(set + vector / 32 * 16) >> vector % 32 & 1;
}

static inline bool in_service(unsigned int vector)
{
	return apic_vector_bit(APIC_PAGE_ISR, vector);
}

static inline bool requested(unsigned int vector)
{
	return apic_vector_bit(APIC_PAGE_IRR, vector);
}

// Waits for one interrupt. The NOP: QEMU's TCG 7.2 enters a guest with the interrupt shadow of the
// host's STI, so that one instruction behind HLT may run before the interrupt is taken.
static inline void halt_once(void)
{
	__asm__ volatile("sti; hlt; nop; cli" ::: "memory");
}

// A fixed interrupt to this VP, by the APIC that every processor has.
static inline void self_ipi(unsigned int vector)
{
	apic_ipi(apic_id(this_vp()), APIC_ICR_FIXED | vector);
}
