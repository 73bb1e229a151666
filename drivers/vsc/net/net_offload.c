// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: what the host can do for the kernel, and which of it is turned on.
#include "drivers/vsc/net/net_internal.h"

#define NET_PARAMETERS_OF_4 22u // bytes that hosts up to NVSP_VERSION_4 take

static bool net_has(uint32_t bits, uint32_t all)
{
	return (bits & all) == all;
}

// What counts is what the host does for both versions of IP.
static uint32_t net_capabilities(const struct ndis_offload *offload)
{
	const struct ndis_checksums *of_4 = &offload->checksums_4, *of_6 = &offload->checksums_6;
	const uint32_t send = of_4->send & of_6->send, receive = of_4->receive & of_6->receive;
	uint32_t found = 0;

	if (of_4->send & NDIS_CHECKSUM_IPV4)
		found |= LUMEN_NET_SEND_IPV4;
	if (net_has(send, NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_TCP_OPTIONS))
		found |= LUMEN_NET_SEND_TCP;
	if (send & NDIS_CHECKSUM_UDP)
		found |= LUMEN_NET_SEND_UDP;
	if (net_has(receive, NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_UDP) &&
		of_4->receive & NDIS_CHECKSUM_IPV4)
		found |= LUMEN_NET_RECEIVED;
	if (offload->rsc_4 && offload->rsc_6 && found & LUMEN_NET_RECEIVED)
		found |= LUMEN_NET_COALESCED;
	if (offload->lso_4.max_size && offload->lso_6.max_size &&
		net_has(found, LUMEN_NET_SEND_IPV4 | LUMEN_NET_SEND_TCP))
		found |= LUMEN_NET_SEND_LSO;
	return found;
}

static uint32_t net_lso_size(const struct ndis_offload *offload)
{
	const uint32_t of_4 = offload->lso_4.max_size, of_6 = offload->lso_6.max_size;
	const uint32_t size = of_4 < of_6 ? of_4 : of_6;

	return size < LUMEN_NET_MAX_LSO ? size : LUMEN_NET_MAX_LSO;
}

static uint8_t net_setting(bool send, bool receive)
{
	static const uint8_t settings[2][2] = { { NDIS_CHECKSUM_OFF, NDIS_CHECKSUM_RECEIVE },
		{ NDIS_CHECKSUM_SEND, NDIS_CHECKSUM_BOTH } };

	return settings[send][receive];
}

static lumen_status net_turn_on(struct lumen_net *net, uint32_t on)
{
	const bool received = on & LUMEN_NET_RECEIVED;
	const bool old = net->info.version <= NVSP_VERSION_4; // nothing for UDP
	const uint32_t size = old ? NET_PARAMETERS_OF_4 : sizeof(struct ndis_offload_parameters);
	const uint8_t ipv4 = net_setting(on & LUMEN_NET_SEND_IPV4, received);
	const uint8_t tcp = net_setting(on & LUMEN_NET_SEND_TCP, received);
	const uint8_t udp =
		old ? NDIS_CHECKSUM_SAME : net_setting(on & LUMEN_NET_SEND_UDP, received);
	const uint8_t lso = on & LUMEN_NET_SEND_LSO ? NDIS_ON : NDIS_OFF;
	const uint8_t rsc = on & LUMEN_NET_COALESCED ? NDIS_ON : NDIS_OFF;
	const struct ndis_offload_parameters parameters = {
		.object = { NDIS_OBJECT_DEFAULT, 3, (uint16_t)size },
		.ipv4 = ipv4,
		.tcp4 = tcp,
		.udp4 = udp,
		.tcp6 = tcp,
		.udp6 = udp,
		.lso_4 = lso,
		.lso_6 = lso,
		.rsc_4 = rsc,
		.rsc_6 = rsc,
	};

	return net_set(net, OID_TCP_OFFLOAD_PARAMETERS, &parameters, size);
}

// A host that has none, or does not want to, is not at fault: nothing is on then.
lumen_status net_agree_offloads(struct lumen_net *net, uint32_t wanted)
{
	const bool old = net->info.version <= NVSP_VERSION_4;
	const struct ndis_object asked = { NDIS_OBJECT_OFFLOAD, old ? 2 : 3,
		old ? NDIS_OFFLOAD_SIZE_2 : NDIS_OFFLOAD_SIZE_3 };
	struct ndis_offload offload;
	lumen_status status;
	uint32_t on;

	if (!wanted)
		return LUMEN_OK;
	status = net_query(net, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &asked, sizeof(asked),
		&offload, sizeof(offload));
	on = net_capabilities(&offload) & wanted;
	if (old)
		on &= ~LUMEN_NET_SEND_UDP;
	if (!(on & LUMEN_NET_RECEIVED) || net->info.version < NVSP_VERSION_6_1)
		on &= ~LUMEN_NET_COALESCED;
	if (status == LUMEN_OK && on)
		status = net_turn_on(net, on);
	if (vsc_status(&net->vsc) != LUMEN_OK)
		return vsc_status(&net->vsc);
	if (status != LUMEN_OK)
		return LUMEN_OK;
	net->info.offloads = on;
	net->info.max_lso = on & LUMEN_NET_SEND_LSO ? net_lso_size(&offload) : 0;
	return LUMEN_OK;
}
