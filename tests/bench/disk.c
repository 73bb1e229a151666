// SPDX-License-Identifier: BSD-2-Clause
// A kernel that reads from its first disk with the SDK, in the same steps and at the same places as
// examples/linux/actions/bench with lumen-diskbench (examples/linux/diskbench.c) does on Linux.
// Before and after each step it says so and waits for a byte on the console, so that whoever is at
// the other end can read the counters while nothing happens.
#include "base/macros.h"
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/storage.h"
#include "lumen/synic.h"
#include "lumen/vmbus.h"

#define VECTOR_VMBUS	0x40
#define VECTOR_CONSOLE	0x41
#define VECTOR_SPURIOUS 0xff

#define SEQ_PIECE  (1u << 20)
#define RAND_PIECE 4096u
#define DEPTH	   32u

// The console's 16550 and its line of the I/O APIC.
#define UART_DATA	 0x3f8
#define UART_IRQ_ENABLE	 0x3f9
#define UART_MODEM	 0x3fc
#define UART_OUT2	 0x08 // the gate of the interrupt line
#define UART_LINE_STATUS 0x3fd
#define UART_RECEIVED	 0x01
#define UART_GSI	 4u
#define IOAPIC		 ((volatile uint32_t *)0xfec00000)

static uint8_t buffer[SEQ_PIECE] __attribute__((aligned(4096)));
static struct lumen_synic synic;
static struct hv_vp_assist_page assist __attribute__((aligned(4096)));
static struct lumen_disk *disk;
static uint32_t bytes_received;

// --- the console's input ---

static void console_handler(struct kernel_frame *frame)
{
	(void)frame;
	while (kernel_in8(UART_LINE_STATUS) & UART_RECEIVED) {
		kernel_in8(UART_DATA);
		__atomic_fetch_add(&bytes_received, 1, __ATOMIC_RELAXED);
	}
	kernel_eoi();
}

static void start_console_input(void)
{
	kernel_set_handler(VECTOR_CONSOLE, console_handler);
	IOAPIC[0] = 0x10 + 2 * UART_GSI + 1; // edge-triggered, to this processor
	IOAPIC[4] = kernel_apic_id(0) << 24;
	IOAPIC[0] = 0x10 + 2 * UART_GSI;
	IOAPIC[4] = VECTOR_CONSOLE;
	kernel_out8(UART_MODEM, UART_OUT2);
	kernel_out8(UART_IRQ_ENABLE, UART_RECEIVED);
}

// Sleeps, and nothing else: what is counted meanwhile is not ours.
static void wait_for_byte(void)
{
	kernel_irq_off();
	while (!bytes_received) {
		kernel_sleep();
		kernel_irq_off();
	}
	bytes_received--;
	kernel_irq_on();
}

// --- the disk ---

static void vmbus_handler(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi_assisted(&assist);
}

static bool ok(lumen_status status, const char *what)
{
	if (status != LUMEN_OK)
		kernel_print("bench: %s: %s\n", what, lumen_status_name(status));
	return status == LUMEN_OK;
}

static bool find_disk(void)
{
	static struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	struct lumen_storage *storage;
	struct lumen_channel *channel;
	struct lumen_vmbus *bus;

	kernel_set_handler(VECTOR_VMBUS, vmbus_handler);
	if (!ok(lumen_hypercall_enable(0), "hypercalls") || !ok(lumen_clock_start(), "clock") ||
		!ok(lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS), "APIC") ||
		!ok(lumen_vp_assist_enable(&assist), "VP assist page") ||
		!ok(lumen_synic_start(&synic), "SynIC") ||
		!ok(lumen_vmbus_connect(&config, &bus), "VMBus"))
		return false;
	channel = lumen_storage_find(bus, 0);
	if (!channel || !ok(lumen_storage_open(channel, NULL, &storage), "controller"))
		return false;
	disk = lumen_storage_disk(storage, 0);
	return disk != NULL;
}

// xorshift64: the same places in every run of a step.
#define RANDOM_SEED 88172645463325252ull
static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t piece_block(uint64_t number, uint32_t piece)
{
	uint32_t blocks = piece / disk->block_size;

	return number % (disk->blocks / blocks) * blocks;
}

// --- steps: how many requests of how many bytes. False: one failed. ---

struct step {
	const char *name;
	bool (*run)(uint32_t requests);
	uint32_t requests, piece;
};

// Many at once: each is submitted again, at another place, when it is done.
static struct {
	uint32_t left;	    // to be submitted
	uint32_t in_flight; // changes to 0 when all are done
	bool failed;
} rand_run;

static void rand_done(struct lumen_request *request)
{
	rand_run.failed |= request->status != LUMEN_OK || request->transferred != RAND_PIECE;
	if (rand_run.left && !rand_run.failed) {
		rand_run.left--;
		request->block = piece_block(next_random(), RAND_PIECE);
		rand_run.failed |= lumen_storage_submit(request) != LUMEN_OK;
		if (!rand_run.failed)
			return;
	}
	if (!__atomic_sub_fetch(&rand_run.in_flight, 1, __ATOMIC_RELEASE))
		lumen_wake(&rand_run.in_flight);
}

static bool start_rand(struct lumen_request *request, struct lumen_segment *segment, uint32_t slot)
{
	*segment = (struct lumen_segment){
		.data = buffer + slot * RAND_PIECE,
		.length = RAND_PIECE,
	};
	*request = (struct lumen_request){
		.disk = disk,
		.operation = LUMEN_READ,
		.block = piece_block(next_random(), RAND_PIECE),
		.count = RAND_PIECE / disk->block_size,
		.segments = segment,
		.segment_count = 1,
		.done = rand_done,
	};
	return lumen_storage_queue(request) == LUMEN_OK;
}

static bool run_rand(uint32_t requests)
{
	static struct lumen_request request[DEPTH];
	static struct lumen_segment segment[DEPTH];
	uint32_t left;

	rand_run.left = requests - DEPTH;
	rand_run.in_flight = DEPTH;
	for (uint32_t slot = 0; slot < DEPTH; slot++) {
		if (!start_rand(&request[slot], &segment[slot], slot))
			return false;
	}
	lumen_storage_kick(disk->storage);
	while ((left = __atomic_load_n(&rand_run.in_flight, __ATOMIC_ACQUIRE)))
		lumen_wait(&rand_run.in_flight, left, UINT64_MAX);
	return !rand_run.failed && !rand_run.left;
}

static bool run_single(uint32_t requests)
{
	for (uint32_t i = 0; i < requests; i++) {
		if (lumen_disk_read(disk, piece_block(next_random(), RAND_PIECE),
			    RAND_PIECE / disk->block_size, buffer) != LUMEN_OK)
			return false;
	}
	return true;
}

static bool run_seq(uint32_t requests)
{
	for (uint32_t i = 0; i < requests; i++) {
		if (lumen_disk_read(disk, piece_block(i, SEQ_PIECE), SEQ_PIECE / disk->block_size,
			    buffer) != LUMEN_OK)
			return false;
	}
	return true;
}

static bool run_nothing(uint32_t requests)
{
	return requests == 0;
}

static bool run_step(const struct step *step)
{
	uint64_t start;
	bool good;

	kernel_print("bench: before %s\n", step->name);
	wait_for_byte();
	random_state = RANDOM_SEED;
	start = lumen_clock_ns();
	good = step->run(step->requests);
	kernel_print("bench: after %s requests=%u bytes=%lu us=%lu\n", step->name, step->requests,
		(uint64_t)step->requests * step->piece, (lumen_clock_ns() - start) / 1000);
	wait_for_byte();
	return good;
}

int kernel_main(void)
{
	static const struct step steps[] = {
		{ "nothing", run_nothing, 0, 0 },
		{ "rand", run_rand, 4096, RAND_PIECE },
		{ "single", run_single, 1024, RAND_PIECE },
		{ "seq", run_seq, 128, SEQ_PIECE },
	};

	start_console_input();
	if (!find_disk())
		return 1;
	kernel_print("bench: init\n");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!run_step(&steps[i]))
			return 2;
	}
	return 0;
}
