// SPDX-License-Identifier: BSD-2-Clause
// See rows.h.
#include "tests/conformance/rows.h"
#include "tests/conformance/internal.h"

#include "hypercall/interrupt.h"

enum { IPI_VECTOR = 0x40, NO_CONNECTION = 0x00fffff0 };

const struct row rows[] = {
#define ROW(code, name, type, kind, in_element, out_element, fast, variable, privilege, ...)       \
	{ code, HV_CALL_IS_REP(kind), HV_CALL_IN(kind, type), in_element, HV_CALL_OUT(kind, type), \
		out_element, fast, variable, privilege, "HvCall" #name },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

bool row_is_for_guests(const struct row *row)
{
	return row->privilege == HV_PRIVILEGE_NONE ||
	       row->privilege & (HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS |
					HV_PRIVILEGE_START_VIRTUAL_PROCESSOR);
}

bool row_has_variable(const struct row *row)
{
	return row->code == HvCallSendSyntheticClusterIpiEx;
}

// --- is it there? ---

static bool spin_wait_is_wanted(void)
{
	uint32_t retries = cpuid(HV_CPUID_ENLIGHTENMENT_INFO, 0).ebx;

	return retries && retries != HV_SPINLOCK_RETRIES_NEVER;
}

// No bit tells of this call: whoever does not know its code does not have it.
static bool vp_index_call_is_known(void)
{
	uint64_t result = hypercall(hv_call_control(HvCallGetVpIndexFromApicId, 0, 0, 0), 0, 0);

	return hv_result_status(result) != HV_STATUS_INVALID_HYPERCALL_CODE;
}

static bool is_recommended(const struct row *row)
{
	switch (row->code) {
	case HvCallFlushVirtualAddressSpace:
	case HvCallFlushVirtualAddressList:
		return has_hint(HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH) ||
		       has_hint(HV_HINT_HYPERCALL_FOR_LOCAL_FLUSH);
	case HvCallFlushVirtualAddressSpaceEx:
	case HvCallFlushVirtualAddressListEx:
		return has_hint(HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH | HV_HINT_EX_PROCESSOR_MASKS);
	case HvCallSendSyntheticClusterIpi:
		return has_hint(HV_HINT_SYNTHETIC_CLUSTER_IPI);
	case HvCallSendSyntheticClusterIpiEx:
		return has_hint(HV_HINT_SYNTHETIC_CLUSTER_IPI | HV_HINT_EX_PROCESSOR_MASKS);
	case HvCallNotifyLongSpinWait:
		return spin_wait_is_wanted();
	case HvCallGetVpIndexFromApicId:
		return vp_index_call_is_known();
	default:
		return true;
	}
}

void row_require(const struct row *row)
{
	if (!hv_privilege_suffices(machine.privileges, row->privilege))
		SKIP("privilege not held");
	if (!is_recommended(row))
		SKIP("feature not advertised");
}

// --- valid input ---

uint32_t row_in_bytes(const struct row *row, uint32_t elements)
{
	return row->in + 8u * row_has_variable(row) + elements * row->in_element;
}

uint32_t row_out_bytes(const struct row *row, uint32_t elements)
{
	return row->out + elements * row->out_element;
}

static void fill_list(const struct row *row, uint8_t *list, uint32_t elements)
{
	uint32_t *ids = (uint32_t *)list;

	for (uint32_t i = 0; i < elements && row->code == HvCallGetVpIndexFromApicId; i++)
		ids[i] = apic_id(i % machine.vps);
	// GVA ranges, register names: 0.
}

static void fill_header(const struct row *row, uint64_t *to)
{
	switch (row->code) {
	case HvCallFlushVirtualAddressSpace:
	case HvCallFlushVirtualAddressList:
		to[1] = HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
		break;
	case HvCallFlushVirtualAddressSpaceEx:
	case HvCallFlushVirtualAddressListEx:
		to[1] = HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
		to[2] = HV_VP_SET_ALL;
		break;
	case HvCallSendSyntheticClusterIpi:
		to[0] = IPI_VECTOR;
		to[1] = 1; // to VP 0, this one
		break;
	case HvCallSendSyntheticClusterIpiEx:
		to[0] = IPI_VECTOR;
		to[1] = HV_VP_SET_SPARSE_4K;
		to[2] = 1; // bank 0
		to[3] = 1; // VP 0
		break;
	case HvCallPostMessage:
		to[0] = NO_CONNECTION;
		to[1] = 8ull << 32 | 1; // payload size, type
		break;
	case HvCallSignalEvent:
		to[0] = NO_CONNECTION;
		break;
	case HvCallGetVpIndexFromApicId:
	case HvCallStartVirtualProcessor: // of VP 0, which runs
		to[0] = HV_PARTITION_ID_SELF;
		break;
	default:
		break;
	}
}

void row_fill(const struct row *row, void *to, uint32_t elements)
{
	__builtin_memset(to, 0, row_in_bytes(row, elements));
	if (row->in)
		fill_header(row, to);
	if (row->in_element)
		fill_list(row, (uint8_t *)to + row_in_bytes(row, 0), elements);
}

hv_status row_status(const struct row *row)
{
	switch (row->code) {
	case HvCallPostMessage:
	case HvCallSignalEvent:
		return HV_STATUS_INVALID_CONNECTION_ID;
	case HvCallStartVirtualProcessor:
		return HV_STATUS_INVALID_VP_STATE;
	default:
		return HV_STATUS_SUCCESS;
	}
}

uint64_t row_control(const struct row *row, uint32_t elements, uint32_t start)
{
	return hv_call_control(row->code, row_has_variable(row), row->rep ? elements : 0, start);
}

// --- names ---

static bool name_if(bool wanted, unsigned int row, char *text, size_t size)
{
	if (wanted)
		text_format(text, size, "%s", rows[row].name);
	return wanted;
}

bool row_name_all(unsigned int row, char *text, size_t size)
{
	return name_if(true, row, text, size);
}

bool row_name_guest(unsigned int row, char *text, size_t size)
{
	return name_if(row_is_for_guests(&rows[row]), row, text, size);
}

bool row_name_guest_output(unsigned int row, char *text, size_t size)
{
	return name_if(
		row_is_for_guests(&rows[row]) && row_out_bytes(&rows[row], 1), row, text, size);
}

bool row_name_guest_input(unsigned int row, char *text, size_t size)
{
	return name_if(
		row_is_for_guests(&rows[row]) && row_in_bytes(&rows[row], 1), row, text, size);
}

bool row_name_guest_rep(unsigned int row, char *text, size_t size)
{
	return name_if(row_is_for_guests(&rows[row]) && rows[row].rep, row, text, size);
}

bool row_name_guest_simple(unsigned int row, char *text, size_t size)
{
	return name_if(row_is_for_guests(&rows[row]) && !rows[row].rep, row, text, size);
}

// --- calls ---

struct row_call row_prepare(unsigned int row, uint32_t elements)
{
	struct row_call call = { .row = &rows[row] };

	row_require(call.row);
	call.in = page_get();
	call.out = page_get();
	row_fill(call.row, call.in, elements);
	return call;
}

void row_expect(const struct row_call *call, uint64_t control, hv_gpa in, hv_gpa out,
	hv_status expected, const char *what)
{
	uint64_t result = 0;
	int vector = try_hypercall(control, in, out, &result);

	if (vector != NO_EXCEPTION)
		FAIL("%s: expected %s, got exception %d", what, status_name(expected), vector);
	expect_status(hv_result_status(result), expected, what);
}
