// SPDX-License-Identifier: BSD-2-Clause
// Arguments that an ioctl has to refuse: zero, huge, odd, overlapping, wrapped, of somebody else.
// Each is a row; none may change anything.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hypercall/call.h"
#include "hypercall/partition.h"
#include "hypercall/registers.h"
#include "hypercall/table.h"
#include "parent/driver/check/check.h"
#include "parent/driver/mshv_uapi.h"

#define KERNEL 0xffff888000000000 // an address of the kernel's
#define TOP    0xfffffffffffff000
#define PAGES  (CHILD_MEMORY / 4096)
#define UNMAP  (1 << MSHV_SET_MEM_BIT_UNMAP)

static uint8_t memory[2 * 4096] __attribute__((aligned(4096)));
static const uint8_t constants[4096] __attribute__((aligned(4096))) = { 1 };
#define MEMORY ((uintptr_t)memory)

// On which descriptor: /dev/mshv, a child and its VP, a partition that is not initialized.
enum { DEVICE, CHILD, VP, RAW };

#define ARGUMENT(type, ...)                                                                        \
	&(const struct type)                                                                       \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define CREATE(...) MSHV_CREATE_PARTITION, ARGUMENT(mshv_create_partition_v2, __VA_ARGS__)
#define CREATE_V2(...)                                                                             \
	MSHV_CREATE_PARTITION,                                                                     \
		ARGUMENT(mshv_create_partition_v2,                                                 \
			.pt_flags = 1 << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES, __VA_ARGS__)
#define CREATE_VP(index) MSHV_CREATE_VP, ARGUMENT(mshv_create_vp, index)
#define REGION(...)	 MSHV_SET_GUEST_MEMORY, ARGUMENT(mshv_user_mem_region, __VA_ARGS__)
#define REGION_AT(pfn, bytes, address, bits)                                                       \
	REGION(.size = (bytes), .guest_pfn = (pfn), .userspace_addr = (address), .flags = (bits))
#define HVCALL(...) MSHV_ROOT_HVCALL, ARGUMENT(mshv_root_hvcall, __VA_ARGS__)
#define GET(...)    HVCALL(.code = HvCallGetPartitionProperty, __VA_ARGS__)
#define MESSAGE(id, bits)                                                                          \
	LUMEN_MSHV_CREATE_MESSAGE_PORT, ARGUMENT(lumen_mshv_message_port, id, bits)
#define EVENT(id, ...)                                                                             \
	LUMEN_MSHV_SIGNAL_EVENTFD,                                                                 \
		ARGUMENT(lumen_mshv_signal_eventfd, .connection_id = (id), __VA_ARGS__)
#define STATS(type, index, ...)                                                                    \
	LUMEN_MSHV_READ_STATS, ARGUMENT(lumen_mshv_read_stats, .object_type = (type),              \
				       .vp_index = (index), __VA_ARGS__)
#define RUN(...) LUMEN_MSHV_RUN_VP, ARGUMENT(lumen_mshv_run_vp, __VA_ARGS__)

static const struct {
	int on;
	unsigned long request;
	const void *argument;
	int error;
} rows[] = {
	{ DEVICE, MSHV_INITIALIZE_PARTITION, NULL, ENOTTY },
	{ DEVICE, MSHV_SET_GUEST_MEMORY, NULL, ENOTTY },
	{ DEVICE, ~0ul, NULL, ENOTTY },
	{ DEVICE, MSHV_CREATE_PARTITION, NULL, EFAULT },
	{ DEVICE, MSHV_CREATE_PARTITION, (void *)KERNEL, EFAULT },
	{ DEVICE, CREATE(.pt_flags = 1 << MSHV_PT_BIT_COUNT), EINVAL },
	{ DEVICE, CREATE(.pt_flags = ~0ull), EINVAL },
	{ DEVICE, CREATE(.pt_flags = 1 << MSHV_PT_BIT_NESTED_VIRTUALIZATION), EOPNOTSUPP },
	{ DEVICE, CREATE(.pt_isolation = 1), EINVAL },
	{ DEVICE, CREATE_V2(.pt_num_cpu_fbanks = 3), EINVAL },
	{ DEVICE, CREATE_V2(.pt_num_cpu_fbanks = 0xffff), EINVAL },
	{ DEVICE, CREATE_V2(.pt_rsvd[5] = 1), EINVAL },
	{ DEVICE, CREATE_V2(.pt_rsvd1[1] = 1), EINVAL },

	{ CHILD, CREATE(0), ENOTTY },
	{ CHILD, ~0ul, NULL, ENOTTY },
	{ CHILD, MSHV_INITIALIZE_PARTITION, NULL, EINVAL },
	{ CHILD, MSHV_CREATE_VP, NULL, EFAULT },
	{ CHILD, CREATE_VP(0), EEXIST },
	{ CHILD, CREATE_VP(64), EINVAL },
	{ CHILD, CREATE_VP(~0u), EINVAL },
	{ RAW, CREATE_VP(0), EINVAL },

	{ CHILD, MSHV_SET_GUEST_MEMORY, NULL, EFAULT },
	{ CHILD, MSHV_SET_GUEST_MEMORY, (void *)KERNEL, EFAULT },
	{ CHILD, REGION_AT(PAGES, 0, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 1, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 4097, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 4096, MEMORY + 8, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 8192, TOP, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, TOP, 4096, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, TOP, 0, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 1ull << 63, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 1ull << 40, 1ull << 45, 0), ENOMEM }, // 1 TiB
	{ CHILD, REGION_AT(PAGES, 1ull << 45, 1ull << 45, 0), ENOMEM },
	{ CHILD, REGION_AT(PAGES, 4096, 4096, 0), EFAULT }, // nothing is mapped there
	{ CHILD, REGION_AT(PAGES, 4096, KERNEL, 0), EFAULT },
	{ CHILD, REGION_AT(PAGES, 4096, (uintptr_t)constants, 0), EFAULT },
	{ CHILD, REGION_AT(1ull << 40, 4096, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT((1ull << 40) - 1, 8192, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(~0ull, 4096, MEMORY, 0), EINVAL },
	{ CHILD, REGION_AT(PAGES, 4096, MEMORY, 8), EINVAL },
	{ CHILD, REGION_AT(PAGES, 4096, MEMORY, 0xff), EINVAL },
	{ CHILD, REGION(.size = 4096, .guest_pfn = PAGES, .userspace_addr = MEMORY, .rsvd[6] = 1),
		EINVAL },
	{ CHILD, REGION_AT(0, 4096, MEMORY, 0), EEXIST },
	{ CHILD, REGION_AT(PAGES - 1, 8192, MEMORY, 0), EEXIST },
	{ CHILD, REGION_AT(PAGES - 1, 4096, MEMORY, UNMAP), EINVAL },
	{ CHILD, REGION_AT(0, 4096, MEMORY, UNMAP), EINVAL },
	{ CHILD, REGION_AT(PAGES, 4096, MEMORY, UNMAP), EINVAL },
	{ CHILD, REGION_AT(0, CHILD_MEMORY, MEMORY, UNMAP), EINVAL },
	{ RAW, REGION_AT(0, 4096, MEMORY, 0), EINVAL },

	{ CHILD, MSHV_ROOT_HVCALL, NULL, EFAULT },
	{ CHILD, GET(.in_ptr = 0, .in_sz = 16, .out_ptr = MEMORY, .out_sz = 8), EFAULT },
	{ CHILD, GET(.in_ptr = KERNEL, .in_sz = 16, .out_ptr = MEMORY, .out_sz = 8), EFAULT },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 0, .out_ptr = MEMORY, .out_sz = 8), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 7, .out_ptr = MEMORY, .out_sz = 8), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 4097, .out_ptr = MEMORY, .out_sz = 8), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .out_ptr = MEMORY, .out_sz = 4097), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .out_ptr = MEMORY, .out_sz = 0xffff), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .out_ptr = MEMORY, .out_sz = 0), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .out_ptr = 0, .out_sz = 8), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .status = 1), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .rsvd[5] = 1), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .reps = 1), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .reps = 4096), EINVAL },
	{ CHILD, GET(.in_ptr = MEMORY, .in_sz = 16, .reps = 0xffff), EINVAL },
	{ CHILD, HVCALL(.code = HvCallDeletePartition, .in_ptr = MEMORY, .in_sz = 8), EINVAL },
	{ CHILD, HVCALL(.code = HvCallDepositMemory, .in_ptr = MEMORY, .in_sz = 8), EINVAL },
	{ CHILD, HVCALL(.code = 0, .in_ptr = MEMORY, .in_sz = 8), EINVAL },
	{ CHILD, HVCALL(.code = 0xffff, .in_ptr = MEMORY, .in_sz = 8), EINVAL },
	{ CHILD, HVCALL(.code = HvCallGetVpRegisters, .in_ptr = MEMORY, .in_sz = 16), EINVAL },
	{ VP, GET(.in_ptr = MEMORY, .in_sz = 7), EINVAL },

	{ CHILD, LUMEN_MSHV_CREATE_MESSAGE_PORT, NULL, EFAULT },
	{ CHILD, MESSAGE(1 << 24, 0), EINVAL },
	{ CHILD, MESSAGE(~0u, 0), EINVAL },
	{ CHILD, MESSAGE(1, 2), EINVAL },
	{ CHILD, MESSAGE(1, LUMEN_MSHV_PORT_DEASSIGN), ENOENT },
	{ RAW, MESSAGE(1, 0), EINVAL },
	{ RAW, MESSAGE(1, LUMEN_MSHV_PORT_DEASSIGN), ENOENT },

	{ CHILD, LUMEN_MSHV_SIGNAL_EVENTFD, NULL, EFAULT },
	{ CHILD, EVENT(1 << 24, .flag_count = 1), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 0), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 2049), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 0xffff), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 2048), ENOSPC },
	{ CHILD, EVENT(1, .flag_count = LUMEN_MSHV_EVENT_FLAGS_MAX + 1), ENOSPC },
	{ CHILD, EVENT(1, .flag_count = 1, .rsvd = 1), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 1, .flags = 2), EINVAL },
	{ CHILD, EVENT(1, .flag_count = 1, .fd = -1), EBADF },
	{ CHILD, EVENT(1, .flag_count = 1, .fd = 0), EINVAL }, // no eventfd
	{ CHILD, EVENT(1, .flags = LUMEN_MSHV_PORT_DEASSIGN), ENOENT },
	{ RAW, EVENT(1, .flag_count = 1, .fd = 0), EINVAL },

	{ CHILD, LUMEN_MSHV_READ_STATS, NULL, EFAULT },
	{ CHILD, STATS(0, 0, .buf_ptr = MEMORY, .buf_sz = 8), EINVAL },
	{ CHILD, STATS(~0u, 0, .buf_ptr = MEMORY, .buf_sz = 8), EINVAL },
	{ CHILD, STATS(LUMEN_MSHV_STATS_PARTITION, 1, .buf_ptr = MEMORY, .buf_sz = 8), EINVAL },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 1, .buf_ptr = MEMORY, .buf_sz = 8), ENOENT },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 64, .buf_ptr = MEMORY, .buf_sz = 8), ENOENT },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, ~0u, .buf_ptr = MEMORY, .buf_sz = 8), ENOENT },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 0, .buf_ptr = MEMORY, .buf_sz = 4097), EINVAL },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 0, .buf_ptr = MEMORY, .buf_sz = ~0u), EINVAL },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 0, .buf_ptr = MEMORY, .buf_sz = 8, .rsvd = 1), EINVAL },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 0, .buf_ptr = 0, .buf_sz = 8), EFAULT },
	{ CHILD, STATS(LUMEN_MSHV_STATS_VP, 0, .buf_ptr = KERNEL, .buf_sz = 8), EFAULT },
	{ RAW, STATS(LUMEN_MSHV_STATS_PARTITION, 0, .buf_ptr = MEMORY, .buf_sz = 8), EINVAL },

	{ CHILD, LUMEN_MSHV_GET_PARTITION_ID, NULL, EFAULT },
	{ CHILD, LUMEN_MSHV_GET_PARTITION_ID, (void *)KERNEL, EFAULT },
	{ CHILD, LUMEN_MSHV_GET_MESSAGE, NULL, EAGAIN },

	{ VP, MSHV_INITIALIZE_PARTITION, NULL, ENOTTY },
	{ VP, REGION_AT(PAGES, 4096, MEMORY, 0), ENOTTY },
	{ VP, LUMEN_MSHV_RUN_VP, NULL, EFAULT },
	{ VP, LUMEN_MSHV_RUN_VP, (void *)KERNEL, EFAULT },
	{ VP, RUN(.register_count = LUMEN_MSHV_RUN_REGISTERS + 1), EINVAL },
	{ VP, RUN(.register_count = ~0u), EINVAL },
	{ VP, RUN(.rsvd = 1), EINVAL },
};

// The driver writes to some arguments: each row gets a copy.
static bool refused(const int *fds, size_t i)
{
	static union {
		struct mshv_create_partition_v2 create;
		struct mshv_root_hvcall hvcall;
		struct lumen_mshv_run_vp run;
	} copy;
	void *argument = (void *)rows[i].argument;
	size_t size = _IOC_SIZE(rows[i].request);
	int ret;

	if (rows[i].request == MSHV_CREATE_PARTITION)
		size = sizeof(copy.create);
	if (argument && (uintptr_t)argument != KERNEL)
		argument = memcpy(&copy, argument, size);
	errno = 0;
	ret = ioctl(fds[rows[i].on], rows[i].request, argument);
	if (ret == -1 && errno == rows[i].error)
		return true;
	fprintf(stderr, "  row %zu (ioctl 0x%lx): %d, errno %d, not %d\n", i, rows[i].request, ret,
		errno, rows[i].error);
	return false;
}

bool arguments_refused(const struct child *child)
{
	struct mshv_create_partition none = { 0 };
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	int raw = ioctl(device, MSHV_CREATE_PARTITION, &none);
	const int fds[] = {
		[DEVICE] = device, [CHILD] = child->partition, [VP] = child->vp, [RAW] = raw
	};
	bool ok = raw >= 0 && !fcntl(child->partition, F_SETFL, O_NONBLOCK);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok = refused(fds, i) && ok;
	fcntl(child->partition, F_SETFL, 0);
	close(raw);
	close(device);
	return ok;
}
