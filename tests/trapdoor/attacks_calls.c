// SPDX-License-Identifier: BSD-2-Clause
// Attacks that only the list of system calls refuses: see trapdoor.h.
#include "trapdoor.h"

#include <fcntl.h>
#include <liburing.h>
#include <mshv_uapi.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/backends/block_file.h"

enum { PAGE = 4096 };

static bool make_a_process(struct worker *worker)
{
	long pid = syscall(SYS_fork);

	if (!pid)
		_exit(0);
	return pid > 0;
}

static bool clone_a_process(struct worker *worker)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return pid > 0;
}

static bool clone_a_process_otherwise(struct worker *worker)
{
	static const uint64_t arguments[11] = { [4] = SIGCHLD };
	long pid = syscall(SYS_clone3, arguments, sizeof(arguments));

	if (!pid)
		_exit(0);
	return pid > 0;
}

static bool execute_a_file(struct worker *worker)
{
	return !syscall(SYS_execve, "/bin/busybox", NULL, NULL);
}

static bool make_code(struct worker *worker)
{
	return syscall(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) > 0;
}

static bool make_data_code(struct worker *worker)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return !syscall(SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC) ||
	       !syscall(SYS_pkey_mprotect, page, PAGE, PROT_READ | PROT_EXEC, -1);
}

static bool make_a_file_of_code(struct worker *worker)
{
	return syscall(SYS_memfd_create, "x", 0) >= 0;
}

static bool make_a_socket(struct worker *worker)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool make_a_netlink_socket(struct worker *worker)
{
	return syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool pass_a_descriptor(struct worker *worker)
{
	struct msghdr message = { .msg_iov = NULL };

	return syscall(SYS_sendmsg, worker->control.listener.fd, &message, 0) != -1;
}

static bool copy_a_descriptor(struct worker *worker)
{
	return syscall(SYS_dup, 2) >= 0 || syscall(SYS_fcntl, 2, F_DUPFD, 0) >= 0;
}

static bool have_signals_sent(struct worker *worker)
{
	return !syscall(SYS_fcntl, worker->control.listener.fd, F_SETOWN, 1);
}

static bool kill_itself(struct worker *worker)
{
	return !syscall(SYS_kill, 1, 0);
}

static bool catch_signals(struct worker *worker)
{
	return !syscall(SYS_rt_sigaction, SIGUSR2, NULL, NULL, 8);
}

static bool be_dumped(struct worker *worker)
{
	return !syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static bool make_a_vp(struct worker *worker)
{
	struct mshv_create_vp create = { .vp_index = 63 };

	return syscall(SYS_ioctl, worker->partition.fd, MSHV_CREATE_VP, &create) >= 0;
}

static bool map_memory(struct worker *worker)
{
	struct mshv_user_mem_region region = { .size = 0 };

	return syscall(SYS_ioctl, worker->partition.fd, MSHV_SET_GUEST_MEMORY, &region) != -2;
}

static bool use_another_abi(struct worker *worker)
{
	return syscall(0x40000000 | SYS_getpid) > 0;
}

static bool make_a_ring(struct worker *worker)
{
	struct io_uring_params params = { .flags = 0 };

	return syscall(SYS_io_uring_setup, 4, &params) >= 0;
}

static bool change_a_ring(struct worker *worker)
{
	int fd = 2;

	return !syscall(SYS_io_uring_register, block_file_event_fd(first_disk(worker)),
		IORING_REGISTER_FILES, &fd, 1);
}

const struct attack attacks_by_calls[] = {
	{ "make a process", make_a_process },
	{ "clone a process", clone_a_process },
	{ "clone a process otherwise", clone_a_process_otherwise },
	{ "execute a file", execute_a_file },
	{ "make code", make_code },
	{ "make data code", make_data_code },
	{ "make a file of code", make_a_file_of_code },
	{ "make a socket", make_a_socket },
	{ "make a netlink socket", make_a_netlink_socket },
	{ "pass a descriptor", pass_a_descriptor },
	{ "copy a descriptor", copy_a_descriptor },
	{ "have signals sent", have_signals_sent },
	{ "kill itself", kill_itself },
	{ "catch signals", catch_signals },
	{ "be dumped", be_dumped },
	{ "make a VP", make_a_vp },
	{ "map memory", map_memory },
	{ "use another ABI", use_another_abi },
	{ "make a ring", make_a_ring },
	{ "change a ring", change_a_ring },
};

const unsigned attacks_by_calls_count = ARRAY_SIZE(attacks_by_calls);
