// SPDX-License-Identifier: BSD-2-Clause
// VP indices, and HvCallGetVpIndexFromApicId. The call has no privilege and no feature bit of its
// own; where it is an unknown code its tests are skipped.
#include "hypercall/interrupt.h"
#include "tests/conformance/synthetic.h"

static void read_index(void *argument)
{
	*(uint64_t *)argument = rdmsr(HV_X64_MSR_VP_INDEX);
}

TEST(vp_index, "VP index: each VP reads its own, always the same", "Virtual Processor Indices",
	.privileges = HV_PRIVILEGE_ACCESS_VP_INDEX)
{
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		for (unsigned int i = 0; i < 3; i++) {
			uint64_t index = UINT64_MAX;

			vp_run(vp, read_index, &index);
			EXPECT_EQ(index, vp, "VP index");
		}
}

struct get_index {
	struct hv_input_get_vp_index_from_apic_id fixed;
	uint32_t apic_ids[64];
};

// Asks for the VPs of a list of APIC ids, out in indices.
static hv_status ask(hv_partition_id partition, uint8_t vtl, const uint32_t *apic_ids,
	unsigned int count, uint32_t *indices, uint32_t *reps)
{
	struct get_index *in = page_get();
	uint32_t *out = page_get();
	uint64_t result;

	in->fixed.partition_id = partition;
	in->fixed.target_vtl = vtl;
	for (unsigned int i = 0; i < count; i++)
		in->apic_ids[i] = apic_ids[i];
	__builtin_memset(out, 0xee, HV_PAGE_SIZE);
	result = hypercall(
		hv_call_control(HvCallGetVpIndexFromApicId, 0, count, 0), gpa_of(in), gpa_of(out));
	if (hv_result_status(result) == HV_STATUS_INVALID_HYPERCALL_CODE)
		SKIP("the hypervisor does not know the call");
	for (unsigned int i = 0; i < count; i++)
		indices[i] = out[i];
	*reps = hv_result_reps(result);
	return hv_result_status(result);
}

TEST(index_each, "HvCallGetVpIndexFromApicId: finds each VP", "HvCallGetVpIndexFromApicId")
{
	for (unsigned int vp = 0; vp < machine.vps; vp++) {
		uint32_t id = apic_id(vp), index, reps;

		expect_status(ask(HV_PARTITION_ID_SELF, 0, &id, 1, &index, &reps),
			HV_STATUS_SUCCESS, "the call");
		EXPECT_EQ(reps, 1, "reps done");
		EXPECT_EQ(index, vp, "VP index");
	}
}

TEST(index_list, "HvCallGetVpIndexFromApicId: finds all VPs of a list",
	"HvCallGetVpIndexFromApicId")
{
	uint32_t ids[64], indices[64] = { 0 }, reps;

	for (unsigned int vp = 0; vp < machine.vps; vp++)
		ids[vp] = apic_id(machine.vps - 1 - vp);
	expect_status(ask(HV_PARTITION_ID_SELF, 0, ids, machine.vps, indices, &reps),
		HV_STATUS_SUCCESS, "the call");
	EXPECT_EQ(reps, machine.vps, "reps done");
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		EXPECT_EQ(indices[vp], machine.vps - 1 - vp, "VP index");
}

TEST(index_unknown, "HvCallGetVpIndexFromApicId: an unknown APIC id is refused",
	"HvCallGetVpIndexFromApicId")
{
	const uint32_t id = 0xfffffff0;
	uint32_t index, reps;

	expect_status(ask(HV_PARTITION_ID_SELF, 0, &id, 1, &index, &reps),
		HV_STATUS_INVALID_PARAMETER, "the call");
	EXPECT_EQ(reps, 0, "reps done");
}

TEST(index_partial, "HvCallGetVpIndexFromApicId: stops at the first unknown APIC id",
	"HvCallGetVpIndexFromApicId")
{
	const uint32_t ids[3] = { apic_id(0), 0xfffffff0, apic_id(0) };
	uint32_t indices[3], reps;

	expect_status(ask(HV_PARTITION_ID_SELF, 0, ids, 3, indices, &reps),
		HV_STATUS_INVALID_PARAMETER, "the call");
	EXPECT_EQ(reps, 1, "reps done");
	EXPECT_EQ(indices[0], 0, "the first VP index");
}

TEST(index_partition, "HvCallGetVpIndexFromApicId: of another partition is refused",
	"HvCallGetVpIndexFromApicId")
{
	const uint32_t id = apic_id(0);
	uint32_t index, reps;
	hv_status status = ask(0x123456789abcdef0, 0, &id, 1, &index, &reps);

	EXPECT(status == HV_STATUS_ACCESS_DENIED || status == HV_STATUS_INVALID_PARTITION_ID,
		"the call says %s", status_name(status));
}

TEST(index_vtl, "HvCallGetVpIndexFromApicId: a VTL that is not there is refused",
	"HvCallGetVpIndexFromApicId")
{
	const uint32_t id = apic_id(0);
	uint32_t index, reps;

	EXPECT(ask(HV_PARTITION_ID_SELF, 1, &id, 1, &index, &reps) != HV_STATUS_SUCCESS,
		"VTL 1 is accepted");
}
