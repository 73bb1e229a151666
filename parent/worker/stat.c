// SPDX-License-Identifier: BSD-2-Clause
// The statistics of a child, as `lumenctl stat` prints them: `name value` lines.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "hypercall/stats.h"
#include "parent/worker/devices/device.h"
#include "parent/worker/exits.h"
#include "parent/worker/stat.h"
#include "parent/worker/worker.h"

enum { TOUCHES_SHOWN = 8 };

void stat_line(struct stat_text *stat, const char *format, ...)
{
	size_t room = stat->size - stat->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(stat->text + stat->length, room, format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length + 1 < room) {
		stat->length += (size_t)length;
		stat->text[stat->length++] = '\n';
	} else {
		stat->size = stat->length;
	}
}

static void number(struct stat_text *stat, const char *name, uint64_t value)
{
	stat_line(stat, "%s %llu", name, (unsigned long long)value);
}

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct counter_name {
	const char *name;
	unsigned index;
};

static const struct counter_name partition_counters[] = {
#define X(name, index) { #name, index },
	HV_STATS_PARTITION_COUNTERS(X)
#undef X
};

static const struct counter_name vp_counters[] = {
#define X(name, index) { #name, index },
	HV_STATS_VP_COUNTERS(X)
#undef X
};

// Exits from the VP to the hypervisor, by reason. Each exit counts for exactly one.
static const struct counter_name vp_exits[] = {
	{ "hypercall", VpHypercallsCount },
	{ "interrupt", VpExternalInterruptsCount },
	{ "halt", VpHltInstructionsCount },
	{ "io", VpIoInstructionsCount },
	{ "gpa_fault", VpNestedPageFaultInterceptsCount },
	{ "cpuid", VpCpuidInstructionsCount },
	{ "msr", VpMsrAccessesCount },
	{ "control_register", VpControlRegisterAccessesCount },
	{ "other", VpOtherInterceptsCount },
};

// Counters that are 0 say nothing, and there are many.
static void counters(struct stat_text *stat, const char *prefix, const struct counter_name *names,
	size_t count, const uint64_t *page)
{
	for (size_t i = 0; i < count; i++)
		if (page[names[i].index])
			stat_line(stat, "%s.%s %llu", prefix, names[i].name,
				(unsigned long long)page[names[i].index]);
}

static void stat_vp(struct stat_text *stat, struct worker *worker, uint32_t index)
{
	static const char *const kinds[] = {
#define X(kind, text) text,
		EXIT_KINDS(X)
#undef X
	};
	uint64_t page[HV_STATS_COUNTERS], total = 0;
	char prefix[16];

	snprintf(prefix, sizeof(prefix), "vp%u", index);
	if (!partition_read_vp_stats(&worker->partition, index, page)) {
		// All reasons, and their sum: to see that one does not occur is the point of it.
		for (size_t i = 0; i < ARRAY_SIZE(vp_exits); i++) {
			stat_line(stat, "%s.exits.%s %llu", prefix, vp_exits[i].name,
				(unsigned long long)page[vp_exits[i].index]);
			total += page[vp_exits[i].index];
		}
		stat_line(stat, "%s.exits.total %llu", prefix, (unsigned long long)total);
		counters(stat, prefix, vp_counters, ARRAY_SIZE(vp_counters), page);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		stat_line(stat, "%s.messages.%s %llu", prefix, kinds[i],
			(unsigned long long)load(&worker->vps[index].messages[i]));
}

// What is not there and is touched most: a child that hangs can be asked while it does.
static void stat_touches(struct stat_text *stat, struct devices *devices)
{
	struct touch top[TOUCHES_SHOWN];
	uint64_t now_ms;
	struct touches touches = devices_touches(devices, &now_ms);
	unsigned count = touches_top(&touches, top, TOUCHES_SHOWN);

	for (unsigned i = 0; i < count; i++) {
		const char *space = top[i].space == TOUCH_PORT ? "ports" : "mmio";

		stat_line(stat, "%s.missing.0x%llx.reads %llu", space,
			(unsigned long long)top[i].address, (unsigned long long)top[i].reads);
		stat_line(stat, "%s.missing.0x%llx.writes %llu", space,
			(unsigned long long)top[i].address, (unsigned long long)top[i].writes);
	}
}

static void stat_devices(struct stat_text *stat, struct devices *devices)
{
	struct devices_counters counted;

	pthread_mutex_lock(&devices->lock);
	counted = devices->counters;
	pthread_mutex_unlock(&devices->lock);
	number(stat, "ports.reads", counted.port_reads);
	number(stat, "ports.writes", counted.port_writes);
	number(stat, "ports.unknown_reads", counted.unknown_reads);
	number(stat, "ports.unknown_writes", counted.unknown_writes);
	number(stat, "mmio.ioapic", counted.ioapic_accesses);
	number(stat, "mmio.unknown", counted.unknown_memory);
	stat_touches(stat, devices);
}

static const char *channel_state(uint32_t state)
{
	static const char *const names[] = {
		[VMBUS_CHANNEL_FREE] = "free",
		[VMBUS_CHANNEL_CLOSED] = "closed",
		[VMBUS_CHANNEL_OPENING] = "opening",
		[VMBUS_CHANNEL_ABANDONED] = "abandoned",
		[VMBUS_CHANNEL_OPEN] = "open",
		[VMBUS_CHANNEL_CLOSING] = "closing",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static void stat_vmbus(struct stat_text *stat, const struct vmbus_host *host)
{
	uint64_t violations = 0;

	for (int i = 0; i < VMBUS_VIOLATION_COUNT; i++)
		violations += host->server.violations[i];
	stat_line(stat, "vmbus.version %u.%u", host->version >> 16, host->version & 0xffff);
	number(stat, "vmbus.messages_in", host->messages_in);
	number(stat, "vmbus.messages_out", host->messages_out);
	number(stat, "vmbus.retries", host->retries);
	number(stat, "vmbus.violations", violations);
	for (uint32_t relid = 1; relid < host->relid_end; relid++) {
		const struct vmbus_device *device = host->devices[relid];

		if (!device)
			continue;
		stat_line(stat, "vmbus.channel%u.%s.state %s", device->relid, device->name,
			channel_state(vmbus_host_state(device)));
		stat_line(stat, "vmbus.channel%u.%s.signals %llu", device->relid, device->name,
			(unsigned long long)load(&device->signals));
	}
}

// What a kernel that boots, or writes a dump, does again and again. Not among these: interrupts,
// halts and MSRs, which a tick needs, and reads of ports, by which a kernel waits for a key.
static const unsigned activity_counters[] = { VpHypercallsCount, VpCpuidInstructionsCount,
	VpControlRegisterAccessesCount };

static uint64_t vp_rip(struct partition *partition, uint32_t vp)
{
	static const uint32_t name = HvX64RegisterRip;
	struct hv_register_value value = { .reg64 = 0 };

	partition_get_registers(partition, vp, &name, &value, 1);
	return value.reg64;
}

void worker_sample(struct worker *worker, struct crash_sample *sample)
{
	uint64_t page[HV_STATS_COUNTERS];

	*sample = (struct crash_sample){ .activity = load(&worker->console.written),
		.rip = vp_rip(&worker->partition, worker->crash_vp) };
	for (uint32_t i = 0; i < worker->config.vps; i++) {
		if (partition_read_vp_stats(&worker->partition, i, page))
			continue;
		sample->run_time += page[VpTotalRunTime];
		if (i == worker->crash_vp)
			sample->halts = page[VpHltInstructionsCount];
		for (size_t j = 0; j < ARRAY_SIZE(activity_counters); j++)
			sample->activity += page[activity_counters[j]];
	}
	sample->activity += synthetic_activity(worker);
}

static void stat_child(struct stat_text *stat, struct worker *worker)
{
	uint64_t page[HV_STATS_COUNTERS];

	number(stat, "pid", (uint64_t)worker->pid);
	number(stat, "partition_id", worker->partition.id);
	number(stat, "memory", worker->config.memory);
	number(stat, "cpus", worker->config.vps);
	number(stat, "loop.turns", worker->loop.turns);
	number(stat, "loop.idle_turns", worker->loop.idle_turns);
	if (!partition_read_partition_stats(&worker->partition, page))
		counters(stat, "partition", partition_counters, ARRAY_SIZE(partition_counters),
			page);
}

size_t worker_stat(struct worker *worker, unsigned part, char *text, size_t size)
{
	struct stat_text stat = { .text = text, .size = size };
	const unsigned vps = worker->config.vps;

	if (!part) {
		stat_child(&stat, worker);
	} else if (part <= vps) {
		stat_vp(&stat, worker, part - 1);
	} else if (part == vps + 1) {
		stat_devices(&stat, &worker->devices);
		stat_vmbus(&stat, &worker->vmbus);
	} else {
		struct device *device = synthetic_at(worker, part - vps - 2);

		if (device)
			device_stat(device, &stat);
	}
	return stat.length;
}

size_t worker_tell(struct worker *worker, char *text, size_t size)
{
	struct stat_text told = { .text = text, .size = size };

	synthetic_tell(worker, &told);
	return told.length;
}
