// SPDX-License-Identifier: BSD-2-Clause
// The integration components as devices: what their rows have in common.
#pragma once

#include "drivers/vsp/ic.h"
#include "drivers/vsp/ic/backend.h"
#include "parent/worker/control.h"
#include "parent/worker/devices/device.h"

struct ic_device {
	struct device device;
	struct ic_host host;
	struct ic_config config;
	const struct verb *verb; // that the child is to answer
	struct log_limit silences;
	char sentence[100];		 // that says why a verb has failed
	char told[CONTROL_PART_MAX / 2]; // what the child has answered to it: lines
	size_t told_length;
	unsigned left_out; // pairs for which there was no room
};

// A row's attach(): its detail is a struct ic_component, which gets the host's clocks.
bool ic_attach(struct device *device, struct failure *failure);

// The rest of the row. A verb is an order with the verb's argument and words.
const char *ic_begin_verb(struct device *device, const struct device_request *request);
void ic_forget_verb(struct device *device);
void ic_flags(struct device *device, uint32_t flags);
void ic_closing(struct device *device);
void ic_stat(struct device *device, struct stat_text *text);
void ic_tell(struct device *device, struct stat_text *text);
