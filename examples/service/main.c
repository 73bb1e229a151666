// SPDX-License-Identifier: BSD-2-Clause
// A kernel that serves until its host has enough of it: `lumenctl stop` ends it in order, a request
// to restart resets it, heartbeats are answered, and the host says what time it is. `lumenctl stat`
// shows its heart beat (heartbeat.answers).
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/ic.h"
#include "lumen/platform.h"
#include "lumen/power.h"
#include "lumen/synic.h"
#include "lumen/vmbus.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff };
enum { SERVE, POWER_OFF, RESTART }; // what the host has asked for
enum { SHUTDOWN, HEARTBEAT, TIME, COMPONENTS };

#define EPOCH_100NS 116444736000000000ul // of Unix

static struct lumen_synic synic;
static uint32_t order = SERVE;
static struct lumen_ic *components[COMPONENTS];

// The components answer in here, and call what follows.
static void on_vmbus(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi();
}

// --- what the host may ask for: noted, for the thread to do it ---

static void take_order(uint32_t what)
{
	__atomic_store_n(&order, what, __ATOMIC_RELEASE);
	lumen_wake(&order);
}

static void power_off(void *context)
{
	(void)context;
	take_order(POWER_OFF);
}

static void restart(void *context)
{
	(void)context;
	take_order(RESTART);
}

static void take_time(void *context, const struct lumen_time_sample *sample)
{
	(void)context;
	if (sample->flags & LUMEN_TIME_SET) // at first, and when somebody has set the host's clock
		kernel_print("It is %lu s after the beginning of 1970.\n",
			(sample->utc_100ns - EPOCH_100NS) / 10000000);
}

// --- the thread ---

static bool connect(struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	if (!status)
		status = lumen_hypercall_enable(0);
	if (!status)
		status = lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	if (!status)
		status = lumen_synic_start(&synic);
	if (!status)
		status = lumen_vmbus_connect(&config, bus);
	kernel_check_status(status, "connected to the host");
	return !status;
}

static void open_components(struct lumen_vmbus *bus)
{
	static const struct lumen_shutdown_handlers handlers = { .power_off = power_off,
		.restart = restart };
	static const struct lumen_time_handler receiver = { .sample = take_time };

	kernel_check_status(
		lumen_shutdown_open(bus, &handlers, &components[SHUTDOWN]), "can be stopped");
	kernel_check_status(lumen_heartbeat_open(bus, &components[HEARTBEAT]), "has a heartbeat");
	kernel_check_status(lumen_time_open(bus, &receiver, &components[TIME]), "is told the time");
}

// The only thread sleeps; all else happens in on_vmbus().
static uint32_t serve(void)
{
	uint32_t now;

	while ((now = __atomic_load_n(&order, __ATOMIC_ACQUIRE)) == SERVE)
		lumen_wait(&order, SERVE, UINT64_MAX);
	return now;
}

static void close_components(void)
{
	for (uint32_t i = 0; i < COMPONENTS; i++) {
		if (!components[i])
			continue;
		kernel_check(!lumen_ic_bad_messages(components[i]), "the host kept to the rules");
		lumen_ic_close(components[i]);
	}
}

int kernel_main(void)
{
	struct lumen_vmbus *bus;
	uint32_t end = POWER_OFF;

	if (!connect(&bus))
		return kernel_failures();
	open_components(bus);
	if (!kernel_failures()) {
		kernel_print("Serving.\n");
		end = serve();
	}
	close_components();
	kernel_check_status(lumen_vmbus_disconnect(bus), "said goodbye");
	kernel_print("The host wants me to %s.\n", end == RESTART ? "restart" : "power off");
	if (end == RESTART) {
		kernel_irq_off();
		lumen_reset();
	}
	return kernel_failures();
}
