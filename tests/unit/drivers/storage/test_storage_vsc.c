// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC against the real VSP, through real rings: everything that a host and a kernel
// mean well with.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "lumen/storage.h"
#include "storage_host.h"

#define ALL_FLAGS                                                                                  \
	(BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES | BLOCK_DEVICE_CAN_ZERO |              \
		BLOCK_DEVICE_WRITE_CACHE)

static struct lumen_storage *storage;
static struct lumen_disk *disk;
static uint8_t *buffer; // BUFFER_SIZE bytes, page-aligned
#define BUFFER_SIZE (1u << 20)

static uint8_t *medium(uint64_t block)
{
	return storage_host.disks[0].data + block * 512;
}

static void open_with(const struct lumen_storage_config *config)
{
	cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0), config, &storage), LUMEN_OK);
	disk = lumen_storage_disk(storage, 0);
	cr_assert_not_null(disk);
}

static void create(void)
{
	storage_host_create(ALL_FLAGS, STORAGE_HOST_BLOCKS, 0);
	buffer = aligned_alloc(4096, BUFFER_SIZE);
	memset(buffer, 0xEE, BUFFER_SIZE);
}

static void create_open(void)
{
	create();
	open_with(NULL);
}

static void destroy(void)
{
	storage_host_destroy();
	free(buffer);
}

static void close_destroy(void)
{
	lumen_storage_close(storage);
	destroy();
}

TestSuite(vsc_open, .init = create, .fini = destroy);
TestSuite(vsc, .init = create_open, .fini = close_destroy);

// --- opening ---

Test(vsc, what_a_disk_is_like)
{
	cr_assert_null(lumen_storage_find(NULL, 1));
	cr_assert_null(lumen_storage_disk(storage, 1));
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	cr_assert_null(lumen_storage_failure(storage));
	cr_assert_eq(lumen_storage_version(storage), VSTOR_VERSION_6_2);
	cr_assert_eq(lumen_storage_max_transfer(storage), 256 << 10);
	cr_assert_eq(lumen_storage_channels(storage), 1);
	cr_assert_eq(disk->blocks, STORAGE_HOST_BLOCKS);
	cr_assert_eq(disk->block_size, 512);
	cr_assert_eq(disk->physical_block_size, 4096);
	cr_assert_eq(disk->max_transfer, 256 << 10);
	cr_assert_eq(disk->unmap_granularity, 4096);
	cr_assert(disk->present && !disk->read_only && disk->write_cache && disk->can_unmap);
	cr_assert(disk->can_write_same && disk->unmap_zeroes);
	cr_assert_str_eq(disk->vendor, "Lumen");
	cr_assert_str_eq(disk->product, "Virtual Disk");
	cr_assert_str_eq(disk->revision, "1.0");
	cr_assert_str_eq(disk->serial, "S-0001");
}

Test(vsc_open, a_plain_disk)
{
	storage_host.scsi[0].identity.serial[0] = '\0';
	storage_host.disks[0].device.flags = BLOCK_DEVICE_READ_ONLY;
	storage_host.scsi[0].max_transfer_blocks = 100;
	open_with(NULL);
	cr_assert_str_eq(disk->serial, "");
	cr_assert(disk->read_only && !disk->write_cache && !disk->can_unmap);
	cr_assert_eq(disk->max_transfer, 51200);
	cr_assert_eq(lumen_disk_read(disk, 0, 250, buffer), LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(0), 250 * 512), 0);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], 3);
	cr_assert_eq(lumen_disk_write(disk, 0, 1, buffer), LUMEN_READ_ONLY);
	cr_assert_eq(lumen_disk_write_same(disk, 0, 1, buffer), LUMEN_READ_ONLY);
	cr_assert_eq(lumen_disk_unmap(disk, 0, 1), LUMEN_NOT_SUPPORTED);
	lumen_storage_close(storage);
}

Test(vsc_open, every_version_that_is_asked_for)
{
	static const uint16_t versions[] = { VSTOR_VERSION_2_0, VSTOR_VERSION_4_2,
		VSTOR_VERSION_5_1, VSTOR_VERSION_6_0, VSTOR_VERSION_6_2 };

	for (size_t i = 0; i < 5; i++) {
		open_with(&(struct lumen_storage_config){ .max_version = versions[i] });
		cr_assert_eq(lumen_storage_version(storage), versions[i]);
		cr_assert_eq(lumen_disk_read(disk, 10 + i, 9, buffer), LUMEN_OK);
		cr_assert_eq(memcmp(buffer, medium(10 + i), 9 * 512), 0);
		cr_assert_eq(
			rig.channels[0].sent_length, versions[i] >= VSTOR_VERSION_5_1 ? 64 : 48);
		cr_assert_eq(lumen_disk_write(disk, 20, 1, buffer), LUMEN_OK);
		cr_assert_eq(lumen_disk_unmap(disk, 30, 1), LUMEN_OK);
		lumen_storage_close(storage);
	}
}

Test(vsc_open, every_version_of_a_host)
{
	static const uint16_t versions[] = { VSTOR_VERSION_2_0, VSTOR_VERSION_4_2,
		VSTOR_VERSION_5_1, VSTOR_VERSION_6_0, VSTOR_VERSION_6_2 };

	for (size_t i = 0; i < 5; i++) {
		storage_host.newest = versions[i];
		open_with(NULL);
		cr_assert_eq(lumen_storage_version(storage), versions[i]);
		cr_assert_eq(lumen_disk_read(disk, i, 1, buffer), LUMEN_OK);
		cr_assert_eq(memcmp(buffer, medium(i), 512), 0);
		lumen_storage_close(storage);
	}
	storage_host.newest = 1;
	cr_assert_eq(
		lumen_storage_open(lumen_storage_find(NULL, 0), NULL, &storage), LUMEN_REFUSED);
}

Test(vsc_open, bad_configurations)
{
	const uint32_t vps[17] = { 0 };
	const struct lumen_storage_config bad[] = {
		{ .depth = LUMEN_STORAGE_MAX_DEPTH + 1 },
		{ .max_transfer = 5000 },
		{ .max_transfer = LUMEN_STORAGE_MAX_TRANSFER + 4096 },
		{ .vp_count = 1 },
		{ .vps = vps },
		{ .vps = vps, .vp_count = 2 },
		{ .vps = vps, .vp_count = 17, .bus = (void *)&storage },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0), &bad[i], &storage),
			LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_storage_open(NULL, NULL, &storage), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(rig.runs, 0);
}

Test(vsc_open, no_disk_is_no_error)
{
	scsi_adapter_detach(&storage_host.adapter, 0, 0, 0);
	cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0), NULL, &storage), LUMEN_OK);
	cr_assert_null(lumen_storage_disk(storage, 0));
	lumen_storage_close(storage);
}

// --- the blocking calls ---

static void all_operations(void)
{
	uint8_t *pattern = buffer + 65536;

	cr_assert_eq(lumen_disk_read(disk, 100, 64, buffer), LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(100), 64 * 512), 0);
	cr_assert_eq(lumen_disk_write(disk, 300, 64, buffer), LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(300), 64 * 512), 0);
	cr_assert_eq(lumen_disk_flush(disk), LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_FLUSH], 1);
	cr_assert_eq(lumen_disk_unmap(disk, 301, 2), LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_UNMAP], 1);
	cr_assert_eq(memcmp(buffer, medium(300), 512), 0);
	cr_assert_eq(memcmp(medium(301), medium(302), 512), 0);
	cr_assert_eq(medium(301)[7], 0);
	cr_assert_eq(memcmp(buffer + 1536, medium(303), 512), 0);
	memset(pattern, 0x5C, 512);
	cr_assert_eq(lumen_disk_write_same(disk, 310, 4, pattern), LUMEN_OK);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(memcmp(pattern, medium(310 + i), 512), 0);
	cr_assert_eq(memcmp(buffer + 14 * 512, medium(314), 512), 0);
}

Test(vsc, with_interrupts)
{
	all_operations();
}

Test(vsc, without_interrupts)
{
	rig.interrupts = false;
	all_operations();
}

Test(vsc_open, without_interrupts_from_the_beginning)
{
	rig.interrupts = false;
	open_with(NULL);
	all_operations();
	lumen_storage_close(storage);
}

Test(vsc, what_cannot_be_is_not_sent)
{
	const uint32_t runs = rig.runs;

	cr_assert_eq(lumen_disk_read(disk, STORAGE_HOST_BLOCKS, 1, buffer), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(lumen_disk_read(disk, STORAGE_HOST_BLOCKS - 1, 2, buffer), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(lumen_disk_read(disk, 1, UINT64_MAX, buffer), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(lumen_disk_read(disk, UINT64_MAX, 1, buffer), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(lumen_disk_unmap(disk, 0, STORAGE_HOST_BLOCKS + 1), LUMEN_OUT_OF_RANGE);
	cr_assert_eq(lumen_disk_read(disk, 0, 0, buffer), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_disk_unmap(disk, 0, 0), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(rig.runs, runs);
	cr_assert_eq(lumen_disk_read(disk, STORAGE_HOST_BLOCKS - 1, 1, buffer), LUMEN_OK);
}

// --- requests ---

struct track {
	struct lumen_request request;
	struct lumen_segment segments[24];
	uint32_t done;
	uint32_t order;
};

static struct track tracks[256];
static uint32_t done_count;

static void on_done(struct lumen_request *request)
{
	struct track *track = request->context;

	track->done++;
	track->order = ++done_count;
}

static struct track *prepare(
	uint32_t index, enum lumen_operation operation, uint64_t block, uint64_t count, void *data)
{
	struct track *track = &tracks[index];

	*track = (struct track){ .request = {
					 .disk = disk,
					 .operation = operation,
					 .block = block,
					 .count = count,
					 .segments = track->segments,
					 .segment_count = data != NULL,
					 .done = on_done,
					 .context = track,
				 } };
	track->segments[0] = (struct lumen_segment){ .data = data, .length = count * 512 };
	return track;
}

static void submit(struct track *track)
{
	cr_assert_eq(lumen_storage_submit(&track->request), LUMEN_OK);
}

static void expect_done(const struct track *track, lumen_status status)
{
	cr_assert_eq(track->done, 1);
	cr_assert_eq(track->request.status, status, "%x", track->request.status);
}

static void run(void)
{
	while (rig_run())
		;
}

Test(vsc, a_request)
{
	struct track *track = prepare(0, LUMEN_READ, 7, 8, buffer);

	submit(track);
	cr_assert_eq(track->done, 0);
	run();
	expect_done(track, LUMEN_OK);
	cr_assert_eq(track->request.transferred, 4096);
	cr_assert_eq(track->request.sense_length, 0);
	cr_assert_eq(memcmp(buffer, medium(7), 4096), 0);
}

Test(vsc, a_request_with_interrupts_off)
{
	const uint64_t state = lumen_irq_save();

	rig.interrupts = false;
	submit(prepare(0, LUMEN_READ, 7, 8, buffer));
	run();
	cr_assert_eq(tracks[0].done, 0);
	cr_assert(lumen_storage_poll(storage));
	cr_assert_not(lumen_storage_poll(storage));
	expect_done(&tracks[0], LUMEN_OK);
	cr_assert(rig_irq_off);
	lumen_irq_restore(state);
}

Test(vsc, fua)
{
	struct track *track = prepare(0, LUMEN_WRITE, 7, 1, buffer);

	track->request.flags = LUMEN_REQUEST_FUA;
	submit(track);
	run();
	expect_done(track, LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].last_flags, BLOCK_REQUEST_FUA);
}

Test(vsc, memory_by_its_physical_address)
{
	struct track *track = prepare(0, LUMEN_READ, 3, 20, NULL);

	track->segments[0] =
		(struct lumen_segment){ .gpa = lumen_gpa(buffer + 24), .length = 20 * 512 };
	track->request.segment_count = 1;
	submit(track);
	run();
	expect_done(track, LUMEN_OK);
	cr_assert_eq(memcmp(buffer + 24, medium(3), 20 * 512), 0);
	cr_assert_eq(buffer[23], 0xEE);
	cr_assert_eq(buffer[24 + 20 * 512], 0xEE);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], 1);
}

// Segments at every kind of offset: the data arrive in their order, in as many commands as there
// are gaps, and nothing beside them is touched.
struct layout {
	uint32_t commands;
	uint32_t count;
	struct {
		uint32_t offset, length;
	} segments[6];
};

static const struct layout layouts[] = {
	{ 1, 1, { { 0, 8192 } } },
	{ 1, 1, { { 1, 8192 } } },
	{ 1, 1, { { 4095, 512 } } },
	{ 1, 1, { { 3584, 1024 } } },
	{ 1, 2, { { 2048, 2048 }, { 8192, 2048 } } },
	{ 1, 2, { { 4000, 96 }, { 8192, 416 } } }, // a block in two pages
	{ 1, 3, { { 100, 3996 }, { 20480, 4096 }, { 12288, 612 } } },
	{ 2, 2, { { 0, 512 }, { 512, 512 } } },
	{ 2, 2, { { 8192, 4096 }, { 100, 1024 } } },
	{ 3, 3, { { 7, 512 }, { 4099, 512 }, { 9001, 512 } } },
	{ 3, 4, { { 513, 1536 }, { 8193, 512 }, { 12300, 4084 }, { 20480, 12 } } },
	{ 2, 5, { { 4096, 4096 }, { 0, 4096 }, { 12288, 4096 }, { 8192, 512 }, { 16384, 512 } } },
};

static struct track *prepare_layout(
	const struct layout *layout, enum lumen_operation operation, uint64_t block)
{
	struct track *track = prepare(0, operation, block, 0, buffer);
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < layout->count; i++) {
		track->segments[i] = (struct lumen_segment){
			.data = buffer + layout->segments[i].offset,
			.length = layout->segments[i].length,
		};
		bytes += layout->segments[i].length;
	}
	track->request.segment_count = layout->count;
	track->request.count = bytes / 512;
	return track;
}

static void check_layout(const struct layout *layout, uint64_t block)
{
	static uint8_t expected[65536];
	const uint8_t *at = medium(block);

	memset(expected, 0xEE, sizeof(expected));
	for (uint32_t i = 0; i < layout->count; i++) {
		memcpy(expected + layout->segments[i].offset, at, layout->segments[i].length);
		at += layout->segments[i].length;
	}
	cr_assert_eq(memcmp(buffer, expected, sizeof(expected)), 0);
}

Test(vsc, scatter)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct track *track = prepare_layout(&layouts[i], LUMEN_READ, 50 * i);

		memset(buffer, 0xEE, 65536);
		storage_host.disks[0].count[BLOCK_READ] = 0;
		submit(track);
		run();
		expect_done(track, LUMEN_OK);
		check_layout(&layouts[i], 50 * i);
		cr_assert_eq(
			storage_host.disks[0].count[BLOCK_READ], layouts[i].commands, "%zu", i);
	}
}

Test(vsc, gather)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct track *track = prepare_layout(&layouts[i], LUMEN_WRITE, 50 * i);
		static uint8_t before[512], after[512];

		memset(buffer, 0xEE, 65536);
		for (uint32_t k = 0; k < layouts[i].count; k++)
			memset(buffer + layouts[i].segments[k].offset, (int)(i * 8 + k),
				layouts[i].segments[k].length);
		memcpy(before, medium(1000 - 1), 512);
		memcpy(after, medium(1000 + track->request.count), 512);
		track->request.block = 1000;
		submit(track);
		run();
		expect_done(track, LUMEN_OK);
		check_layout(&layouts[i], 1000);
		cr_assert_eq(memcmp(before, medium(999), 512), 0);
		cr_assert_eq(memcmp(after, medium(1000 + track->request.count), 512), 0);
	}
}

Test(vsc, segments_that_do_not_fit)
{
	static const struct layout bad[] = {
		{ 0, 2, { { 0, 100 }, { 100, 412 } } },
		{ 0, 2, { { 0, 512 }, { 4096, 0 } } },
		{ 0, 2, { { 4000, 96 }, { 8193, 416 } } },
		{ 0, 2, { { 0, 256 }, { 4096, 256 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct track *track = prepare_layout(&bad[i], LUMEN_READ, 0);

		cr_assert_eq(lumen_storage_submit(&track->request), LUMEN_BAD_ARGUMENT);
		cr_assert_eq(track->done, 0);
	}
	prepare(0, LUMEN_READ, 0, 2, buffer)->segments[0].length = 1023;
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
	tracks[0].segments[0].length = 1536;
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
	prepare(0, LUMEN_FLUSH, 0, 0, buffer);
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
	prepare(0, LUMEN_UNMAP, 0, 1, buffer);
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
	prepare(0, (enum lumen_operation)17, 0, 1, buffer);
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
	prepare(0, LUMEN_SCSI, 0, 1, buffer);
	cr_assert_eq(lumen_storage_submit(&tracks[0].request), LUMEN_BAD_ARGUMENT);
}

Test(vsc_open, large_requests_are_split)
{
	for (uint32_t offset = 0; offset < 4096; offset += 1365) {
		struct track *track;

		open_with(&(struct lumen_storage_config){ .max_transfer = 16 << 10, .depth = 3 });
		cr_assert_eq(lumen_storage_max_transfer(storage), 16 << 10);
		storage_host.disks[0].count[BLOCK_READ] = 0;
		track = prepare(0, LUMEN_READ, 5, 1000, buffer + offset);
		submit(track);
		run();
		expect_done(track, LUMEN_OK);
		cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], (1000 * 512 + 16383) / 16384);
		cr_assert_eq(memcmp(buffer + offset, medium(5), 1000 * 512), 0);
		cr_assert_eq(track->request.transferred, 1000 * 512);
		lumen_storage_close(storage);
	}
}

Test(vsc_open, a_large_transfer_in_one_command)
{
	storage_host.config.max_transfer_bytes = 1 << 20;
	storage_host.scsi[0].max_transfer_blocks = 2048;
	open_with(NULL);
	storage_host.disks[0].count[BLOCK_WRITE] = 0;
	for (uint32_t i = 0; i < BUFFER_SIZE; i++)
		buffer[i] = (uint8_t)(i * 7 + i / 4096);
	cr_assert_eq(lumen_disk_write(disk, 1, 2047, buffer + 512), LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_WRITE], 1);
	cr_assert_eq(memcmp(buffer + 512, medium(1), 2047 * 512), 0);
	lumen_storage_close(storage);
}

Test(vsc, unmap_and_write_same_are_split)
{
	memset(buffer, 0, 512);
	disk->max_unmap = 100;
	disk->max_write_same = 30;
	cr_assert_eq(lumen_disk_unmap(disk, 10, 1001), LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_UNMAP], 11);
	for (uint32_t i = 0; i < 1001 * 512; i++)
		cr_assert_eq(medium(10)[i], 0);
	cr_assert_neq(medium(9)[511], 0);
	cr_assert_neq(medium(1011)[9], 0);
	cr_assert_eq(lumen_disk_write_same(disk, 2000, 100, buffer), LUMEN_OK);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_WRITE_ZEROES], 4);
	for (uint32_t i = 0; i < 100 * 512; i++)
		cr_assert_eq(medium(2000)[i], 0);
	cr_assert_neq(medium(2100)[9], 0);
}

// --- many at once ---

Test(vsc_open, more_requests_than_slots)
{
	open_with(&(struct lumen_storage_config){ .depth = 5 });
	storage_host.disks[0].deferred = true;
	for (uint32_t i = 0; i < 40; i++)
		submit(prepare(i, LUMEN_READ, i * 3, 2, buffer + i * 1024));
	for (uint32_t i = 0; i < 40; i++) {
		run();
		cr_assert_eq(storage_host.disks[0].waiting, 40 - i < 5 ? 40 - i : 5);
		cr_assert_eq(tracks[i].done, 0);
		memory_disk_run(&storage_host.disks[0], 1);
		run();
		expect_done(&tracks[i], LUMEN_OK);
		cr_assert_eq(memcmp(buffer + i * 1024, medium(i * 3), 1024), 0);
	}
	lumen_storage_close(storage);
}

Test(vsc_open, a_ring_too_small_for_the_depth)
{
	rig.complete = 3;
	open_with(&(struct lumen_storage_config){
		.depth = 200, .send_pages = 1, .receive_pages = 1 });
	storage_host.disks[0].deferred = true;
	for (uint32_t i = 0; i < 200; i++)
		submit(prepare(i, LUMEN_READ, i, 64, buffer + i % 16 * 32768));
	cr_assert_gt(rig.channels[0].signals, 0);
	run();
	for (uint32_t i = 0; i < 200; i++) {
		expect_done(&tracks[i], LUMEN_OK);
		cr_assert_eq(tracks[i].order, i + 1);
	}
	lumen_storage_close(storage);
}

Test(vsc_open, a_host_with_fewer_slots)
{
	storage_host.config.slot_count = 1;
	open_with(NULL);
	for (uint32_t i = 0; i < 100; i++)
		submit(prepare(i, LUMEN_READ, i, 1, buffer + i * 512));
	run();
	for (uint32_t i = 0; i < 100; i++)
		expect_done(&tracks[i], LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(0), 51200), 0);
	lumen_storage_close(storage);
}

Test(vsc, a_batch_is_one_signal)
{
	const uint32_t signals = rig.channels[0].signals;

	for (uint32_t i = 0; i < 20; i++) {
		prepare(i, LUMEN_READ, i, 1, buffer + i * 512);
		cr_assert_eq(lumen_storage_queue(&tracks[i].request), LUMEN_OK);
	}
	run();
	cr_assert_eq(tracks[0].done, 0);
	lumen_storage_kick(storage);
	lumen_storage_kick(storage);
	cr_assert_eq(rig.channels[0].signals, signals + 1);
	run();
	for (uint32_t i = 0; i < 20; i++)
		expect_done(&tracks[i], LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(0), 20 * 512), 0);
}

static uint32_t resubmits;

static void submit_again(struct lumen_request *request)
{
	cr_assert_eq(request->status, LUMEN_OK);
	request->block++;
	if (++resubmits % 1000 != 0)
		cr_assert_eq(lumen_storage_submit(request), LUMEN_OK);
}

Test(vsc, done_submits_again)
{
	struct lumen_request *request = &prepare(0, LUMEN_READ, 0, 1, buffer)->request;

	request->done = submit_again;
	cr_assert_eq(lumen_storage_submit(request), LUMEN_OK);
	run();
	cr_assert_eq(resubmits, 1000);
	cr_assert_eq(memcmp(buffer, medium(999), 512), 0);
}

static void submit_once_more(struct lumen_request *request)
{
	request->done = on_done;
	cr_assert_eq(lumen_storage_submit(request), LUMEN_OK);
}

// The host is told once of all that is submitted while it is answered.
Test(vsc, submits_in_done_are_a_batch)
{
	const uint32_t flushes = rig.channels[0].flushes;

	for (uint32_t i = 0; i < 20; i++) {
		prepare(i, LUMEN_READ, i, 1, buffer + i * 512)->request.done = submit_once_more;
		cr_assert_eq(lumen_storage_queue(&tracks[i].request), LUMEN_OK);
	}
	lumen_storage_kick(storage);
	run();
	cr_assert_eq(rig.channels[0].flushes, flushes + 2);
	for (uint32_t i = 0; i < 20; i++)
		expect_done(&tracks[i], LUMEN_OK);
}

static void free_request(struct lumen_request *request)
{
	done_count++;
	memset(request, 0x5A, sizeof(*request));
	free(request);
}

Test(vsc, done_gives_the_memory_back)
{
	for (uint32_t i = 0; i < 200; i++) {
		struct lumen_request *request = malloc(sizeof(*request));

		*request = (struct lumen_request){
			.disk = disk, .operation = LUMEN_FLUSH, .done = free_request
		};
		cr_assert_eq(lumen_storage_submit(request), LUMEN_OK);
	}
	run();
	cr_assert_eq(done_count, 200);
}

// --- errors of the disk ---

Test(vsc, errors_have_sense)
{
	static const struct {
		int error;
		lumen_status status;
		uint32_t sense;
	} errors[] = {
		{ BLOCK_ERROR_IO, LUMEN_IO_ERROR, SCSI_SENSE_READ_ERROR },
		{ BLOCK_ERROR_READ_ONLY, LUMEN_READ_ONLY, SCSI_SENSE_WRITE_PROTECTED },
		{ BLOCK_ERROR_NO_SPACE, LUMEN_IO_ERROR, SCSI_SENSE_NO_SPACE },
		{ BLOCK_ERROR_BUSY, LUMEN_BUSY, 0 },
	};

	for (size_t i = 0; i < 4; i++) {
		struct lumen_request *request = &prepare(0, LUMEN_READ, 0, 1, buffer)->request;

		storage_host.disks[0].fail = errors[i].error;
		cr_assert_eq(lumen_disk_execute(request), errors[i].status);
		cr_assert_eq(lumen_request_sense(request), errors[i].sense, "%x",
			lumen_request_sense(request));
		if (!errors[i].sense)
			continue;
		cr_assert_eq(request->scsi_status, SCSI_STATUS_CHECK_CONDITION);
		cr_assert_eq(request->srb_status & 0x3F, VSTOR_SRB_STATUS_ERROR);
		cr_assert_eq(request->sense_length, SCSI_SENSE_LENGTH);
	}
	storage_host.disks[0].fail = 0;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_OK);
}

Test(vsc, sense_in_descriptor_format)
{
	struct lumen_request request = { .sense_length = 8, .sense = { 0x72, 0x03, 0x11, 0x04 } };

	cr_assert_eq(lumen_request_sense(&request), 0x031104);
	request.sense_length = 3;
	cr_assert_eq(lumen_request_sense(&request), 0);
}

// The first error ends a request that is split, and no more of it is sent.
Test(vsc_open, an_error_in_a_part)
{
	struct track *track, *next;

	open_with(&(struct lumen_storage_config){ .max_transfer = 4096, .depth = 4 });
	storage_host.disks[0].deferred = true;
	storage_host.disks[0].count[BLOCK_READ] = 0;
	track = prepare(0, LUMEN_READ, 0, 400, buffer);
	next = prepare(1, LUMEN_READ, 9, 1, buffer);
	submit(track);
	submit(next);
	run();
	memory_disk_run(&storage_host.disks[0], 2);
	run();
	storage_host.disks[0].fail = BLOCK_ERROR_IO;
	memory_disk_run(&storage_host.disks[0], 1);
	storage_host.disks[0].fail = 0;
	run();
	cr_assert_eq(track->done, 0); // three are in flight yet
	memory_disk_run(&storage_host.disks[0], UINT32_MAX);
	run();
	memory_disk_run(&storage_host.disks[0], UINT32_MAX);
	run();
	expect_done(track, LUMEN_IO_ERROR);
	expect_done(next, LUMEN_OK);
	cr_assert_eq(track->request.transferred, 5 * 4096);
	cr_assert_eq(storage_host.disks[0].count[BLOCK_READ], 7);
	lumen_storage_close(storage);
}

static uint32_t attentions;

// As many answers as `attentions` says that something about the disk has changed.
static void unit_attention(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (attentions == 0)
		return;
	attentions--;
	payload->srb.srb_status = VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID;
	payload->srb.scsi_status = SCSI_STATUS_CHECK_CONDITION;
	payload->srb.sense_info_length = 18;
	memset(payload->srb.sense_data, 0, 18);
	payload->srb.sense_data[0] = 0x70;
	payload->srb.sense_data[2] = 6;
	payload->srb.sense_data[12] = 0x29;
}

Test(vsc, unit_attention_is_asked_again)
{
	storage_host.tamper = unit_attention;
	attentions = 3;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_OK);
	attentions = 4;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_IO_ERROR);
}

Test(vsc, any_command)
{
	struct track *track = prepare(0, LUMEN_SCSI, 0, 1, buffer);

	track->request.flags = LUMEN_REQUEST_DATA_IN;
	track->request.cdb_length = 6;
	memcpy(track->request.cdb, (uint8_t[6]){ 0x12, 0, 0, 0, 64 }, 6);
	cr_assert_eq(lumen_disk_execute(&track->request), LUMEN_OK);
	cr_assert_eq(track->request.transferred, 64);
	cr_assert_eq(memcmp(buffer + 8, "Lumen   Virtual Disk", 20), 0);
	track->request.cdb[0] = 0xEE;
	cr_assert_eq(lumen_disk_execute(&track->request), LUMEN_IO_ERROR);
	cr_assert_eq(lumen_request_sense(&track->request), SCSI_SENSE_INVALID_OPERATION);
	track->request.segment_count = 0;
	track->request.cdb[0] = 0; // TEST UNIT READY
	cr_assert_eq(lumen_disk_execute(&track->request), LUMEN_OK);
}

// Beyond 2^32 blocks commands have 16 bytes.
Test(vsc, a_very_large_disk)
{
	struct vstor_packet sent;

	disk->blocks = 1ull << 40;
	cr_assert_eq(lumen_disk_read(disk, 0x1234567890, 3, buffer), LUMEN_OUT_OF_RANGE);
	memcpy(&sent, rig.channels[0].sent, sizeof(sent));
	cr_assert_eq(sent.srb.cdb_length, 16);
	cr_assert_eq(
		memcmp(sent.srb.cdb,
			(uint8_t[16]){ 0x88, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x90, 0, 0, 0, 3 },
			16),
		0);
}

// --- several disks ---

Test(vsc_open, several_luns)
{
	struct lumen_disk *other;

	storage_host_add_disk(1, 0, 5, 4096, BLOCK_DEVICE_READ_ONLY);
	storage_host_add_disk(2, 1, 63, 512, 0);
	open_with(NULL);
	cr_assert_eq(disk->lun, 0);
	other = lumen_storage_disk(storage, 1);
	cr_assert(other->target == 0 && other->lun == 5 && other->block_size == 4096);
	cr_assert(other->read_only && other->blocks == STORAGE_HOST_BLOCKS);
	cr_assert_eq(lumen_disk_read(other, 8, 3, buffer), LUMEN_OK);
	cr_assert_eq(memcmp(buffer, storage_host.disks[1].data + 8 * 4096, 3 * 4096), 0);
	other = lumen_storage_disk(storage, 2);
	cr_assert(other->target == 1 && other->lun == 63 && !other->can_unmap);
	cr_assert_eq(lumen_disk_read(other, 8, 3, buffer), LUMEN_OK);
	cr_assert_eq(memcmp(buffer, storage_host.disks[2].data + 8 * 512, 3 * 512), 0);
	cr_assert_null(lumen_storage_disk(storage, 3));
	lumen_storage_close(storage);
}

Test(vsc, disks_come_and_go)
{
	const uint32_t *changes = lumen_storage_changes(storage);
	const uint32_t seen = *changes;
	struct lumen_disk *other;

	storage_host_add_disk(1, 0, 1, 512, 0);
	storage_vsp_rescan(rig.channels[0].vsp);
	run();
	cr_assert_eq(*changes, seen + 1);
	cr_assert_null(lumen_storage_disk(storage, 1));
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_OK);
	other = lumen_storage_disk(storage, 1);
	cr_assert_not_null(other);

	scsi_adapter_detach(&storage_host.adapter, 0, 0, 0);
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_RESCINDED);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_OK);
	cr_assert_not(disk->present);
	cr_assert_eq(lumen_storage_disk(storage, 0), other);
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_RESCINDED);
	cr_assert_eq(lumen_disk_read(other, 0, 1, buffer), LUMEN_OK);

	cr_assert(scsi_adapter_attach(&storage_host.adapter, 0, 0, 0, &storage_host.scsi[0]));
	storage_host.disks[1].device.block_count = 100;
	cr_assert_eq(lumen_storage_scan(storage), LUMEN_OK);
	cr_assert_eq(lumen_storage_disk(storage, 0), disk);
	cr_assert_eq(other->blocks, 100);
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_OK);
}

// --- giving up and closing ---

Test(vsc_open, cancel)
{
	struct track *in_part, *waiting;

	open_with(&(struct lumen_storage_config){ .depth = 2, .max_transfer = 4096 });
	storage_host.disks[0].deferred = true;
	in_part = prepare(0, LUMEN_READ, 0, 40, buffer);
	waiting = prepare(1, LUMEN_READ, 0, 1, buffer);
	submit(in_part);
	submit(waiting);
	submit(prepare(2, LUMEN_READ, 1, 1, buffer + 8192));
	run();
	cr_assert(lumen_storage_cancel(&waiting->request));
	expect_done(waiting, LUMEN_CANCELLED);
	cr_assert_not(lumen_storage_cancel(&waiting->request));
	cr_assert(lumen_storage_cancel(&in_part->request));
	expect_done(in_part, LUMEN_CANCELLED);
	run();
	cr_assert_eq(tracks[2].done, 0); // the host has both slots
	memory_disk_run(&storage_host.disks[0], 2);
	run();
	memory_disk_run(&storage_host.disks[0], 1);
	run();
	expect_done(&tracks[2], LUMEN_OK);
	cr_assert_not(lumen_storage_cancel(&tracks[2].request));
	cr_assert_eq(memcmp(buffer + 8192, medium(1), 512), 0);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	lumen_storage_close(storage);
}

Test(vsc_open, close_waits_for_what_the_host_has)
{
	open_with(&(struct lumen_storage_config){ .depth = 2, .max_transfer = 4096 });
	storage_host.disks[0].deferred = true;
	submit(prepare(0, LUMEN_READ, 0, 8, buffer));
	submit(prepare(1, LUMEN_READ, 8, 40, buffer + 4096));
	submit(prepare(2, LUMEN_READ, 0, 8, buffer));
	rig.complete = 1;
	lumen_storage_close(storage);
	expect_done(&tracks[0], LUMEN_OK);
	expect_done(&tracks[1], LUMEN_CANCELLED);
	cr_assert_eq(tracks[1].request.transferred, 4096);
	expect_done(&tracks[2], LUMEN_CANCELLED);
	cr_assert_eq(memcmp(buffer, medium(0), 8192), 0);
}

Test(vsc_open, close_does_not_wait_for_ever)
{
	uint64_t began;

	open_with(&(struct lumen_storage_config){ .timeout_ns = 5000 });
	submit(prepare(0, LUMEN_READ, 0, 8, buffer));
	rig.mute = true;
	began = rig.now;
	lumen_storage_close(storage);
	expect_done(&tracks[0], LUMEN_CANCELLED);
	cr_assert_eq(rig.now - began, 5000);
}

Test(vsc_open, the_longest_timeout_is_not_over_at_once)
{
	open_with(&(struct lumen_storage_config){ .timeout_ns = UINT64_MAX });
	cr_assert_eq(lumen_disk_read(disk, 0, 8, buffer), LUMEN_OK);
	lumen_storage_close(storage);
}

Test(vsc, a_disk_that_takes_too_long)
{
	storage_host.disks[0].deferred = true;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_TIMED_OUT);
	cr_assert_eq(buffer[0], 0xEE);
	memory_disk_run(&storage_host.disks[0], 1);
	run(); // the answer comes late, and finds nobody
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK);
	storage_host.disks[0].deferred = false;
	cr_assert_eq(lumen_disk_read(disk, 0, 1, buffer), LUMEN_OK);
}

// --- sub-channels ---

static void many_channels(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload)
{
	if (storage_host.asked == VSTOR_OPERATION_QUERY_PROPERTIES) {
		payload->properties.flags = VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL;
		payload->properties.max_channel_count = 8;
	} else if (storage_host.asked == VSTOR_OPERATION_CREATE_SUB_CHANNELS) {
		payload->status = VSTOR_STATUS_SUCCESS;
		rig.offered_subs = RIG_CHANNELS - 1;
		storage_host.tamper = NULL;
	}
}

static const uint32_t three_vps[] = { 0, 1, 2 };

Test(vsc_open, sub_channels)
{
	storage_host.tamper = many_channels;
	open_with(&(struct lumen_storage_config){
		.vps = three_vps, .vp_count = 3, .bus = (void *)&storage });
	cr_assert_eq(lumen_storage_channels(storage), 3);
	storage_host.disks[0].deferred = true;
	for (uint32_t i = 0; i < 6; i++) {
		cr_assert_eq(rig.channels[i % 3].config.target_vp, i % 3);
		rig_vp = i;
		memset(rig.channels[i % 3].sent, 0, 64);
		submit(prepare(i, LUMEN_READ, i, 1, buffer + i * 512));
		cr_assert_eq(rig.channels[i % 3].sent[0], VSTOR_OPERATION_EXECUTE_SRB);
	}
	run();
	memory_disk_run(&storage_host.disks[0], 6);
	run();
	for (uint32_t i = 0; i < 6; i++)
		expect_done(&tracks[i], LUMEN_OK);
	cr_assert_eq(memcmp(buffer, medium(0), 6 * 512), 0);
	storage_host.disks[0].deferred = false;
	all_operations();
	lumen_storage_close(storage);
}

Test(vsc_open, sub_channels_that_do_not_come)
{
	static const uint32_t four_vps[] = { 0, 1, 2, 3 };

	storage_host.tamper = many_channels;
	open_with(&(struct lumen_storage_config){
		.vps = four_vps, .vp_count = 4, .bus = (void *)&storage, .timeout_ns = 100 });
	cr_assert_eq(lumen_storage_channels(storage), 3);
	all_operations();
	lumen_storage_close(storage);
}

Test(vsc_open, hosts_without_sub_channels)
{
	open_with(&(struct lumen_storage_config){
		.vps = three_vps, .vp_count = 3, .bus = (void *)&storage });
	cr_assert_eq(lumen_storage_channels(storage), 1);
	rig_vp = 2;
	all_operations();
	lumen_storage_close(storage);
}
