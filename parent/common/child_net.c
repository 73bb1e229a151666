// SPDX-License-Identifier: BSD-2-Clause
// See child_net.h.
#include "parent/common/child_net.h"

#include <string.h>

#include "base/macros.h"
#include "parent/common/child_config.h"
#include "parent/common/fnv.h"
#include "parent/common/text.h"

// Six pairs of hexadecimal digits with colons between them; one station's.
static const char *set_mac(struct child_net *net, const char *value)
{
	unsigned int mac[6];
	char end;

	if (strlen(value) != 17 || strspn(value, "0123456789abcdefABCDEF:") != 17 ||
		sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%c", &mac[0], &mac[1], &mac[2], &mac[3],
			&mac[4], &mac[5], &end) != 6)
		return "has a MAC address that is not like 02:15:5d:00:00:01";
	if (mac[0] & 1)
		return "has a MAC address that is a group's";
	for (unsigned int i = 0; i < 6; i++)
		net->mac[i] = (uint8_t)mac[i];
	net->has_mac = true;
	return NULL;
}

static const char *set_vlan(struct child_net *net, const char *value)
{
	return child_config_set_number(&net->vlan, value, CHILD_VLAN_MAX,
		"has a VLAN that is not a number from 1 to 4094");
}

static const char *set_queues(struct child_net *net, const char *value)
{
	return child_config_set_number(&net->queues, value, CHILD_QUEUES_MAX,
		"has a number of queues that is not from 1 to 16");
}

static const char *set_rate(struct child_net *net, const char *value)
{
	if (child_config_parse_scaled(value, 1000, &net->rate) && net->rate >= CHILD_RATE_MIN &&
		net->rate <= CHILD_RATE_MAX)
		return NULL;
	return "has a rate that is not from 64K to 10G (bits per second), such as 100M";
}

static const char *set_mtu(struct child_net *net, const char *value)
{
	static const char *const otherwise = "has an MTU that is not a number from 68 to 9000";
	const char *error = child_config_set_number(&net->mtu, value, CHILD_MTU_MAX, otherwise);

	return error || net->mtu < CHILD_MTU_MIN ? otherwise : NULL;
}

#define OPTIONS_KNOWN "has an option that is not vlan=, mac=, queues=, rate=, mtu= or isolated"

static const char *set_isolated(struct child_net *net, const char *value)
{
	net->isolated = !*value;
	return net->isolated ? NULL : OPTIONS_KNOWN;
}

static const struct option {
	const char *prefix;
	const char *(*set)(struct child_net *net, const char *value);
} options[] = {
	{ "vlan=", set_vlan },
	{ "mac=", set_mac },
	{ "queues=", set_queues },
	{ "rate=", set_rate },
	{ "mtu=", set_mtu },
	{ "isolated", set_isolated },
};

static const char *set_option(struct child_net *net, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const size_t length = strlen(options[i].prefix);

		if (!strncmp(text, options[i].prefix, length))
			return options[i].set(net, text + length);
	}
	return OPTIONS_KNOWN;
}

static const char *set_options(struct child_net *net, const char *text)
{
	char copy[CHILD_NET_MAX], *next;
	const char *error = NULL;

	if (strlen(text) >= sizeof(copy))
		return "is too long";
	strcpy(copy, text);
	for (char *option = copy; option && !error; option = next) {
		next = strchr(option, ',');
		if (next)
			*next++ = 0;
		error = set_option(net, option);
	}
	return error;
}

const char *child_net_parse(struct child_net *net, const char *text)
{
	const size_t length = strcspn(text, ",");

	memset(net, 0, sizeof(*net));
	if (!strcmp(text, "none"))
		return NULL;
	snprintf(net->bridge, sizeof(net->bridge), "%.*s", (int)length, text);
	if (length > BRIDGE_NAME_MAX || !bridge_name_valid(net->bridge))
		return "names no switch: up to 15 letters, digits, -, _ and .";
	return text[length] ? set_options(net, text + length + 1) : NULL;
}

void child_net_print(const struct child_net *net, FILE *file)
{
	text_quote(*net->bridge ? net->bridge : "none", file);
	for (unsigned int i = 0; net->has_mac && i < 6; i++)
		fprintf(file, "%s%02x", i ? ":" : ",mac=", net->mac[i]);
	if (net->vlan)
		fprintf(file, ",vlan=%u", net->vlan);
	if (net->queues)
		fprintf(file, ",queues=%u", net->queues);
	if (net->rate)
		fprintf(file, ",rate=%llu", (unsigned long long)net->rate);
	if (net->mtu)
		fprintf(file, ",mtu=%u", net->mtu);
	if (net->isolated)
		fprintf(file, ",isolated");
}

// In the range that is for such addresses.
void child_net_address(struct child_net *net, const char *child)
{
	const uint64_t hash = fnv_hash(FNV_START, child, strlen(child));

	if (net->has_mac)
		return;
	net->mac[0] = 0x02;
	for (unsigned int i = 1; i < 6; i++)
		net->mac[i] = (uint8_t)(hash >> (8 * i));
	net->has_mac = true;
}
