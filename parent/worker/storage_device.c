// SPDX-License-Identifier: BSD-2-Clause
// See storage_device.h.
#include "parent/worker/storage_device.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "parent/worker/disk_format.h"
#include "parent/worker/log.h"
#include "parent/worker/memory.h"

enum {
	SLOTS = 256,
	MAX_TRANSFER = 1 << 20,
	ALIGNMENT = 16,
	RETRY_MS = 10,		// to a disk whose kernel takes no requests just now
	FAILED_START_MS = 1000, // for disks to close that nobody has used
};

// The counting device in front of a file's.

static struct storage_disk *disk_of(struct block_device *device)
{
	return (struct storage_disk *)((char *)device - offsetof(struct storage_disk, device));
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

// The thread.

static void take_event(int fd)
{
	eventfd_t count;

	eventfd_read(fd, &count);
}

static void poll_disks(struct storage_device *storage)
{
	for (unsigned i = 0; i < storage->disk_count; i++)
		block_file_poll(storage->disks[i].file);
	scsi_adapter_kick(&storage->adapter);
}

static int work_timeout(const struct storage_device *storage, bool again)
{
	if (again)
		return 0;
	for (unsigned i = 0; i < storage->disk_count; i++)
		if (block_file_busy(storage->disks[i].file))
			return RETRY_MS;
	return -1;
}

// Waits until something has happened, or looks only (`again`). Level-triggered, so each condition
// has to be taken before the next call:
//   vmbus.event_fd  eventfd that the driver counts up for the guest's signals: here
//   stop_fd         eventfd that storage_close() counts up, once: here
//   a disk's        ring with completions, eventfd, or epoll of both: by block_file_poll() in
//                   poll_disks(), which every loop here calls once a turn
static void wait_for_work(struct storage_device *storage, bool again)
{
	struct epoll_event events[CHILD_DISKS_MAX + 2];
	int count = epoll_wait(
		storage->epoll_fd, events, CHILD_DISKS_MAX + 2, work_timeout(storage, again));

	for (int i = 0; i < count; i++) {
		storage->stopped |= events[i].data.fd == storage->stop_fd;
		if (events[i].data.fd == storage->stop_fd ||
			events[i].data.fd == storage->vmbus.event_fd)
			take_event(events[i].data.fd);
	}
	__atomic_add_fetch(&storage->turns, 1, __ATOMIC_RELAXED);
}

// Serves until it is told to stop, or the channel fails. Returns the last flags.
static uint32_t serve(struct storage_device *storage)
{
	uint32_t flags = STORAGE_VSP_AGAIN; // the ring may have something in it already

	while (!storage->stopped) {
		poll_disks(storage);
		flags = storage_vsp_poll(storage->vsp);
		if (flags & STORAGE_VSP_SIGNAL)
			vmbus_device_signal(&storage->vmbus);
		if (flags & STORAGE_VSP_FAILED)
			break;
		wait_for_work(storage, flags & STORAGE_VSP_AGAIN);
	}
	return flags;
}

static void finish_requests(struct storage_device *storage)
{
	storage_vsp_stop(storage->vsp);
	while (!storage_vsp_idle(storage->vsp)) {
		poll_disks(storage);
		if (!storage_vsp_idle(storage->vsp))
			wait_for_work(storage, false);
	}
}

// The guest broke the channel: the host takes it back, and then tells us to stop.
static void fail(struct storage_device *storage)
{
	log_line("%s: the channel has failed: %s", storage->vmbus.name,
		storage_vsp_failure(storage->vsp));
	storage_vsp_stop(storage->vsp);
	vmbus_device_report(&storage->vmbus, VMBUS_DEVICE_FAILED);
	while (!storage->stopped) {
		wait_for_work(storage, false);
		poll_disks(storage);
	}
}

static void *storage_thread(void *context)
{
	struct storage_device *storage = context;

	if (serve(storage) & STORAGE_VSP_FAILED)
		fail(storage);
	finish_requests(storage);
	vmbus_device_report(&storage->vmbus, VMBUS_DEVICE_CLOSED);
	return NULL;
}

// The channel.

static bool watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static bool make_descriptors(struct storage_device *storage)
{
	bool done;

	storage->stopped = false;
	storage->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	storage->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	done = watch(storage->epoll_fd, storage->stop_fd) &&
	       watch(storage->epoll_fd, storage->vmbus.event_fd);
	for (unsigned i = 0; i < storage->disk_count; i++)
		done = done &&
		       watch(storage->epoll_fd, block_file_event_fd(storage->disks[i].file));
	return done;
}

static bool make_vsp(struct storage_device *storage, const struct vmbus_device_open *open)
{
	const struct storage_vsp_config config = {
		.memory = guest_memory_for_vmbus((struct guest_memory *)storage->memory),
		.adapter = &storage->adapter,
		.in_pages = open->in_pages,
		.in_page_count = open->in_page_count,
		.out_pages = open->out_pages,
		.out_page_count = open->out_page_count,
		.slot_count = SLOTS,
		.max_transfer_bytes = MAX_TRANSFER,
	};
	size_t size = storage_vsp_size(&config);
	void *memory = size ? aligned_alloc(ALIGNMENT, size + (-size & (ALIGNMENT - 1))) : NULL;

	storage->vsp = memory ? storage_vsp_create(memory, &config) : NULL;
	if (!storage->vsp)
		free(memory);
	return storage->vsp;
}

static void release(struct storage_device *storage)
{
	free(storage->vsp);
	storage->vsp = NULL;
	if (storage->stop_fd >= 0)
		close(storage->stop_fd);
	if (storage->epoll_fd >= 0)
		close(storage->epoll_fd);
}

static bool start_thread(struct storage_device *storage)
{
	sigset_t all, before;
	int error;

	// Signals are for the main thread and the VPs.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&storage->thread, NULL, storage_thread, storage);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		log_line("%s: no thread: %s", storage->vmbus.name, strerror(error));
	return !error;
}

static bool storage_open(struct vmbus_device *device, const struct vmbus_device_open *open)
{
	struct storage_device *storage = (struct storage_device *)device;

	if (make_descriptors(storage) && make_vsp(storage, open) && start_thread(storage))
		return true;
	release(storage);
	return false;
}

static void storage_close(struct vmbus_device *device)
{
	struct storage_device *storage = (struct storage_device *)device;

	eventfd_write(storage->stop_fd, 1);
}

static void add_counters(struct storage_vsp_counters *to, const struct storage_vsp_counters *from)
{
	to->packets += from->packets;
	to->requests += from->requests;
	to->errors += from->errors;
	to->malformed += from->malformed;
	to->batches += from->batches;
	to->signals += from->signals;
	to->ring_full += from->ring_full;
}

static void storage_closed(struct vmbus_device *device)
{
	struct storage_device *storage = (struct storage_device *)device;

	pthread_join(storage->thread, NULL);
	add_counters(&storage->closed, storage_vsp_counters(storage->vsp));
	release(storage);
}

struct storage_vsp_counters storage_device_counters(const struct storage_device *storage)
{
	struct storage_vsp_counters counters = storage->closed;

	if (storage->vsp)
		add_counters(&counters, storage_vsp_counters(storage->vsp));
	return counters;
}

static const struct vmbus_device_ops storage_ops = {
	.open = storage_open,
	.close = storage_close,
	.closed = storage_closed,
};

// The disks.

// The serial number of a disk that was given none: the same for the same disk of the same child, as
// guests find disks by it again, and it tells nothing about the host. FNV-1a of the child's name, a
// NUL, and the disk's number.
static void default_serial(const char *name, unsigned lun, char *serial, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325;
	const size_t length = strlen(name) + 1;

	for (size_t i = 0; i <= length; i++) {
		hash ^= i < length ? (uint8_t)name[i] : lun;
		hash *= 0x100000001b3;
	}
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

bool storage_device_open_disks(struct storage_device *storage, const char *name,
	const struct child_config *config, const struct guest_memory *memory,
	struct failure *failure)
{
	memset(storage, 0, sizeof(*storage));
	storage->memory = memory;
	storage->stop_fd = -1;
	storage->epoll_fd = -1;
	for (uint32_t i = 0; i < config->disk_count; i++) {
		if (open_disk(storage, name, &config->disks[i], failure))
			continue;
		storage_device_close_disks(storage, deadline_in_ms(FAILED_START_MS));
		return false;
	}
	return true;
}

bool storage_device_offer(struct storage_device *storage, struct vmbus_host *host)
{
	static const struct vmbus_guid instance = { 0x6c756d65, 0x6e00, 0x4001,
		{ 0x80, 0x00, 0x73, 0x63, 0x73, 0x69, 0x00, 0x00 } };

	if (!storage->disk_count)
		return true;
	storage->vmbus.ops = &storage_ops;
	storage->vmbus.name = "scsi";
	storage->vmbus.offer = (struct vmbus_offer){
		.interface_type = VSTOR_SCSI_GUID,
		.interface_instance = instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
	};
	return vmbus_host_offer(host, &storage->vmbus);
}

static void *close_disk(void *context)
{
	struct storage_disk *disk = context;

	block_file_close(disk->file);
	return NULL;
}

// A thread for each: closing a block device writes back what is dirty, and a device may hang.
bool storage_device_close_disks(struct storage_device *storage, deadline_ns deadline)
{
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
