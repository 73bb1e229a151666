// SPDX-License-Identifier: BSD-2-Clause
// See sandbox.h: ids, capabilities, namespaces and limits.
#include "parent/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parent/worker/devices/socket.h"
#include "parent/worker/log.h"
#include "parent/worker/supervisor.h"

enum {
	ID_BASE = 0x4c550000, // "LU": no id that anybody hands out
	SLOTS = 0xffff,
	DESCRIPTORS = 512 + 2 * SOCKETS_MAX,
	THREADS = 192,	     // beside the VPs': devices', and the kernel's own for io_uring
	LOG_SIZE = 16 << 20, // bytes, of a log
};

#define MEMORY_SLACK ((uint64_t)64 << 20) // pinned beside the child's memory: rings
#define DATA_SLACK   ((uint64_t)2 << 30)  // the worker's own: 64 stacks of 8 MiB, and its heap

static bool fail(struct failure *failure, const char *what)
{
	return failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The worker cannot be confined: %s: %s.",
		what, strerror(errno));
}

// The first byte of the file that nobody has locked.
static int take_slot(int fd)
{
	for (int slot = 1; slot <= SLOTS; slot++) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1
		};

		if (!fcntl(fd, F_OFD_SETLK, &lock))
			return slot;
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	return -1;
}

bool sandbox_prepare(struct sandbox *sandbox, const char *slots, struct failure *failure)
{
	int slot;

	sandbox->slot_fd = open(slots, O_RDWR | O_CLOEXEC);
	if (sandbox->slot_fd < 0)
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"%s cannot be opened: %s. Is this the root partition of Lumen?", slots,
			strerror(errno));
	slot = take_slot(sandbox->slot_fd);
	if (slot < 0)
		return fail(failure, "no user id of its own");
	sandbox->id = ID_BASE + (uid_t)slot;
	return !unshare(CLONE_NEWPID) || fail(failure, "PID namespace");
}

static bool limit(int resource, uint64_t value)
{
	const struct rlimit limit = { value, value };

	return !setrlimit(resource, &limit);
}

void sandbox_begin(struct sandbox *sandbox, uint64_t memory)
{
	close(sandbox->slot_fd);
	sandbox->slot_fd = -1;
	// The driver counts the child's memory as locked by this process. To raise the limit takes
	// rights that it has only now; if it has none, mapping says ENOMEM.
	if (!limit(RLIMIT_MEMLOCK, memory + MEMORY_SLACK))
		log_line("the limit of locked memory stays as it is: %s", strerror(errno));
}

static bool limit_all(const struct sandbox_needs *needs)
{
	uint64_t size = needs->file_size > LOG_SIZE ? needs->file_size : LOG_SIZE;

	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, DESCRIPTORS) &&
	       limit(RLIMIT_NPROC, needs->vps + THREADS) && limit(RLIMIT_FSIZE, size) &&
	       limit(RLIMIT_DATA, needs->memory + DATA_SLACK) && limit(RLIMIT_MSGQUEUE, 0) &&
	       limit(RLIMIT_RTPRIO, 0) && limit(RLIMIT_NICE, 0);
}

// The place of /proc is there, and serves for the new root. pivot_root() leaves the old one on top
// of that. The root of an initramfs cannot be moved away: then the new one goes on top of it, and
// chroot() holds, for want of the right to call it again.
static bool enter_new_root(void)
{
	if (!syscall(SYS_pivot_root, ".", "."))
		return !umount2(".", MNT_DETACH);
	return errno == EINVAL && !mount(".", "/", NULL, MS_MOVE, NULL) && !chroot(".");
}

// No root directory but an empty one that cannot be written, and no network.
static bool leave_the_world(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	return !unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) &&
	       !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=1,mode=555") &&
	       !chdir("/proc") && enter_new_root() && !chdir("/") &&
	       !mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | flags, "mode=555");
}

// Every capability that this kernel knows, also for programs that could be executed.
static bool drop_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability))
			return false;
	return true;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return !prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) &&
	       !syscall(SYS_capset, &header, none);
}

static bool drop_rights(uid_t id)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	return !prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) && drop_bounding_set() &&
	       !setgroups(0, NULL) && !setresgid(id, id, id) && !setresuid(id, id, id) &&
	       drop_capabilities() && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// Rights and namespaces are a thread's own: one that is there already would keep what it has.
static bool is_alone(void)
{
	struct stat tasks;

	errno = EBUSY;
	return !stat("/proc/self/task", &tasks) && tasks.st_nlink == 2 + 1;
}

static void *do_nothing(void *context)
{
	return context;
}

// With its first thread the C library sets itself up for threads, by calls that are not on the
// list.
static bool prepare_threads(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, do_nothing, NULL);
	return !errno && !pthread_join(thread, NULL);
}

bool sandbox_enter(
	const struct sandbox *sandbox, const struct sandbox_needs *needs, struct failure *failure)
{
	if (!is_alone() || !prepare_threads())
		return fail(failure, "threads");
	if (!limit_all(needs))
		return fail(failure, "limits");
	if (!leave_the_world())
		return fail(failure, "namespaces");
	if (!drop_rights(sandbox->id))
		return fail(failure, "rights");
	supervisor_hold(needs->message_fd);
	sandbox_report_faults(needs->message_fd);
	return sandbox_forbid_calls() || fail(failure, "system calls");
}
