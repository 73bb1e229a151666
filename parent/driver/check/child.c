// SPDX-License-Identifier: BSD-2-Clause
// A tiny child for the checks of /dev/mshv.
#include "parent/driver/check/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "hypercall/intercept.h"
#include "hypercall/registers.h"
#include "hypercall/table.h"
#include "parent/driver/mshv_uapi.h"

#define LARGE_PAGE ((uintptr_t)HV_LARGE_PAGE_SIZE)

int child_hvcall(
	int fd, uint16_t code, uint16_t reps, void *in, size_t in_size, void *out, size_t out_size)
{
	struct mshv_root_hvcall call = {
		.code = code,
		.reps = reps,
		.in_sz = (uint16_t)in_size,
		.out_sz = (uint16_t)out_size,
		.status = 0,
		.in_ptr = (uintptr_t)in,
		.out_ptr = (uintptr_t)out,
	};

	if (!ioctl(fd, MSHV_ROOT_HVCALL, &call))
		return 0;
	return call.status ? call.status : -1;
}

static bool step(bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return ok;
}

static bool create_partition(struct child *child)
{
	struct mshv_create_partition args = {
		.pt_flags = 1 << MSHV_PT_BIT_LAPIC | 1 << MSHV_PT_BIT_X2APIC |
			    1 << MSHV_PT_BIT_GPA_SUPER_PAGES,
	};
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC);

	if (!step(device >= 0, "/dev/mshv"))
		return false;
	child->partition = ioctl(device, MSHV_CREATE_PARTITION, &args);
	close(device);
	return step(child->partition >= 0, "MSHV_CREATE_PARTITION");
}

bool child_map(struct child *child, bool map)
{
	struct mshv_user_mem_region region = {
		.size = CHILD_MEMORY,
		.userspace_addr = (uintptr_t)child->memory,
		.flags = map ? 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE
			     : 1 << MSHV_SET_MEM_BIT_UNMAP,
	};

	return step(
		!ioctl(child->partition, MSHV_SET_GUEST_MEMORY, &region), "MSHV_SET_GUEST_MEMORY");
}

static bool make_memory(struct child *child)
{
	void *reserved = mmap(NULL, CHILD_MEMORY + LARGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!step(reserved != MAP_FAILED, "mmap"))
		return false;
	child->reserved = reserved;
	child->memory = (void *)(((uintptr_t)reserved + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1));
	madvise(child->memory, CHILD_MEMORY, MADV_HUGEPAGE);
	return child_map(child, true);
}

// So that the OUT at the end of each piece of code comes back.
static bool install_intercept(struct child *child)
{
	struct hv_input_install_intercept input = {
		.access_type = HV_INTERCEPT_ACCESS_MASK_WRITE,
		.intercept_type = HvInterceptTypeX64IoPort,
		.intercept_parameter.io_port = CHILD_PORT,
	};

	return step(!child_hvcall(child->partition, HvCallInstallIntercept, 0, &input,
			    sizeof(input), NULL, 0),
		"HvCallInstallIntercept");
}

bool child_create(struct child *child)
{
	struct mshv_create_vp vp = { .vp_index = 0 };

	*child = (struct child){ .partition = -1, .vp = -1 };
	if (!create_partition(child) || !step(!ioctl(child->partition, MSHV_INITIALIZE_PARTITION),
						"MSHV_INITIALIZE_PARTITION"))
		return false;
	child->vp = ioctl(child->partition, MSHV_CREATE_VP, &vp);
	return step(child->vp >= 0, "MSHV_CREATE_VP") && make_memory(child) &&
	       install_intercept(child);
}

void child_destroy(struct child *child)
{
	if (child->vp >= 0)
		close(child->vp);
	if (child->partition >= 0)
		close(child->partition);
	if (child->reserved)
		munmap(child->reserved, CHILD_MEMORY + LARGE_PAGE);
	*child = (struct child){ .partition = -1, .vp = -1 };
}

#define FLAT(type)                                                                                 \
	{                                                                                          \
		.base = 0, .limit = 0xffffffff, .selector = 8, .attributes = 0xc090 | (type)       \
	}

bool child_set_code(struct child *child, const void *code, size_t size)
{
	struct {
		struct hv_input_set_vp_registers header;
		struct hv_register_assoc list[7];
	} input = {
		.list = {
			{ .name = HvX64RegisterCr0, .value.reg64 = 0x11 }, // PE, ET
			{ .name = HvX64RegisterCs, .value.segment = FLAT(0xb) },
			{ .name = HvX64RegisterDs, .value.segment = FLAT(0x3) },
			{ .name = HvX64RegisterEs, .value.segment = FLAT(0x3) },
			{ .name = HvX64RegisterSs, .value.segment = FLAT(0x3) },
			{ .name = HvX64RegisterRflags, .value.reg64 = 2 },
			{ .name = HvX64RegisterRip, .value.reg64 = CHILD_CODE },
		},
	};
	int status;

	memcpy(child->memory + CHILD_CODE, code, size);
	status = child_hvcall(child->vp, HvCallSetVpRegisters, ARRAY_SIZE(input.list), &input,
		sizeof(input), NULL, 0);
	if (status)
		fprintf(stderr, "HvCallSetVpRegisters: status 0x%x\n", status);
	return !status;
}

int child_run(struct child *child, struct hv_message *message)
{
	struct mshv_run_vp run;
	int ret = ioctl(child->vp, MSHV_RUN_VP, &run);

	if (!ret)
		memcpy(message, run.msg_buf, sizeof(*message));
	return ret;
}

bool child_run_to_out(struct child *child, uint32_t *eax)
{
	const struct hv_x64_io_port_intercept_message *io;
	struct hv_message message;

	if (!step(!child_run(child, &message), "MSHV_RUN_VP"))
		return false;
	io = (const void *)message.payload;
	if (message.header.message_type != HvMessageTypeX64IoPortIntercept ||
		io->port_number != CHILD_PORT || io->header.vp_index != 0) {
		fprintf(stderr, "message 0x%x, port 0x%x\n", message.header.message_type,
			io->port_number);
		return false;
	}
	*eax = (uint32_t)io->rax;
	return true;
}
