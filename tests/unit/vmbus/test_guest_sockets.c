// SPDX-License-Identifier: BSD-2-Clause
// Sockets' channels over the guest SDK's VMBus and the server: connected, accepted, refused, late,
// lied about, and given back; polled and with interrupts.
#include "guest_case.h"

#include "base/macros.h"

static const struct vmbus_guid service = { .data1 = 77, .data2 = 0xfacb };

static struct guest_rig *rig;
static struct lumen_vmbus *bus;
static struct listener listener;
static struct echo_device echo; // the last one that was offered
static bool refuses, silent;
static uint32_t watched;

static struct guest_rig_device *offer_socket(uint32_t data1, uint32_t instance, bool from_host)
{
	const struct vmbus_socket_parameters parameters = { .from_host = from_host };
	struct vmbus_offer offer = {
		.interface_type = service,
		.interface_instance = { .data1 = instance },
		.flags = VMBUS_OFFER_TLNPI_PROVIDER | VMBUS_OFFER_NAMED_PIPE_MODE,
	};

	offer.interface_type.data1 = data1;
	memcpy(offer.user_defined, &parameters, sizeof(parameters));
	return guest_rig_offer(rig, &offer, &echo_ops, &echo);
}

static void on_socket(struct guest_rig *of, const struct vmbus_socket_request *request)
{
	cr_assert_eq(request->service.data2, service.data2);
	if (silent)
		return;
	cr_assert(vmbus_server_answer_socket(&of->server, request->id, refuses));
	if (!refuses)
		cr_assert_not_null(
			offer_socket(request->service.data1, request->guest.data1, false));
}

static void begin(uint32_t version, uint8_t vector)
{
	rig = guest_rig_create(version);
	rig->on_socket = on_socket;
	rig->old_host = version < VMBUS_VERSION_5_0;
	refuses = silent = false;
	watched = 0;
	memset(&echo, 0, sizeof(echo));
	bus = connected(rig, vector);
	lumen_vmbus_watch(bus, &watched);
}

static void end(void)
{
	lumen_vmbus_watch(bus, NULL);
	finish(rig, bus);
}

static lumen_status connect(uint32_t instance, struct lumen_channel **channel)
{
	const struct vmbus_guid guest = { .data1 = instance };

	return lumen_vmbus_connect_socket(bus, &service, &guest, channel);
}

static struct lumen_channel *accept(void)
{
	return lumen_vmbus_accept_socket(bus, &service);
}

static void use(struct lumen_channel *channel, uint32_t number)
{
	const struct lumen_channel_config config = channel_config(&listener);

	cr_assert_eq(lumen_channel_open(channel, &config), LUMEN_OK);
	exchange(rig, channel, number);
}

// The host takes the channel back when the guest has closed it, and the guest lets go of it by the
// next connection. There are more of them than channels.
BOTH_WAYS(guest_sockets, many_in_a_row)
{
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	for (uint32_t i = 0; i < 3 * GUEST_RIG_CHANNELS; i++) {
		if (i % 2) {
			cr_assert_not_null(offer_socket(service.data1, i, true));
			guest_rig_run(rig);
			channel = accept();
			cr_assert_not_null(channel);
		} else {
			cr_assert_eq(connect(i, &channel), LUMEN_OK);
		}
		cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, i);
		use(channel, i);
		lumen_channel_close(channel);
		lumen_channel_give_back(channel);
		guest_rig_rescind(rig, echo.device);
		guest_rig_run(rig);
	}
	end();
}

// The host rescinds first.
BOTH_WAYS(guest_sockets, rescinded_while_they_are_open)
{
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	for (uint32_t i = 0; i < 3 * GUEST_RIG_CHANNELS; i++) {
		cr_assert_eq(connect(i, &channel), LUMEN_OK);
		use(channel, i);
		listener.rescinds = 0;
		guest_rig_rescind(rig, echo.device);
		guest_rig_run(rig);
		cr_assert_eq(listener.rescinds, 1);
		cr_assert(lumen_channel_rescinded(channel));
		lumen_channel_close(channel);
		lumen_channel_give_back(channel);
	}
	end();
}

BOTH_WAYS(guest_sockets, refused)
{
	static const struct {
		uint32_t version;
		lumen_status status;
	} rows[] = {
		{ VMBUS_VERSION_3_0, LUMEN_NOT_SUPPORTED },
		{ VMBUS_VERSION_4_0, LUMEN_TIMED_OUT }, // there is no such answer
		{ VMBUS_VERSION_4_1, LUMEN_REFUSED },
		{ VMBUS_VERSION_5_2, LUMEN_REFUSED },
		{ VMBUS_VERSION_5_3, LUMEN_REFUSED },
	};
	struct lumen_channel *channel;

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(rows[i].version, *vector);
		refuses = true;
		cr_assert_eq(connect(1, &channel), rows[i].status);
		cr_assert_eq(connect(1, &channel), rows[i].status);
		cr_assert_eq(watched, 0);
		end();
	}
}

BOTH_WAYS(guest_sockets, connections_of_the_hosts_are_taken_in_order)
{
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	cr_assert_null(accept());
	for (uint32_t i = 1; i <= 3; i++)
		offer_socket(service.data1, i, true);
	offer_socket(78, 4, true);
	guest_rig_run(rig);
	cr_assert_eq(watched, 4, "who waits for them hears of each");
	for (uint32_t i = 1; i <= 3; i++) {
		channel = accept();
		cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, i);
	}
	cr_assert_null(accept());
	end();
}

// The host has lost patience before anybody looked.
BOTH_WAYS(guest_sockets, a_connection_that_is_gone_before_it_is_taken)
{
	begin(VMBUS_VERSION_5_3, *vector);
	for (uint32_t i = 0; i < 3 * GUEST_RIG_CHANNELS; i++) {
		struct guest_rig_device *device = offer_socket(service.data1, i, true);

		cr_assert_not_null(device, "%u", i);
		guest_rig_run(rig);
		guest_rig_rescind(rig, device);
		guest_rig_run(rig);
		cr_assert_null(accept());
		guest_rig_run(rig);
	}
	cr_assert_eq(watched, 2 * 3 * GUEST_RIG_CHANNELS);
	end();
}

// Answers to questions that nobody has asked, or that nobody waits for any more.
BOTH_WAYS(guest_sockets, offers_that_nobody_has_asked_for)
{
	struct lumen_channel *channel = NULL;
	struct guest_rig_device *device;

	begin(VMBUS_VERSION_5_3, *vector);
	silent = true;
	cr_assert_eq(connect(5, &channel), LUMEN_TIMED_OUT);
	device = offer_socket(service.data1, 5, false); // late
	guest_rig_run(rig);
	cr_assert_null(accept());
	silent = false;
	cr_assert_eq(connect(6, &channel), LUMEN_OK);
	cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, 6);
	guest_rig_rescind(rig, device);
	guest_rig_run(rig);
	cr_assert_null(accept()); // lets go of it
	guest_rig_run(rig);
	cr_assert_eq(device->relid, 0);
	end();
}

// One of two that are waited for is refused by a host that means the other, or nobody.
static bool lie(void *context, struct guest_rig *of, union vmbus_message *message)
{
	(void)context;
	(void)of;
	if (message->header.type == VMBUS_MESSAGE_TL_CONNECT_RESULT)
		message->tl_connect_result.endpoint_id.data1++;
	return true;
}

BOTH_WAYS(guest_sockets, refusals_of_others)
{
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	refuses = true;
	rig->hook = lie;
	cr_assert_eq(connect(1, &channel), LUMEN_TIMED_OUT);
	rig->hook = NULL;
	cr_assert_eq(connect(2, &channel), LUMEN_REFUSED);
	end();
}

BOTH_WAYS(guest_sockets, taken_away_before_it_is_open)
{
	const struct lumen_channel_config config = channel_config(&listener);
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	offer_socket(service.data1, 1, true);
	guest_rig_run(rig);
	channel = accept();
	guest_rig_rescind(rig, &rig->devices[0]);
	guest_rig_run(rig);
	cr_assert_eq(lumen_channel_open(channel, &config), LUMEN_RESCINDED);
	lumen_channel_give_back(channel);
	guest_rig_run(rig);
	cr_assert_eq(rig->devices[0].relid, 0);
	end();
}

BOTH_WAYS(guest_sockets, a_host_that_hears_nothing)
{
	struct lumen_channel *channel;

	begin(VMBUS_VERSION_5_3, *vector);
	rig->deaf = true;
	cr_assert_eq(connect(1, &channel), LUMEN_TIMED_OUT);
	rig->deaf = false;
	end();
}
