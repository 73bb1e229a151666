// SPDX-License-Identifier: BSD-2-Clause
// The integration components, a file each. What a component's question says of ic_ask()'s argument
// stands with its wire (drivers/proto/).
#pragma once

#include "drivers/vsp/ic.h"

extern const struct ic_component shutdown_component; // argument: SHUTDOWN_FLAG_*; 0: power off
extern const struct ic_component heartbeat_component;
extern const struct ic_component timesync_component;
extern const struct ic_component kvp_component;	  // argument: KVP_ORDER()
extern const struct ic_component fcopy_component; // argument: FCOPY_START
extern const struct ic_component vss_component;	  // argument: VSS_FREEZE, VSS_THAW
