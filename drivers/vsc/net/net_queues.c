// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: several channels, and which flow's frames come on which (receive-side scaling).
#include "base/macros.h"
#include "drivers/vsc/net/net_internal.h"

// Which queue a flow has: by a table, and the Toeplitz hash with a key.
struct net_scaling {
	struct ndis_rss_parameters parameters;
	uint32_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
};
_Static_assert(sizeof(struct net_scaling) <= NET_VALUE_MAX, "what a question may carry");

// As many as the host has for this card.
static uint32_t net_find_queues(struct lumen_net *net)
{
	static const struct ndis_object asked = { NDIS_OBJECT_RSS_CAPABILITIES, 2,
		NDIS_RSS_CAPABILITIES_SIZE_2 };
	struct ndis_rss_capabilities capabilities;
	const lumen_status status = net_query(net, OID_GEN_RECEIVE_SCALE_CAPABILITIES, &asked,
		sizeof(asked), &capabilities, sizeof(capabilities));

	if (status != LUMEN_OK || !(capabilities.flags & NDIS_HASH_TOEPLITZ) ||
		capabilities.table_entries < NDIS_RSS_TABLE_MAX)
		return 1;
	return capabilities.queues;
}

// Asks for so many more channels. Returns how many there will be.
static uint32_t net_ask_for_subs(struct lumen_net *net, uint32_t count)
{
	struct nvsp_message message = { .type = NVSP_SUB_CHANNEL,
		.sub_channel = { NVSP_SUB_CHANNEL_ALLOCATE, count } };
	const struct nvsp_sub_channel_complete *answer = &net_answer(net)->sub_channel_complete;

	if (net_demand(net, &message, NVSP_SUB_CHANNEL) != LUMEN_OK ||
		answer->status != NVSP_STATUS_SUCCESS)
		return 0;
	return answer->count < count ? answer->count : count;
}

// Flows go round the queues that there are.
static lumen_status net_spread(struct lumen_net *net)
{
	// Microsoft, "Verifying the RSS Hash Calculation".
	static const uint8_t key[NDIS_RSS_KEY_SIZE] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e,
		0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae,
		0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7,
		0x3b, 0xbe, 0xac, 0x01, 0xfa };
	struct net_scaling scaling = {
		.parameters = {
			.object = { NDIS_OBJECT_RSS_PARAMETERS, 2, sizeof(scaling.parameters) },
			.hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 |
				NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6,
			.table_size = sizeof(scaling.table),
			.table_offset = offsetof(struct net_scaling, table),
			.key_size = sizeof(scaling.key),
			.key_offset = offsetof(struct net_scaling, key),
		},
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(scaling.table); i++)
		scaling.table[i] = i % net->vsc.queue_count;
	memcpy(scaling.key, key, sizeof(key));
	return net_set(net, OID_GEN_RECEIVE_SCALE_PARAMETERS, &scaling, sizeof(scaling));
}

// A host that has fewer of them, or none, is not at fault, nor one that does not spread flows.
lumen_status net_open_queues(struct lumen_net *net, const struct lumen_net_config *config)
{
	const uint64_t deadline = lumen_deadline_ns(net->vsc.timeout_ns);
	const uint32_t wanted = net_wanted_queues(config);
	uint32_t count;

	if (wanted == 1 || net->info.version < NVSP_VERSION_5 ||
		net->section_size < NET_CONTROL_MAX)
		return LUMEN_OK;
	count = net_find_queues(net);
	count = count < wanted ? count : wanted;
	if (count > 1)
		count = 1 + net_ask_for_subs(net, count - 1);
	for (uint32_t i = 1; i < count; i++) {
		struct lumen_channel *channel = vsc_find_sub(&net->vsc, config->bus, i, deadline);

		if (!channel || net_queue_open(net, channel, config, config->vps[i]) != LUMEN_OK)
			break;
	}
	if (net->vsc.queue_count > 1)
		net_spread(net);
	net->info.channels = net->vsc.queue_count;
	return vsc_status(&net->vsc);
}
