// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls of the root and of children with any parameters, MSR writes and intercepts in between:
// on the real core, with pages that are in no use poisoned. After each input all children are
// destroyed, every page is accounted for, and no partition can reach a page of the hypervisor.
#include "tests/unit/hypervisor/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall/memory.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/x86/msr.h"

enum { IDS = 16, CALLS_MAX = 200, FIRST_FREE_PAGE = MACHINE_IN_PAGE + 2 * MACHINE_CPUS };

static const struct {
	uint16_t code;
	bool rep;
	uint16_t in, in_element;
} rows[] = {
#define ROW(code, name, type, kind, in_element, ...)                                               \
	{ code, HV_CALL_IS_REP(kind), HV_CALL_IN(kind, type), in_element },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

static const uint8_t *data;
static size_t left;
static uint64_t root_pages; // of its pool at the start
static unsigned int root_spares;

static uint8_t byte(void)
{
	if (!left)
		return 0;
	left--;
	return *data++;
}

static uint64_t raw(unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | byte();
	return value;
}

static struct partition *some_child(unsigned int n)
{
	hv_partition_id id = partition_next_child(root_partition, HV_PARTITION_ID_INVALID);

	for (; n && partition_next_child(root_partition, id); n--)
		id = partition_next_child(root_partition, id);
	return id ? partition_find(id) : NULL;
}

static hv_partition_id some_id(unsigned int n)
{
	struct partition *child = some_child(n % 4);

	if (n & 8)
		return n & 16 ? HV_PARTITION_ID_SELF : PARTITION_ROOT_ID;
	return child ? child->id : n;
}

// A page number, but for those that the calls themselves need.
static uint64_t some_page(void)
{
	return FIRST_FREE_PAGE + raw(2) % (MACHINE_PAGES - FIRST_FREE_PAGE + 8);
}

static uint64_t word(void)
{
	uint8_t kind = byte();

	switch (kind % 8) {
	case 0:
		return raw(8);
	case 1:
		return some_page();
	case 2:
		return some_id(kind >> 3);
	case 3:
		return raw(4);
	case 4:
		return (uint64_t)raw(1) << 32 | raw(1);
	case 5:
		return 0x20000 + raw(2) * 16;
	default:
		return kind >> 3;
	}
}

static struct vp *some_vp(unsigned int n)
{
	struct partition *child = some_child(n >> 4 & 3);
	struct vp *vp = n & 1 && child ? partition_vp(child, n >> 1 & 3) : NULL;

	return vp ? vp : root_vp(0);
}

static uint64_t parameter_page(const struct vp *vp)
{
	return (vp->partition->is_root ? MACHINE_IN_PAGE : MACHINE_CHILD_IN_PAGE) + 2 * vp->index;
}

// Pages that the calls themselves live on stay the root's.
static void spare(uint64_t *words, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (words[i] >= MACHINE_IN_PAGE && words[i] < FIRST_FREE_PAGE)
			words[i] += FIRST_FREE_PAGE - MACHINE_IN_PAGE;
}

static void call(struct vp *vp)
{
	uint8_t row = byte() % ARRAY_SIZE(rows), mode = byte();
	uint32_t reps = rows[row].rep ? 1 + mode % 16 : 0;
	uint64_t control = hv_call_control(rows[row].code, 0, reps, 0), page = parameter_page(vp),
		 spa, words[64];
	unsigned int count = MIN(64u, (rows[row].in + reps * rows[row].in_element + 7) / 8);

	for (unsigned int i = 0; i < count; i++)
		words[i] = i == 0 ? some_id(byte()) : word();
	if (rows[row].code == HvCallDepositMemory)
		spare(words, count);
	if ((rows[row].code == HvCallCreatePort || rows[row].code == HvCallConnectPort) &&
		words[1] <= HV_PORT_ID_MASK)
		words[1] %= IDS; // those that tidy() deletes
	if (gpa_map_lookup(&vp->partition->gpa, page, GPA_WRITE, &spa) && !frame_is_hypervisor(spa))
		memcpy(page_to_va(spa), words, count * 8);
	if (mode & 0x80)
		control ^= raw(8);
	if ((mode & 0xe0) == 0x60 && rows[row].code != HvCallDepositMemory)
		control |= HV_CALL_FAST;
	vp->regs.gpr[RCX] = control;
	vp->regs.gpr[RDX] = control & HV_CALL_FAST ? words[0] : page << 12;
	vp->regs.gpr[R8] = control & HV_CALL_FAST ? words[1] : (page + 1) << 12;
	for (unsigned int tries = 0; tries < 5000 && !machine_call_once(vp); tries++)
		if (vp->intercept_suspend || machine_vp(vp)->exceptions)
			break;
	machine_vp(vp)->exceptions = 0;
}

static void write_msr(struct vp *vp)
{
	static const uint32_t msrs[] = { HV_X64_MSR_SCONTROL, HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP,
		HV_X64_MSR_SINT0 + 3, HV_X64_MSR_EOM, HV_X64_MSR_VP_ASSIST_PAGE,
		HV_X64_MSR_HYPERCALL, HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_GUEST_OS_ID,
		HV_X64_MSR_STIMER0_CONFIG, HV_X64_MSR_STIMER0_COUNT, HV_X64_MSR_SINT0 };
	uint32_t msr = msrs[byte() % ARRAY_SIZE(msrs)];
	uint64_t value =
		msr == HV_X64_MSR_SIMP || msr == HV_X64_MSR_SIEFP ? some_page() << 12 | 1 : word();

	machine_run(vp);
	msr_write(vp, msr, value);
	if (vp->partition->is_root)
		root_partition->guest_os_id = 1;
}

// What a child may do that its parent is told.
static void trap(struct vp *vp)
{
	struct vp_exit exit = { .insn_length = 2,
		.io = { .port = raw(2), .size = 1, .string = byte() & 1 } };
	const struct cpuid_result result = { 0 };

	machine_run(vp);
	switch (byte() % 6) {
	case 0:
		intercept_io(vp, &exit);
		break;
	case 1:
		exit.fault.gpa = raw(5);
		exit.fault.access = GPA_WRITE;
		intercept_gpa(vp, &exit);
		break;
	case 2:
		intercept_msr(vp, raw(4), byte() & 1, raw(8), byte() & 1);
		break;
	case 3:
		vp->regs.gpr[RAX] = raw(1);
		intercept_cpuid(vp, &result);
		break;
	case 4:
		intercept_apic_eoi(vp, byte());
		break;
	default:
		synic_deliver(vp);
	}
}

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_hypercall: %s\n", what);
	abort();
}

static void clear_root(void)
{
	static const uint32_t msrs[] = { HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP,
		HV_X64_MSR_VP_ASSIST_PAGE, HV_X64_MSR_HYPERCALL, HV_X64_MSR_REFERENCE_TSC,
		HV_X64_MSR_STIMER0_CONFIG };

	root_partition->hypercall_msr = 0; // it may be locked
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		msr_write(root_vp(0), msrs[i], 0);
	overlay_clear(&root_partition->gpa, &root_partition->hypercall_overlay);
	overlay_reap(&root_partition->gpa, &root_partition->hypercall_overlay);
	stats_overlays_clear(root_partition, root_partition->stats_overlay);
	stats_overlays_free(root_partition, root_partition->stats_overlay);
	for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
		stats_overlays_clear(root_partition, root_vp(i)->stats_overlay);
		stats_overlays_free(root_partition, root_vp(i)->stats_overlay);
	}
	for (uint64_t id = 0; id < IDS; id++) {
		const uint64_t in[2] = { HV_PARTITION_ID_SELF, id };

		machine_call(root_vp(0), HvCallDeletePort, in, sizeof(in), NULL, 0);
		machine_call(root_vp(0), HvCallDisconnectPort, in, sizeof(in), NULL, 0);
	}
}

static unsigned int count_spares(void)
{
	unsigned int n = 0;

	for (void *page = root_partition->gpa.spares; page; page = *(void **)page)
		n++;
	return n;
}

// Tables that were split for deposits and folded after overlays are kept aside; what came so goes
// back to the pool.
static void drop_spares(unsigned int keep)
{
	for (unsigned int n = count_spares(); n > keep; n--) {
		void *page = root_partition->gpa.spares;

		root_partition->gpa.spares = *(void **)page;
		page_free(&root_partition->pool, page);
	}
}

// The root's pool gets its old size again.
static void level_pool(void)
{
	const uint64_t in[2] = { HV_PARTITION_ID_SELF };
	uint64_t out;

	for (uint64_t page = FIRST_FREE_PAGE;
		root_partition->pool.total_pages < root_pages && page < MACHINE_PAGES; page++)
		machine_deposit(HV_PARTITION_ID_SELF, page, 1);
	while (root_partition->pool.total_pages > root_pages)
		if (machine_call_rep(root_vp(0), HvCallWithdrawMemory, 1, in, sizeof(in), &out,
			    sizeof(out), NULL))
			break;
}

static void tidy(void)
{
	uint64_t hypervisor = 0;
	hv_partition_id id;

	machine_run(root_vp(0));
	while ((id = partition_next_child(root_partition, HV_PARTITION_ID_INVALID))) {
		check(partition_find(id)->holds == 0, "a hold was forgotten");
		machine_destroy(id);
	}
	clear_root();
	machine_check();
	for (uint64_t page = 1; page < MACHINE_PAGES; page++)
		hypervisor += frame_is_hypervisor(page);
	drop_spares(root_spares);
	check(hypervisor == root_partition->pool.total_pages, "pages were lost");
	level_pool();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static bool ready;

	if (!ready) {
		machine_setup();
		root_pages = root_partition->pool.total_pages;
		root_spares = count_spares();
		ready = true;
	}
	data = input;
	left = size;
	machine_child(0, 2, 32);
	if (byte() & 1)
		machine_child(1, 1, 16);
	for (unsigned int i = 0; left && i < CALLS_MAX; i++) {
		uint8_t what = byte();
		struct vp *vp = some_vp(byte());

		if (what < 200)
			call(vp);
		else if (what < 230)
			write_msr(vp);
		else if (!vp->partition->is_root)
			trap(vp);
		else
			synic_deliver(vp);
	}
	tidy();
	return 0;
}
