// SPDX-License-Identifier: BSD-2-Clause
// VP sets, and the calls that have them: flushes and IPIs.
#include "machine.h"

#include "base/macros.h"
#include "lumen/ipi.h"
#include "lumen/tlb.h"
#include "lumen/vp.h"

static struct lumen_vp_set set;
static struct hv_vp_set header;
static uint64_t banks[HV_VP_SET_BANKS];

static uint64_t all_done(struct machine_call *call)
{
	return hv_result(HV_STATUS_SUCCESS, hv_call_rep_count(call->control));
}

Test(set, membership)
{
	static const uint32_t some[] = { 0, 63, 64, 1000, LUMEN_VP_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		cr_expect_not(lumen_vp_set_has(&set, some[i]));
		lumen_vp_set_add(&set, some[i]);
		cr_expect(lumen_vp_set_has(&set, some[i]));
	}
	lumen_vp_set_remove(&set, 64);
	cr_expect_not(lumen_vp_set_has(&set, 64));
	cr_expect(lumen_vp_set_has(&set, 63));
	lumen_vp_set_add(&set, LUMEN_VP_MAX);
	cr_expect_not(lumen_vp_set_has(&set, LUMEN_VP_MAX));
	lumen_vp_set_remove(&set, LUMEN_VP_MAX);
}

// TLFS: HV_VP_SET: VPs 0, 5 and 130 are in banks 0 and 2.
Test(set, sparse)
{
	lumen_vp_set_add(&set, 0);
	lumen_vp_set_add(&set, 5);
	lumen_vp_set_add(&set, 130);
	cr_assert_eq(lumen_vp_set_pack(&set, &header, banks, 64), 2);
	cr_expect_eq(header.format, HV_VP_SET_SPARSE_4K);
	cr_expect_eq(header.valid_bank_mask, 0x5);
	cr_expect_eq(banks[0], 0x21);
	cr_expect_eq(banks[1], 0x4);
}

Test(set, limits)
{
	cr_expect_eq(lumen_vp_set_pack(&set, &header, banks, 0), 0); // nobody
	cr_expect_eq(header.format, HV_VP_SET_SPARSE_4K);
	cr_expect_eq(header.valid_bank_mask, 0);
	cr_expect_eq(lumen_vp_set_pack(NULL, &header, banks, 0), 0); // everybody
	cr_expect_eq(header.format, HV_VP_SET_ALL);
	memset(&set, 0xff, sizeof(set));
	cr_expect_eq(lumen_vp_set_pack(&set, &header, banks, 64), 64);
	cr_expect_eq(header.valid_bank_mask, UINT64_MAX);
	cr_expect_eq(lumen_vp_set_pack(&set, &header, banks, 63), -1);
}

Test(index, by_msr)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_VP_INDEX, 0, 0);
	machine_set_msr(HV_X64_MSR_VP_INDEX, 3);
	cr_expect_eq(lumen_vp_index(), 3);
}

Test(index, not_offered)
{
	machine_set_hyperv(0, 0, 0);
	cr_expect_eq(lumen_vp_index(), 0);
}

Test(ipi, plain_is_fast)
{
	machine_hypervisor = all_done;
	cr_expect_eq(lumen_ipi_send(0x80, 0xf0), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, 0x1000b);
	cr_expect_eq(machine_calls[0].in, 0x80);
	cr_expect_eq(machine_calls[0].out, 0xf0);
	cr_expect_eq(lumen_ipi_send(15, 1), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_ipi_send_ex(15, NULL), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(machine_call_count, 1);
}

Test(ipi, ex)
{
	static const uint64_t wanted[] = { 0x81, HV_VP_SET_SPARSE_4K, 0x3, 0x2, 0x1 };
	static const uint64_t all[] = { 0x81, HV_VP_SET_ALL, 0 };

	machine_hypervisor = all_done;
	lumen_vp_set_add(&set, 1);
	lumen_vp_set_add(&set, 64);
	cr_expect_eq(lumen_ipi_send_ex(0x81, &set), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, hv_call_control(0x15, 2, 0, 0));
	cr_expect_arr_eq(machine_input[0], wanted, sizeof(wanted));
	cr_expect_eq(lumen_ipi_send_ex(0x81, NULL), LUMEN_OK);
	cr_expect_eq(machine_calls[1].control, 0x15);
	cr_expect_arr_eq(machine_input[1], all, sizeof(all));
}

Test(tlb, plain)
{
	static const uint64_t wanted[] = { 0x5000, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 0x6 };

	machine_hypervisor = all_done;
	cr_expect_eq(lumen_tlb_flush(0x5fff, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 0x6), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, 0x02);
	cr_expect_arr_eq(machine_input[0], wanted, sizeof(wanted));
}

Test(tlb, plain_list)
{
	static const uint64_t ranges[] = { 0x7000, 0x9003 };
	static const uint64_t wanted[] = { 0x5000, 0, 0x6, 0x7000, 0x9003 };

	machine_hypervisor = all_done;
	cr_expect_eq(lumen_tlb_flush_list(0x5000, 0, 0x6, ranges, 2), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, hv_call_control(0x03, 0, 2, 0));
	cr_expect_arr_eq(machine_input[0], wanted, sizeof(wanted));
	cr_expect_eq(lumen_tlb_flush_list(0x5000, 0, 0x6, ranges, 0), LUMEN_OK);
	cr_expect_eq(machine_call_count, 1, "nothing to flush");
}

Test(tlb, ex)
{
	static const uint64_t wanted[] = { 0x5000, 1, HV_VP_SET_SPARSE_4K, 1ull << 63, 1ull << 63 };

	machine_hypervisor = all_done;
	lumen_vp_set_add(&set, LUMEN_VP_MAX - 1);
	cr_expect_eq(lumen_tlb_flush_ex(0x5000, 1, &set), LUMEN_OK);
	cr_expect_eq(machine_calls[0].control, hv_call_control(0x13, 1, 0, 0));
	cr_expect_arr_eq(machine_input[0], wanted, sizeof(wanted));
}

// The fullest set and more ranges than fit behind it: several calls, none of which loses one.
Test(tlb, ex_list_in_pieces)
{
	uint64_t ranges[150], at = 0;

	for (uint64_t i = 0; i < 150; i++)
		ranges[i] = i << 12;
	memset(&set, 0xff, sizeof(set));
	machine_hypervisor = all_done;
	cr_expect_eq(lumen_tlb_flush_list_ex(0x5000, 0, &set, ranges, 150), LUMEN_OK);
	cr_expect_gt(machine_call_count, 1);
	for (size_t i = 0; i < machine_call_count; i++) {
		uint32_t count = hv_call_rep_count(machine_calls[i].control);

		cr_expect_eq(hv_call_code(machine_calls[i].control), 0x14);
		cr_expect_eq(hv_call_variable_bytes(machine_calls[i].control), 64 * 8);
		cr_expect_eq(machine_input[i][3], UINT64_MAX);
		cr_expect_arr_eq(&machine_input[i][4 + 64], &ranges[at], count * 8);
		at += count;
	}
	cr_expect_eq(at, 150);
}

static uint64_t fail_second(struct machine_call *call)
{
	return machine_call_count == 2 ? (uint64_t)HV_STATUS_INVALID_PARAMETER : all_done(call);
}

Test(tlb, an_error_ends_the_pieces)
{
	static uint64_t ranges[400];

	machine_hypervisor = fail_second;
	cr_expect_eq(lumen_tlb_flush_list(0, 0, 1, ranges, 400), HV_STATUS_INVALID_PARAMETER);
	cr_expect_eq(machine_call_count, 2);
}

Test(tlb, ranges)
{
	uint64_t ranges[3] = { 0, 0, 0x77 };

	cr_expect_eq(lumen_tlb_ranges((void *)0x1234567, 1, ranges, 3), 1);
	cr_expect_eq(ranges[0], 0x1234000);
	cr_expect_eq(lumen_tlb_ranges((void *)0xffff800000000000, 4096, ranges, 3), 1);
	cr_expect_eq(ranges[0], 0xffff800000000fff);
	cr_expect_eq(lumen_tlb_ranges((void *)0x1000, 4097, ranges, 2), 2);
	cr_expect_eq(ranges[0], 0x1fff);
	cr_expect_eq(ranges[1], 0x1001000);
	cr_expect_eq(lumen_tlb_ranges((void *)0x1000, 2 * 4096 + 1, ranges, 2), 0);
	cr_expect_eq(ranges[2], 0x77);
	cr_expect_eq(lumen_tlb_ranges((void *)0x1000, 0, ranges, 2), 0);
}
