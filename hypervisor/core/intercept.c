// SPDX-License-Identifier: BSD-2-Clause
// Intercept messages (TLFS: HV_MESSAGE_TYPE) from a child's VP to its parent.
#include "hypervisor/core/intercept.h"
#include "hypercall/memory.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/state.h"

enum { LENGTH_HLT = 1, LENGTH_CPUID = 2, LENGTH_MSR = 2, LENGTH_HYPERCALL = 3 };

static struct hv_x64_segment_register segment(struct vp *vp, enum hv_register_name name)
{
	struct hv_register_value value = { 0 };

	backend->get_register(vp, name, &value);
	return value.segment;
}

static uint16_t execution_state(struct vp *vp)
{
	uint64_t cr0 = vp_reg64(vp, HvX64RegisterCr0);

	return vp_cpl(vp) | (cr0 & CR0_PE ? HV_X64_EXECUTION_STATE_CR0_PE : 0) |
	       (cr0 & BIT(18) ? HV_X64_EXECUTION_STATE_CR0_AM : 0) |
	       (vp_reg64(vp, HvX64RegisterEfer) & EFER_LMA ? HV_X64_EXECUTION_STATE_EFER_LMA : 0) |
	       (vp->event.pending ? HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING : 0) |
	       (vp->regs.interrupt_shadow ? HV_X64_EXECUTION_STATE_INTERRUPT_SHADOW : 0);
}

// The payload of VP's message, zeroed, with its header filled in. LENGTH is the instruction's, 0 =
// not known.
static void *begin(struct vp *vp, unsigned int length, enum hv_intercept_access_type access)
{
	struct hv_x64_intercept_message_header *header = (void *)vp->intercept.body.payload;

	synic_unpost(&vp->intercept); // the parent may have resumed the VP without reading it
	memset(&vp->intercept.body, 0, sizeof(vp->intercept.body));
	header->vp_index = vp->index;
	header->instruction_length_cr8 = (length & HV_X64_INTERCEPT_INSTRUCTION_LENGTH_MASK) |
					 vapic_get_cr8(vp) << HV_X64_INTERCEPT_CR8_SHIFT;
	header->intercept_access_type = access;
	header->execution_state = execution_state(vp);
	header->cs = segment(vp, HvX64RegisterCs);
	header->rip = vp->regs.rip;
	header->rflags = vp->regs.rflags;
	return header;
}

static void post(struct vp *vp, struct message *message, enum hv_message_type type, size_t size)
{
	struct vp *receiver = partition_local_vp(vp->partition->parent);

	message->body.header = (struct hv_message_header){
		.message_type = type, .payload_size = size, .sender = vp->partition->id
	};
	if (receiver)
		synic_post(receiver, HV_SYNIC_INTERCEPTION_SINT_INDEX, message);
}

// Suspends VP first: the parent may answer as soon as the message is on its way.
static bool send(struct vp *vp, enum hv_message_type type, size_t size)
{
	vp->intercept_suspend = true;
	vp->recheck = true;
	trace(LUMEN_TRACE_INTERCEPT, vp, type, vp->regs.rip);
	post(vp, &vp->intercept, type, size);
	return true;
}

bool intercept_io(struct vp *vp, const struct vp_exit *exit)
{
	struct hv_x64_io_port_intercept_message *m;

	if (vp->partition->is_root)
		return false;
	m = begin(vp, exit->insn_length,
		exit->io.in ? HvInterceptAccessRead : HvInterceptAccessWrite);
	m->port_number = exit->io.port;
	m->access_info = exit->io.size | (exit->io.string ? HV_X64_IO_PORT_ACCESS_STRING : 0) |
			 (exit->io.rep ? HV_X64_IO_PORT_ACCESS_REP : 0);
	m->rax = vp->regs.gpr[RAX];
	if (exit->io.string) {
		m->instruction_byte_count =
			gva_fetch(vp, m->instruction_bytes, sizeof(m->instruction_bytes));
		m->ds = segment(vp, HvX64RegisterDs);
		m->es = segment(vp, HvX64RegisterEs);
		m->rcx = vp->regs.gpr[RCX];
		m->rsi = vp->regs.gpr[RSI];
		m->rdi = vp->regs.gpr[RDI];
	}
	return send(vp, HvMessageTypeX64IoPortIntercept, sizeof(*m));
}

static enum hv_intercept_access_type access_type(unsigned int access)
{
	if (access & GPA_WRITE)
		return HvInterceptAccessWrite;
	return access & GPA_EXECUTE ? HvInterceptAccessExecute : HvInterceptAccessRead;
}

bool intercept_gpa(struct vp *vp, const struct vp_exit *exit)
{
	struct hv_x64_memory_intercept_message *m;
	uint64_t spa_page;
	bool mapped;

	if (vp->partition->is_root)
		return false;
	mapped = gpa_map_lookup(
		&vp->partition->gpa, exit->fault.gpa >> PAGE_SHIFT, GPA_READ, &spa_page);
	m = begin(vp, exit->insn_length, access_type(exit->fault.access));
	m->cache_type = HvCacheTypeWriteBack;
	m->guest_physical_address = exit->fault.gpa;
	// None: the instruction at RIP is not what to emulate.
	if (exit->fault.by_insn)
		m->instruction_byte_count =
			gva_fetch(vp, m->instruction_bytes, sizeof(m->instruction_bytes));
	m->tpr_priority = vapic_get_cr8(vp);
	return send(vp, mapped ? HvMessageTypeGpaIntercept : HvMessageTypeUnmappedGpa, sizeof(*m));
}

bool intercept_msr(struct vp *vp, uint32_t msr, bool write, uint64_t value, bool known)
{
	uint32_t access = write ? HV_INTERCEPT_ACCESS_MASK_WRITE : HV_INTERCEPT_ACCESS_MASK_READ;
	struct hv_x64_msr_intercept_message *m;

	if (!intercepts_want_msr(vp->partition->intercepts, msr, access, known))
		return false;
	m = begin(vp, LENGTH_MSR, write ? HvInterceptAccessWrite : HvInterceptAccessRead);
	m->msr_number = msr;
	m->rdx = write ? value >> 32 : vp->regs.gpr[RDX];
	m->rax = write ? (uint32_t)value : vp->regs.gpr[RAX];
	return send(vp, HvMessageTypeX64MsrIntercept, sizeof(*m));
}

bool intercept_cpuid(struct vp *vp, const struct cpuid_result *result)
{
	struct hv_x64_cpuid_intercept_message *m;
	const uint64_t *gpr = vp->regs.gpr;

	if (!intercepts_want_cpuid(vp->partition->intercepts, gpr[RAX]))
		return false;
	m = begin(vp, LENGTH_CPUID, HvInterceptAccessExecute);
	m->rax = gpr[RAX];
	m->rcx = gpr[RCX];
	m->rdx = gpr[RDX];
	m->rbx = gpr[RBX];
	m->default_result_rax = result->eax;
	m->default_result_rcx = result->ecx;
	m->default_result_rdx = result->edx;
	m->default_result_rbx = result->ebx;
	return send(vp, HvMessageTypeX64CpuidIntercept, sizeof(*m));
}

bool intercept_hypercall(struct vp *vp)
{
	const uint64_t *gpr = vp->regs.gpr;
	struct hv_x64_hypercall_intercept_message *m;

	if (!intercepts_want_hypercall(vp->partition->intercepts))
		return false;
	m = begin(vp, LENGTH_HYPERCALL, HvInterceptAccessExecute);
	m->rax = gpr[RAX];
	m->rbx = gpr[RBX];
	m->rcx = gpr[RCX];
	m->rdx = gpr[RDX];
	m->r8 = gpr[R8];
	m->rsi = gpr[RSI];
	m->rdi = gpr[RDI];
	return send(vp, HvMessageTypeHypercallIntercept, sizeof(*m));
}

bool intercept_shutdown(struct vp *vp)
{
	if (vp->partition->is_root)
		return false;
	begin(vp, 0, HvInterceptAccessExecute);
	return send(vp, HvMessageTypeUnrecoverableException,
		sizeof(struct hv_x64_unrecoverable_exception_message));
}

bool intercept_halt(struct vp *vp)
{
	if (vp->partition->is_root ||
		vp->partition->creation_flags & HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED)
		return false;
	begin(vp, LENGTH_HLT, HvInterceptAccessExecute);
	return send(vp, HvMessageTypeX64Halt, sizeof(struct hv_x64_halt_message));
}

static void send_eoi(struct vp *vp, struct message *message, unsigned int vector)
{
	struct hv_x64_apic_eoi_message *m = (void *)message->body.payload;

	*m = (struct hv_x64_apic_eoi_message){ .vp_index = vp->index, .interrupt_vector = vector };
	post(vp, message, HvMessageTypeX64ApicEoi, sizeof(*m));
}

void intercept_flush_eoi(struct vp *vp)
{
	struct message *message;

	for (unsigned int word = 0; word < ARRAY_SIZE(vp->eoi_vectors); word++) {
		while (vp->eoi_vectors[word]) {
			unsigned int bit = __builtin_ctzll(vp->eoi_vectors[word]);

			message = message_free(vp->eoi, VP_EOI_MESSAGES);
			if (!message)
				return; // again before the next entry
			send_eoi(vp, message, word * 64 + bit);
			vp->eoi_vectors[word] &= ~BIT(bit);
		}
	}
	vp->eoi_pending = false;
}

// One that is not sent yet covers further ones of the same vector: the receiver looks at the line,
// not at the count.
void intercept_apic_eoi(struct vp *vp, unsigned int vector)
{
	if (!READ_ONCE(vp->partition->intercepts->apic_eoi))
		return;
	vp->eoi_vectors[vector / 64] |= BIT(vector % 64);
	vp->eoi_pending = true;
	intercept_flush_eoi(vp);
}

void intercept_cancel(struct vp *vp)
{
	synic_unpost(&vp->intercept);
	for (unsigned int i = 0; i < VP_EOI_MESSAGES; i++)
		synic_unpost(&vp->eoi[i]);
}
