// SPDX-License-Identifier: BSD-2-Clause
// The integration components as devices: what their rows have in common, and `stop`.
#ifndef WORKER_DEVICES_IC_H
#define WORKER_DEVICES_IC_H

#include "drivers/vsp/ic.h"
#include "drivers/vsp/ic/backend.h"
#include "parent/worker/devices/device.h"

struct ic_device {
	struct device device;
	struct ic_host host;
	struct ic_config config;
};

// A row's attach(): its detail is a struct ic_component, which gets the host's clocks.
bool ic_attach(struct device *device, struct failure *failure);

// Shutdown's row.
void shutdown_flags(struct device *device, uint32_t flags);
void shutdown_closing(struct device *device);
extern const struct device_verb shutdown_verbs[];

#endif
