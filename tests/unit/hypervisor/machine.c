// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/hypervisor/machine.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "hypercall/memory.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/run.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/irq.h"
#include "hypervisor/x86/state.h"
#include "tests/unit/start_clock.h"

_Alignas(1 << 21) uint8_t machine_ram[MACHINE_PAGES * 4096ul];
struct pcpu machine_cpus[MACHINE_CPUS];
_Thread_local struct pcpu *machine_cpu;
unsigned int machine_kicks;
uint64_t machine_clock, machine_timer[MACHINE_CPUS];
void (*machine_guest)(struct vp *vp, struct vp_exit *exit);
void (*machine_idle)(void);
_Thread_local void (*machine_walk)(void);
static bool kicked[MACHINE_CPUS];

struct pcpu *pcpus[PCPU_MAX];
uint32_t pcpu_count = MACHINE_CPUS;
uint64_t tsc_start, tsc_hz = 1000000000, tsc_to_100ns_scale = UINT64_MAX / 100;
static uint64_t tsc_ahead; // of the host's
static uint16_t frame_words[MACHINE_PAGES];
static uint8_t parameter_pages[MACHINE_CPUS][2][PAGE_SIZE];

static void fail(const char *what)
{
	fprintf(stderr, "machine: %s\n", what);
	__sanitizer_print_stack_trace();
	abort();
}

// --- processor and RAM ---

// It goes on as the host's does, as processors are threads; but it began where the test says.
uint64_t rdtsc(void)
{
	return machine_clock ? tsc_start + machine_clock : __builtin_ia32_rdtsc() + tsc_ahead;
}

struct pcpu *this_cpu(void)
{
	return machine_cpu;
}

void cpu_relax(void)
{
	sched_yield();
}

void *page_to_va(uint64_t page)
{
	if (page >= MACHINE_PAGES)
		fail("access beyond RAM");
	if (machine_walk)
		machine_walk();
	return machine_ram + page * PAGE_SIZE;
}

uint64_t va_to_page(const void *va)
{
	return (uint64_t)((const uint8_t *)va - machine_ram) / PAGE_SIZE;
}

void apic_send_ipi(uint32_t apic_id, uint32_t command)
{
	struct pcpu *cpu = pcpus[apic_id];
	struct vp *vp = cpu->run_queue.current;

	__atomic_fetch_add(&machine_kicks, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&kicked[apic_id], true, __ATOMIC_SEQ_CST);
	if (machine_guest || cpu == this_cpu() || !vp)
		return;
	// Out of the guest, what was asked for, and in again.
	cpu->guest_seq += 2;
	if (__atomic_exchange_n(&vp->requests, 0, __ATOMIC_SEQ_CST) & VP_REQ_FLUSH_TLB)
		backend->flush_tlb(vp);
}

void apic_timer_set(uint64_t deadline)
{
	machine_timer[machine_cpu->index] = deadline;
}

bool machine_kicked(void)
{
	return __atomic_exchange_n(&kicked[machine_cpu->index], false, __ATOMIC_SEQ_CST);
}

void irq_halt(void)
{
	machine_idle();
}

void irq_dispatch(void)
{
}

_Thread_local unsigned int machine_windows;

void irq_window(void)
{
	machine_windows++;
}

void irq_nmi(void)
{
}

void vapic_level_eoi(struct vp *vp, unsigned int vector)
{
}

void phys_apic_mirror_ldr(struct vp *vp)
{
}

struct machine_msr machine_msr_log[64];
unsigned int machine_msr_writes, machine_wbinvds;

uint64_t machine_msr(uint32_t msr)
{
	for (unsigned int i = machine_msr_writes; i-- > 0;)
		if (machine_msr_log[i].msr == msr)
			return machine_msr_log[i].value;
	return 0;
}

bool msr_rd_safe(uint32_t msr, uint64_t *value)
{
	*value = machine_msr(msr);
	return true;
}

bool msr_wr_safe(uint32_t msr, uint64_t value)
{
	if (machine_msr_writes <
		ARRAY_SIZE(machine_msr_log)) // test_smp.c writes more, and asks for none
		machine_msr_log[machine_msr_writes++] = (struct machine_msr){ msr, value };
	return true;
}

void wbinvd(void)
{
	machine_wbinvds++;
}

char machine_log[256];

void log_line(bool limited, const char *fmt, ...)
{
	va_list args;

	if (!limited)
		return;
	va_start(args, fmt);
	vsnprintf(machine_log, sizeof(machine_log), fmt, args);
	va_end(args);
}

_Thread_local uint8_t machine_xmm[96];

void xmm_read(void *to)
{
	memcpy(to, machine_xmm, sizeof(machine_xmm));
}

void xmm_write(const void *from)
{
	memcpy(machine_xmm, from, sizeof(machine_xmm));
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fail(": panic");
	__builtin_unreachable();
}

// --- page pools, as core/page_pool.h says, with the list kept apart so that free pages can be
// poisoned ---

static void *next_free[MACHINE_PAGES];
static bool is_free[MACHINE_PAGES];

static void push(struct page_pool *pool, void *page)
{
	if (is_free[va_to_page(page)])
		fail("a page is freed twice");
	is_free[va_to_page(page)] = true;
	ASAN_POISON_MEMORY_REGION(page, PAGE_SIZE);
	next_free[va_to_page(page)] = pool->free;
	pool->free = page;
	pool->free_pages++;
}

static void *pop(struct page_pool *pool)
{
	void *page = pool->free;

	if (!page)
		return NULL;
	pool->free = next_free[va_to_page(page)];
	pool->free_pages--;
	is_free[va_to_page(page)] = false;
	ASAN_UNPOISON_MEMORY_REGION(page, PAGE_SIZE);
	return memset(page, 0, PAGE_SIZE);
}

void *page_alloc(struct page_pool *pool)
{
	void *page;

	spin_lock(&pool->lock);
	page = pop(pool);
	spin_unlock(&pool->lock);
	return page;
}

void page_free(struct page_pool *pool, void *page)
{
	if (!page)
		return;
	spin_lock(&pool->lock);
	push(pool, page);
	spin_unlock(&pool->lock);
}

void page_pool_deposit(struct page_pool *pool, void *page)
{
	spin_lock(&pool->lock);
	push(pool, page);
	pool->total_pages++;
	spin_unlock(&pool->lock);
}

void *page_pool_withdraw(struct page_pool *pool)
{
	void *page;

	spin_lock(&pool->lock);
	page = pop(pool);
	if (page)
		pool->total_pages--;
	spin_unlock(&pool->lock);
	return page;
}

// --- the backend ---

struct machine_vp *machine_vp(const struct vp *vp)
{
	return vp->arch;
}

static struct hv_register_value *find(struct vp *vp, uint32_t name)
{
	struct machine_vp *m = machine_vp(vp);

	for (unsigned int i = 0; i < m->count; i++)
		if (m->registers[i].name == name)
			return &m->registers[i].value;
	return NULL;
}

static bool get_register(struct vp *vp, enum hv_register_name name, struct hv_register_value *value)
{
	const struct hv_register_value *found = find(vp, name);

	if (found)
		*value = *found;
	return found;
}

static bool set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value)
{
	struct hv_register_value *found = find(vp, name);

	if (found && name == HvX64RegisterCr0 && value->reg64 >> 32)
		return false;
	if (found)
		*found = *value;
	return found;
}

#define NAME(name, ...) HvX64Register##name,
static const uint32_t backend_names[] = { VP_BACKEND_STATE(NAME) HvX64RegisterTsc };

static void vp_reset_registers(struct vp *vp)
{
	struct machine_vp *m = machine_vp(vp);

	m->count = 0;
	m->mode = CPU_MODE_PROTECTED | CPU_MODE_64BIT;
	for (unsigned int i = 0; i < ARRAY_SIZE(backend_names); i++)
		m->registers[m->count++] = (struct hv_register_assoc){ .name = backend_names[i] };
	find(vp, HvX64RegisterCr0)->reg64 = 1;
}

static void backend_init(struct vp *vp, void *const *pages)
{
	vp->arch = pages[0];
}

static void save(struct vp *vp)
{
}

static void deliver(struct vp *vp)
{
	struct machine_vp *m = machine_vp(vp);

	m->delivered = vp->event;
	if (!vp->event.pending)
		return;
	m->nmis += vp->event.type == HvX64PendingNmi;
	m->exceptions += vp->event.type == HvX64PendingException;
	vp->event.pending = false;
}

static void run(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();
	struct vp_exit exit;

	do {
		if (!guest_enter(vp, cpu))
			return;
		deliver(vp);
		memset(&exit, 0, sizeof(exit));
		machine_guest(vp, &exit);
		guest_leave(cpu);
	} while (vp_handle_exit(vp, &exit));
}

static void offer_interrupt(struct vp *vp, int vector)
{
	machine_vp(vp)->offered = vector;
}

static bool interrupt_taken(struct vp *vp)
{
	return machine_vp(vp)->offered >= 0;
}

static enum nmi_state nmi_state(struct vp *vp)
{
	return machine_vp(vp)->nmi_blocked ? NMI_BLOCKED : NMI_OPEN;
}

static void set_nmi_blocked(struct vp *vp, bool blocked)
{
	machine_vp(vp)->nmi_blocked = blocked;
}

static unsigned int cpu_mode(const struct vp *vp)
{
	return machine_vp(vp)->mode;
}

int machine_exception(struct vp *vp)
{
	bool pending = vp->event.pending && vp->event.type == HvX64PendingException;

	vp->event.pending = false;
	return pending ? vp->event.vector : -1;
}

static void flush_tlb(struct vp *vp)
{
	machine_vp(vp)->flushes++;
}

// In another format than any processor's.
enum { PRESENT = 1, LARGE = 1 << 3, WRITE = 1 << 5, EXECUTE = 1 << 6 };
enum { ACCESSED = 1 << 8, DIRTY = 1 << 9 };

static enum gpa_order max_order(void)
{
	return GPA_1G;
}

static const struct backend machine_backend = {
	.name = "machine",
	.gpa_format = { .leaf = PRESENT,
		.table = PRESENT,
		.large = LARGE,
		.write = WRITE,
		.execute = EXECUTE,
		.address = UINT64_MAX << 12,
		.noted = ACCESSED | DIRTY,
		.max_order = max_order },
	.hypercall_code = (const uint8_t[]){ 0x0f, 0x01, 0xd9, 0xc3 },
	.hypercall_code_size = 4,
	.vp_pages = 2,
	.vp_init = backend_init,
	.vp_reset = vp_reset_registers,
	.load = save,
	.run = run,
	.offer_interrupt = offer_interrupt,
	.interrupt_taken = interrupt_taken,
	.save = save,
	.nmi_state = nmi_state,
	.set_nmi_blocked = set_nmi_blocked,
	.cpu_mode = cpu_mode,
	.flush_tlb = flush_tlb,
	.get_register = get_register,
	.set_register = set_register,
};
const struct backend *backend = &machine_backend;

// --- boot ---

struct vp *root_vp(unsigned int index)
{
	return root_partition->vps[index];
}

static void boot_cpu(unsigned int index)
{
	struct pcpu *cpu = &machine_cpus[index];

	*cpu = (struct pcpu){ .index = index, .apic_id = index, .online = true, .guest_seq = 1 };
	cpu->hypercall_input = parameter_pages[index][0];
	cpu->hypercall_output = parameter_pages[index][1];
	run_queue_init(&cpu->run_queue);
	list_init(&cpu->timers.armed);
	pcpus[index] = cpu;
}

static void boot_root(void)
{
	struct page_pool pool = { 0 };

	for (uint64_t page = MACHINE_HV_PAGES; page-- > 1;)
		page_pool_deposit(&pool, page_to_va(page));
	root_partition = page_alloc(&pool);
	partition_init(root_partition, NULL);
	root_partition->pool = pool;
	if (!partition_publish(root_partition) || partition_initialize(root_partition))
		fail("no root");
	root_partition->guest_os_id = 1;
	for (uint64_t page = MACHINE_HV_PAGES; page < MACHINE_PAGES; page += 512)
		gpa_map_set(&root_partition->gpa, page, page, GPA_2M, GPA_RWX);
	for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
		struct vp *vp = vp_create(root_partition, i, i);

		vp->cpu = pcpus[i];
		vp->pinned = true;
		vp->explicit_suspend = false;
		vp->activity = VP_ACTIVE;
	}
}

void machine_switch(unsigned int cpu)
{
	if (machine_cpu)
		machine_cpu->guest_seq += !(machine_cpu->guest_seq & 1);
	machine_cpu = &machine_cpus[cpu];
	machine_cpu->guest_seq += machine_cpu->guest_seq & 1;
}

void machine_setup(void)
{
	tsc_ahead = start_clock() - __builtin_ia32_rdtsc();
	tsc_start = start_clock() - tsc_hz;
	for (unsigned int i = 0; i < MACHINE_CPUS; i++)
		boot_cpu(i);
	trace_mask = 0;
	machine_switch(0);
	frame_table_init(MACHINE_PAGES * PAGE_SIZE, frame_words);
	frame_mark(0, MACHINE_PAGES, false);
	frame_mark(0, MACHINE_HV_PAGES, true);
	boot_root();
	for (unsigned int i = MACHINE_CPUS; i-- > 0;) {
		machine_switch(i);
		machine_run(root_vp(i));
	}
}

void machine_run(struct vp *vp)
{
	struct pcpu *cpu = machine_cpu;
	struct vp *before = cpu->run_queue.current;

	if (before == vp)
		return;
	if (before) {
		before->run_state = VP_BLOCKED;
		before->loaded_on = NULL;
	}
	sched_remove(vp);
	vp->cpu = cpu;
	vp->run_state = VP_RUNNING;
	vp->loaded_on = cpu;
	cpu->loaded = vp;
	cpu->run_queue.current = vp;
}

// --- hypercalls ---

static unsigned int entry_access(uint64_t entry)
{
	return GPA_READ | (entry & WRITE ? GPA_WRITE : 0) | (entry & EXECUTE ? GPA_EXECUTE : 0);
}

// What the processor does to an entry on its way: the bit says that it was there.
static bool note(uint64_t *entry, uint64_t *value, unsigned int access, bool last)
{
	uint64_t noted;

	do {
		if (!(*value & PRESENT) || (last && (entry_access(*value) & access) != access))
			return false;
		noted = *value | ACCESSED | (last && access & GPA_WRITE ? DIRTY : 0);
	} while (noted != *value && !__atomic_compare_exchange_n(entry, value, noted, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return true;
}

void *machine_access(struct partition *partition, uint64_t gpa, unsigned int access)
{
	uint64_t *entry = partition->gpa.top, value = va_to_page(entry) << 12, size;

	if (gpa >> GPA_BITS)
		return NULL;
	for (int shift = 39;; shift -= 9) {
		bool last;

		entry = (uint64_t *)page_to_va(value >> 12) + (gpa >> shift & 511);
		value = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
		last = shift == PAGE_SHIFT || value & LARGE;
		size = 1ull << shift;
		if (!note(entry, &value, access, last))
			return NULL;
		if (last)
			break;
	}
	return (uint8_t *)page_to_va(value >> 12) + gpa % size;
}

void *machine_memory(struct partition *partition, uint64_t gpa)
{
	void *memory = machine_access(partition, gpa, GPA_READ | GPA_WRITE);

	if (!memory)
		memory = machine_access(partition, gpa, GPA_READ);
	if (!memory)
		fail("no such guest page");
	return memory;
}

static uint64_t in_page(const struct vp *vp)
{
	return (vp->partition->is_root ? MACHINE_IN_PAGE : MACHINE_CHILD_IN_PAGE) + 2 * vp->index;
}

bool machine_call_once(struct vp *vp)
{
	const struct vp_exit exit = {
		.reason = EXIT_HYPERCALL, .insn_length = 3, .cpu_mode = machine_vp(vp)->mode
	};
	uint64_t rip = vp->regs.rip;

	machine_run(vp);
	hypercall_exit(vp, &exit);
	return vp->regs.rip != rip;
}

uint64_t machine_call_control(
	struct vp *vp, uint64_t control, const void *in, size_t in_size, void *out, size_t out_size)
{
	uint64_t page = in_page(vp);

	if (in_size)
		memcpy(machine_memory(vp->partition, page * PAGE_SIZE), in, in_size);
	vp->regs.gpr[RCX] = control;
	vp->regs.gpr[RDX] = page * PAGE_SIZE;
	vp->regs.gpr[R8] = (page + 1) * PAGE_SIZE;
	for (unsigned int tries = 0; !machine_call_once(vp); tries++)
		if (tries > 10000)
			fail("a hypercall does not end");
	if (out_size)
		memcpy(out, machine_memory(vp->partition, (page + 1) * PAGE_SIZE), out_size);
	return vp->regs.gpr[RAX];
}

hv_status machine_call(
	struct vp *vp, uint16_t code, const void *in, size_t in_size, void *out, size_t out_size)
{
	return hv_result_status(machine_call_control(
		vp, hv_call_control(code, 0, 0, 0), in, in_size, out, out_size));
}

hv_status machine_call_rep(struct vp *vp, uint16_t code, uint32_t reps, const void *in,
	size_t in_size, void *out, size_t out_size, uint32_t *done)
{
	uint64_t result = machine_call_control(
		vp, hv_call_control(code, 0, reps, 0), in, in_size, out, out_size);

	if (done)
		*done = hv_result_reps(result);
	return hv_result_status(result);
}

static hv_status deposit(hv_partition_id id, const uint64_t *pages, uint32_t count)
{
	uint64_t in[512] = { id };

	memcpy(in + 1, pages, count * sizeof(in[0]));
	return machine_call_rep(root_vp(0), HvCallDepositMemory, count, in,
		(1 + count) * sizeof(in[0]), NULL, 0, NULL);
}

hv_status machine_deposit(hv_partition_id id, uint64_t first, uint32_t count)
{
	uint64_t pages[511];

	for (uint32_t i = 0; i < count; i++)
		pages[i] = first + i;
	return deposit(id, pages, count);
}

// The next COUNT pages from *PAGE on that the root has for itself.
static const uint64_t *find_pages(uint64_t *page, unsigned int count)
{
	static uint64_t found[256];
	uint64_t spa;

	for (unsigned int n = 0; n < count; ++*page) {
		if (*page >= MACHINE_PAGES)
			fail("the root has too few pages");
		if (!gpa_map_lookup(&root_partition->gpa, *page, GPA_RWX, &spa) || spa != *page ||
			!frame_take(spa))
			continue;
		frame_release(spa);
		found[n++] = spa;
	}
	return found;
}

static void check(hv_status status, const char *what)
{
	if (!status)
		return;
	fprintf(stderr, "status %x; pages free in the root's pool: %lu of %lu\n", status,
		root_partition->pool.free_pages, root_partition->pool.total_pages);
	fail(what);
}

static void map_memory(hv_partition_id id, const uint64_t *pages, unsigned int count)
{
	uint64_t in[512] = { id, 0, HV_MAP_GPA_PERMISSIONS_MASK };

	memcpy(in + 3, pages, count * sizeof(in[0]));
	check(machine_call_rep(root_vp(0), HvCallMapGpaPages, count, in,
		      (3 + count) * sizeof(in[0]), NULL, 0, NULL),
		"map");
}

struct partition *machine_child(unsigned int slot, unsigned int vps, unsigned int pages)
{
	uint64_t page = MACHINE_CHILD_PAGE + 1024 * slot;
	const uint64_t create[7] = { HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED };
	struct partition *child;
	hv_partition_id id;

	check(machine_call(
		      root_vp(0), HvCallCreatePartition, create, sizeof(create), &id, sizeof(id)),
		"create");
	check(deposit(id, find_pages(&page, 200), 200), "deposit");
	check(machine_call(root_vp(0), HvCallInitializePartition, &id, sizeof(id), NULL, 0),
		"initialize");
	for (unsigned int i = 0; i < vps; i++) {
		const uint64_t vp[5] = { id, i };

		check(machine_call(root_vp(0), HvCallCreateVp, vp, sizeof(vp), NULL, 0), "VP");
	}
	page = MAX(page, MACHINE_CHILD_PAGE + 1024ul * slot + 256);
	map_memory(id, find_pages(&page, pages), pages);
	child = partition_find(id);
	child->guest_os_id = 1;
	return child;
}

uint64_t machine_destroy(hv_partition_id id)
{
	const uint64_t withdraw[2] = { id };
	uint64_t pages[256], total = 0;
	hv_status status;
	uint32_t done;

	status = machine_call(root_vp(0), HvCallFinalizePartition, &id, sizeof(id), NULL, 0);
	if (status != HV_STATUS_INVALID_PARTITION_STATE)
		check(status, "finalize");
	do {
		status = machine_call_rep(root_vp(0), HvCallWithdrawMemory, 256, withdraw,
			sizeof(withdraw), pages, sizeof(pages), &done);
		total += done;
	} while (!status);
	if (status != HV_STATUS_NO_RESOURCES)
		fail("withdraw");
	check(machine_call(root_vp(0), HvCallDeletePartition, &id, sizeof(id), NULL, 0), "delete");
	return total;
}

static bool is_overlay(const struct gpa_map *map, uint64_t page)
{
	for (const struct overlay *o = map->overlays; o; o = o->next)
		if (o->gpa_page == page)
			return true;
	return false;
}

static void check_map(struct partition *partition, uint64_t pages)
{
	uint64_t spa;

	for (uint64_t page = 0; page < pages; page++)
		if (gpa_map_lookup(&partition->gpa, page, 0, &spa) && frame_is_hypervisor(spa) &&
			!is_overlay(&partition->gpa, page))
			fail("a partition can reach a page of the hypervisor");
}

void machine_check(void)
{
	hv_partition_id id = HV_PARTITION_ID_INVALID;

	check_map(root_partition, MACHINE_PAGES);
	while ((id = partition_next_child(root_partition, id)))
		if (partition_find(id)->state == PARTITION_INITIALIZED)
			check_map(partition_find(id), 4096);
}
