// SPDX-License-Identifier: BSD-2-Clause
// VMBus for the modes that attack the worker: the SDK's, polled, on the boot processor.
#pragma once

#include "tests/guests/hostile/hostile.h"

#include "lumen/vmbus.h"

// Hypercalls, a clock and a SynIC; once.
bool bus_prepare(void);
// 0: the newest version, the SDK's patience.
lumen_status bus_connect(uint32_t max_version, uint64_t timeout_ns, struct lumen_vmbus **bus);
// Any message, past the SDK's VMBus. Returns the hypercall's status.
uint64_t bus_post(uint32_t connection, uint32_t type, const void *payload, uint32_t size);
