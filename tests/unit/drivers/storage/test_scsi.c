// SPDX-License-Identifier: BSD-2-Clause
// The SCSI target against a disk in memory: each operation, each error, what Linux's sd asks.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/storage/scsi.h"
#include "memory_disk.h"

#define FLAGS_FULL                                                                                 \
	(BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES | BLOCK_DEVICE_CAN_ZERO |              \
		BLOCK_DEVICE_WRITE_CACHE)
#define BLOCKS	     4096u
#define MAX_TRANSFER (256u << 10)

static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ", "S-0001",
	0xABCDEF0123456ULL };

static struct memory_disk memory;
static struct scsi_disk disk;
static struct scsi_adapter adapter;
static struct scsi_command *command;
static uint8_t data[MAX_TRANSFER];
static struct vsp_iovec iov[4];
static int done_count;

static void on_done(struct scsi_command *done)
{
	cr_assert_eq(done, command);
	done_count++;
}

static void make(uint64_t blocks, uint32_t block_size, uint32_t flags)
{
	memory_disk_init(&memory, blocks, block_size, flags);
	cr_assert(scsi_disk_init(&disk, &memory.device, &identity, MAX_TRANSFER));
	memset(&adapter, 0, sizeof(adapter));
	cr_assert(scsi_adapter_attach(&adapter, 0, 0, 0, &disk));
	command = calloc(1, sizeof(*command));
	memset(data, 0xEE, sizeof(data));
}

static void setup(void)
{
	make(BLOCKS, 512, FLAGS_FULL);
}

static void teardown(void)
{
	cr_assert_eq(disk.in_flight, 0);
	memory_disk_destroy(&memory);
	free(command);
}

TestSuite(scsi, .init = setup, .fini = teardown);
TestSuite(scsi_bare, .fini = teardown);

// Starts a command with `length` bytes of data buffer, cut in two so that both parts count.
static void start(const uint8_t *cdb, uint8_t cdb_length, uint32_t length)
{
	const uint32_t first = length > 3 ? 3 : length;

	memset(command->cdb, 0, sizeof(command->cdb));
	memcpy(command->cdb, cdb, cdb_length > 16 ? 16 : cdb_length);
	command->cdb_length = cdb_length;
	command->data_length = length;
	iov[0] = (struct vsp_iovec){ data, first };
	iov[1] = (struct vsp_iovec){ data + first, length - first };
	command->iov = iov;
	command->iov_count = length > 3 ? 2 : (length > 0);
	command->done = on_done;
	done_count = 0;
	scsi_execute(&adapter, command);
}

// Takes all steps that can be taken without the backend.
static uint32_t take_steps(void)
{
	uint32_t count = 0;

	for (; scsi_adapter_step(&adapter, 0); count++)
		scsi_adapter_step(&adapter, 1);
	return count;
}

static void run(const uint8_t *cdb, uint8_t cdb_length, uint32_t length)
{
	start(cdb, cdb_length, length);
	take_steps();
	cr_assert_eq(done_count, 1);
}

#define RUN(length, ...)                                                                           \
	run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), length)

static void expect_good(uint32_t transferred)
{
	cr_assert_eq(command->status, SCSI_STATUS_GOOD, "sense %02x/%02x%02x", command->sense[2],
		command->sense[12], command->sense[13]);
	cr_assert_eq(command->transferred, transferred, "%u", command->transferred);
	cr_assert_eq(command->sense_length, 0);
}

static void expect_sense(uint32_t sense)
{
	cr_assert_eq(command->status, SCSI_STATUS_CHECK_CONDITION);
	cr_assert_eq(command->sense_length, 18);
	cr_assert_eq(command->sense[0], 0x70);
	cr_assert_eq(command->sense[7], 10);
	cr_assert_eq(command->sense[2] << 16 | command->sense[12] << 8 | command->sense[13], sense,
		"%02x/%02x%02x", command->sense[2], command->sense[12], command->sense[13]);
	cr_assert_eq(command->transferred, 0);
}

Test(scsi, inquiry_36_then_all)
{
	RUN(36, 0x12, 0, 0, 0, 36, 0);
	expect_good(36);
	cr_assert_eq(data[0], 0);
	cr_assert_eq(data[2], 6);
	cr_assert_eq(data[3] & 0xF, 2);
	cr_assert_eq(memcmp(data + 8, "Lumen   Virtual Disk    1.0 ", 28), 0);
	cr_assert_eq(data[36], 0xEE); // nothing beyond the allocation length
	RUN(255, 0x12, 0, 0, 0, (uint8_t)(data[4] + 5), 0);
	expect_good(64);
	RUN(16, 0x12, 0, 0, 0, 255, 0); // buffer smaller than the allocation length
	expect_good(16);
	RUN(0, 0x12, 0, 0, 0, 255, 0);
	expect_good(0);
}

Test(scsi, inquiry_bad_field)
{
	RUN(64, 0x12, 0, 0x80, 0, 64, 0); // page without EVPD
	expect_sense(0x052400);
	RUN(64, 0x12, 2, 0, 0, 64, 0);
	expect_sense(0x052400);
	RUN(64, 0x12, 1, 0x99, 0, 64, 0);
	expect_sense(0x052400);
}

Test(scsi, vpd_supported_pages_all_answer)
{
	uint8_t pages[16];
	uint32_t count;

	RUN(255, 0x12, 1, 0, 0, 255, 0);
	count = data[3];
	expect_good(4 + count);
	cr_assert_eq(count, 6);
	memcpy(pages, data + 4, count);
	for (uint32_t i = 0; i < count; i++) {
		RUN(4, 0x12, 1, pages[i], 0, 4, 0);
		expect_good(4);
		cr_assert_eq(data[1], pages[i]);
		RUN(512, 0x12, 1, pages[i], 2, 0, 0);
		expect_good(4u + (uint32_t)(data[2] << 8 | data[3]));
	}
}

Test(scsi, vpd_serial_and_identification)
{
	RUN(255, 0x12, 1, 0x80, 0, 255, 0);
	expect_good(10);
	cr_assert_eq(memcmp(data + 4, "S-0001", 6), 0);
	RUN(255, 0x12, 1, 0x83, 0, 255, 0);
	expect_good(4 + 12 + 4 + 8 + 6);
	cr_assert_eq(memcmp(data + 4, "\x01\x03\x00\x08\x30\x0a\xbc\xde\xf0\x12\x34\x56", 12), 0);
	cr_assert_eq(memcmp(data + 16, "\x02\x01\x00\x0eLumen   S-0001", 18), 0);
}

Test(scsi, vpd_limits)
{
	RUN(255, 0x12, 1, 0xB0, 0, 255, 0);
	expect_good(64);
	cr_assert_eq(memcmp(data + 8, "\x00\x00\x02\x00", 4), 0); // 512 blocks
	cr_assert_eq(memcmp(data + 20, "\x00\x40\x00\x00\x00\x00\x00\xff\x00\x00\x00\x08", 12), 0);
	cr_assert_eq(memcmp(data + 36, "\x00\x00\x00\x00\x00\x40\x00\x00", 8), 0);
	RUN(255, 0x12, 1, 0xB1, 0, 255, 0);
	cr_assert_eq(memcmp(data + 4, "\x00\x01", 2), 0);
	RUN(255, 0x12, 1, 0xB2, 0, 255, 0);
	expect_good(8);
	cr_assert_eq(memcmp(data + 4, "\x00\xe4\x02\x00", 4), 0);
}

Test(scsi_bare, pages_that_the_backend_cannot)
{
	make(BLOCKS, 512, 0);
	disk.identity.serial[0] = '\0';
	RUN(255, 0x12, 1, 0, 0, 255, 0);
	cr_assert_eq(memcmp(data + 3, "\x04\x00\x83\xb0\xb1", 5), 0);
	RUN(255, 0x12, 1, 0xB2, 0, 255, 0);
	expect_sense(0x052400);
	RUN(255, 0x12, 1, 0x80, 0, 255, 0);
	expect_sense(0x052400);
	RUN(32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	cr_assert_eq(data[14], 0);
	RUN(24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	expect_sense(0x052000);
	RUN(512, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0); // UNMAP bit
	expect_sense(0x052400);
}

Test(scsi, ready_sense_start_stop)
{
	RUN(0, 0x00, 0, 0, 0, 0, 0);
	expect_good(0);
	RUN(252, 0x03, 0, 0, 0, 252, 0);
	expect_good(18);
	cr_assert_eq(data[0], 0x70);
	cr_assert_eq(data[2], 0);
	RUN(252, 0x03, 1, 0, 0, 252, 0);
	expect_sense(0x052400);
	RUN(0, 0x1B, 0, 0, 0, 1, 0);
	expect_good(0);
	cr_assert_eq(memory.count[BLOCK_FLUSH], 0);
	RUN(0, 0x1B, 0, 0, 0, 0, 0);
	expect_good(0);
	cr_assert_eq(memory.count[BLOCK_FLUSH], 1);
	RUN(0, 0x1B, 0, 0, 0, 2, 0);
	expect_sense(0x052400);
}

Test(scsi, capacity)
{
	RUN(8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(8);
	cr_assert_eq(memcmp(data, "\x00\x00\x0f\xff\x00\x00\x02\x00", 8), 0);
	RUN(32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_good(32);
	cr_assert_eq(memcmp(data, "\0\0\0\0\0\0\x0f\xff\0\0\x02\0\0\x03\xc0\0", 16), 0);
	RUN(32, 0x9E, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_sense(0x052400);
}

Test(scsi_bare, capacity_beyond_32_bits)
{
	make(1, 512, 0);
	memory.device.block_count = 1ULL << 33; // no command below touches a block
	RUN(8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	cr_assert_eq(memcmp(data, "\xff\xff\xff\xff", 4), 0);
	RUN(32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	cr_assert_eq(memcmp(data, "\0\0\0\x01\xff\xff\xff\xff", 8), 0);
}

Test(scsi, mode_sense_as_sd_does)
{
	RUN(4, 0x1A, 0, 0x3F, 0, 4, 0); // sd_read_write_protect_flag
	expect_good(4);
	cr_assert_eq(data[2], 0x10); // writable, FUA
	RUN(192, 0x1A, 0, 0x3F, 0, 192, 0);
	expect_good(4 + 8 + 20 + 12 + 12);
	cr_assert_eq(data[0], command->transferred - 1);
	cr_assert_eq(memcmp(data + 3, "\x08\0\0\x10\0\0\0\x02\0\x08\x12\x04", 12), 0);
	RUN(64, 0x1A, 8, 0x08, 0, 64, 0); // no block descriptor, caching page
	expect_good(4 + 20);
	cr_assert_eq(memcmp(data + 3, "\0\x08\x12\x04", 4), 0);
	RUN(64, 0x5A, 8, 0x08, 0, 0, 0, 0, 0, 64, 0);
	expect_good(8 + 20);
	cr_assert_eq(memcmp(data, "\0\x1a\0\x10\0\0\0\0\x08\x12\x04", 11), 0);
	RUN(64, 0x5A, 8, 0x48, 0, 0, 0, 0, 0, 64, 0); // changeable: nothing
	cr_assert_eq(memcmp(data + 8, "\x08\x12\x00", 3), 0);
}

Test(scsi, mode_sense_errors)
{
	RUN(64, 0x1A, 0, 0xC8, 0, 64, 0); // saved values
	expect_sense(0x053900);
	RUN(64, 0x1A, 0, 0x02, 0, 64, 0); // no such page
	expect_sense(0x052400);
	RUN(64, 0x1A, 0, 0x08, 1, 64, 0); // no such subpage
	expect_sense(0x052400);
}

Test(scsi, write_then_read_all_lengths)
{
	static const uint8_t cdbs[][2][16] = {
		{ { 0x0A, 0, 1, 2, 2, 0 }, { 0x08, 0, 1, 2, 2, 0 } },
		{ { 0x2A, 0, 0, 0, 1, 2, 0, 0, 2, 0 }, { 0x28, 0, 0, 0, 1, 2, 0, 0, 2, 0 } },
		{ { 0xAA, 0, 0, 0, 1, 2, 0, 0, 0, 2 }, { 0xA8, 0, 0, 0, 1, 2, 0, 0, 0, 2 } },
		{ { 0x8A, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 2 },
			{ 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 2 } },
	};
	static const uint8_t lengths[] = { 6, 10, 12, 16 };

	for (int i = 0; i < 4; i++) {
		memset(memory.data, 0, BLOCKS * 512);
		for (int j = 0; j < 1024; j++)
			data[j] = (uint8_t)(j * 7 + i);
		run(cdbs[i][0], lengths[i], 1024);
		expect_good(1024);
		cr_assert_eq(memcmp(memory.data + 0x102 * 512, data, 1024), 0);
		cr_assert_eq(memory.data[0x102 * 512 - 1], 0);
		cr_assert_eq(memory.data[0x104 * 512], 0);
		memset(data, 0, 1024);
		run(cdbs[i][1], lengths[i], 1024);
		expect_good(1024);
		cr_assert_eq(memcmp(memory.data + 0x102 * 512, data, 1024), 0);
	}
}

Test(scsi, read_6_of_0_means_256)
{
	RUN(256 * 512, 0x08, 0, 0, 0, 0, 0);
	expect_good(256 * 512);
}

Test(scsi, read_of_less_than_the_buffer)
{
	RUN(1024, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_good(512);
	cr_assert_eq(data[511], 0);
	cr_assert_eq(data[512], 0xEE);
	RUN(1024, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0); // no blocks
	expect_good(0);
	cr_assert_eq(memory.count[BLOCK_READ], 1);
}

Test(scsi, read_of_more_than_the_buffer)
{
	RUN(511, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x052400);
	RUN(0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x052400);
	RUN(512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0); // 64 Ki blocks, 32 bits
	expect_sense(0x052100);
	cr_assert_eq(memory.count[BLOCK_READ], 0);
}

Test(scsi, out_of_range)
{
	RUN(512, 0x28, 0, 0, 0, 0x0F, 0xFF, 0, 0, 1, 0);
	expect_good(512); // the last one
	RUN(512, 0x28, 0, 0, 0, 0x10, 0, 0, 0, 1, 0);
	expect_sense(0x052100);
	RUN(1024, 0x2A, 0, 0, 0, 0x0F, 0xFF, 0, 0, 2, 0);
	expect_sense(0x052100);
	RUN(512, 0x88, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0);
	expect_sense(0x052100);
	RUN(512, 0x88, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0,
		0);
	expect_sense(0x052100);
	RUN(0, 0x91, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x01, 0, 0, 0, 0, 0, 0);
	expect_sense(0x052100);
	RUN(0, 0x2F, 0, 0, 0, 0x10, 0, 0, 0, 1, 0);
	expect_sense(0x052100);
	RUN(512, 0x41, 0, 0, 0, 0x0F, 0xFF, 0, 0, 2, 0);
	expect_sense(0x052100);
}

Test(scsi, protection_bits_are_refused)
{
	RUN(512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x052400);
	RUN(512, 0x2F, 0x02, 0, 0, 0, 0, 0, 0, 1, 0); // VERIFY with BYTCHK
	expect_sense(0x052400);
}

Test(scsi, fua_reaches_the_backend)
{
	RUN(512, 0x2A, 0x08, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_good(512);
	cr_assert_eq(memory.last_flags, BLOCK_REQUEST_FUA);
	RUN(512, 0x0A, 0x08, 0, 0, 1, 0); // an address bit in the short form
	expect_sense(0x052100);
	RUN(512, 0x28, 0x08, 0, 0, 0, 0, 0, 0, 1, 0);
	cr_assert_eq(memory.last_flags, 0);
}

Test(scsi, flush)
{
	RUN(0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(0);
	RUN(0, 0x91, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(0);
	cr_assert_eq(memory.count[BLOCK_FLUSH], 2);
}

Test(scsi, verify_reads)
{
	RUN(0, 0x2F, 0, 0, 0, 0, 0, 0, 2, 0, 0); // 512 blocks: 256 KiB in pieces of 128 KiB
	expect_good(0);
	cr_assert_eq(memory.count[BLOCK_READ], 2);
	RUN(0, 0x8F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0); // more than a transfer
	expect_sense(0x052400);
	RUN(0, 0xAF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(0);
	memory.fail = BLOCK_ERROR_IO;
	RUN(0, 0x2F, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x031100);
}

static void put_descriptor(uint32_t index, uint64_t lba, uint32_t count)
{
	uint8_t *at = data + 8 + 16 * index;

	memset(at, 0, 16);
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(lba >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		at[8 + i] = (uint8_t)(count >> (24 - 8 * i));
}

static void unmap(uint32_t list, uint32_t descriptor_bytes, uint32_t buffer)
{
	const uint8_t cdb[10] = { 0x42, 0, 0, 0, 0, 0, 0, (uint8_t)(list >> 8), (uint8_t)list };

	data[0] = 0;
	data[1] = (uint8_t)(descriptor_bytes + 6);
	data[2] = (uint8_t)(descriptor_bytes >> 8);
	data[3] = (uint8_t)descriptor_bytes;
	run(cdb, 10, buffer);
}

Test(scsi, unmap)
{
	memset(memory.data, 0x55, BLOCKS * 512);
	put_descriptor(0, 8, 8);
	put_descriptor(1, 100, 0);
	put_descriptor(2, BLOCKS - 1, 1);
	unmap(8 + 48, 48, 8 + 48);
	expect_good(56);
	cr_assert_eq(memory.count[BLOCK_UNMAP], 2);
	cr_assert_eq(memory.data[8 * 512 - 1], 0x55);
	cr_assert_eq(memory.data[8 * 512], 0);
	cr_assert_eq(memory.data[16 * 512 - 1], 0);
	cr_assert_eq(memory.data[16 * 512], 0x55);
	cr_assert_eq(memory.data[BLOCKS * 512 - 1], 0);
}

Test(scsi, unmap_many_without_recursion)
{
	for (uint32_t i = 0; i < 255; i++)
		put_descriptor(i, i, 1);
	unmap(8 + 255 * 16, 255 * 16, 4096);
	expect_good(8 + 255 * 16);
	cr_assert_eq(memory.count[BLOCK_UNMAP], 255);
}

Test(scsi, unmap_errors)
{
	put_descriptor(0, 0, 1);
	put_descriptor(1, BLOCKS, 1);
	unmap(40, 32, 40);
	expect_sense(0x052100);
	put_descriptor(1, UINT64_MAX, UINT32_MAX);
	unmap(40, 32, 40);
	expect_sense(0x052600);
	put_descriptor(1, UINT64_MAX, 2);
	unmap(40, 32, 40);
	expect_sense(0x052100);
	unmap(40, 33, 40); // claims more than the list
	expect_sense(0x051A00);
	unmap(7, 0, 40);
	expect_sense(0x051A00);
	unmap(40, 32, 39); // buffer shorter than the list
	expect_sense(0x052400);
	unmap(5000, 32, 5000); // more than any list of ours
	expect_sense(0x052400);
	unmap(0, 0, 0);
	expect_good(0);
	RUN(24, 0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0); // ANCHOR
	expect_sense(0x052400);
	cr_assert_eq(memory.count[BLOCK_UNMAP], 0); // nothing was done by any
}

Test(scsi, write_same_of_zeroes)
{
	memset(memory.data, 0x55, BLOCKS * 512);
	memset(data, 0, 512);
	RUN(512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0); // with UNMAP
	expect_good(512);
	cr_assert_eq(memory.count[BLOCK_WRITE_ZEROES], 1);
	cr_assert_eq(memory.last_flags, BLOCK_REQUEST_MAY_UNMAP);
	cr_assert_eq(memory.data[4 * 512], 0);
	cr_assert_eq(memory.data[260 * 512], 0x55);
	RUN(0, 0x93, 0x01, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0); // NDOB
	expect_good(0);
	cr_assert_eq(memory.last_flags, 0);
	cr_assert_eq(memory.data[0x400 * 512], 0);
}

static void check_pattern(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		cr_assert_eq(memcmp(memory.data + (first + i) * 512, data, 512), 0, "block %u", i);
}

Test(scsi, write_same_of_a_pattern)
{
	for (int i = 0; i < 512; i++)
		data[i] = (uint8_t)(i + 1);
	RUN(512, 0x41, 0, 0, 0, 0, 8, 0, 0x02, 0x01, 0); // 513 blocks: three pieces
	expect_good(512);
	cr_assert_eq(memory.count[BLOCK_WRITE], 3);
	check_pattern(8, 513);
	cr_assert_eq(memory.data[521 * 512], 0);
}

Test(scsi, write_same_falls_back)
{
	memory.no_zeroing = true;
	memory.deferred = true;
	memset(memory.data, 0x55, BLOCKS * 512);
	memset(data, 0, 512);
	start((const uint8_t[]){ 0x41, 0, 0, 0, 0, 8, 0, 0, 5, 0 }, 10, 512);
	for (int i = 0; i < 2; i++) { // zeroing, then the pattern
		take_steps();
		cr_assert_eq(memory_disk_run(&memory, 100), 1);
	}
	take_steps();
	cr_assert_eq(done_count, 1);
	expect_good(512);
	check_pattern(8, 5);
	cr_assert_eq(memory.data[13 * 512], 0x55);
}

Test(scsi, write_same_errors)
{
	RUN(512, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0); // 0 blocks: WSNZ
	expect_sense(0x052400);
	RUN(511, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0); // less than a block
	expect_sense(0x052400);
	RUN(512, 0x93, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0); // ANCHOR
	expect_sense(0x052400);
	RUN(512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0); // above the limit
	expect_sense(0x052400);
	RUN(512, 0x41, 1, 0, 0, 0, 0, 0, 0, 1, 0); // NDOB, but only the long form has it
	expect_sense(0x052400);
	memset(data, 1, 512);
	memory.fail = BLOCK_ERROR_NO_SPACE;
	RUN(512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x072707);
}

Test(scsi, unknown_and_short_commands)
{
	static const uint8_t unknown[] = { 0x01, 0x15, 0x55, 0x5E, 0x5F, 0x7F, 0xA3, 0xFF };

	for (size_t i = 0; i < sizeof(unknown); i++) {
		run((const uint8_t[16]){ unknown[i] }, 16, 0);
		expect_sense(0x052000);
	}
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1); // 9 bytes
	expect_sense(0x052400);
	run((const uint8_t[16]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 17, 512);
	expect_sense(0x052400);
	RUN(0, 0x00);
	expect_sense(0x052400);
}

Test(scsi_bare, read_only)
{
	static const uint8_t writes[][16] = { { 0x0A, 0, 0, 0, 1 }, { 0x2A, [8] = 1 },
		{ 0xAA, [9] = 1 }, { 0x8A, [13] = 1 }, { 0x41, [8] = 1 }, { 0x93, [13] = 1 },
		{ 0x42, [8] = 24 } };

	make(BLOCKS, 512, BLOCK_DEVICE_READ_ONLY);
	for (size_t i = 0; i < sizeof(writes) / 16; i++) {
		run(writes[i], 16, 512);
		expect_sense(0x072700);
	}
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_good(512);
	RUN(4, 0x1A, 0, 0x3F, 0, 4, 0);
	cr_assert_eq(data[2], 0x90);
	RUN(0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(0);
}

Test(scsi, backend_errors)
{
	static const struct {
		int fail;
		uint32_t read, write;
	} errors[] = {
		{ BLOCK_ERROR_IO, 0x031100, 0x030C00 },
		{ BLOCK_ERROR_NO_SPACE, 0x072707, 0x072707 },
		{ BLOCK_ERROR_READ_ONLY, 0x072700, 0x072700 },
		{ BLOCK_ERROR_UNSUPPORTED, 0x052000, 0x052000 },
		{ BLOCK_ERROR_INVALID, 0x052400, 0x052400 },
		{ BLOCK_ERROR_GONE, 0x023A00, 0x023A00 },
		{ -99, 0x031100, 0x030C00 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		memory.fail = errors[i].fail;
		RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_sense(errors[i].read);
		RUN(512, 0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_sense(errors[i].write);
	}
	memory.fail = BLOCK_ERROR_BUSY;
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	cr_assert_eq(command->status, SCSI_STATUS_BUSY);
	cr_assert_eq(command->transferred, 0);
	memory.fail = BLOCK_ERROR_IO;
	RUN(0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_sense(0x030C00);
}

Test(scsi, chain_stops_at_an_error)
{
	memory.deferred = true;
	put_descriptor(0, 0, 1);
	put_descriptor(1, 1, 1);
	put_descriptor(2, 2, 1);
	memcpy(data, "\0\x36\0\x30", 4);
	start((const uint8_t[]){ 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0 }, 10, 56);
	take_steps();
	cr_assert_eq(memory_disk_run(&memory, 1), 1);
	memory.fail = BLOCK_ERROR_IO;
	take_steps();
	cr_assert_eq(memory_disk_run(&memory, 100), 1);
	cr_assert_eq(done_count, 1);
	expect_sense(0x030C00);
}

Test(scsi, cancelled_chain_ends_early)
{
	memory.deferred = true;
	start((const uint8_t[]){ 0x2F, 0, 0, 0, 0, 0, 0, 2, 0, 0 }, 10, 0);
	take_steps();
	scsi_cancel(command);
	cr_assert_eq(memory_disk_run(&memory, 100), 1); // and not 2
	cr_assert_eq(done_count, 1);
	expect_sense(0x0B0000);
}

Test(scsi, cancelled_between_two_steps)
{
	start((const uint8_t[]){ 0x2F, 0, 0, 0, 0, 0, 0, 2, 0, 0 }, 10, 0);
	cr_assert(scsi_adapter_step(&adapter, 1));
	scsi_cancel(command);
	cr_assert_eq(done_count, 0);
	cr_assert(!scsi_adapter_step(&adapter, 1));
	cr_assert_eq(done_count, 1);
	cr_assert_eq(memory.count[BLOCK_READ], 1);
	expect_sense(0x0B0000);
}

// However much one command asks for: the backend gets no more than a step at a time, also if it
// completes at once.
Test(scsi_bare, long_commands_go_step_by_step)
{
	static const struct {
		uint8_t cdb[16];
		uint32_t flags; // of the disk
		enum block_op op;
		uint32_t data, steps;
		uint64_t longest;
	} cases[] = {
		// 64 MiB of a pattern, and of zeroes that the disk has no other way for.
		{ { 0x93, [11] = 2 }, 0, BLOCK_WRITE, 512, 512, SCSI_STEP_DATA },
		{ { 0x93, 0x01, [11] = 2 }, 0, BLOCK_WRITE, 0, 512, SCSI_STEP_DATA },
		// 160 MiB from block 2048 on: up to 64, 128 and 160 MiB.
		{ { 0x93, 0x01, [8] = 8, [11] = 5 }, BLOCK_DEVICE_CAN_ZERO, BLOCK_WRITE_ZEROES, 0,
			3, SCSI_STEP_RANGE },
		{ { 0x42, [8] = 24 }, BLOCK_DEVICE_CAN_UNMAP, BLOCK_UNMAP, 24, 3, SCSI_STEP_RANGE },
		{ { 0x8F, [12] = 2 }, 0, BLOCK_READ, 0, 2, SCSI_STEP_DATA },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make(400 << 11, 512, cases[i].flags);
		memory.discard_data = true;
		memset(data, 0, sizeof(data));
		put_descriptor(0, 2048, 160 << 11);
		data[1] = 22;
		data[3] = 16;
		start(cases[i].cdb, 16, cases[i].data);
		cr_assert_eq(done_count, 0);
		cr_assert_eq(memory.count[cases[i].op], 0);
		for (uint32_t step = 1; step <= cases[i].steps; step++) {
			cr_assert(scsi_adapter_step(&adapter, 1), "case %zu", i);
			cr_assert_eq(memory.count[cases[i].op], step, "case %zu", i);
		}
		cr_assert_eq(memory.longest, cases[i].longest, "case %zu", i);
		cr_assert(!scsi_adapter_step(&adapter, 1), "the end is a step as well");
		expect_good(cases[i].data);
		if (i + 1 < ARRAY_SIZE(cases))
			teardown();
	}
}

Test(scsi, no_lun)
{
	command->lun = 5;
	RUN(36, 0x12, 0, 0, 0, 36, 0);
	expect_good(36);
	cr_assert_eq(data[0], 0x7F);
	cr_assert_eq(data[2], 6); // or Linux would not ask for the list of LUNs
	RUN(36, 0x12, 1, 0, 0, 36, 0);
	expect_sense(0x052500);
	RUN(0, 0x00, 0, 0, 0, 0, 0);
	expect_sense(0x052500);
	cr_assert(command->no_lun);
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(0x052500);
	command->lun = 0;
	command->target = 1;
	RUN(0, 0x00, 0, 0, 0, 0, 0);
	cr_assert(command->no_lun);
	command->target = 0;
	command->path = 1;
	RUN(0, 0x00, 0, 0, 0, 0, 0);
	cr_assert(command->no_lun);
	command->path = 0;
	RUN(0, 0x00, 0, 0, 0, 0, 0);
	cr_assert_not(command->no_lun);
}

Test(scsi, report_luns)
{
	struct scsi_disk other = disk;

	cr_assert(scsi_adapter_attach(&adapter, 0, 0, 7, &other));
	cr_assert(scsi_adapter_attach(&adapter, 0, 1, 3, &other));
	cr_assert_not(scsi_adapter_attach(&adapter, 0, 0, 7, &other));
	RUN(4096, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0);
	expect_good(8 + 16);
	cr_assert_eq(memcmp(data, "\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0", 24), 0);
	RUN(16, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0); // the length is that of the whole list
	expect_good(16);
	cr_assert_eq(data[3], 16);
	RUN(64, 0xA0, 0, 1, 0, 0, 0, 0, 0, 0, 64, 0, 0); // well-known units: none
	expect_good(8);
	RUN(64, 0xA0, 0, 3, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	expect_sense(0x052400);
	RUN(64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0);
	expect_sense(0x052400);
	command->target = 1; // a target without LUN 0 answers too
	RUN(64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	expect_good(16);
	cr_assert_eq(data[9], 3);
	command->target = 0;
	cr_assert_eq(scsi_adapter_detach(&adapter, 0, 0, 0), &disk);
	cr_assert_null(scsi_adapter_detach(&adapter, 0, 0, 0));
	RUN(64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0);
	expect_good(16);
}

Test(scsi, adapter_fills_up)
{
	for (uint32_t lun = 1; lun < SCSI_ADAPTER_LUNS; lun++)
		cr_assert(scsi_adapter_attach(&adapter, 0, 0, (uint8_t)lun, &disk));
	cr_assert_not(scsi_adapter_attach(&adapter, 0, 0, 200, &disk));
	RUN(4096, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0);
	expect_good(8 + 8 * SCSI_ADAPTER_LUNS);
}

Test(scsi, kick_once_per_batch)
{
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	RUN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	cr_assert_eq(memory.kicks, 0);
	scsi_adapter_kick(&adapter);
	scsi_adapter_kick(&adapter);
	cr_assert_eq(memory.kicks, 1);
}

Test(scsi, disks_that_are_none)
{
	struct memory_disk bad;
	struct scsi_disk none;
	static const uint32_t sizes[] = { 0, 256, 513, 1536, 8192 };

	memory_disk_init(&bad, 8, 512, 0);
	for (size_t i = 0; i < 5; i++) {
		bad.device.block_size = sizes[i];
		cr_assert_not(scsi_disk_init(&none, &bad.device, &identity, 4096));
	}
	bad.device.block_size = 4096;
	cr_assert(scsi_disk_init(&none, &bad.device, &identity, 4096));
	bad.device.physical_block_size = 512;
	cr_assert_not(scsi_disk_init(&none, &bad.device, &identity, 4096));
	bad.device.physical_block_size = 4096;
	bad.device.block_count = 0;
	cr_assert_not(scsi_disk_init(&none, &bad.device, &identity, 4096));
	bad.device.block_count = UINT64_MAX / 4096 + 1;
	cr_assert_not(scsi_disk_init(&none, &bad.device, &identity, 4096));
	memory_disk_destroy(&bad);
}

Test(scsi_bare, blocks_of_4096)
{
	make(64, 4096, FLAGS_FULL);
	memory.data[63 * 4096] = 0x77;
	RUN(4096, 0x28, 0, 0, 0, 0, 63, 0, 0, 1, 0);
	expect_good(4096);
	cr_assert_eq(data[0], 0x77);
	RUN(4096, 0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0);
	expect_sense(0x052100);
	memset(data, 0x42, 4096);
	RUN(4096, 0x41, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	expect_good(4096);
	cr_assert_eq(memory.count[BLOCK_WRITE], 2);
	for (int i = 0; i < 64 * 4096; i++)
		cr_assert_eq(memory.data[i], 0x42);
}
