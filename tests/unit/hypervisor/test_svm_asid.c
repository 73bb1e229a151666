// SPDX-License-Identifier: BSD-2-Clause
// Address space identifiers, on processors with a tagged TLB that keeps everything until it is told
// not to, and that flushes no sooner than it has to. No VP ever runs with a translation of somebody
// else's, nor with one that it was made to forget.
#include <criterion/criterion.h>

#include "hypervisor/x86/svm_asid.h"

enum { CPUS = 3, VPS = 20, ASIDS_MAX = 16, STEPS = 300000 };

static struct processor {
	struct svm_asids asids;
	bool filled[ASIDS_MAX][VPS];	// the TLB: by tag, whose translations
	uint64_t since[ASIDS_MAX][VPS]; // and the oldest of them
} processors[CPUS];

static struct {
	struct svm_asid asid;
	struct vmcb vmcb;
	uint64_t flushed; // all translations are to be younger
} vps[VPS];

static uint64_t now, seed = 88172645463325252ull;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void run_guest(struct processor *cpu, unsigned int vp)
{
	uint32_t tag = vps[vp].vmcb.asid;

	for (unsigned int other = 0; other < VPS; other++)
		cr_assert(!cpu->filled[tag][other] || other == vp, "VP %u has %u's", vp, other);
	if (!cpu->filled[tag][vp])
		cpu->since[tag][vp] = now;
	cr_assert_geq(cpu->since[tag][vp], vps[vp].flushed, "VP %u: older than its flush", vp);
	cpu->filled[tag][vp] = true;
}

// APM2 15.5.1: an invalid state is found before anything is loaded, or flushed.
static void vmrun(struct processor *cpu, unsigned int vp)
{
	struct vmcb *vmcb = &vps[vp].vmcb;

	cr_assert(vmcb->asid > 0 && vmcb->asid < cpu->asids.count, "tag %u", vmcb->asid);
	vmcb->exit_code = random_below(20) ? SVM_EXIT_INTR : SVM_EXIT_INVALID;
	if (vmcb->exit_code == SVM_EXIT_INVALID)
		return;
	if (vmcb->tlb_control == SVM_TLB_FLUSH_ALL)
		memset(cpu->filled, 0, sizeof(cpu->filled));
	run_guest(cpu, vp);
}

// As svm_run() does it.
static void stay(struct processor *cpu, unsigned int vp)
{
	svm_asid_enter(&cpu->asids, &vps[vp].asid, &vps[vp].vmcb);
	do {
		if (random_below(4) == 0)
			return; // somebody has asked for something
		vmrun(cpu, vp);
		vps[vp].vmcb.tlb_control = SVM_TLB_KEEP;
	} while (vps[vp].vmcb.exit_code != SVM_EXIT_INVALID && random_below(2));
	svm_asid_left(&cpu->asids, &vps[vp].vmcb);
}

// Another VP in VP's place: nothing in memory reminds of the one before.
static void destroy(unsigned int vp)
{
	memset(&vps[vp], 0, sizeof(vps[vp]));
	vps[vp].flushed = now;
}

static void live(uint32_t asid_count, unsigned int vp_count)
{
	// Whatever ran before us has left its translations, with any tag.
	for (unsigned int i = 0; i < CPUS; i++) {
		memset(&processors[i].filled, true, sizeof(processors[i].filled));
		memset(&processors[i].since, 0, sizeof(processors[i].since));
		svm_asids_init(&processors[i].asids, asid_count);
	}
	memset(vps, 0, sizeof(vps));
	for (now = 1; now < STEPS; now++) {
		unsigned int vp = random_below(vp_count), what = random_below(100);

		if (what == 0)
			destroy(vp);
		if (what < 15) {
			svm_asid_drop(&vps[vp].asid);
			vps[vp].flushed = now;
		}
		stay(&processors[random_below(CPUS)], vp);
	}
}

Test(svm_asid, no_vp_runs_with_what_is_not_its_own)
{
	live(2, VPS);
	live(3, VPS);
	live(8, VPS);
	live(ASIDS_MAX, VPS);
	live(ASIDS_MAX, 2);
	live(3, 1);
}

// The VP that got the first identifier is refused; the next one that runs is somebody else.
Test(svm_asid, a_refused_entry_flushes_nothing)
{
	struct svm_asids *asids = &processors[0].asids;

	svm_asids_init(asids, 3);
	for (unsigned int vp = 0; vp < 2; vp++) {
		svm_asid_enter(asids, &vps[vp].asid, &vps[vp].vmcb);
		vps[vp].vmcb.exit_code = SVM_EXIT_INTR;
		svm_asid_left(asids, &vps[vp].vmcb);
	}
	svm_asid_enter(asids, &vps[2].asid, &vps[2].vmcb); // begins again
	cr_assert_eq(vps[2].vmcb.asid, 1);
	cr_assert_eq(vps[2].vmcb.tlb_control, SVM_TLB_FLUSH_ALL);
	svm_asid_enter(asids, &vps[3].asid, &vps[3].vmcb);
	cr_assert_eq(vps[3].vmcb.asid, 2);
	cr_assert_eq(vps[3].vmcb.tlb_control, SVM_TLB_FLUSH_ALL);
	vps[3].vmcb.exit_code = SVM_EXIT_INVALID;
	svm_asid_left(asids, &vps[3].vmcb);
	svm_asid_enter(asids, &vps[2].asid, &vps[2].vmcb);
	cr_assert_eq(vps[2].vmcb.tlb_control, SVM_TLB_FLUSH_ALL);
	vps[2].vmcb.exit_code = SVM_EXIT_INTR;
	svm_asid_left(asids, &vps[2].vmcb);
	svm_asid_enter(asids, &vps[3].asid, &vps[3].vmcb);
	cr_assert_eq(vps[3].vmcb.asid, 2, "it keeps its own");
	cr_assert_eq(vps[3].vmcb.tlb_control, SVM_TLB_KEEP);
}
