// SPDX-License-Identifier: BSD-2-Clause
// What the SDK's VMBus stands on, in place of a kernel and a hypervisor: <lumen/platform.h>, the
// SynIC, and the two hypercalls.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_rig_host.h"
#include "lumen/detect.h"
#include "lumen/hypercall.h"

#define FOR_EVER_NS 1000000000000000ull // eleven days: no timeout of the SDK's is so long

static struct guest_rig *current(void)
{
	if (!guest_rig_current)
		guest_rig_fail("there is no rig");
	return guest_rig_current;
}

// --- memory ---

static void add_region(struct guest_rig *rig, void *base, size_t pages, bool borrowed)
{
	struct guest_rig_region *region = calloc(1, sizeof(*region));

	*region = (struct guest_rig_region){ rig->host->regions, base, pages, borrowed };
	rig->host->regions = region;
}

void guest_rig_add_memory(struct guest_rig *rig, void *pages, size_t count)
{
	add_region(rig, pages, count, true);
}

static void *page_at(void *context, uint64_t gpa_page)
{
	struct guest_rig *rig = context;
	const struct guest_rig_region *region;

	for (region = rig->host->regions; region; region = region->next) {
		uint64_t first = (uintptr_t)region->base >> 12;

		if (gpa_page >= first && gpa_page - first < region->pages)
			return region->base + (gpa_page - first) * LUMEN_PAGE_SIZE;
	}
	return NULL;
}

struct vmbus_memory guest_rig_memory(struct guest_rig *rig)
{
	return (struct vmbus_memory){ rig, page_at };
}

void *lumen_alloc_pages(size_t count)
{
	struct guest_rig *rig = current();
	void *pages;

	if (rig->irq_depth)
		guest_rig_fail("allocation with interrupts off");
	if (count > rig->pages_left)
		return NULL;
	rig->pages_left -= (uint32_t)count;
	rig->pages_out += (uint32_t)count;
	pages = aligned_alloc(LUMEN_PAGE_SIZE, count * LUMEN_PAGE_SIZE);
	memset(pages, 0, count * LUMEN_PAGE_SIZE);
	add_region(rig, pages, count, false);
	return pages;
}

// Whether the host has a page of these, in a GPADL that it has heard all of.
static bool shared(struct guest_rig *rig, const uint8_t *base, size_t count)
{
	uint64_t first = (uintptr_t)base >> 12;
	uint32_t i, word;

	for (i = 0; i < GUEST_RIG_GPADLS; i++) {
		const struct vmbus_gpadl *gpadl = &rig->host->gpadls[i];

		if (gpadl->state == VMBUS_GPADL_FREE || gpadl->state == VMBUS_GPADL_COLLECTING)
			continue;
		for (word = 1; word < gpadl->words_received; word++) {
			if (gpadl->words[word] >= first && gpadl->words[word] - first < count)
				return true;
		}
	}
	return false;
}

void lumen_free_pages(void *pages, size_t count)
{
	struct guest_rig *rig = current();
	struct guest_rig_region **at = &rig->host->regions, *region;

	while (*at && (*at)->base != pages)
		at = &(*at)->next;
	region = *at;
	if (!region || region->borrowed || region->pages != count)
		guest_rig_fail("lumen_free_pages() of what was not allocated");
	if (shared(rig, pages, count))
		guest_rig_fail("the guest frees pages that the host has");
	if (rig->irq_depth)
		guest_rig_fail("memory freed with interrupts off");
	*at = region->next;
	free(region);
	free(pages);
	rig->pages_out -= (uint32_t)count;
}

void guest_rig_free_memory(struct guest_rig *rig)
{
	struct guest_rig_region *region, *next;

	for (region = rig->host->regions; region; region = next) {
		next = region->next;
		if (!region->borrowed)
			free(region->base);
		free(region);
	}
	rig->host->regions = NULL;
}

uint64_t lumen_gpa(const void *address)
{
	return (uintptr_t)address;
}

// --- this processor ---

uint64_t lumen_irq_save(void)
{
	return current()->irq_depth++;
}

// Interrupts are on again: what is there comes now.
void lumen_irq_restore(uint64_t state)
{
	struct guest_rig *rig = current();
	const struct lumen_sint *sint = rig->synics[0].sints[VMBUS_SINT];

	rig->irq_depth--;
	if (rig->irq_depth != state)
		guest_rig_fail("interrupts are restored in a wrong order");
	if (!rig->irq_depth && sint && sint->vector)
		guest_rig_run(rig);
}

uint32_t lumen_this_vp(void)
{
	return current()->this_vp;
}

// --- waiting, telling ---

void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	struct guest_rig *rig = current();

	rig->waits++;
	if (rig->irq_depth)
		guest_rig_fail("wait with interrupts off");
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return;
	if (rig->on_wait ? rig->on_wait(rig->hook_context, rig)
			 : !rig->sleeps && guest_rig_run(rig))
		return;
	if (lumen_is_due(deadline_ns))
		return;
	if (deadline_ns - rig->now_ns > FOR_EVER_NS)
		guest_rig_fail("the guest waits for ever");
	rig->now_ns = deadline_ns;
}

void lumen_wake(const uint32_t *word)
{
	current()->wakes++;
}

uint64_t lumen_now_ns(void)
{
	return current()->now_ns;
}

void lumen_log(enum lumen_log_level level, const char *line)
{
	struct guest_rig *rig = current();

	snprintf(rig->log[rig->log_count++ % 32], sizeof(rig->log[0]), "%s", line);
}

bool guest_rig_said(const struct guest_rig *rig, const char *line)
{
	for (uint32_t i = 0; i < 32; i++)
		if (!strcmp(rig->log[i], line))
			return true;
	return false;
}

void lumen_panic(const char *line)
{
	guest_rig_fail(line);
}

// --- the SynIC ---

lumen_status lumen_sint_enable(
	struct lumen_synic *synic, unsigned int sint, const struct lumen_sint *config)
{
	struct guest_rig *rig = current();

	if (synic != &rig->synics[rig->this_vp])
		guest_rig_fail("the SynIC of another VP");
	if (sint >= HV_SYNIC_SINT_COUNT || synic->sints[sint] ||
		(config->vector && config->vector < 16))
		return LUMEN_BAD_ARGUMENT;
	synic->sints[sint] = config;
	return LUMEN_OK;
}

bool lumen_synic_poll(struct lumen_synic *synic)
{
	struct guest_rig *rig = current();

	if (synic != &rig->synics[rig->this_vp])
		guest_rig_fail("the SynIC of another VP");
	if (!rig->irq_depth)
		guest_rig_fail("polled with interrupts on");
	return rig->sleeps && guest_rig_run(rig);
}

bool lumen_sint_waits(const struct lumen_synic *synic, unsigned int sint)
{
	return current()->messages_wait;
}

void lumen_sint_disable(struct lumen_synic *synic, unsigned int sint)
{
	struct guest_rig *rig = current();

	if (synic != &rig->synics[rig->this_vp])
		guest_rig_fail("the SynIC of another VP");
	synic->sints[sint] = NULL;
}

// --- hypercalls ---

bool lumen_has(uint64_t privileges)
{
	return !current()->no_privilege;
}

uint32_t lumen_spin_retries(void)
{
	return HV_SPINLOCK_RETRIES_NEVER;
}

static lumen_status post_message(struct guest_rig *rig, const struct hv_input_post_message *input)
{
	struct guest_rig_private *host = rig->host;
	struct guest_rig_port_message *message;

	if (rig->on_post)
		rig->on_post(rig->hook_context, rig);
	rig->posts++;
	rig->last_connection_id = input->connection_id;
	rig->last_type = input->payload[0];
	memcpy(&rig->last_post, input->payload, sizeof(rig->last_post));
	if (input->rsvd_z || input->payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT ||
		input->message_type != VMBUS_SYNIC_MESSAGE_TYPE)
		guest_rig_fail("bad input of HvCallPostMessage");
	if (rig->post_failures && rig->posts > rig->post_fails_at) {
		rig->post_failures--;
		return rig->post_status;
	}
	if (rig->no_host || (input->connection_id != VMBUS_CONNECTION_MESSAGE &&
				    (input->connection_id != VMBUS_CONNECTION_MESSAGE_MULTICLIENT ||
					    rig->old_host)))
		return HV_STATUS_INVALID_CONNECTION_ID;
	if (rig->swallow)
		return LUMEN_OK;
	if (host->port_queued == GUEST_RIG_PORT)
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	message = &host->port[host->port_queued++];
	message->connection_id = input->connection_id;
	message->length = input->payload_size;
	memcpy(message->bytes, input->payload, sizeof(message->bytes));
	return LUMEN_OK;
}

lumen_status lumen_hypercall(uint64_t control, const void *in, void *out)
{
	uintptr_t at = (uintptr_t)in;

	if (control != HvCallPostMessage || out)
		guest_rig_fail("a hypercall that VMBus does not make");
	if (at % 8 || at / LUMEN_PAGE_SIZE != (at + 255) / LUMEN_PAGE_SIZE)
		guest_rig_fail("hypercall input is not aligned");
	return post_message(current(), in);
}

lumen_status lumen_hypercall_fast(uint64_t control, uint64_t in0, uint64_t in1)
{
	struct guest_rig *rig = current();
	uint32_t i;

	if (control != HvCallSignalEvent || in1 || in0 >> 32)
		guest_rig_fail("bad input of HvCallSignalEvent");
	rig->signals++;
	for (i = 0; i < GUEST_RIG_CHANNELS; i++) {
		struct guest_rig_device *device = &rig->devices[i];

		if (!device->open || VMBUS_CHANNEL_CONNECTION(device->relid) != in0)
			continue;
		device->signals++;
		device->signal_pending = !rig->signal_at_once;
		if (rig->signal_at_once && device->ops->signalled)
			device->ops->signalled(device->context, device);
		return LUMEN_OK;
	}
	rig->lost_signals++;
	return HV_STATUS_INVALID_CONNECTION_ID;
}
