// SPDX-License-Identifier: BSD-2-Clause
// See fake_partition.h.
#include "fake_partition.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypercall/msr.h"
#include "hypercall/stats.h"
#include "hypercall/status.h"
#include "vmbus/protocol.h"

enum { QUEUE = 64, VPS = 64, REGISTERS = 64, CONNECTIONS = 16 };

struct queued {
	uint32_t connection;
	struct hv_message message;
};

struct queue {
	struct queued entries[QUEUE];
	unsigned first, count;
};

static struct {
	pthread_mutex_t lock;
	fake_guest guest;
	unsigned steps[VPS];
	struct {
		uint32_t name;
		uint64_t value;
	} registers[VPS][REGISTERS];
	struct queue to_host, to_guest;
	sem_t messages, signals, never;
	uint32_t ports[CONNECTIONS];
	struct {
		uint32_t connection;
		int fd;
	} events[CONNECTIONS];
	unsigned interrupts, flag, sint;
	bool open, crash_intercepted, overflow, flood, full_counters;
	int vp_count;
} fake;

const struct guest_memory *fake_memory;

void fake_reset(fake_guest guest)
{
	memset(&fake, 0, sizeof(fake));
	pthread_mutex_init(&fake.lock, NULL);
	sem_init(&fake.messages, 0, 0);
	sem_init(&fake.signals, 0, 0);
	sem_init(&fake.never, 0, 0);
	fake.guest = guest;
	fake_memory = NULL;
}

uint64_t fake_register(uint32_t vp, uint32_t name)
{
	for (int i = 0; i < REGISTERS; i++)
		if (fake.registers[vp][i].name == name)
			return fake.registers[vp][i].value;
	return 0;
}

unsigned fake_interrupts(void)
{
	return fake.interrupts;
}

unsigned fake_last_flag(void)
{
	return fake.flag;
}

unsigned fake_last_sint(void)
{
	return fake.sint;
}

bool fake_open(void)
{
	return fake.open;
}

// What guests do.

static struct hv_x64_intercept_message_header *begin(
	struct hv_message *message, uint32_t type, unsigned size, unsigned length)
{
	struct hv_x64_intercept_message_header *header = (void *)message->payload;

	memset(message, 0, sizeof(*message));
	message->header.message_type = type;
	message->header.payload_size = (uint8_t)size;
	header->instruction_length_cr8 = (uint8_t)length;
	header->rip = 0x1000;
	header->execution_state = HV_X64_EXECUTION_STATE_EFER_LMA;
	header->cs.attributes = HV_X64_SEGMENT_LONG;
	return header;
}

static void make_io(
	struct hv_message *message, uint16_t port, unsigned size, uint32_t value, uint8_t access)
{
	struct hv_x64_io_port_intercept_message *io = (void *)message->payload;

	begin(message, HvMessageTypeX64IoPortIntercept, sizeof(*io), 1)->intercept_access_type =
		access;
	io->port_number = port;
	io->access_info = (uint8_t)size;
	io->rax = value;
}

void fake_out(struct hv_message *message, uint16_t port, unsigned size, uint32_t value)
{
	make_io(message, port, size, value, HvInterceptAccessWrite);
}

void fake_in(struct hv_message *message, uint16_t port, unsigned size)
{
	make_io(message, port, size, 0xaaaaaaaa, HvInterceptAccessRead);
}

void fake_crash(struct hv_message *message)
{
	struct hv_x64_msr_intercept_message *msr = (void *)message->payload;

	begin(message, HvMessageTypeX64MsrIntercept, sizeof(*msr), 2)->intercept_access_type =
		HvInterceptAccessWrite;
	msr->msr_number = HV_X64_MSR_CRASH_CTL;
	msr->rdx = (HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE) >> 32;
}

void fake_triple_fault(struct hv_message *message)
{
	begin(message, HvMessageTypeUnrecoverableException,
		sizeof(struct hv_x64_unrecoverable_exception_message), 0);
}

static int wait_for(sem_t *semaphore)
{
	return sem_wait(semaphore) ? errno : 0;
}

int fake_wait(void)
{
	return wait_for(&fake.never);
}

static bool enqueue(struct queue *queue, uint32_t connection, const void *bytes, uint8_t length)
{
	struct queued *entry = &queue->entries[(queue->first + queue->count) % QUEUE];

	if (queue->count == QUEUE)
		return false;
	memset(entry, 0, sizeof(*entry));
	entry->connection = connection;
	entry->message.header.message_type = 1;
	entry->message.header.payload_size = length;
	memcpy(entry->message.payload, bytes, length);
	queue->count++;
	return true;
}

static bool dequeue(struct queue *queue, struct queued *entry)
{
	if (!queue->count)
		return false;
	*entry = queue->entries[queue->first];
	queue->first = (queue->first + 1) % QUEUE;
	queue->count--;
	return true;
}

// A byte for each message; at the guest's end, and at the host's, which is the partition's.
static int message_fds[2];

bool fake_post(uint32_t connection, const void *bytes, uint8_t length)
{
	bool known = false, done;

	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < CONNECTIONS; i++)
		known = known || fake.ports[i] == connection;
	done = known && enqueue(&fake.to_host, connection, bytes, length);
	pthread_mutex_unlock(&fake.lock);
	if (done && write(message_fds[0], "", 1) != 1)
		return false;
	return done;
}

// One end of a socket that closes with something unread is an error at the other.
void fake_overflow(void)
{
	fake.overflow = true;
	if (write(message_fds[1], "", 1) == 1)
		close(message_fds[0]);
}

void fake_flood(void)
{
	const struct vmbus_message_header nonsense = { .type = 77 };

	__atomic_store_n(&fake.flood, true, __ATOMIC_RELEASE);
	fake_post(VMBUS_CONNECTION_MESSAGE_MULTICLIENT, &nonsense, sizeof(nonsense));
}

void fake_fill_counters(void)
{
	fake.full_counters = true;
}

int fake_receive(void *bytes, uint8_t *length)
{
	struct queued entry = { 0 };
	int error = wait_for(&fake.messages);

	if (error)
		return error;
	pthread_mutex_lock(&fake.lock);
	dequeue(&fake.to_guest, &entry);
	pthread_mutex_unlock(&fake.lock);
	*length = entry.message.header.payload_size;
	memcpy(bytes, entry.message.payload, *length);
	return 0;
}

bool fake_signal(uint32_t connection)
{
	bool done = false;

	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < CONNECTIONS; i++)
		if (fake.events[i].connection == connection && connection)
			done = !eventfd_write(fake.events[i].fd, 1);
	pthread_mutex_unlock(&fake.lock);
	return done;
}

int fake_wait_signal(void)
{
	return wait_for(&fake.signals);
}

// The worker's interface.

bool partition_create(struct partition *partition, struct failure *failure)
{
	(void)failure;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, message_fds))
		return false;
	partition->fd = message_fds[1];
	partition->id = 77;
	fake.open = true;
	return true;
}

bool partition_map_memory(
	struct partition *partition, const struct guest_memory *memory, struct failure *failure)
{
	(void)partition;
	(void)failure;
	fake_memory = memory;
	return true;
}

// The descriptor of a VP is a number of its own.
enum { VP_FD = 1000 };

int partition_create_vp(struct partition *partition, uint32_t index)
{
	int ends[2];

	(void)partition;
	fake.vp_count++;
	if (pipe(ends) || dup2(ends[0], VP_FD + (int)index) < 0)
		return -1;
	close(ends[0]);
	close(ends[1]);
	return VP_FD + (int)index;
}

void partition_close(struct partition *partition)
{
	close(partition->fd);
	fake.open = false;
}

int partition_run_vp(int vp_fd, struct partition_answer *answer, struct hv_message *message)
{
	uint32_t vp = (uint32_t)(vp_fd - VP_FD);
	int error;

	for (unsigned i = 0; i < answer->count; i++)
		fake_set_register(vp, answer->registers[i].name, answer->registers[i].value.reg64);
	answer->count = 0;
	error = fake.guest(vp, fake.steps[vp], message);
	if (!error)
		fake.steps[vp]++;
	return error;
}

int partition_get_registers(struct partition *partition, uint32_t vp, const uint32_t *names,
	struct hv_register_value *values, unsigned count)
{
	(void)partition;
	memset(values, 0, count * sizeof(*values));
	for (unsigned i = 0; i < count; i++)
		values[i].reg64 = fake_register(vp, names[i]);
	return HV_STATUS_SUCCESS;
}

void fake_set_register(uint32_t vp, uint32_t name, uint64_t value)
{
	for (int i = 0; i < REGISTERS; i++) {
		if (fake.registers[vp][i].name && fake.registers[vp][i].name != name)
			continue;
		fake.registers[vp][i].name = name;
		fake.registers[vp][i].value = value;
		return;
	}
}

int partition_set_registers(struct partition *partition, uint32_t vp,
	const struct hv_register_assoc *registers, unsigned count)
{
	(void)partition;
	for (unsigned i = 0; i < count; i++)
		fake_set_register(vp, registers[i].name, registers[i].value.reg64);
	return HV_STATUS_SUCCESS;
}

int partition_assert_interrupt(
	struct partition *partition, const struct ioapic_interrupt *interrupt)
{
	(void)partition;
	(void)interrupt;
	fake.interrupts++;
	return HV_STATUS_SUCCESS;
}

int partition_set_cpu(struct partition *partition, uint32_t weight, uint32_t cap)
{
	(void)partition;
	return weight && cap ? 0 : HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
}

int partition_intercept_msr_write(struct partition *partition, uint32_t msr)
{
	(void)partition;
	fake.crash_intercepted = msr == HV_X64_MSR_CRASH_CTL;
	return HV_STATUS_SUCCESS;
}

static bool valid_sint(uint8_t sint)
{
	return sint == 2 || sint == FAKE_TEST_SINT;
}

int partition_post_message(struct partition *partition, uint32_t vp, uint8_t sint, uint32_t type,
	const void *payload, uint8_t length)
{
	bool done;

	(void)partition;
	if (vp >= (uint32_t)fake.vp_count || !valid_sint(sint) || type != 1)
		return HV_STATUS_INVALID_PARAMETER;
	pthread_mutex_lock(&fake.lock);
	done = enqueue(&fake.to_guest, 0, payload, length);
	pthread_mutex_unlock(&fake.lock);
	if (!done)
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	sem_post(&fake.messages);
	return HV_STATUS_SUCCESS;
}

int partition_signal_event(struct partition *partition, uint32_t vp, uint8_t sint, uint16_t flag)
{
	(void)partition;
	if (vp >= (uint32_t)fake.vp_count || !valid_sint(sint))
		return HV_STATUS_INVALID_PARAMETER;
	fake.flag = flag;
	fake.sint = sint;
	sem_post(&fake.signals);
	return HV_STATUS_SUCCESS;
}

bool partition_translate(
	struct partition *partition, uint32_t vp, uint64_t gva, bool write, uint64_t *gpa)
{
	(void)partition;
	(void)vp;
	(void)write;
	*gpa = gva & ~(1ull << 63);
	return gva >> 63 || gva <= UINT32_MAX; // in the upper half, and as 32-bit code has it
}

int partition_open_messages(struct partition *partition, uint32_t connection)
{
	(void)partition;
	for (int i = 0; i < CONNECTIONS; i++) {
		if (fake.ports[i])
			continue;
		fake.ports[i] = connection;
		return 0;
	}
	return ENOSPC;
}

int partition_close_messages(struct partition *partition, uint32_t connection)
{
	(void)partition;
	for (int i = 0; i < CONNECTIONS; i++) {
		if (fake.ports[i] != connection)
			continue;
		fake.ports[i] = 0;
		return 0;
	}
	return ENOENT;
}

int partition_get_message(
	struct partition *partition, uint32_t *connection, struct hv_message *message)
{
	struct queued entry;
	bool flood = __atomic_load_n(&fake.flood, __ATOMIC_ACQUIRE), done;
	char byte;

	if (recv(partition->fd, &byte, 1, flood ? MSG_PEEK : 0) != 1)
		return fake.overflow ? EOVERFLOW : EAGAIN;
	pthread_mutex_lock(&fake.lock);
	done = dequeue(&fake.to_host, &entry);
	if (flood && done)
		enqueue(&fake.to_host, entry.connection, entry.message.payload,
			entry.message.header.payload_size);
	pthread_mutex_unlock(&fake.lock);
	if (!done)
		return EAGAIN;
	*connection = entry.connection;
	*message = entry.message;
	return 0;
}

int partition_open_event(struct partition *partition, uint32_t connection, int event_fd)
{
	int error = ENOSPC;

	(void)partition;
	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < CONNECTIONS && error; i++) {
		if (fake.events[i].connection)
			continue;
		fake.events[i].connection = connection;
		fake.events[i].fd = event_fd;
		error = 0;
	}
	pthread_mutex_unlock(&fake.lock);
	return error;
}

int partition_close_event(struct partition *partition, uint32_t connection)
{
	(void)partition;
	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < CONNECTIONS; i++)
		if (fake.events[i].connection == connection)
			fake.events[i].connection = 0;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

int partition_read_partition_stats(struct partition *partition, uint64_t *counters)
{
	(void)partition;
	memset(counters, fake.full_counters ? 0xff : 0, HV_STATS_COUNTERS * sizeof(*counters));
	return 0;
}

int partition_read_vp_stats(struct partition *partition, uint32_t vp, uint64_t *counters)
{
	(void)partition;
	for (unsigned i = 0; i < HV_STATS_COUNTERS; i++)
		counters[i] = fake.full_counters ? UINT64_MAX : vp * 1000 + i;
	return 0;
}
