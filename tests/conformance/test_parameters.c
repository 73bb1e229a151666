// SPDX-License-Identifier: BSD-2-Clause
// Every call of the table that a guest may make: where its input and output are.
#include "tests/conformance/rows.h"
#include "tests/conformance/internal.h"

static void bad_input(const struct row_call *call, hv_gpa in, hv_status expected, const char *what)
{
	row_expect(call, row_control(call->row, 1, 0), in, gpa_of(call->out), expected, what);
}

static void bad_output(
	const struct row_call *call, hv_gpa out, hv_status expected, const char *what)
{
	row_expect(call, row_control(call->row, 1, 0), gpa_of(call->in), out, expected, what);
}

TEST(misaligned_input, "input that is not aligned to 8", "Alignment Requirements",
	ROW_NAMES(row_name_guest_input))
{
	struct row_call call = row_prepare(row, 1);
	char what[40];

	for (unsigned int off = 1; off < 8; off++) {
		__builtin_memset(call.in, 0, 16);
		row_fill(call.row, call.in + 8, 1);
		text_format(what, sizeof(what), "input at offset %u", off);
		bad_input(&call, gpa_of(call.in) + off, HV_STATUS_INVALID_ALIGNMENT, what);
	}
}

TEST(misaligned_output, "output that is not aligned to 8", "Alignment Requirements",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);

	for (unsigned int off = 1; off < 8; off++)
		bad_output(&call, gpa_of(call.out) + off, HV_STATUS_INVALID_ALIGNMENT,
			"misaligned output");
	for (unsigned int i = 0; i < 64; i++)
		EXPECT(!call.out[i], "the output was written at byte %u", i);
}

// Ends the input with the page: that is still right.
static uint8_t *input_at_end(const struct row_call *call, uint32_t elements)
{
	uint32_t bytes = (row_in_bytes(call->row, elements) + 7u) & ~7u;
	uint8_t *at = call->in + HV_PAGE_SIZE - bytes;

	row_fill(call->row, at, elements);
	return at;
}

TEST(input_at_page_end, "input that ends with its page", "Alignment Requirements",
	ROW_NAMES(row_name_guest_input))
{
	struct row_call call = row_prepare(row, 1);

	row_expect(&call, row_control(call.row, 1, 0), gpa_of(input_at_end(&call, 1)),
		gpa_of(call.out), row_status(call.row), "input at the end of a page");
}

// Two pages in a row, so that nothing but the rule forbids it.
static uint8_t two_pages[2 * HV_PAGE_SIZE] __attribute__((aligned(HV_PAGE_SIZE)));

static bool wider_than_8(unsigned int row, char *text, size_t size)
{
	return row_in_bytes(&rows[row], 1) > 8 && row_name_guest(row, text, size);
}

TEST(input_crosses, "input that crosses a page", "Alignment Requirements", ROW_NAMES(wider_than_8))
{
	struct row_call call = row_prepare(row, 1);
	uint8_t *at = two_pages + HV_PAGE_SIZE - 8;

	row_fill(call.row, at, 1);
	bad_input(&call, gpa_of(at), HV_STATUS_INVALID_ALIGNMENT, "8 bytes before the page's end");
}

TEST(list_crosses, "a list that crosses a page", "Alignment Requirements",
	ROW_NAMES(row_name_guest_rep))
{
	struct row_call call = row_prepare(row, 1);
	uint32_t fit = (HV_PAGE_SIZE - row_in_bytes(call.row, 0)) / call.row->in_element;

	row_fill(call.row, two_pages, fit + 1);
	row_expect(&call, row_control(call.row, fit + 1, 0), gpa_of(two_pages), gpa_of(call.out),
		HV_STATUS_INVALID_ALIGNMENT, "one element more than the page holds");
	row_expect(&call, row_control(call.row, fit + 1, fit), gpa_of(two_pages), gpa_of(call.out),
		HV_STATUS_INVALID_ALIGNMENT, "the same, with only that one to do");
	row_expect(&call, row_control(call.row, HV_CALL_REP_MAX, 0), gpa_of(two_pages),
		gpa_of(call.out), HV_STATUS_INVALID_ALIGNMENT, "4095 elements");
}

TEST(input_beyond, "input beyond the GPA space", "Common Hypercall Status Codes",
	ROW_NAMES(row_name_guest_input))
{
	struct row_call call = row_prepare(row, 1);

	bad_input(&call, gpa_beyond(), HV_STATUS_INVALID_ALIGNMENT, "the first address beyond");
	bad_input(&call, 0xfffffffffffff000, HV_STATUS_INVALID_ALIGNMENT, "the last page of all");
	bad_input(&call, 0xfffffffffffffff8, HV_STATUS_INVALID_ALIGNMENT, "the last word of all");
}

TEST(output_beyond, "output beyond the GPA space", "Common Hypercall Status Codes",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);

	bad_output(&call, gpa_beyond(), HV_STATUS_INVALID_ALIGNMENT, "the first address beyond");
	bad_output(&call, 0xfffffffffffff000, HV_STATUS_INVALID_ALIGNMENT, "the last page of all");
}

// A memory intercept may end the partition, says the TLFS; a status, says everybody who implements
// it. Success is wrong in any case.
TEST(input_unmapped, "input where no memory is", "Alignment Requirements",
	ROW_NAMES(row_name_guest_input))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t result = hypercall(row_control(call.row, 1, 0), gpa_unmapped(), gpa_of(call.out));

	EXPECT(hv_result_status(result) != HV_STATUS_SUCCESS, "expected an error, got success");
	EXPECT(hv_result_status(result) != row_status(call.row),
		"expected an error, got %s: the call has read something",
		status_name(result & 0xffff));
}

TEST(output_unmapped, "output where no memory is", "Alignment Requirements",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);
	uint64_t result = hypercall(row_control(call.row, 1, 0), gpa_of(call.in), gpa_unmapped());

	EXPECT(hv_result_status(result) != HV_STATUS_SUCCESS, "expected an error, got success");
}

TEST(output_read_only, "output to a page that cannot be written", "Alignment Requirements",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);
	uint8_t *before = page_get();
	uint64_t result;

	__builtin_memcpy(before, hypercall_page, HV_PAGE_SIZE);
	result = hypercall(
		row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(hypercall_page) + 2048);
	EXPECT(hv_result_status(result) != HV_STATUS_SUCCESS, "expected an error, got success");
	EXPECT(!__builtin_memcmp(before, hypercall_page, HV_PAGE_SIZE),
		"the hypercall page was written");
}

TEST(output_crosses, "output that crosses a page", "Alignment Requirements",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 4);

	row_expect(&call, row_control(call.row, 4, 0), gpa_of(call.in),
		gpa_of(two_pages) + HV_PAGE_SIZE - 8, HV_STATUS_INVALID_ALIGNMENT,
		"8 bytes before the page's end");
}

TEST(same_page, "input and output in one page", "Alignment Requirements",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);

	bad_output(
		&call, gpa_of(call.in) + 2048, row_status(call.row), "in one page, side by side");
}

static bool without_output(unsigned int row, char *text, size_t size)
{
	return !row_out_bytes(&rows[row], 1) && row_name_guest(row, text, size);
}

TEST(output_ignored, "the output GPA is ignored where there is no output", "Alignment Requirements",
	ROW_NAMES(without_output))
{
	struct row_call call = row_prepare(row, 1);

	bad_output(&call, 1, row_status(call.row), "an output GPA of 1");
	bad_output(&call, ~0ull, row_status(call.row), "an output GPA of -1");
}

// What the guest gives as input stays as it is.
TEST(input_unchanged, "the input is not written to", "Hypercall Atomicity and Ordering",
	ROW_NAMES(row_name_guest_input))
{
	struct row_call call = row_prepare(row, 1);
	uint8_t *copy = page_get();

	__builtin_memcpy(copy, call.in, HV_PAGE_SIZE);
	row_expect(&call, row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(call.out),
		row_status(call.row), "a right call");
	EXPECT(!__builtin_memcmp(copy, call.in, HV_PAGE_SIZE), "the input page has changed");
}

TEST(output_bounds, "nothing but the output is written", "Hypercall Outputs",
	ROW_NAMES(row_name_guest_output))
{
	struct row_call call = row_prepare(row, 1);
	uint32_t bytes = (row_out_bytes(call.row, 1) + 7u) & ~7u;

	__builtin_memset(call.out, 0xee, HV_PAGE_SIZE);
	row_expect(&call, row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(call.out) + 64,
		row_status(call.row), "a right call");
	for (unsigned int i = 0; i < HV_PAGE_SIZE; i++)
		EXPECT(call.out[i] == 0xee || (i >= 64 && i < 64 + bytes),
			"byte %d relative to the output was written", (int)i - 64);
}
