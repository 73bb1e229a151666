// SPDX-License-Identifier: BSD-2-Clause
// Interrupts to sets of VPs by hypercall: all and only those of the set get the interrupt; who does
// not exist is passed over; vectors below 16 are refused. The TLFS names no status for that: any
// but success will do.
#include "base/macros.h"
#include "hypercall/interrupt.h"
#include "tests/conformance/synthetic.h"

#define VECTOR 0x51

#define NEEDS_IPI HV_HINT_SYNTHETIC_CLUSTER_IPI
#define NEEDS_EX  (HV_HINT_SYNTHETIC_CLUSTER_IPI | HV_HINT_EX_PROCESSOR_MASKS)

static uint64_t all_mask(void)
{
	return machine.vps < 64 ? (1ull << machine.vps) - 1 : UINT64_MAX;
}

// --- the calls ---

static hv_status send_memory(uint32_t vector, uint64_t mask)
{
	struct hv_input_send_synthetic_cluster_ipi in = { .vector = vector,
		.processor_mask = mask };

	return call_memory(HvCallSendSyntheticClusterIpi, &in, sizeof(in), NULL, 0);
}

static hv_status send_fast(uint32_t vector, uint64_t mask)
{
	return call_fast(HvCallSendSyntheticClusterIpi, vector, mask);
}

static hv_status send_set(
	uint32_t vector, uint64_t format, uint64_t valid, uint64_t bank, unsigned int banks)
{
	struct {
		struct hv_input_send_synthetic_cluster_ipi_ex fixed;
		uint64_t banks[64];
	} in = { .fixed = { .vector = vector,
			 .processor_set = { .format = format, .valid_bank_mask = valid } } };

	in.banks[0] = bank;
	return call_memory(hv_call_control(HvCallSendSyntheticClusterIpiEx, banks, 0, 0), &in,
		sizeof(in.fixed) + banks * sizeof(uint64_t), NULL, 0);
}

static hv_status send_sparse(uint32_t vector, uint64_t mask)
{
	return send_set(vector, HV_VP_SET_SPARSE_4K, 1, mask, 1);
}

static hv_status send_all(uint32_t vector, uint64_t mask)
{
	(void)mask;
	return send_set(vector, HV_VP_SET_ALL, 0, 0, 0);
}

static const struct form {
	const char *name;
	hv_status (*send)(uint32_t vector, uint64_t mask);
	bool ex, all;
} forms[] = {
	{ "IPI: HvCallSendSyntheticClusterIpi", send_memory, false, false },
	{ "IPI: HvCallSendSyntheticClusterIpi, fast", send_fast, false, false },
	{ "IPI: HvCallSendSyntheticClusterIpiEx", send_sparse, true, false },
	{ "IPI: HvCallSendSyntheticClusterIpiEx, all", send_all, true, true },
};

static bool form_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "%s", forms[row].name);
	return true;
}

// --- those that receive ---

static uint32_t ready, stop;

static void listen(void *argument)
{
	(void)argument;
	interrupts_on();
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	(void)WAIT(__atomic_load_n(&stop, __ATOMIC_SEQ_CST), SLOW_MS);
	interrupts_off();
}

static void listen_halted(void *argument)
{
	(void)argument;
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!interrupt_count(this_vp(), VECTOR))
		halt_once();
}

static void listeners_start(void (*how)(void *))
{
	ready = stop = 0;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, how, NULL);
	EXPECT(WAIT(__atomic_load_n(&ready, __ATOMIC_SEQ_CST) == machine.vps - 1, SLOW_MS),
		"the other VPs are not ready");
	interrupts_on();
}

static void listeners_stop(void)
{
	pass_ms(QUIET_MS);
	interrupts_off();
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}

static void need(const struct form *form)
{
	if (form->ex && !has_hint(HV_HINT_EX_PROCESSOR_MASKS))
		SKIP("sparse sets are not advertised");
}

TEST(ipi_self, "reaches the caller", "HvCallSendSyntheticClusterIpi", .hints = NEEDS_IPI, .rows = 4,
	.row_name = form_row_name)
{
	need(&forms[row]);
	interrupts_on();
	expect_status(forms[row].send(VECTOR, 1), HV_STATUS_SUCCESS, "the call");
	for (unsigned int vp = 0; vp < (forms[row].all ? machine.vps : 1); vp++)
		EXPECT(WAIT(interrupt_count(vp, VECTOR), SLOW_MS), "VP %u has got none", vp);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
}

TEST(ipi_all, "reaches all VPs, each once", "HvCallSendSyntheticClusterIpi", .hints = NEEDS_IPI,
	.vps = 2, .rows = 4, .row_name = form_row_name)
{
	need(&forms[row]);
	listeners_start(listen);
	expect_status(forms[row].send(VECTOR, all_mask()), HV_STATUS_SUCCESS, "the call");
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		EXPECT(WAIT(interrupt_count(vp, VECTOR), SLOW_MS), "VP %u has got none", vp);
	listeners_stop();
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		EXPECT_EQ(interrupt_count(vp, VECTOR), 1, "interrupts on a VP");
}

TEST(ipi_one, "reaches only those of the set", "HvCallSendSyntheticClusterIpi", .hints = NEEDS_IPI,
	.vps = 2, .rows = 3, .row_name = form_row_name)
{
	need(&forms[row]);
	listeners_start(listen);
	for (unsigned int vp = 0; vp < machine.vps; vp++) {
		expect_status(
			forms[row].send(VECTOR + vp, 1ull << vp), HV_STATUS_SUCCESS, "the call");
		EXPECT(WAIT(interrupt_count(vp, VECTOR + vp), SLOW_MS), "VP %u has got none", vp);
	}
	listeners_stop();
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		for (unsigned int other = 0; other < machine.vps; other++)
			EXPECT_EQ(interrupt_count(vp, VECTOR + other), vp == other, "interrupts");
}

TEST(ipi_halted, "wakes VPs from HLT", "HvCallSendSyntheticClusterIpi", .hints = NEEDS_IPI,
	.vps = 2, .rows = 4, .row_name = form_row_name)
{
	need(&forms[row]);
	listeners_start(listen_halted);
	pass_ms(2);
	expect_status(forms[row].send(VECTOR, all_mask()), HV_STATUS_SUCCESS, "the call");
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "VP 0 has got none");
	listeners_stop();
}

TEST(ipi_absent, "passes over VPs that do not exist", "HvCallSendSyntheticClusterIpi",
	.hints = NEEDS_IPI, .rows = 3, .row_name = form_row_name)
{
	need(&forms[row]);
	expect_status(forms[row].send(VECTOR, 1ull << 63), HV_STATUS_SUCCESS, "VP 63 alone");
	expect_status(forms[row].send(VECTOR, 1ull << 63 | 1), HV_STATUS_SUCCESS, "VPs 0 and 63");
	interrupts_on();
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "VP 0 has got no interrupt");
	interrupts_off();
}

TEST(ipi_nobody, "to an empty set reaches nobody", "HvCallSendSyntheticClusterIpi",
	.hints = NEEDS_IPI, .rows = 3, .row_name = form_row_name)
{
	need(&forms[row]);
	interrupts_on();
	expect_status(forms[row].send(VECTOR, 0), HV_STATUS_SUCCESS, "the call");
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
}

// Vectors 0 to 15 are exceptions: one that came would end the test.
TEST(ipi_vectors, "refuses vectors that are none", "HvCallSendSyntheticClusterIpi",
	.hints = NEEDS_IPI, .rows = 4, .row_name = form_row_name)
{
	static const uint32_t bad[] = { 0, 1, 3, 15, 256, 0x10051, 0x80000000, UINT32_MAX };

	need(&forms[row]);
	interrupts_on();
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT(forms[row].send(bad[i], 1) != HV_STATUS_SUCCESS, "vector 0x%x is accepted",
			bad[i]);
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
}

TEST(ipi_priority, "IPI: one that the TPR holds up is not lost", "HvCallSendSyntheticClusterIpi",
	.hints = NEEDS_IPI)
{
	apic_write(APIC_PAGE_TPR, 0x80);
	interrupts_on();
	expect_status(send_fast(VECTOR, 1), HV_STATUS_SUCCESS, "the call");
	pass_ms(QUIET_MS);
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts below the TPR");
	apic_write(APIC_PAGE_TPR, 0);
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "the interrupt is lost");
	interrupts_off();
}

static void send_much(void *argument)
{
	(void)argument;
	interrupts_on();
	for (unsigned int i = 0; i < 200; i++)
		expect_status(send_fast(VECTOR, all_mask()), HV_STATUS_SUCCESS, "the call");
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	(void)WAIT(__atomic_load_n(&ready, __ATOMIC_SEQ_CST) >= machine.vps, SLOW_MS);
	interrupts_take(); // what came last
}

TEST(ipi_each_other, "IPI: all VPs send to all", "HvCallSendSyntheticClusterIpi",
	.hints = NEEDS_IPI, .vps = 2)
{
	ready = 0;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, send_much, NULL);
	send_much(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		EXPECT(interrupt_count(vp, VECTOR) > 0, "VP %u has got no interrupt at all", vp);
}

// --- sets that contradict themselves (Xen's XSA-475 was about these) ---

TEST(ipi_few_banks, "IPI: a set with fewer banks than its mask says is refused", "HV_VP_SET",
	.hints = NEEDS_EX)
{
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, 3, 1, 1),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "two banks said, one there");
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, UINT64_MAX, 1, 1),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "64 banks said, one there");
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, 1, 1, 0),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "one bank said, none there");
}

TEST(ipi_many_banks, "IPI: a set with more banks than its mask says is refused", "HV_VP_SET",
	.hints = NEEDS_EX)
{
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, 1, 1, 2),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "one bank said, two there");
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, 0, 1, 1),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "no bank said, one there");
}

TEST(ipi_last_bank, "IPI: a set of bank 63 alone reaches nobody", "HV_VP_SET", .hints = NEEDS_EX)
{
	interrupts_on();
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, 1ull << 63, UINT64_MAX, 1),
		HV_STATUS_SUCCESS, "the call");
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
}

TEST(ipi_all_banks, "IPI: a set of all 64 banks reaches VP 0 once", "HV_VP_SET", .hints = NEEDS_EX)
{
	interrupts_on();
	expect_status(send_set(VECTOR, HV_VP_SET_SPARSE_4K, UINT64_MAX, 1, 64), HV_STATUS_SUCCESS,
		"the call");
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "no interrupt has come");
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
}

TEST(ipi_format, "IPI: a set of an unknown format is refused", "HV_VP_SET", .hints = NEEDS_EX)
{
	EXPECT(send_set(VECTOR, 2, 0, 0, 0) != HV_STATUS_SUCCESS, "format 2 is accepted");
	EXPECT(send_set(VECTOR, UINT64_MAX, 0, 0, 0) != HV_STATUS_SUCCESS,
		"format 2^64 - 1 is accepted");
}
