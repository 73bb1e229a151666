// SPDX-License-Identifier: BSD-2-Clause
// The whole way in one process: the storage VSC over the guest SDK's VMBus, the VMBus server, and
// the storage VSP; polled and with interrupts.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/vsp/storage/storage.h"
#include "guest_rig.h"
#include "lumen/storage.h"
#include "memory_disk.h"

#define BLOCKS	     4096u
#define BUFFER_PAGES 65u

// A SCSI controller with one disk, as a device of the rig.
struct controller {
	struct guest_rig_device *device;
	struct memory_disk disk;
	struct scsi_disk scsi;
	struct scsi_adapter adapter;
	struct vsp *vsp;
	uint32_t signals, rescind_at;
};

static struct controller controller;
static struct guest_rig *rig;
static struct lumen_vmbus *bus;
static struct lumen_storage *storage;
static struct lumen_disk *disk;
static uint8_t *buffer;

static void controller_poll(void)
{
	uint32_t flags;

	do {
		flags = vsp_poll(controller.vsp);
		cr_assert_not(flags & VSP_FAILED, "%s", vsp_failure(controller.vsp));
		if (flags & VSP_SIGNAL)
			guest_rig_signal(controller.device);
	} while (flags & VSP_AGAIN);
}

static bool controller_open(
	void *context, struct guest_rig_device *device, const struct guest_rig_open *open)
{
	const struct storage_vsp_config config = {
		.memory = guest_rig_memory(rig),
		.adapter = &controller.adapter,
		.slot_count = 64,
		.max_transfer_bytes = 128 << 10,
	};
	const struct vsp_rings rings = {
		.in_pages = open->in_pages,
		.in_page_count = open->in_page_count,
		.out_pages = open->out_pages,
		.out_page_count = open->out_page_count,
	};

	controller.device = device;
	controller.vsp = vsp_open(&storage_vsp_class,
		aligned_alloc(16, (vsp_size(&storage_vsp_class, &config, false) + 15) & ~15ul),
		&rings, &config);
	return true;
}

static void controller_close(void *context, struct guest_rig_device *device)
{
	vsp_stop(controller.vsp);
	memory_disk_run(&controller.disk, UINT32_MAX);
	cr_assert(vsp_idle(controller.vsp));
	free(controller.vsp);
	controller.vsp = NULL;
	guest_rig_closed(device);
}

static void controller_signalled(void *context, struct guest_rig_device *device)
{
	if (++controller.signals == controller.rescind_at)
		guest_rig_rescind(rig, device);
	else
		controller_poll();
}

static bool controller_run(void *context, struct guest_rig_device *device)
{
	if (!controller.vsp || memory_disk_run(&controller.disk, 3) == 0)
		return false;
	controller_poll();
	return true;
}

static const struct guest_rig_ops controller_ops = { controller_open, controller_close,
	controller_signalled, controller_run };

// --- each test: a bus with a controller ---

static void create(uint32_t vmbus_version, uint8_t vector)
{
	static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ",
		"S-0001", 1 };
	const struct vmbus_offer offer = { .interface_type = VSTOR_SCSI_GUID,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE };

	memset(&controller, 0, sizeof(controller));
	memory_disk_init(&controller.disk, BLOCKS, 512, BLOCK_DEVICE_CAN_UNMAP);
	for (uint32_t i = 0; i < BLOCKS * 512; i++)
		controller.disk.data[i] = (uint8_t)(i / 512 * 13 + i);
	cr_assert(scsi_disk_init(&controller.scsi, &controller.disk.device, &identity, 128 << 10));
	cr_assert(scsi_adapter_attach(&controller.adapter, 0, 0, 0, &controller.scsi));
	rig = guest_rig_create(vmbus_version);
	rig->old_host = vmbus_version < VMBUS_VERSION_5_0;
	cr_assert_not_null(guest_rig_offer(rig, &offer, &controller_ops, NULL));
	cr_assert_eq(guest_rig_connect(rig, vector, &bus), LUMEN_OK);
	buffer = lumen_alloc_pages(BUFFER_PAGES);
}

static lumen_status open(void)
{
	const struct lumen_storage_config config = { .timeout_ns = 1000000000 };
	const lumen_status status =
		lumen_storage_open(lumen_storage_find(bus, 0), &config, &storage);

	disk = status == LUMEN_OK ? lumen_storage_disk(storage, 0) : NULL;
	return status;
}

static void destroy(void)
{
	lumen_free_pages(buffer, BUFFER_PAGES);
	cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_OK);
	cr_assert_eq(rig->irq_depth, 0);
	cr_assert_eq(rig->violations, 0, "%s", vmbus_violation_name(rig->last_violation));
	cr_assert_eq(guest_rig_destroy(rig), 0, "memory is lost");
	memory_disk_destroy(&controller.disk);
}

static uint8_t vectors[] = { 0, GUEST_RIG_VECTOR };

#define BOTH_WAYS(suite, name)                                                                     \
	ParameterizedTestParameters(suite, name)                                                   \
	{                                                                                          \
		return cr_make_param_array(uint8_t, vectors, 2);                                   \
	}                                                                                          \
	ParameterizedTest(uint8_t *vector, suite, name)

BOTH_WAYS(vsc_vmbus, all_operations)
{
	create(VMBUS_VERSION_5_3, *vector);
	for (uint32_t turn = 0; turn < 3; turn++) {
		const uint64_t block = 100 * turn;

		cr_assert_eq(open(), LUMEN_OK);
		cr_assert_eq(disk->blocks, BLOCKS);
		cr_assert_eq(lumen_disk_read(disk, block, 512, buffer + 100), LUMEN_OK);
		cr_assert_eq(
			memcmp(buffer + 100, controller.disk.data + block * 512, 512 * 512), 0);
		cr_assert_eq(lumen_disk_write(disk, 2000, 300, buffer + 100), LUMEN_OK);
		cr_assert_eq(memcmp(buffer + 100, controller.disk.data + 2000 * 512, 300 * 512), 0);
		cr_assert_eq(lumen_disk_flush(disk), LUMEN_OK);
		cr_assert_eq(lumen_disk_unmap(disk, 2000, 10), LUMEN_OK);
		cr_assert_eq(lumen_disk_write_same(disk, 2010, 10, buffer), LUMEN_OK);
		cr_assert_eq(lumen_disk_read(disk, BLOCKS, 1, buffer), LUMEN_OUT_OF_RANGE);
		lumen_storage_close(storage);
	}
	destroy();
}

static const uint32_t versions[] = { VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
	VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1, VMBUS_VERSION_5_2 };

BOTH_WAYS(vsc_vmbus, every_version_of_the_bus)
{
	for (uint32_t i = 0; i < 7; i++) {
		create(versions[i], *vector);
		cr_assert_eq(open(), LUMEN_OK);
		cr_assert_eq(lumen_disk_read(disk, 9, 8, buffer), LUMEN_OK);
		cr_assert_eq(memcmp(buffer, controller.disk.data + 9 * 512, 4096), 0);
		lumen_storage_close(storage);
		destroy();
	}
}

// --- many requests ---

static struct lumen_request requests[400];
static struct lumen_segment segments[400];
static uint32_t done;

static void on_done(struct lumen_request *request)
{
	done += request->status == LUMEN_OK;
	request->count = 0;
}

static void submit_many(void)
{
	for (uint32_t i = 0; i < 400; i++) {
		segments[i] = (struct lumen_segment){ .data = buffer + i * 512, .length = 512 };
		requests[i] = (struct lumen_request){ .disk = disk,
			.operation = LUMEN_READ,
			.block = i,
			.count = 1,
			.segments = &segments[i],
			.segment_count = 1,
			.done = on_done };
		cr_assert_eq(lumen_storage_submit(&requests[i]), LUMEN_OK);
	}
}

BOTH_WAYS(vsc_vmbus, many_requests)
{
	uint32_t turns = 0;

	create(VMBUS_VERSION_5_3, *vector);
	cr_assert_eq(open(), LUMEN_OK);
	controller.disk.deferred = true;
	submit_many();
	while (done < 400 && turns++ < 1000) {
		guest_rig_run(rig);
		lumen_storage_poll(storage);
	}
	cr_assert_eq(done, 400);
	cr_assert_eq(memcmp(buffer, controller.disk.data, 400 * 512), 0);
	lumen_storage_close(storage);
	destroy();
}

BOTH_WAYS(vsc_vmbus, rescind_with_requests_under_way)
{
	create(VMBUS_VERSION_5_3, *vector);
	cr_assert_eq(open(), LUMEN_OK);
	controller.disk.deferred = true;
	submit_many();
	guest_rig_rescind(rig, controller.device);
	guest_rig_run(rig);
	lumen_wait(&done, done, lumen_now_ns()); // a kernel that polls learns of it here
	lumen_storage_poll(storage);
	for (uint32_t i = 0; i < 400; i++)
		cr_assert_eq(requests[i].count, 0);
	cr_assert_eq(lumen_storage_status(storage), LUMEN_RESCINDED);
	lumen_storage_close(storage);
	destroy();
}

// The host takes the controller away at each of the guest's signals in turn.
BOTH_WAYS(vsc_vmbus, rescind_at_each_step)
{
	uint32_t failed = 0;
	lumen_status status;

	for (uint32_t step = 1; step < 30; step++) {
		create(VMBUS_VERSION_5_3, *vector);
		controller.rescind_at = step;
		status = open();
		failed += status != LUMEN_OK;
		if (status == LUMEN_OK) {
			while (status == LUMEN_OK)
				status = lumen_disk_read(disk, 0, 1, buffer);
			lumen_storage_close(storage);
		}
		cr_assert_eq(status, LUMEN_RESCINDED, "%x", status);
		cr_assert_null(lumen_storage_find(bus, 0));
		destroy();
	}
	cr_assert_geq(failed, 10);
}

// --- the rings' GPADL ---

static bool lose_gpadl(void *context, struct guest_rig *at, union vmbus_message *message)
{
	return message->header.type != VMBUS_MESSAGE_GPADL_CREATED;
}

BOTH_WAYS(vsc_vmbus, a_gpadl_that_is_lost)
{
	create(VMBUS_VERSION_5_3, *vector);
	rig->hook = lose_gpadl;
	cr_assert_eq(open(), LUMEN_TIMED_OUT);
	lumen_free_pages(buffer, BUFFER_PAGES);
	rig->hook = NULL;
	cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_OK);
	guest_rig_destroy(rig); // the host keeps the rings
	memory_disk_destroy(&controller.disk);
}

// The host has no room for one more.
BOTH_WAYS(vsc_vmbus, a_gpadl_that_is_refused)
{
	struct lumen_channel *channel;
	uint32_t gpadls[GUEST_RIG_GPADLS];

	create(VMBUS_VERSION_5_3, *vector);
	channel = lumen_storage_find(bus, 0);
	for (uint32_t i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(
			lumen_gpadl_create(channel, buffer + i * 4096, 1, &gpadls[i]), LUMEN_OK);
	cr_assert_eq(open(), LUMEN_REFUSED);
	cr_assert_eq(rig->last_violation, VMBUS_VIOLATION_TOO_MANY_GPADLS);
	rig->violations = 0;
	for (uint32_t i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(lumen_gpadl_destroy(channel, gpadls[i]), LUMEN_OK);
	cr_assert_eq(open(), LUMEN_OK);
	lumen_storage_close(storage);
	destroy();
}
