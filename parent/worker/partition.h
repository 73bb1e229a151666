// SPDX-License-Identifier: BSD-2-Clause
// The child's partition: /dev/mshv and the hypercalls that the worker passes through it. Every
// function but create and close may be called from any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/registers.h"
#include "hypercall/synic.h"
#include "parent/common/failure.h"
#include "parent/worker/platform/ioapic.h"
#include "parent/worker/memory.h"

struct partition {
	int fd; // non-blocking; readable when a message waits
	uint64_t id;
};

// Creates and initializes a partition. On failure there is nothing to close.
bool partition_create(struct partition *partition, struct failure *failure);

// Gives the child its memory, until the partition is closed.
bool partition_map_memory(
	struct partition *partition, const struct guest_memory *memory, struct failure *failure);

// Creates a VP, suspended. Returns its descriptor, or -1 and errno.
int partition_create_vp(struct partition *partition, uint32_t index);

void partition_close(struct partition *partition);

// Registers to set when a VP goes on after an intercept.
enum { PARTITION_ANSWER_MAX = 8 };
struct partition_answer {
	unsigned count; // 0 when they have been set
	struct hv_register_assoc registers[PARTITION_ANSWER_MAX];
};

// Sets the registers of `answer`, and runs a VP, by its descriptor, until its next intercept.
// Returns 0 with the message, or an errno: EINTR if a signal came, the VP being suspended.
int partition_run_vp(int vp_fd, struct partition_answer *answer, struct hv_message *message);

// The functions below return a hypercall status, HV_STATUS_SUCCESS (0) if all went well, or -1 if
// the driver refused the call.

// Reads and writes registers of a VP that is suspended: at most PARTITION_REGISTERS_MAX.
enum { PARTITION_REGISTERS_MAX = 48 };
int partition_get_registers(struct partition *partition, uint32_t vp, const uint32_t *names,
	struct hv_register_value *values, unsigned count);
int partition_set_registers(struct partition *partition, uint32_t vp,
	const struct hv_register_assoc *registers, unsigned count);

// Asserts an interrupt of the I/O APIC.
int partition_assert_interrupt(
	struct partition *partition, const struct ioapic_interrupt *interrupt);

// Sets its part of the processors (TLFS: HvPartitionPropertyCpuWeight, HvPartitionPropertyCpuCap):
// a weight from 1 to 10000, and percent. Before or after its VPs are there.
int partition_set_cpu(struct partition *partition, uint32_t weight, uint32_t cap);

// Has the child's writes to an MSR sent here.
int partition_intercept_msr_write(struct partition *partition, uint32_t msr);

// Posts a message of up to 240 bytes to a VP of the child.
int partition_post_message(struct partition *partition, uint32_t vp, uint8_t sint, uint32_t type,
	const void *payload, uint8_t length);

// Sets an event flag of a VP of the child.
int partition_signal_event(struct partition *partition, uint32_t vp, uint8_t sint, uint16_t flag);

// Translates a GVA as VP would use it, for reading or for writing. Returns false if it cannot.
bool partition_translate(
	struct partition *partition, uint32_t vp, uint64_t gva, bool write, uint64_t *gpa);

// The functions below return 0 or an errno.

// Messages that the child posts to this connection come to partition_get_message().
int partition_open_messages(struct partition *partition, uint32_t connection);
int partition_close_messages(struct partition *partition, uint32_t connection);

// Takes the next message: EAGAIN if there is none, EOVERFLOW if the child has sent too many.
int partition_get_message(
	struct partition *partition, uint32_t *connection, struct hv_message *message);

// Signals `event_fd` when the child signals the connection, until it is closed.
int partition_open_event(struct partition *partition, uint32_t connection, int event_fd);
int partition_close_event(struct partition *partition, uint32_t connection);

// Copies the HV_STATS_COUNTERS of a statistics page: the partition's, or that of a VP.
int partition_read_partition_stats(struct partition *partition, uint64_t *counters);
int partition_read_vp_stats(struct partition *partition, uint32_t vp, uint64_t *counters);
