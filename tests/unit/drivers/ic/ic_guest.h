// SPDX-License-Identifier: BSD-2-Clause
// A raw guest for the tests of the integration components' VSPs, on the rig: one component at a
// time, its driver does what a test says.
#pragma once

#include "drivers/vsp/ic.h"
#include "drivers/vsp/ic/backend.h"
#include "tests/unit/drivers/rig.h"

enum { IC_GUEST_PAGES = 4 }; // of each ring

extern const struct ic_host ic_guest_host; // the rig's clocks
extern bool ic_guest_reference_fails;	   // it cannot be read
extern unsigned ic_guest_pairs;		   // that the guest has told
extern char ic_guest_pair[200];		   // the last of them: pool, key and value
extern uint8_t ic_guest_file[40000];	   // that is copied: read up to _at, there up to _size
extern uint32_t ic_guest_file_at, ic_guest_file_size;
#define IC_GUEST_FILE_GONE UINT32_MAX // a size: there is nobody any more who has it

// The guest's copy of the last message.
extern struct pipe_header pipe_header;
extern struct ic_header header;
extern const uint8_t *body;

static inline struct vsp *vsp(void)
{
	return rig.channels[0].vsp;
}

static inline struct ic_vsp *ic(void)
{
	return (struct ic_vsp *)vsp();
}

// Begins anew, and offers a component.
void ic_guest_create(const struct ic_component *component);

// The same, and opens its channel; the ring to the guest has so many pages.
void ic_guest_open(const struct ic_component *component, uint32_t out_pages);

// Takes the next message of the host's. Returns false if there is none.
bool receive(void);

// Sends what `header` and `pipe_header` say, as a packet of this type.
void send(uint16_t type, const void *payload, uint32_t length);

// Sends the last message back as a response with this body.
void respond(const void *payload, uint32_t length);

// Answers the host's offer with these versions.
void pick(const struct ic_choice *choice);

// Opens the channel and agrees on the newest framework and this version.
void ic_guest_agree(const struct ic_component *component, struct ic_version message);

// The VSP goes on as another instance, elsewhere: saved and restored.
void move(void);
