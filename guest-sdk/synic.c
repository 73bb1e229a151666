// SPDX-License-Identifier: BSD-2-Clause
// The SynIC: setting it up (TLFS: SynIC MSRs, SINTx Registers), and taking messages and event flags
// from the pages that the hypervisor fills (TLFS: SIM Page, SIEF Page, EOM Register), whose
// contents are not trusted: what is looked at is copied first.
#include "lumen/synic.h"

#include "base/macros.h"
#include "guest-sdk/arch.h"
#include "guest-sdk/page_register.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

// The struct that was last started on VP 0, for lumen_synic_poll_this(); NULL: none.
static struct lumen_synic *synic_vp0;

// --- setting up ---

static void set_control(uint64_t enable)
{
	uint64_t rsvd = arch_rdmsr(HV_X64_MSR_SCONTROL) & ~HV_SYNIC_CONTROL_ENABLE;

	arch_wrmsr(HV_X64_MSR_SCONTROL, rsvd | enable);
}

lumen_status lumen_synic_start(struct lumen_synic *synic)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_SYNIC_REGS))
		return LUMEN_NO_PRIVILEGE;
	if (synic->messages)
		return LUMEN_BAD_STATE;
	synic->messages = lumen_alloc_pages(1);
	if (!synic->messages)
		return LUMEN_NO_MEMORY;
	synic->events = lumen_alloc_pages(1);
	if (!synic->events) {
		lumen_free_pages(synic->messages, 1);
		synic->messages = NULL;
		return LUMEN_NO_MEMORY;
	}
	page_register_enable(HV_X64_MSR_SIMP, synic->messages);
	page_register_enable(HV_X64_MSR_SIEFP, synic->events);
	set_control(HV_SYNIC_CONTROL_ENABLE);
	if (lumen_this_vp() == 0)
		synic_vp0 = synic;
	return LUMEN_OK;
}

void lumen_synic_stop(struct lumen_synic *synic)
{
	if (!synic->messages)
		return;
	if (synic_vp0 == synic)
		synic_vp0 = NULL;
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		lumen_sint_disable(synic, sint);
	set_control(0);
	page_register_disable(HV_X64_MSR_SIMP);
	page_register_disable(HV_X64_MSR_SIEFP);
	lumen_free_pages(synic->messages, 1);
	lumen_free_pages(synic->events, 1);
	synic->messages = NULL;
	synic->events = NULL;
}

static uint64_t sint_value(const struct lumen_sint *config)
{
	uint64_t value = config->vector;

	if (!config->vector)
		return lumen_has_features(HV_FEATURE_EDX_SINT_POLLING)
			       ? LUMEN_SINT_QUIET_VECTOR | HV_SYNIC_SINT_POLLING
			       : LUMEN_SINT_QUIET_VECTOR;
	if (config->auto_eoi && !lumen_is_advised(HV_HINT_DEPRECATE_AUTO_EOI))
		value |= HV_SYNIC_SINT_AUTO_EOI;
	return value;
}

lumen_status lumen_sint_enable(
	struct lumen_synic *synic, unsigned int sint, const struct lumen_sint *config)
{
	uint64_t state;

	if (sint >= HV_SYNIC_SINT_COUNT || synic->sints[sint] ||
		(config->vector && config->vector < HV_SYNIC_SINT_VECTOR_MIN))
		return LUMEN_BAD_ARGUMENT;
	if (!synic->messages)
		return LUMEN_BAD_STATE;
	state = lumen_irq_save();
	synic->sints[sint] = config;
	synic->in_use |= 1u << sint;
	arch_wrmsr(HV_X64_MSR_SINTn(sint), sint_value(config));
	lumen_irq_restore(state);
	return LUMEN_OK;
}

void lumen_sint_disable(struct lumen_synic *synic, unsigned int sint)
{
	uint64_t state;

	if (sint >= HV_SYNIC_SINT_COUNT || !synic->sints[sint])
		return;
	state = lumen_irq_save();
	arch_wrmsr(HV_X64_MSR_SINTn(sint), HV_SYNIC_SINT_MASKED);
	synic->in_use &= ~(1u << sint);
	synic->sints[sint] = NULL;
	__builtin_memset(&synic->messages->sint_message[sint], 0, HV_MESSAGE_SIZE);
	__builtin_memset(&synic->events->sint_event_flags[sint], 0, HV_EVENT_FLAGS_BYTE_COUNT);
	lumen_irq_restore(state);
}

// --- taking ---

// Frees the slot, and tells the hypervisor if another message waits for it. The slot is seen free
// before the flag is looked at (A); the hypervisor sets the flag before it looks whether the slot
// is free (its own A). So one of the two sees the other's, and no message is forgotten.
static void end_message(struct hv_message *slot)
{
	__atomic_store_n(&slot->header.message_type, HvMessageTypeNone, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // A
	if (__atomic_load_n(&slot->header.message_flags, __ATOMIC_RELAXED) &
		HV_MESSAGE_FLAG_PENDING)
		arch_wrmsr(HV_X64_MSR_EOM, 0);
}

static bool take_message(struct hv_message *slot, const struct lumen_sint *sint)
{
	// The slot is full once its type is set.
	uint32_t type = __atomic_load_n(&slot->header.message_type, __ATOMIC_ACQUIRE);
	struct hv_message copy;

	if (type == HvMessageTypeNone)
		return false;
	__builtin_memcpy(&copy, slot, sizeof(copy));
	copy.header.message_type = type;
	if (copy.header.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		copy.header.payload_size = HV_MESSAGE_PAYLOAD_BYTE_COUNT;
	end_message(slot);
	if (sint->message)
		sint->message(sint->context, &copy);
	return true;
}

static bool take_events(struct hv_synic_event_flags *events, const struct lumen_sint *sint)
{
	bool any = false;

	for (uint32_t word = 0; word < ARRAY_SIZE(events->flags); word++) {
		uint64_t flags = __atomic_load_n(&events->flags[word], __ATOMIC_RELAXED);

		if (!flags)
			continue;
		any = true;
		flags = __atomic_exchange_n(&events->flags[word], 0, __ATOMIC_ACQ_REL);
		for (; flags && sint->event; flags &= flags - 1)
			sint->event(sint->context, word * 64 + (uint32_t)__builtin_ctzll(flags));
	}
	return any;
}

bool lumen_sint_handle(struct lumen_synic *synic, unsigned int sint)
{
	const struct lumen_sint *config;
	bool any = false;

	if (sint >= HV_SYNIC_SINT_COUNT || !synic->sints[sint])
		return false;
	config = synic->sints[sint];
	// A handler may take the SINT down.
	while (synic->sints[sint] == config &&
		take_message(&synic->messages->sint_message[sint], config))
		any = true;
	if (synic->sints[sint] == config)
		any |= take_events(&synic->events->sint_event_flags[sint], config);
	return any;
}

bool lumen_sint_waits(const struct lumen_synic *synic, unsigned int sint)
{
	return sint < HV_SYNIC_SINT_COUNT && synic->messages &&
	       __atomic_load_n(&synic->messages->sint_message[sint].header.message_type,
		       __ATOMIC_RELAXED) != HvMessageTypeNone;
}

bool lumen_synic_poll(struct lumen_synic *synic)
{
	bool any = false;

	for (uint32_t left = synic->in_use; left; left &= left - 1)
		any |= lumen_sint_handle(synic, (unsigned int)__builtin_ctz(left));
	return any;
}

bool lumen_synic_poll_this(void)
{
	return synic_vp0 && lumen_synic_poll(synic_vp0);
}
