// SPDX-License-Identifier: BSD-2-Clause
// See exits.h: the table, and what the handlers share.
#include "parent/worker/exits.h"

#include <stddef.h>

#include "base/macros.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

// With its local APIC in the hypervisor a VP halts there, and no device here has a level-triggered
// interrupt that waits for its end.
static bool handle_nothing(struct vp *vp, const struct hv_message *message)
{
	return true;
}

static bool handle_unknown(struct vp *vp, const struct hv_message *message)
{
	worker_end(vp->worker, LUMEN_EXIT_OUR_FAULT,
		"Virtual processor %u has an intercept that is not known here: 0x%x.", vp->index,
		message->header.message_type);
	return false;
}

static const struct exit_entry {
	uint32_t message_type;
	enum exit_kind kind;
	uint16_t size; // the payload's least size
	bool (*handle)(struct vp *vp, const struct hv_message *message);
} exit_table[] = {
	{ HvMessageTypeX64IoPortIntercept, EXIT_KIND_IO_PORT,
		sizeof(struct hv_x64_io_port_intercept_message), exits_io_port },
	{ HvMessageTypeUnmappedGpa, EXIT_KIND_MEMORY,
		sizeof(struct hv_x64_memory_intercept_message), exits_memory },
	{ HvMessageTypeGpaIntercept, EXIT_KIND_MEMORY,
		sizeof(struct hv_x64_memory_intercept_message), exits_memory },
	{ HvMessageTypeX64MsrIntercept, EXIT_KIND_MSR, sizeof(struct hv_x64_msr_intercept_message),
		exits_msr },
	{ HvMessageTypeUnrecoverableException, EXIT_KIND_UNRECOVERABLE,
		sizeof(struct hv_x64_unrecoverable_exception_message), exits_unrecoverable },
	{ HvMessageTypeX64Halt, EXIT_KIND_HALT, 0, handle_nothing },
	{ HvMessageTypeX64ApicEoi, EXIT_KIND_APIC_EOI, 0, handle_nothing },
};

static const struct exit_entry exit_unknown = { 0, EXIT_KIND_OTHER, 0, handle_unknown };

static const struct exit_entry *find_entry(const struct hv_message *message)
{
	for (size_t i = 0; i < ARRAY_SIZE(exit_table); i++)
		if (exit_table[i].message_type == message->header.message_type &&
			message->header.payload_size >= exit_table[i].size)
			return &exit_table[i];
	return &exit_unknown;
}

bool exits_handle(struct vp *vp, const struct hv_message *message)
{
	const struct exit_entry *entry = find_entry(message);

	vp->messages[entry->kind]++;
	return entry->handle(vp, message);
}

enum { RFLAGS_TF = 1 << 8, DB_VECTOR = 1, DR6_SINGLE_STEP = 0xffff4ff0 };

// The #DB after the instruction, and what the guest then finds in DR6 (APM2 13.1.1.3).
static void add_single_step(struct partition_answer *answer)
{
	answer->registers[answer->count++] = (struct hv_register_assoc){ .name = HvX64RegisterDr6,
		.value.reg64 = DR6_SINGLE_STEP };
	answer->registers[answer->count++] = (struct hv_register_assoc){
		.name = HvRegisterPendingEvent0,
		.value.reg64 = HV_PENDING_EVENT_PENDING |
			       HvX64PendingEventException << HV_PENDING_EVENT_TYPE_SHIFT |
			       DB_VECTOR << HV_PENDING_EVENT_VECTOR_SHIFT,
	};
}

bool exits_advance(struct vp *vp, const struct hv_x64_intercept_message_header *header,
	unsigned length, const struct hv_register_assoc *registers, unsigned count)
{
	struct partition_answer *answer = &vp->answer;
	uint64_t rip = header->rip + length;

	if (exits_code_bits(header) != 64)
		rip = (uint32_t)rip;
	answer->registers[0] =
		(struct hv_register_assoc){ .name = HvX64RegisterRip, .value.reg64 = rip };
	for (unsigned i = 0; i < count; i++)
		answer->registers[1 + i] = registers[i];
	answer->count = 1 + count;
	if (length && header->rflags & RFLAGS_TF)
		add_single_step(answer);
	return true;
}

unsigned exits_code_bits(const struct hv_x64_intercept_message_header *header)
{
	if ((header->execution_state & HV_X64_EXECUTION_STATE_EFER_LMA) &&
		(header->cs.attributes & HV_X64_SEGMENT_LONG))
		return 64;
	return header->cs.attributes & HV_X64_SEGMENT_DEFAULT ? 32 : 16;
}

static const struct logged_register {
	uint32_t name;
	const char *text;
} logged_registers[] = {
	{ HvX64RegisterRip, "rip" },
	{ HvX64RegisterRsp, "rsp" },
	{ HvX64RegisterRflags, "rflags" },
	{ HvX64RegisterRax, "rax" },
	{ HvX64RegisterRbx, "rbx" },
	{ HvX64RegisterRcx, "rcx" },
	{ HvX64RegisterRdx, "rdx" },
	{ HvX64RegisterRsi, "rsi" },
	{ HvX64RegisterRdi, "rdi" },
	{ HvX64RegisterRbp, "rbp" },
	{ HvX64RegisterR8, "r8" },
	{ HvX64RegisterR9, "r9" },
	{ HvX64RegisterR10, "r10" },
	{ HvX64RegisterR11, "r11" },
	{ HvX64RegisterR12, "r12" },
	{ HvX64RegisterR13, "r13" },
	{ HvX64RegisterR14, "r14" },
	{ HvX64RegisterR15, "r15" },
	{ HvX64RegisterCr0, "cr0" },
	{ HvX64RegisterCr2, "cr2" },
	{ HvX64RegisterCr3, "cr3" },
	{ HvX64RegisterCr4, "cr4" },
	{ HvX64RegisterEfer, "efer" },
	{ HvX64RegisterCs, "cs base" },
};

enum { LOGGED = ARRAY_SIZE(logged_registers), PER_LINE = 3 };
_Static_assert(
	(int)LOGGED <= (int)PARTITION_REGISTERS_MAX && LOGGED % PER_LINE == 0, "whole lines");

void exits_log_registers(struct vp *vp)
{
	struct hv_register_value values[LOGGED];
	uint32_t names[LOGGED];
	int status;

	for (int i = 0; i < LOGGED; i++)
		names[i] = logged_registers[i].name;
	status = partition_get_registers(&vp->worker->partition, vp->index, names, values, LOGGED);
	if (status) {
		log_line("VP %u: no registers: hypercall status %d", vp->index, status);
		return;
	}
	for (int i = 0; i < LOGGED; i += PER_LINE)
		log_line("VP %u: %7s %016llx %7s %016llx %7s %016llx", vp->index,
			logged_registers[i].text, (unsigned long long)values[i].reg64,
			logged_registers[i + 1].text, (unsigned long long)values[i + 1].reg64,
			logged_registers[i + 2].text, (unsigned long long)values[i + 2].reg64);
}
