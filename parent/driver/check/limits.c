// SPDX-License-Identifier: BSD-2-Clause
// What a partition's descriptor reaches, and how much of what there is for all it may have.
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypercall/partition.h"
#include "hypercall/registers.h"
#include "hypercall/table.h"
#include "parent/driver/check/check.h"
#include "parent/driver/mshv_uapi.h"

// Which partition a call is for says the descriptor, not the input: here the input says the root.
bool check_partition_id(struct child *child)
{
	struct hv_input_get_partition_property get = { 1, HvPartitionPropertyCpuWeight, 0 };
	struct hv_input_set_partition_property set = { 1, HvPartitionPropertyCpuWeight, 0, 321 };
	struct child other;
	uint64_t weight = 0;

	EXPECT(child_create(&other));
	EXPECT(!child_hvcall(
		child->partition, HvCallSetPartitionProperty, 0, &set, sizeof(set), NULL, 0));
	EXPECT(!child_hvcall(child->partition, HvCallGetPartitionProperty, 0, &get, sizeof(get),
		&weight, sizeof(weight)));
	EXPECT(weight == 321);
	EXPECT(!child_hvcall(other.partition, HvCallGetPartitionProperty, 0, &get, sizeof(get),
		&weight, sizeof(weight)));
	EXPECT(weight == 100);
	child_destroy(&other);
	return true;
}

static bool read_physical(void *to, size_t size)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	ssize_t got = pread(fd, to, size, 0);

	close(fd);
	return got == (ssize_t)size;
}

// The output of a call that is said to have none goes nowhere, least of all to physical address 0.
bool check_no_output(struct child *child)
{
	struct {
		struct hv_input_get_vp_registers header;
		uint32_t names[64];
	} input = { 0 };
	static uint8_t before[4096], after[4096];

	for (size_t i = 0; i < ARRAY_SIZE(input.names); i++)
		input.names[i] = HvX64RegisterRip;
	EXPECT(child_set_code(child, input.names, sizeof(input.names)));
	EXPECT(read_physical(before, sizeof(before)));
	child_hvcall(child->vp, HvCallGetVpRegisters, ARRAY_SIZE(input.names), &input,
		sizeof(input), NULL, 0);
	EXPECT(read_physical(after, sizeof(after)));
	EXPECT(!memcmp(before, after, sizeof(before)));
	return true;
}

static int add_event(struct child *child, uint32_t connection, uint16_t flags, int fd)
{
	struct lumen_mshv_signal_eventfd args = {
		.connection_id = connection, .flag_count = flags, .fd = fd
	};

	return ioctl(child->partition, LUMEN_MSHV_SIGNAL_EVENTFD, &args);
}

// One partition takes all that it may have of what there is for all; another one gets some too.
bool check_quotas(struct child *child)
{
	struct lumen_mshv_message_port port = { .connection_id = 1 };
	uint32_t half = LUMEN_MSHV_EVENT_FLAGS_MAX / 2;
	struct child other;
	int fd = eventfd(0, EFD_NONBLOCK);

	EXPECT(fd >= 0 && child_create(&other));
	EXPECT(!add_event(child, 1u << 16, (uint16_t)half, fd));
	for (uint32_t i = 1; i <= half; i++)
		EXPECT(!add_event(child, 1u << 16 | i, 1, fd));
	EXPECT(fails_with(add_event(child, 1u << 17, 1, fd), ENOSPC));
	EXPECT(!add_event(&other, 1u << 17, (uint16_t)(2 * half), fd));
	for (; port.connection_id <= LUMEN_MSHV_PORTS_MAX - half - 1; port.connection_id++)
		EXPECT(!ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port), ENOSPC));
	EXPECT(!ioctl(other.partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	child_destroy(&other);
	close(fd);
	return true;
}

// Without CAP_IPC_LOCK, memory counts against RLIMIT_MEMLOCK while it is mapped.
static bool check_memlock_unprivileged(void)
{
	struct rlimit limit = { CHILD_MEMORY - 1, CHILD_MEMORY };
	struct child child;

	EXPECT(!syscall(SYS_capset,
		&(struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 },
		(struct __user_cap_data_struct[2]){ { 0 } }));
	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT(!child_create(&child) && errno == ENOMEM);
	limit.rlim_cur = limit.rlim_max;
	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT(child_map(&child, true));
	EXPECT(!child_map(&child, true) && errno == EEXIST);
	EXPECT(child_map(&child, false) && child_map(&child, true));
	child_destroy(&child);
	EXPECT(child_create(&child));
	child_destroy(&child);
	return true;
}

bool check_memlock(struct child *unused)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(check_memlock_unprivileged() ? 0 : 1);
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(!status);
	return true;
}
