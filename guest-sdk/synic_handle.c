// SPDX-License-Identifier: BSD-2-Clause
// Taking messages and event flags from the pages that the hypervisor fills (TLFS: SIM Page, SIEF
// Page, EOM Register). Their contents are not trusted: what is looked at is copied first.
#include "lumen/synic.h"

#include "guest-sdk/arch.h"
#include "guest-sdk/synic_vp0.h"

struct lumen_synic *lumen_synic_vp0;

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

	for (uint32_t word = 0; word < sizeof(events->flags) / sizeof(events->flags[0]); word++) {
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
	return lumen_synic_vp0 && lumen_synic_poll(lumen_synic_vp0);
}
