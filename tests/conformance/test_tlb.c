// SPDX-License-Identifier: BSD-2-Clause
// TLB flushes by hypercall. A few pages at an address of their own are mapped by page tables of
// this file. Another VP keeps reading through them, so that its processor has the translations; VP
// 0 turns the page table entries to other memory and flushes; what the other VP reads after that
// must come from there. Whether an old translation was really still in use in between depends on
// the machine (any exit may drop it): the tests count how often it was seen and say so in a note,
// and repeat until it was often enough or a limit is reached.
//
// More is flushed than was asked for on many hypervisors; nothing here forbids it.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

#define NEEDS_FLUSH HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH

#define BASE   0x8000000000ull // the second entry of the top table: nobody's
#define PAGES  12u
#define OLD    0x01d01d00u
#define NEW    0x2e302e30u
#define ENOUGH 3  // stale reads seen
#define READS  30 // at most: rounds times VPs that read in each

#define PTE_PRESENT 0x1u
#define PTE_WRITE   0x2u
#define PTE_GLOBAL  0x100u
#define CR4_PGE	    0x80u

static uint64_t tables[3][512] __attribute__((aligned(4096)));
static uint32_t memory[2][PAGES][1024] __attribute__((aligned(4096)));
static uint8_t input[4096] __attribute__((aligned(4096))); // VP 0's
static uint64_t pte_bits;

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static void set_global_pages(bool on)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	value = on ? value | CR4_PGE : value & ~(uint64_t)CR4_PGE;
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static void turn(unsigned int page, unsigned int to)
{
	__atomic_store_n(&tables[2][page],
		(uintptr_t)memory[to][page] | PTE_PRESENT | PTE_WRITE | pte_bits, __ATOMIC_SEQ_CST);
}

static volatile uint32_t *at(unsigned int page)
{
	return (volatile uint32_t *)(BASE + page * 4096ull);
}

static void flush_here(void)
{
	for (unsigned int page = 0; page < PAGES; page++)
		__asm__ volatile("invlpg (%0)" : : "r"(at(page)) : "memory");
}

// Maps the pages to the old memory.
static void map(uint64_t more_bits)
{
	uint64_t *top = (uint64_t *)(read_cr3() & ~0xfffull);

	pte_bits = more_bits;
	for (unsigned int page = 0; page < PAGES; page++) {
		memory[0][page][0] = OLD + page;
		memory[1][page][0] = NEW + page;
		turn(page, 0);
	}
	tables[1][0] = (uintptr_t)tables[2] | PTE_PRESENT | PTE_WRITE;
	tables[0][0] = (uintptr_t)tables[1] | PTE_PRESENT | PTE_WRITE;
	top[BASE >> 39 & 511] = (uintptr_t)tables[0] | PTE_PRESENT | PTE_WRITE;
	flush_here();
}

// --- the other VP ---

static struct reader {
	uint32_t seen[PAGES]; // what it has read last
	uint32_t passes;      // over all pages
	uint32_t stop;
	uint64_t cr3;
	bool global;
} readers[64];

// Reads without anything that leaves the guest, for as long as it is not told to stop.
static void keep_reading(void *argument)
{
	struct reader *reader = argument;

	if (reader->global)
		set_global_pages(true);
	reader->cr3 = read_cr3();
	flush_here();
	while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE)) {
		for (unsigned int page = 0; page < PAGES; page++)
			__atomic_store_n(&reader->seen[page], *at(page), __ATOMIC_RELAXED);
		__atomic_fetch_add(&reader->passes, 1, __ATOMIC_RELEASE);
	}
	if (reader->global)
		set_global_pages(false);
	flush_here();
}

static bool passes(const struct reader *reader, unsigned int count)
{
	uint32_t from = __atomic_load_n(&reader->passes, __ATOMIC_ACQUIRE);

	return WAIT(__atomic_load_n(&reader->passes, __ATOMIC_ACQUIRE) - from >= count, SLOW_MS);
}

static uint32_t all_passes(void)
{
	uint32_t sum = 0;

	for (unsigned int vp = 1; vp < machine.vps; vp++)
		sum += __atomic_load_n(&readers[vp].passes, __ATOMIC_ACQUIRE);
	return sum;
}

// Some reader makes a pass, from its begin on: with as many as there are VPs one of them has made
// two. Waiting for each would take turns on the processors, if there are fewer, and with them the
// translations away.
static bool somebody_passes(void)
{
	uint32_t from = all_passes();

	return WAIT(all_passes() - from >= machine.vps, SLOW_MS);
}

static void readers_stop(void)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		__atomic_store_n(&readers[vp].stop, 1, __ATOMIC_RELEASE);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}

// Fails the test if not `good`, with the readers at rest.
static void require(bool good, unsigned int vp, const char *what)
{
	if (good)
		return;
	readers_stop();
	FAIL("VP %u %s", vp, what);
}

static void expect_passes(unsigned int count)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		require(passes(&readers[vp], count), vp, "does not read");
}

static void readers_start(bool global)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++) {
		readers[vp] = (struct reader){ .global = global };
		vp_start(vp, keep_reading, &readers[vp]);
	}
	expect_passes(2);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		require(readers[vp].cr3 == read_cr3(), vp, "has other page tables");
}

// Whether VP still reads the old memory somewhere.
static bool is_stale(unsigned int vp)
{
	for (unsigned int page = 0; page < PAGES; page++)
		if (__atomic_load_n(&readers[vp].seen[page], __ATOMIC_RELAXED) == OLD + page)
			return true;
	return false;
}

// --- the variants ---

enum { SPACE, LIST, SPACE_EX, LIST_EX };
enum { SET_MASK, SET_ALL_FLAG, SET_SPARSE, SET_ALL_FORMAT };

static const struct variant {
	const char *name;
	uint16_t call; // code
	uint8_t kind, set;
	bool global;
	uint64_t flags;
} variants[] = {
	{ "HvCallFlushVirtualAddressSpace, mask", 2, SPACE, SET_MASK, false, 0 },
	{ "HvCallFlushVirtualAddressSpace, all processors", 2, SPACE, SET_ALL_FLAG, false,
		HV_FLUSH_ALL_PROCESSORS },
	{ "HvCallFlushVirtualAddressSpace, all address spaces", 2, SPACE, SET_MASK, false,
		HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
	{ "HvCallFlushVirtualAddressSpace, both", 2, SPACE, SET_ALL_FLAG, false,
		HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
	{ "HvCallFlushVirtualAddressSpace, non-global only", 2, SPACE, SET_MASK, false,
		HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY },
	{ "HvCallFlushVirtualAddressSpace, global pages", 2, SPACE, SET_MASK, true, 0 },
	{ "HvCallFlushVirtualAddressSpace, global pages of all", 2, SPACE, SET_ALL_FLAG, true,
		HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
	{ "HvCallFlushVirtualAddressList, mask", 3, LIST, SET_MASK, false, 0 },
	{ "HvCallFlushVirtualAddressList, all processors", 3, LIST, SET_ALL_FLAG, false,
		HV_FLUSH_ALL_PROCESSORS },
	{ "HvCallFlushVirtualAddressList, all address spaces", 3, LIST, SET_MASK, false,
		HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
	{ "HvCallFlushVirtualAddressList, global pages", 3, LIST, SET_MASK, true, 0 },
	{ "HvCallFlushVirtualAddressSpaceEx, sparse set", 0x13, SPACE_EX, SET_SPARSE, false, 0 },
	{ "HvCallFlushVirtualAddressSpaceEx, all", 0x13, SPACE_EX, SET_ALL_FORMAT, false, 0 },
	{ "HvCallFlushVirtualAddressSpaceEx, all processors", 0x13, SPACE_EX, SET_SPARSE, false,
		HV_FLUSH_ALL_PROCESSORS },
	{ "HvCallFlushVirtualAddressSpaceEx, global pages", 0x13, SPACE_EX, SET_SPARSE, true,
		HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
	{ "HvCallFlushVirtualAddressListEx, sparse set", 0x14, LIST_EX, SET_SPARSE, false, 0 },
	{ "HvCallFlushVirtualAddressListEx, all", 0x14, LIST_EX, SET_ALL_FORMAT, false, 0 },
	{ "HvCallFlushVirtualAddressListEx, all address spaces", 0x14, LIST_EX, SET_SPARSE, false,
		HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES },
};

static bool variant_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "TLB: %s", variants[row].name);
	return true;
}

// The rows for VPs that have no global pages enabled.
static bool plain_row_name(unsigned int row, char *text, size_t size)
{
	return variant_row_name(row, text, size) && !variants[row].global;
}

static uint64_t all_mask(void)
{
	return machine.vps < 64 ? (1ull << machine.vps) - 1 : UINT64_MAX;
}

// Three ranges cover all pages: one page, one and seven more, the last one and those behind it.
static unsigned int fill_list(uint64_t *list)
{
	list[0] = BASE;
	list[1] = (BASE + 4096) | 7;
	list[2] = (BASE + 9 * 4096ull) | (PAGES - 10);
	return 3;
}

static uint64_t flush_mask(const struct variant *v, uint64_t mask, uint64_t *result)
{
	struct {
		struct hv_input_flush_virtual_address_list fixed;
		uint64_t list[3];
	} *in = (void *)input;
	unsigned int reps = v->kind == LIST ? fill_list(in->list) : 0;

	in->fixed.address_space = read_cr3();
	in->fixed.flags = v->flags;
	in->fixed.processor_mask = v->set == SET_MASK ? mask : 0;
	*result = hypercall(hv_call_control(v->call, 0, reps, 0), gpa_of(in), 0);
	return reps;
}

static uint64_t flush_set(const struct variant *v, uint64_t mask, uint64_t *result)
{
	struct {
		struct hv_input_flush_virtual_address_list_ex fixed;
		uint64_t bank_and_list[4];
	} *in = (void *)input;
	unsigned int banks = v->set == SET_SPARSE ? 1 : 0;
	unsigned int reps = v->kind == LIST_EX ? fill_list(in->bank_and_list + banks) : 0;

	in->fixed.address_space = read_cr3();
	in->fixed.flags = v->flags;
	in->fixed.processor_set.format = banks ? HV_VP_SET_SPARSE_4K : HV_VP_SET_ALL;
	in->fixed.processor_set.valid_bank_mask = banks;
	if (banks)
		in->bank_and_list[0] = mask;
	*result = hypercall(hv_call_control(v->call, banks, reps, 0), gpa_of(in), 0);
	return reps;
}

static bool flush_works(const struct variant *v, uint64_t mask)
{
	uint64_t result;
	uint64_t reps = v->kind == SPACE || v->kind == LIST ? flush_mask(v, mask, &result)
							    : flush_set(v, mask, &result);

	return hv_result_status(result) == HV_STATUS_SUCCESS && hv_result_reps(result) == reps;
}

static void flush(const struct variant *v, uint64_t mask)
{
	EXPECT(flush_works(v, mask), "the flush fails, or has not done all of its list");
}

static void turn_all(unsigned int to)
{
	for (unsigned int page = 0; page < PAGES; page++)
		turn(page, to);
}

// One round: the old translations are in use, go away, and come back for the next one. A pass that
// had begun before the flush ended does not count, the next one does.
static unsigned int flush_round(const struct variant *v)
{
	unsigned int stale = 0;

	turn_all(1);
	require(somebody_passes(), 1, "does not read, nor does another");
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		stale += is_stale(vp);
	require(flush_works(v, all_mask()), 0, "cannot flush");
	expect_passes(2);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		require(!is_stale(vp), vp, "reads the old page after the flush");
	turn_all(0);
	require(flush_works(v, all_mask()), 0, "cannot flush");
	expect_passes(2);
	return stale;
}

static void check_variant(const struct variant *v)
{
	unsigned int stale = 0, rounds = 0;

	if (v->kind >= SPACE_EX && !has_hint(HV_HINT_EX_PROCESSOR_MASKS))
		SKIP("sparse sets are not advertised");
	map(v->global ? PTE_GLOBAL : 0);
	readers_start(v->global);
	while (rounds * (machine.vps - 1) < READS && stale < ENOUGH) {
		stale += flush_round(v);
		rounds++;
	}
	readers_stop();
	test_note("an old translation was in use %u times in %u rounds", stale, rounds);
}

TEST(tlb_running, "a stale translation on a running VP goes", "Virtual TLB Enhancements",
	.hints = NEEDS_FLUSH, .vps = 2, .rows = ARRAY_SIZE(variants), .row_name = variant_row_name)
{
	check_variant(&variants[row]);
}

// --- VPs that are halted ---

static struct halted {
	uint32_t asleep, awake, before, after;
} halted;

static void sleep_on_it(void *argument)
{
	(void)argument;
	flush_here();
	halted.before = *at(3);
	__atomic_store_n(&halted.asleep, 1, __ATOMIC_RELEASE);
	while (!interrupt_count(this_vp(), 0x51))
		halt_once();
	halted.after = *at(3);
	__atomic_store_n(&halted.awake, 1, __ATOMIC_RELEASE);
	flush_here();
}

TEST(tlb_halted, "and on a VP that is halted", "Virtual TLB Enhancements", .hints = NEEDS_FLUSH,
	.vps = 2, .rows = ARRAY_SIZE(variants), .row_name = plain_row_name)
{
	const struct variant *v = &variants[row];

	if (v->kind >= SPACE_EX && !has_hint(HV_HINT_EX_PROCESSOR_MASKS))
		SKIP("sparse sets are not advertised");
	halted = (struct halted){ 0 };
	map(0);
	vp_start(1, sleep_on_it, NULL);
	EXPECT(WAIT(__atomic_load_n(&halted.asleep, __ATOMIC_ACQUIRE), SLOW_MS), "VP 1 is lost");
	pass_ms(2); // it is very likely in HLT now
	turn_all(1);
	flush(v, all_mask());
	apic_ipi(apic_id(1), APIC_ICR_FIXED | 0x51);
	vp_wait(1);
	EXPECT_EQ(halted.before, OLD + 3, "what VP 1 read before HLT");
	EXPECT_EQ(halted.after, NEW + 3, "what VP 1 read after the flush");
}

// --- the caller's own ---

TEST(tlb_self, "and on the VP that calls", "Virtual TLB Enhancements", .hints = NEEDS_FLUSH,
	.rows = ARRAY_SIZE(variants), .row_name = variant_row_name)
{
	const struct variant *v = &variants[row];

	if (v->kind >= SPACE_EX && !has_hint(HV_HINT_EX_PROCESSOR_MASKS))
		SKIP("sparse sets are not advertised");
	map(v->global ? PTE_GLOBAL : 0);
	set_global_pages(v->global);
	for (unsigned int i = 0; i < 5; i++) {
		for (unsigned int page = 0; page < PAGES; page++)
			EXPECT_EQ(*at(page), OLD + page, "a page, mapped to the old memory");
		turn_all(1);
		flush(v, 1);
		for (unsigned int page = 0; page < PAGES; page++)
			EXPECT_EQ(*at(page), NEW + page, "a page after the flush");
		turn_all(0);
		flush_here();
	}
	set_global_pages(false);
}

// --- all VPs at once ---

static void flush_much(void *argument)
{
	struct hv_input_flush_virtual_address_space *in = page_get();

	(void)argument;
	in->address_space = read_cr3();
	in->flags = HV_FLUSH_ALL_PROCESSORS;
	for (unsigned int i = 0; i < 100; i++)
		expect_status(
			hv_result_status(hypercall(hv_call_control(2, 0, 0, 0), gpa_of(in), 0)),
			HV_STATUS_SUCCESS, "the flush");
}

TEST(tlb_each_other, "TLB: VPs that flush each other all get on", "Virtual TLB Enhancements",
	.hints = NEEDS_FLUSH, .vps = 2)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, flush_much, NULL);
	flush_much(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}

// --- lists ---

static hv_status flush_list(
	const uint64_t *list, unsigned int count, uint64_t flags, uint32_t *reps)
{
	struct {
		struct hv_input_flush_virtual_address_list fixed;
		uint64_t list[500];
	} *in = page_get();
	uint64_t result;

	in->fixed.address_space = read_cr3();
	in->fixed.flags = flags;
	in->fixed.processor_mask = all_mask();
	for (unsigned int i = 0; i < count; i++)
		in->list[i] = list[i];
	result = hypercall(
		hv_call_control(HvCallFlushVirtualAddressList, 0, count, 0), gpa_of(in), 0);
	*reps = hv_result_reps(result);
	return hv_result_status(result);
}

TEST(tlb_list_full, "TLB: a list that fills its page", "HvCallFlushVirtualAddressList",
	.hints = NEEDS_FLUSH)
{
	static uint64_t list[500];
	uint32_t reps;

	for (unsigned int i = 0; i < 500; i++)
		list[i] = BASE + i * 4096ull;
	expect_status(flush_list(list, 500, 0, &reps), HV_STATUS_SUCCESS, "the flush");
	EXPECT_EQ(reps, 500, "reps done");
}

// "Invalid GVAs (those that specify addresses beyond the end of the partition's GVA space) are
// ignored."
TEST(tlb_list_invalid, "TLB: addresses that are none are ignored", "HvCallFlushVirtualAddressList",
	.hints = NEEDS_FLUSH)
{
	static const uint64_t list[] = { 0x0001000000000000, 0x7fffffffffff0000 | 0xfff,
		0xffffffffffffffff, 0 };
	uint32_t reps;

	expect_status(flush_list(list, 4, 0, &reps), HV_STATUS_SUCCESS, "the flush");
	EXPECT_EQ(reps, 4, "reps done");
}

TEST(tlb_list_longest, "TLB: a range of 4,096 pages", "HvCallFlushVirtualAddressList",
	.hints = NEEDS_FLUSH)
{
	const uint64_t list = BASE | 0xfff;
	uint32_t reps;

	map(0);
	EXPECT_EQ(*at(11), OLD + 11, "the last page");
	turn_all(1);
	expect_status(flush_list(&list, 1, 0, &reps), HV_STATUS_SUCCESS, "the flush");
	EXPECT_EQ(*at(11), NEW + 11, "the last page after the flush");
}

// --- flags and processors ---

static hv_status flush_space(uint64_t flags, uint64_t mask)
{
	struct hv_input_flush_virtual_address_space in = { read_cr3(), flags, mask };

	return call_memory(HvCallFlushVirtualAddressSpace, &in, sizeof(in), NULL, 0);
}

TEST(tlb_absent, "TLB: processors that do not exist are ignored", "HvCallFlushVirtualAddressSpace",
	.hints = NEEDS_FLUSH)
{
	expect_status(flush_space(0, UINT64_MAX), HV_STATUS_SUCCESS, "all 64 processors");
	expect_status(flush_space(0, 1ull << 63), HV_STATUS_SUCCESS, "processor 63 alone");
}

static const struct {
	const char *name;
	uint64_t flags;
} bad_flags[] = {
	{ "bit 4", 1 << 4 },
	{ "bit 63", 1ull << 63 },
	{ "all bits", ~HV_FLUSH_VALID_MASK },
};

static bool bad_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "TLB: reserved flags, %s", bad_flags[row].name);
	return true;
}

// "All other flags are reserved and must be set to zero."
TEST(tlb_bad_flags, "are refused", "HvCallFlushVirtualAddressSpace", .hints = NEEDS_FLUSH,
	.rows = 3, .row_name = bad_row_name)
{
	expect_status(flush_space(bad_flags[row].flags | HV_FLUSH_ALL_PROCESSORS, 0),
		HV_STATUS_INVALID_PARAMETER, "the flush");
}

TEST(tlb_list_flag, "TLB: non-global-only is refused for lists", "HvCallFlushVirtualAddressList",
	.hints = NEEDS_FLUSH)
{
	const uint64_t list = BASE;
	uint32_t reps;

	expect_status(flush_list(&list, 1, HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, &reps),
		HV_STATUS_INVALID_PARAMETER, "the flush");
}
