// SPDX-License-Identifier: BSD-2-Clause
// The mode `random`: processors that each do one random thing after the other for ever. A thing is
// an action, a row of its group's table; a group is a file. Whatever an action does to its
// processor, the next one begins on a good one again (random_cpu.c); if that cannot be, the
// processors' watch over each other brings it back (random_vps.c), or the child ends, as it may.
//
//	seed=N     what all choices follow from (but not who is faster)
//	seconds=N  how long; for ever if it is not there
#pragma once

#include "tests/guests/hostile/hostile.h"

#include "base/macros.h"

enum {
	RANDOM_VPS = 4,
	RANDOM_PAGES = 128, // of the arena: memory that attacks are meant to hit, of all processors
	RANDOM_SLOTS = 64,  // pages of each processor's window
	RANDOM_TABLES = 4,  // PML4, PDPT, PD, PT of the window
	RANDOM_REGISTERS = 15,
};

struct random_vp {
	uint64_t state; // of the generator
	uint32_t index; // as of the base, and of the APIC
	struct kernel_cpu *cpu;
	struct random_action *action; // under way
	uint64_t actions;	      // how many there were: the others look at it
	uint64_t *tables[RANDOM_TABLES];
	bool ending; // an interrupt is being ended: if that faults, it is not tried again
	uint64_t watched, watched_since; // the neighbour's actions, and since when
	unsigned int attempts;		 // to bring it back
	uint8_t code[4096] __attribute__((aligned(4096)));  // no page of the hypervisor's covers it
	uint8_t block[4096] __attribute__((aligned(4096))); // for parameters that are meant well
	uint8_t stack[8192] __attribute__((aligned(16)));
	uint8_t fault_stack[4096] __attribute__((aligned(16)));
};

struct random_action {
	const char *name;
	// False: it was refused. What faults does not return, and neither need what does not.
	bool (*run)(struct random_vp *vp);
	uint32_t weight;		 // so many times in RANDOM_WEIGHTS or so
	uint32_t done, refused, faulted; // how it ended; not all do
};

// Each ends with a row without a name.
extern struct random_action random_calls[], random_registers[], random_memory[], random_tables[],
	random_code[], random_interrupts[], random_vp_actions[];

extern struct random_vp random_vps[RANDOM_VPS];
extern uint32_t random_count;	// of processors
extern uint8_t *random_arena;	// RANDOM_PAGES of them
extern uint64_t random_started; // when, in units of 100 ns

// --- choices ---

uint64_t random_u64(struct random_vp *vp);

static inline uint64_t random_below(struct random_vp *vp, uint64_t limit)
{
	return random_u64(vp) % limit;
}

static inline bool random_one_in(struct random_vp *vp, uint64_t chances)
{
	return !random_below(vp, chances);
}

#define random_of(vp, array) ((array)[random_below(vp, ARRAY_SIZE(array))])

uint32_t random_page_register(struct random_vp *vp); // an MSR that places a page
uint64_t random_value(struct random_vp *vp);	     // of any kind that registers and fields have
uint8_t *random_ram(struct random_vp *vp);	     // a page of the arena
uint64_t random_page(struct random_vp *vp);	     // the GPA of any kind of page
uint64_t random_gpa(struct random_vp *vp);	     // anywhere in it
// A page for what the processor uses by itself: where nothing is, that is the child's end.
uint64_t random_solid_page(struct random_vp *vp);
uint64_t random_code_page(struct random_vp *vp); // and that can be executed
struct random_vp *random_other(struct random_vp *vp);
// Fills it with values, up to a random point, and with zeroes behind it.
void random_fill(struct random_vp *vp, void *bytes, size_t count);

// Maps two pages one after the other, from two kinds of places, and returns an address in the first
// one, often near the border.
uint64_t random_address(struct random_vp *vp);
uint64_t random_solid_address(struct random_vp *vp);
// The same for one page that is known, in ring 3 too.
uint8_t *random_map(struct random_vp *vp, uint64_t page);

// --- random_cpu.c ---

// The processor that runs this.
struct random_vp *random_this(void);

// How an action ends that returns: by the same way as one that faults, so that the stack is new.
_Noreturn void random_end(uint32_t how);

// Where each action ends: what is wrong with this processor is put right, and the next one begins.
// VECTOR: of the exception or interrupt, or one of these.
enum { RANDOM_DONE = 256, RANDOM_REFUSED, RANDOM_BEGUN };
_Noreturn void random_next(struct random_vp *vp, uint32_t vector);
void random_count_end(struct random_action *action, uint32_t vector);

// The interrupt table, in which every gate leads there; it cannot be written afterwards. False: no
// memory.
bool random_idt_make(void);
const void *random_idt(void);

// --- random_protect.c ---

// Only what is needed stays mapped, and what need not be written cannot be: most of what is used by
// accident is then a page fault and not the child's end. False: no memory.
bool random_protect(void);

// --- random.c ---

// Begins: the options, and the groups of which actions are chosen, up to NULL.
void random_begin(struct random_action *const *groups);
// By the seed and its index.
void random_seed(struct random_vp *vp);
struct random_action *random_choose(struct random_vp *vp);
// Reports twice a second, and ends the run in time.
void random_look(void);

// Looks after the others and the time, chooses an action and carries it out.
_Noreturn void random_act(struct random_vp *vp);

// --- random_vps.c ---

// Sees to it that the next processor gets on.
void random_watch(struct random_vp *vp);

// --- random_interrupts.c ---

void random_ipi(uint32_t apic_id, uint32_t command);
