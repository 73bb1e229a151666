// SPDX-License-Identifier: BSD-2-Clause
// GPADLs: lists of guest pages that a guest hands to the host in one GPADL_HEADER message and as
// many GPADL_BODY messages as it takes. Assembly and checks; who may use one when is server.h.
#ifndef VMBUS_GPADL_H
#define VMBUS_GPADL_H

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/memory.h"

// A GPADL's ranges are at most 65535 bytes long on the wire: about 32 MiB of guest memory.
#define VMBUS_GPADL_WORDS_MAX 8191u

// Where the embedder keeps GPADLs' contents.
struct vmbus_gpadl_storage {
	void *context;
	// Returns private memory for `count` words (1 to VMBUS_GPADL_WORDS_MAX), or NULL: then the
	// guest is told that its GPADL failed.
	uint64_t *(*get)(void *context, uint32_t count);
	// Takes back what get returned for the same count.
	void (*put)(void *context, uint64_t *words, uint32_t count);
};

enum vmbus_gpadl_state {
	VMBUS_GPADL_FREE,	  // the slot is unused
	VMBUS_GPADL_COLLECTING,	  // the guest is still sending bodies, it has no answer yet
	VMBUS_GPADL_CREATED,	  // the guest was told GPADL_CREATED: the host may use the pages
	VMBUS_GPADL_TEARING_DOWN, // the guest wants it back, and is told TORNDOWN when nobody uses
				  // it
};

struct vmbus_gpadl {
	enum vmbus_gpadl_state state;
	uint32_t id;	// the guest's choice, unique among the live ones
	uint32_t relid; // the channel for which it was made
	uint32_t range_count;
	uint32_t word_count;	 // that the ranges take
	uint32_t words_received; // of them
	uint32_t users;		 // holds on it: the rings of an open channel, VSPs' buffers
	bool silent;		 // the guest will not be told when it is gone
	uint64_t *words; // ranges as on the wire: header word, page numbers, header word, ...
};

// Why a GPADL is refused.
enum vmbus_gpadl_error {
	VMBUS_GPADL_OK,
	VMBUS_GPADL_MORE,	// not an error: bodies must follow
	VMBUS_GPADL_BAD_LENGTH, // no ranges, or a length that is no multiple of 8
	VMBUS_GPADL_NO_STORAGE, // the embedder has none left
	VMBUS_GPADL_EMPTY_BODY, // a message that brings nothing
	VMBUS_GPADL_BAD_RANGE, // an empty range, an offset beyond a page, more pages than were sent
	VMBUS_GPADL_NOT_RAM,   // a page that is not the guest's memory
};

// Begins to collect a GPADL in a free slot. `length` (bytes of all ranges) and `range_count` are
// the message's. Returns VMBUS_GPADL_MORE, or an error with the slot still free.
enum vmbus_gpadl_error vmbus_gpadl_begin(struct vmbus_gpadl *gpadl,
	const struct vmbus_gpadl_storage *storage, uint16_t length, uint16_t range_count);

// Appends the ranges' bytes of one message. Bytes beyond the announced length are ignored: some
// guests always send whole messages. Returns VMBUS_GPADL_OK when the last has come and all ranges
// are valid and the guest's RAM: the state is then CREATED. On an error the caller frees the GPADL.
enum vmbus_gpadl_error vmbus_gpadl_append(struct vmbus_gpadl *gpadl,
	const struct vmbus_memory *memory, const void *bytes, uint32_t length);

// Gives the storage back and the slot with it.
void vmbus_gpadl_free(struct vmbus_gpadl *gpadl, const struct vmbus_gpadl_storage *storage);

// Describes range number `index` of a created GPADL; false if there is no such range.
bool vmbus_gpadl_range(
	const struct vmbus_gpadl *gpadl, uint32_t index, struct vmbus_gpa_range *range);

// Returns the number of pages of a GPADL that is one range of whole pages, as rings are; else 0.
uint32_t vmbus_gpadl_whole_pages(const struct vmbus_gpadl *gpadl);

// Fills pages[0 .. count-1] with the host addresses of the first `count` pages of such a GPADL.
// Returns false if it has another shape or fewer pages, or if one of them is not RAM.
bool vmbus_gpadl_map(const struct vmbus_gpadl *gpadl, const struct vmbus_memory *memory,
	void **pages, uint32_t count);

#endif
