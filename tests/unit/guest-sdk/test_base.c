// SPDX-License-Identifier: BSD-2-Clause
// Detection, APIC, assist page, starting VPs, spinlock, idle, crash report, memory functions.
#include "machine.h"

#include "lumen/apic.h"
#include "lumen/crash.h"
#include "lumen/detect.h"
#include "lumen/idle.h"
#include "lumen/platform.h"
#include "lumen/spin.h"
#include "lumen/vp.h"
#include "tests/unit/start_clock.h"

static struct lumen_hypervisor found;

Test(detect, bare_metal)
{
	cr_expect_not(lumen_detect(&found));
	cr_expect_not(found.present);
	cr_expect_not(lumen_has(HV_PRIVILEGE_NONE));
	cr_expect_eq(lumen_spin_retries(), HV_SPINLOCK_RETRIES_NEVER);
}

Test(detect, hyperv_interface)
{
	machine_set_hyperv(HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_ACCESS_VP_INDEX,
		HV_FEATURE_EDX_GUEST_IDLE, HV_HINT_SYNTHETIC_CLUSTER_IPI);
	machine_set_cpuid(HV_CPUID_VERSION, (struct arch_cpuid){ 20348, 10 << 16 | 7, 3, 0 });
	machine_set_cpuid(HV_CPUID_LIMITS, (struct arch_cpuid){ .eax = 240 });
	machine_set_cpuid(
		HV_CPUID_HARDWARE_FEATURES, (struct arch_cpuid){ .eax = HV_HARDWARE_SLAT });
	cr_expect(lumen_detect(&found));
	cr_expect_str_eq(found.vendor, "Microsoft Hv");
	cr_expect_eq(found.last_leaf, HV_CPUID_HARDWARE_FEATURES);
	cr_expect_eq(found.major, 10);
	cr_expect_eq(found.minor, 7);
	cr_expect_eq(found.build, 20348);
	cr_expect_eq(found.privileges, HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_ACCESS_VP_INDEX);
	cr_expect_eq(found.spin_retries, MACHINE_SPIN_RETRIES);
	cr_expect_eq(found.max_vps, 240);
	cr_expect_eq(found.hardware, HV_HARDWARE_SLAT);
	cr_expect_eq(found.kvm_leaf | found.xen_leaf | found.lumen_leaf, 0);
	cr_expect(lumen_has(HV_PRIVILEGE_POST_MESSAGES));
	cr_expect_not(lumen_has(HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS));
	cr_expect(lumen_has_features(HV_FEATURE_EDX_GUEST_IDLE));
	cr_expect_not(lumen_has_features(HV_FEATURE_EDX_GUEST_IDLE | 1u << 30));
	cr_expect(lumen_is_advised(HV_HINT_SYNTHETIC_CLUSTER_IPI));
	cr_expect_not(lumen_is_advised(HV_HINT_RELAXED_TIMING));
}

static struct arch_cpuid signature(const char *text, uint32_t last)
{
	struct arch_cpuid r = { .eax = last };

	memcpy(&r.ebx, text, 12);
	return r;
}

Test(detect, others_beside_it)
{
	machine_set_hyperv(0, 0, 0);
	machine_set_cpuid(0x40000100, signature("KVMKVMKVM\0\0\0", 0x40000101));
	machine_set_cpuid(0x40000200, signature("XenVMMXenVMM", 0x40000205));
	machine_set_cpuid(0x40000300, signature("LumenLumenHv", 0x40000302));
	machine_set_cpuid(0x40000301, (struct arch_cpuid){ .eax = 0x20001 });
	cr_expect(lumen_detect(&found));
	cr_expect_eq(found.kvm_leaf, 0x40000100);
	cr_expect_eq(found.xen_leaf, 0x40000200);
	cr_expect_eq(found.lumen_leaf, 0x40000300);
	cr_expect_eq(found.lumen_version, 0x20001);
}

Test(detect, kvm_alone)
{
	machine_set_cpuid(1, (struct arch_cpuid){ .ecx = HV_CPUID_1_ECX_HYPERVISOR_PRESENT });
	machine_set_cpuid(0x40000000, signature("KVMKVMKVM\0\0\0", 0x40000001));
	cr_expect_not(lumen_detect(&found));
	cr_expect(found.present);
	cr_expect_str_eq(found.vendor, "KVMKVMKVM");
	cr_expect_eq(found.kvm_leaf, 0x40000000);
	cr_expect_eq(found.privileges, 0);
	cr_expect_not(lumen_has(HV_PRIVILEGE_NONE));
}

// --- APIC ---

enum { X2APIC_EOI = 0x80b, X2APIC_SVR = 0x80f, X2APIC_ICR = 0x830 };

static uint32_t page[0x400 / 4] __attribute__((aligned(16)));

static void with_x2apic(void)
{
	machine_set_msr(0x1b, 0xfee00c00);
	machine_set_msr(0x802, 0x12345);
	machine_set_msr(0x808, 0);
	machine_set_msr(X2APIC_EOI, 0);
	machine_set_msr(X2APIC_SVR, 0xff);
	machine_set_msr(X2APIC_ICR, 0);
	machine_set_msr(0x810 + 2, 1u << 5);  // ISR: vector 69
	machine_set_msr(0x820 + 7, 1u << 31); // IRR: vector 255
}

static void with_synthetic(void)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS, 0, 0);
	machine_set_msr(HV_X64_MSR_EOI, 1);
	machine_set_msr(HV_X64_MSR_ICR, 0);
	machine_set_msr(HV_X64_MSR_TPR, 0);
	machine_set_msr(HV_X64_MSR_VP_ASSIST_PAGE, 0x800);
}

Test(apic, x2apic)
{
	with_x2apic();
	cr_assert_eq(lumen_apic_start(NULL, 0xef), LUMEN_OK);
	cr_expect_eq(machine_msr(X2APIC_SVR), 0x1ef);
	cr_expect_eq(lumen_apic_id(), 0x12345);
	lumen_icr_write(0x12346000000fdull);
	cr_expect_eq(machine_msr(X2APIC_ICR), 0x12346000000fdull);
	lumen_tpr_write(0x40);
	cr_expect_eq(lumen_tpr_read(), 0x40);
	machine_forget_writes();
	lumen_eoi();
	cr_expect_eq(machine_writes[0].msr, X2APIC_EOI);
	cr_expect(lumen_apic_is_in_service(69));
	cr_expect_not(lumen_apic_is_in_service(68));
	cr_expect(lumen_apic_is_pending(255));
}

// EOI and TPR by MSR, ICR in x2APIC mode by its own.
Test(apic, synthetic_and_x2apic)
{
	with_x2apic();
	with_synthetic();
	cr_assert_eq(lumen_apic_start(NULL, 0xef), LUMEN_OK);
	lumen_eoi();
	cr_expect_eq(machine_msr(HV_X64_MSR_EOI), 0);
	lumen_tpr_write(0x20);
	cr_expect_eq(machine_msr(HV_X64_MSR_TPR), 0x20);
	lumen_icr_write(0x3000000fd);
	cr_expect_eq(machine_msr(X2APIC_ICR), 0x3000000fd);
}

Test(apic, synthetic_and_page)
{
	machine_set_msr(0x1b, 0xfee00800);
	with_synthetic();
	page[0x20 / 4] = 7u << 24;
	cr_assert_eq(lumen_apic_start(page, 0xef), LUMEN_OK);
	cr_expect_eq(page[0xf0 / 4], 0x1ef);
	cr_expect_eq(lumen_apic_id(), 7);
	lumen_icr_write(0x3000000fd);
	cr_expect_eq(
		machine_msr(HV_X64_MSR_ICR), 0x03000000000000fd, "as the two halves of the ICR");
}

static unsigned int busy;

static void become_idle(void)
{
	if (!--busy)
		page[0x300 / 4] &= ~(1u << 12);
}

Test(apic, page_alone)
{
	machine_set_hyperv(0, 0, 0);
	machine_set_msr(0x1b, 0xfee00800);
	cr_assert_eq(lumen_apic_start(page, 0xef), LUMEN_OK);
	page[0x300 / 4] = 1u << 12; // an earlier one is on its way
	busy = 3;
	machine_on_pause = become_idle;
	lumen_icr_write(0x3000000fd);
	cr_expect_eq(busy, 0);
	cr_expect_eq(page[0x310 / 4], 3u << 24);
	cr_expect_eq(page[0x300 / 4], 0xfd);
	page[0xb0 / 4] = 1;
	lumen_eoi();
	cr_expect_eq(page[0xb0 / 4], 0);
}

Test(apic, nowhere)
{
	machine_set_msr(0x1b, 0xfee00800);
	cr_expect_eq(lumen_apic_start(NULL, 0xef), LUMEN_NOT_SUPPORTED);
}

static _Alignas(HV_PAGE_SIZE) struct hv_vp_assist_page assist;

Test(assist, eoi)
{
	with_x2apic();
	with_synthetic();
	cr_assert_eq(lumen_apic_start(NULL, 0xef), LUMEN_OK);
	cr_assert_eq(lumen_vp_assist_enable(&assist), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_VP_ASSIST_PAGE), (uintptr_t)&assist | 0x801);
	machine_forget_writes();
	assist.apic_assist = 0xf0 | HV_APIC_ASSIST_NO_EOI;
	lumen_eoi_assisted(&assist);
	cr_expect_eq(machine_write_count, 0);
	cr_expect_eq(assist.apic_assist, 0xf0);
	lumen_eoi_assisted(&assist);
	cr_expect_eq(machine_write_count, 1);
	lumen_vp_assist_disable();
	cr_expect_eq(machine_msr(HV_X64_MSR_VP_ASSIST_PAGE), 0x800);
	cr_expect_eq(lumen_vp_assist_enable((void *)((char *)&assist + 8)), LUMEN_BAD_ARGUMENT);
}

Test(assist, not_offered)
{
	cr_expect_eq(lumen_vp_assist_enable(&assist), LUMEN_NO_HYPERVISOR);
	lumen_vp_assist_disable();
}

// --- starting VPs ---

// The kernel's own clock: each look is 1 us later.
uint64_t lumen_now_ns(void)
{
	return machine_tsc ? machine_tsc += 1000 : 0;
}

Test(sipi, init_and_two_sipis)
{
	static uint64_t at[3];

	with_x2apic();
	cr_expect_eq(lumen_vp_start_sipi(5, 8), LUMEN_BAD_STATE, "no clock");
	machine_tsc = start_clock() | 1;
	cr_assert_eq(lumen_apic_start(NULL, 0xef), LUMEN_OK);
	machine_forget_writes();
	cr_expect_eq(lumen_vp_start_sipi(5, 0), LUMEN_BAD_ARGUMENT);
	at[0] = machine_tsc;
	cr_expect_eq(lumen_vp_start_sipi(5, 8), LUMEN_OK);
	cr_expect_geq(machine_tsc - at[0], 10000000);
	cr_assert_eq(machine_write_count, 3);
	cr_expect_eq(machine_writes[0].value, 0x500004500);
	cr_expect_eq(machine_writes[1].value, 0x500004608);
	cr_expect_eq(machine_writes[2].value, 0x500004608);
	cr_expect(machine_interrupts);
}

static struct hv_initial_vp_context context;
static uint64_t stack[64];

static void entry(void *argument)
{
	(void)argument;
}

static uint64_t answer_vp(struct machine_call *call)
{
	if (hv_call_code(call->control) == HvCallGetVpIndexFromApicId) {
		*(uint32_t *)call->out = 77;
		return hv_result(HV_STATUS_SUCCESS, 1);
	}
	return HV_STATUS_INVALID_VP_STATE;
}

Test(start, context_like_this)
{
	machine_gdt[1] = 0x00af9b000000ffff; // code, 64 bits
	machine_gdt[2] = 0x12cf93345678ffff; // data, with a base
	machine_cs = 8;
	machine_ss = 16;
	machine_set_msr(0x277, 0x0007040600070406);
	machine_set_msr(0xc0000080, 0xd00);
	lumen_vp_context_like_this(&context, entry, &found, stack + 64);
	cr_expect_eq(context.rsp, (uintptr_t)(stack + 62));
	cr_expect_eq(stack[62], (uintptr_t)entry);
	cr_expect_eq(stack[63], (uintptr_t)&found);
	cr_expect_eq(context.rflags, 2);
	cr_expect_eq(context.cs.selector, 8);
	cr_expect_eq(context.cs.attributes, 0xa09b);
	cr_expect_eq(context.cs.limit, 0xffffffff);
	cr_expect_eq(context.ss.base, 0x12345678);
	cr_expect_eq(context.ss.attributes, 0xc093);
	cr_expect_eq(context.tr.attributes, 0x8b);
	cr_expect_eq(context.efer, 0xd00);
	cr_expect_eq(context.cr3, 0x123000);
	cr_expect_eq(context.idtr.base, 0x7000);
	cr_expect_eq(context.idtr.limit, 0xfff);
	cr_expect_eq(context.gdtr.base, (uintptr_t)machine_gdt);
	cr_expect_eq(context.msr_cr_pat, 0x0007040600070406);
}

Test(start, by_hypercall)
{
	uint32_t vp = 0;

	machine_hypervisor = answer_vp;
	context.rip = 0x1234;
	cr_expect_eq(lumen_vp_start(3, &context), HV_STATUS_INVALID_VP_STATE);
	cr_expect_eq(machine_input[0][0], HV_PARTITION_ID_SELF);
	cr_expect_eq(machine_input[0][1], 3);
	cr_expect_eq(machine_input[0][2], 0x1234);
	cr_expect_eq(lumen_vp_index_of(9, &vp), LUMEN_OK);
	cr_expect_eq(vp, 77);
	cr_expect_eq(machine_calls[1].control, hv_call_control(0x9a, 0, 1, 0));
	cr_expect_eq((uint32_t)machine_input[1][2], 9);
}

// --- spinlock ---

static struct lumen_spinlock lock;
static unsigned int pauses;

static void give_up(void)
{
	if (++pauses == 3 * MACHINE_SPIN_RETRIES)
		lumen_spin_unlock(&lock);
}

static uint64_t agree(struct machine_call *call)
{
	(void)call;
	return 0;
}

Test(spin, tells_the_hypervisor)
{
	machine_set_hyperv(0, 0, 0);
	machine_hypervisor = agree;
	cr_expect(lumen_spin_try(&lock));
	cr_expect_not(lumen_spin_try(&lock));
	machine_on_pause = give_up;
	lumen_spin_lock(&lock);
	cr_expect_eq(pauses, 3 * MACHINE_SPIN_RETRIES);
	cr_assert_eq(machine_call_count, 3);
	cr_expect_eq(machine_calls[1].control, 0x10008);
	cr_expect_eq(machine_calls[1].in, 2 * MACHINE_SPIN_RETRIES);
}

Test(spin, without_hypervisor)
{
	uint64_t state = lumen_spin_lock_irq(&lock);

	cr_expect_not(machine_interrupts);
	machine_on_pause = give_up;
	lumen_spin_lock(&lock);
	cr_expect_eq(machine_call_count, 0);
	lumen_spin_unlock_irq(&lock, state);
	cr_expect(machine_interrupts);
	cr_expect(lumen_spin_try(&lock));
}

// --- idle ---

static unsigned int idle_reads;

static void count_idle(uint32_t msr)
{
	idle_reads += msr == HV_X64_MSR_GUEST_IDLE;
}

Test(idle, by_msr)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG, HV_FEATURE_EDX_GUEST_IDLE, 0);
	machine_set_msr(HV_X64_MSR_GUEST_IDLE, 0);
	machine_on_read = count_idle;
	machine_interrupts = false;
	lumen_idle();
	cr_expect_eq(idle_reads, 1);
	cr_expect_eq(machine_halts, 0);
}

Test(idle, by_halt)
{
	machine_set_hyperv(0, HV_FEATURE_EDX_GUEST_IDLE, 0);
	machine_interrupts = false;
	lumen_idle();
	cr_expect_eq(machine_halts, 1);
}

// --- crash ---

static void with_crash(uint64_t control)
{
	machine_set_hyperv(0, HV_FEATURE_EDX_GUEST_CRASH_REGS, 0);
	for (uint32_t n = 0; n < HV_X64_MSR_CRASH_P_COUNT; n++)
		machine_set_msr(HV_X64_MSR_CRASH_Pn(n), 0);
	machine_set_msr(HV_X64_MSR_CRASH_CTL, control);
}

static const uint64_t numbers[5] = { 11, 12, 13, 14, 15 };

Test(crash, with_a_message)
{
	char text[2000];
	const char *sent;

	memset(text, 'x', sizeof(text));
	with_crash(HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE);
	cr_expect_eq(lumen_crash_report(numbers, text, sizeof(text)), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_CRASH_P2), 13);
	sent = (const char *)machine_msr(HV_X64_MSR_CRASH_P3);
	cr_expect_eq(machine_msr(HV_X64_MSR_CRASH_P4), LUMEN_CRASH_TEXT_MAX);
	cr_expect_eq(memcmp(sent, text, LUMEN_CRASH_TEXT_MAX), 0);
	cr_expect_eq((uintptr_t)sent / HV_PAGE_SIZE,
		((uintptr_t)sent + LUMEN_CRASH_TEXT_MAX - 1) / HV_PAGE_SIZE);
	cr_expect_eq(machine_msr(HV_X64_MSR_CRASH_CTL),
		HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE);
	cr_expect_eq(machine_writes[machine_write_count - 1].msr, HV_X64_MSR_CRASH_CTL);
	cr_expect_eq(lumen_crash_report(numbers, NULL, 0), LUMEN_BUSY, "one report");
}

Test(crash, host_that_takes_no_message)
{
	with_crash(HV_CRASH_CTL_CRASH_NOTIFY);
	cr_expect_eq(lumen_crash_report(numbers, "text", 4), LUMEN_OK);
	for (uint32_t n = 0; n < 5; n++)
		cr_expect_eq(machine_msr(HV_X64_MSR_CRASH_Pn(n)), numbers[n]);
	cr_expect_eq(machine_msr(HV_X64_MSR_CRASH_CTL), HV_CRASH_CTL_CRASH_NOTIFY);
}

Test(crash, nobody_listens)
{
	machine_set_hyperv(0, 0, 0);
	cr_expect_eq(lumen_crash_report(numbers, NULL, 0), LUMEN_NOT_SUPPORTED);
}

// --- the memory functions, under other names ---

void *sdk_memcpy(void *restrict to, const void *restrict from, size_t size);
void *sdk_memmove(void *to, const void *from, size_t size);
void *sdk_memset(void *to, int byte, size_t size);
int sdk_memcmp(const void *a, const void *b, size_t size);

Test(memory, as_the_library_does_it)
{
	unsigned char mine[64], theirs[64];

	for (size_t from = 0; from < 24; from++) {
		for (size_t to = 0; to < 24; to++) {
			for (size_t size = 0; size < 32; size++) {
				for (size_t i = 0; i < sizeof(mine); i++)
					mine[i] = theirs[i] = (unsigned char)(i * 7);
				cr_assert_eq(sdk_memmove(mine + to, mine + from, size), mine + to);
				memmove(theirs + to, theirs + from, size);
				cr_assert_arr_eq(mine, theirs, sizeof(mine));
			}
		}
	}
	cr_expect_eq(sdk_memset(mine, 0x1ff, 64), mine);
	memset(theirs, 0xff, 64);
	cr_expect_arr_eq(mine, theirs, 64);
	cr_expect_eq(sdk_memcpy(mine, "abc", 3), mine);
	cr_expect_eq(memcmp(mine, "abc\xff", 4), 0);
	cr_expect_eq(sdk_memcmp("abc", "abd", 2), 0);
	cr_expect_lt(sdk_memcmp("abc", "abd", 3), 0);
	cr_expect_gt(sdk_memcmp("\x80", "\x7f", 1), 0);
}
