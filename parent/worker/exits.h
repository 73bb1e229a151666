// SPDX-License-Identifier: BSD-2-Clause
// Intercept messages and what is done about them. In the VP's thread, the VP being suspended.
#pragma once

#include <stdbool.h>

#include "hypercall/intercept.h"
#include "parent/worker/vp.h"

// The kinds of intercepts: for counting (struct vp, messages) and for the table of handlers.
// X(KIND, text)
#define EXIT_KINDS(X)                                                                              \
	X(IO_PORT, "io_port")                                                                      \
	X(MEMORY, "memory")                                                                        \
	X(MSR, "msr")                                                                              \
	X(UNRECOVERABLE, "unrecoverable")                                                          \
	X(HALT, "halt")                                                                            \
	X(APIC_EOI, "apic_eoi")                                                                    \
	X(OTHER, "other")

enum exit_kind {
#define X(kind, text) EXIT_KIND_##kind,
	EXIT_KINDS(X)
#undef X
		EXIT_KIND_COUNT
};
_Static_assert((int)EXIT_KIND_COUNT <= (int)VP_MESSAGE_KINDS, "struct vp counts all kinds");

// Answers an intercept. Returns whether the VP is to run on.
bool exits_handle(struct vp *vp, const struct hv_message *message);

// The handlers that have files of their own: io.c, mmio.c, crash.c.
bool exits_io_port(struct vp *vp, const struct hv_message *message);
bool exits_memory(struct vp *vp, const struct hv_message *message);
bool exits_msr(struct vp *vp, const struct hv_message *message);
bool exits_unrecoverable(struct vp *vp, const struct hv_message *message);

// Answers an intercept: RIP goes behind its instruction, `length` bytes long, and `count` other
// registers (at most PARTITION_ANSWER_MAX - 3) are set, when the VP runs on. A guest that
// single-steps gets its #DB. Returns true.
bool exits_advance(struct vp *vp, const struct hv_x64_intercept_message_header *header,
	unsigned length, const struct hv_register_assoc *registers, unsigned count);

// The number of bits (16, 32 or 64) of the code segment at an intercept.
unsigned exits_code_bits(const struct hv_x64_intercept_message_header *header);

// Writes a VP's registers to the log.
void exits_log_registers(struct vp *vp);
