// SPDX-License-Identifier: BSD-2-Clause
// The rows of hypercall/table.h as the generated tests see them: with an input that is right, so
// that each test can make one thing wrong.
#pragma once

#include "tests/conformance/conformance.h"

struct row {
	uint16_t code;
	bool rep;
	uint16_t in, in_element, out, out_element;
	bool fast, variable;
	uint64_t privilege; // alternatives
	const char *name;   // with HvCall
};

extern const struct row rows[];

enum {
#define COUNT_ROW(code, name, ...) ROW_##name,
	HV_HYPERCALL_TABLE(COUNT_ROW)
#undef COUNT_ROW
		ROWS
};

// The calls that a partition without children can make, by what the table says.
bool row_is_for_guests(const struct row *row);

// Skips the test if this partition does not have the privilege for the call, or is not told (by
// CPUID's recommendations) that there is one.
void row_require(const struct row *row);

// Does the call's valid input need a variable header (of one word)?
bool row_has_variable(const struct row *row);

// What a call takes and gives with `elements` elements.
uint32_t row_in_bytes(const struct row *row, uint32_t elements);
uint32_t row_out_bytes(const struct row *row, uint32_t elements);

// Writes valid input with so many elements to `to`. The call then gives row_status(): success, or
// the status that says that the call got as far as looking at its (existing, wrong) target.
void row_fill(const struct row *row, void *to, uint32_t elements);
hv_status row_status(const struct row *row);

// The control word for it.
uint64_t row_control(const struct row *row, uint32_t elements, uint32_t start);

// For TEST(): all rows that are for guests; of those, the ones with output, and rep calls; the
// others.
#define ROW_NAMES(function) .rows = ROWS, .row_name = (function)
bool row_name_guest(unsigned int row, char *text, size_t size);
bool row_name_guest_output(unsigned int row, char *text, size_t size);
bool row_name_guest_input(unsigned int row, char *text, size_t size);
bool row_name_guest_rep(unsigned int row, char *text, size_t size);
bool row_name_guest_simple(unsigned int row, char *text, size_t size);
bool row_name_all(unsigned int row, char *text, size_t size);

// Issues the call with valid input, but the control word and GPAs as given.
struct row_call {
	const struct row *row;
	uint8_t *in, *out; // pages with it
};
struct row_call row_prepare(unsigned int row, uint32_t elements);

// Fails if the call's status is not this.
void row_expect(const struct row_call *call, uint64_t control, hv_gpa in, hv_gpa out,
	hv_status expected, const char *what);
