// SPDX-License-Identifier: BSD-2-Clause
// The parts of the guest SDK that the examples do not use, against a hypervisor: it says what it is
// asked, and this checks that the SDK has asked for the right thing. With "crash" on the command
// line the last thing is a crash report.
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/calls.h"
#include "lumen/clock.h"
#include "lumen/crash.h"
#include "lumen/detect.h"
#include "lumen/idle.h"
#include "lumen/ipi.h"
#include "lumen/platform.h"
#include "lumen/spin.h"
#include "lumen/synic.h"
#include "lumen/timer.h"
#include "lumen/tlb.h"
#include "lumen/vp.h"

#define MS 10000ul // in units of 100 ns

enum { VECTOR = 0x60, VECTOR_ASSISTED = 0x61, VECTOR_AUTO = 0x62, VECTOR_SPURIOUS = 0xff };
enum { SINT_POLLED = 3, SINT_AUTO = 4 };

static _Alignas(4096) struct hv_vp_assist_page assist;
static struct lumen_synic synic;
static volatile uint32_t interrupts, messages;
static volatile uint64_t message_time;

static void count(struct kernel_frame *frame)
{
	(void)frame;
	interrupts++;
	lumen_eoi();
}

static void count_assisted(struct kernel_frame *frame)
{
	(void)frame;
	interrupts++;
	lumen_eoi_assisted(&assist);
}

static void handle_sint(struct kernel_frame *frame)
{
	(void)frame;
	interrupts++;
	lumen_sint_handle(&synic, SINT_AUTO); // it needs no EOI
}

// Until there are so many, for up to a second.
static bool wait_for(const volatile uint32_t *counter, uint32_t wanted)
{
	uint64_t give_up = lumen_clock_100ns() + 1000 * MS;

	while (*counter < wanted && lumen_clock_100ns() < give_up)
		kernel_relax();
	return *counter == wanted;
}

// --- hypercalls ---

static void check_explanation(lumen_status status, uint32_t context, const char *part)
{
	char text[400];

	lumen_explain(status, context, text, sizeof(text));
	for (const char *at = text; *at; at++) {
		size_t same = 0;

		while (part[same] && at[same] == part[same])
			same++;
		if (!part[same]) {
			kernel_check(true, "%s", text);
			return;
		}
	}
	kernel_check(false, "explanation has \"%s\": %s", part, text);
}

static void check_before_enabling(void)
{
	struct hv_input_notify_long_spin_wait spin = { .spin_count = 1 };
	lumen_status status = lumen_call_NotifyLongSpinWait(&spin);

	kernel_check(
		status == LUMEN_BAD_STATE, "no hypercalls before they are enabled (%x)", status);
	check_explanation(status, HvCallNotifyLongSpinWait, "lumen_hypercall_enable() comes first");
}

static void check_calls(void)
{
	struct hv_input_notify_long_spin_wait spin = { .spin_count = 4096 };
	LUMEN_CALL_BLOCK struct hv_output_get_partition_id id;
	LUMEN_CALL_BLOCK struct hv_input_post_message message = { .connection_id = 0xfffff0,
		.message_type = 1 };
	lumen_status status = lumen_call_NotifyLongSpinWait(&spin);
	uint32_t vp = 99;

	kernel_check(!status, "fast call (%x)", status);
	status = lumen_hypercall(0x3ff, NULL, NULL);
	kernel_check(status == HV_STATUS_INVALID_HYPERCALL_CODE, "a call that there is not (%x)",
		status);
	check_explanation(status, 0x3ff, "call 0x3ff: HV_STATUS_INVALID_HYPERCALL_CODE");
	status = lumen_call_GetPartitionId(&id);
	// KVM does not know the call.
	kernel_check(
		status == HV_STATUS_ACCESS_DENIED || status == HV_STATUS_INVALID_HYPERCALL_CODE,
		"a call without its privilege (%x)", status);
	check_explanation(status, HvCallGetPartitionId, "lacks AccessPartitionId");
	status = lumen_call_PostMessage(&message);
	kernel_check(status && status < 0x100, "a message to nobody is refused (%x)", status);
	check_explanation(status, HvCallPostMessage, "HvCallPostMessage: HV_STATUS_");
	status = lumen_vp_index_of(lumen_apic_id(), &vp);
	if (status == HV_STATUS_INVALID_HYPERCALL_CODE || status == HV_STATUS_ACCESS_DENIED)
		kernel_print("HvCallGetVpIndexFromApicId is not offered (%x)\n", status);
	else
		kernel_check(!status && vp == lumen_vp_index(), "rep call with output: VP %u (%x)",
			vp, status);
}

// XMM registers hold what they held.
static void check_xmm(void)
{
	struct hv_input_flush_virtual_address_space in = {
		.flags = HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES
	};
	uint64_t before = 0x123456789abcdef, after;
	lumen_status status;

	if (!lumen_has_features(HV_FEATURE_EDX_XMM_FAST_INPUT)) {
		status = lumen_hypercall_xmm(
			HvCallFlushVirtualAddressSpace, &in, sizeof(in), NULL, 0);
		kernel_check(
			status == LUMEN_NOT_SUPPORTED, "XMM input is not offered (%x)", status);
		return;
	}
	__asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm5" : : "r"(before));
	status = lumen_hypercall_xmm(HvCallFlushVirtualAddressSpace, &in, sizeof(in), NULL, 0);
	__asm__ volatile("movq %%xmm0, %0" : "=r"(after));
	kernel_check(!status && before == after, "XMM input (%x), registers preserved", status);
	__asm__ volatile("movq %%xmm5, %0" : "=r"(after));
	kernel_check(before == after, "the last of them too");
	in.flags = ~0ull;
	status = lumen_hypercall_xmm(HvCallFlushVirtualAddressSpace, &in, sizeof(in), NULL, 0);
	kernel_check(
		status == HV_STATUS_INVALID_PARAMETER || !status, "bad flags by XMM (%x)", status);
}

// --- sets of VPs ---

static void check_flushes(void)
{
	const uint64_t all = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	static uint64_t ranges[200];
	struct lumen_vp_set self = { { 0 } };
	lumen_status status = lumen_tlb_flush(0, all, 1);

	lumen_vp_set_add(&self, lumen_vp_index());
	kernel_check(!status, "flush (%x)", status);
	for (uint32_t i = 0; i < 200; i++)
		ranges[i] = (uint64_t)i << 21;
	status = lumen_tlb_flush_list(0, all, 1, ranges, 200);
	kernel_check(!status, "flush of a list in several pieces (%x)", status);
	if (!lumen_is_advised(HV_HINT_EX_PROCESSOR_MASKS))
		return;
	status = lumen_tlb_flush_ex(0, all, &self);
	kernel_check(!status, "flush of a set (%x)", status);
	status = lumen_tlb_flush_ex(0, all, NULL);
	kernel_check(!status, "flush of all (%x)", status);
	status = lumen_tlb_flush_list_ex(0, all, &self, ranges, 200);
	kernel_check(!status, "flush of a list and a set (%x)", status);
	status = lumen_tlb_flush_list_ex(0, all, NULL, ranges, 3);
	kernel_check(!status, "flush of a list and all (%x)", status);
}

static void check_ipis(void)
{
	struct lumen_vp_set self = { { 0 } };
	lumen_status status;
	bool came;

	if (!lumen_is_advised(HV_HINT_EX_PROCESSOR_MASKS | HV_HINT_SYNTHETIC_CLUSTER_IPI))
		return;
	lumen_vp_set_add(&self, lumen_vp_index());
	interrupts = 0;
	status = lumen_ipi_send_ex(VECTOR, &self);
	came = wait_for(&interrupts, 1);
	kernel_check(!status && came, "IPI to a set (%x)", status);
	status = lumen_ipi_send_ex(VECTOR, NULL);
	came = wait_for(&interrupts, 2);
	kernel_check(!status && came, "IPI to all (%x)", status);
}

// --- APIC ---

static void interrupt_this(uint8_t vector)
{
	lumen_icr_write((uint64_t)lumen_apic_id() << 32 | vector);
}

static void check_apic(void)
{
	bool came;

	interrupts = 0;
	lumen_tpr_write(0xf0);
	interrupt_this(VECTOR);
	kernel_check(lumen_tpr_read() == 0xf0 && lumen_apic_is_pending(VECTOR) && !interrupts,
		"the task priority keeps an interrupt pending");
	lumen_tpr_write(0);
	came = wait_for(&interrupts, 1);
	kernel_check(came && !lumen_apic_is_pending(VECTOR) && !lumen_apic_is_in_service(VECTOR),
		"it comes, and is at its end");
}

static void check_assist(void)
{
	lumen_status status = lumen_vp_assist_enable(&assist);
	bool came = true;

	if (status == LUMEN_NO_PRIVILEGE)
		return;
	interrupts = 0;
	for (uint32_t i = 1; i <= 5 && came; i++) {
		interrupt_this(VECTOR_ASSISTED);
		came = wait_for(&interrupts, i);
	}
	kernel_check(!status && came, "5 interrupts with EOI assist: %u (%x)", interrupts, status);
	kernel_check(!lumen_apic_is_in_service(VECTOR_ASSISTED), "all of them are at their end");
	lumen_vp_assist_disable();
	interrupts = 0;
	interrupt_this(VECTOR);
	came = wait_for(&interrupts, 1);
	kernel_check(came, "interrupts go on without it");
}

// --- SynIC, timers, idle ---

static void take_message(void *context, const struct hv_message *message)
{
	const struct hv_timer_message_payload *payload = (const void *)message->payload;

	(void)context;
	if (message->header.message_type == HvMessageTypeTimerExpired &&
		message->header.payload_size == sizeof(*payload)) {
		messages++;
		message_time = payload->expiration_time;
	}
}

static void check_polled_sint(void)
{
	static const struct lumen_sint sint = { .message = take_message };
	struct lumen_timer_config timer = { .sint = SINT_POLLED,
		.count_100ns = lumen_clock_100ns() + 5 * MS };
	uint64_t give_up = lumen_clock_100ns() + 1000 * MS, state = lumen_irq_save();
	lumen_status status = lumen_sint_enable(&synic, SINT_POLLED, &sint);

	status = status ? status : lumen_timer_start(0, &timer);
	while (!messages && lumen_clock_100ns() < give_up)
		lumen_synic_poll(&synic);
	kernel_check(!status && messages == 1 && message_time == timer.count_100ns,
		"a timer's message, polled (%x)", status);
	lumen_sint_disable(&synic, SINT_POLLED);
	lumen_irq_restore(state);
}

static void check_auto_eoi(void)
{
	static const struct lumen_sint sint = {
		.vector = VECTOR_AUTO, .auto_eoi = true, .message = take_message
	};
	static const struct lumen_timer_config timer = {
		.sint = SINT_AUTO, .periodic = true, .lazy = true, .count_100ns = 5 * MS
	};
	lumen_status status;
	bool came;

	if (lumen_is_advised(HV_HINT_DEPRECATE_AUTO_EOI))
		return;
	messages = interrupts = 0;
	status = lumen_sint_enable(&synic, SINT_AUTO, &sint);
	status = status ? status : lumen_timer_start(1, &timer);
	came = wait_for(&messages, 5) || messages > 5; // two at once, if we were away
	lumen_timer_stop(1);
	kernel_check(!status && came && interrupts >= 5 && !lumen_apic_is_in_service(VECTOR_AUTO),
		"5 periods with automatic EOI (%x)", status);
	lumen_sint_disable(&synic, SINT_AUTO);
}

static void check_idle(void)
{
	static const struct lumen_timer_config timer = { .vector = VECTOR, .one_write = true };
	lumen_status status;
	uint64_t due;
	bool came;

	if (!lumen_has_features(HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS))
		return;
	interrupts = 0;
	status = lumen_timer_start(2, &timer);
	for (uint32_t i = 1; i <= 3; i++) {
		uint64_t state = lumen_irq_save();

		due = lumen_clock_100ns() + 5 * MS;
		lumen_timer_set(2, due);
		while (interrupts < i && lumen_clock_100ns() < due + 1000 * MS) {
			lumen_idle(); // other interrupts wake it too
			lumen_irq_restore(state);
			state = lumen_irq_save();
		}
		lumen_irq_restore(state);
		came = interrupts == i && lumen_clock_100ns() >= due;
		kernel_check(!status && came, "idle until a timer that is set by one write (%x)",
			status);
	}
	lumen_timer_set(2, lumen_clock_100ns() + 5 * MS);
	lumen_timer_stop(2);
	due = lumen_clock_100ns() + 20 * MS;
	while (lumen_clock_100ns() < due)
		kernel_relax();
	kernel_check(interrupts == 3, "a stopped timer does not expire");
}

// --- clock, locks, the end of hypercalls ---

static void check_clocks(void)
{
	uint64_t before = lumen_clock_100ns(), counter = lumen_clock_counter_100ns();
	uint64_t after = lumen_clock_100ns();

	// KVM takes them from different clocks, which agree to about a microsecond.
	kernel_check(counter + 100 >= before && counter <= after + 100,
		"page %lu, counter %lu, page %lu", before, counter, after);
}

static void check_lock(void)
{
	static struct lumen_spinlock lock;
	uint64_t state = lumen_spin_lock_irq(&lock);

	kernel_check(!lumen_spin_try(&lock), "a lock that is taken");
	lumen_spin_unlock_irq(&lock, state);
	kernel_check(lumen_spin_try(&lock), "and free again");
}

static void check_disabling(void)
{
	lumen_status status = lumen_hypercall_disable();

	kernel_check(!status, "hypercalls can be disabled (%x)", status);
	status = lumen_hypercall_enable(LUMEN_GUEST_OS_ID(0x10002, 3));
	kernel_check(!status, "and enabled again (%x)", status);
	kernel_check(
		kernel_rdmsr(HV_X64_MSR_GUEST_OS_ID) == 0xff00000100020003, "with an identity");
	status = lumen_ipi_send(VECTOR, 1);
	kernel_check(!status, "a call after it (%x)", status);
	status = lumen_hypercall_lock();
	if (status == LUMEN_NOT_SUPPORTED)
		return;
	kernel_check(
		!status && lumen_hypercall_disable() == LUMEN_REFUSED, "and locked (%x)", status);
}

static void report_crash(void)
{
	static const uint64_t numbers[5] = { 0x1111, 0x2222, 0x3333, 0x4444, 0x5555 };
	lumen_status status = lumen_crash_report(numbers, "the test guest says goodbye", 27);

	kernel_check(!status, "the crash is reported (%x)", status);
	status = lumen_crash_report(numbers, NULL, 0);
	kernel_check(status == LUMEN_BUSY, "once (%x)", status);
}

int kernel_main(void)
{
	lumen_status status = lumen_clock_start();

	status = status ? status : lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	status = status ? status : lumen_synic_start(&synic);
	if (!kernel_check(!status, "clock, APIC and SynIC are started (%x)", status))
		return kernel_failures();
	kernel_set_handler(VECTOR, count);
	kernel_set_handler(LUMEN_SINT_QUIET_VECTOR, count);
	kernel_set_handler(VECTOR_ASSISTED, count_assisted);
	kernel_set_handler(VECTOR_AUTO, handle_sint);
	check_before_enabling();
	status = lumen_hypercall_enable(0);
	kernel_check(!status, "hypercalls are enabled (%x)", status);
	check_calls();
	check_xmm();
	check_flushes();
	check_ipis();
	check_apic();
	check_assist();
	check_polled_sint();
	check_auto_eoi();
	check_idle();
	check_clocks();
	check_lock();
	check_disabling();
	lumen_synic_stop(&synic);
	if (kernel_option("crash", NULL, 0))
		report_crash();
	return kernel_failures();
}
