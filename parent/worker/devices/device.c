// SPDX-License-Identifier: BSD-2-Clause
// See device.h: all devices, and what serving one has in common.
#include "parent/worker/devices/device.h"

#include <stdlib.h>
#include <string.h>

#include "parent/common/text.h"
#include "parent/worker/devices/table.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

#define NO_SENSE "The request's words make no sense."

enum { FAILED_START_MS = 1000 }; // for what nobody has used to close

// --- all of them ---

struct device *synthetic_at(struct worker *worker, unsigned index)
{
	return index < worker->synthetic_count ? worker->synthetic[index] : NULL;
}

static bool attach(struct worker *worker, const struct device_row *row, struct failure *failure)
{
	struct device *device = calloc(1, row->size);

	if (!device)
		return failure_set(
			failure, LUMEN_EXIT_OUR_FAULT, "The worker has too little memory.");
	device->row = row;
	device->worker = worker;
	device->stop_fd = -1;
	device->epoll_fd = -1;
	worker->synthetic[worker->synthetic_count++] = device;
	return row->attach(device, failure);
}

bool synthetic_attach(struct worker *worker, struct failure *failure)
{
	for (unsigned i = 0; i < device_table_count; i++) {
		if (attach(worker, &device_table[i], failure))
			continue;
		synthetic_detach(worker, deadline_in_ms(FAILED_START_MS));
		return false;
	}
	return true;
}

static void describe(struct device *device)
{
	static const uint32_t pipe_mode = VMBUS_PIPE_MODE_MESSAGE;
	const struct vsp_class *class = device->row->class;
	struct vmbus_offer *what = &device->vmbus.offer;

	device->vmbus.name = class->name;
	device->vmbus.ops = device->row->threaded ? &device_thread_ops : &device_loop_ops;
	what->interface_type = class->guid;
	what->interface_instance = device->row->instance;
	what->flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE;
	if (class->pipe) {
		what->flags |= VMBUS_OFFER_NAMED_PIPE_MODE;
		memcpy(what->user_defined, &pipe_mode, sizeof(pipe_mode));
	}
}

// One that the child does not have may be brought later.
static bool offer(struct device *device, struct vmbus_host *host)
{
	if (device->row->offer)
		return !device->config || device->row->offer(device);
	describe(device);
	return device_loop_init(device) &&
	       (!device->config ||
		       (device_init_subs(device) && vmbus_host_offer(host, &device->vmbus)));
}

bool synthetic_offer(struct worker *worker)
{
	for (unsigned i = 0; i < worker->synthetic_count; i++)
		if (!offer(worker->synthetic[i], &worker->vmbus))
			return false;
	return true;
}

bool synthetic_detach(struct worker *worker, deadline_ns deadline)
{
	bool done = true;

	for (unsigned i = worker->synthetic_count; i-- > 0;) {
		struct device *device = worker->synthetic[i];

		if (device->row->detach && !device->row->detach(device, deadline))
			done = false;
	}
	return done;
}

void synthetic_free(struct worker *worker)
{
	for (unsigned i = 0; i < worker->synthetic_count; i++) {
		free(worker->synthetic[i]->subs);
		free(worker->synthetic[i]);
	}
	worker->synthetic_count = 0;
}

uint64_t synthetic_file_size(struct worker *worker)
{
	uint64_t largest = 0;

	for (unsigned i = 0; i < worker->synthetic_count; i++) {
		const struct device *device = worker->synthetic[i];
		uint64_t size = device->row->file_size ? device->row->file_size(device) : 0;

		if (size > largest)
			largest = size;
	}
	return largest;
}

uint64_t synthetic_activity(struct worker *worker)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < worker->synthetic_count; i++)
		if (worker->synthetic[i]->row->activity)
			sum += worker->synthetic[i]->row->activity(worker->synthetic[i]);
	return sum;
}

// --- verbs ---

static struct device *device_named(struct worker *worker, const char *name)
{
	for (unsigned i = 0; i < worker->synthetic_count; i++)
		if (!strcmp(worker->synthetic[i]->row->class->name, name))
			return worker->synthetic[i];
	return NULL;
}

// Takes words apart, in place. Returns false if they are not as many as there should be.
static bool take_words(char *words, uint32_t count, uint32_t *length)
{
	char *next = words, *to = words;

	for (; count && next; count--) {
		char *word = next;

		next = strchr(word, '\t');
		if (next)
			*next++ = 0;
		if (!text_unquote(word))
			return false;
		memmove(to, word, strlen(word) + 1);
		to += strlen(to) + 1;
	}
	*length = (uint32_t)(to - words);
	return !count && !next;
}

void device_verb_done(struct device *device, const struct verb *verb, const char *error)
{
	log_line("%s: %s", verb->name, error ? error : "the child does.");
	control_verb_done(&device->worker->control, verb, error);
}

void device_gone(struct vmbus_device *vmbus)
{
	struct device *device = (struct device *)vmbus;

	log_line("%s: the child has let go of it", vmbus->name);
	if (device->row->gone)
		device->row->gone(device);
}

static bool child_has(const struct device *device)
{
	bool has = device->vmbus.relid;

	for (uint32_t i = 0; i < device->sub_count; i++)
		has |= device->subs[i].vmbus.relid != 0;
	return has;
}

// Takes what was brought for a device that the child does not have, as it is to be from now on.
static const char *take_brought(struct device *device, const char *how, int *brought)
{
	const char *error;

	if (child_has(device))
		return "The child still has it.";
	if (!how || *brought < 0)
		return NO_SENSE;
	error = device->row->bring(device, how, *brought);
	if (error)
		return error;
	*brought = -1;
	return device_init_subs(device) ? NULL : "The worker has too little memory.";
}

static const char *attach_again(struct device *device, const char *how, int *brought)
{
	const char *error = NULL;

	if (device->row->bring)
		error = take_brought(device, how, brought);
	else if (device->vmbus.relid)
		error = "The child still has it.";
	if (!error && !vmbus_host_offer(&device->worker->vmbus, &device->vmbus))
		error = "There is no channel left for it.";
	return error;
}

// What comes of it in the child is the child's to say, and when.
static const char *change_offer(
	struct device *device, const struct verb *verb, const char *how, int *brought)
{
	const char *error = NULL;

	if (device->row->offer)
		return "Its channels come and go by themselves.";
	if (verb->argument == VERB_ATTACH)
		error = attach_again(device, how, brought);
	else if (!vmbus_host_rescind(&device->vmbus))
		error = "It is not attached.";
	if (error)
		return error;
	log_line("%s: %sed", device->vmbus.name, verb->name);
	control_verb_done(&device->worker->control, verb, NULL);
	return NULL;
}

// Also one that it does not have, and may get.
static struct device *find_device(struct worker *worker, const struct verb *verb, const char *name)
{
	struct device *device = device_named(worker, verb->device ? verb->device : name);
	const bool brings = verb->flags & VERB_BRINGS;

	return device && (device->config || (brings && device->row->bring)) ? device : NULL;
}

const char *synthetic_begin_verb(
	struct worker *worker, const struct verb *verb, uint32_t seconds, char *words, int *brought)
{
	struct device_request request = { .verb = verb, .seconds = seconds, .words = words };
	struct device *device;
	char *how;

	if (verb->words ? !take_words(words, verb->words, &request.words_length) : *words)
		return NO_SENSE;
	how = verb->flags & VERB_BRINGS ? strchr(words, '=') : NULL;
	if (how)
		*how++ = 0;
	device = find_device(worker, verb, words);
	if (!device)
		return "The child has no such device.";
	return verb->device ? device->row->begin(device, &request)
			    : change_offer(device, verb, how, brought);
}

void synthetic_forget_verb(struct worker *worker, const struct verb *verb)
{
	struct device *device = device_named(worker, verb->device);

	device->row->forget(device);
}

void synthetic_sent(struct worker *worker, const struct verb *verb)
{
	struct device *device = device_named(worker, verb->device);

	if (device->served)
		device_loop_serve(device);
}

void synthetic_tell(struct worker *worker, struct stat_text *text)
{
	for (unsigned i = 0; i < worker->synthetic_count; i++)
		if (worker->synthetic[i]->row->tell)
			worker->synthetic[i]->row->tell(worker->synthetic[i], text);
}

// --- counters ---

// On all channels together.
static uint64_t count(const struct device *device, unsigned index)
{
	const struct vsp_counter *counter = vsp_counter(device->row->class, index);
	uint64_t sum = device->closed[index] + (device->vsp ? vsp_count(device->vsp, counter) : 0);

	for (uint32_t i = 0; i < device->sub_count; i++)
		if (device->subs[i].vsp)
			sum += vsp_count(device->subs[i].vsp, counter);
	return sum + (device->row->count ? device->row->count(device, counter) : 0);
}

static const struct vsp_counter *counter_at(const struct device *device, unsigned index)
{
	return index < DEVICE_COUNTERS_MAX ? vsp_counter(device->row->class, index) : NULL;
}

// Of what is open, one line each: packets of the guest.
static void stat_subs(const struct device *device, struct stat_text *stat)
{
	for (uint32_t i = 0; i < device->sub_count; i++)
		if (device->subs[i].vsp)
			stat_line(stat, "%s.sub%u.packets %llu", device->row->class->name, i + 1,
				(unsigned long long)vsp_count(
					device->subs[i].vsp, vsp_counter(device->row->class, 0)));
}

void device_stat(struct device *device, struct stat_text *stat)
{
	const char *name = device->row->class->name;
	const struct vsp_counter *counter;

	for (unsigned i = 0; (counter = counter_at(device, i)); i++)
		stat_line(stat, "%s.%s %llu", name, counter->name,
			(unsigned long long)count(device, i));
	stat_subs(device, stat);
	if (device->row->threaded)
		stat_line(stat, "%s.turns %llu", name,
			(unsigned long long)__atomic_load_n(&device->turns, __ATOMIC_RELAXED));
	if (device->config && device->row->stat)
		device->row->stat(device, stat);
}

// --- one channel ---

static struct vsp *open_vsp(
	const struct vsp_class *class, const void *config, const struct vsp_rings *rings)
{
	size_t size = vsp_size(class, config, rings->primary != NULL);
	void *memory = aligned_alloc(VSP_ALIGNMENT, size + (-size & (VSP_ALIGNMENT - 1)));
	struct vsp *vsp = memory ? vsp_open(class, memory, rings, config) : NULL;

	if (!vsp)
		free(memory);
	return vsp;
}

static struct vsp_rings rings_of(const struct vmbus_device_open *open)
{
	return (struct vsp_rings){
		.in_pages = open->in_pages,
		.in_page_count = open->in_page_count,
		.out_pages = open->out_pages,
		.out_page_count = open->out_page_count,
	};
}

struct vsp *device_open_vsp(struct device *device, const struct vmbus_device_open *open,
	struct vsp *primary, uint32_t index)
{
	struct vsp_rings rings = rings_of(open);

	rings.primary = primary;
	rings.index = index;
	return open_vsp(device->row->class, device->config, &rings);
}

struct vsp *device_open_other(
	struct device *device, const struct vmbus_device_open *open, const void *config)
{
	const struct vsp_rings rings = rings_of(open);

	return open_vsp(device->row->class, config, &rings);
}

void device_close_vsp(struct device *device, struct vsp **vsp)
{
	const struct vsp_counter *counter;

	if (!*vsp)
		return;
	for (unsigned i = 0; (counter = counter_at(device, i)); i++)
		device->closed[i] += vsp_count(*vsp, counter);
	free(*vsp);
	*vsp = NULL;
}

uint32_t device_serve_other(struct device *device, struct vmbus_device *vmbus, struct vsp *vsp)
{
	uint32_t flags = vsp_poll(vsp);

	if (flags & VSP_SIGNAL)
		vmbus_device_signal(vmbus);
	if (flags & VSP_SUB_CHANNELS)
		vmbus_device_report(vmbus, VMBUS_DEVICE_ASKED);
	if (flags & VSP_FAILED) {
		log_limited(&device->failures, "%s: the channel has failed: %s (channel %u)",
			vmbus->name, vsp_failure(vsp), vmbus->offer.sub_channel_index);
		vsp_stop(vsp);
		vmbus_device_report(vmbus, VMBUS_DEVICE_FAILED);
	}
	return flags;
}

uint32_t device_serve(struct device *device)
{
	uint32_t flags = device_serve_other(device, &device->vmbus, device->vsp);

	if (device->row->flags && flags >= VSP_OWN)
		device->row->flags(device, flags);
	return flags;
}

uint32_t device_serve_sub(struct device_sub *sub)
{
	return device_serve_other(sub->device, &sub->vmbus, sub->vsp);
}
