// SPDX-License-Identifier: BSD-2-Clause
// Attacks on what is outside of the worker: see trapdoor.h. By system calls as they are, so that no
// library stands in the way.
#include "trapdoor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <mshv_uapi.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/backends/block_file_internal.h"

enum { FDS = 512, PIDS = 5000 };

// Files: by paths, and by what is open.

static bool can_open(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags, 0600) >= 0;
}

static bool open_a_file(struct worker *worker)
{
	return can_open("/init", O_RDONLY) || can_open("/bin/busybox", O_RDONLY) ||
	       can_open("/lumen/kernel", O_RDONLY) || can_open("../../init", O_RDONLY);
}

static bool make_a_file(struct worker *worker)
{
	return can_open("/x", O_RDWR | O_CREAT) || !syscall(SYS_mkdir, "/y", 0700) ||
	       !syscall(SYS_mknodat, AT_FDCWD, "/m", S_IFCHR | 0666, 0x0101);
}

// All that an empty directory has is itself and the one above it.
static bool find_a_file(struct worker *worker)
{
	char entries[4096];
	long fd = syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	long length = fd >= 0 ? syscall(SYS_getdents64, fd, entries, sizeof(entries)) : 0;

	if (fd >= 0)
		syscall(SYS_close, fd); // what is found open later was open before
	return length > 2 * 24;
}

static bool open_proc(struct worker *worker)
{
	return can_open("/proc/self/maps", O_RDONLY) || can_open("/proc/1/mem", O_RDWR) ||
	       can_open("/sys/kernel", O_RDONLY) || can_open("/dev/null", O_RDONLY);
}

static bool open_memory(struct worker *worker)
{
	return can_open("/dev/mem", O_RDWR) || can_open("/dev/kmsg", O_RDWR);
}

static bool open_the_driver(struct worker *worker)
{
	return can_open("/dev/mshv", O_RDWR) || can_open("/dev/mshv-trace", O_RDONLY);
}

static bool open_another_child(struct worker *worker)
{
	return can_open("/run/lumen/victim/config", O_RDONLY) ||
	       can_open("/run/lumen/victim/log", O_WRONLY) || can_open("/run/lumen", O_RDONLY);
}

static bool climb_from_a_descriptor(struct worker *worker)
{
	for (int fd = 0; fd < FDS; fd++)
		if (syscall(SYS_openat, fd, "..", O_RDONLY) >= 0 ||
			syscall(SYS_openat, fd, ".", O_PATH) >= 0 || !syscall(SYS_fchdir, fd))
			return true;
	return false;
}

static bool climb_out(struct worker *worker)
{
	for (int i = 0; i < 64; i++)
		if (syscall(SYS_chdir, ".."))
			break;
	return can_open("init", O_RDONLY) || !syscall(SYS_chroot, ".");
}

// The file system is a device, or a memory, that has been left open.
static bool have_a_device(struct worker *worker)
{
	struct stat stat;

	for (int fd = 0; fd < FDS; fd++)
		if (!syscall(SYS_fstat, fd, &stat) &&
			(S_ISDIR(stat.st_mode) ||
				(S_ISCHR(stat.st_mode) && stat.st_rdev != 0x0103)))
			return true;
	return false;
}

static bool mount_something(struct worker *worker)
{
	return !syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL) ||
	       !syscall(SYS_mount, NULL, "/", NULL, MS_REMOUNT, NULL) ||
	       !syscall(SYS_umount2, "/", MNT_DETACH) || !syscall(SYS_pivot_root, ".", ".") ||
	       syscall(SYS_fsopen, "tmpfs", 0) >= 0;
}

// Namespaces and rights.

static bool get_namespaces(struct worker *worker)
{
	return !syscall(SYS_unshare, CLONE_NEWUSER) || !syscall(SYS_unshare, CLONE_NEWNS) ||
	       !syscall(SYS_unshare, CLONE_NEWNET);
}

static bool get_ids(struct worker *worker)
{
	gid_t group = 0;

	return !syscall(SYS_setuid, 0) || !syscall(SYS_setresuid, -1, 0, -1) ||
	       !syscall(SYS_setgid, 0) || !syscall(SYS_setgroups, 1, &group);
}

static bool get_capabilities(struct worker *worker)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 1, 1, 1 }, { 0, 0, 0 } };

	return !syscall(SYS_capset, &header, data);
}

static bool raise_limits(struct worker *worker)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return !syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit) ||
	       !syscall(SYS_setrlimit, RLIMIT_NPROC, &limit) ||
	       !syscall(SYS_setrlimit, RLIMIT_CORE, &limit);
}

static bool get_processors(struct worker *worker)
{
	const struct sched_param param = { .sched_priority = 1 };

	return !syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param) ||
	       !syscall(SYS_setpriority, PRIO_PROCESS, 0, -10);
}

// Other processes.

static bool signal_a_process(struct worker *worker)
{
	bool any = !syscall(SYS_kill, -1, 0) || !syscall(SYS_kill, worker->pid, 0);

	for (int pid = 2; pid < PIDS && !any; pid++)
		any = !syscall(SYS_kill, pid, 0) && syscall(SYS_tgkill, 1, pid, 0);
	return any;
}

static bool read_a_process(struct worker *worker)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { (void *)0x400000, 1 };

	for (int pid = 2; pid < PIDS; pid++)
		if (syscall(SYS_process_vm_readv, pid, &to, 1, &from, 1, 0) > 0 ||
			(syscall(SYS_tgkill, 1, pid, 0) && syscall(SYS_pidfd_open, pid, 0) >= 0))
			return true;
	return false;
}

static bool trace_a_process(struct worker *worker)
{
	for (int pid = 2; pid < PIDS; pid++)
		if (syscall(SYS_tgkill, 1, pid, 0) &&
			!syscall(SYS_ptrace, PTRACE_ATTACH, pid, 0, 0))
			return true;
	return !syscall(SYS_ptrace, PTRACE_ATTACH, worker->pid, 0, 0);
}

// Networks.

static bool connect_to(int family, int type, const void *address, socklen_t length)
{
	long fd = syscall(SYS_socket, family, type, 0);

	return fd >= 0 && !syscall(SYS_connect, fd, address, length);
}

static bool reach_the_network(struct worker *worker)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };

	inet_pton(AF_INET, "10.0.2.2", &address.sin_addr);
	return connect_to(AF_INET, SOCK_STREAM, &address, sizeof(address)) ||
	       connect_to(AF_INET, SOCK_DGRAM, &address, sizeof(address));
}

static bool reach_this_machine(struct worker *worker)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7777) };

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	return connect_to(AF_INET, SOCK_STREAM, &address, sizeof(address));
}

static bool reach_a_socket(struct worker *worker)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/lumen/victim/ctl" };
	long packets = syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0);

	return packets >= 0 || connect_to(AF_UNIX, SOCK_STREAM, &address, sizeof(address));
}

// The machine.

static bool change_the_machine(struct worker *worker)
{
	const struct timespec time = { .tv_sec = 1000000000 };

	return !syscall(SYS_clock_settime, CLOCK_REALTIME, &time) ||
	       !syscall(SYS_sethostname, "x", 1) || !syscall(SYS_swapoff, "/x") ||
	       !syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_CAD_OFF, 0);
}

static bool load_code(struct worker *worker)
{
	return !syscall(SYS_init_module, "", 0, "") || !syscall(SYS_delete_module, "mshv", 0) ||
	       !syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static bool use_ports(struct worker *worker)
{
	return !syscall(SYS_iopl, 3) || !syscall(SYS_ioperm, 0x80, 1, 1);
}

static bool watch_the_kernel(struct worker *worker)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event) };
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};
	char line[64];

	return syscall(SYS_perf_event_open, &event, -1, 0, -1, 0) >= 0 ||
	       syscall(SYS_bpf, BPF_PROG_LOAD, &map, sizeof(map)) >= 0 ||
	       syscall(SYS_syslog, 3, line, sizeof(line)) > 0;
}

// What it has: descriptors of the driver, its disks' ring.

static bool make_a_partition(struct worker *worker)
{
	struct mshv_create_partition create = { .pt_flags = 0 };

	for (int fd = 0; fd < FDS; fd++)
		if (syscall(SYS_ioctl, fd, MSHV_CREATE_PARTITION, &create) >= 0 &&
			fd != worker->partition.fd && fd != worker->vps[0].fd)
			return true;
	return false;
}

static bool type_on_a_terminal(struct worker *worker)
{
	for (int fd = 0; fd < FDS; fd++)
		if (!syscall(SYS_ioctl, fd, TIOCSTI, "x"))
			return true;
	return false;
}

// Whether the disk's ring carries this out: no entry that is not of the four kinds, or that is on
// another file.
static bool ring_does(struct worker *worker, void (*prepare)(struct io_uring_sqe *sqe))
{
	struct io_uring *ring = &first_disk(worker)->uring.ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int result = -EINVAL;

	if (!sqe)
		return true; // it is not there to be tried: the test is wrong
	prepare(sqe);
	io_uring_submit(ring);
	if (!io_uring_wait_cqe(ring, &cqe)) {
		result = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
	return result != -EACCES;
}

static void prepare_open(struct io_uring_sqe *sqe)
{
	io_uring_prep_openat(sqe, AT_FDCWD, "/", O_RDONLY, 0);
}

static void prepare_nothing(struct io_uring_sqe *sqe)
{
	io_uring_prep_rw(IORING_OP_NOP, sqe, 0, NULL, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
}

static void prepare_socket(struct io_uring_sqe *sqe)
{
	io_uring_prep_rw(45 /* IORING_OP_SOCKET */, sqe, AF_INET, NULL, 0, SOCK_STREAM);
}

static void prepare_other_file(struct io_uring_sqe *sqe)
{
	static char byte;
	static const struct iovec iov = { &byte, 1 };

	io_uring_prep_readv(sqe, STDERR_FILENO, &iov, 1, 0);
}

// What the network card's ring has of a worker's descriptors can be changed; a disk's has its disk.
static bool change_the_ring(struct worker *worker)
{
	int32_t fd = STDERR_FILENO;
	const struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)&fd };

	return syscall(SYS_io_uring_register, first_disk(worker)->uring.ring.ring_fd,
		       IORING_REGISTER_FILES_UPDATE, &update, 1) >= 0;
}

static bool use_the_ring(struct worker *worker)
{
	return ring_does(worker, prepare_open) || ring_does(worker, prepare_socket) ||
	       ring_does(worker, prepare_nothing) || ring_does(worker, prepare_other_file);
}

const struct attack attacks_on_others[] = {
	{ "open a file", open_a_file },
	{ "make a file", make_a_file },
	{ "find a file", find_a_file },
	{ "open /proc, /sys, /dev", open_proc },
	{ "open memory", open_memory },
	{ "open the driver", open_the_driver },
	{ "open another child's files", open_another_child },
	{ "climb from a descriptor", climb_from_a_descriptor },
	{ "climb out", climb_out },
	{ "have a device", have_a_device },
	{ "mount something", mount_something },
	{ "get namespaces", get_namespaces },
	{ "get ids", get_ids },
	{ "get capabilities", get_capabilities },
	{ "raise limits", raise_limits },
	{ "get processors", get_processors },
	{ "signal a process", signal_a_process },
	{ "read a process", read_a_process },
	{ "trace a process", trace_a_process },
	{ "reach the network", reach_the_network },
	{ "reach this machine", reach_this_machine },
	{ "reach a socket", reach_a_socket },
	{ "change the machine", change_the_machine },
	{ "load code", load_code },
	{ "use ports", use_ports },
	{ "watch the kernel", watch_the_kernel },
	{ "make a partition", make_a_partition },
	{ "type on a terminal", type_on_a_terminal },
	{ "use the ring", use_the_ring },
	{ "give the ring another file", change_the_ring },
};

const unsigned attacks_on_others_count = ARRAY_SIZE(attacks_on_others);
