// SPDX-License-Identifier: BSD-2-Clause
// See worker.h.
#include "parent/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "hypercall/msr.h"
#include "parent/worker/platform/acpi/tables.h"
#include "parent/worker/exits.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/log.h"
#include "parent/worker/platform/missing.h"
#include "parent/worker/platform/screen.h"

enum {
	CONSOLE_COLLECT_MS = 10, // output of so long a time goes out together
	STOP_MS = 3000,		 // what the root's kernel has to let go of everything
	RESERVE = 16 << 20, // bytes beside the child's memory: our own, page tables, the driver's
};

// How a child ends.

static void store_end(struct worker_end *end, int status, const char *format, va_list arguments)
{
	end->status = status;
	vsnprintf(end->reason, sizeof(end->reason), format, arguments);
}

void worker_end(struct worker *worker, int status, const char *format, ...)
{
	struct worker_end *end = &worker->end;
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&end->lock);
	if (!end->ended && !end->crashed)
		store_end(end, status, format, arguments);
	end->ended = true;
	pthread_mutex_unlock(&end->lock);
	va_end(arguments);
	loop_event_signal(&worker->end_event);
}

void worker_crashed(struct worker *worker, const char *format, ...)
{
	struct worker_end *end = &worker->end;
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&end->lock);
	if (!end->ended && !end->crashed)
		store_end(end, LUMEN_EXIT_CRASHED, format, arguments);
	end->crashed = true;
	pthread_mutex_unlock(&end->lock);
	va_end(arguments);
	loop_timer_start(&worker->crash_timer, CRASH_TICK_MS);
}

static void end_signalled(struct loop_source *source)
{
	container_of(source, struct worker, end_event)->loop.stop = true;
}

static void crash_timer_expired(struct loop_source *source)
{
	struct worker *worker = container_of(source, struct worker, crash_timer);
	struct crash_sample sample;

	worker_sample(worker, &sample);
	if (crash_watch_tick(&worker->crash_watch, worker->config.on_crash, &sample))
		worker_end(worker, LUMEN_EXIT_CRASHED, "The child crashed.");
	else
		loop_timer_start(source, CRASH_TICK_MS);
}

// What the child seems to wait for, as a sentence to be appended; or "".
static const char *waits_for(struct worker *worker, char *sentence, size_t size)
{
	uint64_t now_ms;
	struct touches touches = devices_touches(&worker->devices, &now_ms);

	missing_waits_for(&touches, now_ms, sentence, size);
	return sentence;
}

static void time_limit_expired(struct loop_source *source)
{
	struct worker *worker = container_of(source, struct worker, time_limit);
	char sentence[MISSING_SENTENCE_MAX];

	worker_end(worker, LUMEN_EXIT_HUNG, "The child did not end within %u s.%s",
		worker->config.timeout_s, waits_for(worker, sentence, sizeof(sentence)));
}

void worker_kill(struct worker *worker)
{
	char sentence[MISSING_SENTENCE_MAX];

	worker->killed = true;
	worker_end(worker, LUMEN_EXIT_OUR_FAULT, "The child was killed on request.%s",
		waits_for(worker, sentence, sizeof(sentence)));
}

static bool signals_ready(struct loop_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, signals);
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	worker_kill(worker);
	return true;
}

// The console.

static void wake_for_console(void *context)
{
	struct worker *worker = context;

	loop_event_signal(&worker->console_event);
}

// The first output after a pause goes out at once; then what comes is collected for a moment, so
// that neither side pays for every byte.
static void pass_console_on(struct worker *worker)
{
	console_log(&worker->console);
	control_console(&worker->control);
	loop_timer_start(&worker->console_timer, CONSOLE_COLLECT_MS);
}

static void console_signalled(struct loop_source *source)
{
	struct worker *worker = container_of(source, struct worker, console_event);

	pass_console_on(worker);
}

static void console_timer_expired(struct loop_source *source)
{
	struct worker *worker = container_of(source, struct worker, console_timer);

	if (!console_sleep(&worker->console))
		pass_console_on(worker);
}

// Making it all.

static void deliver_interrupt(void *context, const struct ioapic_interrupt *interrupt)
{
	static struct log_limit limit;
	struct worker *worker = context;
	int status = partition_assert_interrupt(&worker->partition, interrupt);

	if (status)
		log_limited(&limit, "vector %u for APIC %u is lost: hypercall status %d",
			interrupt->vector, interrupt->destination, status);
}

bool worker_reference_time(struct worker *worker, uint64_t *time)
{
	static const uint32_t name = HvRegisterTimeRefCount;
	struct hv_register_value value;

	if (partition_get_registers(&worker->partition, 0, &name, &value, 1))
		return false;
	*time = value.reg64;
	return true;
}

// A time that cannot be read stands still: what waits for it is ended by --timeout.
static uint64_t reference_time(void *context)
{
	uint64_t time = 0;

	worker_reference_time(context, &time);
	return time;
}

static bool add_signals(struct worker *worker)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return loop_add(&worker->loop, &worker->signals,
		signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN, signals_ready);
}

static bool make_loop(struct worker *worker, struct failure *failure)
{
	struct loop *loop = &worker->loop;

	if (loop_init(loop) && loop_add_event(loop, &worker->console_event, console_signalled) &&
		loop_add_timer(loop, &worker->console_timer, console_timer_expired) &&
		loop_add_event(loop, &worker->end_event, end_signalled) &&
		loop_add_timer(loop, &worker->time_limit, time_limit_expired) &&
		loop_add_timer(loop, &worker->crash_timer, crash_timer_expired) &&
		add_signals(worker))
		return true;
	return failure_set(
		failure, LUMEN_EXIT_OUR_FAULT, "The worker has too few descriptors; see its log.");
}

static bool load_child(struct worker *worker, struct loader_entry *entry, struct failure *failure)
{
	const struct child_config *config = &worker->config;
	struct loader_input input = {
		.kernel = config->kernel,
		.initrd = *config->initrd ? config->initrd : NULL,
		.command = config->append,
		.rsdp = LAYOUT_ACPI,
	};
	uint8_t *acpi = guest_memory_at(&worker->memory, LAYOUT_ACPI, LAYOUT_ACPI_ROOM);

	if (!acpi_tables_write(acpi, LAYOUT_ACPI_ROOM, LAYOUT_ACPI, config->vps))
		return failure_set(
			failure, LUMEN_EXIT_OUR_FAULT, "The ACPI tables do not fit their place.");
	return loader_load(&worker->memory, &input, entry, failure);
}

// Says so in time if the root partition has less memory than the child is to have: its kernel would
// find out only when it touches it, and kill us.
static bool check_memory(const struct worker *worker, struct failure *failure)
{
	unsigned long long available_kib = 0;
	FILE *info = fopen("/proc/meminfo", "re");
	char line[100];

	if (!info)
		return true; // then it cannot be known
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "MemAvailable: %llu kB", &available_kib) == 1)
			break;
	fclose(info);
	if (!available_kib || available_kib * 1024 >= worker->config.memory + RESERVE)
		return true;
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The root partition has too little memory for the child: %llu MiB, for %llu MiB.",
		available_kib / 1024, (unsigned long long)worker->config.memory / LAYOUT_MIB);
}

static void make_test_devices(struct worker *worker)
{
	const struct test_wiring wiring = {
		.context = &worker->test_synic,
		.command = test_synic_command,
		.vps = worker->config.vps,
		.memory = worker->config.memory,
	};

	test_synic_init(&worker->test_synic, worker);
	devices_add_test_ports(&worker->devices, &wiring);
}

static void make_devices(struct worker *worker)
{
	const struct console_wake wake = { .context = worker, .wake = wake_for_console };
	const struct devices_wiring wiring = {
		.context = worker, .interrupt = deliver_interrupt, .clock = reference_time
	};

	console_init(&worker->console, worker->directory, &wake);
	devices_init(&worker->devices, &worker->console, &wiring);
	if (worker->config.test_devices)
		make_test_devices(worker);
	if (worker->config.legacy_timer)
		devices_add_legacy_timer(&worker->devices);
}

static void messages_noted(struct message_log *log)
{
	control_messages(&container_of(log, struct worker, messages)->control);
}

static bool start_services(struct worker *worker, struct failure *failure)
{
	if (message_log_init(&worker->messages, &worker->loop, messages_noted) &&
		vmbus_host_start(&worker->vmbus, worker) && synthetic_offer(worker) &&
		control_init(&worker->control, worker))
		return true;
	return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
		"The worker cannot start its services; see its log.");
}

// Once the partition exists. What fails here is taken apart by the end of the process: the driver
// takes everything back when the descriptors close.
static bool start_partition(
	struct worker *worker, const struct loader_entry *entry, struct failure *failure)
{
	int status;

	if (!partition_map_memory(&worker->partition, &worker->memory, failure) ||
		!vps_create(worker, entry, failure))
		return false;
	status = partition_set_cpu(
		&worker->partition, worker->config.cpu_weight, worker->config.cpu_cap);
	if (status)
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"The child's part of the processors cannot be set: hypercall status %d.",
			status);
	status = partition_intercept_msr_write(&worker->partition, HV_X64_MSR_CRASH_CTL);
	if (status)
		log_line("a crash of the child will go unnoticed: hypercall status %d", status);
	return start_services(worker, failure) &&
	       (!worker->confine || worker->confine(worker, failure)) && vps_run(worker, failure);
}

bool worker_start(struct worker *worker, struct failure *failure)
{
	struct loader_entry entry;

	// A pipe that nobody reads any more (standard error, whom to tell of the start) is an error
	// like others.
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&worker->end.lock, NULL);
	if (!check_memory(worker, failure) || !make_loop(worker, failure) ||
		!guest_memory_create(&worker->memory, worker->config.memory, failure) ||
		!load_child(worker, &entry, failure) || !synthetic_attach(worker, failure))
		return false;
	make_devices(worker);
	if (!partition_create(&worker->partition, failure) ||
		!start_partition(worker, &entry, failure))
		return false;
	log_line("partition %llu runs: %u VPs, %llu MiB, %u disks",
		(unsigned long long)worker->partition.id, worker->config.vps,
		(unsigned long long)(worker->config.memory / LAYOUT_MIB),
		worker->config.disk_count);
	return true;
}

// For a child that did not end by itself, or not well: where it was, what it touched, what it wrote
// where nobody reads it. A crash has logged its registers.
static void log_last_state(struct worker *worker)
{
	int status = worker->end.status;
	struct touches touches;
	uint64_t now_ms;

	if (status != LUMEN_EXIT_CRASHED && status != LUMEN_EXIT_HUNG && !worker->killed)
		return;
	if (status != LUMEN_EXIT_CRASHED)
		for (uint32_t i = 0; i < worker->config.vps; i++)
			exits_log_registers(&worker->vps[i]);
	touches = devices_touches(&worker->devices, &now_ms);
	missing_report(&touches, now_ms, log_line);
	screen_report(guest_memory_at(&worker->memory, LAYOUT_SCREEN, SCREEN_BYTES), log_line);
}

// Everything of the child goes back, in the order in which nobody uses what is gone: VPs, devices
// and their threads, the partition with what it has mapped, memory. What the kernel does not let go
// of in time stays behind: a disk may hang for ever, and whoever ends a child wants its end.
static void take_apart(struct worker *worker)
{
	const deadline_ns deadline = deadline_in_ms(STOP_MS);
	bool done = vps_stop(worker, deadline);

	control_verb_done(&worker->control, NULL, NULL);
	log_last_state(worker);
	done = vmbus_host_stop(&worker->vmbus, deadline) && done;
	done = done && synthetic_detach(worker, deadline);
	vps_close(worker);
	partition_close(&worker->partition);
	if (done)
		guest_memory_destroy(&worker->memory);
	else
		log_line("the kernel still works on a request to a disk: until that is over this "
			 "process and its locks stay");
}

int worker_run(struct worker *worker)
{
	if (worker->config.timeout_s)
		loop_timer_start(&worker->time_limit, worker->config.timeout_s * 1000ull);
	loop_run(&worker->loop);
	take_apart(worker);
	console_log(&worker->console);
	log_line("%s", worker->end.reason);
	control_close(&worker->control);
	return worker->end.status;
}
