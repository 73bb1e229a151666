// SPDX-License-Identifier: BSD-2-Clause
// A guest for the tests of the integration components' VSPs, through real rings: one component at a
// time, its driver does what a test says.
#ifndef TESTS_IC_GUEST_H
#define TESTS_IC_GUEST_H

#include "drivers/vsp/ic.h"
#include "drivers/vsp/ic/backend.h"

enum { IC_GUEST_PAGES = 3 }; // of each ring

extern uint8_t ic_guest_memory[2][IC_GUEST_PAGES][4096]; // the rings, the one to the host first
extern struct vsp *vsp;
extern struct vsp_rings ic_guest_rings;
extern const struct ic_host ic_guest_host; // of clocks that stand where a test puts them:
extern uint64_t ic_guest_time, ic_guest_reference;
extern bool ic_guest_reference_fails; // it cannot be read

// The guest's copy of the last message.
extern struct pipe_header pipe_header;
extern struct ic_header header;
extern const uint8_t *body;

struct ic_vsp *ic(void); // the same as vsp

// Opens the channel of a component; the ring to the guest has so many pages.
void ic_guest_open(const struct ic_component *component, uint32_t out_pages);

// Opens it once more, over the rings as they are.
void ic_guest_reopen(const struct ic_component *component);

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

#endif
