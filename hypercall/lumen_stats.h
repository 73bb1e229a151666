// SPDX-License-Identifier: BSD-2-Clause
// Counters of Lumen's own in a VP's statistics page (hypercall/stats.h), behind those of the TLFS:
// exits from the VP to the hypervisor, by reason.
#ifndef HYPERCALL_LUMEN_STATS_H
#define HYPERCALL_LUMEN_STATS_H

#include "hypercall/stats.h"

// X(index, name, text).
#define LUMEN_STATS_VP_EXITS(X)                                                                    \
	X(401, LumenVpExitInterrupt, "interrupt")                                                  \
	X(402, LumenVpExitNmi, "nmi")                                                              \
	X(403, LumenVpExitCpuid, "cpuid")                                                          \
	X(404, LumenVpExitHlt, "hlt")                                                              \
	X(405, LumenVpExitHypercall, "hypercall")                                                  \
	X(406, LumenVpExitRdmsr, "rdmsr")                                                          \
	X(407, LumenVpExitWrmsr, "wrmsr")                                                          \
	X(408, LumenVpExitIo, "io")                                                                \
	X(409, LumenVpExitGpaFault, "gpa_fault")                                                   \
	X(410, LumenVpExitCr8Write, "cr8_write")                                                   \
	X(411, LumenVpExitXsetbv, "xsetbv")                                                        \
	X(412, LumenVpExitWbinvd, "wbinvd")                                                        \
	X(413, LumenVpExitUndefined, "undefined")                                                  \
	X(414, LumenVpExitShutdown, "shutdown")                                                    \
	X(415, LumenVpExitInvalidState, "invalid_state")

enum lumen_stats_vp_counters {
#define X(index, name, text) name = index,
	LUMEN_STATS_VP_EXITS(X)
#undef X
};

#endif
