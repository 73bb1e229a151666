// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// MSHV_ROOT_HVCALL: hypercalls that user space makes on a partition of its own.
#include "driver.h"

// All of them have the partition's id in the first eight bytes of their input.
static const u16 allowed[] = {
	HvCallGetPartitionProperty, HvCallSetPartitionProperty, HvCallInstallIntercept,
	HvCallGetVpRegisters, HvCallSetVpRegisters, HvCallTranslateVirtualAddress,
	HvCallClearVirtualInterrupt, HvCallRegisterInterceptResult, HvCallAssertVirtualInterrupt,
	HvCallSignalEventDirect, HvCallPostMessageDirect,
	0x00C9, // HvCallGetGpaPagesAccessState
	HvCallGetVpCpuidValues,
	0x0101, // HvCallGetPartitionPropertyEx
};

static bool code_allowed(u16 code)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		if (allowed[i] == code)
			return true;
	return false;
}

static bool args_valid(const struct mshv_root_hvcall *args)
{
	return code_allowed(args->code) && args->reps <= HV_CALL_REP_MAX && !args->status &&
	       !memchr_inv(args->rsvd, 0, sizeof(args->rsvd)) && args->in_sz >= sizeof(u64) &&
	       args->in_sz <= MSHV_HV_PAGE_SIZE && args->out_sz <= MSHV_HV_PAGE_SIZE &&
	       !args->out_sz == !args->out_ptr;
}

// Makes the call and writes back what it gave.
static long passthru_call(struct mshv_partition *partition, struct mshv_root_hvcall *args, void *in,
	void *out, void __user *arg)
{
	struct mshv_hvcall call = {
		.code = args->code,
		.reps = args->reps,
		.quiet = true,
		.in = in,
		.in_size = args->in_sz,
		.out = out,
		.out_size = args->out_sz,
	};
	long ret = mshv_hvcall(&call, &partition->pool);

	args->status = call.status;
	args->reps = call.reps_done;
	if (args->out_sz && copy_to_user(u64_to_user_ptr(args->out_ptr), out, args->out_sz))
		return -EFAULT;
	return copy_to_user(arg, args, sizeof(*args)) ? -EFAULT : ret;
}

long mshv_passthru(struct mshv_partition *partition, void __user *arg)
{
	struct mshv_root_hvcall args;
	void *in, *out = NULL;
	long ret = -ENOMEM;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (!args_valid(&args))
		return -EINVAL;
	in = memdup_user(u64_to_user_ptr(args.in_ptr), args.in_sz);
	if (IS_ERR(in))
		return PTR_ERR(in);
	*(u64 *)in = partition->id;
	if (args.out_sz)
		out = kzalloc(args.out_sz, GFP_KERNEL);
	if (out || !args.out_sz)
		ret = passthru_call(partition, &args, in, out, arg);
	kfree(out);
	kfree(in);
	return ret;
}
