// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// /dev/mshv-trace: the hypervisor's trace ring, to read. Where it is comes from Lumen's own CPUID
// range.
#include "driver.h"

#include <linux/io.h>
#include <linux/miscdevice.h>
#include <asm/processor.h>

#include "hypercall/cpuid.h"

#define TRACE_SIZE_MAX (64u << 20)

static void *ring;
static size_t ring_size;

static ssize_t trace_read(struct file *file, char __user *buf, size_t count, loff_t *position)
{
	return simple_read_from_buffer(buf, count, position, ring, ring_size);
}

static loff_t trace_llseek(struct file *file, loff_t offset, int whence)
{
	return fixed_size_llseek(file, offset, whence, ring_size);
}

static const struct file_operations trace_fops = {
	.owner = THIS_MODULE,
	.read = trace_read,
	.llseek = trace_llseek,
};

static struct miscdevice trace_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mshv-trace",
	.fops = &trace_fops,
	.mode = 0400,
};

static bool ring_find(u64 *gpa)
{
	u32 max, ebx, ecx, edx;

	cpuid(LUMEN_CPUID_SIGNATURE, &max, &ebx, &ecx, &edx);
	if (ebx != LUMEN_SIGNATURE_EBX || ecx != LUMEN_SIGNATURE_ECX ||
		edx != LUMEN_SIGNATURE_EDX || max < LUMEN_CPUID_TRACE)
		return false;
	cpuid(LUMEN_CPUID_TRACE, &max, &ebx, &ecx, &edx);
	*gpa = (u64)ebx << 32 | max;
	ring_size = ecx;
	return ring_size && ring_size <= TRACE_SIZE_MAX;
}

int mshv_trace_init(void)
{
	u64 gpa;
	int ret;

	if (!ring_find(&gpa))
		return 0;
	ring = memremap(gpa, ring_size, MEMREMAP_WB);
	if (!ring) {
		pr_warn("cannot map the trace ring at 0x%llx\n", gpa);
		return 0;
	}
	ret = misc_register(&trace_device);
	if (ret) {
		memunmap(ring);
		ring = NULL;
	}
	return ret;
}

void mshv_trace_exit(void)
{
	if (!ring)
		return;
	misc_deregister(&trace_device);
	memunmap(ring);
}
