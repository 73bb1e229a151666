// SPDX-License-Identifier: BSD-2-Clause
// Numbers of all parts, as JSON: a row for each.
#include "examples/http/stats.h"

#include "base/macros.h"
#include "examples/http/cache.h"
#include "examples/http/card.h"
#include "examples/http/server.h"
#include "examples/kernel/kernel.h"
#include "lumen/clock.h"
#include "lwip/memp.h"
#include "lwip/stats.h"

enum { NS_PER_MS = 1000000 };

static uint64_t used(memp_t pool)
{
	return lwip_stats.memp[pool]->used;
}

// Of all pools: what was asked for and was not there.
static uint64_t pool_errors(void)
{
	uint64_t errors = lwip_stats.mem.err;

	for (uint32_t i = 0; i < MEMP_MAX; i++)
		errors += lwip_stats.memp[i]->err;
	return errors;
}

void stats_print(char to[STATS_MAX])
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "uptime_ms", lumen_clock_ns() / NS_PER_MS },
		{ "requests", server_counters.requests },
		{ "errors", server_counters.errors },
		{ "connections", server_counters.connections },
		{ "open", server_counters.open },
		{ "refused", server_counters.refused },
		{ "timeouts", server_counters.timeouts },
		{ "aborted", server_counters.aborted },
		{ "pages_free", kernel_free_pages_left() },
		{ "heap_used", lwip_stats.mem.used },
		{ "heap_max", lwip_stats.mem.max },
		{ "pbufs", used(MEMP_PBUF) },
		{ "pool_pbufs", used(MEMP_PBUF_POOL) },
		{ "tcp_segments", used(MEMP_TCP_SEG) },
		{ "tcp_pcbs", used(MEMP_TCP_PCB) },
		{ "pool_errors", pool_errors() },
		{ "cache_hits", cache_counters.hits },
		{ "cache_reads", cache_counters.reads },
		{ "cache_used", cache_counters.used },
		{ "frames_received", card_counters.received },
		{ "frames_sent", card_counters.sent },
		{ "frames_lost", card_counters.no_memory },
		{ "frames_bad", card_counters.bad_sums },
	};
	size_t at = 0;

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
		at += kernel_format(to + at, STATS_MAX - at, "%s\"%s\": %lu", i ? ",\n " : "{",
			rows[i].name, rows[i].value);
	kernel_format(to + at, STATS_MAX - at, "}\n");
}
