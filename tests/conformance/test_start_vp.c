// SPDX-License-Identifier: BSD-2-Clause
// HvCallStartVirtualProcessor: "functionally equivalent to traditional INIT-based methods, except
// that the VP can start with a desired register state". A VP of the suite notes all of its state,
// is sent INIT by VP 0, and is started by hypercall with the state that it noted: it then goes on
// where it was. What INIT resets besides (the local APIC) it sets up again.
#include "base/macros.h"
#include "hypercall/interrupt.h"
#include "tests/conformance/synthetic.h"

#define NEEDS_START HV_PRIVILEGE_START_VIRTUAL_PROCESSOR

#define MSR_EFER    0xc0000080
#define MSR_PAT	    0x277
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101

#define ATTRIBUTES_CODE64 0xa09b
#define ATTRIBUTES_DATA	  0xc093
#define ATTRIBUTES_TSS	  0x008b
#define ATTRIBUTES_NONE	  0x0082 // an LDT that nobody uses

static struct {
	struct hv_initial_vp_context context;
	void *point[5]; // of __builtin_setjmp()
	uint64_t rsp_at_start, rflags_at_start;
	uint32_t svr;
	uint32_t ready, back, vp;
} target;

static struct hv_x64_segment_register segment(uint16_t selector, uint16_t attributes, uint64_t base)
{
	return (struct hv_x64_segment_register){
		.base = base, .limit = UINT32_MAX, .selector = selector, .attributes = attributes
	};
}

// The base of a task state segment, from its descriptor.
static uint64_t tss_base(uint64_t gdt, uint16_t selector)
{
	const uint64_t *d = (const uint64_t *)(gdt + (selector & ~7u));

	return (d[0] >> 16 & 0xffffff) | (d[0] >> 56 & 0xff) << 24 | d[1] << 32;
}

__attribute__((naked)) static void started(void)
{
	__asm__("pushfq\n\t"
		"pop %rsi\n\t"
		"mov %rsp, %rdi\n\t"
		"call start_vp_continue\n\t"
		"ud2");
}

_Noreturn void start_vp_continue(uint64_t rsp, uint64_t rflags);
_Noreturn void start_vp_continue(uint64_t rsp, uint64_t rflags)
{
	target.rsp_at_start = rsp;
	target.rflags_at_start = rflags;
	__builtin_longjmp(target.point, 1);
}

static uint8_t start_stack[4096] __attribute__((aligned(4096)));

#define READ(instruction, to) __asm__ volatile(instruction : "=r"(to))

static void note_state(struct hv_initial_vp_context *c)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} gdt, idt;
	uint16_t cs, ss, tr;

	__asm__ volatile("sgdt %0" : "=m"(gdt));
	__asm__ volatile("sidt %0" : "=m"(idt));
	READ("mov %%cs, %0", cs);
	READ("mov %%ss, %0", ss);
	READ("str %0", tr);
	READ("mov %%cr0, %0", c->cr0);
	READ("mov %%cr3, %0", c->cr3);
	READ("mov %%cr4, %0", c->cr4);
	c->efer = rdmsr(MSR_EFER);
	c->msr_cr_pat = rdmsr(MSR_PAT);
	c->rip = (uintptr_t)started;
	c->rsp = (uintptr_t)start_stack + sizeof(start_stack);
	c->rflags = 2;
	c->cs = segment(cs, ATTRIBUTES_CODE64, 0);
	c->ds = c->es = c->ss = segment(ss, ATTRIBUTES_DATA, 0);
	c->fs = segment(ss, ATTRIBUTES_DATA, rdmsr(MSR_FS_BASE));
	c->gs = segment(ss, ATTRIBUTES_DATA, rdmsr(MSR_GS_BASE));
	c->tr = segment(tr, ATTRIBUTES_TSS, tr ? tss_base(gdt.base, tr) : 0);
	c->tr.limit = 0x67;
	c->ldtr = segment(0, ATTRIBUTES_NONE, 0);
	c->ldtr.limit = 0xffff;
	c->gdtr = (struct hv_x64_table_register){ .base = gdt.base, .limit = gdt.limit };
	c->idtr = (struct hv_x64_table_register){ .base = idt.base, .limit = idt.limit };
}

// On the VP that will be started: everything behind the setjmp runs after its second start.
static void be_started(void *argument)
{
	(void)argument;
	target.vp = this_vp();
	target.svr = apic_read(APIC_PAGE_SVR);
	note_state(&target.context);
	if (!__builtin_setjmp(target.point)) {
		__atomic_store_n(&target.ready, 1, __ATOMIC_RELEASE);
		for (;;)
			__builtin_ia32_pause();
	}
	apic_write(APIC_PAGE_SVR, target.svr);
	__atomic_store_n(&target.back, 1, __ATOMIC_RELEASE);
}

// VP 1 has noted its state and waits for its start.
static void send_to_sleep(void)
{
	target.ready = target.back = 0;
	vp_start(1, be_started, NULL);
	if (!WAIT(__atomic_load_n(&target.ready, __ATOMIC_ACQUIRE), SLOW_MS))
		ERROR("VP 1 is not ready");
	apic_ipi(apic_id(1), APIC_ICR_INIT);
	pass_ms(5);
}

static hv_status start(hv_partition_id partition, uint32_t vp, uint8_t vtl,
	const struct hv_initial_vp_context *context)
{
	static struct hv_input_start_virtual_processor in __attribute__((aligned(4096)));

	in = (struct hv_input_start_virtual_processor){
		.partition_id = partition, .vp_index = vp, .target_vtl = vtl, .vp_context = *context
	};
	return hv_result_status(hypercall(HvCallStartVirtualProcessor, gpa_of(&in), 0));
}

// INIT takes its time to arrive: the VP is in its old state until then.
static hv_status start_vp1(const struct hv_initial_vp_context *context)
{
	hv_status status;

	(void)WAIT(
		(status = start(HV_PARTITION_ID_SELF, 1, 0, context)) != HV_STATUS_INVALID_VP_STATE,
		SLOW_MS);
	return status;
}

static void wake_up(void)
{
	expect_status(start_vp1(&target.context), HV_STATUS_SUCCESS, "the start");
	vp_wait(1);
}

TEST(start_state, "HvCallStartVirtualProcessor: the VP starts with its context",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START, .vps = 2)
{
	send_to_sleep();
	wake_up();
	EXPECT_EQ(target.back, 1, "whether it came back");
	EXPECT_EQ(target.rsp_at_start, (uintptr_t)start_stack + sizeof(start_stack), "its RSP");
	EXPECT_EQ(target.rflags_at_start, 2, "its RFLAGS");
}

static void read_index(void *argument)
{
	*(uint64_t *)argument = rdmsr(HV_X64_MSR_VP_INDEX);
}

TEST(start_twice, "HvCallStartVirtualProcessor: again and again", "HvCallStartVirtualProcessor",
	.privileges = NEEDS_START, .vps = 2)
{
	uint64_t index = 0;

	for (unsigned int i = 0; i < 10; i++) {
		send_to_sleep();
		wake_up();
	}
	vp_run(1, read_index, &index);
	EXPECT_EQ(index, 1, "VP index");
}

TEST(start_running, "HvCallStartVirtualProcessor: a VP that runs is refused",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START, .vps = 2)
{
	note_state(&target.context);
	expect_status(start(HV_PARTITION_ID_SELF, 1, 0, &target.context),
		HV_STATUS_INVALID_VP_STATE, "VP 1");
	expect_status(start(HV_PARTITION_ID_SELF, 0, 0, &target.context),
		HV_STATUS_INVALID_VP_STATE, "the caller");
}

TEST(start_absent, "HvCallStartVirtualProcessor: a VP that does not exist is refused",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START)
{
	static const uint32_t absent[] = { 2048, 65536, 0x7fffffff, HV_ANY_VP };

	note_state(&target.context);
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++)
		expect_status(start(HV_PARTITION_ID_SELF, absent[i], 0, &target.context),
			HV_STATUS_INVALID_VP_INDEX, "the start");
}

TEST(start_partition, "HvCallStartVirtualProcessor: another partition's is refused",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START)
{
	hv_status status;

	note_state(&target.context);
	status = start(0x123456789abcdef0, 1, 0, &target.context);
	EXPECT(status == HV_STATUS_ACCESS_DENIED || status == HV_STATUS_INVALID_PARTITION_ID,
		"the call says %s", status_name(status));
}

TEST(start_vtl, "HvCallStartVirtualProcessor: a VTL that is not there is refused",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START, .vps = 2)
{
	hv_status status;

	send_to_sleep();
	status = start(HV_PARTITION_ID_SELF, 1, 1, &target.context);
	wake_up();
	EXPECT(status != HV_STATUS_SUCCESS, "VTL 1 is accepted");
}

// Each makes one field of a good context bad.
static void bad_cr0(struct hv_initial_vp_context *c)
{
	c->cr0 |= 1ull << 32;
}

static void bad_cr0_paging(struct hv_initial_vp_context *c)
{
	c->cr0 = (c->cr0 | 1u << 31) & ~1ull; // paging without protection
}

static void bad_cr4(struct hv_initial_vp_context *c)
{
	c->cr4 |= 1ull << 40;
}

static void bad_cr3(struct hv_initial_vp_context *c)
{
	c->cr3 |= 1ull << 60;
}

static void bad_efer(struct hv_initial_vp_context *c)
{
	c->efer |= 1ull << 40;
}

static void bad_pat(struct hv_initial_vp_context *c)
{
	c->msr_cr_pat = 0x0202020202020202;
}

static const struct {
	const char *name;
	void (*spoil)(struct hv_initial_vp_context *context);
} bad_contexts[] = {
	{ "CR0 bit 32", bad_cr0 },
	{ "CR0.PG without PE", bad_cr0_paging },
	{ "CR4 bit 40", bad_cr4 },
	{ "CR3 bit 60", bad_cr3 },
	{ "EFER bit 40", bad_efer },
	{ "PAT type 2", bad_pat },
};

static bool bad_row_name(unsigned int row, char *text, size_t size)
{
	text_format(
		text, size, "HvCallStartVirtualProcessor: context with %s", bad_contexts[row].name);
	return true;
}

TEST(start_bad_context, "is refused, and a good one works after that",
	"HvCallStartVirtualProcessor", .privileges = NEEDS_START, .vps = 2,
	.rows = ARRAY_SIZE(bad_contexts), .row_name = bad_row_name)
{
	struct hv_initial_vp_context bad;
	hv_status status;

	send_to_sleep();
	bad = target.context;
	bad_contexts[row].spoil(&bad);
	status = start_vp1(&bad);
	if (status == HV_STATUS_SUCCESS)
		FAIL("the context is accepted");
	wake_up();
	expect_status(status, HV_STATUS_INVALID_REGISTER_VALUE, "the start");
}
