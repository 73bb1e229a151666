// SPDX-License-Identifier: BSD-2-Clause
// Accesses to memory that the child does not have: the I/O APIC, and what reads all ones.
#include "parent/worker/exits.h"
#include "parent/worker/instruction.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

static bool fail(
	struct vp *vp, const struct hv_x64_memory_intercept_message *memory, const char *why)
{
	exits_log_registers(vp);
	worker_end(vp->worker, LUMEN_EXIT_CRASHED,
		"The child's VP %u, at 0x%llx, uses memory that it does not have, 0x%llx, %s.",
		vp->index, (unsigned long long)memory->header.rip,
		(unsigned long long)memory->guest_physical_address, why);
	return false;
}

static bool get_register(struct vp *vp, unsigned reg, uint64_t *value)
{
	uint32_t name = HvX64RegisterRax + reg; // the names are in the encoding's order
	struct hv_register_value got;
	int status = partition_get_registers(&vp->worker->partition, vp->index, &name, &got, 1);

	*value = got.reg64;
	if (!status)
		return true;
	worker_end(vp->worker, LUMEN_EXIT_OUR_FAULT,
		"The registers of virtual processor %u cannot be read: hypercall status %d.",
		vp->index, status);
	return false;
}

static bool store(struct vp *vp, const struct hv_x64_memory_intercept_message *memory,
	const struct insn *instruction)
{
	uint64_t reg = 0;

	if (instruction->kind == INSN_STORE && !get_register(vp, instruction->reg, &reg))
		return false;
	devices_memory_write(&vp->worker->devices, memory->guest_physical_address,
		instruction->size, instruction_store(instruction, reg));
	return exits_advance(vp, &memory->header, instruction->length, NULL, 0);
}

static bool load(struct vp *vp, const struct hv_x64_memory_intercept_message *memory,
	const struct insn *instruction)
{
	struct hv_register_assoc set = { .name = HvX64RegisterRax + instruction->reg };
	uint64_t old = 0, value;

	// Only a partial register keeps something of its old value.
	if (instruction->dest_size < 4 && !get_register(vp, instruction->reg, &old))
		return false;
	value = devices_memory_read(
		&vp->worker->devices, memory->guest_physical_address, instruction->size);
	set.value.reg64 = instruction_load(instruction, old, value);
	return exits_advance(vp, &memory->header, instruction->length, &set, 1);
}

bool exits_memory(struct vp *vp, const struct hv_message *message)
{
	const struct hv_x64_memory_intercept_message *memory = (const void *)message->payload;
	unsigned count = memory->instruction_byte_count;
	struct insn instruction;

	if (memory->header.intercept_access_type == HvInterceptAccessExecute)
		return fail(vp, memory, "as code");
	if (memory->header.execution_state & HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING)
		return fail(vp, memory, "as stack or table for an exception or interrupt");
	if (!count)
		return fail(vp, memory, "not by an instruction that can be read");
	if (count > sizeof(memory->instruction_bytes))
		count = sizeof(memory->instruction_bytes);
	if (!instruction_decode(memory->instruction_bytes, count, exits_code_bits(&memory->header),
		    &instruction))
		return fail(vp, memory, "with an instruction that is no simple move");
	return instruction.kind == INSN_LOAD ? load(vp, memory, &instruction)
					     : store(vp, memory, &instruction);
}
