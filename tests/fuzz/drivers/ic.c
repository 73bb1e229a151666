// SPDX-License-Identifier: BSD-2-Clause
// The integration components, both ends, for fuzz_devices.c.
#include "lumen/ic.h"

#include <string.h>

#include "base/macros.h"
#include "devices.h"
#include "drivers/proto/fcopy.h"
#include "drivers/proto/heartbeat.h"
#include "drivers/proto/kvp.h"
#include "drivers/proto/shutdown.h"
#include "drivers/proto/timesync.h"
#include "drivers/proto/vss.h"
#include "drivers/vsp/ic/backend.h"
#include "drivers/vsp/ic/components.h"

struct row {
	struct vmbus_guid guid;
	const struct ic_component *vsp;
	uint16_t type; // enum ic_message_type
	uint32_t size; // of a whole request's body
	struct ic_version versions[4];
	lumen_status (*open)(struct lumen_ic **ic);
	uint8_t arguments[8]; // of orders
};

enum { BODY = 8192 };

static struct ic_frame last; // that the raw guest has heard
static uint8_t last_body[BODY];
static bool reference_fails;
static struct lumen_ic *ic;
static const struct row *opened;
static struct {
	bool frozen, copying, asked;
	uint64_t size;
} kernel;

// --- the host ---

static uint64_t time_of_day(void *context)
{
	(void)context;
	return rig.time_of_day;
}

static bool reference_time(void *context, uint64_t *time)
{
	(void)context;
	*time = rig.reference_time;
	return !reference_fails;
}

static void pair(void *context, uint32_t pool, const char *key, const char *value)
{
	(void)context;
	rig_check(pool <= KVP_POOL_AUTO_INTERNAL && strlen(key) + strlen(value) < BODY);
}

static int32_t read(void *context, void *bytes, uint32_t size)
{
	const uint32_t what = take();

	(void)context;
	if (what > 0xf0)
		return -1;
	size = what < 0x40 ? size * what / 0x40 : size;
	memset(bytes, (int)what, size);
	return (int32_t)size;
}

static void create(const struct fuzz_device *device)
{
	static const struct ic_host host = { NULL, time_of_day, reference_time, pair, read };
	static struct ic_config config;
	const struct row *row = device->of;

	rig_create(0);
	memset(&last, 0, sizeof(last));
	memset(&kernel, 0, sizeof(kernel));
	reference_fails = false;
	config = (struct ic_config){ .component = row->vsp, .host = &host };
	rig_offer(0, &row->guid, &row->vsp->class, &config);
}

static void ask(const struct fuzz_device *device)
{
	static char words[] = "20000\0/a/b\0c\0d\0e"; // a file's size and path; or keys and values
	struct ic_vsp *vsp = (struct ic_vsp *)rig.channels[0].vsp;
	const uint32_t what = take();
	const struct row *row = device->of;
	struct ic_order order = { .argument = row->arguments[what & 7], .patience = what >> 3 & 3 };

	reference_fails = what & 0x80;
	if (vsp->component->words_max) {
		memcpy(words, "20000\0/a/b\0c\0d\0e", sizeof(words));
		patch(words, sizeof(words) - 1, what >> 5 & 3);
		for (char *at = words; at < words + sizeof(words); at++)
			*at = *at == '\\' ? 'x' : *at; // a name with it is the user's fault
		if (row->vsp == &kvp_component)
			order.argument |= take() % (KVP_POOL_AUTO_INTERNAL + 1) << KVP_POOL_SHIFT;
		order.words = words;
		order.words_length = sizeof(words);
	}
	ic_begin(vsp, &order);
}

// --- a raw guest ---

static void guest_hears(const struct vmbus_packet *packet)
{
	rig_check(packet->type == VMBUS_PACKET_IN_BAND && packet->payload_length >= sizeof(last));
	memcpy(&last, packet->payload, sizeof(last));
	rig_check(last.pipe.size == sizeof(last.header) + last.header.size &&
		  last.pipe.size + sizeof(last.pipe) <= packet->payload_length &&
		  last.header.size <= BODY);
	memcpy(last_body, packet->payload + sizeof(last), last.header.size);
}

static void answer(const void *body, uint16_t size, uint32_t errors)
{
	struct ic_frame frame = ic_response(&last.header, IC_STATUS_OK, size);
	const struct vmbus_piece pieces[] = { { &frame, sizeof(frame) }, { body, size } };

	patch(&frame, sizeof(frame), errors);
	rig_write(&rig.channels[0].guest,
		&(struct vmbus_packet_out){
			.type = errors && (take() & 15) == 15 ? VMBUS_PACKET_COMPLETION
							      : VMBUS_PACKET_IN_BAND,
			.payload = pieces,
			.payload_count = 2,
		});
}

static void answer_versions(const struct row *row, uint32_t errors)
{
	struct ic_choice choice = { { 1, 1, 0 }, { 3, 0 }, row->versions[take() & 3] };

	patch(&choice, sizeof(choice), errors);
	answer(&choice, sizeof(choice), errors);
}

static void guest_says(const struct fuzz_device *device)
{
	const uint32_t how = take(), errors = how & 3;

	if (last.header.type == IC_MESSAGE_NEGOTIATE) {
		answer_versions(device->of, errors);
		return;
	}
	if (how & 4)
		last_body[0]++; // as a heart that beats
	if (last.header.size)
		patch(last_body, last.header.size, errors);
	answer(last_body, how & 8 ? (uint16_t)(take() * 32) : last.header.size, errors);
}

static void greet(const struct fuzz_device *device)
{
	rig_run();
	while (rig_read(&rig.channels[0].guest))
		guest_hears(&rig.channels[0].guest.packet);
	answer_versions(device->of, 0);
	rig_run();
}

// --- a VSC, and its kernel ---

static void told(void *context)
{
	rig_check(context == &kernel);
}

static lumen_status open_shutdown(struct lumen_ic **to)
{
	static const struct lumen_shutdown_handlers handlers = { told, told, NULL, &kernel };

	return lumen_shutdown_open(NULL, &handlers, to);
}

static lumen_status open_heartbeat(struct lumen_ic **to)
{
	return lumen_heartbeat_open(NULL, to);
}

static void sample(void *context, const struct lumen_time_sample *of)
{
	rig_check(context == &kernel && of->flags <= 3);
}

static lumen_status open_time(struct lumen_ic **to)
{
	static const struct lumen_time_handler handler = { sample, &kernel };

	return lumen_time_open(NULL, &handler, to);
}

static lumen_ic_answer any_answer(void)
{
	return take() & 1 ? LUMEN_IC_FAILED : LUMEN_IC_DONE;
}

static lumen_ic_answer get(void *context, enum lumen_kvp_pool pool, const char *key, char *value)
{
	(void)context;
	rig_check(pool <= LUMEN_KVP_AUTO_INTERNAL && strlen(key) < LUMEN_KVP_KEY_SIZE);
	memset(value, (int)take(), LUMEN_KVP_VALUE_SIZE - 1); // too long, or no text, often
	value[(take() << 4) % LUMEN_KVP_VALUE_SIZE] = '\0';
	value[LUMEN_KVP_VALUE_SIZE - 1] = '\0';
	return any_answer();
}

static lumen_ic_answer set(
	void *context, enum lumen_kvp_pool pool, const char *key, const char *value)
{
	(void)context;
	rig_check(pool <= LUMEN_KVP_AUTO_INTERNAL && strlen(key) < LUMEN_KVP_KEY_SIZE &&
		  strlen(value) < LUMEN_KVP_VALUE_SIZE);
	return any_answer();
}

static lumen_ic_answer take_out(void *context, enum lumen_kvp_pool pool, const char *key)
{
	return set(context, pool, key, "");
}

static lumen_ic_answer enumerate(
	void *context, enum lumen_kvp_pool pool, uint32_t index, char *key, char *value)
{
	(void)index;
	strcpy(key, "key");
	return get(context, pool, key, value);
}

static lumen_status open_kvp(struct lumen_ic **to)
{
	static const struct lumen_kvp_handlers handlers = { get, set, take_out, enumerate, NULL };

	return lumen_kvp_open(NULL, &handlers, to);
}

static lumen_ic_answer freeze(void *context)
{
	const lumen_ic_answer says = any_answer();

	(void)context;
	rig_check(!kernel.frozen);
	kernel.frozen = says == LUMEN_IC_DONE;
	return says;
}

static lumen_ic_answer thaw(void *context)
{
	(void)context;
	rig_check(kernel.frozen);
	kernel.frozen = false;
	return any_answer();
}

static lumen_ic_answer hot_backup(void *context)
{
	(void)context;
	return any_answer();
}

static lumen_status open_vss(struct lumen_ic **to)
{
	static const struct lumen_vss_handlers handlers = { freeze, thaw, hot_backup, NULL };

	return lumen_vss_open(NULL, &handlers, to);
}

static lumen_ic_answer start(void *context, const struct lumen_fcopy_file *file)
{
	const lumen_ic_answer says = any_answer();

	(void)context;
	rig_check(!kernel.copying && file->name[0] && !strpbrk(file->name, "/\\"));
	rig_check(strlen(file->path) < 3 * FCOPY_NAME_UNITS);
	kernel.copying = says == LUMEN_IC_DONE;
	kernel.size = file->size;
	return says;
}

static lumen_ic_answer take_piece(void *context, uint64_t offset, const void *data, uint32_t size)
{
	static uint8_t copy[FCOPY_BLOCK];

	(void)context;
	rig_check(kernel.copying && offset <= kernel.size && size <= kernel.size - offset);
	memcpy(copy, data, size); // ASan sees to both ends
	return any_answer();
}

static lumen_ic_answer complete(void *context)
{
	(void)context;
	rig_check(kernel.copying);
	kernel.copying = false;
	return any_answer();
}

static void cancel(void *context)
{
	complete(context);
}

static lumen_status open_fcopy(struct lumen_ic **to)
{
	static const struct lumen_fcopy_handlers handlers = { start, take_piece, complete, cancel,
		NULL };

	return lumen_fcopy_open(NULL, &handlers, to);
}

static bool open(const struct fuzz_device *device)
{
	opened = device->of;
	return opened->open(&ic) == LUMEN_OK;
}

static void act(void)
{
	lumen_ic_poll(ic);
}

static void close(void)
{
	lumen_ic_close(ic);
	rig_check(!kernel.frozen && !kernel.copying);
}

// What is asked for decides whether a backup's requests are out of turn.
static bool blames(void)
{
	return lumen_ic_status(ic) == LUMEN_BAD_HOST ||
	       (lumen_ic_bad_messages(ic) && opened->vsp != &vss_component);
}

// --- a host that lies ---

static void say(const struct row *row, uint32_t how, void *body, uint16_t size)
{
	const struct ic_dialect dialect = { { 3, 0 }, row->versions[0] };
	struct ic_frame frame = ic_request(&dialect, (enum ic_message_type)row->type, 7, size);
	const struct vmbus_piece pieces[] = { { &frame, sizeof(frame) }, { body, size } };

	if (how & 1)
		frame.header.type = IC_MESSAGE_NEGOTIATE;
	patch(&frame, sizeof(frame), how >> 1 & 3);
	while (rig_read(&rig.channels[0].host)) // what was answered
		continue;
	rig_write(&rig.channels[0].host, &(struct vmbus_packet_out){
						 .type = VMBUS_PACKET_IN_BAND,
						 .payload = pieces,
						 .payload_count = 2,
					 });
}

static void say_versions(const struct row *row, uint32_t how)
{
	struct ic_offer offer;
	const struct ic_versions versions = { row->versions, 4 };
	const uint16_t size = ic_offer(&offer, &versions);

	patch(&offer, sizeof(offer), how >> 3 & 3);
	say(row, how, &offer, size);
}

static void host_says(const struct fuzz_device *device)
{
	static uint8_t body[BODY];
	const struct row *row = device->of;
	const uint32_t how = take(), fill = how & 0x20 ? take() : 0;
	uint32_t size = row->size;

	if (how & 1) {
		say_versions(row, how);
		return;
	}
	memset(body, (int)fill, sizeof(body));
	for (uint32_t count = take() & 31; count > 0; count--)
		body[count - 1] = (uint8_t)take();
	patch(body, size, how >> 3 & 3);
	if (how & 0x40)
		size = (size + take32()) % sizeof(body);
	say(row, how, body, (uint16_t)size);
}

// --- the table ---

static const struct row rows[] = {
	{ SHUTDOWN_GUID, &shutdown_component, IC_MESSAGE_SHUTDOWN, sizeof(struct shutdown_message),
		SHUTDOWN_VERSIONS, open_shutdown, { 0, 1, 2, 3, 4, 5, 6, 7 } },
	{ HEARTBEAT_GUID, &heartbeat_component, IC_MESSAGE_HEARTBEAT,
		sizeof(struct heartbeat_message), HEARTBEAT_VERSIONS, open_heartbeat, { 0 } },
	{ TIMESYNC_GUID, &timesync_component, IC_MESSAGE_TIMESYNC, TIMESYNC_MESSAGE_SIZE,
		TIMESYNC_VERSIONS, open_time, { 0 } },
	{ KVP_GUID, &kvp_component, IC_MESSAGE_KVP, sizeof(struct kvp_enumerate), KVP_VERSIONS,
		open_kvp, { 0 } },
	{ VSS_GUID, &vss_component, IC_MESSAGE_VSS, sizeof(struct vss_message), VSS_VERSIONS,
		open_vss, { 0 } },
	{ FCOPY_GUID, &fcopy_component, IC_MESSAGE_FCOPY, sizeof(struct fcopy_start),
		FCOPY_VERSIONS, open_fcopy, { FCOPY_START } },
};

#define DEVICE(row)                                                                                \
	{                                                                                          \
		.of = &rows[row], .create = create, .destroy = rig_destroy, .greet = greet,        \
		.guest_says = guest_says, .guest_hears = guest_hears, .ask = ask, .open = open,    \
		.act = act, .close = close, .blames = blames, .host_says = host_says,              \
	}

const struct fuzz_device fuzz_ic[] = { DEVICE(0), DEVICE(1), DEVICE(2), DEVICE(3), DEVICE(4),
	DEVICE(5) };
const uint32_t fuzz_ic_count = ARRAY_SIZE(fuzz_ic);
