// SPDX-License-Identifier: BSD-2-Clause
// mshv-check: the ioctls of /dev/mshv against a hypervisor, from the root partition. One line per
// check; exit status 1 if any failed.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypercall/intercept.h"
#include "hypercall/stats.h"
#include "hypercall/status.h"
#include "hypercall/table.h"
#include "parent/driver/check/check.h"
#include "parent/driver/mshv_uapi.h"

#define CONNECTION CHECK_CONNECTION
#define ROUNDS	   20

long counter(const char *name)
{
	char path[128], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/misc/mshv/%s", name);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof(text), file)) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return strtol(text, NULL, 10);
}

// mov $0x12345678,%eax; out %al,$0x80
static const uint8_t code_out[] = { 0xb8, 0x78, 0x56, 0x34, 0x12, 0xe6, CHILD_PORT };

// jmp .
static const uint8_t code_loop[] = { 0xeb, 0xfe };

// wrmsr(0x40000000, 0x8100000000000000); then HvCallSignalEvent, fast: EDX:EAX control, EBX:ECX
// input.
static const uint8_t code_signal[] = {
	0xb9, 0x00, 0x00, 0x00, 0x40,			      // mov $0x40000000,%ecx
	0x31, 0xc0, 0xba, 0x00, 0x00, 0x00, 0x81, 0x0f, 0x30, // xor %eax,%eax; mov ..,%edx; wrmsr
	0x31, 0xd2, 0xb8, 0x5d, 0x00, 0x01, 0x00,	      // xor %edx,%edx; mov $0x1005d,%eax
	0x31, 0xdb, 0xb9, 0x01, 0x00, 0x01, 0x00,	      // xor %ebx,%ebx; mov $CONNECTION,%ecx
	0x0f, 0x01, 0xd9, 0xe6, CHILD_PORT,		      // vmmcall; out
};

// The same for HvCallPostMessage: the input is at CHILD_DATA. Again while the port has no buffer
// free: the root's processor that takes the messages may be away for longer than it takes to fill
// them all.
static const uint8_t code_post[] = {
	0xb9, 0x00, 0x00, 0x00, 0x40, 0x31, 0xc0, 0xba, 0x00, 0x00, 0x00, 0x81, 0x0f, 0x30, 0x31,
	0xd2, 0xb8, 0x5c, 0x00, 0x00, 0x00,		  // again: mov $0x5c,%eax
	0x31, 0xdb, 0xb9, 0x00, 0x20, 0x00, 0x00,	  // mov $CHILD_DATA,%ecx
	0x31, 0xf6, 0x31, 0xff, 0x0f, 0x01, 0xd9,	  // no output; vmmcall
	0x66, 0x83, 0xf8, HV_STATUS_INSUFFICIENT_BUFFERS, // cmp $..,%ax
	0x74, 0xe5, 0xe6, CHILD_PORT,			  // je again; out
};

// The same without end; the type of each message is one more than that of the last.
static const uint8_t code_flood[] = {
	0xb9, 0x00, 0x00, 0x00, 0x40, 0x31, 0xc0, 0xba, 0x00, 0x00, 0x00, 0x81, 0x0f, 0x30, // wrmsr
	0x31, 0xdb, 0xb9, 0x00, 0x20, 0x00, 0x00, 0x31, 0xf6, 0x31, 0xff, // input, no output
	0x31, 0xd2, 0xb8, 0x5c, 0x00, 0x00, 0x00, 0x0f, 0x01, 0xd9,	  // again: vmmcall
	0x66, 0x85, 0xc0, 0x75, 0xf1,					  // test %ax,%ax; jnz again
	0xff, 0x05, 0x08, 0x20, 0x00, 0x00, 0xeb, 0xe9, // incl CHILD_DATA+8; jmp again
};

// Sets vector SELF_IPI pending in x2APIC mode, then jumps to an STI that is the last byte of the
// memory.
#define SELF_IPI 0x40
static const uint8_t code_sti[] = {
	0x0f, 0x01, 0x15, 0x00, 0x20, 0x00, 0x00,     // lgdt CHILD_DATA
	0x0f, 0x01, 0x1d, 0x08, 0x20, 0x00, 0x00,     // lidt CHILD_DATA+8
	0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32,     // mov $0x1b,%ecx; rdmsr
	0x0d, 0x00, 0x0c, 0x00, 0x00, 0x0f, 0x30,     // or $0xc00,%eax; wrmsr
	0x31, 0xd2, 0xb9, 0x0f, 0x08, 0x00, 0x00,     // xor %edx,%edx; mov $0x80f,%ecx
	0xb8, 0xff, 0x01, 0x00, 0x00, 0x0f, 0x30,     // mov $0x1ff,%eax; wrmsr
	0xb9, 0x3f, 0x08, 0x00, 0x00,		      // mov $0x83f,%ecx
	0xb8, SELF_IPI, 0x00, 0x00, 0x00, 0x0f, 0x30, // mov $SELF_IPI,%eax; wrmsr
	0xbc, 0x00, 0x30, 0x00, 0x00,		      // mov $0x3000,%esp
	0xb8, 0xff, 0xff, 0x3f, 0x00, 0xff, 0xe0,     // mov $CHILD_MEMORY-1,%eax; jmp *%eax
};
#define STI 0xfb
#define HLT 0xf4

// The interrupt's handler gives the address that was interrupted: pop %eax; out
static const uint8_t code_handler[] = { 0x58, 0xe6, CHILD_PORT };

static bool check_io(struct child *child)
{
	uint32_t eax;

	EXPECT(child_set_code(child, code_out, sizeof(code_out)));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT(eax == 0x12345678);
	return true;
}

// What is refused changes nothing.
static bool check_arguments(struct child *child)
{
	EXPECT(arguments_refused(child));
	EXPECT(counter("partitions") == 1 && counter("vps") == 1 && counter("ports") == 0);
	EXPECT(counter("pinned_pages") == CHILD_MEMORY / 4096);
	return check_io(child);
}

static void on_alarm(int signal)
{
}

// A signal ends MSHV_RUN_VP; the VP goes on with the next one.
static bool check_signal(struct child *child)
{
	struct itimerval timer = { .it_value.tv_usec = 100000 };
	struct sigaction action = { .sa_handler = on_alarm };
	struct hv_message message;

	sigaction(SIGALRM, &action, NULL);
	EXPECT(child_set_code(child, code_loop, sizeof(code_loop)));
	setitimer(ITIMER_REAL, &timer, NULL);
	EXPECT(fails_with(child_run(child, &message), EINTR));
	return check_io(child);
}

static bool check_event(struct child *child)
{
	struct lumen_mshv_signal_eventfd args = {
		.connection_id = CONNECTION,
		.flag_count = 1,
		.fd = eventfd(0, EFD_NONBLOCK),
	};
	struct pollfd poll_event = { .fd = args.fd, .events = POLLIN };
	uint64_t count = 0;
	uint32_t eax;

	EXPECT(args.fd >= 0);
	EXPECT(!ioctl(child->partition, LUMEN_MSHV_SIGNAL_EVENTFD, &args));
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_SIGNAL_EVENTFD, &args), EEXIST));
	EXPECT(child_set_code(child, code_signal, sizeof(code_signal)));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT((eax & 0xffff) == HV_STATUS_SUCCESS);
	EXPECT(poll(&poll_event, 1, 5000) == 1);
	EXPECT(read(args.fd, &count, sizeof(count)) == sizeof(count) && count == 1);
	args.flags = LUMEN_MSHV_PORT_DEASSIGN;
	EXPECT(!ioctl(child->partition, LUMEN_MSHV_SIGNAL_EVENTFD, &args));
	EXPECT(child_set_code(child, code_signal, sizeof(code_signal)));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT((eax & 0xffff) == HV_STATUS_INVALID_CONNECTION_ID);
	close(args.fd);
	return true;
}

// What the child's post is to be.
static void prepare_post(struct child *child, uint32_t type)
{
	struct hv_input_post_message *input = (void *)(child->memory + CHILD_DATA);

	*input = (struct hv_input_post_message){
		.connection_id = CONNECTION, .message_type = type, .payload_size = 6
	};
	memcpy(input->payload, "hello", 6);
}

bool post(struct child *child, uint32_t type)
{
	uint32_t eax;

	prepare_post(child, type);
	EXPECT(child_set_code(child, code_post, sizeof(code_post)));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT((eax & 0xffff) == HV_STATUS_SUCCESS);
	return true;
}

static bool check_message(struct child *child)
{
	struct lumen_mshv_message_port port = { .connection_id = CONNECTION };
	struct pollfd poll_message = { .fd = child->partition, .events = POLLIN };
	struct lumen_mshv_get_message got;
	const struct hv_message *message = (const void *)got.msg_buf;

	EXPECT(!ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	EXPECT(poll(&poll_message, 1, 0) == 0);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT(post(child, i + 1));
	EXPECT(poll(&poll_message, 1, 5000) == 1);
	for (uint32_t i = 0; i < 3; i++) {
		EXPECT(!ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got));
		EXPECT(got.connection_id == CONNECTION && message->header.message_type == i + 1);
		EXPECT(message->header.payload_size == 6 && !memcmp(message->payload, "hello", 6));
	}
	EXPECT(!fcntl(child->partition, F_SETFL, O_NONBLOCK));
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got), EAGAIN));
	return true;
}

// A child that posts more than anybody reads is found out; what was there before is not lost.
static bool check_overflow(struct child *child)
{
	struct lumen_mshv_message_port port = { .connection_id = CONNECTION };
	struct pollfd poll_message = { .fd = child->partition, .events = 0 };
	struct lumen_mshv_get_message got;

	EXPECT(!ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	for (uint32_t i = 0; i <= LUMEN_MSHV_MESSAGES_MAX; i++)
		EXPECT(post(child, i + 1));
	EXPECT(poll(&poll_message, 1, 5000) == 1 && poll_message.revents == POLLERR);
	for (uint32_t i = 0; i < LUMEN_MSHV_MESSAGES_MAX; i++) {
		EXPECT(!ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got));
		EXPECT(((struct hv_message *)got.msg_buf)->header.message_type == i + 1);
	}
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got), EOVERFLOW));
	return true;
}

// A child that posts without end, and as fast as it can: what is kept is in order and whole, and
// the rest of the machine goes on.
static bool check_flood(struct child *child)
{
	struct lumen_mshv_message_port port = { .connection_id = CONNECTION };
	struct pollfd poll_message = { .fd = child->partition, .events = 0 };
	struct lumen_mshv_get_message got;
	pid_t pid;

	prepare_post(child, 1);
	EXPECT(!ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	EXPECT(child_set_code(child, code_flood, sizeof(code_flood)));
	pid = fork();
	if (!pid)
		_exit(child_run(child, &(struct hv_message){ 0 }));
	EXPECT(poll(&poll_message, 1, 60000) == 1 && poll_message.revents == POLLERR);
	for (uint32_t i = 0; i < LUMEN_MSHV_MESSAGES_MAX; i++) {
		EXPECT(!ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got));
		EXPECT(((struct hv_message *)got.msg_buf)->header.message_type == i + 1);
	}
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got), EOVERFLOW));
	EXPECT(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	return true;
}

// The memory a second time, where large pages do not fit; then unmapped and mapped again.
static bool check_remap(struct child *child)
{
	struct mshv_user_mem_region region = {
		.size = CHILD_MEMORY,
		.guest_pfn = CHILD_MEMORY / 4096 + 1,
		.userspace_addr = (uintptr_t)child->memory,
		.flags = 1 << MSHV_SET_MEM_BIT_WRITABLE,
	};

	EXPECT(!ioctl(child->partition, MSHV_SET_GUEST_MEMORY, &region));
	EXPECT(counter("pinned_pages") == 2 * CHILD_MEMORY / 4096);
	region.flags = 1 << MSHV_SET_MEM_BIT_UNMAP;
	EXPECT(!ioctl(child->partition, MSHV_SET_GUEST_MEMORY, &region));
	EXPECT(child_map(child, false));
	EXPECT(counter("pinned_pages") == 0);
	EXPECT(child_map(child, true));
	EXPECT(counter("pinned_pages") == CHILD_MEMORY / 4096);
	return check_io(child);
}

// The tables of code_sti, in CHILD_DATA, and its handler.
static void make_tables(struct child *child)
{
	enum { GDT = CHILD_DATA + 0x10, IDT = CHILD_DATA + 0x100, HANDLER = CHILD_DATA + 0x800 };
	struct {
		uint16_t gdt_limit;
		uint32_t gdt;
		uint16_t rsvd_z, idt_limit;
		uint32_t idt;
	} __attribute__((packed)) pointers = { 15, GDT, 0, SELF_IPI * 8 + 7, IDT };
	const uint64_t flat_code = 0x00cf9b000000ffff;
	const uint64_t interrupt_gate = 0x8e0000080000 | HANDLER;

	memcpy(child->memory + CHILD_DATA, &pointers, sizeof(pointers));
	memcpy(child->memory + GDT + 8, &flat_code, sizeof(flat_code));
	memcpy(child->memory + IDT + SELF_IPI * 8, &interrupt_gate, sizeof(interrupt_gate));
	memcpy(child->memory + HANDLER, code_handler, sizeof(code_handler));
}

// The HLT behind an STI is on a page that is mapped only when it is fetched: the interrupt that
// waits must still come after the HLT, not between the two, or an idle guest would sleep for ever.
static bool check_interrupt_shadow(struct child *child)
{
	static uint8_t page[4096] __attribute__((aligned(4096))) = { HLT };
	struct mshv_user_mem_region region = {
		.size = sizeof(page),
		.guest_pfn = CHILD_MEMORY / sizeof(page),
		.userspace_addr = (uintptr_t)page,
		.flags = 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE,
	};
	const struct hv_x64_memory_intercept_message *fault;
	struct hv_message message;
	uint32_t eax;

	make_tables(child);
	child->memory[CHILD_MEMORY - 1] = STI;
	EXPECT(child_set_code(child, code_sti, sizeof(code_sti)));
	EXPECT(!child_run(child, &message));
	fault = (const void *)message.payload;
	EXPECT(message.header.message_type == HvMessageTypeUnmappedGpa);
	EXPECT(fault->guest_physical_address == CHILD_MEMORY);
	EXPECT(fault->header.execution_state & HV_X64_EXECUTION_STATE_INTERRUPT_SHADOW);
	EXPECT(!ioctl(child->partition, MSHV_SET_GUEST_MEMORY, &region));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT(eax == CHILD_MEMORY + 1);
	return true;
}

static bool check_stats(struct child *child)
{
	uint64_t counters[512] = { 0 }, any = 0;
	struct lumen_mshv_read_stats args = {
		.object_type = LUMEN_MSHV_STATS_VP,
		.buf_ptr = (uintptr_t)counters,
		.buf_sz = sizeof(counters),
	};

	EXPECT(child_set_code(child, code_out, sizeof(code_out)));
	EXPECT(child_run_to_out(child, &(uint32_t){ 0 }));
	EXPECT(!ioctl(child->partition, LUMEN_MSHV_READ_STATS, &args));
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		any |= counters[i];
	EXPECT(any);
	args.vp_index = 1;
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_READ_STATS, &args), ENOENT));
	args.object_type = LUMEN_MSHV_STATS_PARTITION;
	args.vp_index = 0;
	EXPECT(!ioctl(child->partition, LUMEN_MSHV_READ_STATS, &args));
	EXPECT(counters[PartitionGpaPages] == CHILD_MEMORY / 4096);
	return true;
}

static bool all_is_back(void)
{
	static const char *const zero[] = { "partitions", "vps", "ports", "connections",
		"pinned_pages" };

	for (size_t i = 0; i < ARRAY_SIZE(zero); i++) {
		if (counter(zero[i])) {
			fprintf(stderr, "  %s: %ld\n", zero[i], counter(zero[i]));
			return false;
		}
	}
	EXPECT(counter("deposited_pages") == counter("own_deposited_pages"));
	return true;
}

// A process that has a busy child is killed; everything comes back.
static bool check_kill(struct child *unused)
{
	int started[2];
	char byte;
	pid_t pid;

	EXPECT(!pipe(started));
	pid = fork();
	if (!pid) {
		struct child child;
		struct hv_message message;

		if (!child_create(&child) || !check_message(&child) ||
			!child_set_code(&child, code_loop, sizeof(code_loop)))
			_exit(1);
		if (write(started[1], "", 1) == 1)
			child_run(&child, &message);
		_exit(1);
	}
	close(started[1]);
	EXPECT(read(started[0], &byte, 1) == 1);
	close(started[0]);
	EXPECT(counter("partitions") == 1 && counter("pinned_pages") > 0);
	EXPECT(counter("deposited_pages") > counter("own_deposited_pages"));
	EXPECT(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	return true;
}

static bool check_rounds(struct child *unused)
{
	struct child child;

	for (int i = 0; i < ROUNDS; i++) {
		EXPECT(child_create(&child));
		EXPECT(check_io(&child));
		EXPECT(check_message(&child));
		child_destroy(&child);
		EXPECT(all_is_back());
	}
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct child *child);
	bool own_child; // it makes its child itself
} checks[] = {
	{ "arguments", check_arguments, false },
	{ "partition id", check_partition_id, false },
	{ "no output", check_no_output, false },
	{ "quotas", check_quotas, false },
	{ "memlock", check_memlock, true },
	{ "cgroup", check_cgroup, true },
	{ "io", check_io, false },
	{ "signal", check_signal, false },
	{ "event", check_event, false },
	{ "message", check_message, false },
	{ "message faults", check_message_faults, false },
	{ "intercept faults", check_intercept_faults, false },
	{ "overflow", check_overflow, false },
	{ "flood", check_flood, false },
	{ "remap", check_remap, false },
	{ "interrupt shadow", check_interrupt_shadow, false },
	{ "stats", check_stats, false },
	{ "kill", check_kill, true },
	{ "rounds", check_rounds, true },
};

static bool run_check(size_t i)
{
	struct child child = { .partition = -1, .vp = -1 };
	bool ok = (checks[i].own_child || child_create(&child)) && checks[i].run(&child);

	child_destroy(&child);
	ok = all_is_back() && ok;
	printf("%s %s\n", ok ? "ok" : "FAIL", checks[i].name);
	fflush(stdout);
	return ok;
}

int main(void)
{
	unsigned int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		failed += !run_check(i);
	printf("%zu passed, %u failed\n", ARRAY_SIZE(checks) - failed, failed);
	return failed ? 1 : 0;
}
