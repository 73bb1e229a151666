// SPDX-License-Identifier: BSD-2-Clause
// See rig.h: the kernel and the VMBus that a VSC stands on.
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lumen/clock.h"
#include "lumen/spin.h"
#include "rig.h"
#include "tests/unit/start_clock.h"

#define GPA_FLIP (1ull << 50) // so that an address is no guest physical address
#define BLOCKS	 16u	      // that may be allocated at once

_Thread_local bool rig_irq_off;
_Thread_local uint32_t rig_vp;

void rig_create(uint32_t ram_pages)
{
	free(rig.ram);
	memset(&rig, 0, sizeof(rig));
	rig_vp = 0;
	rig.interrupts = true;
	rig.now = start_clock();
	rig.ram_pages = ram_pages;
	if (ram_pages)
		rig.ram = aligned_alloc(VMBUS_PAGE_SIZE, ram_pages * VMBUS_PAGE_SIZE);
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		rig.channels[i].index = i;
}

// --- platform.h ---

static struct {
	void *pages;
	size_t count;
} allocated[BLOCKS];

void *lumen_alloc_pages(size_t count)
{
	uint32_t i = 0;

	if (++rig.allocations == rig.fail_alloc)
		return NULL;
	while (allocated[i].pages)
		rig_check(++i < BLOCKS);
	allocated[i].pages = aligned_alloc(LUMEN_PAGE_SIZE, count * LUMEN_PAGE_SIZE);
	allocated[i].count = count;
	memset(allocated[i].pages, 0, count * LUMEN_PAGE_SIZE);
	rig.pages += (uint32_t)count;
	return allocated[i].pages;
}

void lumen_free_pages(void *pages, size_t count)
{
	uint32_t i = 0;

	while (allocated[i].pages != pages)
		rig_check(++i < BLOCKS);
	rig_check(allocated[i].count == count);
	allocated[i].pages = NULL;
	rig.pages -= (uint32_t)count;
	free(pages);
}

void rig_free_pages(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (allocated[i].pages)
			lumen_free_pages(allocated[i].pages, allocated[i].count);
}

uint64_t lumen_gpa(const void *address)
{
	return (uint64_t)(uintptr_t)address ^ GPA_FLIP;
}

void *rig_memory_at(uint64_t gpa)
{
	return (void *)(uintptr_t)(gpa ^ GPA_FLIP);
}

uint64_t lumen_irq_save(void)
{
	const bool was = rig_irq_off;

	rig_irq_off = true;
	return was;
}

void lumen_irq_restore(uint64_t state)
{
	rig_check(rig_irq_off);
	rig_irq_off = state;
}

// With one thread, a lock that is taken twice would never be free.
uint64_t lumen_spin_lock_irq(struct lumen_spinlock *lock)
{
	const uint64_t state = lumen_irq_save();

	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE)) {
		rig_check(rig.threaded);
		sched_yield();
	}
	return state;
}

void lumen_spin_unlock_irq(struct lumen_spinlock *lock, uint64_t state)
{
	rig_check(__atomic_load_n(&lock->taken, __ATOMIC_RELAXED));
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
	lumen_irq_restore(state);
}

uint32_t lumen_this_vp(void)
{
	return rig_vp;
}

uint64_t lumen_now_ns(void)
{
	return rig.now;
}

uint64_t lumen_clock_100ns(void)
{
	return rig.reference_time;
}

void lumen_wake(const uint32_t *word)
{
	(void)word;
}

void lumen_log(enum lumen_log_level level, const char *line)
{
	(void)level;
	(void)line;
}

void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	rig_check(!rig_irq_off);
	if (rig.threaded) {
		sched_yield();
		return;
	}
	rig.waits++;
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return;
	rig.slept++;
	rig.waiting = true;
	if (!rig_run() && !lumen_is_due(deadline_ns))
		rig.now = deadline_ns;
	rig.waiting = false;
}

// --- vmbus.h ---

struct lumen_channel *lumen_vmbus_find(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t index)
{
	(void)bus;
	return index == 0 && !memcmp(type, &rig.channels[0].type, sizeof(*type)) ? &rig.channels[0]
										 : NULL;
}

const uint32_t *lumen_vmbus_changes(const struct lumen_vmbus *bus)
{
	(void)bus;
	return &rig.changes;
}

void lumen_vmbus_sleep(
	struct lumen_vmbus *bus, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)bus;
	lumen_wait(word, value, deadline_ns);
}

void lumen_vmbus_watch(struct lumen_vmbus *bus, uint32_t *counter)
{
	(void)bus;
	rig.watch = counter;
}

lumen_status lumen_vmbus_connect_socket(struct lumen_vmbus *bus, const struct vmbus_guid *service,
	const struct vmbus_guid *guest, struct lumen_channel **channel_out)
{
	const lumen_status status = rig.connect_status;

	rig_check(!rig_irq_off && memcmp(&rig.guest, guest, sizeof(*guest)) != 0);
	rig.guest = *guest;
	rig.connect_status = LUMEN_OK;
	*channel_out = lumen_vmbus_find(bus, service, 0);
	return status == LUMEN_OK && !*channel_out ? LUMEN_REFUSED : status;
}

struct lumen_channel *lumen_vmbus_accept_socket(
	struct lumen_vmbus *bus, const struct vmbus_guid *service)
{
	struct lumen_channel *channel = rig.wanted ? lumen_vmbus_find(bus, service, 0) : NULL;

	rig.wanted &= !channel;
	return channel;
}

void lumen_channel_give_back(struct lumen_channel *channel)
{
	rig_check(!channel->open);
	channel->rescinded = false; // it is another one, when it is offered again
	rig.given_back++;
}

struct lumen_channel *lumen_channel_sub(struct lumen_channel *channel, uint32_t index)
{
	rig_check(channel == &rig.channels[0] && index > 0);
	return index <= rig.offered_subs ? &rig.channels[index] : NULL;
}

bool lumen_channel_rescinded(const struct lumen_channel *channel)
{
	return __atomic_load_n(&channel->rescinded, __ATOMIC_RELAXED);
}

lumen_status lumen_channel_open(
	struct lumen_channel *channel, const struct lumen_channel_config *config)
{
	const lumen_status status = rig.open_status;

	rig_check(!channel->open && config->handler);
	rig.open_status = LUMEN_OK;
	if (status != LUMEN_OK)
		return status;
	if (channel->rescinded)
		return LUMEN_RESCINDED;
	channel->config = *config;
	rig_open(channel, config->send_pages + 1, config->receive_pages + 1);
	return LUMEN_OK;
}

void lumen_channel_close(struct lumen_channel *channel)
{
	rig_check(!rig_irq_off);
	rig_close(channel);
}

lumen_status lumen_gpadl_create(
	struct lumen_channel *channel, const void *pages, uint32_t count, uint32_t *gpadl)
{
	const lumen_status status = rig.gpadl_status;
	uint32_t number = 1;

	rig_check(channel->open && !rig_irq_off && rig.on_gpadl);
	rig.gpadl_status = LUMEN_OK;
	*gpadl = 0;
	if (status != LUMEN_OK)
		return status;
	while (rig.gpadls >> number & 1)
		number++;
	rig.gpadls |= 1u << number;
	rig.on_gpadl(number, pages, count);
	*gpadl = number;
	return LUMEN_OK;
}

lumen_status lumen_gpadl_destroy(struct lumen_channel *channel, uint32_t gpadl)
{
	(void)channel;
	rig_check(!rig_irq_off && rig.gpadls >> gpadl & 1);
	if (rig.keeps_gpadls)
		return LUMEN_TIMED_OUT;
	rig.gpadls &= ~(1u << gpadl);
	rig.on_gpadl(gpadl, NULL, 0);
	return LUMEN_OK;
}

static void note_sent(struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	const struct vmbus_piece *payload = &packet->payload[0];

	channel->sent_length = payload->length < RIG_SENT ? payload->length : RIG_SENT;
	channel->sent_id = packet->transaction_id;
	channel->sent_gpa = 0;
	if (packet->header_count > 0) {
		const uint64_t *words = packet->header[0].data;

		channel->sent_gpa = words[2] << VMBUS_PAGE_SHIFT | words[1] >> 32;
	}
	memcpy(channel->sent, payload->data, channel->sent_length);
	if (rig.on_sent)
		rig.on_sent(channel, packet);
}

static uint32_t length_of(const struct vmbus_piece *pieces, uint32_t count)
{
	uint32_t length = 0;

	for (uint32_t i = 0; i < count; i++)
		length += pieces[i].length;
	return length;
}

static enum vmbus_ring_status write_or_wait(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	const uint32_t room =
		vmbus_ring_packet_room(length_of(packet->header, packet->header_count),
			length_of(packet->payload, packet->payload_count));
	enum vmbus_ring_status status;

	if (rig.full)
		return VMBUS_RING_FULL;
	do {
		status = vmbus_ring_write(&channel->guest.writer, packet);
		if (status != VMBUS_RING_FULL)
			break;
		lumen_channel_flush(channel);
	} while (vmbus_ring_writer_wait(&channel->guest.writer, room));
	rig_check(status != VMBUS_RING_UNWRITABLE);
	return status;
}

// Sends what on_send() has made of it.
static lumen_status put(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet, bool flush)
{
	struct vmbus_packet_out out = *packet;
	enum vmbus_ring_status status;

	rig_check(channel->open);
	if (lumen_channel_rescinded(channel))
		return LUMEN_RESCINDED;
	if (rig.on_send)
		rig.on_send(channel, &out);
	status = write_or_wait(channel, &out);
	if (flush)
		lumen_channel_flush(channel);
	if (status == VMBUS_RING_FULL)
		return LUMEN_BUSY;
	if (status != VMBUS_RING_OK)
		return LUMEN_BAD_HOST;
	note_sent(channel, &out);
	return LUMEN_OK;
}

lumen_status lumen_channel_queue(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	return put(channel, packet, false);
}

lumen_status lumen_channel_send(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	return put(channel, packet, true);
}

void lumen_channel_flush(struct lumen_channel *channel)
{
	rig_check(channel->open);
	channel->flushes++;
	if (vmbus_ring_writer_commit(&channel->guest.writer))
		channel->signals++;
}

lumen_status lumen_channel_receive(
	struct lumen_channel *channel, void *buffer, uint32_t size, struct vmbus_packet *packet)
{
	enum vmbus_ring_status status;

	rig_check(channel->open && rig_irq_off);
	status = vmbus_ring_read(&channel->guest.reader, buffer, size, packet);
	if (status == VMBUS_RING_EMPTY)
		return LUMEN_BUSY;
	if (status != VMBUS_RING_OK)
		return LUMEN_BAD_HOST;
	if (rig.on_receive)
		rig.on_receive(channel, packet);
	return LUMEN_OK;
}

void lumen_channel_wait(
	struct lumen_channel *channel, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)channel;
	lumen_wait(word, value, deadline_ns);
}

bool lumen_channel_unmask(struct lumen_channel *channel)
{
	rig_check(channel->open && rig_irq_off);
	vmbus_ring_reader_commit(&channel->guest.reader); // the host is run again anyway
	if (rig.on_commit)
		rig.on_commit();
	return vmbus_ring_reader_unmask(&channel->guest.reader);
}
