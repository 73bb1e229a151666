// SPDX-License-Identifier: BSD-2-Clause
// A virtual processor.
//
// Ownership: all state of a VP belongs to the processor that runs it, or, while the VP is paused
// (vp_pause) or not yet started, to the one that paused it. What others may touch at any time is
// marked "atomic" or names its lock. Others ask through vp->requests and vp_kick().
#pragma once

#include "hypercall/intercept.h"
#include "hypercall/registers.h"
#include "hypervisor/core/claim.h"
#include "hypervisor/core/event.h"
#include "hypervisor/core/fair.h"
#include "hypervisor/core/synic.h"
#include "hypervisor/core/timer.h"
#include "hypervisor/core/vp_state.h"
#include "hypervisor/x86/vapic.h"

struct partition;
struct pcpu;

enum vp_request {		   // bits of vp->requests
	VP_REQ_FLUSH_TLB = 1 << 0, // drop all translations
	VP_REQ_NMI = 1 << 1,
	VP_REQ_INIT = 1 << 2,
	VP_REQ_SIPI = 1 << 3,	  // vector in vp->sipi_vector
	VP_REQ_MESSAGES = 1 << 4, // a message queue of the SynIC may have something to deliver
	VP_REQ_TIMERS = 1 << 5,	  // synthetic or APIC timers expired: vp->expired_timers
	VP_REQ_EXIT = 1 << 6,	  // come out and look again (pause, suspend, interrupt)
};

enum vp_run_state {
	VP_BLOCKED, // nothing to do: halted, suspended, waiting for SIPI, paused
	VP_QUEUED,  // on the run queue of vp->cpu, or on its way to it
	VP_CAPPED,  // on its list of those who wait for vp->due
	VP_RUNNING, // current on vp->cpu
};

enum vp_activity { // TLFS: HV_INTERNAL_ACTIVITY_REGISTER
	VP_ACTIVE,
	VP_HALTED,
	VP_IDLE,	  // as halted; woken by interrupts that are masked, too
	VP_WAIT_FOR_SIPI, // after INIT (TLFS: startup suspend)
};

#define VP_FIELD(type, name, array, ...) type name array;
struct vp_regs {
	VP_REGS(VP_FIELD)
};
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

enum {
	VP_ARCH_PAGES_MAX = 16, // backend->vp_pages is at most that
	VP_EOI_MESSAGES = 2,
};

// SIM, SIEF and assist page; what the parent maps of its children's statistics is counted to the
// children's VPs.
enum { VP_OVERLAYS = 3 };
enum { VP_TIMERS = HV_SYNIC_STIMER_COUNT + 1, VP_APIC_TIMER = HV_SYNIC_STIMER_COUNT };

struct hv_crash {
	uint64_t p[5], ctl;
};

struct vp {
	VP_STATE(VP_FIELD)
	VP_REST(VP_FIELD)
};

// A VP apart from the machine that it ran on: without pointers, and read by nobody who does not
// know its version. Registers are in the order of the tables.
#define VP_SAVED_VERSION		  1
#define VP_COUNT_ONE(...)		  +1
#define VP_COUNT_NAMES(first, count, ...) +(count)
enum {
	VP_BACKEND_REGISTERS = 0 VP_BACKEND_STATE(VP_COUNT_ONE),
	VP_SYNIC_REGISTERS = 0 VP_SYNIC_STATE(VP_COUNT_NAMES),
	VP_STATE_PAGES = 0 VP_PAGES(VP_COUNT_ONE),
};
struct vp_saved {
	uint32_t version, size;
	struct hv_register_value backend[VP_BACKEND_REGISTERS];
	struct hv_register_value synic_registers[VP_SYNIC_REGISTERS];
	VP_STATE(VP_FIELD)
	uint8_t pages[VP_STATE_PAGES][PAGE_SIZE];
};
_Static_assert(offsetof(struct vp_saved, pages) <= PAGE_SIZE, "all but the pages is one page");

// Counts one in the VP's statistics page (hypercall/stats.h). The processor that runs VP only.
#define vp_count(vp, counter) ((vp)->stats[counter]++)

// Makes a VP (TLFS: HvCallCreateVp), explicitly suspended, in its power-on state (index 0: ready;
// others: waiting for SIPI), and publishes it in partition->vps[]. INDEX is free. NULL: the pool is
// dry (everything taken is given back).
struct vp *vp_create(struct partition *partition, uint32_t index, uint32_t apic_id);

// Takes VP out of partition->vps[], pauses it for good and takes back what others could reach it
// by. Exclusive hold. Then the caller waits for a grace period (of the parent's GPA map too:
// vp_retire says true if an overlay of it has to go) and frees it.
bool vp_retire(struct vp *vp);
void vp_destroy(struct vp *vp);

// Architectural state after INIT (waiting for SIPI) or at power-on.
void vp_reset(struct vp *vp, bool power_on);

// SIPI: VP (waiting for it) starts in real mode at VECTOR * 4 KiB. Own VP or paused.
void vp_startup(struct vp *vp, unsigned int vector);

// Brings VP out of the guest and keeps it out until vp_resume(). Returns when it is out, its exit
// handlers have ended and no processor holds its state any more (pcpu->loaded): all of it is in
// memory. Ends the validity of lookups (partition_hold). From the host context of another VP; a
// partition pauses only VPs of its children, so that this cannot wait in a circle.
void vp_pause(struct vp *vp);
void vp_resume(struct vp *vp);

// Raises REQUESTS and makes sure that VP notices soon: wakes it if blocked, kicks it if in the
// guest. Any context.
void vp_request(struct vp *vp, uint32_t requests);

// As vp_request() for a change that the VP's own pre-entry checks will find (interrupt pending,
// suspend changed).
void vp_kick(struct vp *vp);

// Has VP anything to run for? Read by the scheduler before it blocks the VP, after a full barrier.
bool vp_runnable(const struct vp *vp);

// Puts VP's state into memory, from this processor's registers (vp->loaded_on is this one).
void vp_unload(struct vp *vp);

// Runs VP on this processor until it blocks or should yield (core/run.c).
void vp_run(struct vp *vp);

// --- for exit handlers: own VP only ---

// VP goes on at RIP, which ends an interrupt shadow. Also of a paused VP, by its parent.
static inline void vp_go_on_at(struct vp *vp, uint64_t rip)
{
	vp->regs.rip = rip;
	vp->regs.interrupt_shadow = false;
}

// The instruction has been carried out: RIP goes behind it, in the bits that it has in VP's mode.
// If the guest single-steps, its #DB is due.
void vp_skip_insn(struct vp *vp, unsigned int length);

void vp_inject_ud(struct vp *vp);
void vp_inject_gp(struct vp *vp); // #GP(0)
struct vp_exit;
void vp_emulate_cr_write(struct vp *vp, const struct vp_exit *exit); // x86/control.c
uint64_t vp_xcr0(const struct vp *vp);				     // own VP or paused
bool vp_xcr0_valid(uint64_t value); // would XSETBV accept it, and does a VP's state page hold it?

// All registers by TLFS name (own VP or paused): HV_STATUS_UNKNOWN_REGISTER_NAME,
// HV_STATUS_INVALID_REGISTER_VALUE, HYPERCALL_RETRY (a page that cannot be placed now), ...
hv_status vp_get_register(
	struct vp *vp, enum hv_register_name name, struct hv_register_value *value);
hv_status vp_set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value);
