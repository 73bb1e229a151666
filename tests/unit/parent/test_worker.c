// SPDX-License-Identifier: BSD-2-Clause
// The whole worker over a partition that is none (fake_partition.h): how a child ends, the console,
// the control socket, and a disk over VMBus.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macros.h"
#include "drivers/common/ic.h"
#include "drivers/proto/fcopy.h"
#include "drivers/proto/heartbeat.h"
#include "drivers/proto/nvsp.h"
#include "drivers/proto/shutdown.h"
#include "drivers/proto/storage.h"
#include "drivers/proto/vss.h"
#include "fake_block_system.h"
#include "fake_partition.h"
#include "parent/common/descriptor.h"
#include "parent/worker/connector.h"
#include "parent/worker/devices/socket.h"
#include "parent/worker/devices/storage.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/worker.h"
#include "vmbus/packet.h"
#include "vmbus/protocol.h"
#include "vmbus/ring.h"

static struct worker *worker;
static char directory[] = "/tmp/lumen-worker-XXXXXX";
static char path[200];

static const char *path_of(const char *file)
{
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return path;
}

// A PVH kernel of no instructions: nobody executes it.
static void write_kernel(void)
{
	static uint8_t file[0x400] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	static const uint64_t header[] = { 0x00000001003e0002, 0, 64, 0, 0x0038004000000000, 2 };
	static const uint64_t load[] = { 0x700000001, 0x200, 0x100000, 0x100000, 0x100, 0x100, 8 };
	static const uint64_t note[] = { 0x400000004, 0x300, 0, 0, 20, 20, 4 };
	static const uint32_t entry[] = { 4, 4, 18, 0x006e6558, 0x100000 };
	int fd;

	memcpy(file + 16, header, sizeof(header));
	memcpy(file + 64, load, sizeof(load));
	memcpy(file + 64 + 56, note, sizeof(note));
	memcpy(file + 0x300, entry, sizeof(entry));
	fd = open(path_of("kernel"), O_CREAT | O_WRONLY, 0600);
	cr_assert_eq(write(fd, file, sizeof(file)), (ssize_t)sizeof(file));
	close(fd);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
	write_kernel();
	worker = calloc(1, sizeof(*worker));
	worker->directory = directory;
	worker->name = "child";
	child_config_init(&worker->config);
	cr_assert_null(child_config_set(&worker->config, "kernel", path_of("kernel")));
	cr_assert_null(child_config_set(&worker->config, "memory", "16M"));
}

static void teardown(void)
{
	char command[100];

	if (worker)
		synthetic_free(worker);
	free(worker);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(worker, .init = setup, .fini = teardown, .timeout = 60);

static void start(fake_guest guest)
{
	struct failure failure = { .text = "" };

	fake_reset(guest);
	cr_assert(worker_start(worker, &failure), "%s", failure.text);
}

static int run(fake_guest guest)
{
	int status;

	start(guest);
	status = worker_run(worker);
	cr_expect(!fake_open(), "the partition is given back");
	return status;
}

// The first row of the table.
static struct storage_device *storage(void)
{
	return (struct storage_device *)synthetic_at(worker, 0);
}

// What its channel has counted, which is closed.
static uint64_t disk_requests(void)
{
	const struct vsp_counter *counter;
	unsigned i = 0;

	while ((counter = vsp_counter(&storage_vsp_class, i)) && strcmp(counter->name, "requests"))
		i++;
	cr_assert(counter);
	return storage()->device.closed[i];
}

static const char *read_text(const char *file)
{
	static char text[4096];
	int fd = open(path_of(file), O_RDONLY);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	cr_assert_geq(length, 0, "%s", file);
	text[length] = 0;
	close(fd);
	return text;
}

static int hello_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const char text[] = "hello\n";

	if (vp)
		return fake_wait();
	if (step < strlen(text))
		fake_out(message, LAYOUT_CONSOLE_PORT, 1, (uint8_t)text[step]);
	else if (step == strlen(text))
		fake_out(message, LAYOUT_EXIT_STATUS, 1, 7);
	else
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return 0;
}

Test(worker, a_child_prints_reports_and_powers_off)
{
	cr_assert_eq(run(hello_guest), 7);
	cr_assert_str_eq(read_text(RUNDIR_CONSOLE), "hello\n");
	cr_assert_str_eq(worker->end.reason, "The child powered off and reported status 7.");
}

Test(worker, vp_0_enters_the_kernel_and_rip_advances)
{
	start(hello_guest);
	cr_assert_eq(worker_run(worker), 7);
	cr_assert_eq(fake_register(0, HvX64RegisterRbx), LAYOUT_START_INFO);
	cr_assert_eq(fake_register(0, HvX64RegisterRip), 0x1001, "behind the last OUT that ran on");
	cr_assert_eq(fake_register(1, HvX64RegisterRip), 0);
}

static int stepping_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct hv_x64_intercept_message_header *header = (void *)message->payload;

	if (step == 2)
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	else
		fake_in(message, 0x60, 1);
	if (step == 1)
		header->rflags |= 0x100;
	if (step == 1 && fake_register(0, HvRegisterPendingEvent0))
		fake_out(message, LAYOUT_EXIT_STATUS, 1, 1); // too early
	return 0;
}

Test(worker, a_single_step_over_a_port_access_gives_db)
{
	cr_assert_eq(run(stepping_guest), 0);
	cr_assert_eq(fake_register(0, HvRegisterPendingEvent0), 1 | 1 << 16, "exception 1");
	cr_assert_eq(fake_register(0, HvX64RegisterDr6), 0xffff4ff0);
}

static int reset_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	fake_out(message, LAYOUT_RESET, 1, LAYOUT_RESET_VALUE);
	return 0;
}

Test(worker, a_reset_is_a_status_of_its_own)
{
	cr_assert_eq(run(reset_guest), LUMEN_EXIT_RESET);
}

static int faulty_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if (vp != 3)
		return fake_wait();
	fake_triple_fault(message);
	return 0;
}

Test(worker, a_triple_fault_of_any_vp_ends_the_child)
{
	worker->config.vps = 4;
	cr_assert_eq(run(faulty_guest), LUMEN_EXIT_CRASHED);
	cr_assert(strstr(worker->end.reason, "triple fault of VP 3"));
}

static int panicking_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if (step == 0)
		fake_crash(message);
	else if (step == 1)
		fake_out(message, LAYOUT_CONSOLE_PORT, 1, '!');
	else
		return fake_wait();
	return 0;
}

Test(worker, a_panic_is_noticed_and_may_print_its_last_words)
{
	worker->config.on_crash = CHILD_CRASH_KILL;
	cr_assert_eq(run(panicking_guest), LUMEN_EXIT_CRASHED);
	cr_assert_str_eq(read_text(RUNDIR_CONSOLE), "!");
}

// Dumps, when it would have been ended if it were not to: then it powers off.
static int dumping_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	const uint32_t *ticks = &worker->crash_watch.ticks;

	if (step == 0)
		fake_crash(message);
	while (step && __atomic_load_n(ticks, __ATOMIC_RELAXED) <= CRASH_WORDS_TICKS)
		sched_yield();
	if (step == 1)
		fake_out(message, LAYOUT_CONSOLE_PORT, 1, 'd');
	else if (step == 2)
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return 0;
}

Test(worker, a_crashed_child_may_write_its_dump)
{
	cr_assert_eq(run(dumping_guest), LUMEN_EXIT_CRASHED);
	cr_assert_str_eq(read_text(RUNDIR_CONSOLE), "d");
}

Test(worker, a_crashed_child_may_be_kept)
{
	worker->config.on_crash = CHILD_CRASH_KEEP;
	cr_assert_eq(run(dumping_guest), LUMEN_EXIT_CRASHED);
	cr_assert_str_eq(read_text(RUNDIR_CONSOLE), "d");
}

// A panic with a message: its address and length are in the crash registers.
static int talking_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const char text[] = "[ 1.0] Kernel panic - not syncing: why\n[ 1.1] more";

	if (step)
		return fake_wait();
	memcpy(guest_memory_at(fake_memory, 0x200000, sizeof(text)), text, sizeof(text));
	fake_set_register(0, HvRegisterGuestCrashP3, 0x200000);
	fake_set_register(0, HvRegisterGuestCrashP4, sizeof(text));
	fake_crash(message);
	return 0;
}

Test(worker, a_panic_is_reported_in_its_own_words)
{
	worker->config.on_crash = CHILD_CRASH_KILL;
	cr_assert_eq(run(talking_guest), LUMEN_EXIT_CRASHED);
	cr_assert_str_eq(worker->end.reason, "The child crashed: Kernel panic - not syncing: why.");
}

static int lying_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if (step)
		return fake_wait();
	fake_set_register(0, HvRegisterGuestCrashP3, UINT64_MAX - 100);
	fake_set_register(0, HvRegisterGuestCrashP4, UINT64_MAX);
	fake_crash(message);
	return 0;
}

Test(worker, a_crash_message_outside_the_childs_memory_is_not_read)
{
	worker->config.on_crash = CHILD_CRASH_KILL;
	cr_assert_eq(run(lying_guest), LUMEN_EXIT_CRASHED);
	cr_assert(strstr(worker->end.reason, "0xffffffffffffff9b 0xffffffffffffffff"));
}

// The lines that the worker has logged, on standard error, since log_to_file().
static void log_to_file(void)
{
	int fd = open(path_of("log"), O_CREAT | O_WRONLY | O_APPEND, 0600);

	cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
	close(fd);
}

static unsigned logged_lines(void)
{
	FILE *file = fopen(path_of("log"), "r");
	unsigned lines = 0;
	int byte;

	while ((byte = fgetc(file)) != EOF)
		lines += byte == '\n';
	fclose(file);
	return lines;
}

static int always_crashing_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	fake_crash(message);
	return 0;
}

Test(worker, only_the_first_report_of_a_crash_counts)
{
	log_to_file();
	worker->config.on_crash = CHILD_CRASH_KILL;
	cr_assert_eq(run(always_crashing_guest), LUMEN_EXIT_CRASHED);
	cr_assert_lt(logged_lines(), 50);
}

static int panic_reset_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if (step == 0)
		fake_crash(message);
	else
		fake_out(message, LAYOUT_RESET, 1, LAYOUT_RESET_VALUE);
	return 0;
}

Test(worker, a_panic_outweighs_the_reset_that_follows)
{
	cr_assert_eq(run(panic_reset_guest), LUMEN_EXIT_CRASHED);
}

static int waiting_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	return fake_wait();
}

Test(worker, a_child_that_hangs_is_ended)
{
	worker->config.vps = 3;
	worker->config.timeout_s = 1;
	cr_assert_eq(run(waiting_guest), LUMEN_EXIT_HUNG);
}

// Waits for the output of a timer that is not there.
static int calibrating_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const char text[] = "calibrating";

	for (size_t i = 0; !step && i < sizeof(text); i++)
		memcpy(guest_memory_at(fake_memory, LAYOUT_SCREEN + 2 * i, 1), text + i, 1);
	fake_in(message, 0x61, 1);
	return 0;
}

Test(worker, a_child_that_hangs_says_what_it_waits_for)
{
	log_to_file();
	worker->config.timeout_s = 1;
	cr_assert_eq(run(calibrating_guest), LUMEN_EXIT_HUNG);
	cr_assert(
		strstr(worker->end.reason, "within 1 s. It seems to wait for the 8254 timer (PIT)"),
		"%s", worker->end.reason);
	cr_assert(strstr(read_text("log"), "  port 0x61: "));
	cr_assert(strstr(read_text("log"), "  | calibrating"));
}

Test(worker, with_a_legacy_timer_it_does_not_wait)
{
	worker->config.legacy_timer = true;
	worker->config.timeout_s = 1;
	cr_assert_eq(run(calibrating_guest), LUMEN_EXIT_HUNG);
	cr_assert_str_eq(worker->end.reason, "The child did not end within 1 s.");
}

static int odd_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	fake_in(message, 0x60, 4);
	if (step == 1)
		((struct hv_x64_io_port_intercept_message *)message->payload)->access_info = 3;
	return 0;
}

Test(worker, an_intercept_without_sense_is_our_fault)
{
	cr_assert_eq(run(odd_guest), LUMEN_EXIT_OUR_FAULT);
	cr_assert_eq(fake_register(0, HvX64RegisterRax), 0xffffffff, "an unknown port");
}

// rep outsb of 9,000 bytes to the console, then power off. Registers are those that were set.
static int string_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct hv_x64_io_port_intercept_message *io = (void *)message->payload;
	uint64_t left = step ? fake_register(0, HvX64RegisterRcx) : 9000;

	if (!step)
		memset(guest_memory_at(fake_memory, 0x300000, 9000), 's', 9000);
	fake_out(message, left ? LAYOUT_CONSOLE_PORT : LAYOUT_SLEEP_CONTROL, 1, 0x34);
	if (!left)
		return 0;
	io->access_info |= HV_X64_IO_PORT_ACCESS_STRING | HV_X64_IO_PORT_ACCESS_REP;
	io->instruction_byte_count = 2;
	io->instruction_bytes[0] = 0xf3;
	io->instruction_bytes[1] = 0x6e;
	io->rsi = step ? fake_register(0, HvX64RegisterRsi) : 1ull << 63 | 0x300000;
	io->rcx = left;
	return 0;
}

Test(worker, string_output_is_answered)
{
	struct stat stat_buffer;

	cr_assert_eq(run(string_guest), 0);
	cr_assert_eq(stat(path_of(RUNDIR_CONSOLE), &stat_buffer), 0);
	cr_assert_eq(stat_buffer.st_size, 9000);
	cr_assert_eq(fake_register(0, HvX64RegisterRsi), 1ull << 63 | (0x300000 + 9000));
}

static void ioapic_write_message(struct hv_message *message, uint64_t gpa, uint32_t value)
{
	struct hv_x64_memory_intercept_message *memory = (void *)message->payload;
	const uint8_t bytes[] = { 0xc7, 0x00, (uint8_t)value, (uint8_t)(value >> 8),
		(uint8_t)(value >> 16), (uint8_t)(value >> 24) };

	fake_out(message, 0, 1, 0);
	memset(message->payload + sizeof(memory->header), 0,
		sizeof(*memory) - sizeof(memory->header));
	message->header.message_type = HvMessageTypeUnmappedGpa;
	message->header.payload_size = sizeof(*memory);
	memory->guest_physical_address = gpa;
	memory->instruction_byte_count = sizeof(bytes);
	memcpy(memory->instruction_bytes, bytes, sizeof(bytes));
}

// The stack for an exception is at a device, and RIP at an instruction that could be emulated.
static int delivering_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct hv_x64_memory_intercept_message *memory = (void *)message->payload;

	if (step)
		return fake_wait();
	ioapic_write_message(message, LAYOUT_IOAPIC, 0x18);
	memory->header.execution_state |= HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING;
	return 0;
}

Test(worker, a_fault_while_an_exception_is_delivered_is_not_the_instructions)
{
	cr_assert_eq(run(delivering_guest), LUMEN_EXIT_CRASHED);
	cr_assert(strstr(worker->end.reason,
		"memory that it does not have, 0xfec00000, as stack or table for an exception"));
}

// A segment's base and an offset make an address of 32 bits.
static int wrapping_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct hv_x64_io_port_intercept_message *io = (void *)message->payload;

	if (!step)
		memset(guest_memory_at(fake_memory, 0x300000, 1), 'w', 1);
	fake_out(message, step ? LAYOUT_SLEEP_CONTROL : LAYOUT_CONSOLE_PORT, 1, 0x34);
	if (step)
		return 0;
	io->access_info |= HV_X64_IO_PORT_ACCESS_STRING;
	io->instruction_byte_count = 1;
	io->instruction_bytes[0] = 0x6e;
	io->header.execution_state = HV_X64_EXECUTION_STATE_CR0_PE;
	io->header.cs.attributes = HV_X64_SEGMENT_DEFAULT;
	io->ds.base = 0xfff00000;
	io->rsi = 0x400000;
	return 0;
}

Test(worker, string_addresses_wrap_outside_64_bit_mode)
{
	cr_assert_eq(run(wrapping_guest), 0);
	cr_assert_str_eq(read_text(RUNDIR_CONSOLE), "w");
}

// Routes the console's pin, enables "transmitter empty", and gets an interrupt.
static int interrupt_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	switch (step) {
	case 0:
		ioapic_write_message(message, LAYOUT_IOAPIC, 0x18);
		break;
	case 1:
		ioapic_write_message(message, LAYOUT_IOAPIC + 0x10, 0x30);
		break;
	case 2:
		fake_out(message, LAYOUT_CONSOLE_PORT + 4, 1, 8);
		break;
	case 3:
		fake_out(message, LAYOUT_CONSOLE_PORT + 1, 1, 2);
		break;
	default:
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
		break;
	}
	return 0;
}

Test(worker, the_console_interrupts_through_the_ioapic)
{
	cr_assert_eq(run(interrupt_guest), 0);
	cr_assert_eq(fake_interrupts(), 1);
}

// The control socket, from a thread of its own while the worker runs.

static int request(const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUNDIR_SOCKET, directory);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_gt(dprintf(fd, "%s\n", text), 0);
	return fd;
}

static void read_to_end(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while (length + 1 < size && (got = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = 0;
	close(fd);
}

static char answer[1 << 16];

// Runs the guest to its end, and a client of the control socket beside it.
static int run_beside(fake_guest guest, void *(*client)(void *context))
{
	pthread_t thread;
	int status;

	start(guest);
	pthread_create(&thread, NULL, client, NULL);
	status = worker_run(worker);
	pthread_join(thread, NULL);
	return status;
}

static void *talk(void *context)
{
	int fd;

	(void)context;
	read_to_end(request("nonsense"), answer, sizeof(answer));
	cr_expect_str_eq(answer, "error The request is not known.\n");
	read_to_end(request("stop"), answer, sizeof(answer));
	cr_expect_eq(strncmp(answer, "error The child has no driver for its shutdown", 46), 0);
	read_to_end(request("set-kvp\t1\tkey"), answer, sizeof(answer));
	cr_expect_str_eq(answer, "error The request's words make no sense.\n");
	read_to_end(request("set-kvp\t1\tkey\tno\\quote"), answer, sizeof(answer));
	cr_expect_str_eq(answer, "error The request's words make no sense.\n");
	read_to_end(request("info\t1"), answer, sizeof(answer));
	cr_expect_eq(strncmp(answer, "ok\nheartbeat.state none\n", 24), 0);
	cr_expect_not_null(strstr(answer, "\nkvp.problem The child has no driver"));
	read_to_end(request("stat"), answer, sizeof(answer));
	cr_expect_eq(strncmp(answer, "ok\npid ", 7), 0);
	cr_expect_not_null(strstr(answer, "\npartition_id 77\n"));
	cr_expect_not_null(strstr(answer, "\nvp1.exits.hypercall 1007\n"));
	fd = request("console");
	cr_assert_eq(write(fd, "q", 1), 1);
	read_to_end(fd, answer, sizeof(answer));
	return NULL;
}

// Echoes what it is sent, and ends at a q.
static int echo_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static bool data;
	uint8_t got = (uint8_t)fake_register(0, HvX64RegisterRax);

	if (vp)
		return fake_wait();
	if (data && got == 'q') {
		data = false;
		fake_out(message, LAYOUT_CONSOLE_PORT, 1, 'Q');
	} else if (!data && step && fake_register(0, HvX64RegisterRip) && got == 'q') {
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	} else {
		data = true;
		usleep(1000);
		fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	}
	return 0;
}

Test(worker, the_control_socket_answers)
{
	worker->config.vps = 2;
	cr_assert_eq(run_beside(echo_guest, talk), 0);
	cr_assert_str_eq(answer, "ok\nQ");
}

static void *kill_it(void *context)
{
	(void)context;
	read_to_end(request("kill"), answer, sizeof(answer));
	return NULL;
}

Test(worker, kill_ends_it)
{
	cr_assert_eq(run_beside(waiting_guest, kill_it), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

// Clients that are slow, silent, many, or gone.

static int connect_only(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUNDIR_SOCKET, directory);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void *crowd_then_kill(void *context)
{
	int consoles[14], silent[40];
	unsigned refused = 0;

	for (int i = 0; i < 40; i++)
		silent[i] = connect_only();
	for (int i = 0; i < 14; i++) {
		consoles[i] = request("console");
		cr_expect_eq(read(consoles[i], answer, 2), 2);
		refused += !memcmp(answer, "er", 2);
	}
	cr_expect_eq(refused, 14 - CONTROL_FOLLOWERS_MAX);
	for (int i = 0; i < 10; i++)
		close(silent[i]);
	return kill_it(context);
}

Test(worker, idle_connections_do_not_keep_anybody_out)
{
	cr_assert_eq(run_beside(waiting_guest, crowd_then_kill), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

// Prints more than a socket and its buffers hold, and ends.
enum { CHATTER = 800 << 10 };

static int chatty_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct hv_x64_io_port_intercept_message *io = (void *)message->payload;
	uint64_t left = step ? fake_register(0, HvX64RegisterRcx) : CHATTER;

	if (!step)
		memset(guest_memory_at(fake_memory, 0x300000, CHATTER), 's', CHATTER);
	fake_out(message, left ? LAYOUT_CONSOLE_PORT : LAYOUT_SLEEP_CONTROL, 1, 0x34);
	if (!left)
		return 0;
	io->access_info |= HV_X64_IO_PORT_ACCESS_STRING | HV_X64_IO_PORT_ACCESS_REP;
	io->instruction_byte_count = 2;
	io->instruction_bytes[0] = 0xf3;
	io->instruction_bytes[1] = 0x6e;
	io->rsi = step ? fake_register(0, HvX64RegisterRsi) : 1ull << 63 | 0x300000;
	io->rcx = left;
	return 0;
}

static bool ended; // atomic: worker_run() has returned

// A little at a time, a long time each: each read lets the worker write again.
static void *read_slowly(void *context)
{
	static char chunk[4096];
	size_t *total = context;
	int fd = request("console");
	ssize_t got;

	while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE) &&
		(got = read(fd, chunk, sizeof(chunk))) > 0) {
		*total += (size_t)got;
		usleep(200000);
	}
	close(fd);
	return NULL;
}

Test(worker, a_slow_reader_does_not_keep_an_ended_child)
{
	size_t totals[3] = { 0 };
	pthread_t threads[3];

	start(chatty_guest);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_slowly, &totals[i]);
	cr_assert_eq(worker_run(worker), 0);
	__atomic_store_n(&ended, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_lt(totals[i], CHATTER, "it was not waited for");
	}
}

static void *read_it_all(void *context)
{
	static char text[CHATTER + 100];

	read_to_end(request("console"), text, sizeof(text));
	cr_expect_eq(strlen(text), CHATTER + 3);
	return NULL;
}

Test(worker, a_reader_that_keeps_up_gets_everything)
{
	cr_assert_eq(run_beside(chatty_guest, read_it_all), 0);
}

static unsigned count_words(const char *text, const char *words)
{
	unsigned count = 0;

	for (; (text = strstr(text, words)); text++)
		count++;
	return count;
}

// 64 VPs with all counters at their longest: 236 KiB, more than a socket takes at once.
static void *read_stat(void *context)
{
	static char text[1 << 20];
	size_t length;

	read_to_end(request("stat"), text, sizeof(text));
	length = strlen(text);
	cr_expect_eq(text[length - 1], '\n');
	cr_expect_not_null(strstr(text, "\nvp63.exits.total "));
	cr_expect_not_null(strstr(text, "\nscsi.turns "));
	cr_expect_eq(count_words(text, ".VpTotalRunTime "), 64);
	cr_expect_eq(count_words(text, ".messages.other "), 64);
	cr_expect_gt(length, 200 << 10, "%zu", length);
	return kill_it(context);
}

Test(worker, stat_is_whole)
{
	worker->config.vps = 64;
	start(waiting_guest);
	fake_fill_counters();
	pthread_t thread;

	pthread_create(&thread, NULL, read_stat, NULL);
	cr_assert_eq(worker_run(worker), LUMEN_EXIT_OUR_FAULT);
	pthread_join(thread, NULL);
}

static uint64_t stat_value(const char *name)
{
	char text[1 << 14], line[100];
	const char *at;

	read_to_end(request("stat"), text, sizeof(text));
	snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(text, line);
	cr_assert_not_null(at, "%s", text);
	return strtoull(at + strlen(line), NULL, 10);
}

// Each `stat` is three turns of the loop: somebody connects, asks, and is gone. If there are many
// more, the loop runs for nothing; that it takes nothing counts at all.
static void expect_quiet_loop(void)
{
	uint64_t before = stat_value("loop.turns"), after;

	for (int i = 0; i < 20; i++)
		stat_value("loop.turns");
	after = stat_value("loop.turns");
	cr_expect_leq(after - before, 21 * 6, "%d turns", (int)(after - before));
	cr_expect_eq(stat_value("loop.idle_turns"), 0);
}

// Types more than the child's UART and the queue take, and leaves.
static void *type_and_leave(void *context)
{
	static char typed[100 << 10];
	int fd;

	memset(typed, 't', sizeof(typed));
	for (int i = 0; i < 3; i++) {
		fd = request("console");
		cr_assert_eq(write(fd, typed, sizeof(typed)), (ssize_t)sizeof(typed));
		if (i)
			close(fd); // the first one stays
	}
	expect_quiet_loop();
	return kill_it(context);
}

Test(worker, input_that_nobody_takes_costs_no_processor)
{
	cr_assert_eq(run_beside(waiting_guest, type_and_leave), LUMEN_EXIT_OUR_FAULT);
}

// What was typed before the client left arrives when the child reads it.
static void *type_q_and_leave(void *context)
{
	static char typed[40 << 10];
	int fd = request("console");

	(void)context;
	memset(typed, 't', sizeof(typed));
	typed[sizeof(typed) - 1] = 'q';
	cr_assert_eq(write(fd, typed, sizeof(typed)), (ssize_t)sizeof(typed));
	close(fd);
	return NULL;
}

static int reading_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if ((uint8_t)fake_register(0, HvX64RegisterRax) == 'q')
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	else
		fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	return 0;
}

Test(worker, input_of_a_client_that_has_left_arrives)
{
	cr_assert_eq(run_beside(reading_guest, type_q_and_leave), 0);
}

// A client that cannot be accepted, as there are no descriptors: the listener is ready all the
// time.
static void *wait_for_a_descriptor(void *context)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rlimit limit, few;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), spare[512], count = 0;
	uint64_t before;
	deadline_ns start;

	(void)context;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ 512, limit.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((spare[count] = dup(fd)) >= 0)
		count++;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUNDIR_SOCKET, directory);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	before = __atomic_load_n(&worker->loop.turns, __ATOMIC_RELAXED);
	start = deadline_now();
	while (__atomic_load_n(&worker->loop.turns, __ATOMIC_RELAXED) < before + 6)
		usleep(1000);
	// Each time it is tried: the timer, and the listener. 100 ms lie between two tries.
	cr_expect_gt(deadline_now() - start, 100 * 1000000ull);
	for (int i = 0; i < count; i++)
		close(spare[i]);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_gt(dprintf(fd, "kill\n"), 0);
	read_to_end(fd, answer, sizeof(answer));
	return NULL;
}

Test(worker, without_descriptors_the_listener_waits)
{
	cr_assert_eq(run_beside(waiting_guest, wait_for_a_descriptor), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

// Errors that are signals elsewhere.
Test(worker, a_log_that_nobody_reads_is_no_reason_to_die)
{
	int ends[2], old = dup(STDERR_FILENO);

	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	dup2(ends[1], STDERR_FILENO);
	cr_assert_eq(run(hello_guest), 7);
	dup2(old, STDERR_FILENO);
}

// A guest with a VMBus driver and a storage driver, of the simplest kind.

enum { RING_PAGES = 4, RING_GPA = 0x400000, DATA_GPA = 0x500000, DISK_SIZE = 1 << 20 };

union any_message {
	uint8_t bytes[VMBUS_MESSAGE_MAX];
	struct vmbus_message_header header;
	struct vmbus_offer_channel offer;
};

static int expect_message(uint32_t type, void *to, uint8_t size)
{
	union any_message message;
	uint8_t length;
	int error = fake_receive(message.bytes, &length);

	if (error)
		return error;
	cr_assert_geq(length, size);
	cr_assert_eq(message.header.type, type);
	memcpy(to, message.bytes, size);
	return 0;
}

static const struct vmbus_guid storage_class = VSTOR_SCSI_GUID;
static const struct vmbus_guid shutdown_class = SHUTDOWN_GUID;
static const struct vmbus_guid heartbeat_class = HEARTBEAT_GUID;
static struct vmbus_offer_channel offer;

// Takes the offers, and keeps the one of a class.
static int take_offers(const struct vmbus_guid *class)
{
	union any_message message = { .header.type = VMBUS_MESSAGE_OFFER_CHANNEL };
	bool found = false;
	uint8_t length;
	int error = 0;

	while (!error && message.header.type == VMBUS_MESSAGE_OFFER_CHANNEL) {
		error = fake_receive(message.bytes, &length);
		if (memcmp(&message.offer.interface_type, class, sizeof(*class)))
			continue;
		offer = message.offer;
		found = true;
	}
	cr_assert(error || message.header.type == VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
	cr_assert(error || found);
	return error;
}

static int connect_to_host(const struct vmbus_guid *class)
{
	const struct vmbus_initiate_contact contact = {
		.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
		.version = VMBUS_VERSION_5_3,
		.target_info.sint = VMBUS_SINT,
	};
	const struct vmbus_message_header request_offers = { .type = VMBUS_MESSAGE_REQUEST_OFFERS };
	struct vmbus_version_response response;
	int error;

	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &contact, sizeof(contact)));
	error = expect_message(VMBUS_MESSAGE_VERSION_RESPONSE, &response, sizeof(response));
	if (error)
		return error;
	cr_assert(response.version_supported);
	cr_assert(
		fake_post(response.message_connection_id, &request_offers, sizeof(request_offers)));
	return take_offers(class);
}

static uint64_t ring_gpa = RING_GPA; // of the channel that is opened or used
static uint32_t next_gpadl = 9;

static int open_channel(void)
{
	const uint32_t ring_gpadl = next_gpadl++;
	struct {
		struct vmbus_gpadl_header header;
		uint64_t range[1 + 2 * RING_PAGES];
	} __attribute__((packed)) gpadl = { .header = {
						    .header.type = VMBUS_MESSAGE_GPADL_HEADER,
						    .relid = offer.relid,
						    .gpadl = ring_gpadl,
						    .length = sizeof(gpadl.range),
						    .range_count = 1,
					    } };
	const struct vmbus_open_channel open = {
		.header.type = VMBUS_MESSAGE_OPEN_CHANNEL,
		.relid = offer.relid,
		.ring_gpadl = ring_gpadl,
		.downstream_page_offset = RING_PAGES,
	};
	struct vmbus_gpadl_created created;
	struct vmbus_open_channel_result result;
	int error;

	gpadl.range[0] = 2 * RING_PAGES * 4096;
	for (int i = 0; i < 2 * RING_PAGES; i++)
		gpadl.range[1 + i] = ring_gpa / 4096 + (uint64_t)i;
	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &gpadl, sizeof(gpadl)));
	error = expect_message(VMBUS_MESSAGE_GPADL_CREATED, &created, sizeof(created));
	if (error)
		return error;
	cr_assert_eq(created.status, VMBUS_STATUS_SUCCESS);
	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &open, sizeof(open)));
	error = expect_message(VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, &result, sizeof(result));
	cr_assert(error || result.status == VMBUS_STATUS_SUCCESS);
	return error;
}

static struct vmbus_ring_reader reader;
static struct vmbus_ring_writer writer;

static void init_rings(void)
{
	static void *pages[2 * RING_PAGES];

	for (int i = 0; i < 2 * RING_PAGES; i++)
		pages[i] = guest_memory_at(fake_memory, ring_gpa + 4096ull * (unsigned)i, 4096);
	cr_assert_eq(vmbus_ring_writer_init(&writer, pages, RING_PAGES), VMBUS_RING_OK);
	cr_assert_eq(
		vmbus_ring_reader_init(&reader, pages + RING_PAGES, RING_PAGES), VMBUS_RING_OK);
}

// Waits for a packet of the host's.
static int receive(struct vmbus_packet *in)
{
	static _Alignas(8) uint8_t buffer[8192];

	while (vmbus_ring_read(&reader, buffer, sizeof(buffer), in) == VMBUS_RING_EMPTY) {
		int error = fake_wait_signal();

		if (error)
			return error;
	}
	vmbus_ring_reader_commit(&reader);
	return 0;
}

static void send_packet(const struct vmbus_packet_out *out)
{
	cr_assert_eq(vmbus_ring_write(&writer, out), VMBUS_RING_OK);
	if (vmbus_ring_writer_commit(&writer))
		cr_assert(fake_signal(offer.connection_id));
}

// Sends a packet, with one page of data if `data`, and waits for its completion.
static int transact(struct vstor_packet *packet, bool data)
{
	const struct {
		struct vmbus_gpa_direct_header header;
		struct vmbus_gpa_range_header range;
		uint64_t pfn;
	} direct = { { .range_count = 1 }, { .byte_count = 4096 }, DATA_GPA / 4096 };
	const struct vmbus_piece header = { &direct, sizeof(direct) };
	const struct vmbus_piece payload = { packet, sizeof(*packet) };
	const struct vmbus_packet_out out = {
		.type = data ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = 5,
		.header = &header,
		.header_count = data,
		.payload = &payload,
		.payload_count = 1,
	};
	struct vmbus_packet in;
	int error;

	packet->flags = VSTOR_FLAG_REQUEST_COMPLETION;
	send_packet(&out);
	error = receive(&in);
	if (error)
		return error;
	cr_assert_eq(in.type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(in.transaction_id, 5);
	memcpy(packet, in.payload, sizeof(*packet));
	return 0;
}

static int initialize_storage(void)
{
	static const uint32_t operations[] = { VSTOR_OPERATION_BEGIN_INITIALIZATION,
		VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VSTOR_OPERATION_QUERY_PROPERTIES,
		VSTOR_OPERATION_END_INITIALIZATION };

	for (unsigned i = 0; i < 4; i++) {
		struct vstor_packet packet = { .operation = operations[i] };
		int error;

		packet.version.major_minor = i == 1 ? VSTOR_VERSION_6_2 : 0;
		error = transact(&packet, false);
		if (error)
			return error;
		cr_assert_eq(packet.status, VSTOR_STATUS_SUCCESS, "step %u", i);
	}
	return 0;
}

static int command(uint8_t opcode, uint32_t lba, bool in)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_EXECUTE_SRB };
	int error;

	packet.srb.length = sizeof(packet.srb);
	packet.srb.cdb_length = 10;
	packet.srb.sense_info_length = VSTOR_SENSE_SIZE;
	packet.srb.data_in = in ? VSTOR_DATA_IN : VSTOR_DATA_OUT;
	packet.srb.data_transfer_length = 4096;
	packet.srb.cdb[0] = opcode;
	packet.srb.cdb[5] = (uint8_t)lba;
	packet.srb.cdb[8] = 8;
	error = transact(&packet, true);
	cr_assert(error || packet.srb.srb_status == VSTOR_SRB_STATUS_SUCCESS, "status 0x%x",
		packet.srb.srb_status);
	return error;
}

// Copies block 0..7 of the disk to 8..15, inverted.
static int disk_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	uint8_t *data = guest_memory_at(fake_memory, DATA_GPA, 4096);
	int error = connect_to_host(&storage_class);

	if (!error)
		error = open_channel();
	if (error)
		return error;
	init_rings();
	error = initialize_storage();
	if (!error)
		error = command(0x28, 0, true);
	for (int i = 0; i < 4096; i++)
		data[i] ^= 0xff;
	if (!error)
		error = command(0x2a, 8, false);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

static void write_disk(void)
{
	static uint8_t disk[DISK_SIZE];
	int fd = open(path_of("disk"), O_CREAT | O_WRONLY, 0600);

	for (int i = 0; i < DISK_SIZE; i++)
		disk[i] = (uint8_t)(i * 7 + i / 256);
	cr_assert_eq(write(fd, disk, DISK_SIZE), DISK_SIZE);
	close(fd);
	cr_assert_null(child_config_set(&worker->config, "disk", path_of("disk")));
}

Test(worker, a_disk_is_read_and_written_over_vmbus)
{
	uint8_t got[2][4096];
	int fd;

	write_disk();
	cr_assert_eq(run(disk_guest), 0, "%s", worker->end.reason);
	fd = open(path_of("disk"), O_RDONLY);
	cr_assert_eq(read(fd, got, sizeof(got)), (ssize_t)sizeof(got));
	close(fd);
	for (int i = 0; i < 4096; i++)
		cr_assert_eq(got[0][i] ^ 0xff, got[1][i], "byte %d", i);
	cr_assert_eq(disk_requests(), 2);
	cr_assert_eq(storage()->disks[0].bytes[BLOCK_READ], 4096);
	cr_assert_eq(storage()->disks[0].bytes[BLOCK_WRITE], 4096);
}

// --- sub-channels ---

enum { SUBS = 2, SUB_RING_GPA = 0x480000, SUB_ROUNDS = 3 };

static int open_rings(const struct vmbus_offer_channel *of, uint64_t gpa)
{
	int error;

	offer = *of;
	ring_gpa = gpa;
	memset(guest_memory_at(fake_memory, gpa, 4096), 0, 4096);
	memset(guest_memory_at(fake_memory, gpa + RING_PAGES * 4096, 4096), 0, 4096);
	error = open_channel();
	if (!error)
		init_rings();
	return error;
}

static int ask_for_subs(const struct vmbus_offer_channel *primary, struct vmbus_offer_channel *subs)
{
	struct vstor_packet packet = { .operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS,
		.sub_channel_count = SUBS };
	int error = transact(&packet, false);

	cr_assert(error || packet.status == VSTOR_STATUS_SUCCESS);
	for (uint16_t i = 0; i < SUBS && !error; i++) {
		error = expect_message(VMBUS_MESSAGE_OFFER_CHANNEL, &subs[i], sizeof(subs[i]));
		cr_assert(error ||
			  (subs[i].sub_channel_index >= 1 && subs[i].sub_channel_index <= SUBS));
		cr_assert(
			error || !memcmp(&subs[i].interface_instance, &primary->interface_instance,
					 sizeof(primary->interface_instance)));
	}
	return error;
}

// The host takes them back, and the guest lets them go.
static int lose_subs(void)
{
	struct vmbus_rescind_channel_offer rescind;
	int error = 0;

	for (int i = 0; i < SUBS && !error; i++) {
		error = expect_message(
			VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));
		rescind.header.type = VMBUS_MESSAGE_RELID_RELEASED;
		cr_assert(error || fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &rescind,
					   sizeof(struct vmbus_relid_released)));
	}
	return error;
}

// Reads on a sub-channel, and closes the primary one while all are open.
static int read_on_sub(const struct vmbus_offer_channel *primary)
{
	const struct vmbus_close_channel close = { .header.type = VMBUS_MESSAGE_CLOSE_CHANNEL,
		.relid = primary->relid };
	struct vmbus_offer_channel subs[SUBS];
	int error = open_rings(primary, RING_GPA);

	if (!error)
		error = initialize_storage();
	if (!error)
		error = ask_for_subs(primary, subs);
	for (int i = 0; i < SUBS && !error; i++) {
		error = open_rings(&subs[i], SUB_RING_GPA + (uint64_t)i * 0x10000);
		if (!error)
			error = command(0x28, 0, true);
	}
	if (error)
		return error;
	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &close, sizeof(close)));
	return lose_subs();
}

static int sub_channel_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_offer_channel primary;
	int error;

	if (vp)
		return fake_wait();
	error = connect_to_host(&storage_class);
	primary = offer;
	for (int round = 0; round < SUB_ROUNDS && !error; round++)
		error = read_on_sub(&primary);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, sub_channels_come_and_go_with_their_primary)
{
	worker->config.vps = 1 + SUBS;
	write_disk();
	cr_assert_eq(run(sub_channel_guest), 0, "%s", worker->end.reason);
	cr_assert_eq(disk_requests(), SUB_ROUNDS * SUBS);
	for (int i = 0; i < SUBS; i++)
		cr_assert_null(storage()->device.subs[i].vsp);
}

// Breaks its ring: the in index points beyond the ring's end.
static int ring_breaker(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_ring_control *control = guest_memory_at(fake_memory, RING_GPA, 4096);
	struct vmbus_rescind_channel_offer rescind;
	int error = connect_to_host(&storage_class);

	__atomic_store_n(&control->in, 0, __ATOMIC_SEQ_CST); // else it breaks before our signal
	if (!error)
		error = open_channel();
	if (error)
		return error;
	__atomic_store_n(&control->in, 0x12345, __ATOMIC_SEQ_CST);
	cr_assert(fake_signal(offer.connection_id));
	error = expect_message(VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));
	cr_assert(error || rescind.relid == offer.relid);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, a_broken_ring_costs_the_channel_only)
{
	write_disk();
	cr_assert_eq(run(ring_breaker), 0);
}

static int kernels = 4;

// Breaks its ring, and is another kernel then: with or without a goodbye of the first.
static int ring_breakers(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const struct vmbus_message_header unload = { .type = VMBUS_MESSAGE_UNLOAD };
	struct vmbus_message_header unloaded;
	int error = 0;

	for (int i = 0; i < kernels && !error; i++) {
		error = ring_breaker(vp, step, message);
		if (error || i % 2)
			continue;
		cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &unload, sizeof(unload)));
		error = expect_message(VMBUS_MESSAGE_UNLOAD_COMPLETE, &unloaded, sizeof(unloaded));
	}
	if (error)
		return error;
	memset(guest_memory_at(fake_memory, RING_GPA, 4096), 0, 4096);
	return disk_guest(vp, step, message);
}

Test(worker, a_broken_channel_is_offered_to_the_next_kernel)
{
	write_disk();
	cr_assert_eq(run(ring_breakers), 0, "%s", worker->end.reason);
	cr_assert_eq(disk_requests(), 2);
}

Test(worker, a_child_that_breaks_channels_for_ever_does_not_fill_the_log)
{
	log_to_file();
	write_disk();
	kernels = 200;
	cr_assert_eq(run(ring_breakers), 0, "%s", worker->end.reason);
	cr_assert_lt(logged_lines(), 100);
}

static int flooding_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	fake_flood();
	return fake_wait();
}

Test(worker, a_child_that_posts_for_ever_can_be_killed)
{
	cr_assert_eq(run_beside(flooding_guest, kill_it), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

static bool halted; // atomic

// Asks for what is answered until the host has no more room for the answers, has a message lost,
// and halts.
static int halting_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_modify_channel modify = { .header.type = VMBUS_MESSAGE_MODIFY_CHANNEL };
	int error = connect_to_host(&shutdown_class);

	modify.relid = offer.relid;
	while (!error && __atomic_load_n(&worker->vmbus.messages.events, __ATOMIC_RELAXED))
		if (!fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &modify, sizeof(modify)))
			usleep(1000);
	fake_overflow();
	__atomic_store_n(&halted, true, __ATOMIC_RELEASE);
	return fake_wait();
}

static void *watch_it_halt(void *context)
{
	while (!__atomic_load_n(&halted, __ATOMIC_ACQUIRE))
		usleep(1000);
	expect_quiet_loop();
	return kill_it(context);
}

Test(worker, a_halted_child_with_pending_posts_costs_no_processor)
{
	cr_assert_eq(run_beside(halting_guest, watch_it_halt), LUMEN_EXIT_OUR_FAULT);
}

static int overflowing_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	fake_overflow();
	return fake_wait();
}

Test(worker, a_lost_message_ends_the_child)
{
	cr_assert_eq(run(overflowing_guest), LUMEN_EXIT_CRASHED);
	cr_assert(strstr(worker->end.reason, "floods the VMBus"));
}

// A disk whose kernel hangs.

static bool started; // atomic: the request is on its way
static uint8_t hanging_opcode;

// Starts a command that does not end.
static int hanging_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = connect_to_host(&storage_class);

	if (!error)
		error = open_channel();
	if (error)
		return error;
	init_rings();
	error = initialize_storage();
	__atomic_store_n(&fake_block_system.hangs, true, __ATOMIC_RELEASE);
	__atomic_store_n(&started, true, __ATOMIC_RELEASE);
	return error ? error : command(hanging_opcode, 0, false);
}

static void *kill_when_started(void *context)
{
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		usleep(1000);
	return kill_it(context);
}

// The threads that hang use the worker until the process ends: here, with the test.
static void leave_behind(void)
{
	static struct worker *left;

	left = worker;
	worker = NULL;
	cr_assert_not_null(left);
}

// A write hangs in the thread that serves the disks, a flush in the ring.
static void kill_while_it_hangs(uint8_t opcode)
{
	hanging_opcode = opcode;
	write_disk();
	cr_expect_eq(run_beside(hanging_guest, kill_when_started), LUMEN_EXIT_OUR_FAULT);
	cr_expect_str_eq(answer, "ok\n");
	cr_expect(strstr(worker->end.reason, "was killed on request"));
	cr_expect(!fake_open(), "the partition is given back");
	leave_behind();
}

Test(worker, a_child_is_killed_while_a_write_hangs)
{
	kill_while_it_hangs(0x2a);
}

Test(worker, a_child_is_killed_while_a_flush_hangs)
{
	kill_while_it_hangs(0x35);
}

Test(worker, a_child_is_killed_though_a_disk_does_not_close)
{
	write_disk();
	fake_block_system.close_hangs = true;
	cr_expect_eq(run_beside(waiting_guest, kill_it), LUMEN_EXIT_OUR_FAULT);
	cr_expect(strstr(worker->end.reason, "was killed on request"));
	leave_behind();
}

// The serial number of a disk: that of the child and its number, or the user's. The file does not
// matter.
static void open_and_read_serials(const char *name, char serials[2][SCSI_SERIAL_MAX + 1])
{
	struct child_config *config = &worker->config;
	struct failure failure;

	unlink(path_of("disk"));
	write_disk();
	child_config_init(config);
	cr_assert_null(child_config_set(config, "disk", path_of("disk")));
	cr_assert_null(child_config_set(config, "disk", path_of("kernel")));
	worker->name = name;
	cr_assert(synthetic_attach(worker, &failure), "%s", failure.text);
	for (int disk = 0; disk < 2; disk++)
		strcpy(serials[disk], storage()->disks[disk].scsi.identity.serial);
	cr_assert(synthetic_detach(worker, deadline_in_ms(10000)));
	synthetic_free(worker);
}

Test(worker, serials_are_the_childs)
{
	char first[2][SCSI_SERIAL_MAX + 1], again[2][SCSI_SERIAL_MAX + 1];

	open_and_read_serials("web", first);
	open_and_read_serials("web", again);
	cr_expect_str_eq(first[0], "66b70f2e0998a799", "FNV-1a of web, 0, 0: guests rely on it");
	for (int disk = 0; disk < 2; disk++)
		cr_expect_str_eq(first[disk], again[disk]);
	cr_expect_str_neq(first[0], first[1]);
	open_and_read_serials("mail", again);
	cr_expect_str_neq(first[0], again[0]);
}

Test(worker, a_serial_can_be_given)
{
	write_disk();
	snprintf(worker->config.disks[0].serial, sizeof(worker->config.disks[0].serial),
		"My-Disk_7");
	cr_assert_eq(run_beside(waiting_guest, kill_it), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(storage()->disks[0].scsi.identity.serial, "My-Disk_7");
}

// Connects, opens a channel, and leaves, over and over.
static int restless_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const struct vmbus_message_header unload = { .type = VMBUS_MESSAGE_UNLOAD };
	struct vmbus_message_header unloaded;
	int error = 0;

	for (int i = 0; i < 100 && !error; i++) {
		error = connect_to_host(&storage_class);
		if (!error)
			error = open_channel();
		if (!error)
			cr_assert(fake_post(
				VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &unload, sizeof(unload)));
		if (!error)
			error = expect_message(
				VMBUS_MESSAGE_UNLOAD_COMPLETE, &unloaded, sizeof(unloaded));
	}
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, what_a_guest_can_repeat_is_not_logged_for_ever)
{
	log_to_file();
	write_disk();
	cr_assert_eq(run(restless_guest), 0);
	cr_assert_lt(logged_lines(), 50);
}

// A guest with a driver for the shutdown component.

static const uint8_t *component_asked; // the body of the last message

// Waits for a message of the host's, and sends this back as the answer to it.
static int answer_component(uint16_t type, uint32_t status, const void *body, uint16_t length)
{
	struct ic_frame message;
	const struct vmbus_piece pieces[] = { { &message, sizeof(message) }, { body, length } };
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND,
		.payload = pieces,
		.payload_count = 2,
	};
	struct vmbus_packet in;
	int error = receive(&in);

	if (error)
		return error;
	memcpy(&message, in.payload, sizeof(message));
	component_asked = in.payload + sizeof(message);
	cr_assert_eq(message.header.type, type);
	message.header.status = status;
	message.header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	message.header.size = length;
	message.pipe.size = (uint32_t)sizeof(message.header) + length;
	send_packet(&out);
	return 0;
}

static int open_this(const struct vmbus_guid *class, struct ic_version version)
{
	const struct ic_choice picked = { { 1, 1, 0 }, { 3, 0 }, version };
	int error = connect_to_host(class);

	if (!error)
		error = open_channel();
	if (error)
		return error;
	init_rings();
	return answer_component(IC_MESSAGE_NEGOTIATE, 0, &picked, sizeof(picked));
}

static int open_component(void)
{
	return open_this(&shutdown_class, (struct ic_version){ 3, 2 });
}

// The last ones are the host's own, too, and not the child's to say.
static const uint32_t refusals[] = { IC_STATUS_FAIL, IC_STATUS_TIMEOUT, IC_STATUS_INVALID,
	IC_STATUS_ABORT };

// Refuses some times, then powers off as it is asked to.
static int polite_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = open_component();

	for (size_t i = 0; i < ARRAY_SIZE(refusals) && !error; i++)
		error = answer_component(IC_MESSAGE_SHUTDOWN, refusals[i], NULL, 0);
	if (!error)
		error = answer_component(IC_MESSAGE_SHUTDOWN, 0, NULL, 0);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

// Until the guest's driver is there.
static void stop_it_now(void)
{
	do
		read_to_end(request("stop"), answer, sizeof(answer));
	while (!strncmp(answer, "error The child has no driver", 29));
}

static void *stop_it_again_and_again(void *context)
{
	char expected[100];

	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		stop_it_now();
		snprintf(expected, sizeof(expected), "error The child refuses (status 0x%08x).\n",
			refusals[i]);
		cr_expect_str_eq(answer, expected);
	}
	stop_it_now();
	return NULL;
}

Test(worker, stop_asks_the_guest_to_power_off)
{
	cr_assert_eq(run_beside(polite_guest, stop_it_again_and_again), 0);
	cr_assert_str_eq(answer, "ok\n");
}

// Ends without an answer: those who wanted its end have it.
static int rude_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_packet in;
	int error = open_component();

	if (!error)
		error = receive(&in);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

static void *stop_it(void *context)
{
	(void)context;
	stop_it_now();
	return NULL;
}

Test(worker, a_guest_that_ends_instead_of_answering_is_stopped)
{
	cr_assert_eq(run_beside(rude_guest, stop_it), 0);
	cr_assert_str_eq(answer, "ok\n");
}

// Closes the channel instead of answering, and goes on.
static int closing_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_close_channel close_it = { .header.type = VMBUS_MESSAGE_CLOSE_CHANNEL };
	struct vmbus_packet in;
	int error = step ? fake_wait() : open_component();

	if (!error)
		error = receive(&in);
	close_it.relid = offer.relid;
	if (!error)
		cr_assert(fake_post(
			VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &close_it, sizeof(close_it)));
	fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	return error;
}

static void *stop_it_then_kill_it(void *context)
{
	(void)context;
	stop_it_now();
	cr_expect_str_eq(answer, "error The child has closed the channel instead of answering.\n");
	return kill_it(context);
}

Test(worker, a_guest_that_closes_its_shutdown_channel_is_not_stopped)
{
	cr_assert_eq(run_beside(closing_guest, stop_it_then_kill_it), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

// Says that it has crashed, with its driver there, and does nothing more.
static int mute_crashed_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = step ? fake_wait() : open_component();

	fake_crash(message);
	return error;
}

static void *stop_it_in_vain_then_kill_it(void *context)
{
	(void)context;
	while (!__atomic_load_n(&worker->crash_reported, __ATOMIC_RELAXED))
		usleep(1000);
	for (int i = 0; i < 2; i++) {
		read_to_end(request("stop\t1"), answer, sizeof(answer));
		cr_expect_str_eq(answer, "error The child does not answer in time.\n");
	}
	return kill_it(context);
}

Test(worker, a_crashed_child_that_is_kept_hangs_no_verb)
{
	worker->config.on_crash = CHILD_CRASH_KEEP;
	cr_assert_eq(
		run_beside(mute_crashed_guest, stop_it_in_vain_then_kill_it), LUMEN_EXIT_CRASHED);
}

// --- devices that come and go ---

enum { OFFERS = 100 };

static sem_t settled; // the guest has an offer, and has done with it what it does

static int tear_down_ring(void)
{
	const struct vmbus_gpadl_teardown teardown = { .header.type = VMBUS_MESSAGE_GPADL_TEARDOWN,
		.relid = offer.relid,
		.gpadl = next_gpadl - 1 };
	struct vmbus_gpadl_torndown torndown;

	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &teardown, sizeof(teardown)));
	return expect_message(VMBUS_MESSAGE_GPADL_TORNDOWN, &torndown, sizeof(torndown));
}

// Opens each second one, and releases all that are taken back.
static int take_what_comes(unsigned round)
{
	struct vmbus_relid_released released = { .header.type = VMBUS_MESSAGE_RELID_RELEASED };
	struct vmbus_rescind_channel_offer rescind;
	int error = round % 2 ? open_channel() : 0;

	sem_post(&settled);
	if (!error)
		error = expect_message(
			VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));
	cr_assert(error || rescind.relid == offer.relid);
	if (!error && round % 2)
		error = tear_down_ring();
	released.relid = offer.relid;
	if (!error)
		cr_assert(fake_post(
			VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &released, sizeof(released)));
	return error ? error : expect_message(VMBUS_MESSAGE_OFFER_CHANNEL, &offer, sizeof(offer));
}

static int moving_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = step ? 0 : connect_to_host(&heartbeat_class);

	for (unsigned round = 0; !step && !error && round < OFFERS; round++)
		error = take_what_comes(round);
	return error ? error : fake_wait();
}

static void ask_until_ok(const char *what, const char *until)
{
	do
		read_to_end(request(what), answer, sizeof(answer));
	while (!strcmp(answer, until));
	cr_expect_str_eq(answer, "ok\n", "%s: %s", what, answer);
}

static void *move_it_often(void *context)
{
	for (int round = 0; round < OFFERS; round++) {
		sem_wait(&settled);
		ask_until_ok("detach\t10\theartbeat", "");
		ask_until_ok("attach\t10\theartbeat", "error The child still has it.\n");
	}
	read_to_end(request("attach\t10\theartbeat"), answer, sizeof(answer));
	cr_expect_str_eq(answer, "error The child still has it.\n");
	read_to_end(request("detach\t10\tnetwork"), answer, sizeof(answer));
	cr_expect_str_eq(answer, "error The child has no such device.\n");
	return kill_it(context);
}

Test(worker, a_device_is_taken_back_and_given_again_while_the_child_runs)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(moving_guest, move_it_often), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
}

// A card that is brought to a child that had none. What is brought is one end of a pair: that it is
// let go of is seen at the other.

enum { CARDS = 20 };

static const struct vmbus_guid net_class = NVSP_GUID;

static int card_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = step ? 0 : connect_to_host(&heartbeat_class);

	if (!step) {
		sem_post(&settled);
		error = expect_message(VMBUS_MESSAGE_OFFER_CHANNEL, &offer, sizeof(offer));
		cr_assert(error || !memcmp(&offer.interface_type, &net_class, sizeof(net_class)));
	}
	for (unsigned round = 0; !step && !error && round < CARDS; round++)
		error = take_what_comes(round);
	return error ? error : fake_wait();
}

// Returns the other end; the answer is in `answer`.
static int bring(const char *what)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int ends[2];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUNDIR_SOCKET, directory);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(descriptor_send(fd, what, strlen(what), ends[1], 0), (ssize_t)strlen(what));
	close(ends[1]);
	read_to_end(fd, answer, sizeof(answer));
	return ends[0];
}

static void expect_let_go(int end)
{
	char byte;

	cr_expect_eq(read(end, &byte, 1), 0);
	close(end);
}

static void bring_badly(void)
{
	static const char *const requests[][2] = {
		{ "attach\t10\tnet\n", "error The request's words make no sense.\n" },
		{ "attach\t10\tnet=\n", "error There is no such network card.\n" },
		{ "attach\t10\tnet=lan,mtu=1500\n", "error There is no such network card.\n" },
		{ "attach\t10\tscsi=lan\n", "error The child has no such device.\n" },
		{ "attach\t10\theartbeat=lan\n", "error The child still has it.\n" },
		{ "detach\t10\tnet\n", "error The child has no such device.\n" },
		{ "stop\t1\n",
			"error The child has no driver for its shutdown channel, or no daemon "
			"behind it.\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		expect_let_go(bring(requests[i][0]));
		cr_expect_str_eq(answer, requests[i][1], "%s: %s", requests[i][0], answer);
	}
	read_to_end(request("attach\t10\tnet=lan,mac=02:15:5d:01:02:03,mtu=1500"), answer,
		sizeof(answer));
	cr_expect_str_eq(answer, "error The request's words make no sense.\n");
}

static void *bring_it_often(void *context)
{
	int end = -1;

	sem_wait(&settled);
	bring_badly();
	for (int round = 0; round < CARDS; round++) {
		do {
			if (end >= 0)
				expect_let_go(end);
			end = bring(
				"attach\t10\tnet=lan,mac=02:15:5d:01:02:03,mtu=1400,queues=3\n");
		} while (!strcmp(answer, "error The child still has it.\n"));
		cr_expect_str_eq(answer, "ok\n", "%s", answer);
		sem_wait(&settled);
		read_to_end(request("stat"), answer, sizeof(answer));
		cr_expect_not_null(strstr(answer, "\nnet.mac 02:15:5d:01:02:03\nnet.mtu 1400\n"));
		ask_until_ok("detach\t10\tnet", "");
	}
	expect_let_go(end);
	return kill_it(context);
}

Test(worker, a_card_is_brought_to_a_child_that_had_none)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(card_guest, bring_it_often), LUMEN_EXIT_OUR_FAULT);
}

// A guest to which a file is copied.

enum { COPIED = 10000 };

static const struct vmbus_guid fcopy_class = FCOPY_GUID, vss_class = VSS_GUID;

// Takes so many requests, of which the last one has to be this.
static int take_copy(unsigned step, unsigned count, uint32_t last, struct hv_message *message)
{
	int error = step ? fake_wait() : open_this(&fcopy_class, (struct ic_version){ 1, 1 });
	struct fcopy_header header;

	while (!error && count--) {
		error = answer_component(IC_MESSAGE_FCOPY, 0, NULL, 0);
		if (!error)
			memcpy(&header, component_asked, sizeof(header));
		cr_assert(error || count || header.operation == last);
	}
	fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	return error;
}

static int receiving_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	return take_copy(step, 4, FCOPY_COMPLETE, message); // start, two blocks, and that
}

static int disappointed_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	return take_copy(step, 3, FCOPY_CANCEL, message);
}

// Sends so many bytes of a file, and then no more. Again until the guest's driver is there.
static void send_it(size_t size)
{
	static const char file[COPIED];

	do {
		const int fd = request("copy-to\t20\t10000\t/a");

		cr_expect_leq(send(fd, file, size, MSG_NOSIGNAL), (ssize_t)size);
		shutdown(fd, SHUT_WR);
		read_to_end(fd, answer, sizeof(answer));
	} while (!strncmp(answer, "error The child has no driver", 29));
}

static void *copy_it(void *context)
{
	(void)context;
	send_it(COPIED);
	cr_expect_str_eq(answer, "ok\n");
	return kill_it(context);
}

static void *copy_a_part(void *context)
{
	(void)context;
	send_it(FCOPY_BLOCK);
	cr_expect_str_eq(answer, "error The file has become shorter.\n");
	return kill_it(context);
}

Test(worker, a_file_is_copied_to_the_guest)
{
	cr_assert_eq(run_beside(receiving_guest, copy_it), LUMEN_EXIT_OUR_FAULT);
}

Test(worker, a_file_that_does_not_come_is_cancelled)
{
	cr_assert_eq(run_beside(disappointed_guest, copy_a_part), LUMEN_EXIT_OUR_FAULT);
}

// Clients that are gone before the guest has answered what it was asked; it has a day for that.

// Leaves the second message unanswered, and expects that it is taken back at once.
static int slow_guest(uint16_t type, size_t operation, const uint8_t *expected, unsigned count)
{
	struct vmbus_packet in;
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		error = i == 1 ? receive(&in) : answer_component(type, 0, NULL, 0);
		if (!error && i == 1)
			component_asked = in.payload + sizeof(struct ic_frame);
		cr_assert(error || component_asked[operation] == expected[i], "%u: %u", i,
			component_asked[operation]);
		if (i == 1)
			sem_post(&settled);
	}
	return error;
}

static int freezing_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const uint8_t expected[] = { VSS_HOT_BACKUP, VSS_FREEZE, VSS_THAW, VSS_THAW };
	int error = step ? fake_wait() : open_this(&vss_class, (struct ic_version){ 5, 0 });

	if (!error)
		error = slow_guest(IC_MESSAGE_VSS, offsetof(struct vss_message, operation),
			expected, ARRAY_SIZE(expected));
	fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	return error;
}

// Hangs up when the guest has got to its second message. Again until the guest's driver is there.
static void ask_and_leave(const char *what, size_t size)
{
	static const char file[FCOPY_BLOCK];
	struct pollfd client = { .events = POLLIN };

	do {
		client.fd = request(what);
		client.revents = 0; // nobody may poll this one: it may be settled at once
		if (size)
			cr_expect_leq(
				send(client.fd, file, size, MSG_NOSIGNAL), (ssize_t)sizeof(file));
		while (sem_trywait(&settled) && !poll(&client, 1, 10))
			continue;
	} while (!close(client.fd) && client.revents);
}

static void *freeze_it_and_leave(void *context)
{
	ask_and_leave("freeze\t86400", 0);
	do
		read_to_end(request("thaw\t10"), answer, sizeof(answer));
	while (!strncmp(answer, "error The child has been asked before", 37));
	cr_expect_str_eq(answer, "ok\n");
	return kill_it(context);
}

Test(worker, a_freeze_that_nobody_waits_for_is_thawed)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(freezing_guest, freeze_it_and_leave), LUMEN_EXIT_OUR_FAULT);
}

static int abandoned_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const uint8_t expected[] = { FCOPY_START, FCOPY_WRITE, FCOPY_CANCEL };
	int error = step ? fake_wait() : open_this(&fcopy_class, (struct ic_version){ 1, 1 });

	if (!error)
		error = slow_guest(IC_MESSAGE_FCOPY, offsetof(struct fcopy_header, operation),
			expected, ARRAY_SIZE(expected));
	if (!error)
		sem_post(&settled);
	fake_in(message, LAYOUT_CONSOLE_PORT, 1);
	return error;
}

static void *copy_it_and_leave(void *context)
{
	ask_and_leave("copy-to\t86400\t10000\t/a", FCOPY_BLOCK);
	sem_wait(&settled); // it was cancelled
	return kill_it(context);
}

Test(worker, a_copy_whose_sender_is_gone_is_cancelled_at_once)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(abandoned_guest, copy_it_and_leave), LUMEN_EXIT_OUR_FAULT);
}

// Sends nonsense over its shutdown channel.
static int shutdown_breaker(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_rescind_channel_offer rescind;
	int error = open_component();

	if (!error)
		error = answer_component(IC_MESSAGE_SHUTDOWN, 0, NULL, 0);
	if (!error)
		send_packet(&(struct vmbus_packet_out){ .type = VMBUS_PACKET_COMPLETION });
	if (!error)
		error = expect_message(
			VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));
	cr_assert(error || rescind.relid == offer.relid);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, nonsense_costs_the_shutdown_channel_only)
{
	cr_assert_eq(run_beside(shutdown_breaker, stop_it), 0);
	cr_assert_str_eq(answer, "ok\n");
}

// hyperv-testdev's commands.
enum { ROUTE = 1, NO_ROUTE, SET_SINT, MESSAGES, NO_MESSAGES, EVENTS, NO_EVENTS };

static void test_command(struct hv_message *message, uint32_t connection, uint32_t what)
{
	fake_out(message, 0x3000, 4, connection << 24 | what << 16 | FAKE_TEST_SINT);
}

static bool got_message, got_event, got_sint;

static void take_own_message(void)
{
	uint8_t bytes[240], length = 0;

	got_message = fake_post(0x10, "own", 4) && !fake_receive(bytes, &length) && length == 4 &&
		      !memcmp(bytes, "own", 4);
}

static void take_own_event(void)
{
	got_event = fake_signal(0x20) && !fake_wait_signal() && fake_last_flag() == 0x20 &&
		    fake_last_sint() == FAKE_TEST_SINT;
}

// Connections to itself, and a SINT that it asserts twice: each time by another flag.
static int loopback_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	static const struct {
		uint8_t connection, what;
		void (*before)(void);
	} steps[] = { { 0x10, MESSAGES, NULL }, { 0x10, NO_MESSAGES, take_own_message },
		{ 0x20, EVENTS, NULL }, { 0x20, NO_EVENTS, take_own_event },
		{ 0x10, MESSAGES, NULL }, { 0x10, NO_MESSAGES, take_own_message },
		{ 0, SET_SINT, NULL }, { 0, ROUTE, NULL }, { 0, SET_SINT, NULL },
		{ 0, SET_SINT, NULL }, { 0, NO_ROUTE, NULL }, { 0, SET_SINT, NULL },
		{ 0x10, NO_MESSAGES, NULL }, { 1, NO_MESSAGES, NULL }, { 0, 99, NULL } };

	if (step == ARRAY_SIZE(steps)) {
		got_sint = !fake_wait_signal() && !fake_wait_signal() && fake_last_flag() == 2;
		fake_out(message, 0xf4, 4, 0);
		return 0;
	}
	if (steps[step].before)
		steps[step].before();
	test_command(message, steps[step].connection, steps[step].what);
	return 0;
}

Test(worker, test_devices_connect_the_child_to_itself)
{
	cr_assert_null(child_config_set(&worker->config, "test-devices", "on"));
	cr_assert_eq(run(loopback_guest), 1, "isa-debug-exit: 0 << 1 | 1");
	cr_assert(got_message);
	cr_assert(got_event);
	cr_assert(got_sint);
}

static int no_test_devices_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	if (!step)
		fake_out(message, 0xf4, 4, 0);
	else if (step == 1)
		test_command(message, 0x10, MESSAGES);
	else
		fake_out(message, LAYOUT_SLEEP_CONTROL, 1, fake_post(0x10, "own", 4) ? 0 : 0x34);
	return 0;
}

Test(worker, test_devices_are_there_only_if_asked_for)
{
	worker->config.timeout_s = 20;
	cr_assert_eq(run(no_test_devices_guest), LUMEN_EXIT_POWERED_OFF);
	cr_assert_eq(worker->devices.counters.unknown_writes, 2);
}

Test(worker, what_cannot_start_says_why)
{
	struct failure failure;

	fake_reset(waiting_guest);
	cr_assert_null(child_config_set(&worker->config, "disk", "/nonexistent"));
	cr_assert(!worker_start(worker, &failure));
	cr_assert_eq(failure.status, LUMEN_EXIT_BAD_ARGUMENTS);
	cr_assert(!fake_open());
}

// --- sockets ---

enum { SOCKET_PORT = 1234, FLOOD = 300 };

static int connector_ends[2];
static int program; // that listens at vsock_<SOCKET_PORT>

static struct sockaddr_un socket_address(const char *file)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, file);
	return address;
}

// A supervisor, as far as sockets need one, and a program that listens.
static void *connect_for_it(void *context)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY);
	struct pollfd asked = { connector_ends[0], POLLIN, 0 };

	(void)context;
	while (poll(&asked, 1, -1) >= 0 && connector_serve(connector_ends[0], fd))
		;
	close(fd);
	return NULL;
}

static pthread_t supervisor;

static void start_supervisor(void)
{
	const struct sockaddr_un address = socket_address("vsock_1234");

	program = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(program, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(program, 2 * FLOOD), 0);
	cr_assert(connector_pair(connector_ends));
	worker->connector_fd = connector_ends[1];
	pthread_create(&supervisor, NULL, connect_for_it, NULL);
}

static void stop_supervisor(void)
{
	close(connector_ends[1]);
	pthread_join(supervisor, NULL);
	close(connector_ends[0]);
	close(program);
}

static int say_to_child(const char *text)
{
	const struct sockaddr_un address = socket_address(RUNDIR_VSOCK);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static void ask_for_socket(uint32_t guest, uint32_t port)
{
	const struct vmbus_tl_connect_request ask = {
		.header.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST,
		.endpoint_id = SOCKET_SERVICE(guest),
		.service_id = SOCKET_SERVICE(port),
	};

	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &ask, sizeof(ask)));
}

static int expect_refusal(uint32_t port)
{
	struct vmbus_tl_connect_result refusal;
	int error = expect_message(VMBUS_MESSAGE_TL_CONNECT_RESULT, &refusal, sizeof(refusal));

	cr_assert(error || (refusal.status == VMBUS_STATUS_CONNECTION_REFUSED &&
				   refusal.service_id.data1 == port));
	return error;
}

// Takes the offer of a connection, and opens it.
static int open_socket(bool from_host)
{
	const struct vmbus_guid service = SOCKET_SERVICE(SOCKET_PORT);
	int error = expect_message(VMBUS_MESSAGE_OFFER_CHANNEL, &offer, sizeof(offer));

	if (error)
		return error;
	cr_assert(offer.flags & VMBUS_OFFER_TLNPI_PROVIDER);
	cr_assert_eq(offer.user_defined[4], from_host);
	cr_assert_arr_eq(&offer.interface_type, &service, sizeof(service));
	error = open_channel();
	if (!error)
		init_rings();
	return error;
}

static void send_message(uint32_t type, const char *text)
{
	const struct pipe_header header = { type, (uint32_t)strlen(text) };
	const struct vmbus_piece payload[] = { { &header, sizeof(header) },
		{ text, (uint32_t)strlen(text) } };

	send_packet(&(struct vmbus_packet_out){
		.type = VMBUS_PACKET_IN_BAND, .payload = payload, .payload_count = 2 });
}

// Takes messages until so much of the stream has come; "": its end.
static int expect_text(const char *text)
{
	size_t length = 0;
	struct vmbus_packet packet;
	struct pipe_message part;
	int error = 0;

	do {
		error = receive(&packet);
		if (error)
			return error;
		cr_assert(pipe_parse(packet.payload, packet.payload_length, &part));
		cr_assert_leq(part.length, strlen(text) - length);
		cr_assert_arr_eq(part.bytes, text + length, part.length);
		length += part.length;
	} while (length < strlen(text));
	return 0;
}

// The host takes the connection back: the guest lets go of it.
static int leave_socket(void)
{
	const struct vmbus_relid_released released = { .header.type = VMBUS_MESSAGE_RELID_RELEASED,
		.relid = offer.relid };
	struct vmbus_rescind_channel_offer rescind;
	int error = expect_message(VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));

	cr_assert(error || rescind.relid == offer.relid);
	if (!error)
		error = tear_down_ring();
	if (!error)
		cr_assert(fake_post(
			VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &released, sizeof(released)));
	return error;
}

// Opens a connection, and hears and answers say_hello().
static int converse(void)
{
	int error = open_socket(true);

	if (!error)
		error = expect_text("hello");
	if (!error)
		error = expect_text(""); // of a program that is still there, and reads
	if (error)
		return error;
	send_message(PIPE_TYPE_DATA, "and goodbye");
	send_message(PIPE_TYPE_DATA, "");
	return leave_socket();
}

static int listening_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = connect_to_host(&heartbeat_class);

	sem_post(&settled);
	if (!error)
		error = converse();
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

static void *say_hello(void *context)
{
	int fd;

	sem_wait(&settled);
	fd = say_to_child("CONNECT 1234\nhello");
	shutdown(fd, SHUT_WR);
	read_to_end(fd, answer, sizeof(answer));
	cr_expect_str_eq(answer, "OK 1234\nand goodbye");
	return NULL;
}

static const struct socket_device *sockets(void)
{
	return (const struct socket_device *)synthetic_at(worker, 2);
}

Test(worker, a_program_of_the_roots_is_connected_to_the_child)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(listening_guest, say_hello), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->used, 0);
	cr_assert_eq(sockets()->opened, 1);
}

static int asking_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = connect_to_host(&heartbeat_class);

	if (!error)
		ask_for_socket(5, SOCKET_PORT);
	if (!error)
		error = open_socket(false);
	if (!error) {
		send_message(PIPE_TYPE_DATA, "hello");
		error = expect_text("and goodbye");
	}
	if (!error)
		error = expect_text("");
	send_message(PIPE_TYPE_DATA, "");
	if (!error)
		error = leave_socket();
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

static void *listen_to_it(void *context)
{
	int fd = accept(program, NULL, NULL);

	cr_expect_eq(read(fd, answer, sizeof(answer)), 5);
	cr_expect_eq(write(fd, "and goodbye", 11), 11);
	shutdown(fd, SHUT_WR);
	cr_expect_eq(read(fd, answer, sizeof(answer)), 0, "the end of the child's stream");
	close(fd);
	return context;
}

Test(worker, a_program_of_the_childs_is_connected_to_the_root)
{
	start_supervisor();
	cr_assert_eq(run_beside(asking_guest, listen_to_it), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->used, 0);
	stop_supervisor();
}

static int refused_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	const struct vmbus_tl_connect_request other = {
		.header.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST, .service_id = HEARTBEAT_GUID
	};
	int error = connect_to_host(&heartbeat_class);

	ask_for_socket(5, 77);
	if (!error)
		error = expect_refusal(77);
	ask_for_socket(5, SOCKET_PORT_MAX + 1);
	if (!error)
		error = expect_refusal(SOCKET_PORT_MAX + 1);
	cr_assert(fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &other, sizeof(other)));
	if (!error)
		error = expect_refusal(other.service_id.data1);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

// Has no room for the rings the first time, as Linux, which says so to nobody.
static int full_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	struct vmbus_relid_released released = { .header.type = VMBUS_MESSAGE_RELID_RELEASED };
	struct vmbus_rescind_channel_offer rescind;
	int error = connect_to_host(&heartbeat_class);

	sem_post(&settled);
	if (!error)
		error = expect_message(VMBUS_MESSAGE_OFFER_CHANNEL, &offer, sizeof(offer));
	if (!error)
		error = expect_message(
			VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, &rescind, sizeof(rescind));
	cr_assert(error || rescind.relid == offer.relid);
	released.relid = offer.relid;
	if (!error)
		cr_assert(fake_post(
			VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &released, sizeof(released)));
	if (!error)
		error = converse();
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, a_child_without_room_is_offered_a_connection_again)
{
	sem_init(&settled, 0, 0);
	cr_assert_eq(run_beside(full_guest, say_hello), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->used, 0);
	cr_assert_eq(sockets()->opened, 1);
	cr_assert_eq(sockets()->again, 1);
	cr_assert_eq(sockets()->late, 0);
}

Test(worker, a_child_is_told_that_nobody_listens)
{
	start_supervisor();
	cr_assert_eq(run(refused_guest), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->refused, 3);
	cr_assert_eq(sockets()->used, 0);
	stop_supervisor();
}

// Nobody connects for this one.
Test(worker, without_a_supervisor_nobody_listens)
{
	cr_assert_eq(run(refused_guest), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->refused, 3);
}

static unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 2048; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static unsigned files_before;

// Opens none of them.
static int socket_flooder(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = connect_to_host(&heartbeat_class);
	unsigned offers = 0, refused = 0;

	files_before = open_files();

	for (uint32_t i = 0; !error && i < FLOOD; i++) {
		union any_message answered;
		uint8_t length;

		ask_for_socket(i, SOCKET_PORT);
		error = fake_receive(answered.bytes, &length);
		offers += answered.header.type == VMBUS_MESSAGE_OFFER_CHANNEL;
		refused += answered.header.type == VMBUS_MESSAGE_TL_CONNECT_RESULT;
	}
	cr_assert(error || (offers == SOCKETS_MAX && refused == FLOOD - SOCKETS_MAX));
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

Test(worker, connections_are_bounded_and_end_with_the_child)
{
	start_supervisor();
	cr_assert_eq(run(socket_flooder), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->used, 0);
	cr_assert_eq(sockets()->refused, FLOOD - SOCKETS_MAX);
	for (int i = 0; i < SOCKETS_MAX; i++) {
		int fd = accept(program, NULL, NULL);

		cr_assert_eq(read(fd, answer, 1), 0);
		close(fd);
	}
	cr_assert_leq(open_files(), files_before);
	stop_supervisor();
}

static int lying_socket_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	int error = connect_to_host(&heartbeat_class);

	ask_for_socket(5, SOCKET_PORT);
	if (!error)
		error = open_socket(false);
	if (!error) {
		send_message(PIPE_TYPE_DATA, "hello");
		send_message(7, "hello");
		error = leave_socket();
	}
	if (!error)
		ask_for_socket(5, SOCKET_PORT); // the same ends once more
	if (!error)
		error = open_socket(false);
	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error;
}

static void *hear_it_lie(void *context)
{
	read_to_end(accept(program, NULL, NULL), answer, sizeof(answer));
	cr_expect_str_eq(answer, "hello");
	return context;
}

Test(worker, a_message_that_lies_costs_its_connection_only)
{
	start_supervisor();
	cr_assert_eq(run_beside(lying_socket_guest, hear_it_lie), 0, "%s", worker->end.reason);
	cr_assert_eq(sockets()->opened, 2);
	cr_assert_eq(sockets()->used, 0);
	stop_supervisor();
}

static void *talk_nonsense(void *context)
{
	static const char *const lines[] = { "GET / HTTP/1.0\r\n", "CONNECT\n", "CONNECT -1\n",
		"CONNECT 2147483648\n", "CONNECT 1 2\n", "\n",
		"CONNECT 0000000000000000000000000000001\n" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		read_to_end(say_to_child(lines[i]), answer, sizeof(answer));
		cr_expect_eq(strncmp(answer, "ERROR ", 6), 0, "line %zu: %s", i, answer);
	}
	close(say_to_child("CONN"));
	worker_kill(worker);
	return context;
}

Test(worker, a_program_that_talks_nonsense_is_told_so)
{
	cr_assert_eq(run_beside(waiting_guest, talk_nonsense), LUMEN_EXIT_OUR_FAULT);
	cr_assert_leq(sockets()->used, 1);
}

// Those who follow the messages of VMBus.

static int opening_guest(uint32_t vp, unsigned step, struct hv_message *message)
{
	const int error = connect_to_host(&shutdown_class);

	fake_out(message, LAYOUT_SLEEP_CONTROL, 1, 0x34);
	return error ? error : open_channel();
}

static void take(int fd, void *to, size_t size)
{
	cr_assert_eq(recv(fd, to, size, MSG_WAITALL), (ssize_t)size);
}

static void take_hello(int fd, struct capture_hello *hello)
{
	char verdict[3];

	take(fd, verdict, sizeof(verdict));
	cr_assert_arr_eq(verdict, "ok\n", sizeof(verdict));
	take(fd, hello, sizeof(*hello));
	cr_assert_eq(hello->magic, CAPTURE_MAGIC);
	cr_assert_eq(hello->version, CAPTURE_VERSION);
	cr_assert_eq(hello->partition, 77);
}

// Takes the records until one of this type, which goes this way; or fails.
static void take_until(int fd, struct capture_record *record, uint32_t type, uint8_t direction)
{
	const struct vmbus_message_header *header = (const void *)record->payload;

	do {
		const uint64_t next = record->number + 1;

		take(fd, record, sizeof(*record));
		cr_assert_eq(record->number, next, "none is missing");
		cr_assert_eq(record->message.version, CAPTURE_VERSION);
		cr_assert_eq(record->message.message_type, VMBUS_SYNIC_MESSAGE_TYPE);
	} while (header->type != type);
	cr_assert_eq(record->message.direction, direction);
}

Test(worker, a_client_that_has_been_there_before_hears_of_every_message)
{
	struct capture_record record = { .number = UINT64_MAX };
	struct capture_hello hello;
	uint64_t time = 0;
	char byte;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(dprintf(ends[0], "messages\n"), 9);
	worker->client_fd = ends[1];
	cr_assert_eq(run(opening_guest), 0);
	take_hello(ends[0], &hello);
	cr_assert_eq(hello.next, 0);
	take_until(ends[0], &record, VMBUS_MESSAGE_INITIATE_CONTACT, CAPTURE_TO_HOST);
	cr_assert_eq(record.number, 0);
	cr_assert_eq(record.message.connection, VMBUS_CONNECTION_MESSAGE_MULTICLIENT);
	cr_assert_eq(record.message.length, sizeof(struct vmbus_initiate_contact));
	time = record.time;
	take_until(ends[0], &record, VMBUS_MESSAGE_VERSION_RESPONSE, CAPTURE_TO_GUEST);
	cr_assert_eq(record.message.sint, VMBUS_SINT);
	cr_assert_geq(record.time, time);
	take_until(ends[0], &record, VMBUS_MESSAGE_REQUEST_OFFERS, CAPTURE_TO_HOST);
	take_until(ends[0], &record, VMBUS_MESSAGE_OFFER_CHANNEL, CAPTURE_TO_GUEST);
	take_until(ends[0], &record, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED, CAPTURE_TO_GUEST);
	take_until(ends[0], &record, VMBUS_MESSAGE_GPADL_HEADER, CAPTURE_TO_HOST);
	take_until(ends[0], &record, VMBUS_MESSAGE_GPADL_CREATED, CAPTURE_TO_GUEST);
	take_until(ends[0], &record, VMBUS_MESSAGE_OPEN_CHANNEL, CAPTURE_TO_HOST);
	take_until(ends[0], &record, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, CAPTURE_TO_GUEST);
	cr_assert_eq(recv(ends[0], &byte, 1, 0), 0, "the child has ended");
	cr_assert_eq(worker->messages.followers, 0);
}

Test(worker, messages_that_nobody_follows_are_not_noted)
{
	cr_assert_eq(run(opening_guest), 0);
	cr_assert_gt(worker->vmbus.messages_in, 3);
	cr_assert_eq(worker->messages.next, 0);
}

// Reads nothing until far more has come than its socket and the log have room for; then as much as
// it takes to learn that something is missing.
static void *follow_slowly(void *context)
{
	const int fd = request("messages"), small = 4096;
	struct capture_record record = { 0 };
	struct capture_hello hello;
	uint64_t next;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (__atomic_load_n(&worker->messages.next, __ATOMIC_RELAXED) < 20 * MESSAGE_LOG_RECORDS)
		usleep(1000);
	take_hello(fd, &hello);
	next = hello.next;
	for (unsigned i = 0; i < 10 * MESSAGE_LOG_RECORDS && record.number <= next; i++) {
		take(fd, &record, sizeof(record));
		cr_expect_geq(record.number, next);
		next += record.number == next;
	}
	cr_expect_gt(record.number, next + MESSAGE_LOG_RECORDS);
	kill_it(context);
	close(fd);
	return NULL;
}

Test(worker, a_follower_that_reads_nothing_holds_nobody_and_learns_what_it_has_lost)
{
	cr_assert_eq(run_beside(flooding_guest, follow_slowly), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
	cr_assert_eq(worker->messages.followers, 0);
}

// Each of these is no client any more, and costs nothing.
static void *follow_and_leave(void *context)
{
	struct capture_hello hello;

	for (unsigned i = 0; i < 2 * CONTROL_FOLLOWERS_MAX; i++) {
		const int fd = request("messages");

		take_hello(fd, &hello);
		if (i % 2)
			cr_expect_eq(write(fd, "words\n", 6), 6); // it has nothing to say
		else
			shutdown(fd, SHUT_WR);
		cr_expect_leq(recv(fd, &hello, 1, 0), 0);
		close(fd);
	}
	return kill_it(context);
}

Test(worker, followers_come_and_go)
{
	cr_assert_eq(run_beside(waiting_guest, follow_and_leave), LUMEN_EXIT_OUR_FAULT);
	cr_assert_str_eq(answer, "ok\n");
	cr_assert_eq(worker->messages.followers, 0);
}
