// SPDX-License-Identifier: BSD-2-Clause
// Nothing outside the partition can be read, written or asked about: addresses without memory hold
// nothing, a hypercall whose parameters are there has no effect, and calls that name other
// partitions are refused with a status that does not depend on whether they exist. Pages that the
// hypervisor shows hold nothing that was not put there for the guest.
#include "base/macros.h"
#include "hypercall/interrupt.h"
#include "tests/conformance/synthetic.h"

// --- memory ---

static const struct {
	const char *name;
	uint32_t offset;
} holes[] = {
	{ "the first page of a hole", 0 },
	{ "the middle of a page of a hole", 0x808 },
	{ "a page 1 MiB into a hole", 0x100000 },
};

static bool hole_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Isolation: %s", holes[row].name);
	return true;
}

TEST(hole_memory, "keeps nothing that is written", "Partitions", .rows = 3,
	.row_name = hole_row_name)
{
	volatile uint32_t *hole = (volatile uint32_t *)(gpa_unmapped() + holes[row].offset);
	uint32_t before = *hole;

	*hole = ~before ^ 0x5a5a5a5a;
	EXPECT_EQ(*hole, before, "what is read after a write");
}

// --- hypercalls ---

static const struct {
	const char *name;
	hv_gpa (*gpa)(void);
} nowhere[] = {
	{ "in a hole", gpa_unmapped },
	{ "beyond the GPA space", gpa_beyond },
};

static bool nowhere_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Isolation: hypercall input %s", nowhere[row].name);
	return true;
}

TEST(hole_input, "is refused and sends no interrupt", "Alignment Requirements",
	.hints = HV_HINT_SYNTHETIC_CLUSTER_IPI, .rows = 2, .row_name = nowhere_row_name)
{
	uint64_t result;

	interrupts_on();
	result = hypercall(
		hv_call_control(HvCallSendSyntheticClusterIpi, 0, 0, 0), nowhere[row].gpa(), 0);
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT(hv_result_status(result) != HV_STATUS_SUCCESS, "the call succeeds");
	for (unsigned int vector = 0x20; vector < 0xf0; vector++)
		EXPECT_EQ(interrupt_count(0, vector), 0, "interrupts");
}

static bool output_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Isolation: hypercall output %s", nowhere[row].name);
	return true;
}

TEST(hole_output, "is refused", "Alignment Requirements", .rows = 2, .row_name = output_row_name)
{
	struct {
		struct hv_input_get_vp_index_from_apic_id fixed;
		uint32_t apic_id;
	} *in = page_get();
	uint64_t result;

	in->fixed.partition_id = HV_PARTITION_ID_SELF;
	in->apic_id = apic_id(0);
	result = hypercall(hv_call_control(HvCallGetVpIndexFromApicId, 0, 1, 0), gpa_of(in),
		nowhere[row].gpa());
	if (hv_result_status(result) == HV_STATUS_INVALID_HYPERCALL_CODE)
		SKIP("the hypervisor does not know the call");
	EXPECT(hv_result_status(result) != HV_STATUS_SUCCESS, "the call succeeds");
}

// --- other partitions ---

static const struct {
	const char *name;
	uint16_t code;
	uint8_t reps; // of a rep call
} calls[] = {
	{ "HvCallDeletePartition", HvCallDeletePartition, 0 },
	{ "HvCallGetPartitionProperty", HvCallGetPartitionProperty, 0 },
	{ "HvCallGetNextChildPartition", HvCallGetNextChildPartition, 0 },
	{ "HvCallDepositMemory", HvCallDepositMemory, 1 },
	{ "HvCallGetMemoryBalance", HvCallGetMemoryBalance, 0 },
	{ "HvCallMapGpaPages", HvCallMapGpaPages, 1 },
	{ "HvCallUnmapGpaPages", HvCallUnmapGpaPages, 1 },
	{ "HvCallInstallIntercept", HvCallInstallIntercept, 0 },
	{ "HvCallCreateVp", HvCallCreateVp, 0 },
	{ "HvCallDeleteVp", HvCallDeleteVp, 0 },
	{ "HvCallGetVpRegisters", HvCallGetVpRegisters, 1 },
	{ "HvCallSetVpRegisters", HvCallSetVpRegisters, 1 },
	{ "HvCallTranslateVirtualAddress", HvCallTranslateVirtualAddress, 0 },
	{ "HvCallReadGpa", HvCallReadGpa, 0 },
	{ "HvCallWriteGpa", HvCallWriteGpa, 0 },
	{ "HvCallAssertVirtualInterrupt", HvCallAssertVirtualInterrupt, 0 },
	{ "HvCallCreatePort", HvCallCreatePort, 0 },
	{ "HvCallConnectPort", HvCallConnectPort, 0 },
	{ "HvCallStartVirtualProcessor", HvCallStartVirtualProcessor, 0 },
	{ "HvCallGetVpIndexFromApicId", HvCallGetVpIndexFromApicId, 1 },
	{ "HvCallSignalEventDirect", HvCallSignalEventDirect, 0 },
	{ "HvCallPostMessageDirect", HvCallPostMessageDirect, 0 },
	{ "HvCallGetVpCpuidValues", HvCallGetVpCpuidValues, 1 },
};

static bool call_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Isolation: %s", calls[row].name);
	return true;
}

static hv_status name_partition(unsigned int row, hv_partition_id id)
{
	uint64_t *in = page_get(), *out = page_get();

	in[0] = id;
	return hv_result_status(hypercall(
		hv_call_control(calls[row].code, 0, calls[row].reps, 0), gpa_of(in), gpa_of(out)));
}

// One of the ids may be the partition's own, which a call may be for.
TEST(other_partitions, "says the same of every other partition", "Ordering of Error Conditions",
	.rows = ARRAY_SIZE(calls), .row_name = call_row_name)
{
	const hv_partition_id ids[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7fffffffffffffff };
	hv_status expected = name_partition(row, 0x123456789abcdef0);
	unsigned int different = 0;

	if (has_privilege(HV_PRIVILEGE_CREATE_PARTITIONS))
		SKIP("this partition may have children");
	EXPECT(expected != HV_STATUS_SUCCESS, "a partition that cannot be is accepted");
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		different += name_partition(row, ids[i]) != expected;
	EXPECT(different <= 1, "%u of 10 ids give another status than %s", different,
		status_name(expected));
}

// --- what the hypervisor shows ---

TEST(sief_empty, "Isolation: a SIEF page that nobody signals is all zero", "SIEF Page",
	.privileges = HV_PRIVILEGE_ACCESS_SYNIC_REGS)
{
	struct synic_pages synic = synic_enable();

	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		for (unsigned int i = 0; i < HV_EVENT_FLAGS_BYTE_COUNT / 8; i++)
			EXPECT_EQ(synic.events->sint_event_flags[sint].flags[i], 0, "event flags");
}

static void check_sim(void *argument)
{
	struct synic_pages synic = synic_enable();

	(void)argument;
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		for (unsigned int i = 3; i < HV_MESSAGE_PAYLOAD_QWORD_COUNT; i++)
			EXPECT_EQ(synic.messages->sint_message[sint].payload64[i], 0,
				"payload behind what a timer's message has");
}

TEST(sim_empty, "Isolation: message slots hold no more than their messages", "SIM Page",
	.privileges = HV_PRIVILEGE_ACCESS_SYNIC_REGS)
{
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		vp_run(vp, check_sim, NULL);
}
