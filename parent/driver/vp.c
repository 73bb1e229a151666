// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Virtual processors: creation, running until the next intercept, deletion.
#include "driver.h"

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

enum { SUSPENDS = 2 }; // the registers that keep a VP from running

struct set_registers {
	struct hv_input_set_vp_registers header;
	struct hv_register_assoc list[LUMEN_MSHV_RUN_REGISTERS + SUSPENDS];
};

// Registers to set when a VP is resumed; none once they are set.
struct run_registers {
	u32 count;
	struct hv_register_assoc list[LUMEN_MSHV_RUN_REGISTERS];
};

// TLFS: HvCallSetVpRegisters. Sets the first COUNT registers of the list.
static int vp_set_registers(struct mshv_vp *vp, struct set_registers *set, unsigned int count)
{
	struct mshv_hvcall call = {
		.code = HvCallSetVpRegisters,
		.reps = count,
		.in = set,
		.in_size = sizeof(set->header) + count * sizeof(set->list[0]),
	};

	set->header.partition_id = vp->partition->id;
	set->header.vp_index = vp->index;
	return mshv_hvcall(&call, &vp->partition->pool);
}

// Lets the VP run: it is not suspended by request (as it is created) nor by an intercept. REGISTERS
// are set before that; if one of them is refused the VP stays suspended.
static int vp_resume(struct mshv_vp *vp, struct run_registers *registers)
{
	struct set_registers set;
	struct hv_register_assoc *suspends = &set.list[registers->count];
	int ret;

	memcpy(set.list, registers->list, registers->count * sizeof(set.list[0]));
	memset(&set.header, 0, sizeof(set.header));
	memset(suspends, 0, SUSPENDS * sizeof(*suspends));
	suspends[0].name = HvRegisterExplicitSuspend;
	suspends[1].name = HvRegisterInterceptSuspend;
	ret = vp_set_registers(vp, &set, registers->count + SUSPENDS);
	if (!ret)
		registers->count = 0;
	return ret;
}

static int vp_suspend(struct mshv_vp *vp)
{
	struct set_registers set = {
		.list[0].name = HvRegisterExplicitSuspend,
		.list[0].value.reg64 = HV_REGISTER_SUSPENDED,
	};

	return vp_set_registers(vp, &set, 1);
}

// Has the VP taken an intercept? TLFS: HvCallGetVpRegisters, HvRegisterInterceptSuspend.
static int vp_intercepted(struct mshv_vp *vp, bool *intercepted)
{
	struct {
		struct hv_input_get_vp_registers header;
		u32 name;
	} input = {
		.header.partition_id = vp->partition->id,
		.header.vp_index = vp->index,
		.name = HvRegisterInterceptSuspend,
	};
	struct hv_register_value value = { 0 };
	struct mshv_hvcall call = {
		.code = HvCallGetVpRegisters,
		.reps = 1,
		.in = &input,
		.in_size = offsetofend(typeof(input), name),
		.out = &value,
		.out_size = sizeof(value),
	};
	int ret = mshv_hvcall(&call, NULL);

	*intercepted = value.reg64 & HV_REGISTER_SUSPENDED;
	return ret;
}

static bool vp_message_ready(struct mshv_vp *vp)
{
	return smp_load_acquire(&vp->message_ready); // pairs with mshv_vp_intercept()
}

void mshv_vp_intercept(const struct hv_message *message)
{
	const struct hv_x64_intercept_message_header *header = (const void *)message->payload;
	struct mshv_partition *partition = mshv_partition_find(message->header.sender);
	struct mshv_vp *vp = NULL;

	if (partition && header->vp_index < MSHV_MAX_VPS)
		vp = smp_load_acquire(&partition->vps[header->vp_index]);
	// A suspended VP sends nothing; whatever does not suspend it (APIC EOI) nobody has asked
	// for.
	if (!vp || READ_ONCE(vp->message_ready)) {
		pr_debug("intercept message 0x%x from 0x%llx is for nobody\n",
			message->header.message_type, (u64)message->header.sender);
		return;
	}
	vp->message = *message;
	smp_store_release(&vp->message_ready, true); // the message is complete
	wake_up(&vp->wait);
}

// A signal came. Stops the VP; 0: it had taken an intercept before, and here is its message.
static int vp_interrupted(struct mshv_vp *vp)
{
	bool intercepted;
	int ret;

	ret = vp_suspend(vp);
	if (!ret)
		ret = vp_intercepted(vp, &intercepted);
	if (ret)
		return ret;
	if (!intercepted)
		return -EINTR;
	// The message is sent with the suspension: it is here or on its way. Only death cuts this
	// short.
	return wait_event_killable(vp->wait, vp_message_ready(vp)) ? -EINTR : 0;
}

// Runs the VP until it has an intercept message. One that could not be handed out is there at once:
// then REGISTERS wait.
static int vp_run(struct mshv_vp *vp, struct run_registers *registers)
{
	int ret;

	if (vp_message_ready(vp))
		return 0;
	ret = vp_resume(vp, registers);
	if (ret)
		return ret;
	if (wait_event_interruptible(vp->wait, vp_message_ready(vp)))
		return vp_interrupted(vp);
	return 0;
}

// Hands the message out. If that fails it stays for the next call.
static long vp_hand_out(struct mshv_vp *vp, void __user *message)
{
	if (copy_to_user(message, &vp->message, MSHV_RUN_VP_BUF_SZ))
		return -EFAULT;
	WRITE_ONCE(vp->message_ready, false);
	return 0;
}

static long vp_run_plain(struct mshv_vp *vp, void __user *arg)
{
	struct run_registers none = { .count = 0 };
	int ret = vp_run(vp, &none);

	return ret ? ret : vp_hand_out(vp, arg);
}

static long vp_run_with_registers(struct mshv_vp *vp, struct lumen_mshv_run_vp __user *arg)
{
	struct run_registers registers;
	u32 count, rsvd;
	int ret;

	BUILD_BUG_ON(sizeof(registers.list) != sizeof(arg->registers));
	if (get_user(count, &arg->register_count) || get_user(rsvd, &arg->rsvd))
		return -EFAULT;
	if (count > LUMEN_MSHV_RUN_REGISTERS || rsvd)
		return -EINVAL;
	if (copy_from_user(registers.list, arg->registers, count * sizeof(registers.list[0])))
		return -EFAULT;
	registers.count = count;
	ret = vp_run(vp, &registers);
	if (count && !registers.count && put_user(0, &arg->register_count))
		return -EFAULT;
	return ret ? ret : vp_hand_out(vp, arg->msg_buf);
}

static long vp_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mshv_vp *vp = file->private_data;
	long ret = -ENOTTY;

	if (mutex_lock_interruptible(&vp->lock))
		return -EINTR;
	if (cmd == MSHV_RUN_VP)
		ret = vp_run_plain(vp, (void __user *)arg);
	else if (cmd == LUMEN_MSHV_RUN_VP)
		ret = vp_run_with_registers(vp, (void __user *)arg);
	else if (cmd == MSHV_ROOT_HVCALL)
		ret = mshv_passthru(vp->partition, (void __user *)arg);
	mutex_unlock(&vp->lock);
	return ret;
}

static int vp_release(struct inode *inode, struct file *file)
{
	struct mshv_vp *vp = file->private_data;

	mshv_partition_put(vp->partition);
	return 0;
}

static const struct file_operations vp_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vp_ioctl,
	.release = vp_release,
	.llseek = noop_llseek,
};

static struct mshv_vp *vp_alloc(struct mshv_partition *partition, hv_vp_index index)
{
	struct mshv_vp *vp = kzalloc(sizeof(*vp), GFP_KERNEL_ACCOUNT);

	if (!vp)
		return NULL;
	vp->partition = partition;
	vp->index = index;
	mutex_init(&vp->lock);
	init_waitqueue_head(&vp->wait);
	return vp;
}

// TLFS: HvCallCreateVp, HvCallDeleteVp.
static int vp_create_in_hypervisor(struct mshv_vp *vp)
{
	struct hv_input_create_vp input = {
		.partition_id = vp->partition->id,
		.vp_index = vp->index,
	};

	return mshv_simple_call(HvCallCreateVp, input, &vp->partition->pool);
}

static void vp_delete_in_hypervisor(struct mshv_vp *vp)
{
	struct hv_input_delete_vp input = {
		.partition_id = vp->partition->id,
		.vp_index = vp->index,
	};

	mshv_simple_call(HvCallDeleteVp, input, NULL);
}

// Gives a VP its file; the file holds a reference to the partition. Returns FD.
static int vp_install(struct mshv_vp *vp, int fd)
{
	struct file *file = anon_inode_getfile("mshv_vp", &vp_fops, vp, O_RDWR);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mshv_partition_get(vp->partition);
	smp_store_release(&vp->partition->vps[vp->index], vp);
	atomic_long_inc(&mshv_counters.vps);
	fd_install(fd, file);
	return fd;
}

// Makes the VP. The partition's lock is held.
static int vp_create(struct mshv_partition *partition, hv_vp_index index)
{
	struct mshv_vp *vp;
	int fd, ret;

	if (partition->vps[index])
		return -EEXIST;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vp = vp_alloc(partition, index);
	if (!vp) {
		ret = -ENOMEM;
		goto no_vp;
	}
	ret = vp_create_in_hypervisor(vp);
	if (ret)
		goto no_hypervisor_vp;
	ret = vp_install(vp, fd);
	if (ret >= 0)
		return ret;
	vp_delete_in_hypervisor(vp);
no_hypervisor_vp:
	kfree(vp);
no_vp:
	put_unused_fd(fd);
	return ret;
}

long mshv_vp_create(struct mshv_partition *partition, void __user *arg)
{
	struct mshv_create_vp args;
	long ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.vp_index >= MSHV_MAX_VPS)
		return -EINVAL;
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	ret = vp_create(partition, args.vp_index);
	mutex_unlock(&partition->lock);
	return ret;
}

void mshv_vp_delete_all(struct mshv_partition *partition)
{
	unsigned int i;

	for (i = 0; i < MSHV_MAX_VPS; i++) {
		if (!partition->vps[i])
			continue;
		vp_suspend(partition->vps[i]);
		vp_delete_in_hypervisor(partition->vps[i]);
		atomic_long_dec(&mshv_counters.vps);
	}
}

void mshv_vp_free_all(struct mshv_partition *partition)
{
	unsigned int i;

	for (i = 0; i < MSHV_MAX_VPS; i++) {
		if (partition->vps[i])
			mutex_destroy(&partition->vps[i]->lock);
		kfree(partition->vps[i]);
	}
}
