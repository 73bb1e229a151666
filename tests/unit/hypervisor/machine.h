// SPDX-License-Identifier: BSD-2-Clause
// A small machine for the hypervisor's core, without a processor that could run guests: RAM, two
// physical processors, a root partition with a VP on each. Tests issue hypercalls as a VP. Pages
// that are in no use are poisoned for AddressSanitizer.
#pragma once

#include "hypercall/call.h"
#include "hypercall/table.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"

enum {
	MACHINE_CPUS = 3,
	MACHINE_PAGES = 4096,	   // 16 MiB
	MACHINE_HV_PAGES = 512,	   // the hypervisor's own, from page 0 on: the root's first pool
	MACHINE_IN_PAGE = 1000,	   // of the root, VP 0: input, and output in the next; then VP 1's
	MACHINE_CHILD_PAGE = 1024, // of the root: what a test may give to a child, to the end
	MACHINE_CHILD_IN_PAGE = 4, // of a child, VP 0
};

// What the backend holds of a VP: its first page.
struct machine_vp {
	struct hv_register_assoc registers[64];
	unsigned int count;
	unsigned int mode; // enum cpu_mode
	unsigned int flushes;
	unsigned int exceptions, nmis; // delivered by entries
	struct event delivered;	       // by the last entry, if it is pending
	bool nmi_blocked;
	int offered;  // interrupt; delivered at the next exit
	bool in_call; // test_smp.c: the hypercall at RIP is not done
	uint64_t rip, target;
};

extern uint8_t machine_ram[MACHINE_PAGES * 4096ul];
extern struct pcpu machine_cpus[MACHINE_CPUS];
extern _Thread_local struct pcpu *machine_cpu;	   // this_cpu()
extern _Thread_local unsigned int machine_windows; // calls of irq_window()
extern unsigned int machine_kicks;		   // IPIs sent
extern uint64_t machine_clock;			   // not 0: tsc_read() gives that
extern uint64_t machine_timer[MACHINE_CPUS];  // when each processor's timer fires, by tsc_read()
extern char machine_log[256];		      // the last rate-limited line of the log
extern _Thread_local uint8_t machine_xmm[96]; // XMM0 to XMM5 of this thread's VP

// The MSRs of the machine: what was written, in order, and what was written last.
extern struct machine_msr {
	uint32_t msr;
	uint64_t value;
} machine_msr_log[64];
extern unsigned int machine_msr_writes;
uint64_t machine_msr(uint32_t msr);
extern unsigned int machine_wbinvds;

// With processors as threads that run sched_run(): what a VP does in its guest, until it exits or
// machine_kicked(). Else NULL.
extern void (*machine_guest)(struct vp *vp, struct vp_exit *exit);
// What a processor does that has nothing to run.
extern void (*machine_idle)(void);
// If set: called for each table and page that an entry leads this thread to, before it is touched.
extern _Thread_local void (*machine_walk)(void);
// Has this processor got an interrupt since it was last asked?
bool machine_kicked(void);

// The machine after boot: root_partition, its VPs running.
void machine_setup(void);

// This thread becomes that processor. The one that it was idles.
void machine_switch(unsigned int cpu);

// VP becomes the one that runs on this thread's processor.
void machine_run(struct vp *vp);
struct machine_vp *machine_vp(const struct vp *vp);
struct vp *root_vp(unsigned int index);

// The exception that VP has got and not been entered with yet, or -1. It is gone then.
int machine_exception(struct vp *vp);

// A VP's access to a GPA, as a processor makes it: sets the accessed bits of the second-level
// entries on its way, and where it writes the dirty bit of the last. NULL: second-level fault.
void *machine_access(struct partition *partition, uint64_t gpa, unsigned int access);
// The same, to write if that is possible. The page is mapped.
void *machine_memory(struct partition *partition, uint64_t gpa);

// A hypercall as VP with CONTROL and the input and output pages of that VP; repeated until it is
// done. The result value.
uint64_t machine_call_control(struct vp *vp, uint64_t control, const void *in, size_t in_size,
	void *out, size_t out_size);
// The same with the registers as they are: executes the instruction once. True: RIP moved on.
bool machine_call_once(struct vp *vp);
hv_status machine_call(
	struct vp *vp, uint16_t code, const void *in, size_t in_size, void *out, size_t out_size);
// A rep call with all elements; *DONE may be NULL.
hv_status machine_call_rep(struct vp *vp, uint16_t code, uint32_t reps, const void *in,
	size_t in_size, void *out, size_t out_size, uint32_t *done);

// COUNT pages of the root, from FIRST on, go to the pool of partition ID.
hv_status machine_deposit(hv_partition_id id, uint64_t first, uint32_t count);

// A child that is initialized and has VPS VPs, PAGES pages of memory from GPA 0 on, and a guest OS
// id. Takes what it needs from the root's pages behind MACHINE_CHILD_PAGE + 1024 * SLOT.
struct partition *machine_child(unsigned int slot, unsigned int vps, unsigned int pages);

// Finalizes, drains and deletes; the number of pages that came back from its pool.
uint64_t machine_destroy(hv_partition_id id);

// No page that a partition can reach by its own mapping (overlays apart) is the hypervisor's.
// Aborts if one is.
void machine_check(void);
