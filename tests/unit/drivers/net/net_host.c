// SPDX-License-Identifier: BSD-2-Clause
// See net_host.h.
#include "net_host.h"

#include <string.h>

#include "drivers/proto/nvsp.h"

struct net_test_host net_host;

static void borrow(void *context, enum net_lent which, uint32_t gpadl)
{
	(void)context;
	if (!rig.channels[0].vsp) { // it goes on here: what it had elsewhere is nothing to us
		net_host.gpadls[net_host.loans[which].gpadl].held = false;
		memset(&net_host.loans[which], 0, sizeof(net_host.loans[which]));
	}
	rig_check(!net_host.loans[which].asked && !net_host.loans[which].gpadl);
	net_host.loans[which].asked = true;
	net_host.loans[which].gpadl = gpadl;
}

static void give_back(void *context, enum net_lent which)
{
	struct net_host_gpadl *gpadl = &net_host.gpadls[net_host.loans[which].gpadl];

	(void)context;
	rig_check(!net_host.loans[which].asked && gpadl->held);
	gpadl->held = false;
	net_host.loans[which].gpadl = 0;
}

static bool lend(enum net_lent which)
{
	const uint32_t number = net_host.loans[which].gpadl;
	struct net_host_gpadl *gpadl = number < NET_HOST_GPADLS ? &net_host.gpadls[number] : NULL;

	if (!net_host.loans[which].asked || !rig.channels[0].vsp)
		return false;
	net_host.loans[which].asked = false;
	if (gpadl && gpadl->byte_count && !gpadl->held) {
		const struct vmbus_gpa_range range = { gpadl->byte_count, 0,
			gpadl->byte_count / VMBUS_PAGE_SIZE, gpadl->pfns };

		gpadl->held = true;
		net_vsp_lend(rig.channels[0].vsp, which, &range);
	} else {
		net_host.loans[which].gpadl = 0;
		net_vsp_lend(rig.channels[0].vsp, which, NULL);
	}
	return true;
}

uint32_t net_host_lend(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NET_LENT; i++)
		count += lend(i);
	return count;
}

static uint32_t run(uint32_t count)
{
	const uint32_t lent = net_host.slow && count != UINT32_MAX ? 0 : net_host_lend();

	return lent + memory_wire_run(&net_host.wire, count);
}

// A VSC's: what a raw guest says of its own memory, it says of the kernel's.
static void on_gpadl(uint32_t number, const void *pages, uint32_t count)
{
	struct net_host_gpadl *gpadl = &net_host.gpadls[number];

	rig_check(number < NET_HOST_GPADLS && count <= NET_HOST_PAGES && !gpadl->held);
	gpadl->byte_count = count * VMBUS_PAGE_SIZE;
	for (uint32_t i = 0; i < count; i++)
		gpadl->pfns[i] =
			lumen_gpa((const uint8_t *)pages + i * VMBUS_PAGE_SIZE) >> VMBUS_PAGE_SHIFT;
}

void net_host_create(uint32_t queues, uint32_t ram_pages)
{
	static const struct vmbus_guid guid = NVSP_GUID;

	memset(&net_host, 0, sizeof(net_host));
	rig_create(ram_pages);
	memory_wire_init(&net_host.wire);
	net_host.host = (struct net_host){ NULL, borrow, give_back };
	net_host.config = (struct net_vsp_config){
		.memory = rig_memory,
		.wire = &net_host.wire.wire,
		.host = &net_host.host,
		.slot_count = 256,
		.room_count = 512,
		.card = {
			.mac = { 0x02, 0x15, 0x5D, 1, 2, 3 },
			.mtu = 1500,
			.bits_per_second = 10000000000ull,
			.offloads = NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_LSO |
				    NET_OFFLOAD_RECEIVED | NET_OFFLOAD_COALESCE,
			.queues = queues,
		},
	};
	rig.backend = run;
	rig.on_gpadl = on_gpadl;
	for (uint32_t i = 0; i < RIG_CHANNELS; i++)
		rig_offer(i, &guid, &net_vsp_class, &net_host.config);
}
