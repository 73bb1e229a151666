// SPDX-License-Identifier: BSD-2-Clause
// User space gives an address where nothing can be written: what it was to get is there the next
// time.
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypercall/registers.h"
#include "hypercall/table.h"
#include "parent/driver/check/check.h"
#include "parent/driver/mshv_uapi.h"

enum { PAGE = 4096 };

// Two pages, of which the first can only be read.
static uint8_t *half_writable(void)
{
	uint8_t *pages =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED || mprotect(pages, PAGE, PROT_READ) ? NULL : pages;
}

// In the order in which they were posted, none left out.
bool check_message_faults(struct child *child)
{
	struct lumen_mshv_message_port port = { .connection_id = CHECK_CONNECTION };
	struct pollfd poll_message = { .fd = child->partition, .events = POLLIN };
	struct lumen_mshv_get_message got;
	uint8_t *pages = half_writable();

	EXPECT(pages && !ioctl(child->partition, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
	for (uint32_t i = 1; i <= 3; i++)
		EXPECT(post(child, i));
	EXPECT(!fcntl(child->partition, F_SETFL, O_NONBLOCK));
	for (uint32_t i = 1; i <= 3; i++) {
		EXPECT(poll(&poll_message, 1, 5000) == 1);
		EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, NULL), EFAULT));
		EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, pages), EFAULT));
		EXPECT(fails_with(ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE,
					  pages + PAGE - sizeof(got) / 2),
			EFAULT));
		EXPECT(!ioctl(child->partition, LUMEN_MSHV_GET_MESSAGE, &got));
		EXPECT(((struct hv_message *)got.msg_buf)->header.message_type == i);
	}
	munmap(pages, 2 * PAGE);
	return true;
}

static bool set_rax(struct child *child, uint64_t value)
{
	struct {
		struct hv_input_set_vp_registers header;
		struct hv_register_assoc rax;
	} input = { .rax = { .name = HvX64RegisterRax, .value.reg64 = value } };

	return !child_hvcall(child->vp, HvCallSetVpRegisters, 1, &input, sizeof(input), NULL, 0);
}

// An intercept that was not handed out says what EAX was then, not what it has become.
static bool intercept_kept(struct child *child, unsigned long request, void *argument)
{
	uint32_t eax;

	EXPECT(set_rax(child, 0x1111));
	EXPECT(fails_with(ioctl(child->vp, request, argument), EFAULT));
	EXPECT(set_rax(child, 0x2222));
	EXPECT(child_run_to_out(child, &eax));
	EXPECT(eax == 0x1111);
	return true;
}

bool check_intercept_faults(struct child *child)
{
	// out %al,$0x80: done again each time that the VP is resumed
	static const uint8_t code_out[] = { 0xe6, CHILD_PORT };
	uint8_t *pages = half_writable();
	struct lumen_mshv_run_vp *run;

	EXPECT(pages && child_set_code(child, code_out, sizeof(code_out)));
	EXPECT(intercept_kept(child, MSHV_RUN_VP, NULL));
	EXPECT(intercept_kept(child, MSHV_RUN_VP, pages + PAGE - MSHV_RUN_VP_BUF_SZ / 2));
	EXPECT(intercept_kept(child, LUMEN_MSHV_RUN_VP, pages));
	// The registers are set and the message could be written, but not that they are set.
	run = (void *)(pages + PAGE - offsetof(struct lumen_mshv_run_vp, msg_buf));
	EXPECT(!mprotect(pages, PAGE, PROT_READ | PROT_WRITE));
	*run = (struct lumen_mshv_run_vp){ .register_count = 1 };
	*(struct hv_register_assoc *)run->registers[0] =
		(struct hv_register_assoc){ .name = HvX64RegisterRbx, .value.reg64 = 1 };
	EXPECT(!mprotect(pages, PAGE, PROT_READ));
	EXPECT(intercept_kept(child, LUMEN_MSHV_RUN_VP, run));
	munmap(pages, 2 * PAGE);
	return true;
}
