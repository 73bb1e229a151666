// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// The module: is this a root partition that may create children? Then /dev/mshv and its counters.
#include "driver.h"

#include <linux/device.h>
#include <linux/miscdevice.h>
#include <linux/sysfs.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "hypercall/cpuid.h"

struct mshv_counters mshv_counters;

#define COUNTER_FILE(name, counter)                                                                \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return sysfs_emit(buf, "%ld\n", atomic_long_read(&(counter)));                     \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

COUNTER_FILE(partitions, mshv_counters.partitions);
COUNTER_FILE(vps, mshv_counters.vps);
COUNTER_FILE(ports, mshv_counters.ports);
COUNTER_FILE(connections, mshv_counters.connections);
COUNTER_FILE(pinned_pages, mshv_counters.pinned_pages);
COUNTER_FILE(deposited_pages, mshv_counters.deposited_pages);
COUNTER_FILE(own_deposited_pages, mshv_own_pool.pages);

static struct attribute *mshv_attrs[] = {
	&dev_attr_partitions.attr,
	&dev_attr_vps.attr,
	&dev_attr_ports.attr,
	&dev_attr_connections.attr,
	&dev_attr_pinned_pages.attr,
	&dev_attr_deposited_pages.attr,
	&dev_attr_own_deposited_pages.attr,
	NULL,
};
ATTRIBUTE_GROUPS(mshv);

static long mshv_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd != MSHV_CREATE_PARTITION)
		return -ENOTTY;
	return mshv_partition_create((void __user *)arg);
}

static const struct file_operations mshv_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = mshv_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice mshv_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mshv",
	.fops = &mshv_fops,
	.groups = mshv_groups,
	.mode = 0600,
};

// TLFS: Feature and Interface Discovery.
static bool hypervisor_present(void)
{
	u32 max, ebx, ecx, edx;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	cpuid(HV_CPUID_VENDOR, &max, &ebx, &ecx, &edx);
	return ebx == HV_VENDOR_EBX && ecx == HV_VENDOR_ECX && edx == HV_VENDOR_EDX &&
	       max >= HV_CPUID_LIMITS && cpuid_eax(HV_CPUID_INTERFACE) == HV_INTERFACE_SIGNATURE;
}

static int environment_check(void)
{
	if (!hypervisor_present()) {
		pr_err("no hypervisor with the Hyper-V interface\n");
		return -ENODEV;
	}
	if (!(cpuid_ebx(HV_CPUID_FEATURES) & HV_FEATURE_EBX_CREATE_PARTITIONS)) {
		pr_err("this partition may not create partitions\n");
		return -ENODEV;
	}
	return 0;
}

static const struct {
	int (*init)(void);
	void (*exit)(void);
} parts[] = {
	{ mshv_hvcall_init, mshv_hvcall_exit },
	{ mshv_synic_init, mshv_synic_exit },
	{ mshv_trace_init, mshv_trace_exit },
};

static void parts_exit(unsigned int count)
{
	while (count--)
		parts[count].exit();
}

static int __init mshv_init(void)
{
	unsigned int i;
	int ret = environment_check();

	if (ret)
		return ret;
	mshv_pool_init(&mshv_own_pool, HV_PARTITION_ID_SELF);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ret = parts[i].init();
		if (ret)
			goto undo;
	}
	ret = misc_register(&mshv_device);
	if (!ret)
		return 0;
undo:
	parts_exit(i);
	return ret;
}

static void __exit mshv_exit(void)
{
	misc_deregister(&mshv_device);
	// The root's pool is not emptied: the hypervisor had pages of its own in it before.
	parts_exit(ARRAY_SIZE(parts));
}

module_init(mshv_init);
module_exit(mshv_exit);

MODULE_DESCRIPTION("Lumen: child partitions from user space");
MODULE_LICENSE("Dual BSD/GPL");
