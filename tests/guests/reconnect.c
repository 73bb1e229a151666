// SPDX-License-Identifier: BSD-2-Clause
// Connects with its host, reads the first block of its disk, and disconnects, rounds=N times; then
// it connects once more and waits for its end. What it reads is the same each time, and it loses no
// memory.
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/storage.h"
#include "lumen/synic.h"
#include "lumen/vmbus.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff };

static struct lumen_synic synic;
static struct lumen_vmbus *bus;
static struct lumen_storage *storage;
static const uint32_t unchanged;

static void on_vmbus(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi();
}

static bool prepare(void)
{
	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	return !lumen_clock_start() && !lumen_hypercall_enable(0) &&
	       !lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS) && !lumen_synic_start(&synic);
}

static lumen_status connect(void)
{
	const struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	lumen_status status = lumen_vmbus_connect(&config, &bus);
	struct lumen_channel *channel = status ? NULL : lumen_storage_find(bus, 0);

	return channel ? lumen_storage_open(channel, NULL, &storage) : status;
}

static bool read_same(void *block, const void *first)
{
	struct lumen_disk *disk = lumen_storage_disk(storage, 0);

	return disk && !lumen_disk_read(disk, 0, 1, block) &&
	       !__builtin_memcmp(block, first, disk->block_size);
}

static bool disconnect(void)
{
	lumen_storage_close(storage);
	return !lumen_vmbus_disconnect(bus);
}

int kernel_main(void)
{
	uint64_t rounds = kernel_option_number("rounds", 1), round = 0;
	void *first = lumen_alloc_pages(1), *block = lumen_alloc_pages(1);
	bool right = prepare();
	size_t left = kernel_free_pages_left();

	for (; right && round < rounds; round++)
		right = !connect() && read_same(block, round ? block : first) && disconnect();
	kernel_check(right, "connected, read, and disconnected %lu of %lu times", round, rounds);
	kernel_check(kernel_free_pages_left() == left, "%lu pages left of %lu before",
		kernel_free_pages_left(), left);
	if (!kernel_check_status(connect(), "connected"))
		return kernel_failures();
	for (;;)
		lumen_wait(&unchanged, 0, lumen_deadline_ns(1000000000));
}
