// SPDX-License-Identifier: BSD-2-Clause
// Every call of the table that a guest may make: the control word.
#include "tests/conformance/rows.h"

#include "base/macros.h"

static void expect_refused(const struct row_call *call, uint64_t control, const char *what)
{
	row_expect(call, control, gpa_of(call->in), gpa_of(call->out),
		HV_STATUS_INVALID_HYPERCALL_INPUT, what);
}

TEST(call_succeeds, "a right call, in memory", "Hypercall Reference", ROW_NAMES(row_name_guest))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t result = hypercall(row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(call.out));

	expect_status(hv_result_status(result), row_status(call.row), "a right call");
	EXPECT_EQ(hv_result_reps(result), call.row->rep && !hv_result_status(result),
		"reps completed");
}

TEST(reserved_bits, "each reserved bit of the control word", "Hypercall Inputs",
	ROW_NAMES(row_name_guest))
{
	struct row_call call = row_prepare(row, 1);
	char what[40];

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(HV_CALL_RSVD_MASK >> bit & 1))
			continue;
		text_format(what, sizeof(what), "reserved bit %u", bit);
		expect_refused(&call, row_control(call.row, 1, 0) | 1ull << bit, what);
	}
}

TEST(rep_of_simple, "a rep count or start index on a simple call", "Hypercall Inputs",
	ROW_NAMES(row_name_guest_simple))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t control = row_control(call.row, 1, 0);

	expect_refused(&call, control | 1ull << HV_CALL_REP_COUNT_SHIFT, "rep count 1");
	expect_refused(&call, control | HV_CALL_REP_COUNT_MASK, "rep count 4095");
	expect_refused(&call, control | 1ull << HV_CALL_REP_START_SHIFT, "start index 1");
	expect_refused(&call,
		control | 2ull << HV_CALL_REP_COUNT_SHIFT | 1ull << HV_CALL_REP_START_SHIFT,
		"rep count 2, start index 1");
}

TEST(zero_reps, "zero reps", "Hypercall Inputs", ROW_NAMES(row_name_guest_rep))
{
	struct row_call call = row_prepare(row, 1);

	expect_refused(&call, row_control(call.row, 0, 0), "rep count 0");
}

TEST(start_beyond, "a start index that is not below the count", "Hypercall Inputs",
	ROW_NAMES(row_name_guest_rep))
{
	struct row_call call = row_prepare(row, 4);

	expect_refused(&call, row_control(call.row, 1, 1), "start index 1 of 1");
	expect_refused(&call, row_control(call.row, 2, 3), "start index 3 of 2");
	expect_refused(&call, row_control(call.row, 0, 1), "start index 1 of 0");
	expect_refused(&call, row_control(call.row, 1, 4095), "start index 4095 of 1");
}

static bool without_variable(unsigned int row, char *text, size_t size)
{
	return !rows[row].variable && row_name_guest(row, text, size);
}

TEST(variable_header, "a variable header where none is documented",
	"Variable Sized Hypercall Input Headers", ROW_NAMES(without_variable))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t control = row_control(call.row, 1, 0);

	expect_refused(&call, control | 1ull << HV_CALL_VARIABLE_HEADER_SHIFT, "size 1");
	expect_refused(&call, control | HV_CALL_VARIABLE_HEADER_MASK, "size 1023");
}

static bool name_privileged(unsigned int row, char *text, size_t size)
{
	return rows[row].privilege != HV_PRIVILEGE_NONE && row_name_all(row, text, size);
}

// TLFS: Ordering of Error Conditions: undefined, but for what must not be revealed. So only that
// something is said about the code.
TEST(privilege_first, "without the privilege, whatever the parameters are",
	"Ordering of Error Conditions", ROW_NAMES(name_privileged))
{
	const struct row *r = &rows[row];
	uint8_t *page = page_get();
	hv_status status;

	if (hv_privilege_suffices(machine.privileges, r->privilege))
		SKIP("privilege held");
	for (unsigned int fill = 0; fill < 2; fill++) {
		__builtin_memset(page, fill ? 0xff : 0, HV_PAGE_SIZE);
		status = hv_result_status(
			hypercall(row_control(r, 1, 0), gpa_of(page), gpa_of(page)));
		EXPECT(status == HV_STATUS_ACCESS_DENIED ||
				status == HV_STATUS_INVALID_HYPERCALL_CODE,
			"expected HV_STATUS_ACCESS_DENIED or HV_STATUS_INVALID_HYPERCALL_CODE, got "
			"%s (0x%x)",
			status_name(status), status);
	}
}

static bool is_in_table(uint32_t code)
{
	for (unsigned int i = 0; i < ROWS; i++)
		if (rows[i].code == code)
			return true;
	return false;
}

// 64 codes each; what the table has not is unknown, or not for us.
static const uint16_t blocks[] = { 0x0000, 0x0040, 0x0080, 0x00c0, 0x0100, 0x0140, 0x0180, 0x01c0,
	0x0200, 0x4000, 0x7fc0, 0x8000, 0xbfc0, 0xc000, 0xffc0 };

static bool name_block(unsigned int row, char *text, size_t size)
{
	text_format(
		text, size, "Unknown call codes 0x%04x to 0x%04x", blocks[row], blocks[row] + 63u);
	return true;
}

TEST(unknown_codes, "each is refused", "Common Hypercall Status Codes", .rows = ARRAY_SIZE(blocks),
	.row_name = name_block)
{
	for (uint32_t code = blocks[row]; code < blocks[row] + 64u; code++) {
		hv_status status;

		if (is_in_table(code))
			continue;
		status = hv_result_status(hypercall(code, 0, 0));
		EXPECT(status == HV_STATUS_INVALID_HYPERCALL_CODE ||
				status == HV_STATUS_ACCESS_DENIED ||
				status == HV_STATUS_INVALID_HYPERCALL_INPUT,
			"call code 0x%x: expected HV_STATUS_INVALID_HYPERCALL_CODE, got %s (0x%x)",
			code, status_name(status), status);
	}
}

TEST(code_zero, "Unknown call codes: call code 0 is reserved", "Common Hypercall Status Codes")
{
	expect_status(hv_result_status(hypercall(0, 0, 0)), HV_STATUS_INVALID_HYPERCALL_CODE,
		"call code 0");
	expect_status(hv_result_status(hypercall(0xfffe, 0, 0)), HV_STATUS_INVALID_HYPERCALL_CODE,
		"call code 0xfffe");
}
