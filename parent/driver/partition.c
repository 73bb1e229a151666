// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Partitions: creation, the ioctls of their file, destruction.
#include "driver.h"

#include <linux/anon_inodes.h>
#include <linux/cpu.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>

// Partitions by id; written under table_lock, read under RCU.
static DEFINE_HASHTABLE(table, 6);
static DEFINE_SPINLOCK(table_lock);

#define PT_FLAGS_KNOWN (BIT(MSHV_PT_BIT_COUNT) - 1)
#define PT_FLAGS_UNSUPPORTED                                                                       \
	(BIT(MSHV_PT_BIT_NESTED_VIRTUALIZATION) | BIT(MSHV_PT_BIT_SMT_ENABLED_GUEST))

static const struct {
	unsigned int bit;
	u64 creation_flag;
} creation_flags[] = {
	{ MSHV_PT_BIT_LAPIC, HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED },
	{ MSHV_PT_BIT_X2APIC, HV_PARTITION_CREATION_FLAG_X2APIC_CAPABLE },
	{ MSHV_PT_BIT_GPA_SUPER_PAGES, HV_PARTITION_CREATION_FLAG_GPA_SUPER_PAGES_ENABLED },
};

struct mshv_partition *mshv_partition_find(hv_partition_id id)
{
	struct mshv_partition *partition;

	hash_for_each_possible_rcu(table, partition, hash, id)
		if (partition->id == id)
			return partition;
	return NULL;
}

static void table_add(struct mshv_partition *partition)
{
	spin_lock(&table_lock);
	hash_add_rcu(table, &partition->hash, partition->id);
	spin_unlock(&table_lock);
}

static void table_del(struct mshv_partition *partition)
{
	spin_lock(&table_lock);
	hash_del_rcu(&partition->hash);
	spin_unlock(&table_lock);
}

// TLFS: partition destruction: nothing runs and nothing refers to it; finalize; take the memory
// back; delete.
static void partition_delete(struct mshv_partition *partition)
{
	struct hv_input_finalize_partition finalize = { .partition_id = partition->id };
	struct hv_input_delete_partition delete = { .partition_id = partition->id };

	if (partition->initialized)
		mshv_simple_call(HvCallFinalizePartition, finalize, NULL);
	mshv_pool_withdraw(&partition->pool);
	mshv_simple_call(HvCallDeletePartition, delete, NULL);
	atomic_long_dec(&mshv_counters.partitions);
}

static void partition_destroy(struct mshv_partition *partition)
{
	mshv_stats_release(partition);
	mshv_vp_delete_all(partition);
	mshv_port_release(partition);
	mshv_memory_release(partition);
	table_del(partition); // the id may be another partition's as soon as this one is deleted
	partition_delete(partition);
	synchronize_rcu(); // no handler has the partition or a VP of it any more
	mshv_vp_free_all(partition);
	mshv_messages_free(&partition->messages);
	mutex_destroy(&partition->lock);
	kfree(partition);
}

void mshv_partition_put(struct mshv_partition *partition)
{
	if (refcount_dec_and_test(&partition->refs))
		partition_destroy(partition);
}

static long partition_initialize(struct mshv_partition *partition, void __user *arg)
{
	struct hv_input_initialize_partition input = { .partition_id = partition->id };
	long ret;

	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	ret = partition->initialized
		      ? -EINVAL
		      : mshv_simple_call(HvCallInitializePartition, input, &partition->pool);
	if (!ret)
		partition->initialized = true;
	mutex_unlock(&partition->lock);
	return ret;
}

static long partition_id_get(struct mshv_partition *partition, void __user *arg)
{
	u64 id = partition->id;

	return copy_to_user(arg, &id, sizeof(id)) ? -EFAULT : 0;
}

static const struct {
	unsigned int cmd;
	long (*handler)(struct mshv_partition *partition, void __user *arg);
} ioctls[] = {
	{ MSHV_INITIALIZE_PARTITION, partition_initialize },
	{ MSHV_CREATE_VP, mshv_vp_create },
	{ MSHV_SET_GUEST_MEMORY, mshv_memory_set },
	{ MSHV_ROOT_HVCALL, mshv_passthru },
	{ LUMEN_MSHV_CREATE_MESSAGE_PORT, mshv_port_message },
	{ LUMEN_MSHV_SIGNAL_EVENTFD, mshv_port_event },
	{ LUMEN_MSHV_READ_STATS, mshv_stats_read },
	{ LUMEN_MSHV_GET_PARTITION_ID, partition_id_get },
};

static long partition_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mshv_partition *partition = file->private_data;
	void __user *user = (void __user *)arg;
	unsigned int i;

	if (cmd == LUMEN_MSHV_GET_MESSAGE)
		return mshv_messages_get(&partition->messages, file->f_flags & O_NONBLOCK, user);
	for (i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].cmd == cmd)
			return ioctls[i].handler(partition, user);
	return -ENOTTY;
}

static __poll_t partition_poll(struct file *file, poll_table *poll)
{
	struct mshv_partition *partition = file->private_data;

	return mshv_messages_poll(&partition->messages, file, poll);
}

static int partition_release(struct inode *inode, struct file *file)
{
	mshv_partition_put(file->private_data);
	return 0;
}

static const struct file_operations partition_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = partition_ioctl,
	.poll = partition_poll,
	.release = partition_release,
	.llseek = noop_llseek,
};

// Reads and checks the argument of either version; absent fields are zero.
static int create_args_read(struct mshv_create_partition_v2 *args, void __user *arg)
{
	memset(args, 0, sizeof(*args));
	if (copy_from_user(args, arg, sizeof(struct mshv_create_partition)))
		return -EFAULT;
	if ((args->pt_flags & BIT(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)) &&
		copy_from_user(args, arg, sizeof(*args)))
		return -EFAULT;
	if (args->pt_flags & ~(u64)PT_FLAGS_KNOWN || args->pt_isolation != MSHV_PT_ISOLATION_NONE ||
		args->pt_num_cpu_fbanks > MSHV_NUM_CPU_FEATURES_BANKS ||
		memchr_inv(args->pt_rsvd, 0, sizeof(args->pt_rsvd)) || args->pt_rsvd1[0] ||
		args->pt_rsvd1[1])
		return -EINVAL;
	return args->pt_flags & PT_FLAGS_UNSUPPORTED ? -EOPNOTSUPP : 0;
}

// TLFS: HvCallCreatePartition. An exo partition: its VMM is its parent's user space.
static int partition_create(const struct mshv_create_partition_v2 *args, hv_partition_id *id)
{
	struct hv_input_create_partition input = {
		.flags = HV_PARTITION_CREATION_FLAG_EXO_PARTITION,
		.compatibility_version = HV_COMPATIBILITY_VERSION,
	};
	struct hv_output_create_partition output = { 0 };
	struct mshv_hvcall call = {
		.code = HvCallCreatePartition,
		.in = &input,
		.in_size = sizeof(input),
		.out = &output,
		.out_size = sizeof(output),
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(creation_flags); i++)
		if (args->pt_flags & BIT(creation_flags[i].bit))
			input.flags |= creation_flags[i].creation_flag;
	for (i = 0; i < args->pt_num_cpu_fbanks; i++)
		input.disabled_processor_features[i] = args->pt_cpu_fbanks[i];
	input.disabled_xsave_features = args->pt_disabled_xsave;
	ret = mshv_hvcall(&call, &mshv_own_pool);
	*id = output.partition_id;
	return ret;
}

static struct mshv_partition *partition_alloc(const struct mshv_create_partition_v2 *args)
{
	struct mshv_partition *partition = kzalloc(sizeof(*partition), GFP_KERNEL_ACCOUNT);

	if (!partition)
		return NULL;
	refcount_set(&partition->refs, 1);
	mutex_init(&partition->lock);
	INIT_LIST_HEAD(&partition->regions);
	INIT_LIST_HEAD(&partition->ports);
	mshv_messages_init(&partition->messages);
	partition->large_pages = args->pt_flags & BIT(MSHV_PT_BIT_GPA_SUPER_PAGES);
	return partition;
}

long mshv_partition_create(void __user *arg)
{
	struct mshv_create_partition_v2 args;
	struct mshv_partition *partition;
	long ret;

	ret = create_args_read(&args, arg);
	if (ret)
		return ret;
	partition = partition_alloc(&args);
	if (!partition)
		return -ENOMEM;
	// From here on processors stay online (synic_offline()).
	cpus_read_lock();
	atomic_long_inc(&mshv_counters.partitions);
	cpus_read_unlock();
	ret = partition_create(&args, &partition->id);
	if (ret) {
		atomic_long_dec(&mshv_counters.partitions);
		kfree(partition);
		return ret;
	}
	mshv_pool_init(&partition->pool, partition->id);
	table_add(partition);
	ret = anon_inode_getfd("mshv_partition", &partition_fops, partition, O_RDWR | O_CLOEXEC);
	if (ret < 0)
		mshv_partition_put(partition);
	return ret;
}
