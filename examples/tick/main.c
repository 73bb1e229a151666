// SPDX-License-Identifier: BSD-2-Clause
// Synthetic timers: once and again and again, by a message through the SynIC and, where the
// hypervisor offers it, directly as an interrupt.
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/detect.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/synic.h"
#include "lumen/timer.h"

#define MS	 10000ul // in units of 100 ns
#define PATIENCE (10000 * MS)
#define SLACK	 100ul // 10 us: a hypervisor may count with another clock than it shows

enum { SINT = 2, VECTOR_SINT = 0x50, VECTOR_DIRECT = 0x51, VECTOR_SPURIOUS = 0xff, TICKS = 10 };

static struct lumen_synic synic;

// What the handlers have seen of one timer.
static struct seen {
	uint32_t count;
	uint64_t last;	// reference time of the last one
	uint64_t early; // messages that were delivered before they expired
} seen;

static void saw_one(void)
{
	seen.last = lumen_clock_100ns();
	__atomic_fetch_add(&seen.count, 1, __ATOMIC_RELEASE);
	lumen_wake(&seen.count);
}

// --- message mode: the timer writes a message, the SINT gives an interrupt, the SDK hands it over

static void on_message(void *context, const struct hv_message *message)
{
	const struct hv_timer_message_payload *timer = (const void *)message->payload;

	(void)context;
	if (message->header.message_type != HvMessageTypeTimerExpired)
		return;
	seen.early += timer->delivery_time + SLACK < timer->expiration_time;
	saw_one();
}

static const struct lumen_sint sint = { .vector = VECTOR_SINT, .message = on_message };

static void on_sint(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, SINT);
	lumen_eoi();
}

// --- direct mode: just an interrupt

static void on_direct(struct kernel_frame *frame)
{
	(void)frame;
	saw_one();
	lumen_eoi();
}

// Waits until the handlers have seen so many, with the processor asleep; false: they have not.
static bool wait_for(uint32_t count)
{
	uint64_t give_up = lumen_clock_100ns() + PATIENCE;
	uint32_t now;

	while ((now = __atomic_load_n(&seen.count, __ATOMIC_ACQUIRE)) < count) {
		if (lumen_clock_100ns() > give_up)
			return false;
		lumen_wait(&seen.count, now, give_up * 100);
	}
	return true;
}

static void once(struct lumen_timer_config config, const char *mode)
{
	uint64_t when = lumen_clock_100ns() + 20 * MS;
	lumen_status status;

	seen = (struct seen){ 0 };
	config.count_100ns = when;
	status = lumen_timer_start(0, &config);
	if (!kernel_check(!status && wait_for(1), "%s: a timer has expired (%x)", mode, status))
		return;
	kernel_check(seen.last + SLACK >= when && !seen.early, "%s: not too early, %ld us late",
		mode, (int64_t)(seen.last - when) / 10);
}

static void again_and_again(struct lumen_timer_config config, const char *mode)
{
	uint64_t start = lumen_clock_100ns(), took;
	lumen_status status;

	seen = (struct seen){ 0 };
	config.periodic = true;
	config.count_100ns = 10 * MS;
	status = lumen_timer_start(1, &config);
	if (!kernel_check(!status && wait_for(TICKS), "%s: %u ticks have come (%x)", mode,
		    (unsigned int)TICKS, status))
		return;
	took = seen.last - start;
	lumen_timer_stop(1);
	// Late ticks may follow each other closely; the last one is never before its time.
	kernel_check(took + SLACK >= TICKS * 10 * MS && !seen.early,
		"%s: %u ticks of 10 ms in %lu us", mode, (unsigned int)TICKS, took / 10);
}

static bool start(void)
{
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_SINT, on_sint);
	kernel_set_handler(VECTOR_DIRECT, on_direct);
	if (!status)
		status = lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	if (!status)
		status = lumen_synic_start(&synic);
	if (!status)
		status = lumen_sint_enable(&synic, SINT, &sint);
	return kernel_check(!status, "clock, APIC and SynIC are started (%x)", status);
}

int kernel_main(void)
{
	const struct lumen_timer_config message = { .sint = SINT };
	const struct lumen_timer_config direct = { .vector = VECTOR_DIRECT };

	if (!start())
		return kernel_failures();
	once(message, "message");
	again_and_again(message, "message");
	if (lumen_has_features(HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS)) {
		once(direct, "direct");
		again_and_again(direct, "direct");
	} else {
		kernel_print("Timers in direct mode are not offered here.\n");
	}
	lumen_sint_disable(&synic, SINT);
	lumen_synic_stop(&synic);
	return kernel_failures();
}
