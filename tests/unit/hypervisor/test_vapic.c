// SPDX-License-Identifier: BSD-2-Clause
// The virtual local APIC: priorities, EOI and its assist, interrupt messages, registers in both
// modes, the timer.
#include "tests/unit/hypervisor/rig.h"

#include "hypercall/msr.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/vapic_internal.h"

#define XAPIC_PAGE 0xfee00000ull
#define X2(reg)	   (MSR_X2APIC_FIRST + (reg))

static struct vp *vp;

static void setup(void)
{
	rig_setup();
	vp = &rig.vp[0];
}

static void enter_x2apic(struct vp *v)
{
	uint64_t svr = v->apic.svr;

	cr_assert(vapic_write_msr(v, MSR_APIC_BASE, v->apic_base | APIC_BASE_EXTD));
	v->apic.svr = svr;
}

static void setup_x2apic(void)
{
	setup();
	for (unsigned int i = 0; i < RIG_VPS; i++)
		enter_x2apic(&rig.vp[i]);
}

static uint64_t read_reg(unsigned int reg)
{
	uint64_t value;

	cr_assert(vapic_read_register(vp, reg, &value), "register %x", reg);
	return value;
}

static void write_reg(unsigned int reg, uint64_t value)
{
	cr_assert(vapic_write_register(vp, reg, value), "register %x", reg);
}

static bool requested(const struct vp *v, unsigned int vector)
{
	return bit_test(v->apic.irr, vector);
}

// Which VPs have VECTOR requested, as a bit mask; forgets the requests.
static unsigned int collect(unsigned int vector)
{
	unsigned int who = 0;

	for (unsigned int i = 0; i < RIG_VPS; i++)
		if (bit_test_and_clear(rig.vp[i].apic.irr, vector))
			who |= 1u << i;
	return who;
}

// --- requests, priorities, EOI ---

// The processor is offered VECTOR and takes it.
static void take(struct vp *by, unsigned int vector)
{
	vapic_offered(by, vector);
	vapic_accepted(by, vector);
}

// The second request of a vector that comes while the processor delivers the first is an interrupt
// of its own.
Test(vapic, request_while_offered, .init = setup)
{
	cr_assert(vapic_interrupt(vp, 0x50, VAPIC_EDGE));
	vapic_offered(vp, 0x50);
	cr_assert(vapic_interrupt(vp, 0x50, VAPIC_EDGE));
	vapic_accepted(vp, 0x50);
	vapic_eoi(vp);
	cr_assert_eq(vapic_pending(vp), 0x50);
	vapic_offered(vp, 0x50);
	cr_assert_eq(vapic_pending(vp), -1);
	vapic_withdrawn(vp, 0x50);
	cr_assert_eq(vapic_pending(vp), 0x50);
}

Test(vapic, a_disabled_apic_takes_nothing, .init = setup)
{
	vp->apic.svr = 0xff;
	cr_assert_not(vapic_interrupt(vp, 0x40, VAPIC_EDGE), "disabled by software");
	vp->apic.svr = 0x1ff;
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, APIC_BASE_ADDRESS));
	vp->apic.svr = 0x1ff;
	cr_assert_not(vapic_interrupt(vp, 0x40, VAPIC_EDGE), "disabled by APIC base");
	cr_assert_eq(vapic_pending(vp), -1);
}

Test(vapic, vectors_below_16_are_refused, .init = setup)
{
	cr_assert_not(vapic_interrupt(vp, 15, VAPIC_EDGE));
	cr_assert_not(vapic_interrupt(vp, 256, VAPIC_EDGE));
	cr_assert(vapic_interrupt(vp, 16, VAPIC_EDGE));
	cr_assert(vapic_interrupt(vp, 255, VAPIC_EDGE));
}

Test(vapic, a_request_kicks_once, .init = setup)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	cr_assert_eq(rig_of(vp)->kicks, 1);
	cr_assert_eq(vapic_pending(vp), 0x40);
}

Test(vapic, highest_first_and_nested_by_class, .init = setup)
{
	vapic_interrupt(vp, 0x41, VAPIC_EDGE);
	vapic_interrupt(vp, 0x62, VAPIC_EDGE);
	vapic_interrupt(vp, 0x61, VAPIC_EDGE);
	cr_assert_eq(vapic_pending(vp), 0x62);
	take(vp, 0x62);
	cr_assert_eq(vapic_ppr(vp), 0x60);
	cr_assert_eq(vapic_pending(vp), -1, "0x61 is of the same class");
	vapic_interrupt(vp, 0x70, VAPIC_EDGE);
	cr_assert_eq(vapic_pending(vp), 0x70);
	take(vp, 0x70);
	vapic_eoi(vp); // 0x70
	cr_assert_eq(vapic_ppr(vp), 0x60);
	vapic_eoi(vp); // 0x62
	cr_assert_eq(vapic_pending(vp), 0x61);
	take(vp, 0x61);
	vapic_eoi(vp);
	cr_assert_eq(vapic_pending(vp), 0x41);
	cr_assert_eq(vapic_ppr(vp), 0);
}

Test(vapic, task_priority, .init = setup)
{
	vapic_interrupt(vp, 0x4f, VAPIC_EDGE);
	vapic_set_cr8(vp, 4);
	cr_assert_eq(vapic_pending(vp), -1);
	cr_assert_eq(vapic_ppr(vp), 0x40);
	vapic_set_cr8(vp, 3);
	cr_assert_eq(vapic_pending(vp), 0x4f);
	cr_assert_eq(read_reg(APIC_TPR), 0x30);
	write_reg(APIC_TPR, 0x5a);
	cr_assert_eq(vapic_get_cr8(vp), 5);
	cr_assert_eq(vapic_ppr(vp), 0x5a, "the sub-class of the TPR counts when its class wins");
}

Test(vapic, level_interrupts_tell_of_their_end, .init = setup)
{
	vapic_interrupt(vp, 0x50, VAPIC_LEVEL);
	cr_assert_eq(read_reg(APIC_TMR + 2), 1u << 16);
	take(vp, 0x50);
	vapic_eoi(vp);
	cr_assert_eq(rig_of(vp)->level_eois, 1);
	cr_assert_eq(rig_of(vp)->last_level_eoi, 0x50);
	vapic_interrupt(vp, 0x50, VAPIC_EDGE); // the same vector as an edge now
	cr_assert_eq(read_reg(APIC_TMR + 2), 0);
	take(vp, 0x50);
	vapic_eoi(vp);
	vapic_eoi(vp); // one too many
	cr_assert_eq(rig_of(vp)->level_eois, 1);
}

Test(vapic, auto_eoi_is_never_in_service, .init = setup)
{
	vapic_interrupt(vp, 0xf3, VAPIC_AUTO_EOI);
	take(vp, 0xf3);
	cr_assert_eq(vapic_ppr(vp), 0);
	vapic_interrupt(vp, 0xf3, VAPIC_EDGE); // without it, as any other
	take(vp, 0xf3);
	cr_assert_eq(vapic_ppr(vp), 0xf0);
}

Test(vapic, requests_and_service_read_back, .init = setup)
{
	vapic_interrupt(vp, 0xe5, VAPIC_EDGE);
	vapic_interrupt(vp, 0x25, VAPIC_EDGE);
	cr_assert_eq(read_reg(APIC_IRR + 7), 1u << 5);
	cr_assert_eq(read_reg(APIC_IRR + 1), 1u << 5);
	take(vp, 0xe5);
	cr_assert_eq(read_reg(APIC_IRR + 7), 0);
	cr_assert_eq(read_reg(APIC_ISR + 7), 1u << 5);
	cr_assert_eq(read_reg(APIC_PPR), 0xe0);
}

Test(vapic, init_resets_all_but_id_and_base, .init = setup)
{
	struct vp *v = &rig.vp[3];

	vapic_interrupt(v, 0x50, VAPIC_LEVEL);
	take(v, 0x50);
	vapic_interrupt(v, 0x60, VAPIC_EDGE);
	vapic_reset(v, false);
	cr_assert_eq(v->apic.id, 3);
	cr_assert_eq(v->apic.svr, 0xff);
	cr_assert_eq(v->apic.lvt[LVT_LINT0], LVT_MASKED);
	cr_assert_eq(vapic_pending(v), -1);
	cr_assert_eq(vapic_ppr(v), 0);
	cr_assert_eq(rig_of(v)->level_eois, 1, "nobody waits for an EOI that will not come");
	cr_assert_eq(v->apic_base, APIC_BASE_ADDRESS | APIC_BASE_ENABLE);
	cr_assert_eq(rig.vp[0].apic_base & APIC_BASE_BSP, APIC_BASE_BSP);
}

// --- EOI assist ---

static uint32_t assist_word(void)
{
	return *(uint32_t *)vp->assist_page;
}

static void setup_assist(void)
{
	setup();
	vp->assist_msr = 0x1000 | HV_X64_MSR_PAGE_ENABLE;
}

Test(vapic_assist, a_lone_edge_interrupt_ends_without_exit, .init = setup_assist)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp); // before the entry that delivers it
	cr_assert_eq(assist_word(), 1);
	*(uint32_t *)vp->assist_page = 0; // the guest takes it and ends it
	take(vp, 0x40);
	vapic_assist_collect(vp);
	cr_assert_eq(vapic_ppr(vp), 0);
}

// TLFS: SynIC Messages: the EOI is one of the things that bring the next message.
Test(vapic_assist, an_eoi_that_a_message_waits_for_is_not_saved, .init = setup_assist)
{
	vp->synic.waiting = true;
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0);
	take(vp, 0x40);
	vapic_eoi(vp);
	cr_assert_eq(vp->requests, VP_REQ_MESSAGES);
}

Test(vapic, what_is_offered_is_requested_still, .init = setup)
{
	vapic_interrupt(vp, 0x47, VAPIC_EDGE);
	vapic_offered(vp, 0x47);
	vp->offered_vector = 0x47;
	cr_assert_eq(read_reg(APIC_IRR + 2), 1 << 7);
	cr_assert_eq(read_reg(APIC_IRR), 0);
	cr_assert_eq(read_reg(APIC_ISR + 2), 0);
}

Test(vapic_assist, an_interrupt_that_goes_on_stays_in_service, .init = setup_assist)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp);
	take(vp, 0x40);
	vapic_assist_collect(vp);
	cr_assert_eq(assist_word(), 0, "withdrawn while out of the guest");
	cr_assert_eq(vapic_ppr(vp), 0x40);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 1, "offered again");
	*(uint32_t *)vp->assist_page = 0;
	vapic_assist_collect(vp);
	cr_assert_eq(vapic_ppr(vp), 0);
}

Test(vapic_assist, something_pending_forces_the_exit, .init = setup_assist)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	take(vp, 0x40);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 1);
	vapic_interrupt(vp, 0x31, VAPIC_EDGE); // kicks the VP out
	cr_assert_geq(rig_of(vp)->kicks, 1);
	vapic_assist_collect(vp);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0);
	vapic_eoi(vp);
	cr_assert_eq(vapic_pending(vp), 0x31);
}

Test(vapic_assist, not_for_level_auto_eoi_or_nested, .init = setup_assist)
{
	vapic_interrupt(vp, 0x40, VAPIC_LEVEL);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0, "level, requested");
	take(vp, 0x40);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0, "level, in service");
	vapic_interrupt(vp, 0x50, VAPIC_EDGE);
	take(vp, 0x50);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0, "nested");
	vapic_eoi(vp);
	vapic_eoi(vp);
	vapic_interrupt(vp, 0x60, VAPIC_AUTO_EOI);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0, "ends itself");
}

Test(vapic_assist, a_blocked_interrupt_is_not_ended_by_a_cleared_bit, .init = setup_assist)
{
	vapic_set_cr8(vp, 5);
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0, "the task priority blocks it");
	vapic_set_cr8(vp, 0);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 1);
	*(uint32_t *)vp->assist_page = 0; // out of turn: the interrupt has not been taken
	vapic_assist_collect(vp);
	cr_assert_eq(vapic_pending(vp), 0x40);
}

// The offer is made, then something comes in before the entry: no exit has been in between.
Test(vapic_assist, an_offer_is_taken_back_without_an_exit, .init = setup_assist)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp);
	vapic_interrupt(vp, 0x50, VAPIC_EDGE);
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0);
	take(vp, 0x50);
	vapic_assist_collect(vp);
	cr_assert_eq(vapic_ppr(vp), 0x50, "the zero that we wrote is no EOI");
}

Test(vapic_assist, only_bit_0_is_ours, .init = setup_assist)
{
	*(uint32_t *)vp->assist_page = 0xfffffffe;
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	vapic_assist_offer(vp);
	vapic_assist_collect(vp);
	cr_assert_eq(assist_word(), 0xfffffffe);
	vp->assist_msr = 0;
	vapic_assist_offer(vp);
	cr_assert_eq(assist_word(), 0xfffffffe, "disabled");
}

// --- interrupt messages ---

#define ICR(dest, low) ((uint64_t)(dest) << 56 | (low))
#define LOGICAL	       0x800
#define LOWEST	       0x100
#define SELF	       (1 << 18)
#define ALL	       (2 << 18)
#define OTHERS	       (3 << 18)

static unsigned int send(uint64_t icr)
{
	vapic_send_icr(vp, icr);
	return collect(icr & 0xff);
}

Test(vapic_ipi, physical_and_shorthands, .init = setup)
{
	cr_expect_eq(send(ICR(2, 0x40)), 1u << 2);
	cr_expect_eq(send(ICR(0xff, 0x40)), 0xf);
	cr_expect_eq(send(ICR(9, 0x40)), 0);
	cr_expect_eq(send(ICR(2, 0x40 | SELF)), 1);
	cr_expect_eq(send(ICR(2, 0x40 | ALL)), 0xf);
	cr_expect_eq(send(ICR(2, 0x40 | OTHERS)), 0xe);
}

Test(vapic_ipi, logical_flat, .init = setup)
{
	for (unsigned int i = 0; i < RIG_VPS; i++)
		rig.vp[i].apic.ldr = 1u << (24 + i);
	cr_expect_eq(send(ICR(0x5, 0x40 | LOGICAL)), 0x5);
	cr_expect_eq(send(ICR(0x80, 0x40 | LOGICAL)), 0);
	cr_expect_eq(send(ICR(0xff, 0x40 | LOGICAL)), 0xf);
}

Test(vapic_ipi, logical_cluster, .init = setup)
{
	for (unsigned int i = 0; i < RIG_VPS; i++) {
		rig.vp[i].apic.dfr = 0x0fffffff;
		rig.vp[i].apic.ldr = (i / 2) << 28 | 1u << (24 + i % 2); // clusters of two
	}
	cr_expect_eq(send(ICR(0x13, 0x40 | LOGICAL)), 0xc);
	cr_expect_eq(send(ICR(0x02, 0x40 | LOGICAL)), 0x2);
	cr_expect_eq(send(ICR(0x2f, 0x40 | LOGICAL)), 0);
}

Test(vapic_ipi, x2apic_destinations, .init = setup_x2apic)
{
	cr_expect_eq(vp->apic.ldr, 1);
	cr_expect_eq(rig.vp[3].apic.ldr, 8);
	cr_expect_eq(send(3ull << 32 | 0x40), 1u << 3);
	cr_expect_eq(send(0xffull << 32 | 0x40), 0, "255 is no broadcast here");
	cr_expect_eq(send(0xffffffffull << 32 | 0x40), 0xf);
	cr_expect_eq(send(0x00000006ull << 32 | 0x40 | LOGICAL), 0x6);
	cr_expect_eq(send(0x00010006ull << 32 | 0x40 | LOGICAL), 0, "another cluster");
}

Test(vapic_ipi, x2apic_logical_id_of_a_large_id, .init = setup)
{
	struct vp *v = &rig.vp[1];

	v->apic.id = 0x123;
	enter_x2apic(v);
	cr_assert_eq(v->apic.ldr, 0x120008);
}

Test(vapic_ipi, lowest_priority_goes_to_one, .init = setup)
{
	for (unsigned int i = 0; i < RIG_VPS; i++)
		rig.vp[i].apic.tpr = i == 2 ? 0x10 : 0x30;
	cr_expect_eq(send(ICR(0xff, 0x40 | LOWEST)), 1u << 2);
	rig.vp[2].apic.svr = 0xff; // disabled: no candidate
	cr_expect_eq(__builtin_popcount(send(ICR(0xff, 0x40 | LOWEST))), 1);
}

Test(vapic_ipi, nmi_init_and_startup_are_requests, .init = setup)
{
	struct vp *v = &rig.vp[1];

	v->apic.svr = 0xff; // these reach an APIC that software has not enabled
	vapic_send_icr(vp, ICR(1, 0x400));
	cr_assert_eq(v->requests, VP_REQ_NMI);
	v->requests = 0;
	vapic_send_icr(vp, ICR(1, 0x8500)); // INIT level de-assert
	cr_assert_eq(v->requests, 0);
	vapic_send_icr(vp, ICR(1, 0xc500)); // INIT level assert
	cr_assert_eq(v->requests, VP_REQ_INIT);
	vapic_send_icr(vp, ICR(1, 0x69a));
	cr_assert_eq(v->requests, VP_REQ_INIT | VP_REQ_SIPI);
	cr_assert_eq(v->sipi_vector, 0x9a);
	cr_assert_eq(vp->requests, 0);
}

Test(vapic_ipi, a_disabled_apic_gets_not_even_init, .init = setup)
{
	cr_assert(vapic_write_msr(&rig.vp[1], MSR_APIC_BASE, APIC_BASE_ADDRESS));
	vapic_send_icr(vp, ICR(1, 0x4500));
	cr_assert_eq(rig.vp[1].requests, 0);
}

Test(vapic_ipi, illegal_vectors_are_errors, .init = setup)
{
	vp->apic.lvt[LVT_ERROR] = 0x77;
	cr_assert_eq(send(ICR(1, 0x0f)), 0);
	cr_assert(requested(vp, 0x77));
	cr_assert_eq(read_reg(APIC_ESR), 0, "latched by a write");
	write_reg(APIC_ESR, 0);
	cr_assert_eq(read_reg(APIC_ESR), ESR_SEND_ILLEGAL_VECTOR);
	write_reg(APIC_ESR, 0);
	cr_assert_eq(read_reg(APIC_ESR), 0);
}

Test(vapic_ipi, messages_from_outside, .init = setup)
{
	struct vapic_message m = { .dest = 2, .vector = 0x44, .level = true };

	cr_assert(vapic_deliver(&rig.partition, NULL, &m));
	cr_assert(bit_test(rig.vp[2].apic.level, 0x44));
	m.dest = 7;
	cr_assert_not(vapic_deliver(&rig.partition, NULL, &m), "nobody");
	m.dest = 2;
	m.delivery = 2;
	cr_assert_not(vapic_deliver(&rig.partition, NULL, &m), "SMI");
	m.delivery = 7;
	cr_assert_not(vapic_deliver(&rig.partition, NULL, &m), "ExtINT");
}

// --- registers ---

Test(vapic_registers, xapic_id_is_in_the_top_byte, .init = setup)
{
	uint64_t value;

	cr_assert(vapic_read_register(&rig.vp[3], APIC_ID, &value));
	cr_assert_eq(value, 3u << 24);
	enter_x2apic(&rig.vp[3]);
	cr_assert(vapic_read_register(&rig.vp[3], APIC_ID, &value));
	cr_assert_eq(value, 3);
}

Test(vapic_registers, x2apic_refuses_what_xapic_ignores, .init = setup_x2apic)
{
	static const struct {
		unsigned int reg;
		uint64_t value;
	} bad[] = {
		{ APIC_ID, 0 }, { APIC_VERSION, 0 }, { APIC_PPR, 0 }, { APIC_LDR, 0 },
		{ APIC_ISR, 0 }, { APIC_IRR + 7, 0 }, { APIC_TIMER_CURRENT, 0 }, // read-only
		{ APIC_EOI, 1 }, { APIC_ESR, 1 }, { APIC_TPR, 0x100 },		 // reserved bits
		{ APIC_SVR, 0x1000 }, { APIC_ICR, 1 << 13 }, { APIC_TIMER_DIVIDE, 4 },
		{ APIC_LVT_TIMER, 1 << 19 }, { APIC_SELF_IPI, 0x100 },
		{ APIC_TIMER_INITIAL, 1ull << 32 }, { APIC_DFR, 0 }, { APIC_ICR_HIGH, 0 },
		{ APIC_APR, 0 }, { 0, 0 }, { 0x2f, 0 }, // none
	};
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(vapic_write_msr(vp, X2(bad[i].reg), bad[i].value), "register %x",
			bad[i].reg);
	cr_expect_not(vapic_read_msr(vp, X2(APIC_EOI), &value));
	cr_expect_not(vapic_read_msr(vp, X2(APIC_SELF_IPI), &value));
	cr_expect_not(vapic_read_msr(vp, X2(APIC_DFR), &value));
	cr_expect_not(vapic_read_msr(vp, 0x840, &value));
	cr_expect_not(vapic_read_msr(vp, 0x8ff, &value));
}

Test(vapic_registers, x2apic_msrs_need_x2apic_mode, .init = setup)
{
	uint64_t value;

	cr_assert_not(vapic_read_msr(vp, X2(APIC_ID), &value));
	cr_assert_not(vapic_write_msr(vp, X2(APIC_EOI), 0));
	enter_x2apic(vp);
	cr_assert(vapic_read_msr(vp, X2(APIC_ID), &value));
	cr_assert(vapic_write_msr(vp, X2(APIC_EOI), 0));
}

Test(vapic_registers, x2apic_icr_and_self_ipi, .init = setup_x2apic)
{
	uint64_t value;

	cr_assert(vapic_write_msr(vp, X2(APIC_ICR), 2ull << 32 | 0x45));
	cr_assert_eq(collect(0x45), 1u << 2);
	cr_assert(vapic_read_msr(vp, X2(APIC_ICR), &value));
	cr_assert_eq(value, 2ull << 32 | 0x45);
	cr_assert(vapic_write_msr(vp, X2(APIC_SELF_IPI), 0x46));
	cr_assert_eq(collect(0x46), 1);
	cr_assert(vapic_write_msr(vp, X2(APIC_SELF_IPI), 3));
	cr_assert_eq(vp->apic.esr_shadow, ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
}

Test(vapic_registers, xapic_icr_in_two_halves, .init = setup)
{
	write_reg(APIC_ICR_HIGH, 3u << 24);
	write_reg(APIC_ICR, 0x45);
	cr_assert_eq(collect(0x45), 1u << 3);
	cr_assert_eq(read_reg(APIC_ICR), 0x45);
	cr_assert_eq(read_reg(APIC_ICR_HIGH), 3u << 24);
}

Test(vapic_registers, software_disable_masks_the_lvts, .init = setup)
{
	write_reg(APIC_LVT_TIMER, 0x20040);
	cr_assert_eq(read_reg(APIC_LVT_TIMER), 0x20040);
	write_reg(APIC_SVR, 0xff);
	cr_assert_eq(read_reg(APIC_LVT_TIMER), 0x30040);
	write_reg(APIC_LVT_TIMER, 0x20040);
	cr_assert_eq(read_reg(APIC_LVT_TIMER), 0x30040, "cannot be unmasked");
	write_reg(APIC_SVR, 0x1ff);
	write_reg(APIC_LVT_TIMER + 3, 0x1f7ff);
	cr_assert_eq(read_reg(APIC_LVT_TIMER + 3), 0x1a7ff, "status bits are read-only");
}

Test(vapic_registers, unknown_xapic_registers_are_noted, .init = setup)
{
	uint64_t value = 1;

	cr_assert_not(vapic_read_register(vp, 0x2f, &value));
	cr_assert_eq(value, 0);
	cr_assert_eq(vp->apic.esr_shadow, ESR_ILLEGAL_REGISTER);
}

Test(vapic_registers, base_transitions, .init = setup)
{
	enum {
		OFF,
		X = APIC_BASE_ENABLE,
		X2MODE = APIC_BASE_ENABLE | APIC_BASE_EXTD,
		BAD = APIC_BASE_EXTD
	};
	static const struct {
		uint64_t from, to;
		bool legal;
	} steps[] = {
		{ OFF, OFF, true },
		{ OFF, X, true },
		{ OFF, X2MODE, false },
		{ OFF, BAD, false },
		{ X, OFF, true },
		{ X, X, true },
		{ X, X2MODE, true },
		{ X, BAD, false },
		{ X2MODE, OFF, true },
		{ X2MODE, X, false },
		{ X2MODE, X2MODE, true },
		{ X2MODE, BAD, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		bool legal;

		vp->apic_base = APIC_BASE_ADDRESS | steps[i].from;
		legal = vapic_write_msr(vp, MSR_APIC_BASE, APIC_BASE_ADDRESS | steps[i].to);
		cr_expect_eq(legal, steps[i].legal, "row %zu", i);
		cr_expect_eq(
			vp->apic_base, APIC_BASE_ADDRESS | (legal ? steps[i].to : steps[i].from));
	}
}

Test(vapic_registers, base_reserved_bits, .init = setup)
{
	cr_assert_not(vapic_write_msr(vp, MSR_APIC_BASE, vp->apic_base | 1));
	cr_assert_not(vapic_write_msr(vp, MSR_APIC_BASE, vp->apic_base | BIT(9)));
	cr_assert_not(vapic_write_msr(vp, MSR_APIC_BASE, vp->apic_base | BIT(52)));
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, 0xfed00000 | APIC_BASE_ENABLE));
	cr_assert_eq(vp->apic_base, 0xfed00000 | APIC_BASE_ENABLE | APIC_BASE_BSP, "BSP stays");
}

Test(vapic_registers, disabling_loses_the_state, .init = setup)
{
	write_reg(APIC_TPR, 0x50);
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, APIC_BASE_ADDRESS));
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, APIC_BASE_ADDRESS | APIC_BASE_ENABLE));
	cr_assert_eq(read_reg(APIC_TPR), 0);
	cr_assert_eq(read_reg(APIC_SVR), 0xff);
	cr_assert_eq(vapic_pending(vp), -1);
}

Test(vapic_registers, the_root_mirrors_logical_destinations, .init = setup)
{
	write_reg(APIC_LDR, 1u << 24);
	cr_assert_eq(rig_of(vp)->mirrored, 0, "a child has nothing to do with the machine's");
	rig.partition.is_root = true;
	write_reg(APIC_LDR, 0x02000000);
	cr_assert_eq(rig_of(vp)->mirrored, 1);
	write_reg(APIC_DFR, 0x00000000);
	cr_assert_eq(rig_of(vp)->mirrored, 2);
	cr_assert_eq(read_reg(APIC_DFR), 0x0fffffff);
	enter_x2apic(vp);
	cr_assert_eq(rig_of(vp)->mirrored, 3);
	vapic_reset(vp, false);
	cr_assert_eq(rig_of(vp)->mirrored, 4);
}

Test(vapic_registers, tlfs_msrs, .init = setup)
{
	uint64_t value;

	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	take(vp, 0x40);
	cr_assert_not(vapic_write_msr(vp, HV_X64_MSR_EOI, 1ull << 32));
	cr_assert(vapic_write_msr(vp, HV_X64_MSR_EOI, 0xffffffff));
	cr_assert_eq(vapic_ppr(vp), 0);
	cr_assert_not(vapic_read_msr(vp, HV_X64_MSR_EOI, &value));
	cr_assert(vapic_write_msr(vp, HV_X64_MSR_TPR, 0x70));
	cr_assert_eq(vapic_get_cr8(vp), 7);
	cr_assert_not(vapic_write_msr(vp, HV_X64_MSR_TPR, 0x100));
	cr_assert(vapic_read_msr(vp, HV_X64_MSR_TPR, &value) && value == 0x70);
	cr_assert(vapic_write_msr(vp, HV_X64_MSR_ICR, 2ull << 56 | 0x48));
	cr_assert_eq(collect(0x48), 1u << 2);
	cr_assert(vapic_read_msr(vp, HV_X64_MSR_ICR, &value) && value == (2ull << 56 | 0x48));
	enter_x2apic(vp);
	cr_assert(vapic_write_msr(vp, HV_X64_MSR_ICR, 1ull << 32 | 0x48));
	cr_assert_eq(collect(0x48), 1u << 1);
}

// --- timer ---

static struct timer *timer(void)
{
	return &vp->timers[VP_APIC_TIMER];
}

// The timer is due DELAY ticks from BEFORE (when it was just before it was set), give or take the
// ticks that reading the clock takes.
static void expect_due(uint64_t before, uint64_t delay)
{
	cr_expect_geq(timer()->deadline, before + delay);
	cr_expect_leq(timer()->deadline, tsc_read() + delay);
}

// Lets the time that the timer waits for pass, to the tick, and the timer expire.
static void expire(void)
{
	rig_set_clock(vp->apic.timer_due);
	vapic_timer_expired(vp);
}

Test(vapic_timer, one_shot, .init = setup)
{
	uint64_t before;

	write_reg(APIC_LVT_TIMER, 0x55);
	write_reg(APIC_TIMER_DIVIDE, 0xb); // by 1
	before = tsc_read();
	write_reg(APIC_TIMER_INITIAL, 200000000); // one second
	expect_due(before, RIG_TSC_HZ);
	cr_assert_gt(read_reg(APIC_TIMER_CURRENT), 190000000);
	cr_assert_leq(read_reg(APIC_TIMER_CURRENT), 200000000);
	expire();
	cr_assert(requested(vp, 0x55));
	cr_assert_eq(timer()->deadline, 0);
	cr_assert_eq(read_reg(APIC_TIMER_CURRENT), 0);
	cr_assert_eq(read_reg(APIC_TIMER_INITIAL), 200000000);
}

Test(vapic_timer, dividers, .init = setup)
{
	static const struct {
		uint32_t value;
		unsigned int divider;
	} dividers[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 },
		{ 0xa, 128 }, { 0xb, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(dividers); i++) {
		uint64_t before;

		write_reg(APIC_TIMER_DIVIDE, dividers[i].value);
		before = tsc_read();
		write_reg(APIC_TIMER_INITIAL, 20000000);
		expect_due(before, RIG_TSC_HZ / 10 * dividers[i].divider);
	}
}

Test(vapic_timer, a_new_divider_counts_for_what_is_left, .init = setup)
{
	uint64_t before;

	write_reg(APIC_TIMER_DIVIDE, 0xb);
	write_reg(APIC_TIMER_INITIAL, 200000000);
	before = tsc_read();
	write_reg(APIC_TIMER_DIVIDE, 0); // half as fast
	cr_expect_geq(timer()->deadline, before + RIG_TSC_HZ * 19 / 10);
	cr_expect_leq(timer()->deadline, tsc_read() + RIG_TSC_HZ * 2);
}

Test(vapic_timer, writing_zero_stops_it, .init = setup)
{
	write_reg(APIC_TIMER_INITIAL, 1000000);
	write_reg(APIC_TIMER_INITIAL, 0);
	cr_assert_eq(timer()->deadline, 0);
	cr_assert_eq(read_reg(APIC_TIMER_CURRENT), 0);
}

Test(vapic_timer, periodic_keeps_its_phase, .init = setup)
{
	const uint64_t length = RIG_TSC_HZ / 100;
	uint64_t start;

	write_reg(APIC_LVT_TIMER, 0x20055);
	write_reg(APIC_TIMER_DIVIDE, 0xb);
	write_reg(APIC_TIMER_INITIAL, VAPIC_TIMER_HZ / 100);
	start = vp->apic.timer_start;
	rig_set_clock(start + length * 5 / 2);
	vapic_timer_expired(vp);
	cr_assert_eq(collect(0x55), 1, "one interrupt for all that were missed");
	cr_assert_eq((timer()->deadline - start) % length, 0);
	cr_assert_gt(timer()->deadline, tsc_read());
	cr_assert_leq(timer()->deadline, tsc_read() + length);
}

Test(vapic_timer, a_storm_is_slowed_down, .init = setup)
{
	uint64_t before = tsc_read();

	write_reg(APIC_LVT_TIMER, 0x20055);
	write_reg(APIC_TIMER_DIVIDE, 0xb);
	write_reg(APIC_TIMER_INITIAL, 1);
	cr_assert_geq(timer()->deadline, before + RIG_TSC_HZ / 100000);
}

Test(vapic_timer, masked_it_runs_silently, .init = setup)
{
	write_reg(APIC_LVT_TIMER, 0x10055);
	write_reg(APIC_TIMER_INITIAL, 1000);
	expire();
	cr_assert_not(requested(vp, 0x55));
}

// It fired, and before its VP looked, the guest had set it anew.
Test(vapic_timer, a_stale_expiry_is_nothing, .init = setup)
{
	write_reg(APIC_LVT_TIMER, 0x55);
	write_reg(APIC_TIMER_INITIAL, 1000000000);
	vapic_timer_expired(vp);
	cr_assert_not(requested(vp, 0x55));
	cr_assert_neq(timer()->deadline, 0);
	write_reg(APIC_TIMER_INITIAL, 0);
	vapic_timer_expired(vp);
	cr_assert_not(requested(vp, 0x55));
}

Test(vapic_timer, tsc_deadline, .init = setup)
{
	uint64_t guest_now = tsc_read() + rig.partition.tsc_offset, value;

	cr_assert(vapic_write_msr(vp, MSR_TSC_DEADLINE, guest_now + RIG_TSC_HZ));
	cr_assert_eq(timer()->deadline, 0, "ignored in other modes");
	write_reg(APIC_LVT_TIMER, 0x40055);
	cr_assert(vapic_write_msr(vp, MSR_TSC_DEADLINE, guest_now + RIG_TSC_HZ));
	cr_assert_eq(timer()->deadline, guest_now + RIG_TSC_HZ - rig.partition.tsc_offset);
	cr_assert(vapic_read_msr(vp, MSR_TSC_DEADLINE, &value));
	cr_assert_eq(value, guest_now + RIG_TSC_HZ);
	write_reg(APIC_TIMER_INITIAL, 1000);
	cr_assert_eq(read_reg(APIC_TIMER_CURRENT), 0, "counts are ignored in this mode");
	expire();
	cr_assert_eq(collect(0x55), 1);
	cr_assert(vapic_read_msr(vp, MSR_TSC_DEADLINE, &value));
	cr_assert_eq(value, 0);
}

Test(vapic_timer, a_deadline_in_the_past_is_now, .init = setup)
{
	write_reg(APIC_LVT_TIMER, 0x40055);
	cr_assert(vapic_write_msr(vp, MSR_TSC_DEADLINE, 1));
	cr_assert_eq(collect(0x55), 1);
	cr_assert_eq(timer()->deadline, 0);
	cr_assert(vapic_write_msr(vp, MSR_TSC_DEADLINE, UINT64_MAX));
	cr_assert_eq(timer()->deadline, UINT64_MAX, "saturates");
	cr_assert(vapic_write_msr(vp, MSR_TSC_DEADLINE, 0));
	cr_assert_eq(timer()->deadline, 0);
}

Test(vapic_timer, changing_to_another_mode_disarms, .init = setup)
{
	write_reg(APIC_LVT_TIMER, 0x55);
	write_reg(APIC_TIMER_INITIAL, 1000000);
	write_reg(APIC_LVT_TIMER, 0x20055);
	cr_assert_neq(timer()->deadline, 0, "one-shot to periodic goes on");
	write_reg(APIC_LVT_TIMER, 0x40055);
	cr_assert_eq(timer()->deadline, 0);
}

// --- the xAPIC page ---

// Executes the bytes as an access to OFFSET of the page.
static bool run(unsigned int offset, const char *code, size_t size)
{
	vp->regs.rip = 0x1000;
	rig_of(vp)->start_rip = vp->regs.rip;
	rig_put(0x1000, code, size);
	return vapic_mmio(vp, XAPIC_PAGE + offset);
}
#define RUN(offset, code) run(offset, code, sizeof(code) - 1)

Test(vapic_mmio, moves, .init = setup)
{
	vp->regs.gpr[RAX] = 0x1122334400000050;
	cr_assert(RUN(0x80, "\x89\x07")); // mov %eax, (%rdi)
	cr_assert_eq(vp->apic.tpr, 0x50);
	cr_assert_eq(rig_skipped(vp), 2);
	cr_assert(RUN(0x80, "\x44\x8b\x3f")); // mov (%rdi), %r15d
	cr_assert_eq(vp->regs.gpr[R15], 0x50);
	cr_assert(RUN(0x80, "\xc7\x07\x20\x00\x00\x00")); // movl $0x20, (%rdi)
	cr_assert_eq(vp->apic.tpr, 0x20);
	cr_assert_eq(rig_skipped(vp), 6);
	vp->regs.gpr[RAX] = 0xffffffff00000030;
	cr_assert(RUN(0x80, "\x87\x07")); // xchg %eax, (%rdi)
	cr_assert_eq(vp->apic.tpr, 0x30);
	cr_assert_eq(vp->regs.gpr[RAX], 0x20);
	cr_assert_eq(rig_of(vp)->exception, RIG_NO_EXCEPTION);
}

Test(vapic_mmio, arithmetic, .init = setup)
{
	vp->apic.tpr = 0x50;
	cr_assert(RUN(0x80, "\xf7\x07\x40\x00\x00\x00")); // testl $0x40, (%rdi)
	cr_assert_eq(vp->regs.rflags & 0x40, 0);
	cr_assert(RUN(0x80, "\xf7\x07\x20\x00\x00\x00")); // testl $0x20, (%rdi)
	cr_assert_eq(vp->regs.rflags & 0x40, 0x40);
	cr_assert(RUN(0x80, "\x81\x27\xf0\x00\x00\x00")); // andl $0xf0, (%rdi)
	cr_assert_eq(vp->apic.tpr, 0x50);
	cr_assert(RUN(0x80, "\x83\x0f\x20")); // orl $0x20, (%rdi)
	cr_assert_eq(vp->apic.tpr, 0x70);
	vp->regs.gpr[RCX] = 0x0f;
	cr_assert(RUN(0x80, "\x0b\x0f")); // or (%rdi), %ecx
	cr_assert_eq(vp->regs.gpr[RCX], 0x7f);
	cr_assert_eq(vp->apic.tpr, 0x70);
}

Test(vapic_mmio, parts_of_registers, .init = setup)
{
	struct vp *v = &rig.vp[3];

	vp = v;
	cr_assert(RUN(0x23, "\x0f\xb6\x07")); // movzbl (%rdi), %eax: the id's byte
	cr_assert_eq(v->regs.gpr[RAX], 3);
	v->regs.gpr[RAX] = 7;
	cr_assert(RUN(0x24, "\x8b\x07")); // between two registers
	cr_assert_eq(v->regs.gpr[RAX], 0);
	v->regs.gpr[RAX] = 0x50;
	cr_assert(RUN(0x81, "\x88\x07")); // a byte into the middle of TPR
	cr_assert_eq(v->apic.tpr, 0);
	cr_assert(RUN(0xffc, "\x8b\x07"));
	cr_assert_eq(v->regs.gpr[RAX], 0);
}

Test(vapic_mmio, eoi_and_ipi, .init = setup)
{
	vapic_interrupt(vp, 0x40, VAPIC_EDGE);
	take(vp, 0x40);
	vp->regs.gpr[RAX] = 0;
	cr_assert(RUN(0xb0, "\x89\x07"));
	cr_assert_eq(vapic_ppr(vp), 0);
	vp->regs.gpr[RAX] = 2u << 24;
	cr_assert(RUN(0x310, "\x89\x07"));
	vp->regs.gpr[RAX] = 0x4041; // with the level bit, as Linux writes it
	cr_assert(RUN(0x300, "\x89\x07"));
	cr_assert_eq(collect(0x41), 1u << 2);
}

Test(vapic_mmio, what_cannot_be_emulated_faults, .init = setup)
{
	cr_assert(RUN(0x80, "\x0f\x11\x07")); // movups %xmm0, (%rdi)
	cr_assert_eq(rig_of(vp)->exception, 13);
	cr_assert_eq(rig_skipped(vp), 0);
	rig_of(vp)->exception = RIG_NO_EXCEPTION;
	vp->regs.rip = XAPIC_PAGE; // code cannot be read there
	cr_assert(vapic_mmio(vp, XAPIC_PAGE));
	cr_assert_eq(rig_of(vp)->exception, 13);
}

Test(vapic_mmio, only_the_page_and_only_in_xapic_mode, .init = setup)
{
	cr_assert_not(vapic_mmio(vp, XAPIC_PAGE - 1));
	cr_assert_not(vapic_mmio(vp, XAPIC_PAGE + PAGE_SIZE));
	cr_assert_not(vapic_mmio(vp, XAPIC_PAGE | 1ull << 40));
	enter_x2apic(vp);
	cr_assert_not(vapic_mmio(vp, XAPIC_PAGE));
}

Test(vapic_mmio, follows_the_base, .init = setup)
{
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, 0xfed00000 | APIC_BASE_ENABLE));
	vp->apic.svr = 0x1ff;
	cr_assert_not(vapic_mmio(vp, XAPIC_PAGE + 0x80));
	rig_put(0x1000, "\x89\x07", 2);
	vp->regs.rip = 0x1000;
	vp->regs.gpr[RAX] = 0x60;
	cr_assert(vapic_mmio(vp, 0xfed00080));
	cr_assert_eq(vp->apic.tpr, 0x60);
}
