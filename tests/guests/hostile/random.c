// SPDX-License-Identifier: BSD-2-Clause
// See random.h.
#include "tests/guests/hostile/random.h"

#include "hypercall/msr.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"

#define REPORT (S / 2)	   // between two
#define S      10000000ull // in units of 100 ns

enum { CONSOLE = 0x3f8, CONSOLE_STATUS = 0x3fd, CONSOLE_EMPTY = 0x20, CONSOLE_FIFO = 16 };
enum { LOOK_EVERY = 32, PATIENCE = 1000 };

static struct random_action *const all_groups[] = { random_calls, random_registers, random_memory,
	random_tables, random_code, random_interrupts, random_vp_actions, NULL };

uint32_t random_count;
uint8_t *random_arena;
uint64_t random_started;
static struct random_action *const *groups;
static uint64_t seed, end, total_weight, reported;

// --- reports ---

// As kernel_write() without its lock, whose holder may be gone for ever.
static void say(const char *text, size_t length)
{
	for (size_t at = 0; at < length; at += CONSOLE_FIFO) {
		uint64_t count = length - at < CONSOLE_FIFO ? length - at : CONSOLE_FIFO;
		const char *from = text + at;

		for (unsigned int i = 0; i < PATIENCE; i++)
			if (kernel_in8(CONSOLE_STATUS) & CONSOLE_EMPTY)
				break;
		__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(CONSOLE) : "memory");
	}
}

// One line: each action with how often it was done, was refused, and ended in a fault.
static void report(void)
{
	static char text[4096];
	size_t length = kernel_format(text, sizeof(text), "random:");

	for (size_t g = 0; groups[g]; g++)
		for (struct random_action *a = groups[g]; a->name; a++)
			length += kernel_format(text + length, sizeof(text) - length,
				" %s=%u/%u/%u", a->name, a->done, a->refused, a->faulted);
	length += kernel_format(text + length, sizeof(text) - length, "\r\n");
	say(text, length);
}

static uint64_t now(void)
{
	return kernel_rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

void random_look(void)
{
	uint64_t time = now(), last = __atomic_load_n(&reported, __ATOMIC_RELAXED);

	if (end && time > end) {
		report();
		kernel_exit(kernel_failures());
	}
	if (time > last + REPORT && __atomic_compare_exchange_n(&reported, &last, time, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		report();
}

// --- actions ---

struct random_action *random_choose(struct random_vp *vp)
{
	uint64_t at = random_below(vp, total_weight);

	for (size_t g = 0; groups[g]; g++)
		for (struct random_action *a = groups[g]; a->name; a++) {
			if (at < a->weight)
				return a;
			at -= a->weight;
		}
	return &groups[0][0];
}

_Noreturn void random_act(struct random_vp *vp)
{
	uint64_t number = __atomic_fetch_add(&vp->actions, 1, __ATOMIC_RELAXED);
	bool done;

	if (number % LOOK_EVERY == 0) {
		random_look();
		random_watch(vp);
	}
	vp->action = random_choose(vp);
	done = vp->action->run(vp);
	random_end(done ? RANDOM_DONE : RANDOM_REFUSED);
}

// --- start ---

void random_seed(struct random_vp *vp)
{
	vp->state = (seed * RANDOM_VPS + vp->index + 1) * 0x9e3779b97f4a7c15ull;
}

void random_begin(struct random_action *const *all)
{
	uint64_t seconds = kernel_option_number("seconds", 0);

	groups = all;
	seed = kernel_option_number("seed", 1);
	kernel_print("random: seed=%lu\n", seed);
	random_started = now();
	end = seconds ? random_started + seconds * S : 0;
	for (size_t g = 0; groups[g]; g++)
		for (struct random_action *a = groups[g]; a->name; a++)
			total_weight += a->weight;
}

static bool prepare(struct random_vp *vp, uint32_t index)
{
	uint8_t *pages = lumen_alloc_pages(RANDOM_TABLES - 1);

	vp->index = index;
	random_seed(vp);
	vp->tables[0] = kernel_pml4;
	for (unsigned int i = 1; pages && i < RANDOM_TABLES; i++)
		vp->tables[i] = (uint64_t *)(pages + (i - 1) * KERNEL_PAGE_SIZE);
	return pages;
}

// A processor that starts by SIPI goes through the base's own tables, with interrupts on.
static void come(struct kernel_frame *frame)
{
	random_end((uint32_t)frame->vector);
}

// Also where a processor arrives that has been started again.
static void enter(void *context)
{
	struct random_vp *vp = context;

	__atomic_store_n(&vp->cpu, this_cpu(), __ATOMIC_RELEASE);
	vp->action = NULL;
	// Nobody is attacked who has not come yet.
	for (uint32_t i = 0; i < random_count; i++)
		while (!__atomic_load_n(&random_vps[i].cpu, __ATOMIC_ACQUIRE))
			kernel_relax();
	random_next(vp, RANDOM_BEGUN);
}

// The boot processor may be started again, as the others: what the base has only for those.
static bool prepare_boot_processor(void)
{
	uint8_t *stack = lumen_alloc_pages(KERNEL_STACK_SIZE / KERNEL_PAGE_SIZE);
	struct kernel_cpu *cpu = this_cpu();

	if (!stack)
		return false;
	cpu->stack = stack + KERNEL_STACK_SIZE;
	cpu->job = (struct kernel_job){ enter, &random_vps[0] };
	cpu->busy = 1;
	return true;
}

static bool prepare_all(void)
{
	random_count = kernel_processors() < RANDOM_VPS ? kernel_processors() : RANDOM_VPS;
	random_arena = lumen_alloc_pages(RANDOM_PAGES + 2);
	if (!random_arena)
		return false;
	random_arena += KERNEL_PAGE_SIZE; // between two pages that are not there
	if (!prepare_boot_processor() || !random_protect() || !random_idt_make())
		return false;
	for (uint32_t i = 0; i < random_count; i++)
		if (!prepare(&random_vps[i], i) || !kernel_start(i))
			return false;
	for (unsigned int vector = 0; vector < 256; vector++)
		kernel_set_handler((uint8_t)vector, come);
	return true;
}

static void run(uint64_t unused)
{
	(void)unused;
	random_begin(all_groups);
	if (!kernel_check(!lumen_hypercall_enable(0) && prepare_all(), "processors and memory"))
		return;
	for (uint32_t i = 1; i < random_count; i++)
		kernel_run(i, enter, &random_vps[i]);
	enter(&random_vps[0]);
}

const struct mode random_modes[] = {
	{ "random", run, 0 },
	{ NULL, NULL, 0 },
};
