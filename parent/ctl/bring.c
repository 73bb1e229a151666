// SPDX-License-Identifier: BSD-2-Clause
// What a device that is attached needs and a confined worker cannot make for itself: it is made
// here, and goes with the request.
#include "parent/ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "parent/common/port.h"

// The card that is asked for, or else the one that the child was created with.
static int find_card(const struct ctl_brought *brought, const char *how, struct child_net *card)
{
	struct child_config config;
	const char *why = how ? child_net_parse(card, how) : NULL;
	char error[200];

	if (why)
		return ctl_wrong("The card %s %s.", how, why);
	if (!how && !child_config_read(
			    &config, brought->directory, RUNDIR_CONFIG, error, sizeof(error)))
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s", error);
	if (!how)
		*card = config.net;
	if (!*card->bridge)
		return ctl_wrong(
			"%s was created without a network card: net=SWITCH[,OPTION...] says "
			"which one it gets.",
			brought->child);
	return 0;
}

// The port of a network card.
static int bring_net(struct ctl_brought *brought, const char *how)
{
	struct child_net card;
	struct failure failure;
	int status = find_card(brought, how, &card);
	size_t size;
	FILE *text;

	if (status)
		return status;
	child_net_address(&card, brought->child);
	brought->descriptor = port_open(brought->child, &card, &failure);
	if (brought->descriptor < 0)
		return ctl_fail(failure.status, "%s", failure.text);
	text = open_memstream(&brought->word, &size);
	if (!text)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "lumenctl has too little memory.");
	fprintf(text, "net=");
	child_net_print(&card, text);
	fclose(text);
	return 0;
}

static const struct {
	const char *device;
	int (*bring)(struct ctl_brought *brought, const char *how);
} devices[] = {
	{ "net", bring_net },
};

int ctl_bring(struct ctl_brought *brought, const char *device)
{
	const size_t length = strcspn(device, "=");

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (strlen(devices[i].device) == length &&
			!strncmp(devices[i].device, device, length))
			return devices[i].bring(
				brought, device[length] ? device + length + 1 : NULL);
	if (device[length])
		return ctl_wrong(
			"%s: only a network card (net=SWITCH) can be said to be some way.", device);
	brought->word = strdup(device);
	return brought->word ? 0
			     : ctl_fail(LUMEN_EXIT_OUR_FAULT, "lumenctl has too little memory.");
}
