// SPDX-License-Identifier: BSD-2-Clause
// Who pays: what a child takes of the kernel's memory is charged to the cgroup of the process that
// has made it, and ends where that may have no more.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/driver/check/check.h"
#include "parent/driver/mshv_uapi.h"

#define CGROUPS "/tmp/mshv-check-cgroups"
#define GROUP	CGROUPS "/child"
// Beyond what the process has when its child is made: for its own pages. The VPs need far more.
#define ROOM (256l << 10)
// The kernel charges by 64 pages for each processor, and knows by itself which of them are used.
#define STOCK (2 * 64 * 4096l)
enum { SOME = 32, VPS = 64 };

static bool put_to(int fd, const char *text)
{
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = put_to(fd, text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static long charged(void)
{
	char text[32] = "";
	int fd = open(GROUP "/memory.current", O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	close(fd);
	return length > 0 ? strtol(text, NULL, 10) : -1;
}

// VPs from index FIRST on, as long as it goes well. Returns the first index that is not there.
static uint32_t add_vps(struct child *child, uint32_t first, uint32_t end)
{
	struct mshv_create_vp vp = { .vp_index = first };

	while (vp.vp_index < end && ioctl(child->partition, MSHV_CREATE_VP, &vp) >= 0)
		vp.vp_index++;
	return vp.vp_index;
}

// In the group. At its limit the kernel would rather end the process than refuse what it needs
// itself; what is to be seen is the driver's answer. So all that the process needs of the kernel is
// there before: a page that it copies, or a file that it opens, would find no room then.
static bool check_charge(void)
{
	struct child child;
	long before, least;
	uint32_t reached;
	char limit[32];
	int max;

	EXPECT(put(GROUP "/cgroup.procs", "0") && put("/proc/self/oom_score_adj", "-1000"));
	max = open(GROUP "/memory.max", O_WRONLY | O_CLOEXEC);
	EXPECT(!mlockall(MCL_CURRENT | MCL_FUTURE));
	before = charged();
	EXPECT(before >= 0 && child_create(&child));
	EXPECT(add_vps(&child, 1, SOME) == SOME);
	least = (counter("deposited_pages") - counter("own_deposited_pages")) * 4096;
	EXPECT(least >= 2 * STOCK && charged() - before >= CHILD_MEMORY + least - STOCK);
	snprintf(limit, sizeof(limit), "%ld", charged() + ROOM);
	EXPECT(put_to(max, limit));
	reached = add_vps(&child, SOME, VPS);
	EXPECT(reached < VPS && errno == ENOMEM);
	EXPECT(put_to(max, "max"));
	EXPECT(add_vps(&child, reached, VPS) == VPS);
	return true;
}

bool check_cgroup(struct child *unused)
{
	int status;
	pid_t pid;

	EXPECT(!mkdir(CGROUPS, 0700) && !mount("none", CGROUPS, "cgroup2", 0, NULL));
	EXPECT(put(CGROUPS "/cgroup.subtree_control", "+memory") && !mkdir(GROUP, 0700));
	pid = fork();
	if (!pid)
		_exit(check_charge() ? 0 : 1);
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(!status);
	EXPECT(!rmdir(GROUP) && !umount(CGROUPS) && !rmdir(CGROUPS));
	return true;
}
