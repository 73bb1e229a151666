// SPDX-License-Identifier: BSD-2-Clause
// The ring of pieces: filled from the cache, written to lwIP, emptied by acknowledgements.
#include "examples/http/connection.h"

static struct piece *piece_at(struct connection *c, uint32_t index)
{
	return &c->pieces[(c->first + index) % PIECES];
}

void connection_add_piece(struct connection *c, struct cache_block *block, uint32_t length)
{
	*piece_at(c, c->count++) = (struct piece){ .block = block, .length = (uint16_t)length };
}

static void drop_first_piece(struct connection *c)
{
	struct piece *piece = piece_at(c, 0);

	if (piece->block)
		cache_put(piece->block);
	c->first = (c->first + 1) % PIECES;
	c->count--;
	c->written -= c->written > 0;
}

void connection_drop_pieces(struct connection *c)
{
	while (c->count)
		drop_first_piece(c);
}

void connection_acknowledge(struct connection *c, uint32_t length)
{
	while (length && c->count) {
		struct piece *piece = piece_at(c, 0);
		const uint32_t left = piece->length - piece->acknowledged;
		const uint32_t now = length < left ? length : left;

		piece->acknowledged += (uint16_t)now;
		length -= now;
		if (piece->acknowledged == piece->length)
			drop_first_piece(c);
	}
}

// --- out ---

// Adds pieces of the file, as many as there is room for. False: a block that cannot be had.
static bool read_ahead(struct connection *c)
{
	while (c->next < c->end && c->count < PIECES) {
		const uint32_t block_size = c->file.fs->block_size;
		const uint64_t left = c->end - c->next;
		struct cache_block *block;
		uint32_t number;

		if (ext2_map(&c->file, c->next / block_size, &number))
			return false;
		block = cache_get(number);
		if (!block)
			return true; // there will be news
		connection_add_piece(c, block, left < block_size ? (uint32_t)left : block_size);
		c->next += piece_at(c, c->count - 1)->length;
	}
	return true;
}

// Gives lwIP as much of a piece as it takes. Whether that is all of it.
static bool write_piece(struct connection *c, struct piece *piece)
{
	const char *data = piece->block ? (const char *)cache_bytes(piece->block) : c->text;
	const bool last = c->next == c->end && c->written == c->count - 1;
	uint16_t left = (uint16_t)(piece->length - piece->written), room = tcp_sndbuf(c->pcb);
	const uint16_t now = left < room ? left : room;
	uint8_t flags = last ? 0 : TCP_WRITE_FLAG_MORE;

	if (!piece->block)
		flags |= TCP_WRITE_FLAG_COPY;
	if (!now || tcp_write(c->pcb, data + piece->written, now, flags))
		return false; // when something is acknowledged there will be room
	piece->written += now;
	return piece->written == piece->length;
}

// False: a block that could not be read.
static bool write_pieces(struct connection *c)
{
	for (; c->written < c->count; c->written++) {
		struct piece *piece = piece_at(c, c->written);

		if (piece->block && cache_state(piece->block) == CACHE_FAILED)
			return false;
		if ((piece->block && cache_state(piece->block) == CACHE_READING) ||
			!write_piece(c, piece))
			break;
	}
	return true;
}

bool connection_is_answered(const struct connection *c)
{
	return c->next == c->end && c->written == c->count;
}

bool connection_send(struct connection *c)
{
	return read_ahead(c) && write_pieces(c);
}
