// SPDX-License-Identifier: BSD-2-Clause
// A web server: a kernel that gets its address by DHCP and serves the files of its disk, which has
// an ext2 file system and nothing else. TCP/IP is lwIP's, with no operating system below it: one
// thread takes frames, timers and what the disk has read, and sleeps when there is nothing.
#include "examples/disk/disk.h"
#include "examples/http/cache.h"
#include "examples/http/card.h"
#include "examples/http/server.h"
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/ic.h"
#include "lumen/platform.h"
#include "lumen/storage.h"
#include "lumen/synic.h"
#include "lwip/timeouts.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff };

static struct lumen_synic synic;
static uint32_t disk_news, stopped;

// --- in VMBus's interrupt ---

static void on_vmbus(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi();
}

static void note(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	card_wake();
}

static void on_disk(void)
{
	note(&disk_news);
}

// `lumenctl stop`
static void on_power_off(void *context)
{
	(void)context;
	note(&stopped);
}

// --- the thread ---

static lumen_status connect(struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	status = status ? status : lumen_hypercall_enable(0);
	status = status ? status : lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	status = status ? status : lumen_synic_start(&synic);
	return status ? status : lumen_vmbus_connect(&config, bus);
}

static bool open_files(struct lumen_vmbus *bus, struct lumen_storage **storage, struct ext2 *fs)
{
	struct lumen_channel *channel = lumen_storage_find(bus, 0);
	struct partition whole = { 0 };

	if (!kernel_check(channel, "the host offers a SCSI controller") ||
		!kernel_check_status(lumen_storage_open(channel, NULL, storage), "opened it"))
		return false;
	whole.disk = lumen_storage_disk(*storage, 0);
	if (!kernel_check(whole.disk, "there is a disk"))
		return false;
	whole.blocks = whole.disk->blocks;
	return kernel_check_status(ext2_open(fs, &whole), "it has an ext2 file system") &&
	       kernel_check_status(cache_start(fs, on_disk), "there is memory");
}

// Until it is to stop, or the card has failed.
static lumen_status serve(void)
{
	lumen_status status = LUMEN_OK;
	bool more;

	while (!status && !__atomic_load_n(&stopped, __ATOMIC_ACQUIRE)) {
		status = card_run(&more);
		if (__atomic_exchange_n(&disk_news, 0, __ATOMIC_ACQUIRE) | card_has_room())
			server_run();
		sys_check_timeouts();
		card_flush();
		if (!more)
			card_wait(sys_timeouts_sleeptime());
	}
	return status;
}

int kernel_main(void)
{
	static const struct lumen_shutdown_handlers handlers = { .power_off = on_power_off };
	static struct ext2 fs;
	struct lumen_storage *storage;
	struct lumen_vmbus *bus = NULL;
	struct lumen_ic *shutdown = NULL;

	if (!kernel_check_status(connect(&bus), "connected to the host") ||
		!open_files(bus, &storage, &fs) ||
		!kernel_check_status(card_start(bus), "opened a network card") ||
		!kernel_check(server_start(&fs), "listening"))
		return kernel_failures();
	lumen_shutdown_open(bus, &handlers, &shutdown); // a host may have none
	kernel_check_status(serve(), "served");
	server_stop();
	card_stop();
	lumen_storage_close(storage);
	if (shutdown)
		lumen_ic_close(shutdown);
	kernel_check_status(lumen_vmbus_disconnect(bus), "said goodbye");
	return kernel_failures();
}
