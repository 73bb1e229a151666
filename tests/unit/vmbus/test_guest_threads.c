// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus on several processors at once: threads that each open, use, move and close
// channels and share buffers, while devices come and go. Here a thread is a processor, and the
// host's two threads (one for messages, one for devices) are their interrupts. Unlike in
// guest_rig.h, time is real and the order of things is the scheduler's.
#define _GNU_SOURCE // pthread_cond_clockwait()
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "lumen/detect.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/vmbus.h"
#include "tests/unit/start_clock.h"
#include "vmbus/server.h"

#define VPS	 4u
#define DEVICES	 4u // that stay
#define CHANNELS (DEVICES + 2)
#define GPADLS	 16u
#define PORT	 4u // messages that the hypervisor keeps
#define ROUNDS	 25u
#define PACKETS	 20u

struct device {
	uint32_t relid, vp;
	bool open, signalled;
	void *pages[8];
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
};

// What the host has; under `lock`, but for the last two.
static struct {
	pthread_mutex_t lock;
	pthread_cond_t work, room; // room: a channel was freed
	bool stop;
	struct vmbus_server server;
	struct vmbus_server_channel channels[CHANNELS];
	struct vmbus_gpadl gpadls[GPADLS];
	struct vmbus_action actions[VMBUS_SERVER_ACTIONS(CHANNELS, GPADLS)];
	struct vmbus_post posts[VMBUS_SERVER_POSTS(CHANNELS, GPADLS)];
	struct device devices[CHANNELS];
	struct hv_input_post_message port[PORT];
	uint32_t port_queued;
	uint32_t violations, freed, full;
	pthread_mutex_t vp[VPS]; // held while a handler runs there
	struct lumen_synic synics[VPS];
} host = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.room = PTHREAD_COND_INITIALIZER,
	.vp = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
		PTHREAD_MUTEX_INITIALIZER },
};
static _Thread_local uint32_t this_vp;

// --- the platform ---

static pthread_mutex_t sleepers = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static uint32_t pages_out;

void *lumen_alloc_pages(size_t count)
{
	void *pages = aligned_alloc(LUMEN_PAGE_SIZE, count * LUMEN_PAGE_SIZE);

	__atomic_add_fetch(&pages_out, (uint32_t)count, __ATOMIC_RELAXED);
	return memset(pages, 0, count * LUMEN_PAGE_SIZE);
}

void lumen_free_pages(void *pages, size_t count)
{
	__atomic_sub_fetch(&pages_out, (uint32_t)count, __ATOMIC_RELAXED);
	free(pages);
}

uint64_t lumen_gpa(const void *address)
{
	return (uintptr_t)address;
}

uint64_t lumen_irq_save(void)
{
	return 0;
}

void lumen_irq_restore(uint64_t state)
{
}

uint32_t lumen_this_vp(void)
{
	return this_vp;
}

// The guest's clock is ahead of the host's by so much.
static uint64_t ahead_ns;

static uint64_t host_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t lumen_now_ns(void)
{
	return host_ns() + ahead_ns;
}

void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	const uint64_t at = deadline_ns - ahead_ns;
	const struct timespec until = { (time_t)(at / 1000000000), (long)(at % 1000000000) };
	int error = 0;

	pthread_mutex_lock(&sleepers);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value && error != ETIMEDOUT)
		error = pthread_cond_clockwait(&woken, &sleepers, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&sleepers);
}

void lumen_wake(const uint32_t *word)
{
	pthread_mutex_lock(&sleepers);
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&sleepers);
}

void lumen_log(enum lumen_log_level level, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

_Noreturn void lumen_panic(const char *line)
{
	abort();
}

lumen_status lumen_sint_enable(
	struct lumen_synic *synic, unsigned int sint, const struct lumen_sint *config)
{
	synic->sints[sint] = config;
	return LUMEN_OK;
}

bool lumen_synic_poll(struct lumen_synic *synic)
{
	return false; // each VP has its interrupts
}

bool lumen_sint_waits(const struct lumen_synic *synic, unsigned int sint)
{
	return false;
}

void lumen_sint_disable(struct lumen_synic *synic, unsigned int sint)
{
	pthread_mutex_lock(&host.vp[synic - host.synics]);
	synic->sints[sint] = NULL;
	pthread_mutex_unlock(&host.vp[synic - host.synics]);
}

bool lumen_has(uint64_t privileges)
{
	return true;
}

uint32_t lumen_spin_retries(void)
{
	return HV_SPINLOCK_RETRIES_NEVER;
}

lumen_status lumen_hypercall(uint64_t control, const void *in, void *out)
{
	lumen_status status = LUMEN_OK;

	pthread_mutex_lock(&host.lock);
	if (host.port_queued < PORT) {
		memcpy(&host.port[host.port_queued++], in, sizeof(host.port[0]));
	} else {
		host.full++;
		status = HV_STATUS_INSUFFICIENT_BUFFERS;
	}
	pthread_cond_broadcast(&host.work);
	pthread_mutex_unlock(&host.lock);
	return status;
}

lumen_status lumen_hypercall_fast(uint64_t control, uint64_t in0, uint64_t in1)
{
	uint32_t relid = (uint32_t)in0 & VMBUS_RELID_MAX;

	pthread_mutex_lock(&host.lock);
	host.devices[relid - 1].signalled = true;
	pthread_cond_broadcast(&host.work);
	pthread_mutex_unlock(&host.lock);
	return LUMEN_OK;
}

// --- the host's threads; each holds `lock` but while a handler of the guest's runs ---

static void *page_at(void *context, uint64_t gpa_page)
{
	return (void *)(uintptr_t)(gpa_page << 12);
}

static uint64_t *get_words(void *context, uint32_t count)
{
	return calloc(count, sizeof(uint64_t));
}

static void put_words(void *context, uint64_t *words, uint32_t count)
{
	free(words);
}

static void interrupt(uint32_t vp, const struct hv_message *message, uint32_t flag)
{
	const struct lumen_sint *sint;

	pthread_mutex_unlock(&host.lock);
	pthread_mutex_lock(&host.vp[vp]);
	this_vp = vp;
	sint = host.synics[vp].sints[VMBUS_SINT];
	if (sint && message)
		sint->message(sint->context, message);
	else if (sint)
		sint->event(sint->context, flag);
	pthread_mutex_unlock(&host.vp[vp]);
	pthread_mutex_lock(&host.lock);
}

static void open_device(struct device *device, const struct vmbus_action *action)
{
	uint32_t down = action->open.downstream_page, pages = action->open.ring_pages;

	vmbus_gpadl_map(action->open.ring, &host.server.config.memory, device->pages, pages);
	vmbus_ring_reader_init(&device->reader, device->pages, down);
	vmbus_ring_writer_init(&device->writer, device->pages + down, pages - down);
	device->vp = action->open.target_vp;
	device->relid = action->relid;
	device->open = true;
}

static void take_action(const struct vmbus_action *action)
{
	struct device *device = &host.devices[action->relid ? action->relid - 1 : 0];

	switch (action->type) {
	case VMBUS_ACTION_OPEN:
		open_device(device, action);
		vmbus_server_open_complete(&host.server, action->relid, true);
		break;
	case VMBUS_ACTION_CLOSE:
		device->open = false;
		vmbus_server_close_complete(&host.server, action->relid);
		break;
	case VMBUS_ACTION_MODIFY:
		device->vp = action->target_vp;
		break;
	case VMBUS_ACTION_FREED:
		host.freed++;
		pthread_cond_broadcast(&host.room);
		break;
	case VMBUS_ACTION_VIOLATION:
		fprintf(stderr, "%s\n", vmbus_violation_name(action->violation.reason));
		host.violations++;
		break;
	default:
		break;
	}
}

static bool host_turn(void)
{
	struct hv_message message = { .header.message_type = VMBUS_SYNIC_MESSAGE_TYPE };
	const struct vmbus_post *post;
	struct vmbus_action action;
	uint32_t vp;

	while (vmbus_server_next_action(&host.server, &action))
		take_action(&action);
	post = vmbus_server_next_post(&host.server);
	if (post) {
		vp = post->vp;
		message.header.payload_size = post->length;
		memcpy(message.payload, post->bytes, post->length);
		vmbus_server_posted(&host.server);
		interrupt(vp, &message, 0);
		return true;
	}
	if (!host.port_queued)
		return false;
	vmbus_server_message(&host.server, host.port[0].connection_id, host.port[0].payload,
		host.port[0].payload_size);
	host.port_queued--;
	memmove(&host.port[0], &host.port[1], host.port_queued * sizeof(host.port[0]));
	return true;
}

static void *run_messages(void *context)
{
	pthread_mutex_lock(&host.lock);
	while (!host.stop) {
		if (!host_turn())
			pthread_cond_wait(&host.work, &host.lock);
	}
	pthread_mutex_unlock(&host.lock);
	return NULL;
}

// Sends back what has come. Returns whether the guest has to be signalled.
static bool echo(struct device *device)
{
	_Alignas(8) uint8_t buffer[256];
	struct vmbus_packet packet;
	bool signal = false;

	do {
		vmbus_ring_reader_mask(&device->reader);
		while (!vmbus_ring_read(&device->reader, buffer, sizeof(buffer), &packet)) {
			const struct vmbus_packet_out out = { .type = VMBUS_PACKET_COMPLETION,
				.transaction_id = packet.transaction_id };

			vmbus_ring_write(&device->writer, &out);
		}
		signal |= vmbus_ring_writer_commit(&device->writer);
		signal |= vmbus_ring_reader_commit(&device->reader);
	} while (vmbus_ring_reader_unmask(&device->reader));
	return signal;
}

static void *run_devices(void *context)
{
	uint32_t i;
	bool any;

	pthread_mutex_lock(&host.lock);
	while (!host.stop) {
		any = false;
		for (i = 0; i < CHANNELS; i++) {
			struct device *device = &host.devices[i];

			if (!device->signalled)
				continue;
			device->signalled = false;
			any = true;
			if (device->open && echo(device))
				interrupt(device->vp, NULL, i + 1);
		}
		if (!any)
			pthread_cond_wait(&host.work, &host.lock);
	}
	pthread_mutex_unlock(&host.lock);
	return NULL;
}

static void start_host(void)
{
	const struct vmbus_server_config config = {
		.channels = host.channels,
		.channel_count = CHANNELS,
		.gpadls = host.gpadls,
		.gpadl_count = GPADLS,
		.actions = host.actions,
		.action_count = ARRAY_SIZE(host.actions),
		.posts = host.posts,
		.post_count = ARRAY_SIZE(host.posts),
		.memory = { NULL, page_at },
		.storage = { NULL, get_words, put_words },
		.vp_count = VPS,
		.max_version = VMBUS_VERSION_5_3,
	};

	cr_assert(vmbus_server_init(&host.server, &config));
}

// --- the guest's threads ---

struct driver {
	pthread_t thread;
	struct lumen_vmbus *bus;
	struct lumen_channel *channel;
	uint32_t vp;
	uint32_t calls; // of the handler, with lumen_wake()
	uint64_t received;
};

static void on_signal(void *context, struct lumen_channel *channel)
{
	struct driver *driver = context;

	__atomic_add_fetch(&driver->calls, 1, __ATOMIC_RELEASE);
	lumen_wake(&driver->calls);
}

// Waits for the completion of this id, as a driver's thread does.
static void wait_for(struct driver *driver, uint64_t id)
{
	_Alignas(8) uint8_t buffer[64];
	struct vmbus_packet packet;
	lumen_status status;
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(&driver->calls, __ATOMIC_ACQUIRE);
		status = lumen_channel_receive(driver->channel, buffer, sizeof(buffer), &packet);
		if (status == LUMEN_OK) {
			cr_assert_eq(packet.transaction_id, id);
			driver->received++;
			return;
		}
		cr_assert_eq(status, LUMEN_BUSY);
		if (!lumen_channel_unmask(driver->channel))
			lumen_wait(&driver->calls, seen, lumen_now_ns() + 20000000000);
	}
}

static void use_channel(struct driver *driver, uint32_t round)
{
	const struct lumen_channel_config config = {
		.send_pages = 1,
		.receive_pages = 1,
		.target_vp = (driver->vp + round) % VPS,
		.handler = on_signal,
		.context = driver,
	};
	struct vmbus_packet_out out = { .type = VMBUS_PACKET_IN_BAND };

	cr_assert_eq(lumen_channel_open(driver->channel, &config), LUMEN_OK);
	for (out.transaction_id = 0; out.transaction_id < PACKETS; out.transaction_id++) {
		if (out.transaction_id == PACKETS / 2)
			cr_assert_eq(lumen_channel_set_vp(driver->channel, driver->vp), LUMEN_OK);
		cr_assert_eq(lumen_channel_send(driver->channel, &out), LUMEN_OK);
		wait_for(driver, out.transaction_id);
	}
	lumen_channel_close(driver->channel);
}

static void *drive(void *context)
{
	struct driver *driver = context;
	uint32_t round, gpadl;
	void *pages;

	this_vp = driver->vp;
	for (round = 0; round < ROUNDS; round++) {
		pages = lumen_alloc_pages(60);
		cr_assert_eq(lumen_gpadl_create(driver->channel, pages, 60, &gpadl), LUMEN_OK);
		use_channel(driver, round);
		cr_assert_eq(lumen_gpadl_destroy(driver->channel, gpadl), LUMEN_OK);
		lumen_free_pages(pages, 60);
	}
	return NULL;
}

// Devices that come and go, known to the guest (then it releases them) or not.
static void plug(struct lumen_vmbus *bus, bool find)
{
	static const struct vmbus_offer offer = { .interface_type = { .data1 = 2 } };
	const uint32_t *changes = lumen_vmbus_changes(bus);
	struct lumen_channel *channel = NULL;
	uint32_t relid, seen = __atomic_load_n(changes, __ATOMIC_ACQUIRE);

	pthread_mutex_lock(&host.lock);
	while (!(relid = vmbus_server_offer(&host.server, &offer)))
		pthread_cond_wait(&host.room, &host.lock); // those before are still there
	pthread_cond_broadcast(&host.work);
	pthread_mutex_unlock(&host.lock);
	lumen_wait(changes, seen, lumen_now_ns() + 20000000000);
	if (find) {
		channel = lumen_vmbus_find(bus, &offer.interface_type, 0);
		cr_assert_not_null(channel);
	}
	seen = __atomic_load_n(changes, __ATOMIC_ACQUIRE);
	pthread_mutex_lock(&host.lock);
	vmbus_server_rescind(&host.server, relid);
	pthread_cond_broadcast(&host.work);
	pthread_mutex_unlock(&host.lock);
	lumen_wait(changes, seen, lumen_now_ns() + 20000000000);
	cr_assert_null(lumen_vmbus_find(bus, &offer.interface_type, 0));
	if (channel) {
		cr_assert(lumen_channel_rescinded(channel));
		cr_assert_eq(lumen_channel_release(channel), LUMEN_OK);
	}
}

static struct lumen_vmbus *connect_all(void)
{
	const struct lumen_vmbus_config config = { .synic = &host.synics[0], .vector = 0x40 };
	struct lumen_vmbus *bus = NULL;

	cr_assert_eq(lumen_vmbus_connect(&config, &bus), LUMEN_OK);
	for (this_vp = 1; this_vp < VPS; this_vp++)
		cr_assert_eq(lumen_vmbus_add_vp(bus, &host.synics[this_vp], 0x40), LUMEN_OK);
	this_vp = 0;
	return bus;
}

static void disconnect_all(struct lumen_vmbus *bus)
{
	for (this_vp = 1; this_vp < VPS; this_vp++)
		cr_assert_eq(lumen_vmbus_remove_vp(bus, &host.synics[this_vp]), LUMEN_OK);
	this_vp = 0;
	cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_OK);
}

Test(guest_threads, everything_at_once)
{
	static const struct vmbus_offer offer = { .interface_type = { .data1 = 1 } };
	struct driver drivers[DEVICES] = { 0 };
	struct lumen_vmbus *bus;
	pthread_t messages, devices;
	uint32_t i;

	ahead_ns = start_clock() - host_ns();
	start_host();
	for (i = 0; i < DEVICES; i++)
		vmbus_server_offer(&host.server, &offer);
	pthread_create(&messages, NULL, run_messages, NULL);
	pthread_create(&devices, NULL, run_devices, NULL);
	bus = connect_all();
	for (i = 0; i < DEVICES; i++) {
		drivers[i].bus = bus;
		drivers[i].vp = i % VPS;
		drivers[i].channel = lumen_vmbus_find(bus, &offer.interface_type, i);
		cr_assert_not_null(drivers[i].channel);
		pthread_create(&drivers[i].thread, NULL, drive, &drivers[i]);
	}
	for (i = 0; i < 2 * ROUNDS; i++)
		plug(bus, i % 2);
	for (i = 0; i < DEVICES; i++) {
		pthread_join(drivers[i].thread, NULL);
		cr_assert_eq(drivers[i].received, (uint64_t)ROUNDS * PACKETS);
	}
	disconnect_all(bus);
	pthread_mutex_lock(&host.lock);
	host.stop = true;
	pthread_cond_broadcast(&host.work);
	pthread_mutex_unlock(&host.lock);
	pthread_join(messages, NULL);
	pthread_join(devices, NULL);
	cr_assert_eq(host.violations, 0);
	cr_assert_geq(host.freed, 2 * ROUNDS - (CHANNELS - DEVICES));
	cr_assert(vmbus_server_idle(&host.server));
	cr_assert_eq(pages_out, 0);
}
