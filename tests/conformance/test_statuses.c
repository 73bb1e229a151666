// SPDX-License-Identifier: BSD-2-Clause
// Single calls: each status that the TLFS documents for them and that a guest can bring about.
#include "base/macros.h"
#include "tests/conformance/rows.h"
#include "tests/conformance/internal.h"

#include "hypercall/interrupt.h"

// What to change in the valid input of a call, and what comes of it.
static const struct wrong {
	uint16_t row;
	const char *what;
	uint16_t offset, size; // of the field
	uint64_t value;
	hv_status expected, also; // either
} wrongs[] = {
#define FIELD(structure, field)                                                                    \
	offsetof(struct hv_input_##structure, field),                                              \
		sizeof(((struct hv_input_##structure *)0)->field)
#define WRONG(call, what, structure, field, value, status)                                         \
	{                                                                                          \
		ROW_##call, (what), FIELD(structure, field), (value), HV_STATUS_##status,          \
			HV_STATUS_##status                                                         \
	}
// A reserved bit: no status is documented for that.
#define RESERVED(call, what, structure, field, value, status)                                      \
	{                                                                                          \
		ROW_##call, (what), FIELD(structure, field), (value), HV_STATUS_##status,          \
			HV_STATUS_INVALID_HYPERCALL_INPUT                                          \
	}
	WRONG(PostMessage, "a message of type 0", post_message, message_type, 0, INVALID_PARAMETER),
	WRONG(PostMessage, "a message type with its top bit set", post_message, message_type,
		0x80000001, INVALID_PARAMETER),
	WRONG(PostMessage, "the hypervisor's own type of timer messages", post_message,
		message_type, HvMessageTypeTimerExpired, INVALID_PARAMETER),
	WRONG(PostMessage, "a payload of 241 bytes", post_message, payload_size, 241,
		INVALID_PARAMETER),
	WRONG(PostMessage, "a payload of 4 GiB less one byte", post_message, payload_size,
		0xffffffff, INVALID_PARAMETER),
	RESERVED(PostMessage, "a connection id of more than 24 bits", post_message, connection_id,
		0x01000001, INVALID_CONNECTION_ID),
	WRONG(PostMessage, "connection 0", post_message, connection_id, 0, INVALID_CONNECTION_ID),
	RESERVED(SignalEvent, "a connection id of more than 24 bits", signal_event, connection_id,
		0x01000001, INVALID_CONNECTION_ID),
	WRONG(SignalEvent, "connection 0", signal_event, connection_id, 0, INVALID_CONNECTION_ID),
	WRONG(SendSyntheticClusterIpi, "vector 0x0f", send_synthetic_cluster_ipi, vector, 0x0f,
		INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpi, "vector 0", send_synthetic_cluster_ipi, vector, 0,
		INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpi, "vector 0x100", send_synthetic_cluster_ipi, vector, 0x100,
		INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpi, "a vector of 32 bits", send_synthetic_cluster_ipi, vector,
		0x80000040, INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpiEx, "vector 0x0f", send_synthetic_cluster_ipi_ex, vector, 0x0f,
		INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpiEx, "vector 0x100", send_synthetic_cluster_ipi_ex, vector,
		0x100, INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpiEx, "an unknown format of the VP set",
		send_synthetic_cluster_ipi_ex, processor_set.format, 2, INVALID_PARAMETER),
	WRONG(SendSyntheticClusterIpiEx, "more banks than the header has",
		send_synthetic_cluster_ipi_ex, processor_set.valid_bank_mask, 3,
		INVALID_HYPERCALL_INPUT),
	WRONG(FlushVirtualAddressSpaceEx, "an unknown format of the VP set",
		flush_virtual_address_space_ex, processor_set.format, 2, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressListEx, "an unknown format of the VP set",
		flush_virtual_address_list_ex, processor_set.format, 2, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressSpace, "reserved flag 0x10", flush_virtual_address_space, flags,
		0x11, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressSpace, "reserved flag bit 63", flush_virtual_address_space, flags,
		1ull << 63 | 1, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressList, "reserved flag 0x10", flush_virtual_address_list, flags,
		0x11, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressSpaceEx, "reserved flag 0x10", flush_virtual_address_space_ex,
		flags, 0x11, INVALID_PARAMETER),
	WRONG(FlushVirtualAddressListEx, "reserved flag 0x10", flush_virtual_address_list_ex, flags,
		0x11, INVALID_PARAMETER),
	WRONG(GetVpIndexFromApicId, "a partition that is not ours", get_vp_index_from_apic_id,
		partition_id, 0x7777, ACCESS_DENIED),
	WRONG(GetVpIndexFromApicId, "a VTL that there is not", get_vp_index_from_apic_id,
		target_vtl, 0x1f, INVALID_VTL_STATE),
	WRONG(StartVirtualProcessor, "a VP that there is not", start_virtual_processor, vp_index,
		0xffff, INVALID_VP_INDEX),
	WRONG(StartVirtualProcessor, "a partition that is not ours", start_virtual_processor,
		partition_id, 0x7777, ACCESS_DENIED),
	WRONG(StartVirtualProcessor, "a VTL that there is not", start_virtual_processor, target_vtl,
		3, INVALID_VTL_STATE),
#undef FIELD
#undef WRONG
#undef RESERVED
};

static bool name_wrong(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "%s: %s", rows[wrongs[row].row].name, wrongs[row].what);
	return true;
}

static void put(uint8_t *at, uint64_t value, uint16_t size)
{
	__builtin_memcpy(at, &value, size < sizeof(value) ? size : sizeof(value));
}

// The connection that hosts take VMBus messages at. What is wrong with a message can only be told
// from what is wrong with its connection if that is there (TLFS: Ordering of Error Conditions); a
// hypervisor that does not know it may say so.
enum { VMBUS_CONNECTION = 1 };

static bool is_connected(void)
{
	const struct hv_input_post_message input = { .connection_id = VMBUS_CONNECTION };

	return call_memory(HvCallPostMessage, &input, sizeof(input), NULL, 0) !=
	       HV_STATUS_INVALID_CONNECTION_ID;
}

TEST(statuses, "is refused", "Hypercall Reference", .rows = ARRAY_SIZE(wrongs),
	.row_name = name_wrong)
{
	const struct wrong *wrong = &wrongs[row];
	struct row_call call = row_prepare(wrong->row, 1);
	hv_status status;

	if (call.row->code == HvCallPostMessage && is_connected())
		put(call.in, VMBUS_CONNECTION, sizeof(hv_connection_id));
	put(call.in + wrong->offset, wrong->value, wrong->size);
	status = hv_result_status(
		hypercall(row_control(call.row, 1, 0), gpa_of(call.in), gpa_of(call.out)));
	EXPECT(!interrupt_count(0, 0x40), "an interrupt was sent");
	if (status == wrong->also ||
		(status == HV_STATUS_INVALID_CONNECTION_ID && call.row->code == HvCallPostMessage &&
			!is_connected()))
		return;
	expect_status(status, wrong->expected, wrong->what);
}

// --- sparse VP sets ---

static bool name_set(unsigned int row, char *text, size_t size)
{
	return rows[row].variable && row_name_guest(row, text, size);
}

// Calls with a sparse set: the mask of banks, and how many words of banks the call says it has.
static struct row_call sparse(
	unsigned int row, uint64_t banks, unsigned int words, uint64_t *control)
{
	struct row_call call = row_prepare(row, 1);
	uint64_t *set = (uint64_t *)call.in + call.row->in / 8 - 2;

	set[0] = HV_VP_SET_SPARSE_4K;
	set[1] = banks;
	for (unsigned int i = 0; i < words; i++)
		set[2 + i] = 0;
	*control = hv_call_control(call.row->code, words, call.row->rep, 0);
	if (call.row->in == sizeof(struct hv_input_flush_virtual_address_space_ex))
		((struct hv_input_flush_virtual_address_space_ex *)call.in)->flags = 0;
	return call;
}

static void expect_sparse(
	unsigned int row, uint64_t banks, unsigned int words, hv_status expected, const char *what)
{
	uint64_t control;
	struct row_call call = sparse(row, banks, words, &control);

	row_expect(&call, control, gpa_of(call.in), gpa_of(call.out), expected, what);
}

TEST(set_empty, "a sparse VP set without a bank is nobody", "Sparse Virtual Processor Set",
	ROW_NAMES(name_set))
{
	expect_sparse(row, 0, 0, HV_STATUS_SUCCESS, "no bank");
	EXPECT(!interrupt_count(0, 0x40), "an interrupt was sent");
}

TEST(set_empty_banks, "a sparse VP set with empty banks is nobody", "Sparse Virtual Processor Set",
	ROW_NAMES(name_set))
{
	expect_sparse(row, 1, 1, HV_STATUS_SUCCESS, "an empty bank");
	expect_sparse(row, 5, 2, HV_STATUS_SUCCESS, "two empty banks");
	interrupts_take();
	EXPECT(!interrupt_count(0, 0x40), "an interrupt was sent");
}

TEST(set_short, "a sparse VP set with fewer banks than its mask says",
	"Sparse Virtual Processor Set", ROW_NAMES(name_set))
{
	expect_sparse(row, 3, 1, HV_STATUS_INVALID_HYPERCALL_INPUT, "two bits, one bank");
	expect_sparse(row, 1, 0, HV_STATUS_INVALID_HYPERCALL_INPUT, "one bit, no bank");
	expect_sparse(row, ~0ull, 1, HV_STATUS_INVALID_HYPERCALL_INPUT, "64 bits, one bank");
}

TEST(set_long, "a sparse VP set with more banks than its mask says", "Sparse Virtual Processor Set",
	ROW_NAMES(name_set))
{
	expect_sparse(row, 1, 2, HV_STATUS_INVALID_HYPERCALL_INPUT, "one bit, two banks");
	expect_sparse(row, 0, 1, HV_STATUS_INVALID_HYPERCALL_INPUT, "no bit, one bank");
}

TEST(set_all_banks, "a sparse VP set of 64 banks", "Sparse Virtual Processor Set",
	ROW_NAMES(name_set))
{
	expect_sparse(row, ~0ull, 64, HV_STATUS_SUCCESS, "64 banks");
}

// --- HvCallGetVpIndexFromApicId ---

struct vp_index_input {
	struct hv_input_get_vp_index_from_apic_id header;
	uint32_t apic_ids[MAX_VPS];
};

static uint64_t vp_indices(const struct vp_index_input *input, uint32_t count, uint32_t *indices)
{
	uint8_t *in = page_get(), *out = page_get();
	uint64_t result;

	row_require(&rows[ROW_GetVpIndexFromApicId]);
	__builtin_memcpy(in, input, sizeof(*input));
	result = hypercall(
		hv_call_control(HvCallGetVpIndexFromApicId, 0, count, 0), gpa_of(in), gpa_of(out));
	__builtin_memcpy(indices, out, count * sizeof(*indices));
	return result;
}

TEST(vp_index_all, "HvCallGetVpIndexFromApicId: the index of every VP",
	"HvCallGetVpIndexFromApicId")
{
	struct vp_index_input input = { .header.partition_id = HV_PARTITION_ID_SELF };
	uint32_t indices[MAX_VPS] = { 0 };
	uint64_t result;

	for (unsigned int i = 0; i < machine.vps; i++)
		input.apic_ids[i] = apic_id(machine.vps - 1 - i);
	result = vp_indices(&input, machine.vps, indices);
	expect_status(hv_result_status(result), HV_STATUS_SUCCESS, "all VPs");
	for (unsigned int i = 0; i < machine.vps; i++)
		EXPECT_EQ(indices[i], machine.vps - 1 - i, "VP index");
}

TEST(vp_index_unknown, "HvCallGetVpIndexFromApicId: an unknown APIC id ends the list there",
	"HvCallGetVpIndexFromApicId")
{
	struct vp_index_input input = { .header.partition_id = HV_PARTITION_ID_SELF };
	uint32_t indices[MAX_VPS] = { 0 };
	uint64_t result;

	input.apic_ids[0] = apic_id(0);
	input.apic_ids[1] = 0xfffffff0;
	input.apic_ids[2] = apic_id(0);
	result = vp_indices(&input, 3, indices);
	expect_status(hv_result_status(result), HV_STATUS_INVALID_PARAMETER, "an unknown APIC id");
	EXPECT_EQ(hv_result_reps(result), 1, "reps completed");
	EXPECT_EQ(indices[0], 0, "the first VP index");
}
