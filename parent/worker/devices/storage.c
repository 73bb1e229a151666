// SPDX-License-Identifier: BSD-2-Clause
// See storage.h.
#include "parent/worker/devices/storage.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "parent/common/fnv.h"
#include "parent/worker/backends/disk_format.h"
#include "parent/worker/memory.h"
#include "parent/worker/worker.h"

enum {
	SLOTS = 256,	    // of the only channel
	SHARED_SLOTS = 128, // of each of several
	MAX_TRANSFER = 1 << 20,
	RETRY_MS = 10, // to a disk whose kernel takes no requests just now
};

// The counting device in front of a file's.

static struct storage_disk *disk_of(struct block_device *device)
{
	return container_of(device, struct storage_disk, device);
}

static void count_and_submit(struct block_device *device, struct block_request *request)
{
	struct storage_disk *disk = disk_of(device);
	struct block_device *below = block_file_device(disk->file);

	__atomic_add_fetch(&disk->requests[request->op], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&disk->bytes[request->op], request->length, __ATOMIC_RELAXED);
	below->ops->submit(below, request);
}

static void kick_below(struct block_device *device)
{
	struct block_device *below = block_file_device(disk_of(device)->file);

	below->ops->kick(below);
}

static const struct block_ops counting_ops = { .submit = count_and_submit, .kick = kick_below };

// What its thread calls.

void storage_poll(struct device *device)
{
	struct storage_device *storage = (struct storage_device *)device;

	for (unsigned i = 0; i < storage->disk_count; i++)
		block_file_poll(storage->disks[i].file);
	scsi_adapter_kick(&storage->adapter);
}

int storage_timeout_ms(const struct device *device)
{
	const struct storage_device *storage = (const struct storage_device *)device;

	for (unsigned i = 0; i < storage->disk_count; i++)
		if (block_file_busy(storage->disks[i].file))
			return RETRY_MS;
	return -1;
}

// A disk's descriptor: a ring with completions, an eventfd, or an epoll of both.
bool storage_watch(struct device *device, int epoll_fd)
{
	struct storage_device *storage = (struct storage_device *)device;

	for (unsigned i = 0; i < storage->disk_count; i++)
		if (!device_watch(epoll_fd, block_file_event_fd(storage->disks[i].file)))
			return false;
	return true;
}

// The disks.

// The serial number of a disk that was given none: the same for the same disk of the same child, as
// guests find disks by it again, and it tells nothing about the host. A hash of the child's name, a
// NUL, and the disk's number.
static void default_serial(const char *name, unsigned lun, char *serial, size_t size)
{
	const uint8_t number = (uint8_t)lun;
	const uint64_t hash =
		fnv_hash(fnv_hash(FNV_START, name, strlen(name) + 1), &number, sizeof(number));

	snprintf(serial, size, "%016llx", (unsigned long long)hash);
}

static void identify(const char *name, unsigned lun, const struct child_disk *config,
	struct scsi_identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	memcpy(identity->vendor, "LUMEN   ", sizeof(identity->vendor));
	memcpy(identity->product, "Virtual Disk    ", sizeof(identity->product));
	memcpy(identity->revision, "1.0 ", sizeof(identity->revision));
	if (*config->serial)
		snprintf(identity->serial, sizeof(identity->serial), "%s", config->serial);
	else
		default_serial(name, lun, identity->serial, sizeof(identity->serial));
}

static bool open_disk(struct storage_device *storage, const char *name,
	const struct child_disk *config, struct failure *failure)
{
	const unsigned lun = storage->disk_count;
	struct storage_disk *disk = &storage->disks[lun];
	struct scsi_identity identity;

	disk->file = block_file_open(config->path, config->read_only, BLOCK_FILE_BEST, failure);
	if (!disk->file)
		return false;
	storage->disk_count++;
	if (!config->raw && !disk_format_is_raw(block_file_fd(disk->file), config->path, failure))
		return false;
	disk->device = *block_file_device(disk->file);
	disk->device.ops = &counting_ops;
	identify(name, lun, config, &identity);
	if (scsi_disk_init(&disk->scsi, &disk->device, &identity, MAX_TRANSFER) &&
		scsi_adapter_attach(&storage->adapter, 0, 0, (uint8_t)lun, &disk->scsi))
		return true;
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The disk %s cannot be a SCSI disk: its block size or its size is odd.",
		config->path);
}

bool storage_attach(struct device *device, struct failure *failure)
{
	struct storage_device *storage = (struct storage_device *)device;
	const struct child_config *config = &device->worker->config;
	// A channel for each VP, as far as there are so many: no guest has use for more.
	const uint32_t subs =
		config->vps <= STORAGE_VSP_MAX_SUBS ? config->vps - 1 : STORAGE_VSP_MAX_SUBS;

	for (uint32_t i = 0; i < config->disk_count; i++)
		if (!open_disk(storage, device->worker->name, &config->disks[i], failure))
			return false;
	storage->config = (struct storage_vsp_config){
		.memory = guest_memory_for_vmbus(&device->worker->memory),
		.adapter = &storage->adapter,
		.slot_count = subs ? SHARED_SLOTS : SLOTS,
		.sub_channels_max = subs,
		.max_transfer_bytes = MAX_TRANSFER,
	};
	if (!storage->disk_count)
		return true;
	device->config = &storage->config;
	device->sub_count = subs;
	return true;
}

static void *close_disk(void *context)
{
	struct storage_disk *disk = context;

	block_file_close(disk->file);
	return NULL;
}

// A thread for each: closing a block device writes back what is dirty, and a device may hang.
bool storage_detach(struct device *device, deadline_ns deadline)
{
	struct storage_device *storage = (struct storage_device *)device;
	bool done = true;

	for (unsigned i = 0; i < storage->disk_count; i++) {
		struct storage_disk *disk = &storage->disks[i];

		disk->closing = !pthread_create(&disk->closer, NULL, close_disk, disk);
		done = done && disk->closing;
	}
	for (unsigned i = 0; i < storage->disk_count; i++)
		if (storage->disks[i].closing)
			done = deadline_join(storage->disks[i].closer, deadline) && done;
	if (done)
		storage->disk_count = 0;
	return done;
}

// What others want to know.

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void stat_disk(struct stat_text *stat, unsigned index, const struct storage_disk *disk)
{
	static const char *const ops[BLOCK_OP_COUNT] = {
		[BLOCK_READ] = "read",
		[BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush",
		[BLOCK_UNMAP] = "unmap",
		[BLOCK_WRITE_ZEROES] = "zero",
	};

	stat_line(stat, "disk%u.in_flight %u", index, block_file_in_flight(disk->file));
	for (int i = 0; i < BLOCK_OP_COUNT; i++) {
		stat_line(stat, "disk%u.%s.requests %llu", index, ops[i],
			(unsigned long long)load(&disk->requests[i]));
		stat_line(stat, "disk%u.%s.bytes %llu", index, ops[i],
			(unsigned long long)load(&disk->bytes[i]));
	}
}

void storage_stat(struct device *device, struct stat_text *stat)
{
	const struct storage_device *storage = (struct storage_device *)device;

	for (unsigned i = 0; i < storage->disk_count; i++)
		stat_disk(stat, i, &storage->disks[i]);
}

uint64_t storage_activity(const struct device *device)
{
	const struct storage_device *storage = (const struct storage_device *)device;
	uint64_t sum = 0;

	for (unsigned i = 0; i < storage->disk_count; i++)
		for (int op = 0; op < BLOCK_OP_COUNT; op++)
			sum += load(&storage->disks[i].requests[op]);
	return sum;
}

uint64_t storage_file_size(const struct device *device)
{
	const struct storage_device *storage = (const struct storage_device *)device;
	uint64_t largest = 0;

	for (unsigned i = 0; i < storage->disk_count; i++) {
		const struct block_device *disk = &storage->disks[i].device;
		const uint64_t size = disk->block_count * disk->block_size;

		if (!(disk->flags & BLOCK_DEVICE_READ_ONLY) && size > largest)
			largest = size;
	}
	return largest;
}
