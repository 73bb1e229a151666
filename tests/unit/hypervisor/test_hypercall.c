// SPDX-License-Identifier: BSD-2-Clause
// The dispatcher: what each bad call gets (TLFS: Hypercall Interface), for every row of the table.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>

#include "hypercall/tlb.h"
#include "hypervisor/core/backend.h"

#define PAGE(n) ((n)*4096ull)

static const struct row {
	uint16_t code;
	bool rep;
	uint16_t in, in_element, out, out_element;
	bool fast, variable;
	uint64_t privilege;
	const char *name;
} rows[] = {
#define ROW(code, name, type, kind, in_element, out_element, fast, variable, privilege, ...)       \
	{ code, HV_CALL_IS_REP(kind), HV_CALL_IN(kind, type), in_element, HV_CALL_OUT(kind, type), \
		out_element, fast, variable, privilege, #name },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

#define FOR_EACH_ROW(row) for (const struct row *row = rows; row < rows + ARRAY_SIZE(rows); row++)

static struct vp *vp;

static void setup(void)
{
	machine_setup();
	vp = root_vp(0);
	// Every privilege there is: what is refused below is not for want of one.
	root_partition->privileges = UINT64_MAX;
}

TestSuite(hypercall, .init = setup, .timeout = 60);

// A control word that is right for ROW but for EXTRA.
static uint64_t control_of(const struct row *row, uint64_t extra)
{
	return hv_call_control(row->code, 0, row->rep, 0) | extra;
}

static int last_exception;

// Issues the call once with these registers: the status, or -1 if it raised an exception, -2 if it
// is to be executed again.
static int call(uint64_t control, uint64_t in, uint64_t out)
{
	vp->regs.gpr[RCX] = control;
	vp->regs.gpr[RDX] = in;
	vp->regs.gpr[R8] = out;
	vp->regs.gpr[RAX] = 0x5555555555555555;
	if (machine_call_once(vp))
		return hv_result_status(vp->regs.gpr[RAX]);
	last_exception = machine_exception(vp);
	return last_exception < 0 ? -2 : -1;
}

static int call_row(const struct row *row, uint64_t extra)
{
	return call(control_of(row, extra), PAGE(MACHINE_IN_PAGE), PAGE(MACHINE_IN_PAGE + 1));
}

Test(hypercall, unknown_codes)
{
	const uint16_t codes[] = { 0, 1, 4, 0x3f, 0x55, 0x130, 0x132, 0x200, 0x8001, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++)
		cr_assert_eq(call(codes[i], 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE, "code %x",
			codes[i]);
	// The call code is looked at before anything else.
	cr_assert_eq(call(0x55 | HV_CALL_RSVD_MASK, 1, 1), HV_STATUS_INVALID_HYPERCALL_CODE);
	cr_assert_eq(vp->regs.gpr[RAX], HV_STATUS_INVALID_HYPERCALL_CODE);
}

Test(hypercall, privilege_comes_before_the_control_word)
{
	root_partition->privileges = 0;
	FOR_EACH_ROW(row)
	{
		if (row->privilege == HV_PRIVILEGE_NONE)
			continue;
		cr_assert_eq(
			call_row(row, HV_CALL_RSVD_MASK), HV_STATUS_ACCESS_DENIED, "%s", row->name);
	}
}

Test(hypercall, each_alternative_privilege_suffices)
{
	FOR_EACH_ROW(row)
	{
		for (uint64_t left = row->privilege; left; left &= left - 1) {
			root_partition->privileges = left & -left;
			cr_assert_neq(call(control_of(row, HV_CALL_RSVD_MASK), 0, 0),
				HV_STATUS_ACCESS_DENIED, "%s", row->name);
		}
	}
}

Test(hypercall, reserved_bits_of_the_control_word)
{
	FOR_EACH_ROW(row)
	{
		for (unsigned int bit = 0; bit < 64; bit++)
			if ((HV_CALL_RSVD_MASK | HV_CALL_NESTED) >> bit & 1)
				cr_assert_eq(call_row(row, 1ull << bit),
					HV_STATUS_INVALID_HYPERCALL_INPUT, "%s bit %u", row->name,
					bit);
	}
}

Test(hypercall, rep_counts)
{
	FOR_EACH_ROW(row)
	{
		uint64_t in = PAGE(MACHINE_IN_PAGE), out = PAGE(MACHINE_IN_PAGE + 1);
		static const uint16_t bad_rep[][2] = { { 0, 0 }, { 1, 1 }, { 2, 3 }, { 0, 1 } };
		static const uint16_t bad_simple[][2] = { { 1, 0 }, { 0, 1 }, { 4095, 0 } };

		for (unsigned int i = 0; row->rep && i < ARRAY_SIZE(bad_rep); i++)
			cr_assert_eq(
				call(hv_call_control(row->code, 0, bad_rep[i][0], bad_rep[i][1]),
					in, out),
				HV_STATUS_INVALID_HYPERCALL_INPUT, "%s", row->name);
		for (unsigned int i = 0; !row->rep && i < ARRAY_SIZE(bad_simple); i++)
			cr_assert_eq(call(hv_call_control(
						  row->code, 0, bad_simple[i][0], bad_simple[i][1]),
					     in, out),
				HV_STATUS_INVALID_HYPERCALL_INPUT, "%s", row->name);
	}
}

Test(hypercall, variable_headers_only_where_documented)
{
	FOR_EACH_ROW(row)
	if (!row->variable)
		cr_assert_eq(call_row(row, 1ull << HV_CALL_VARIABLE_HEADER_SHIFT),
			HV_STATUS_INVALID_HYPERCALL_INPUT, "%s", row->name);
}

Test(hypercall, fast_calls_only_where_they_fit)
{
	FOR_EACH_ROW(row)
	{
		int status = call_row(row, HV_CALL_FAST);

		if (!row->fast)
			cr_assert_eq(status, HV_STATUS_INVALID_HYPERCALL_INPUT, "%s", row->name);
		else
			cr_assert_geq(status, 0, "%s", row->name);
	}
	cr_assert_eq(machine_exception(vp), -1);
}

// TLFS: XMM Fast Hypercall Input: input beyond RDX and R8 is in XMM0 to XMM5.
Test(hypercall, xmm_input)
{
	const uint64_t xmm[] = { HV_VP_SET_SPARSE_4K, 1, 2 }; // bank 0: VP 1
	const uint64_t list[12] = { 3, 0x1000, 0x2000 };      // VPs 0 and 1, then 11 addresses
	unsigned int own = machine_vp(vp)->flushes, other = machine_vp(root_vp(1))->flushes;

	memcpy(machine_xmm, xmm, sizeof(xmm));
	cr_assert_eq(call(hv_call_control(HvCallFlushVirtualAddressSpaceEx, 1, 0, 0) | HV_CALL_FAST,
			     0, 0),
		0);
	cr_assert_eq(machine_vp(vp)->flushes, own);
	cr_assert_eq(machine_vp(root_vp(1))->flushes, other + 1);
	// 24 bytes of header and 11 addresses are 112.
	memcpy(machine_xmm, list, sizeof(machine_xmm));
	cr_assert_eq(
		call(hv_call_control(HvCallFlushVirtualAddressList, 0, 11, 0) | HV_CALL_FAST, 0, 0),
		0);
	cr_assert_eq(hv_result_reps(vp->regs.gpr[RAX]), 11);
	cr_assert_eq(machine_vp(vp)->flushes, own + 1);
	cr_assert_eq(
		call(hv_call_control(HvCallFlushVirtualAddressList, 0, 12, 0) | HV_CALL_FAST, 0, 0),
		HV_STATUS_INVALID_HYPERCALL_INPUT);
}

// TLFS: XMM Fast Hypercall Output: behind the input, from a multiple of 16 on.
Test(hypercall, xmm_output)
{
	const uint32_t ids[] = { 1, 0, 0xffff };
	uint32_t indices[3];

	memset(machine_xmm, 0xee, sizeof(machine_xmm));
	cr_assert_eq(call(HvCallGetPartitionId | HV_CALL_FAST, 77, 78), 0);
	cr_assert_eq(vp->regs.gpr[RDX], PARTITION_ROOT_ID, "no input: output begins in RDX");
	cr_assert_eq(vp->regs.gpr[R8], 78);
	cr_assert_eq(machine_xmm[0], 0xee);

	memcpy(machine_xmm, ids, sizeof(ids));
	cr_assert_eq(call(hv_call_control(HvCallGetVpIndexFromApicId, 0, 2, 0) | HV_CALL_FAST,
			     HV_PARTITION_ID_SELF, 0),
		0);
	memcpy(indices, machine_xmm + 16, sizeof(indices));
	cr_assert_eq(indices[0], 1, "24 bytes of input: output begins in XMM1");
	cr_assert_eq(indices[1], 0);
	cr_assert_eq(indices[2], 0xeeeeeeee, "and ends with what there is");
	cr_assert_eq(vp->regs.gpr[RDX], HV_PARTITION_ID_SELF);

	// What was done before the start index, and before an element that fails, stays.
	memset(machine_xmm + 16, 0xee, 16);
	cr_assert_eq(call(hv_call_control(HvCallGetVpIndexFromApicId, 0, 3, 1) | HV_CALL_FAST,
			     HV_PARTITION_ID_SELF, 0),
		HV_STATUS_INVALID_PARAMETER);
	memcpy(indices, machine_xmm + 16, sizeof(indices));
	cr_assert_eq(indices[0], 0xeeeeeeee);
	cr_assert_eq(indices[1], 0);
	cr_assert_eq(indices[2], 0xeeeeeeee);
	cr_assert_eq(hv_result_reps(vp->regs.gpr[RAX]), 2);
}

Test(hypercall, xmm_output_has_no_more_room_than_there_are_registers)
{
	const uint32_t rip = HvX64RegisterRip, names[] = { rip, rip, rip, rip, rip };
	uint64_t control = hv_call_control(HvCallGetVpRegisters, 0, 4, 0) | HV_CALL_FAST;

	vp->regs.rip = 0x1234;
	memcpy(machine_xmm, names, sizeof(names));
	cr_assert_eq(call(control, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF), 0);
	cr_assert_eq(*(uint64_t *)(machine_xmm + 64), 0x1234, "32 and 64 bytes");
	control = hv_call_control(HvCallGetVpRegisters, 0, 5, 0) | HV_CALL_FAST;
	cr_assert_eq(call(control, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF),
		HV_STATUS_INVALID_HYPERCALL_INPUT, "48 and 80 bytes");
	machine_vp(vp)->mode = CPU_MODE_PROTECTED;
	vp->regs.gpr[RDX] = 0;
	vp->regs.gpr[RAX] = HvCallGetPartitionId | HV_CALL_FAST;
	cr_assert(machine_call_once(vp));
	cr_assert_eq(vp->regs.gpr[RAX], HV_STATUS_INVALID_HYPERCALL_INPUT,
		"32-bit callers have no output in registers");
}

// The log has hypercall/explain.h's texts, which lumen_explain() has too.
Test(hypercall, refusals_are_explained_in_the_log)
{
	uint64_t in[2] = { HV_PARTITION_ID_SELF, 0x12345 };

	call(HvCallFlushVirtualAddressSpace | HV_CALL_RSVD_MASK, 0, 0);
	cr_assert(strstr(machine_log, "partition 1 VP 0: HvCallFlushVirtualAddressSpace: status 3: "
				      "bits 30:27, 47:44"),
		"%s", machine_log);
	call(HvCallGetPartitionId, 0, 4);
	cr_assert(strstr(machine_log, "HvCallGetPartitionId: status 4: the GPAs of input and"),
		"%s", machine_log);
	cr_assert_eq(
		machine_call(vp, HvCallSignalEvent, in, 8, NULL, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert(strstr(machine_log, "HvCallSignalEvent: status 5: the flag number is"), "%s",
		machine_log);
	root_partition->privileges = 0;
	call(HvCallSignalEvent, 0, 0);
	cr_assert(strstr(machine_log, "status 6: the partition lacks the privilege SignalEvents"),
		"%s", machine_log);
	call(HvCallGetVpRegisters, 0, 0);
	cr_assert(strstr(machine_log, "lacks the privilege AccessVpRegisters"), "%s", machine_log);
}

Test(hypercall, what_is_no_mistake_is_not_in_the_log)
{
	const uint64_t in[] = { HV_PARTITION_ID_SELF, 0 };

	cr_assert_eq(call(0x777, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE);
	cr_assert_eq(machine_call_rep(vp, HvCallWithdrawMemory, 500, in, sizeof(in), NULL, 0, NULL),
		HV_STATUS_NO_RESOURCES);
	cr_assert_str_eq(machine_log, "");
}

Test(hypercall, alignment_and_page_bounds)
{
	FOR_EACH_ROW(row)
	{
		uint64_t in = PAGE(MACHINE_IN_PAGE), out = PAGE(MACHINE_IN_PAGE + 1);
		uint32_t in_bytes = row->in + row->in_element,
			 out_bytes = row->out + row->out_element;
		uint64_t control = control_of(row, 0);
		const uint64_t bad[] = { 1, 4, 4096 - 8 + 4, PAGE(1ull << 36), 1ull << 63,
			PAGE(MACHINE_PAGES) };

		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			if (in_bytes)
				cr_assert_eq(call(control, in + bad[i], out),
					HV_STATUS_INVALID_ALIGNMENT, "%s in +%lx", row->name,
					bad[i]);
			if (out_bytes)
				cr_assert_eq(call(control, in, out + bad[i]),
					HV_STATUS_INVALID_ALIGNMENT, "%s out +%lx", row->name,
					bad[i]);
		}
		if (in_bytes > 8)
			cr_assert_eq(call(control, in + 4096 - 8, out), HV_STATUS_INVALID_ALIGNMENT,
				"%s", row->name);
		if (out_bytes > 8)
			cr_assert_eq(call(control, in, out + 4096 - 8), HV_STATUS_INVALID_ALIGNMENT,
				"%s", row->name);
		// The whole list counts, what is done already among it.
		if (row->in_element)
			cr_assert_eq(call(hv_call_control(row->code, 0, 4095, 4094), in, out),
				HV_STATUS_INVALID_ALIGNMENT, "%s", row->name);
	}
}

Test(hypercall, pages_that_are_not_mapped)
{
	FOR_EACH_ROW(row)
	{
		uint64_t hole = PAGE(100); // the hypervisor's

		if (row->in + row->in_element)
			cr_assert_eq(call(control_of(row, 0), hole, PAGE(MACHINE_IN_PAGE)),
				HV_STATUS_INVALID_ALIGNMENT);
		if (row->out + row->out_element)
			cr_assert_eq(call(control_of(row, 0), PAGE(MACHINE_IN_PAGE), hole),
				HV_STATUS_INVALID_ALIGNMENT);
	}
}

// Whatever the parameters are: zeroes and all ones in every call give a status and break nothing.
Test(hypercall, garbage)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0x55, 0x01 };

	for (unsigned int i = 0; i < ARRAY_SIZE(fills); i++) {
		FOR_EACH_ROW(row)
		{
			if (row->code == HvCallDepositMemory && fills[i] == 0x55)
				continue;
			memset(machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)), fills[i],
				4096);
			cr_assert_geq(call_row(row, 0), 0, "%s %x", row->name, fills[i]);
		}
	}
	machine_check();
}

Test(hypercall, legal_environments)
{
	struct machine_vp *m = machine_vp(vp);
	const unsigned int illegal[] = { CPU_MODE_PROTECTED | 1,
		CPU_MODE_PROTECTED | CPU_MODE_64BIT | 3, 0, CPU_MODE_PROTECTED | 2 };

	for (unsigned int i = 0; i < ARRAY_SIZE(illegal); i++) {
		m->mode = illegal[i];
		cr_assert_eq(call(0xffff, 0, 0), -1, "mode %x", illegal[i]);
		cr_assert_eq(last_exception, 6);
		cr_assert_eq(vp->regs.gpr[RAX], 0x5555555555555555);
	}
	m->mode = CPU_MODE_PROTECTED | CPU_MODE_64BIT;
	root_partition->guest_os_id = 0; // TLFS: Reporting the Guest OS Identity
	cr_assert_eq(call(0xffff, 0, 0), -1);
}

// TLFS: Hypercall Register Conventions, x86: EDX:EAX, EBX:ECX, EDI:ESI; the result in EDX:EAX.
Test(hypercall, registers_of_a_32_bit_caller)
{
	uint64_t *gpr = vp->regs.gpr;

	machine_vp(vp)->mode = CPU_MODE_PROTECTED;
	memset(gpr, 0xff, sizeof(vp->regs.gpr)); // the upper halves are not there for such a caller
	gpr[RDX] = 0xabcd00000000;
	gpr[RAX] = 0xabcd00000000 | HvCallGetPartitionId;
	gpr[RDI] = 0xabcd00000000;
	gpr[RSI] = 0xabcd00000000 | PAGE(MACHINE_IN_PAGE + 1);
	cr_assert(machine_call_once(vp));
	cr_assert_eq(gpr[RDX], 0);
	cr_assert_eq(gpr[RAX], HV_STATUS_SUCCESS, "%lx", gpr[RAX]);
	cr_assert_eq(*(uint64_t *)machine_memory(root_partition, PAGE(MACHINE_IN_PAGE + 1)),
		PARTITION_ROOT_ID);
	cr_assert_eq(gpr[RCX], UINT64_MAX);

	gpr[RDX] = 1; // one element
	gpr[RAX] = HvCallWithdrawMemory;
	gpr[RBX] = 0;
	gpr[RCX] = PAGE(MACHINE_IN_PAGE);
	*(uint64_t *)machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)) = HV_PARTITION_ID_SELF;
	cr_assert(machine_call_once(vp));
	cr_assert_eq(gpr[RAX], HV_STATUS_SUCCESS);
	cr_assert_eq(gpr[RDX], 1); // elements done

	gpr[RDX] = 0;
	gpr[RAX] = 0x7777;
	cr_assert(machine_call_once(vp));
	cr_assert_eq(gpr[RAX], HV_STATUS_INVALID_HYPERCALL_CODE);
	cr_assert_eq(gpr[RDX], 0);
}

// Output starts zeroed and is written as far as completed, and only that far.
Test(hypercall, output_is_written_as_far_as_completed)
{
	const uint64_t in[] = { HV_PARTITION_ID_SELF, 0 };
	uint64_t *out = machine_memory(root_partition, PAGE(MACHINE_IN_PAGE + 1));
	uint64_t result;
	uint32_t done;

	memset(out, 0xee, 4096);
	result = machine_call_control(
		vp, hv_call_control(HvCallWithdrawMemory, 0, 5, 2), in, sizeof(in), NULL, 0);
	done = hv_result_reps(result);
	cr_assert_eq(hv_result_status(result), HV_STATUS_SUCCESS);
	cr_assert_eq(done, 5);
	cr_assert_eq(hv_call_rep_start(vp->regs.gpr[RCX]), 5);
	for (unsigned int i = 0; i < 512; i++)
		cr_assert_eq(out[i] == 0xeeeeeeeeeeeeeeee, i < 2 || i >= 5, "element %u", i);

	memset(out, 0xee, 4096); // a failing simple call writes nothing
	cr_assert_eq(
		call(HvCallGetPartitionProperty, PAGE(MACHINE_IN_PAGE), PAGE(MACHINE_IN_PAGE + 1)),
		HV_STATUS_UNKNOWN_PROPERTY);
	cr_assert_eq(out[0], 0xeeeeeeeeeeeeeeee);
}

// TLFS: Hypercall Continuation. 4095 pages to unmap exceed what is done in a go for large pages.
Test(hypercall, continuation)
{
	struct partition *child = machine_child(0, 1, 16);
	const uint64_t in[] = { child->id, 0, 4 }; // large pages
	unsigned int rounds = 0;

	memcpy(machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)), in, sizeof(in));
	vp->regs.gpr[RCX] = hv_call_control(HvCallUnmapGpaPages, 0, 100, 0);
	vp->regs.gpr[RDX] = PAGE(MACHINE_IN_PAGE);
	vp->regs.gpr[RAX] = 0x1234;
	while (!machine_call_once(vp)) {
		rounds++;
		cr_assert_eq(hv_call_rep_start(vp->regs.gpr[RCX]), 16 * rounds);
		cr_assert_eq(hv_call_rep_count(vp->regs.gpr[RCX]), 100);
		cr_assert_eq(vp->regs.gpr[RAX], 0x1234);
	}
	cr_assert_eq(rounds, 6);
	cr_assert_eq(vp->regs.gpr[RAX], hv_result(HV_STATUS_SUCCESS, 100));
}

// --- processor sets, flushes, IPIs ---

static hv_status flush_ex(
	uint64_t format, uint64_t banks, unsigned int variable, uint64_t contents, uint64_t flags)
{
	const uint64_t in[] = { 0, flags, format, banks, contents, contents };

	return hv_result_status(machine_call_control(vp,
		hv_call_control(HvCallFlushVirtualAddressSpaceEx, variable, 0, 0), in, sizeof(in),
		NULL, 0));
}

static unsigned int flushes(unsigned int index)
{
	return machine_vp(root_vp(index))->flushes;
}

Test(hypercall, flush_reaches_the_processors_named)
{
	uint64_t in[] = { 0, 0, 1 << 0 };
	unsigned int own = flushes(0), other = flushes(1);

	cr_assert_eq(machine_call(vp, HvCallFlushVirtualAddressSpace, in, sizeof(in), NULL, 0), 0);
	cr_assert_eq(flushes(0), own + 1);
	cr_assert_eq(flushes(1), other);
	in[2] = 1 << 1 | 1ull << 40;
	cr_assert_eq(machine_call(vp, HvCallFlushVirtualAddressSpace, in, sizeof(in), NULL, 0), 0);
	cr_assert_eq(flushes(0), own + 1);
	cr_assert_eq(flushes(1), other + 1); // it was in the guest, and is out and in again by now
	in[1] = HV_FLUSH_ALL_PROCESSORS;
	in[2] = 0;
	cr_assert_eq(machine_call(vp, HvCallFlushVirtualAddressSpace, in, sizeof(in), NULL, 0), 0);
	cr_assert_eq(flushes(0), own + 2);
	cr_assert_eq(flushes(1), other + 2);
	in[1] = 1ull << 20;
	cr_assert_eq(machine_call(vp, HvCallFlushVirtualAddressSpace, in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
}

Test(hypercall, flush_lists)
{
	const uint64_t in[] = { 0, 0, 3, 0x1000, 0x2000, 0x3000 };
	const uint64_t bad[] = { 0, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 3, 0x1000 };
	uint32_t done;

	cr_assert_eq(machine_call_rep(
			     vp, HvCallFlushVirtualAddressList, 3, in, sizeof(in), NULL, 0, &done),
		0);
	cr_assert_eq(done, 3);
	cr_assert_eq(machine_call_rep(vp, HvCallFlushVirtualAddressList, 1, bad, sizeof(bad), NULL,
			     0, &done),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(done, 0);
}

Test(hypercall, processor_sets)
{
	unsigned int own = flushes(0), other = flushes(1);

	cr_assert_eq(flush_ex(HV_VP_SET_SPARSE_4K, 1, 1, 2, 0), 0);
	cr_assert_eq(flushes(0), own);
	cr_assert_eq(flushes(1), other + 1);
	cr_assert_eq(flush_ex(HV_VP_SET_ALL, 0, 0, 0, 0), 0);
	cr_assert_eq(flushes(0), own + 1);
	cr_assert_eq(flush_ex(HV_VP_SET_SPARSE_4K, 0, 0, 0, 0), 0); // nobody
	cr_assert_eq(flush_ex(HV_VP_SET_SPARSE_4K, 2, 1, 3, 0), 0); // bank 1: no such processors
	cr_assert_eq(flushes(0), own + 1);
	cr_assert_eq(flush_ex(HV_VP_SET_SPARSE_4K, 3, 1, 3, 0), HV_STATUS_INVALID_HYPERCALL_INPUT);
	cr_assert_eq(flush_ex(HV_VP_SET_SPARSE_4K, 1, 0, 3, 0), HV_STATUS_INVALID_HYPERCALL_INPUT);
	cr_assert_eq(flush_ex(2, 1, 1, 3, 0), HV_STATUS_INVALID_PARAMETER);
}

Test(hypercall, cluster_ipi)
{
	uint64_t in[] = { 0x41, 3 };
	struct vp *one = root_vp(1);

	for (unsigned int i = 0; i < 2; i++)
		root_vp(i)->apic.svr |= 0x100;
	cr_assert_eq(machine_call(vp, HvCallSendSyntheticClusterIpi, in, sizeof(in), NULL, 0), 0);
	cr_assert(bit_test(vp->apic.irr, 0x41));
	cr_assert(bit_test(one->apic.irr, 0x41));
	// Fast, as Linux issues it.
	cr_assert_eq(call(HvCallSendSyntheticClusterIpi | HV_CALL_FAST, 0x42, 2), 0);
	cr_assert(!bit_test(vp->apic.irr, 0x42));
	cr_assert(bit_test(one->apic.irr, 0x42));
	in[0] = 0xf;
	cr_assert_eq(machine_call(vp, HvCallSendSyntheticClusterIpi, in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in[0] = 0x100;
	cr_assert_eq(machine_call(vp, HvCallSendSyntheticClusterIpi, in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in[0] = 0x41 | 1ull << 32; // a virtual trust level
	cr_assert_eq(machine_call(vp, HvCallSendSyntheticClusterIpi, in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
}
