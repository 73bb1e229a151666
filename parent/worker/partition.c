// SPDX-License-Identifier: BSD-2-Clause
// See partition.h.
#include "parent/worker/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <mshv_uapi.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hypercall/intercept.h"
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/partition.h"
#include "hypercall/stats.h"
#include "hypercall/status.h"
#include "hypercall/table.h"

#define DEVICE "/dev/mshv"

static int open_device(struct failure *failure)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			DEVICE " cannot be opened: %s. Is this the root partition of Lumen?",
			strerror(errno));
	return fd;
}

static bool initialize(struct partition *partition)
{
	return !ioctl(partition->fd, MSHV_INITIALIZE_PARTITION) &&
	       !ioctl(partition->fd, LUMEN_MSHV_GET_PARTITION_ID, &partition->id) &&
	       !fcntl(partition->fd, F_SETFL, O_NONBLOCK);
}

bool partition_create(struct partition *partition, struct failure *failure)
{
	struct mshv_create_partition create = {
		.pt_flags = 1u << MSHV_PT_BIT_LAPIC | 1u << MSHV_PT_BIT_X2APIC |
			    1u << MSHV_PT_BIT_GPA_SUPER_PAGES,
		.pt_isolation = MSHV_PT_ISOLATION_NONE,
	};
	int device = open_device(failure);

	if (device < 0)
		return false;
	partition->fd = ioctl(device, MSHV_CREATE_PARTITION, &create);
	close(device);
	if (partition->fd >= 0 && initialize(partition))
		return true;
	failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The partition cannot be created: %s.",
		strerror(errno));
	if (partition->fd >= 0)
		close(partition->fd);
	return false;
}

static int map_part(
	struct partition *partition, const struct guest_memory_part *part, uint8_t flags)
{
	struct mshv_user_mem_region region = {
		.size = part->size,
		.guest_pfn = part->gpa >> HV_PAGE_SHIFT,
		.userspace_addr = (uintptr_t)part->host,
		.flags = flags,
	};

	return part->size ? ioctl(partition->fd, MSHV_SET_GUEST_MEMORY, &region) : 0;
}

bool partition_map_memory(
	struct partition *partition, const struct guest_memory *memory, struct failure *failure)
{
	uint8_t flags = 1u << MSHV_SET_MEM_BIT_WRITABLE | 1u << MSHV_SET_MEM_BIT_EXECUTABLE;

	for (int i = 0; i < GUEST_MEMORY_PARTS; i++)
		if (map_part(partition, &memory->parts[i], flags))
			return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
				"The root partition cannot give the child its memory: %s.",
				strerror(errno));
	return true;
}

int partition_create_vp(struct partition *partition, uint32_t index)
{
	struct mshv_create_vp create = { .vp_index = index };

	return ioctl(partition->fd, MSHV_CREATE_VP, &create);
}

void partition_close(struct partition *partition)
{
	close(partition->fd);
}

int partition_run_vp(int vp_fd, struct partition_answer *answer, struct hv_message *message)
{
	struct lumen_mshv_run_vp run;
	int error;

	_Static_assert(sizeof(*message) == sizeof(run.msg_buf), "a message");
	_Static_assert(sizeof(answer->registers) == sizeof(run.registers), "all registers");
	run.register_count = answer->count;
	run.rsvd = 0;
	memcpy(run.registers, answer->registers, answer->count * sizeof(*answer->registers));
	error = ioctl(vp_fd, LUMEN_MSHV_RUN_VP, &run) ? errno : 0;
	answer->count = run.register_count;
	if (!error)
		memcpy(message, run.msg_buf, sizeof(*message));
	return error;
}

// A hypercall with the partition's id first in its input; the driver fills that in.
static int hypercall(struct partition *partition, uint16_t code, uint16_t reps, const void *in,
	size_t in_size, void *out, size_t out_size)
{
	struct mshv_root_hvcall call = {
		.code = code,
		.reps = reps,
		.in_sz = (uint16_t)in_size,
		.out_sz = (uint16_t)out_size,
		.in_ptr = (uintptr_t)in,
		.out_ptr = (uintptr_t)out,
	};

	if (!ioctl(partition->fd, MSHV_ROOT_HVCALL, &call))
		return HV_STATUS_SUCCESS;
	return call.status ? call.status : -1;
}

int partition_get_registers(struct partition *partition, uint32_t vp, const uint32_t *names,
	struct hv_register_value *values, unsigned count)
{
	struct {
		struct hv_input_get_vp_registers header;
		uint32_t names[PARTITION_REGISTERS_MAX];
	} in = { .header.vp_index = vp };

	memcpy(in.names, names, count * sizeof(*names));
	return hypercall(partition, HvCallGetVpRegisters, (uint16_t)count, &in,
		sizeof(in.header) + count * sizeof(*names), values, count * sizeof(*values));
}

int partition_set_registers(struct partition *partition, uint32_t vp,
	const struct hv_register_assoc *registers, unsigned count)
{
	struct {
		struct hv_input_set_vp_registers header;
		struct hv_register_assoc registers[PARTITION_REGISTERS_MAX];
	} in;

	in.header = (struct hv_input_set_vp_registers){ .vp_index = vp };
	memcpy(in.registers, registers, count * sizeof(*registers));
	return hypercall(partition, HvCallSetVpRegisters, (uint16_t)count, &in,
		sizeof(in.header) + count * sizeof(*registers), NULL, 0);
}

int partition_assert_interrupt(
	struct partition *partition, const struct ioapic_interrupt *interrupt)
{
	struct hv_input_assert_virtual_interrupt in = {
		// The I/O APIC's delivery modes have TLFS' numbers.
		.interrupt_control.interrupt_type = interrupt->delivery_mode,
		.interrupt_control.flags =
			(interrupt->level ? HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED : 0) |
			(interrupt->logical ? HV_INTERRUPT_CONTROL_LOGICAL_DESTINATION_MODE : 0),
		.destination_address = interrupt->destination,
		.requested_vector = interrupt->vector,
	};

	return hypercall(partition, HvCallAssertVirtualInterrupt, 0, &in, sizeof(in), NULL, 0);
}

static int set_property(struct partition *partition, uint32_t code, uint64_t value)
{
	struct hv_input_set_partition_property in = { .property_code = code,
		.property_value = value };

	return hypercall(partition, HvCallSetPartitionProperty, 0, &in, sizeof(in), NULL, 0);
}

int partition_set_cpu(struct partition *partition, uint32_t weight, uint32_t cap)
{
	const uint64_t whole = 0x10000; // TLFS: the cap of who has none
	int status = set_property(partition, HvPartitionPropertyCpuWeight, weight);

	return status ? status
		      : set_property(partition, HvPartitionPropertyCpuCap, cap * whole / 100);
}

int partition_intercept_msr_write(struct partition *partition, uint32_t msr)
{
	struct hv_input_install_intercept in = {
		.access_type = HV_INTERCEPT_ACCESS_MASK_WRITE,
		.intercept_type = HvInterceptTypeX64MsrIndex,
		.intercept_parameter.msr_index = msr,
	};

	return hypercall(partition, HvCallInstallIntercept, 0, &in, sizeof(in), NULL, 0);
}

int partition_post_message(struct partition *partition, uint32_t vp, uint8_t sint, uint32_t type,
	const void *payload, uint8_t length)
{
	struct hv_input_post_message_direct in = { .vp_index = vp, .sint_index = sint };
	struct hv_message message = { .header.message_type = type, .header.payload_size = length };

	memcpy(message.payload, payload, length);
	memcpy(in.message, &message, sizeof(message));
	return hypercall(partition, HvCallPostMessageDirect, 0, &in, sizeof(in), NULL, 0);
}

int partition_signal_event(struct partition *partition, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct hv_input_signal_event_direct in = {
		.target_vp = vp, .target_sint = sint, .flag_number = flag
	};
	struct hv_output_signal_event_direct out;

	return hypercall(partition, HvCallSignalEventDirect, 0, &in, sizeof(in), &out, sizeof(out));
}

bool partition_translate(
	struct partition *partition, uint32_t vp, uint64_t gva, bool write, uint64_t *gpa)
{
	struct hv_input_translate_virtual_address in = {
		.vp_index = vp,
		.control_flags =
			write ? HV_TRANSLATE_GVA_VALIDATE_WRITE : HV_TRANSLATE_GVA_VALIDATE_READ,
		.gva_page = gva >> HV_PAGE_SHIFT,
	};
	struct hv_output_translate_virtual_address out = { 0 };

	if (hypercall(partition, HvCallTranslateVirtualAddress, 0, &in, sizeof(in), &out,
		    sizeof(out)) ||
		out.translation_result.result_code != HvTranslateGvaSuccess)
		return false;
	*gpa = out.gpa_page << HV_PAGE_SHIFT | (gva & HV_PAGE_MASK);
	return true;
}

static int errno_of(int result)
{
	return result < 0 ? errno : 0;
}

static int message_port(struct partition *partition, uint32_t connection, uint32_t flags)
{
	struct lumen_mshv_message_port port = { .connection_id = connection, .flags = flags };

	return errno_of(ioctl(partition->fd, LUMEN_MSHV_CREATE_MESSAGE_PORT, &port));
}

int partition_open_messages(struct partition *partition, uint32_t connection)
{
	return message_port(partition, connection, 0);
}

int partition_close_messages(struct partition *partition, uint32_t connection)
{
	return message_port(partition, connection, LUMEN_MSHV_PORT_DEASSIGN);
}

int partition_get_message(
	struct partition *partition, uint32_t *connection, struct hv_message *message)
{
	struct lumen_mshv_get_message get;
	int error = errno_of(ioctl(partition->fd, LUMEN_MSHV_GET_MESSAGE, &get));

	if (error)
		return error;
	*connection = get.connection_id;
	memcpy(message, get.msg_buf, sizeof(*message));
	return 0;
}

int partition_open_event(struct partition *partition, uint32_t connection, int event_fd)
{
	struct lumen_mshv_signal_eventfd event = {
		.connection_id = connection, .flag_count = 1, .fd = event_fd
	};

	return errno_of(ioctl(partition->fd, LUMEN_MSHV_SIGNAL_EVENTFD, &event));
}

int partition_close_event(struct partition *partition, uint32_t connection)
{
	struct lumen_mshv_signal_eventfd event = { .connection_id = connection,
		.flags = LUMEN_MSHV_PORT_DEASSIGN };

	return errno_of(ioctl(partition->fd, LUMEN_MSHV_SIGNAL_EVENTFD, &event));
}

static int read_stats(struct partition *partition, uint32_t type, uint32_t vp, uint64_t *counters)
{
	struct lumen_mshv_read_stats read = {
		.object_type = type,
		.vp_index = vp,
		.buf_ptr = (uintptr_t)counters,
		.buf_sz = HV_STATS_COUNTERS * sizeof(*counters),
	};

	return errno_of(ioctl(partition->fd, LUMEN_MSHV_READ_STATS, &read));
}

int partition_read_partition_stats(struct partition *partition, uint64_t *counters)
{
	return read_stats(partition, LUMEN_MSHV_STATS_PARTITION, 0, counters);
}

int partition_read_vp_stats(struct partition *partition, uint32_t vp, uint64_t *counters)
{
	return read_stats(partition, LUMEN_MSHV_STATS_VP, vp, counters);
}
