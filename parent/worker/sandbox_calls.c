// SPDX-License-Identifier: BSD-2-Clause
// See sandbox.h: the system calls of a worker whose child runs. One list for all threads: they
// share their memory, so one of them that is taken over is all of them.
#include "parent/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <mshv_uapi.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"

// What pthread_create() asks of clone(): a thread, and nothing else.
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#define ANY	   (-1)
#define CALL(name) SYS_##name, ANY, 0, 0
#define ALL	   0xffffffffu

// A call that is allowed: any, or one with `value` in the bits `mask` of an argument (of its lower
// half: none of these has more). Those that happen most often come first.
static const struct allowed {
	int number, argument;
	uint32_t mask, value;
} allowed[] = {
	// VP threads: the child runs, and is answered.
	{ SYS_ioctl, 1, ALL, LUMEN_MSHV_RUN_VP },
	{ SYS_ioctl, 1, ALL, MSHV_ROOT_HVCALL },
	{ CALL(futex) },
	// Every thread: events.
	{ CALL(epoll_wait) },
	{ CALL(read) },
	{ CALL(write) },
	{ CALL(clock_gettime) },
	{ CALL(timerfd_settime) },
	{ CALL(epoll_ctl) },
	{ CALL(poll) },
	{ CALL(restart_syscall) },
	{ CALL(rt_sigreturn) },
	// Devices: disks. The ring does only what it was restricted to (block_uring.c).
	{ CALL(io_uring_enter) },
	{ CALL(preadv2) },
	{ CALL(pwritev2) },
	{ CALL(fdatasync) },
	{ CALL(fallocate) },
	{ SYS_ioctl, 1, ALL, BLKDISCARD },
	// Devices: the network card. Its ring, too, does only what it was restricted to (tap.c).
	{ SYS_ioctl, 1, ALL, TUNSETOFFLOAD },
	{ CALL(readv) },
	{ SYS_io_uring_register, 1, ALL, IORING_REGISTER_FILES_UPDATE }, // ring.h: only its own
	// Devices: a channel is opened and closed.
	{ SYS_ioctl, 1, ALL, LUMEN_MSHV_GET_MESSAGE },
	{ SYS_ioctl, 1, ALL, LUMEN_MSHV_SIGNAL_EVENTFD },
	{ SYS_ioctl, 1, ALL, LUMEN_MSHV_CREATE_MESSAGE_PORT }, // --test-devices
	{ CALL(epoll_create1) },
	{ CALL(eventfd2) },
	{ CALL(timerfd_create) },
	{ CALL(close) },
	// The main thread: the control socket, the child's sockets, statistics, the console's log.
	{ CALL(accept4) },
	{ CALL(recvmsg) }, // connector.c
	{ CALL(recvfrom) },
	{ CALL(sendto) },
	{ CALL(shutdown) },
	{ SYS_setsockopt, 2, ALL, SO_SNDTIMEO },
	{ SYS_fcntl, 1, ALL, F_GETFL },
	{ SYS_fcntl, 1, ALL, F_SETFL },
	{ SYS_fcntl, 1, ALL, F_OFD_SETLK },
	{ SYS_ioctl, 1, ALL, LUMEN_MSHV_READ_STATS },
	{ CALL(sendfile) },
	{ CALL(ftruncate) },
	{ CALL(lseek) },
	// Threads begin and end.
	{ SYS_clone, 0, ALL, THREAD_FLAGS },
	{ CALL(set_robust_list) },
	{ CALL(rseq) },
	{ CALL(rt_sigprocmask) },
	{ CALL(sched_getaffinity) }, // malloc(): how many arenas
	{ CALL(clock_nanosleep) },
	{ CALL(exit) },
	{ CALL(exit_group) },
	// Memory: never code.
	{ SYS_mmap, 2, PROT_EXEC, 0 },
	{ SYS_mprotect, 2, PROT_EXEC, 0 },
	{ CALL(munmap) },
	{ CALL(brk) },
	{ SYS_madvise, 2, ALL, MADV_DONTNEED },
	// A fault is reported.
	{ CALL(gettid) },
	{ CALL(writev) }, // by the C library: a smashed stack
	{ CALL(getpid) },
};

// The program: for each row at most ROW_MAX instructions, before and behind them PROLOGUE and
// EPILOGUE. It has the call's number in its accumulator where a row begins.
enum {
	ROWS = ARRAY_SIZE(allowed),
	PROLOGUE = 4,
	ROW_MAX = 6,
	EPILOGUE = ROW_MAX + 2 + 1,
	PROGRAM_MAX = PROLOGUE + ROWS * ROW_MAX + EPILOGUE,
};

#define LOAD(field)		  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define RETURN(action)		  BPF_STMT(BPF_RET | BPF_K, (action))

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short length;
};

static void add(struct program *program, const struct sock_filter *code, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		program->code[program->length++] = code[i];
}

#define ADD(program, ...)                                                                          \
	do {                                                                                       \
		const struct sock_filter code[] = { __VA_ARGS__ };                                 \
		add(program, code, ARRAY_SIZE(code));                                              \
	} while (0)

static void add_row(struct program *program, const struct allowed *row)
{
	if (row->argument == ANY)
		ADD(program, SKIP_UNLESS(row->number, 1), RETURN(SECCOMP_RET_ALLOW));
	else
		ADD(program, SKIP_UNLESS(row->number, 5), LOAD(args[row->argument]),
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->mask), SKIP_UNLESS(row->value, 1),
			RETURN(SECCOMP_RET_ALLOW), LOAD(nr));
}

// Signals only to itself; its process id is what the namespace says. clone3() has its flags in
// memory, where nobody can check them: the C library takes clone() if it is not there.
static void add_special(struct program *program)
{
	const struct allowed tgkill = { SYS_tgkill, 0, ALL, (uint32_t)getpid() };

	add_row(program, &tgkill);
	ADD(program, SKIP_UNLESS(SYS_clone3, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS));
}

bool sandbox_forbid_calls(void)
{
	struct program program = { .length = 0 };
	struct sock_fprog filter = { .filter = program.code };

	// The calls of another architecture have other numbers; those of x32 a bit that no row has.
	ADD(&program, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(nr));
	for (unsigned i = 0; i < ROWS; i++)
		add_row(&program, &allowed[i]);
	add_special(&program);
	ADD(&program, RETURN(SECCOMP_RET_TRAP));
	filter.len = program.length;
	return !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}
