// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls: the page's protocol, statuses, continuation of rep calls, XMM registers, wrappers.
#include "machine.h"

#include "guest-sdk/call.h"
#include "lumen/calls.h"

#define PAGE ((uintptr_t)lumen_hypercall_page)

static void prepare(uint32_t features)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS, features, 0);
	machine_set_msr(HV_X64_MSR_GUEST_OS_ID, 0);
	machine_set_msr(HV_X64_MSR_HYPERCALL, 0x5a8); // reserved bits
}

Test(enable, identity_first_then_the_page)
{
	prepare(0);
	cr_assert_eq(lumen_hypercall_enable(0), LUMEN_OK);
	cr_assert_eq(machine_write_count, 2);
	cr_expect_eq(machine_writes[0].msr, HV_X64_MSR_GUEST_OS_ID);
	cr_expect_eq(machine_writes[0].value, 0xff00000000000001 | 0ull << 16, "%lx",
		machine_writes[0].value);
	cr_expect_eq(machine_writes[1].msr, HV_X64_MSR_HYPERCALL);
	cr_expect_eq(machine_writes[1].value, PAGE | 0x5a9);
	cr_assert_eq(lumen_hypercall_enable(0), LUMEN_OK);
	cr_expect_eq(machine_write_count, 2, "a second time changes nothing");
}

Test(enable, identity_of_the_kernel)
{
	prepare(0);
	cr_assert_eq(lumen_hypercall_enable(0x8100000600010000), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_GUEST_OS_ID), 0x8100000600010000);
}

Test(enable, nobody_there)
{
	cr_expect_eq(lumen_hypercall_enable(0), LUMEN_NO_HYPERVISOR);
	cr_expect_eq(lumen_hypercall_disable(), LUMEN_NO_HYPERVISOR);
}

Test(enable, no_privilege)
{
	machine_set_hyperv(HV_PRIVILEGE_POST_MESSAGES, 0, 0);
	cr_expect_eq(lumen_hypercall_enable(0), LUMEN_NO_PRIVILEGE);
}

// A locked page: a write would be #GP.
Test(enable, locked_elsewhere)
{
	prepare(0);
	machine_set_msr(HV_X64_MSR_GUEST_OS_ID, 1);
	machine_set_msr(HV_X64_MSR_HYPERCALL, 0x1000 | 3);
	cr_expect_eq(lumen_hypercall_enable(0), LUMEN_REFUSED);
	cr_expect_eq(lumen_hypercall_disable(), LUMEN_REFUSED);
	cr_expect_eq(machine_write_count, 0);
}

static void refuse(uint32_t msr, uint64_t *value)
{
	if (msr == HV_X64_MSR_HYPERCALL)
		*value &= ~HV_X64_MSR_HYPERCALL_ENABLE;
}

Test(enable, hypervisor_does_not)
{
	prepare(0);
	machine_on_write = refuse;
	cr_expect_eq(lumen_hypercall_enable(0), LUMEN_REFUSED);
}

Test(enable, lock_and_disable)
{
	prepare(HV_FEATURE_EDX_HYPERCALL_MSR_LOCK);
	cr_expect_eq(lumen_hypercall_lock(), LUMEN_BAD_STATE);
	cr_assert_eq(lumen_hypercall_enable(0), LUMEN_OK);
	cr_assert_eq(lumen_hypercall_disable(), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_HYPERCALL), 0x5a8);
	cr_expect_eq(machine_msr(HV_X64_MSR_GUEST_OS_ID), 0);
	cr_assert_eq(lumen_hypercall_enable(0), LUMEN_OK);
	cr_expect_eq(lumen_hypercall_lock(), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_HYPERCALL), PAGE | 0x5ab);
	cr_expect_eq(lumen_hypercall_disable(), LUMEN_REFUSED);
}

Test(enable, lock_is_not_offered)
{
	prepare(0);
	cr_expect_eq(lumen_hypercall_lock(), LUMEN_NOT_SUPPORTED);
}

Test(call, before_enabling)
{
	cr_expect_eq(lumen_hypercall(HvCallGetPartitionId, NULL, NULL), LUMEN_BAD_STATE);
	cr_expect_eq(lumen_hypercall_fast(HvCallSignalEvent, 0, 0), LUMEN_BAD_STATE);
	cr_expect_eq(lumen_hypercall_rep(
			     hv_call_control(HvCallWithdrawMemory, 0, 5, 0), NULL, NULL, NULL),
		LUMEN_BAD_STATE);
}

static uint64_t succeed(struct machine_call *call)
{
	(void)call;
	return 0;
}

static uint64_t deny(struct machine_call *call)
{
	(void)call;
	return HV_STATUS_ACCESS_DENIED | 0xffff0000ull << 32; // reserved bits may be anything
}

Test(call, status_without_the_reserved_bits)
{
	machine_hypervisor = deny;
	cr_expect_eq(lumen_hypercall(HvCallGetPartitionId, NULL, NULL), HV_STATUS_ACCESS_DENIED);
}

Test(call, blocks_are_given_by_their_gpas)
{
	LUMEN_CALL_BLOCK struct hv_input_post_message in = { .connection_id = 4 };
	LUMEN_CALL_BLOCK uint64_t out[2];

	machine_hypervisor = succeed;
	cr_expect_eq(lumen_hypercall(HvCallPostMessage, &in, out), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, 0x5c);
	cr_expect_eq(machine_calls[0].in, (uintptr_t)&in);
	cr_expect_eq(machine_calls[0].out, (uintptr_t)out);
	cr_expect_eq(lumen_hypercall(HvCallPostMessage, NULL, NULL), LUMEN_OK);
	cr_expect_eq(machine_calls[1].in + machine_calls[1].out, 0);
}

Test(call, wrappers_choose_the_form)
{
	LUMEN_CALL_BLOCK struct hv_input_post_message message = { .message_type = 1 };
	LUMEN_CALL_BLOCK struct hv_output_get_partition_id id;
	struct hv_input_signal_event event = { .connection_id = 0x123456, .flag_number = 7 };
	struct hv_input_delete_vp vp = { .partition_id = 5, .vp_index = 6 };

	machine_hypervisor = succeed;
	cr_expect_eq(lumen_call_SignalEvent(&event), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, 0x1005d);
	cr_expect_eq(machine_calls[0].in, 0x700123456);
	cr_expect_eq(machine_calls[0].out, 0);
	cr_expect_eq(lumen_call_DeleteVp(&vp), LUMEN_OK);
	cr_expect_eq(machine_calls[1].control, 0x1004f);
	cr_expect_eq(machine_calls[1].in, 5);
	cr_expect_eq(machine_calls[1].out, 6);
	cr_expect_eq(lumen_call_PostMessage(&message), LUMEN_OK);
	cr_expect_eq(machine_calls[2].control, 0x5c);
	cr_expect_eq(machine_calls[2].in, (uintptr_t)&message);
	cr_expect_eq(lumen_call_GetPartitionId(&id), LUMEN_OK);
	cr_expect_eq(machine_calls[3].control, 0x46);
	cr_expect_eq(machine_calls[3].out, (uintptr_t)&id);
}

// --- rep calls ---

static uint64_t answers[8];
static size_t answered;

static uint64_t answer(struct machine_call *call)
{
	(void)call;
	return answers[answered++];
}

static lumen_status repeat(uint32_t count, uint32_t start, uint32_t *done)
{
	machine_hypervisor = answer;
	return lumen_hypercall_rep(
		hv_call_control(HvCallWithdrawMemory, 0, count, start), NULL, NULL, done);
}

Test(rep, continues_until_done)
{
	uint32_t done;

	answers[0] = hv_result(HV_STATUS_SUCCESS, 3);
	answers[1] = hv_result(HV_STATUS_TIMEOUT, 4);
	answers[2] = hv_result(HV_STATUS_SUCCESS, 10);
	cr_expect_eq(repeat(10, 1, &done), LUMEN_OK);
	cr_expect_eq(done, 10);
	cr_assert_eq(machine_call_count, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(hv_call_rep_count(machine_calls[i].control), 10);
	cr_expect_eq(hv_call_rep_start(machine_calls[0].control), 1);
	cr_expect_eq(hv_call_rep_start(machine_calls[1].control), 3);
	cr_expect_eq(hv_call_rep_start(machine_calls[2].control), 4);
}

Test(rep, an_error_ends_it)
{
	uint32_t done;

	answers[0] = hv_result(HV_STATUS_SUCCESS, 2);
	answers[1] = hv_result(HV_STATUS_INSUFFICIENT_MEMORY, 5);
	cr_expect_eq(repeat(10, 0, &done), HV_STATUS_INSUFFICIENT_MEMORY);
	cr_expect_eq(done, 5);
	cr_expect_eq(machine_call_count, 2);
}

Test(rep, no_progress)
{
	uint32_t done;

	answers[0] = hv_result(HV_STATUS_SUCCESS, 2);
	answers[1] = hv_result(HV_STATUS_SUCCESS, 2);
	cr_expect_eq(repeat(10, 0, &done), LUMEN_BAD_HOST);
	cr_expect_eq(done, 2);
	answers[2] = hv_result(HV_STATUS_TIMEOUT, 0);
	cr_expect_eq(repeat(10, 0, &done), HV_STATUS_TIMEOUT);
	answers[3] = hv_result(HV_STATUS_SUCCESS, 1); // backwards
	cr_expect_eq(repeat(10, 4, &done), LUMEN_BAD_HOST);
	cr_expect_eq(done, 4);
	answers[4] = hv_result(HV_STATUS_SUCCESS, 11); // more than there are
	cr_expect_eq(repeat(10, 0, &done), LUMEN_BAD_HOST);
	cr_expect_eq(done, 0);
	cr_expect_eq(machine_call_count, 5);
}

Test(rep, zero_elements_are_the_hypervisors_to_judge)
{
	answers[0] = hv_result(HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
	cr_expect_eq(repeat(0, 0, NULL), HV_STATUS_INVALID_HYPERCALL_INPUT);
	cr_expect_eq(machine_call_count, 1);
}

// --- XMM ---

static uint64_t fill_output(struct machine_call *call)
{
	for (size_t i = 0; i < 14; i++)
		call->registers.word[i] = 0x100 + i;
	return 0;
}

Test(xmm, input_and_output)
{
	uint64_t in[3] = { 1, 2, 3 }, out[10];

	machine_set_hyperv(0, HV_FEATURE_EDX_XMM_FAST_INPUT | HV_FEATURE_EDX_XMM_FAST_OUTPUT, 0);
	machine_hypervisor = fill_output;
	cr_assert_eq(lumen_hypercall_xmm(0x20, in, 20, out, sizeof(out)), LUMEN_OK);
	cr_expect(machine_calls[0].xmm);
	cr_expect_eq(machine_calls[0].control, 0x10020);
	// TLFS: of 20 bytes of input the next 12 are ignored; 80 are left for output.
	for (size_t i = 0; i < 10; i++)
		cr_expect_eq(out[i], 0x104 + i);
	cr_expect_eq(lumen_hypercall_xmm(0x20, in, 20, out, 81), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_hypercall_xmm(0x20, in, 113, NULL, 0), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_hypercall_xmm(0x20, in, SIZE_MAX, NULL, 0), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_hypercall_xmm(0x20, in, 8, out, SIZE_MAX), LUMEN_BAD_ARGUMENT);
}

static uint64_t check_input(struct machine_call *call)
{
	static const uint64_t wanted[14] = { 1, 2, 3 };

	cr_expect_arr_eq(call->registers.word, wanted, sizeof(wanted));
	return HV_STATUS_INVALID_PARAMETER;
}

// The rest is zero; and an error leaves the output as it was.
Test(xmm, input_is_padded_and_errors_put_nothing_out)
{
	uint64_t in[3] = { 1, 2, 3 }, out = 9;

	machine_set_hyperv(0, HV_FEATURE_EDX_XMM_FAST_INPUT | HV_FEATURE_EDX_XMM_FAST_OUTPUT, 0);
	machine_hypervisor = check_input;
	cr_expect_eq(lumen_hypercall_xmm(0x20, in, 24, &out, 8), HV_STATUS_INVALID_PARAMETER);
	cr_expect_eq(out, 9);
}

// TLFS: #UD if it is not offered.
Test(xmm, not_offered)
{
	uint64_t block[3] = { 0 };

	machine_set_hyperv(0, 0, 0);
	machine_hypervisor = succeed;
	cr_expect_eq(lumen_hypercall_xmm(0x20, block, 24, NULL, 0), LUMEN_NOT_SUPPORTED);
	cr_expect_eq(lumen_hypercall_xmm(0x20, block, 16, block, 8), LUMEN_NOT_SUPPORTED);
	cr_expect_eq(machine_call_count, 0);
	cr_expect_eq(lumen_hypercall_xmm(0x20, block, 16, NULL, 0), LUMEN_OK);
}
