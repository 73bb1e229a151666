// SPDX-License-Identifier: BSD-2-Clause
// See port_rate.h. What goes to the child passes a token bucket (sch_tbf) in front of the TAP, and
// what comes from it an action (act_police) of a filter for all (cls_matchall) of the queue for
// what comes in (sch_ingress). Both count a large frame by its bytes, and let it pass whole.
#include "parent/common/port_rate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/macros.h"
#include "parent/common/netlink.h"

enum {
	TICK_NS = 64,	   // of the kernel's numbers of time (PSCHED_SHIFT)
	LEAST = 128 << 10, // bytes: two of the largest frames
	PER_SECOND = 10,   // how often a second's part is what may come at once
	TABLE = 1024,	   // TC_RTAB_SIZE: has to be there, and nobody reads it
	PRIORITY = 1,
};

#define ROOT_QUEUE    TC_H_MAKE(1u << 16, 0)
#define INGRESS_QUEUE TC_H_MAKE(TC_H_INGRESS, 0)

// A rate of the kernel's: bytes per second. A port's fits (CHILD_RATE_MAX).
static struct tc_ratespec spec_of(uint64_t rate)
{
	return (struct tc_ratespec){
		.rate = (uint32_t)(rate / 8), .linklayer = TC_LINKLAYER_ETHERNET, .cell_log = 1
	};
}

static uint32_t at_once(uint64_t rate)
{
	const uint32_t part = (uint32_t)(rate / 8 / PER_SECOND);

	return part > LEAST ? part : LEAST;
}

static uint32_t ticks_of(uint32_t bytes, uint64_t rate)
{
	return (uint32_t)(bytes * 8ull * 1000000000 / rate / TICK_NS);
}

struct limit {
	int socket, link;
	uint64_t rate;
};

static void begin(const struct limit *limit, struct netlink_message *message, uint16_t type,
	struct tcmsg about, const char *kind)
{
	about.tcm_ifindex = limit->link;
	netlink_begin(message, type, NLM_F_CREATE | NLM_F_EXCL, &about, sizeof(about));
	netlink_put_text(message, TCA_KIND, kind);
}

// As many bytes wait as may come at once.
static int limit_to_child(const struct limit *limit)
{
	const uint32_t burst = at_once(limit->rate);
	const struct tc_tbf_qopt bucket = {
		.rate = spec_of(limit->rate), .limit = burst, .buffer = ticks_of(burst, limit->rate)
	};
	struct netlink_message message;
	uint32_t options;

	begin(limit, &message, RTM_NEWQDISC,
		(struct tcmsg){ .tcm_parent = TC_H_ROOT, .tcm_handle = ROOT_QUEUE }, "tbf");
	options = netlink_nest(&message, TCA_OPTIONS);
	netlink_put(&message, TCA_TBF_PARMS, &bucket, sizeof(bucket));
	netlink_put_u32(&message, TCA_TBF_BURST, burst);
	netlink_close(&message, options);
	return netlink_ask(limit->socket, &message, NULL, NULL);
}

static int make_ingress(const struct limit *limit)
{
	struct netlink_message message;

	begin(limit, &message, RTM_NEWQDISC,
		(struct tcmsg){ .tcm_parent = TC_H_INGRESS, .tcm_handle = INGRESS_QUEUE },
		"ingress");
	return netlink_ask(limit->socket, &message, NULL, NULL);
}

static void put_police(struct netlink_message *message, uint64_t rate)
{
	static const uint8_t table[TABLE];
	const struct tc_police police = { .action = TC_ACT_SHOT,
		.burst = ticks_of(at_once(rate), rate),
		.mtu = UINT32_MAX,
		.rate = spec_of(rate) };
	uint32_t action = netlink_nest(message, 1), options;

	netlink_put_text(message, TCA_ACT_KIND, "police");
	options = netlink_nest(message, TCA_ACT_OPTIONS);
	netlink_put(message, TCA_POLICE_TBF, &police, sizeof(police));
	netlink_put(message, TCA_POLICE_RATE, table, sizeof(table));
	netlink_close(message, options);
	netlink_close(message, action);
}

static int limit_from_child(const struct limit *limit)
{
	const struct tcmsg about = { .tcm_parent = INGRESS_QUEUE,
		.tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)) };
	struct netlink_message message;
	uint32_t options, actions;

	begin(limit, &message, RTM_NEWTFILTER, about, "matchall");
	options = netlink_nest(&message, TCA_OPTIONS);
	actions = netlink_nest(&message, TCA_MATCHALL_ACT);
	put_police(&message, limit->rate);
	netlink_close(&message, actions);
	netlink_close(&message, options);
	return netlink_ask(limit->socket, &message, NULL, NULL);
}

int port_rate_set(int socket, int link, uint64_t rate)
{
	static int (*const steps[])(
		const struct limit *limit) = { limit_to_child, make_ingress, limit_from_child };
	const struct limit limit = { socket, link, rate };
	int error = 0;

	for (size_t i = 0; !error && i < ARRAY_SIZE(steps); i++)
		error = steps[i](&limit);
	return error;
}

// --- asking ---

struct question {
	void (*each)(void *context, uint32_t link, uint64_t rate);
	void *context;
};

static void take(void *context, const struct nlmsghdr *answer)
{
	const struct netlink_attributes queue = netlink_of(answer, sizeof(struct tcmsg));
	const struct tcmsg *fixed = NLMSG_DATA(answer);
	const struct rtattr *parameters =
		netlink_find(netlink_inside(netlink_find(queue, TCA_OPTIONS)), TCA_TBF_PARMS);
	const struct question *question = context;
	struct tc_tbf_qopt bucket;
	char kind[16];

	netlink_text(netlink_find(queue, TCA_KIND), kind, sizeof(kind));
	if (strcmp(kind, "tbf") || !parameters || RTA_PAYLOAD(parameters) != sizeof(bucket))
		return;
	memcpy(&bucket, RTA_DATA(parameters), sizeof(bucket));
	question->each(question->context, (uint32_t)fixed->tcm_ifindex, bucket.rate.rate * 8ull);
}

int port_rate_ask(
	int socket, void (*each)(void *context, uint32_t link, uint64_t rate), void *context)
{
	struct question question = { each, context };
	const struct tcmsg any = { .tcm_family = AF_UNSPEC };
	struct netlink_message message;
	int error;

	netlink_begin(&message, RTM_GETQDISC, NLM_F_DUMP, &any, sizeof(any));
	error = netlink_ask(socket, &message, take, &question);
	return error == EOPNOTSUPP ? 0 : error;
}
