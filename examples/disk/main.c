// SPDX-License-Identifier: BSD-2-Clause
// A disk on VMBus: partitions, a file from an ext2 file system, and a block that is written and
// read back. `./lumen run disk` makes the disk: GPT, partition 1 ("files") with an ext2 file
// system, partition 2 ("scratch") with nothing.
#include "examples/disk/disk.h"
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/storage.h"
#include "lumen/synic.h"
#include "lumen/vmbus.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff, NUMBERS = 20000, LINE = 6 };

static struct lumen_synic synic;
static _Alignas(LUMEN_PAGE_SIZE) struct hv_vp_assist_page assist;

// VMBus's messages and signals come as this interrupt. With the assist page its EOI is a bit in
// memory as long as no other interrupt waits.
static void on_vmbus(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi_assisted(&assist);
}

// From nothing to a connection with the host.
static bool connect(struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	if (!status)
		status = lumen_hypercall_enable(0);
	if (!status)
		status = lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	if (!status)
		status = lumen_vp_assist_enable(&assist);
	if (!status)
		status = lumen_synic_start(&synic);
	if (!status)
		status = lumen_vmbus_connect(&config, bus);
	kernel_check_status(status, "connected to the host");
	return !status;
}

static struct lumen_disk *first_disk(struct lumen_vmbus *bus, struct lumen_storage **storage)
{
	struct lumen_channel *channel = lumen_storage_find(bus, 0);
	struct lumen_disk *disk;

	if (!kernel_check(channel, "the host offers a SCSI controller") ||
		!kernel_check_status(lumen_storage_open(channel, NULL, storage), "opened it"))
		return NULL;
	disk = lumen_storage_disk(*storage, 0);
	if (kernel_check(disk, "there is a disk"))
		kernel_print("%s %s, LUN %u: %lu blocks of %u bytes%s\n", disk->vendor,
			disk->product, disk->lun, disk->blocks, disk->block_size,
			disk->read_only ? ", read-only" : "");
	return disk;
}

static bool find_partitions(struct lumen_disk *disk, struct partition found[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		if (!kernel_check_status(partition_find(disk, i, &found[i]), "found a partition"))
			return false;
		kernel_print("Partition %u, \"%s\": blocks %lu to %lu\n", i + 1, found[i].name,
			found[i].first, found[i].first + found[i].blocks - 1);
	}
	return true;
}

// --- files ---

static void print_greeting(struct ext2 *fs)
{
	char text[128];
	struct ext2_file file;
	size_t length = 0;
	lumen_status status = ext2_find(fs, "/greeting", &file);

	if (!status)
		status = ext2_read(&file, 0, text, sizeof(text), &length);
	if (kernel_check_status(status, "read /greeting"))
		kernel_write(text, length);
}

// /data/numbers has a line for each number from 0 on: "00000\n", "00001\n", ...
static bool is_right(const char *text, size_t length, uint64_t offset)
{
	char line[LINE + 1];

	for (size_t i = 0; i < length; i++, offset++) {
		kernel_format(line, sizeof(line), "%05lu\n", offset / LINE);
		if (text[i] != line[offset % LINE])
			return false;
	}
	return true;
}

static void check_numbers(struct ext2 *fs)
{
	char *text = lumen_alloc_pages(1);
	struct ext2_file file = { 0 };
	size_t length = text ? LUMEN_PAGE_SIZE : 0;
	lumen_status status = ext2_find(fs, "/data/numbers", &file);
	uint64_t offset = 0;
	bool right = true;

	while (!status && right && length) {
		status = ext2_read(&file, offset, text, LUMEN_PAGE_SIZE, &length);
		right = is_right(text, length, offset);
		offset += length;
	}
	lumen_free_pages(text, 1);
	if (kernel_check_status(status, "read /data/numbers"))
		kernel_check(
			right && offset == NUMBERS * LINE, "all %lu bytes of it are right", offset);
}

// --- a block ---

static void fill(uint8_t *block, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		block[i] = "Written by examples/disk. "[i % 26];
}

static void write_block(const struct partition *scratch)
{
	uint32_t size = scratch->disk->block_size;
	uint8_t *written = lumen_alloc_pages(1), *read = lumen_alloc_pages(1);

	if (!kernel_check(written && read, "there is memory"))
		return;
	fill(written, size);
	if (kernel_check_status(
		    lumen_disk_write(scratch->disk, scratch->first, 1, written), "wrote a block") &&
		kernel_check_status(lumen_disk_flush(scratch->disk), "it is stable") &&
		kernel_check_status(
			lumen_disk_read(scratch->disk, scratch->first, 1, read), "read it back"))
		kernel_check(!__builtin_memcmp(written, read, size), "it is the same");
	lumen_free_pages(written, 1);
	lumen_free_pages(read, 1);
}

int kernel_main(void)
{
	struct partition partitions[2];
	struct lumen_storage *storage;
	struct lumen_vmbus *bus;
	struct lumen_disk *disk;
	struct ext2 fs;

	if (!connect(&bus))
		return kernel_failures();
	kernel_print("VMBus version %u.%u\n", lumen_vmbus_version(bus) >> 16,
		lumen_vmbus_version(bus) & 0xffff);
	disk = first_disk(bus, &storage);
	if (!disk || !find_partitions(disk, partitions))
		return kernel_failures();
	if (kernel_check_status(
		    ext2_open(&fs, &partitions[0]), "partition 1 has an ext2 file system")) {
		print_greeting(&fs);
		check_numbers(&fs);
	}
	write_block(&partitions[1]);
	lumen_storage_close(storage);
	kernel_check_status(lumen_vmbus_disconnect(bus), "said goodbye");
	return kernel_failures();
}
