// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Hypercalls: through the kernel's hypercall page, with input and output pages of our own per
// processor.
#include "driver.h"

#include <linux/io.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/nospec-branch.h>
#include <asm/page.h>

// The kernel's hypercall page (arch/x86/hyperv/hv_init.c). <asm/mshyperv.h> declares it, but its
// names for the ABI clash with those of hypercall/.
extern void *hv_hypercall_pg;

// Deposits in a row without progress before the call is given up.
#define MAX_DEPOSITS 32

// Used with interrupts off, by their own processor only.
struct hvcall_pages {
	void *in, *out;
	u32 in_used; // bytes at the start of `in` that may be other than zero
};
static DEFINE_PER_CPU(struct hvcall_pages, hvcall_pages);

static const struct {
	u16 status;
	int error;
} errnos[] = {
	{ HV_STATUS_SUCCESS, 0 },
	{ HV_STATUS_INVALID_HYPERCALL_CODE, -EOPNOTSUPP },
	{ HV_STATUS_INVALID_HYPERCALL_INPUT, -EINVAL },
	{ HV_STATUS_INVALID_PARAMETER, -EINVAL },
	{ HV_STATUS_ACCESS_DENIED, -EACCES },
	{ HV_STATUS_INVALID_PARTITION_STATE, -EINVAL },
	{ HV_STATUS_OPERATION_DENIED, -EACCES },
	{ HV_STATUS_UNKNOWN_PROPERTY, -EINVAL },
	{ HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE, -ERANGE },
	{ HV_STATUS_INSUFFICIENT_MEMORY, -ENOMEM },
	{ HV_STATUS_INSUFFICIENT_ROOT_MEMORY, -ENOMEM },
	{ HV_STATUS_INVALID_PARTITION_ID, -EINVAL },
	{ HV_STATUS_INVALID_VP_INDEX, -EINVAL },
	{ HV_STATUS_INVALID_PORT_ID, -EINVAL },
	{ HV_STATUS_INVALID_CONNECTION_ID, -EINVAL },
	{ HV_STATUS_INSUFFICIENT_BUFFERS, -EAGAIN },
	{ HV_STATUS_INVALID_VP_STATE, -EBUSY },
	{ HV_STATUS_NO_RESOURCES, -ENOSPC },
	{ HV_STATUS_INVALID_REGISTER_VALUE, -EINVAL },
	{ HV_STATUS_UNKNOWN_REGISTER_NAME, -EINVAL },
	{ HV_STATUS_OPERATION_FAILED, -EIO },
	{ HV_STATUS_TIMEOUT, -EAGAIN },
};

int mshv_errno(u16 status)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errnos[i].status == status)
			return errnos[i].error;
	return -EIO;
}

// TLFS: Hypercall Interface, x64: RCX control, RDX input GPA, R8 output GPA, RAX result.
static u64 issue(u64 control, phys_addr_t in, phys_addr_t out)
{
	register u64 r8 asm("r8") = out;
	u64 result;

	asm volatile(CALL_NOSPEC
		     : "=a"(result), ASM_CALL_CONSTRAINT, "+c"(control), "+d"(in), "+r"(r8)
		     : THUNK_TARGET(hv_hypercall_pg)
		     : "cc", "memory", "r9", "r10", "r11");
	return result;
}

// Makes the call once, from call->reps_done on, and notes status and progress.
static void hvcall_once(struct mshv_hvcall *call)
{
	struct hvcall_pages *pages;
	unsigned long flags;
	u64 result;

	local_irq_save(flags);
	pages = this_cpu_ptr(&hvcall_pages);
	memcpy(pages->in, call->in, call->in_size);
	// Nothing of an earlier call may pass for input of this one.
	if (pages->in_used > call->in_size)
		memset(pages->in + call->in_size, 0, pages->in_used - call->in_size);
	pages->in_used = call->in_size;
	// What earlier rounds of a rep call gave stays where it is.
	memcpy(pages->out, call->out, call->out_size);

	// Always pages of ours, also if the caller expects no output: what the call gives is not
	// his to say (physical address 0 is somebody's memory).
	result = issue(hv_call_control(call->code, 0, call->reps, call->reps_done),
		virt_to_phys(pages->in), virt_to_phys(pages->out));

	memcpy(call->out, pages->out, call->out_size);
	local_irq_restore(flags);

	call->status = hv_result_status(result);
	if (call->reps)
		call->reps_done = hv_result_reps(result);
}

static bool hvcall_complete(const struct mshv_hvcall *call)
{
	return call->status == HV_STATUS_SUCCESS && call->reps_done >= call->reps;
}

// What to do when one round ended neither in success nor with all repetitions done. 0: once more.
static int hvcall_again(
	struct mshv_hvcall *call, struct mshv_pool *pool, bool progress, unsigned int *deposits)
{
	if (progress)
		*deposits = 0;
	switch (call->status) {
	case HV_STATUS_SUCCESS:
	case HV_STATUS_TIMEOUT: // TLFS: Hypercall Continuation; a rep call may stop early
		return progress ? 0 : -EIO;
	case HV_STATUS_INSUFFICIENT_ROOT_MEMORY:
		pool = pool ? &mshv_own_pool : NULL;
		fallthrough;
	case HV_STATUS_INSUFFICIENT_MEMORY:
		if (!pool || ++*deposits > MAX_DEPOSITS)
			return -ENOMEM;
		return mshv_pool_deposit(pool);
	default:
		return mshv_errno(call->status);
	}
}

int mshv_hvcall(struct mshv_hvcall *call, struct mshv_pool *pool)
{
	unsigned int deposits = 0;
	u16 before;
	int ret;

	if (WARN_ON_ONCE(call->in_size > PAGE_SIZE || call->out_size > PAGE_SIZE))
		return -EINVAL;
	call->reps_done = 0;
	for (;;) {
		before = call->reps_done;
		hvcall_once(call);
		if (hvcall_complete(call))
			return 0;
		ret = hvcall_again(call, pool, call->reps_done > before, &deposits);
		if (ret)
			break;
		cond_resched();
	}
	if (!call->quiet)
		pr_warn_ratelimited("hypercall 0x%x: status 0x%x after %u of %u repetitions\n",
			call->code, call->status, call->reps_done, call->reps);
	return ret;
}

void mshv_hvcall_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct hvcall_pages *pages = per_cpu_ptr(&hvcall_pages, cpu);

		free_page((unsigned long)pages->in);
		free_page((unsigned long)pages->out);
		memset(pages, 0, sizeof(*pages));
	}
}

int mshv_hvcall_init(void)
{
	int cpu;

	if (!hv_hypercall_pg) {
		pr_err("this kernel has no hypercall page\n");
		return -ENODEV;
	}
	for_each_possible_cpu(cpu) {
		struct hvcall_pages *pages = per_cpu_ptr(&hvcall_pages, cpu);

		pages->in = (void *)get_zeroed_page(GFP_KERNEL);
		pages->out = (void *)get_zeroed_page(GFP_KERNEL);
		if (!pages->in || !pages->out) {
			mshv_hvcall_exit();
			return -ENOMEM;
		}
	}
	return 0;
}
