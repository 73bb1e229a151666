// SPDX-License-Identifier: BSD-2-Clause
// Posting VMBus's messages, and waiting for the host's answers.
#include <string.h>

#include "guest-sdk/vmbus_internal.h"

// How long to leave the host alone when the hypervisor's buffers are full of our messages, and
// between two looks at a SynIC that nothing else looks at.
#define RETRY_NS 1000000ull

uint64_t vmbus_deadline(const struct lumen_vmbus *bus)
{
	return lumen_deadline_ns(bus->timeout_ns);
}

static lumen_status post(struct lumen_vmbus *bus, const struct vmbus_client_post *message)
{
	memset(&bus->input, 0, sizeof(bus->input));
	bus->input.connection_id = message->connection_id;
	bus->input.message_type = VMBUS_SYNIC_MESSAGE_TYPE;
	bus->input.payload_size = message->length;
	memcpy(bus->input.payload, &message->message, message->length);
	return lumen_hypercall(HvCallPostMessage, &bus->input, NULL);
}

bool vmbus_post_next(struct lumen_vmbus *bus, lumen_status *status)
{
	const struct vmbus_client_post *message = vmbus_client_next_post(&bus->client);

	*status = LUMEN_OK;
	if (!message)
		return false;
	*status = post(bus, message);
	// Hosts that speak nothing newer than 4.1 do not listen where newer versions are asked for.
	if (*status == HV_STATUS_INVALID_CONNECTION_ID &&
		message->message.header.type == VMBUS_MESSAGE_INITIATE_CONTACT) {
		*status = LUMEN_NOT_SUPPORTED;
		return vmbus_client_contact_undeliverable(&bus->client);
	}
	if (*status)
		return false;
	vmbus_client_posted(&bus->client);
	return true;
}

// Hyper-V also denies a connection that it knows when messages come too fast (Linux:
// vmbus_post_msg).
static bool worth_another_try(lumen_status status)
{
	return status == HV_STATUS_INSUFFICIENT_BUFFERS ||
	       status == HV_STATUS_INSUFFICIENT_MEMORY || status == HV_STATUS_INVALID_CONNECTION_ID;
}

static uint64_t soon(uint64_t deadline_ns)
{
	uint64_t retry = lumen_deadline_ns(RETRY_NS);

	return (int64_t)(deadline_ns - retry) > 0 ? retry : deadline_ns;
}

// Whether there was anything. A SynIC is its VP's own, and so is the interrupt that must not come
// while it is looked at.
static bool poll_this_vp(struct lumen_vmbus *bus)
{
	uint64_t interrupts = lumen_irq_save();
	bool any = lumen_this_vp() == bus->vp && lumen_synic_poll(bus->synic);

	lumen_irq_restore(interrupts);
	return any;
}

void lumen_vmbus_sleep(
	struct lumen_vmbus *bus, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	if (!bus->polled)
		lumen_wait(word, value, deadline_ns);
	else if (!poll_this_vp(bus))
		lumen_wait(word, value, soon(deadline_ns));
}

void lumen_channel_wait(
	struct lumen_channel *channel, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	lumen_vmbus_sleep(channel->bus, word, value, deadline_ns);
}

// The host has not answered in time, or nobody has looked: without a word both are the same.
static lumen_status timed_out(const struct lumen_vmbus *bus)
{
	lumen_log(LUMEN_LOG_WARNING,
		lumen_sint_waits(bus->synic, VMBUS_SINT)
			? "vmbus: an answer waits in the SIM page: does the vector's handler "
			  "call lumen_sint_handle(), and are interrupts on?"
			: "vmbus: the host does not answer");
	return LUMEN_TIMED_OUT;
}

lumen_status vmbus_flush(struct lumen_vmbus *bus, uint64_t deadline_ns)
{
	uint64_t interrupts;
	uint32_t seen;
	lumen_status status;
	bool more;

	for (;;) {
		interrupts = lumen_spin_lock_irq(&bus->lock);
		seen = __atomic_load_n(&bus->answers, __ATOMIC_RELAXED);
		more = vmbus_post_next(bus, &status);
		lumen_spin_unlock_irq(&bus->lock, interrupts);
		if (more)
			continue;
		if (!worth_another_try(status))
			return status;
		if (lumen_is_due(deadline_ns))
			return timed_out(bus);
		lumen_vmbus_sleep(bus, &bus->answers, seen, soon(deadline_ns));
	}
}

static lumen_status request_status(enum vmbus_client_status status)
{
	static const lumen_status statuses[] = {
		[VMBUS_CLIENT_OK] = LUMEN_OK,
		[VMBUS_CLIENT_BUSY] = LUMEN_BUSY,
		[VMBUS_CLIENT_BAD_STATE] = LUMEN_BAD_STATE,
		[VMBUS_CLIENT_BAD_ARGUMENT] = LUMEN_BAD_ARGUMENT,
		[VMBUS_CLIENT_RESCINDED] = LUMEN_RESCINDED,
		[VMBUS_CLIENT_NO_SLOT] = LUMEN_BUSY,
		[VMBUS_CLIENT_TOO_OLD] = LUMEN_NOT_SUPPORTED,
	};

	return statuses[status];
}

lumen_status vmbus_ask(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_asker *ask,
	const struct vmbus_request *request)
{
	enum vmbus_client_status result;
	lumen_status status;
	uint64_t interrupts;

	for (;;) {
		interrupts = lumen_spin_lock_irq(&bus->lock);
		result = ask(bus, request);
		lumen_spin_unlock_irq(&bus->lock, interrupts);
		if (result != VMBUS_CLIENT_BUSY)
			return request_status(result);
		status = vmbus_flush(bus, deadline_ns);
		if (status)
			return status;
	}
}

bool vmbus_look(
	struct lumen_vmbus *bus, vmbus_condition *condition, const struct vmbus_request *request)
{
	uint64_t interrupts = lumen_spin_lock_irq(&bus->lock);
	bool result = condition(bus, request);

	lumen_spin_unlock_irq(&bus->lock, interrupts);
	return result;
}

lumen_status vmbus_wait(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_condition *done,
	const struct vmbus_request *request)
{
	uint64_t interrupts;
	lumen_status status;
	uint32_t seen;
	bool is_done;

	for (;;) {
		status = vmbus_flush(bus, deadline_ns);
		interrupts = lumen_spin_lock_irq(&bus->lock);
		seen = __atomic_load_n(&bus->answers, __ATOMIC_RELAXED);
		is_done = done(bus, request);
		lumen_spin_unlock_irq(&bus->lock, interrupts);
		if (is_done)
			return LUMEN_OK;
		if (status)
			return status;
		if (lumen_is_due(deadline_ns))
			return timed_out(bus);
		lumen_vmbus_sleep(bus, &bus->answers, seen, deadline_ns);
	}
}

lumen_status vmbus_ask_and_wait(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_asker *ask,
	vmbus_condition *done, const struct vmbus_request *request)
{
	lumen_status status = vmbus_ask(bus, deadline_ns, ask, request);

	return status ? status : vmbus_wait(bus, deadline_ns, done, request);
}
