// SPDX-License-Identifier: BSD-2-Clause
// I/O port intercepts: IN, OUT, and their string forms.
#include <stddef.h>
#include <string.h>

#include "parent/worker/exits.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

enum {
	STRING_MAX = 4096, // elements per intercept; the instruction is then entered again
	RFLAGS_DF = 1 << 10,
	INSTRUCTION_BYTES = 16,
};

// A string instruction under way.
struct string_io {
	const struct hv_x64_io_port_intercept_message *io;
	uint64_t address_mask; // of RSI, RDI and RCX
	uint64_t count;	       // elements still to move
	uint64_t offset;       // RSI or RDI
	uint64_t page_gva;     // the page that `page` is the host address of
	uint8_t *page;	       // NULL: none yet; a translation is a hypercall
	unsigned size;	       // of an element
	bool in;
	enum power_request request;
};

static unsigned access_size(const struct hv_x64_io_port_intercept_message *io)
{
	return io->access_info & HV_X64_IO_PORT_ACCESS_SIZE_MASK;
}

static unsigned instruction_length(const struct hv_x64_intercept_message_header *header)
{
	return header->instruction_length_cr8 & HV_X64_INTERCEPT_INSTRUCTION_LENGTH_MASK;
}

// Carries out what the child asked for. Returns whether the VP is to run on.
static bool carry_out(struct vp *vp, enum power_request request)
{
	struct worker *worker = vp->worker;
	int status = worker->devices.exit_status;

	if (request == POWER_OFF && status)
		worker_end(worker, status, "The child powered off and reported status %d.", status);
	else if (request == POWER_OFF)
		worker_end(worker, LUMEN_EXIT_POWERED_OFF, "The child powered off.");
	else if (request == POWER_RESET)
		worker_end(worker, LUMEN_EXIT_RESET, "The child asked for a reset.");
	return request == POWER_NONE;
}

static bool simple_out(struct vp *vp, const struct hv_x64_io_port_intercept_message *io)
{
	enum power_request request = devices_port_write(
		&vp->worker->devices, io->port_number, access_size(io), (uint32_t)io->rax);

	return carry_out(vp, request) &&
	       exits_advance(vp, &io->header, instruction_length(&io->header), NULL, 0);
}

static bool simple_in(struct vp *vp, const struct hv_x64_io_port_intercept_message *io)
{
	unsigned size = access_size(io);
	uint64_t mask = size == 4 ? UINT64_MAX : (1ull << size * 8) - 1;
	uint32_t value = devices_port_read(&vp->worker->devices, io->port_number, size);
	const struct hv_register_assoc rax = { .name = HvX64RegisterRax,
		.value.reg64 = (io->rax & ~mask) | value };

	return exits_advance(vp, &io->header, instruction_length(&io->header), &rax, 1);
}

// Finds the page of `gva`. Returns whether the child has such memory.
static bool string_page(struct vp *vp, struct string_io *string, uint64_t gva)
{
	uint64_t gpa;

	if (string->page && string->page_gva == (gva & ~(uint64_t)HV_PAGE_MASK))
		return true;
	string->page = NULL;
	if (!partition_translate(&vp->worker->partition, vp->index, gva, string->in, &gpa))
		return false;
	string->page_gva = gva & ~(uint64_t)HV_PAGE_MASK;
	string->page =
		guest_memory_at(&vp->worker->memory, gpa & ~(uint64_t)HV_PAGE_MASK, HV_PAGE_SIZE);
	return string->page;
}

// Returns the host address of an element of the string, or NULL if the child has no such memory.
static void *string_element(struct vp *vp, struct string_io *string)
{
	const struct hv_x64_segment_register *segment =
		string->in ? &string->io->es : &string->io->ds;
	bool flat = exits_code_bits(&string->io->header) == 64;
	uint64_t offset = string->offset & string->address_mask;
	uint64_t gva = flat ? offset : (uint32_t)(offset + segment->base);

	// An element across a page border would need two translations. Nobody's console does that.
	if ((gva & HV_PAGE_MASK) + string->size > HV_PAGE_SIZE || !string_page(vp, string, gva))
		return NULL;
	return string->page + (gva & HV_PAGE_MASK);
}

static bool move_element(struct vp *vp, struct string_io *string)
{
	struct devices *devices = &vp->worker->devices;
	uint64_t step =
		string->io->header.rflags & RFLAGS_DF ? -(uint64_t)string->size : string->size;
	void *at = string_element(vp, string);
	uint32_t value = 0;

	if (!at)
		return false;
	if (string->in) {
		value = devices_port_read(devices, string->io->port_number, string->size);
		memcpy(at, &value, string->size);
	} else {
		memcpy(&value, at, string->size);
		string->request =
			devices_port_write(devices, string->io->port_number, string->size, value);
	}
	string->offset += step;
	string->count--;
	return true;
}

static uint64_t merge(uint64_t old, uint64_t value, uint64_t mask)
{
	// 32-bit registers are extended with zeroes, 16-bit ones keep the rest.
	return mask == UINT32_MAX ? value & mask : (old & ~mask) | (value & mask);
}

// Writes the registers back; behind the instruction if all elements have been moved.
static bool finish_string(struct vp *vp, const struct string_io *string)
{
	const struct hv_x64_io_port_intercept_message *io = string->io;
	bool rep = io->access_info & HV_X64_IO_PORT_ACCESS_REP;
	uint64_t offset =
		merge(string->in ? io->rdi : io->rsi, string->offset, string->address_mask);
	const struct hv_register_assoc registers[] = {
		{ .name = string->in ? HvX64RegisterRdi : HvX64RegisterRsi, .value.reg64 = offset },
		{ .name = HvX64RegisterRcx,
			.value.reg64 = merge(io->rcx, string->count, string->address_mask) },
	};

	return exits_advance(vp, &io->header, string->count ? 0 : instruction_length(&io->header),
		registers, rep ? 2 : 1);
}

// Returns whether the instruction has a prefix that changes its segment or address size.
static bool has_odd_prefix(const struct hv_x64_io_port_intercept_message *io)
{
	static const uint8_t odd[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67 };
	unsigned count = io->instruction_byte_count;

	if (count > INSTRUCTION_BYTES)
		count = INSTRUCTION_BYTES;
	for (unsigned i = 0; i < count && (io->instruction_bytes[i] & 0xfc) != 0x6c; i++)
		if (memchr(odd, io->instruction_bytes[i], sizeof(odd)))
			return true;
	return !count;
}

static bool refuse_string(struct vp *vp, const struct hv_x64_io_port_intercept_message *io)
{
	static struct log_limit limit;

	log_limited(&limit, "VP %u: string I/O at port 0x%x, rip 0x%llx, is not answered",
		vp->index, io->port_number, (unsigned long long)io->header.rip);
	return exits_advance(vp, &io->header, instruction_length(&io->header), NULL, 0);
}

static bool string_io(struct vp *vp, const struct hv_x64_io_port_intercept_message *io)
{
	unsigned bits = exits_code_bits(&io->header);
	struct string_io string = {
		.io = io,
		.address_mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1,
		.size = access_size(io),
		.in = io->header.intercept_access_type == HvInterceptAccessRead,
	};

	if (has_odd_prefix(io))
		return refuse_string(vp, io);
	string.offset = string.in ? io->rdi : io->rsi;
	string.count =
		io->access_info & HV_X64_IO_PORT_ACCESS_REP ? io->rcx & string.address_mask : 1;
	for (int i = 0; i < STRING_MAX && string.count; i++) {
		if (!move_element(vp, &string))
			return refuse_string(vp, io);
		if (!carry_out(vp, string.request))
			return false;
	}
	return finish_string(vp, &string);
}

bool exits_io_port(struct vp *vp, const struct hv_message *message)
{
	const struct hv_x64_io_port_intercept_message *io = (const void *)message->payload;
	unsigned size = access_size(io);

	if ((size != 1 && size != 2 && size != 4) || !instruction_length(&io->header)) {
		worker_end(vp->worker, LUMEN_EXIT_OUR_FAULT,
			"An I/O port intercept of virtual processor %u makes no sense.", vp->index);
		return false;
	}
	if (io->access_info & HV_X64_IO_PORT_ACCESS_STRING)
		return string_io(vp, io);
	return io->header.intercept_access_type == HvInterceptAccessWrite ? simple_out(vp, io)
									  : simple_in(vp, io);
}
