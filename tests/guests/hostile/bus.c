// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/hostile/bus.h"

#include "lumen/clock.h"
#include "lumen/hypercall.h"

static struct lumen_synic synic;

bool bus_prepare(void)
{
	return !lumen_clock_start() && !lumen_hypercall_enable(0) && !lumen_synic_start(&synic);
}

lumen_status bus_connect(uint32_t max_version, uint64_t timeout_ns, struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = {
		.synic = &synic, .max_version = max_version, .timeout_ns = timeout_ns
	};

	return lumen_vmbus_connect(&config, bus);
}

uint64_t bus_post(uint32_t connection, uint32_t type, const void *payload, uint32_t size)
{
	static _Alignas(256) struct hv_input_post_message in;

	in.connection_id = connection;
	in.message_type = type;
	in.payload_size = size;
	for (uint32_t i = 0; i < size && i < sizeof(in.payload); i++)
		in.payload[i] = ((const uint8_t *)payload)[i];
	return lumen_hypercall(HvCallPostMessage, &in, NULL);
}
