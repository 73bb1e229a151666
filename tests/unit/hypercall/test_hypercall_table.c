// SPDX-License-Identifier: BSD-2-Clause
// The interface's numbers against a second copy of them that was not made from the headers, and the
// table's sizes against the structures.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "hypercall/call.h"
#include "hypercall/cpuid.h"
#include "hypercall/intercept.h"
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/msr.h"
#include "hypercall/partition.h"
#include "hypercall/port.h"
#include "hypercall/registers.h"
#include "hypercall/stats.h"
#include "hypercall/status.h"
#include "hypercall/synic.h"
#include "hypercall/table.h"
#include "hypercall/tlb.h"

#include "tlfs_pages.h"

enum kind {
	SIMPLE,
	REP,
};

struct row {
	uint32_t code;
	const char *name;
	enum kind kind;
	size_t in, in_element, out, out_element;
	int fast, variable;
	uint64_t privilege;
	unsigned int target;
};

static const struct row rows[] = {
#define ROW(code, name, type, kind, in_element, out_element, fast, variable, privilege, target)    \
	{ code, #name, HV_CALL_IS_REP(kind) ? REP : SIMPLE, HV_CALL_IN(kind, type), in_element,    \
		HV_CALL_OUT(kind, type), out_element, fast, variable, privilege, target },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

#define ROWS (ARRAY_SIZE(rows))

static const struct row *row_of(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

Test(table, rows_ascend_and_are_unique)
{
	for (size_t i = 1; i < ROWS; i++)
		cr_assert_lt(rows[i - 1].code, rows[i].code, "%s", rows[i].name);
}

// Design: 46 calls that the hypervisor has to have, and UnmapStatsPage.
Test(table, has_all_calls)
{
	static const uint16_t wanted[] = { 0x02, 0x03, 0x08, 0x0b, 0x13, 0x14, 0x15, 0x40, 0x41,
		0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
		0x50, 0x51, 0x52, 0x53, 0x54, 0x56, 0x58, 0x5b, 0x5c, 0x5d, 0x6d, 0x91, 0x92, 0x94,
		0x95, 0x96, 0x99, 0x9a, 0xc0, 0xc1, 0xe1, 0xe2, 0xf4, 0x131 };

	cr_assert_eq(ROWS, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < ROWS; i++)
		cr_assert_eq(rows[i].code, wanted[i], "%s", rows[i].name);
}

static const struct {
	uint32_t code;
	const char *name;
	enum kind kind;
} pages[] = {
#define PAGE(code, name, kind) { code, #name, kind },
	TLFS_CALLS(PAGE)
#undef PAGE
};

Test(table, codes_and_kinds_are_those_of_the_pages)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		const struct row *row = row_of(pages[i].name);

		cr_assert_not_null(row, "%s", pages[i].name);
		cr_assert_eq(row->code, pages[i].code, "%s", pages[i].name);
		cr_assert_eq(row->kind, pages[i].kind, "%s", pages[i].name);
	}
}

Test(layout, fields_are_where_the_pages_have_them)
{
#define FIELD(type, field, offset, size)                                                           \
	cr_expect_eq(offsetof(struct hv_##type, field), offset, #type "." #field);                 \
	cr_expect_eq(sizeof(((struct hv_##type *)0)->field), size, #type "." #field);
	TLFS_FIELDS(FIELD)
#undef FIELD
}

// The lists of rep calls; the sizes of headers are those of their structures.
static const struct {
	const char *name;
	size_t in_element, out_element;
} lists[] = {
	{ "FlushVirtualAddressList", sizeof(hv_gva), 0 },
	{ "FlushVirtualAddressListEx", sizeof(hv_gva), 0 },
	{ "DepositMemory", sizeof(hv_gpa_page_number), 0 },
	{ "WithdrawMemory", 0, sizeof(hv_gpa_page_number) },
	{ "MapGpaPages", sizeof(hv_gpa_page_number), 0 },
	{ "UnmapGpaPages", 0, 0 },
	{ "GetVpRegisters", sizeof(uint32_t), sizeof(struct hv_register_value) },
	{ "SetVpRegisters", sizeof(struct hv_register_assoc), 0 },
	{ "GetVpIndexFromApicId", sizeof(uint32_t), sizeof(hv_vp_index) },
	{ "GetVpCpuidValues", sizeof(struct hv_cpuid_leaf_info), sizeof(struct hv_cpuid_result) },
};

Test(table, elements_are_those_of_the_types)
{
	size_t reps = 0;

	for (size_t i = 0; i < ROWS; i++)
		reps += rows[i].kind == REP;
	cr_assert_eq(reps, ARRAY_SIZE(lists));
	for (size_t i = 0; i < reps; i++) {
		const struct row *row = row_of(lists[i].name);

		cr_expect_eq(row->in_element, lists[i].in_element, "%s", row->name);
		cr_expect_eq(row->out_element, lists[i].out_element, "%s", row->name);
	}
}

// A name, and with it the structures, is the call's own.
Test(table, sizes)
{
	cr_expect_eq(row_of("CreatePartition")->in, 56);
	cr_expect_eq(row_of("CreatePartition")->out, 8);
	cr_expect_eq(row_of("GetPartitionId")->in, 0);
	cr_expect_eq(row_of("GetPartitionId")->out, 8);
	cr_expect_eq(row_of("PostMessage")->in, 256);
	cr_expect_eq(row_of("PostMessage")->out, 0);
	cr_expect_eq(row_of("MapGpaPages")->in, 24);
	cr_expect_eq(row_of("MapGpaPages")->out, 0);
}

// The partition that a call names stands in its input.
Test(table, targets)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		unsigned int who = HV_TARGET_FAMILY | HV_TARGET_SELF_IF;
		size_t id_end = row->target & HV_TARGET_ID_AT_8 ? 16 : 8;

		cr_expect_eq(!row->target, !(row->target & who), "%s", row->name);
		if (row->target)
			cr_expect_geq(row->in, id_end, "%s", row->name);
		if (row->target & HV_TARGET_SELF_IF)
			cr_expect(
				row->privilege & ~HV_PRIVILEGE_CREATE_PARTITIONS, "%s", row->name);
	}
}

Test(table, rows_are_consistent)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->kind == SIMPLE)
			cr_expect_eq(row->in_element + row->out_element, 0, "%s", row->name);
		if (row->fast) {
			size_t in = (row->in + row->in_element + 15u) / 16 * 16;

			cr_expect_leq(in + row->out + row->out_element, HV_CALL_FAST_XMM_BYTES,
				"%s", row->name);
		}
		cr_expect_leq(row->in + row->in_element, HV_PAGE_SIZE, "%s", row->name);
		cr_expect_eq(row->in % 8, 0, "%s", row->name);
		cr_expect_eq(row->out % 8, 0, "%s", row->name);
		cr_expect_eq(row->variable,
			row->code == 0x13 || row->code == 0x14 || row->code == 0x15, "%s",
			row->name);
	}
}

// TLFS: HV_PARTITION_PRIVILEGE_MASK, the meaning of each flag. Bits by position.
Test(table, privileges)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} wanted[] = { { "CreatePartition", 32 }, { "GetPartitionId", 33 }, { "DepositMemory", 34 },
		{ "WithdrawMemory", 34 }, { "GetMemoryBalance", 34 }, { "PostMessage", 36 },
		{ "SignalEvent", 37 }, { "CreatePort", 38 }, { "DeletePort", 38 },
		{ "ConnectPort", 39 }, { "DisconnectPort", 39 }, { "MapStatsPage2", 40 },
		{ "UnmapStatsPage", 40 } };
	static const char *const open[] = { "FlushVirtualAddressSpace", "FlushVirtualAddressList",
		"NotifyLongSpinWait", "SendSyntheticClusterIpi", "FlushVirtualAddressSpaceEx",
		"FlushVirtualAddressListEx", "SendSyntheticClusterIpiEx", "GetVpIndexFromApicId" };
	size_t without = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect_eq(row_of(wanted[i].name)->privilege, 1ull << wanted[i].bit, "%s",
			wanted[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		cr_expect_eq(row_of(open[i])->privilege, 0, "%s", open[i]);
	for (size_t i = 0; i < ROWS; i++)
		without += rows[i].privilege == 0;
	cr_expect_eq(without, ARRAY_SIZE(open));
	cr_expect_eq(row_of("GetVpRegisters")->privilege, 1ull << 32 | 1ull << 49);
	cr_expect_eq(row_of("StartVirtualProcessor")->privilege, 1ull << 32 | 1ull << 53);
}

Test(cpuid, privilege_suffices)
{
	cr_expect(hv_privilege_suffices(0, HV_PRIVILEGE_NONE));
	cr_expect(hv_privilege_suffices(1ull << 49, 1ull << 49 | 1ull << 32));
	cr_expect_not(hv_privilege_suffices(~(1ull << 36), 1ull << 36));
}

Test(cpuid, signatures_spell)
{
	static const uint32_t words[] = { HV_VENDOR_EBX, HV_VENDOR_ECX, HV_VENDOR_EDX,
		LUMEN_SIGNATURE_EBX, LUMEN_SIGNATURE_ECX, LUMEN_SIGNATURE_EDX,
		HV_INTERFACE_SIGNATURE };

	cr_expect_arr_eq(words, "Microsoft HvLumenLumenHvHv#1", 28);
}

// TLFS: Hypercall Inputs. 8-bit groups from the top: start index 0x123, count 0x456, 2 * 8 bytes.
Test(control, packs_and_unpacks)
{
	uint64_t control = hv_call_control(0x0014, 2, 0x456, 0x123);

	cr_expect_eq(control, 0x0123045600040014ull);
	cr_expect_eq(hv_call_code(control), 0x14);
	cr_expect_not(hv_call_is_fast(control));
	cr_expect(hv_call_is_fast(0x1005d));
	cr_expect_eq(hv_call_variable_bytes(control), 16);
	cr_expect_eq(hv_call_rep_count(control), 0x456);
	cr_expect_eq(hv_call_rep_start(control), 0x123);
	cr_expect_eq(hv_call_restart(control, 0xabc), 0x0abc045600040014ull);
	cr_expect_eq(HV_CALL_RSVD_MASK, 0xf000f00078000000ull);
}

Test(control, result)
{
	uint64_t result = hv_result(0x000b, 0xfff);

	cr_expect_eq(result, 0x00000fff0000000bull);
	cr_expect_eq(hv_result_status(result), 0x0b);
	cr_expect_eq(hv_result_reps(result), 0xfff);
	cr_expect_eq(hv_result(0, 0x1001), 0x0000000100000000ull);
}

// Numbers by value, in the order of the enumerations and pages that they come from.
#define IS(name, value) cr_expect_eq((uint64_t)(name), (uint64_t)(value), #name)

Test(numbers, statuses)
{
	IS(HV_STATUS_SUCCESS, 0);
	IS(HV_STATUS_INVALID_HYPERCALL_CODE, 2);
	IS(HV_STATUS_INVALID_HYPERCALL_INPUT, 3);
	IS(HV_STATUS_INVALID_ALIGNMENT, 4);
	IS(HV_STATUS_INVALID_PARAMETER, 5);
	IS(HV_STATUS_ACCESS_DENIED, 6);
	IS(HV_STATUS_INVALID_PARTITION_STATE, 7);
	IS(HV_STATUS_OPERATION_DENIED, 8);
	IS(HV_STATUS_UNKNOWN_PROPERTY, 9);
	IS(HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE, 10);
	IS(HV_STATUS_INSUFFICIENT_MEMORY, 11);
	IS(HV_STATUS_INVALID_PARTITION_ID, 13);
	IS(HV_STATUS_INVALID_VP_INDEX, 14);
	IS(HV_STATUS_INVALID_PORT_ID, 17);
	IS(HV_STATUS_INVALID_CONNECTION_ID, 18);
	IS(HV_STATUS_INSUFFICIENT_BUFFERS, 19);
	IS(HV_STATUS_INVALID_VP_STATE, 21);
	IS(HV_STATUS_INVALID_SYNIC_STATE, 24);
	IS(HV_STATUS_OBJECT_IN_USE, 25);
	IS(HV_STATUS_NO_RESOURCES, 29);
	IS(HV_STATUS_INVALID_REGISTER_VALUE, 80);
	IS(HV_STATUS_INVALID_VTL_STATE, 81);
	IS(HV_STATUS_OPERATION_FAILED, 113);
	IS(HV_STATUS_TIMEOUT, 120);
	IS(HV_STATUS_UNKNOWN_REGISTER_NAME, 135);
}

Test(numbers, msrs)
{
	IS(HV_X64_MSR_GUEST_OS_ID, 0x40000000);
	IS(HV_X64_MSR_HYPERCALL, 0x40000001);
	IS(HV_X64_MSR_VP_INDEX, 0x40000002);
	IS(HV_X64_MSR_TIME_REF_COUNT, 0x40000020);
	IS(HV_X64_MSR_REFERENCE_TSC, 0x40000021);
	IS(HV_X64_MSR_TSC_FREQUENCY, 0x40000022);
	IS(HV_X64_MSR_APIC_FREQUENCY, 0x40000023);
	IS(HV_X64_MSR_EOI, 0x40000070);
	IS(HV_X64_MSR_TPR, 0x40000072);
	IS(HV_X64_MSR_VP_ASSIST_PAGE, 0x40000073);
	IS(HV_X64_MSR_SCONTROL, 0x40000080);
	IS(HV_X64_MSR_SIEFP, 0x40000082);
	IS(HV_X64_MSR_SIMP, 0x40000083);
	IS(HV_X64_MSR_EOM, 0x40000084);
	IS(HV_X64_MSR_SINTn(15), 0x4000009f);
	IS(HV_X64_MSR_STIMERn_CONFIG(3), 0x400000b6);
	IS(HV_X64_MSR_STIMERn_COUNT(3), 0x400000b7);
	IS(HV_X64_MSR_CRASH_Pn(4), 0x40000104);
	IS(HV_X64_MSR_CRASH_CTL, 0x40000105);
	IS(HV_X64_MSR_TSC_INVARIANT_CONTROL, 0x40000118);
	IS(HV_STIMER_CONFIG_VALID_MASK, 0xf1fff);
}

Test(numbers, registers)
{
	IS(HvRegisterExplicitSuspend, 0);
	IS(HvRegisterInterceptSuspend, 1);
	IS(HvRegisterInternalActivityState, 4);
	IS(HvRegisterPendingInterruption, 0x10002);
	IS(HvRegisterInterruptState, 0x10003);
	IS(HvRegisterPendingEvent0, 0x10004);
	IS(HvX64RegisterRax, 0x20000);
	IS(HvX64RegisterRcx, 0x20001);
	IS(HvX64RegisterRdx, 0x20002);
	IS(HvX64RegisterRbx, 0x20003);
	IS(HvX64RegisterR15, 0x2000f);
	IS(HvX64RegisterRflags, 0x20011);
	IS(HvX64RegisterXmmControlStatus, 0x30019);
	IS(HvX64RegisterCr8, 0x40004);
	IS(HvX64RegisterDr7, 0x50005);
	IS(HvX64RegisterTr, 0x60007);
	IS(HvX64RegisterGdtr, 0x70001);
	IS(HvX64RegisterEfer, 0x80001);
	IS(HvX64RegisterSfmask, 0x8000b);
	IS(HvX64RegisterTscAux, 0x8007b);
	IS(HvX64RegisterHypercall, 0x90001);
	IS(HvRegisterVpIndex, 0x90003);
	IS(HvRegisterSint15, 0xa000f);
	IS(HvRegisterEom, 0xa0014);
	IS(HvRegisterStimer3Count, 0xb0007);
}

Test(numbers, messages_and_ports)
{
	IS(HvMessageTypeUnmappedGpa, 0x80000000);
	IS(HvMessageTypeGpaIntercept, 0x80000001);
	IS(HvMessageTypeTimerExpired, 0x80000010);
	IS(HvMessageTypeUnrecoverableException, 0x80000021);
	IS(HvMessageTypeSynicSintDeliverable, 0x80000062);
	IS(HvMessageTypeX64IoPortIntercept, 0x80010000);
	IS(HvMessageTypeX64MsrIntercept, 0x80010001);
	IS(HvMessageTypeX64CpuidIntercept, 0x80010002);
	IS(HvMessageTypeX64Halt, 0x80010007);
	IS(HvPortTypeMessage, 1);
	IS(HvPortTypeEvent, 2);
	IS(HvPortTypeDoorbell, 4);
	IS(HvInterceptTypeHypercall, 8);
	IS(HvInterceptTypeUnknownSynicConnection, 13);
	IS(HvPartitionPropertySyntheticProcFeatures, 0x10001);
	IS(HvPartitionPropertyTimeFreeze, 0x30003);
	IS(HvPartitionPropertyUnimplementedMsrAction, 0x50017);
}
