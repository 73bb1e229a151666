// SPDX-License-Identifier: BSD-2-Clause
// Captures of a network interface (draft-ietf-opsawg-pcapng), as Wireshark and tcpdump read them:
// written block by block, in this machine's byte order, with times in ns. Each function returns
// false if the file does not take it; errno says why.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct pcapng_frame {
	uint32_t interface; // they are numbered in the order in which they were added, from 0
	uint64_t time;	    // ns since 1970
	bool inbound;	    // it goes to whom the interface belongs
	uint64_t lost;	    // known to be missing right before it
	const void *bytes;  // what the interface's link type says
	uint32_t captured;  // bytes that there are
	uint32_t length;    // and that it had on the wire
};

bool pcapng_begin(FILE *file);

// Adds an interface, also between frames. The link type is one of tcpdump.org's.
bool pcapng_add_interface(
	FILE *file, uint16_t link_type, const char *name, const char *description);

bool pcapng_write_frame(FILE *file, const struct pcapng_frame *frame);

// How many frames an interface has had (those in the file among them), and how many of those are
// not in the file because nobody took them in time.
bool pcapng_write_statistics(
	FILE *file, uint32_t interface, uint64_t time, uint64_t received, uint64_t dropped);
