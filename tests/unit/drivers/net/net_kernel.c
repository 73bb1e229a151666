// SPDX-License-Identifier: BSD-2-Clause
// See net_kernel.h.
#include "net_kernel.h"

#include <string.h>

struct net_kernel net_kernel;

static void receive(void *context, struct lumen_net *net, const struct lumen_net_received *frame)
{
	uint32_t size = frame->length;

	rig_check(context == &net_kernel && frame->size <= NET_KERNEL_FRAME);
	net_kernel.received++;
	net_kernel.last = *frame;
	memcpy(net_kernel.bytes, frame->data, frame->length);
	for (uint32_t i = 0; i < frame->more_count; i++) {
		memcpy(net_kernel.bytes + size, frame->more[i].data, frame->more[i].length);
		size += frame->more[i].length;
	}
	rig_check(size == frame->size);
	if (net_kernel.echoes)
		lumen_net_send_copy(net, net_kernel.bytes, size);
	if (net_kernel.on_receive)
		net_kernel.on_receive(frame);
}

lumen_status net_kernel_open(const struct lumen_net_config *config)
{
	struct lumen_net_config with = *config;

	memset(&net_kernel, 0, sizeof(net_kernel));
	with.receive = receive;
	with.context = &net_kernel;
	return lumen_net_open(lumen_net_find(NULL, 0), &with, &net_kernel.net);
}

void net_kernel_run(void)
{
	const uint32_t most = rig.moves ? 40 : UINT32_MAX; // who has moved always signals
	uint32_t turns = 0;

	for (uint32_t idle = 0; idle < 2 && turns < most; idle++, turns++)
		if (rig_run() | lumen_net_poll(net_kernel.net))
			idle = 0;
}

void net_kernel_fill(uint8_t *frame, uint32_t length, uint32_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		frame[i] = (uint8_t)(i * 7 + (i >> 8) * 3 + seed);
	memcpy(frame, (uint8_t[]){ 0x02, 0x99, 1, 2, 3, 4 }, 6);
	memcpy(frame + 6, net_host.config.card.mac, 6);
	memcpy(frame + 12, (uint8_t[]){ 0x88, 0xB5 }, 2); // IEEE 802, local experiments
}

void net_kernel_done(struct lumen_net_frame *frame)
{
	net_kernel.done++;
	net_kernel.good += frame->status == LUMEN_OK;
}

bool net_kernel_comes(const uint8_t *frame, uint32_t length)
{
	static const struct net_header header = { 0 };

	return memory_wire_receive(&net_host.wire, &header, frame, length);
}
