// SPDX-License-Identifier: BSD-2-Clause
// Every call of the table that a guest may make: fast, continued, from other modes of the
// processor, and what it does to registers.
#include "tests/conformance/rows.h"
#include "tests/conformance/internal.h"

static bool fast_in_registers(const struct row *r)
{
	return r->fast && row_in_bytes(r, 1) <= HV_CALL_FAST_BYTES;
}

static bool fast_in_xmm(const struct row *r)
{
	return r->fast && row_in_bytes(r, 1) > HV_CALL_FAST_BYTES &&
	       row_in_bytes(r, 1) <= HV_CALL_FAST_XMM_BYTES;
}

static bool name_fast(unsigned int row, char *text, size_t size)
{
	return fast_in_registers(&rows[row]) && row_name_guest(row, text, size);
}

static bool name_xmm(unsigned int row, char *text, size_t size)
{
	return fast_in_xmm(&rows[row]) && row_name_guest(row, text, size);
}

static bool name_not_fast(unsigned int row, char *text, size_t size)
{
	return !rows[row].fast && row_name_guest(row, text, size);
}

TEST(fast, "fast, in two registers", "Hypercall Register Conventions", ROW_NAMES(name_fast))
{
	struct row_call call = row_prepare(row, 1);
	const uint64_t *in = (const uint64_t *)call.in;

	row_expect(&call, row_control(call.row, 1, 0) | HV_CALL_FAST, in[0], in[1],
		row_status(call.row), "a fast call");
}

// The TLFS does not say how it is refused.
TEST(fast_refused, "fast, where that form is not offered", "Hypercall Inputs",
	ROW_NAMES(name_not_fast))
{
	struct row_call call = row_prepare(row, 1);
	const uint64_t *in = (const uint64_t *)call.in;
	hv_status status = call_fast(row_control(call.row, 1, 0), in[0], in[1]);

	EXPECT(status == HV_STATUS_INVALID_HYPERCALL_INPUT ||
			status == HV_STATUS_INVALID_HYPERCALL_CODE,
		"expected HV_STATUS_INVALID_HYPERCALL_INPUT, got %s (0x%x)", status_name(status),
		status);
}

static int call_xmm(const struct row_call *call, uint64_t *result)
{
	const uint64_t *in = (const uint64_t *)call->in;
	uint64_t xmm[12];

	for (unsigned int i = 0; i < 12; i++)
		xmm[i] = in[2 + i];
	return try_hypercall_xmm(
		row_control(call->row, 1, 0) | HV_CALL_FAST, in[0], in[1], xmm, result);
}

TEST(xmm, "fast, in XMM registers", "XMM Fast Hypercall Input", ROW_NAMES(name_xmm),
	.edx = HV_FEATURE_EDX_XMM_FAST_INPUT)
{
	struct row_call call = row_prepare(row, 1);
	uint64_t result = 0;
	int vector = call_xmm(&call, &result);

	EXPECT(vector == NO_EXCEPTION, "expected no exception, got %d", vector);
	expect_status(hv_result_status(result), row_status(call.row), "an XMM fast call");
	EXPECT_EQ(hv_result_reps(result), call.row->rep, "reps completed");
}

TEST(xmm_not_offered, "fast, in XMM registers that are not offered: #UD",
	"XMM Fast Hypercall Input", ROW_NAMES(name_xmm))
{
	struct row_call call;
	uint64_t result = 0;
	int vector;

	if (has_edx(HV_FEATURE_EDX_XMM_FAST_INPUT))
		SKIP("XMM fast input is advertised");
	call = row_prepare(row, 1);
	vector = call_xmm(&call, &result);
	EXPECT(vector == EXCEPTION_UD, "expected #UD, got exception %d, result 0x%lx", vector,
		result);
}

// --- registers ---

#define PATTERN(n) ((uint64_t)0x5a5a00000000 + (n))

static void expect_same(uint64_t got, unsigned int n, const char *name)
{
	EXPECT(got == PATTERN(n), "%s has changed: from 0x%lx to 0x%lx", name, PATTERN(n), got);
}

TEST(registers, "no other register is changed", "Volatile Registers", ROW_NAMES(row_name_guest))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t control = row_control(call.row, 1, 0);
	struct hypercall_registers r = { .rcx = control,
		.rdx = gpa_of(call.in),
		.r8 = gpa_of(call.out),
		.rax = PATTERN(0),
		.rbx = PATTERN(1),
		.rbp = PATTERN(2),
		.rsi = PATTERN(3),
		.rdi = PATTERN(4),
		.r9 = PATTERN(5),
		.r10 = PATTERN(6),
		.r11 = PATTERN(7),
		.r12 = PATTERN(8),
		.r13 = PATTERN(9),
		.r14 = PATTERN(10),
		.r15 = PATTERN(11) };

	hypercall_registers(&r);
	expect_status(hv_result_status(r.rax), row_status(call.row), "a right call");
	expect_same(r.rbx, 1, "RBX");
	expect_same(r.rbp, 2, "RBP");
	expect_same(r.rsi, 3, "RSI");
	expect_same(r.rdi, 4, "RDI");
	expect_same(r.r9, 5, "R9");
	expect_same(r.r10, 6, "R10");
	expect_same(r.r11, 7, "R11");
	expect_same(r.r12, 8, "R12");
	expect_same(r.r13, 9, "R13");
	expect_same(r.r14, 10, "R14");
	expect_same(r.r15, 11, "R15");
	EXPECT_EQ(r.rdx, gpa_of(call.in), "RDX");
	EXPECT_EQ(r.r8, gpa_of(call.out), "R8");
	// TLFS: rep hypercalls modify RCX with the new start index; the others leave it.
	if (call.row->rep)
		EXPECT_EQ(r.rcx & ~HV_CALL_REP_START_MASK, control, "RCX but for its start index");
	else
		EXPECT_EQ(r.rcx, control, "RCX");
}

// --- rep calls ---

TEST(continued, "from a start index, the count of completed reps is of the whole list",
	"Hypercall Outputs", ROW_NAMES(row_name_guest_rep))
{
	struct row_call call = row_prepare(row, 5);
	uint64_t result = hypercall(row_control(call.row, 5, 3), gpa_of(call.in), gpa_of(call.out));

	expect_status(hv_result_status(result), row_status(call.row), "elements 3 and 4 of 5");
	EXPECT_EQ(hv_result_reps(result), 5, "reps completed");
}

TEST(full_page, "a list that fills its page", "Hypercall Classes", ROW_NAMES(row_name_guest_rep))
{
	const struct row *r = &rows[row];
	uint32_t fit = (HV_PAGE_SIZE - row_in_bytes(r, 0)) / r->in_element;
	struct row_call call = row_prepare(row, fit);
	uint64_t result = hypercall(row_control(r, fit, 0), gpa_of(call.in), gpa_of(call.out));

	expect_status(hv_result_status(result), row_status(r), "the longest list");
	EXPECT_EQ(hv_result_reps(result), fit, "reps completed");
}

// --- modes of the processor ---

static struct {
	struct row_call call;
	struct hypercall_registers registers;
} user;

static void call_in_user_mode(void *argument)
{
	hypercall_at(&user.registers, hypercall_page);
}

TEST(user_mode, "from ring 3: #UD", "Legal Hypercall Environments", ROW_NAMES(row_name_guest))
{
	struct row_call call = row_prepare(row, 1);
	int vector;

	user.registers = (struct hypercall_registers){ .rax = PATTERN(0),
		.rcx = row_control(call.row, 1, 0),
		.rdx = gpa_of(call.in),
		.r8 = gpa_of(call.out) };
	vector = exception_in_user_mode(call_in_user_mode, NULL);
	EXPECT(vector != NO_EXCEPTION, "expected #UD, got result 0x%lx", user.registers.rax);
	EXPECT(vector == EXCEPTION_UD, "expected #UD, got exception %d", vector);
}

TEST(from_32_bit, "from 32-bit code, in register pairs", "Hypercall Register Conventions",
	ROW_NAMES(row_name_guest))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t result = ~0ull;
	int vector = hypercall_32bit(
		row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(call.out), &result);

	EXPECT(vector == NO_EXCEPTION, "expected no exception, got %d", vector);
	expect_status(hv_result_status(result), row_status(call.row), "EDX:EAX");
	EXPECT_EQ(hv_result_reps(result), call.row->rep && !hv_result_status(result),
		"reps completed, in EDX");
}
