// SPDX-License-Identifier: BSD-2-Clause
// Random hypercalls: of any form, and of those that children use.
#include "tests/guests/hostile/random.h"

#include "hypercall/call.h"
#include "hypercall/interrupt.h"
#include "hypercall/synic.h"
#include "hypercall/table.h"
#include "hypercall/tlb.h"

struct parameters { // XMM0 to XMM5 behind the two
	uint64_t rdx, r8;
	uint8_t xmm[96];
};

// VMMCALL, not the page: what is in that does not matter here.
static bool call(uint64_t control, const struct parameters *in)
{
	register uint64_t r8 __asm__("r8") = in->r8;
	uint64_t result, rdx = in->rdx;

	__asm__ volatile("vmmcall"
			 : "=a"(result), "+c"(control), "+d"(rdx), "+r"(r8)
			 :
			 : "r9", "r10", "r11", "memory");
	return !(result & HV_RESULT_STATUS_MASK);
}

static bool call_with_xmm(uint64_t control, const struct parameters *in)
{
	// The processor's state is put right after each action, so nobody misses these.
	__asm__ volatile("movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1\n\tmovups 32(%0), %%xmm2\n\t"
			 "movups 48(%0), %%xmm3\n\tmovups 64(%0), %%xmm4\n\tmovups 80(%0), %%xmm5"
			 :
			 : "r"(in->xmm)
			 : "memory");
	return call(control, in);
}

static bool call_with(uint64_t control, uint64_t rdx, uint64_t r8)
{
	return call(control, &(struct parameters){ .rdx = rdx, .r8 = r8 });
}

// --- any ---

static const struct row {
	uint16_t code;
	bool rep;
} rows[] = {
#define ROW(code, name, type, kind, ...) { code, HV_CALL_IS_REP(kind) },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

static uint64_t any_control(struct random_vp *vp)
{
	const struct row *row = &random_of(vp, rows);
	uint64_t variable = random_one_in(vp, 4) ? random_below(vp, 0x400) : random_below(vp, 3);
	uint64_t count = random_one_in(vp, 4) ? random_below(vp, 0x1000) : 1 + random_below(vp, 8);
	uint64_t start = random_one_in(vp, 4) ? random_below(vp, count + 1) : 0;
	uint64_t control = row->code;

	if (row->rep != random_one_in(vp, 32))
		control = hv_call_control(row->code, 0, (uint32_t)count, (uint32_t)start);
	if (random_one_in(vp, 2))
		control |= variable << HV_CALL_VARIABLE_HEADER_SHIFT;
	if (random_one_in(vp, 3))
		control |= HV_CALL_FAST;
	if (random_one_in(vp, 32))
		control ^= 1ull << random_below(vp, 64);
	return control;
}

static bool any_call(struct random_vp *vp)
{
	uint8_t *block = random_ram(vp);
	uint64_t in = random_one_in(vp, 2) ? (uint64_t)block : random_gpa(vp) & ~7ull;
	uint64_t out = random_one_in(vp, 8) ? random_gpa(vp) : random_gpa(vp) & ~7ull;

	random_fill(vp, block, 512);
	// Most calls want to know whose partition it is.
	if (random_one_in(vp, 2))
		*(uint64_t *)block = HV_PARTITION_ID_SELF;
	return call_with(any_control(vp), in, out);
}

static bool any_fast_call(struct random_vp *vp)
{
	struct parameters in = { .rdx = random_value(vp), .r8 = random_value(vp) };

	random_fill(vp, in.xmm, sizeof(in.xmm));
	return call_with_xmm(any_control(vp) | HV_CALL_FAST, &in);
}

static bool any_registers(struct random_vp *vp)
{
	return call_with(random_value(vp), random_value(vp), random_value(vp));
}

// --- what children use ---

static bool post(struct random_vp *vp)
{
	static const uint32_t connections[] = { 1, 2, 4, 0x2001, 0x2002, 0xffffff };
	struct hv_input_post_message *in = (void *)vp->block;

	random_fill(vp, in->payload, sizeof(in->payload));
	in->connection_id = random_of(vp, connections);
	in->rsvd_z = random_one_in(vp, 16);
	in->message_type = random_one_in(vp, 4) ? (uint32_t)random_value(vp) : 1;
	in->payload_size = (uint32_t)random_below(vp, random_one_in(vp, 16) ? 300 : 241);
	return call_with(HvCallPostMessage, (uint64_t)in, 0);
}

static bool signal(struct random_vp *vp)
{
	uint64_t connection = random_one_in(vp, 2) ? 0x2000 + random_below(vp, 8)
						   : random_value(vp) & HV_CONNECTION_ID_MASK;

	return call_with(HvCallSignalEvent | HV_CALL_FAST,
		connection | (random_one_in(vp, 4) ? random_value(vp) << 32 : 0), 0);
}

static uint64_t processors(struct random_vp *vp)
{
	return random_one_in(vp, 8) ? random_value(vp) : random_below(vp, 1u << RANDOM_VPS);
}

static bool flush(struct random_vp *vp)
{
	struct hv_input_flush_virtual_address_list *in = (void *)vp->block;
	uint64_t *ranges = (uint64_t *)(in + 1), count = 1 + random_below(vp, 64);

	random_fill(vp, ranges, count * sizeof(*ranges));
	in->address_space = random_one_in(vp, 2) ? (uint64_t)kernel_pml4 : random_value(vp);
	in->flags = random_below(vp, random_one_in(vp, 8) ? 32 : 16);
	in->processor_mask = processors(vp);
	if (random_one_in(vp, 2))
		return call_with(HvCallFlushVirtualAddressSpace, (uint64_t)in, 0);
	return call_with(hv_call_control(HvCallFlushVirtualAddressList, 0, (uint32_t)count, 0),
		(uint64_t)in, 0);
}

// A set and as many banks as it says, or not quite.
static uint32_t fill_set(struct random_vp *vp, struct hv_vp_set *set)
{
	uint64_t *banks = (uint64_t *)(set + 1);
	uint32_t count = 0;

	set->format = random_below(vp, random_one_in(vp, 8) ? 4 : 2);
	set->valid_bank_mask = random_one_in(vp, 2) ? 1 : random_value(vp);
	for (uint64_t left = set->valid_bank_mask; left; left &= left - 1)
		banks[count++] = processors(vp);
	return count - random_one_in(vp, 16);
}

static bool flush_set(struct random_vp *vp)
{
	struct hv_input_flush_virtual_address_list_ex *in = (void *)vp->block;
	uint32_t banks = fill_set(vp, &in->processor_set);

	in->address_space = random_one_in(vp, 2) ? (uint64_t)kernel_pml4 : random_value(vp);
	in->flags = random_below(vp, 16);
	if (random_one_in(vp, 2))
		return call_with(hv_call_control(HvCallFlushVirtualAddressSpaceEx, banks, 0, 0),
			(uint64_t)in, 0);
	return call_with(hv_call_control(HvCallFlushVirtualAddressListEx, banks,
				 1 + (uint32_t)random_below(vp, 64), 0),
		(uint64_t)in, 0);
}

static bool cluster_ipi(struct random_vp *vp)
{
	uint64_t vector = random_one_in(vp, 8) ? random_value(vp) : 32 + random_below(vp, 224);

	return call_with(HvCallSendSyntheticClusterIpi | HV_CALL_FAST, vector, processors(vp));
}

static bool cluster_ipi_set(struct random_vp *vp)
{
	struct hv_input_send_synthetic_cluster_ipi_ex *in = (void *)vp->block;
	uint32_t banks = fill_set(vp, &in->processor_set);

	in->vector = 32 + (uint32_t)random_below(vp, 224);
	in->target_vtl = random_one_in(vp, 16);
	return call_with(
		hv_call_control(HvCallSendSyntheticClusterIpiEx, banks, 0, 0), (uint64_t)in, 0);
}

static bool own_registers(struct random_vp *vp)
{
	struct hv_register_assoc *assoc = (void *)(vp->block + 16);
	uint64_t *header = (uint64_t *)vp->block;
	uint32_t code = random_one_in(vp, 2) ? HvCallGetVpRegisters : HvCallSetVpRegisters;

	random_fill(vp, assoc, 256);
	header[0] = HV_PARTITION_ID_SELF;
	header[1] = random_one_in(vp, 2) ? HV_VP_INDEX_SELF : random_below(vp, RANDOM_VPS);
	return call_with(hv_call_control((uint16_t)code, 0, 1 + (uint32_t)random_below(vp, 8), 0),
		(uint64_t)header, (uint64_t)random_ram(vp));
}

struct random_action random_calls[] = {
	{ .name = "call", .run = any_call, .weight = 1000 },
	{ .name = "call-fast", .run = any_fast_call, .weight = 500 },
	{ .name = "call-any", .run = any_registers, .weight = 200 },
	{ .name = "post", .run = post, .weight = 100 },
	{ .name = "signal", .run = signal, .weight = 200 },
	{ .name = "flush", .run = flush, .weight = 200 },
	{ .name = "flush-set", .run = flush_set, .weight = 200 },
	{ .name = "cluster-ipi", .run = cluster_ipi, .weight = 200 },
	{ .name = "cluster-ipi-set", .run = cluster_ipi_set, .weight = 100 },
	{ .name = "vp-registers", .run = own_registers, .weight = 100 },
	{ .name = NULL },
};
