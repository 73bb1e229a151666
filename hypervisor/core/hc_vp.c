// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that create, delete, start and examine VPs (TLFS: Virtual Processor Management).
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/partition.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/msr.h"

hv_status target_vp(struct hypercall *call, hv_vp_index index, struct vp **vp)
{
	if (index == HV_VP_INDEX_SELF && call->target == call->partition)
		index = call->vp->index;
	*vp = partition_vp(call->target, index);
	return *vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

// Pauses VP for one examiner, who alone touches its registers until the end. False: somebody else
// does, or the parent is to be the next.
static bool examine(const struct hypercall *call, struct vp *vp)
{
	bool parent = call->partition != vp->partition;
	bool taken = (parent || !claim_stands(&vp->parents_claim)) &&
		     !__atomic_exchange_n(&vp->examined, true, __ATOMIC_ACQUIRE);

	if (parent)
		claim_set(&vp->parents_claim, !taken);
	if (taken)
		vp_pause(vp);
	return taken;
}

static void examine_end(struct vp *vp)
{
	// The flag goes first: whoever comes next pauses the VP for itself.
	store_release(vp->examined, false);
	vp_resume(vp);
}

// As target_vp(), and the VP's registers may be touched until target_vp_end(): it is the caller, or
// a child's and paused now. HV_STATUS_INVALID_VP_STATE: another VP of the caller's own partition.
static hv_status target_vp_begin(struct hypercall *call, hv_vp_index index, struct vp **vp)
{
	TRY(target_vp(call, index, vp));
	if (*vp == call->vp)
		return HV_STATUS_SUCCESS;
	// Two VPs of one partition that pause each other would wait for ever.
	if (call->target == call->partition)
		return HV_STATUS_INVALID_VP_STATE;
	return examine(call, *vp) ? HV_STATUS_SUCCESS : HYPERCALL_RETRY;
}

static void target_vp_end(struct hypercall *call, struct vp *vp)
{
	if (vp != call->vp)
		examine_end(vp);
}

HANDLER(CreateVp, create_vp)
{
	if (in->vp_index >= PARTITION_MAX_VPS || partition_vp(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (in->flags || in->rsvd_z[0] | in->rsvd_z[1] | in->rsvd_z[2])
		return HV_STATUS_INVALID_PARAMETER;
	// TLFS: the initial APIC id is the VP's index.
	if (!vp_create(target, in->vp_index, in->vp_index))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	partition_update_stats(target);
	return HV_STATUS_SUCCESS;
}

HANDLER(DeleteVp, delete_vp)
{
	struct vp *vp = partition_vp(target, in->vp_index);

	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	if (vp_retire(vp))
		partition_flush_gpa(target->parent);
	partition_flush_gpa(target);
	quiesce_wait();
	vp_destroy(vp);
	partition_update_stats(target);
	return HV_STATUS_SUCCESS;
}

HANDLER(GetVpRegisters, get_vp_registers)
{
	struct hv_register_value *values = call->rep_out;
	hv_status status = HV_STATUS_SUCCESS;
	const uint32_t *names = call->rep_in;
	struct vp *vp;

	if (!input_vtl_valid(in->input_vtl))
		return HV_STATUS_INVALID_VTL_STATE;
	TRY(target_vp_begin(call, in->vp_index, &vp));
	for (uint32_t i = 0; i < call->reps && !status; i++) {
		status = vp_get_register(vp, names[i], &values[i]);
		call->reps_done += !status;
	}
	target_vp_end(call, vp);
	return status;
}

HANDLER(SetVpRegisters, set_vp_registers)
{
	const struct hv_register_assoc *one = call->rep_in;
	hv_status status = HV_STATUS_SUCCESS;
	struct vp *vp;

	if (!input_vtl_valid(in->input_vtl))
		return HV_STATUS_INVALID_VTL_STATE;
	TRY(target_vp_begin(call, in->vp_index, &vp));
	for (uint32_t i = 0; i < call->reps && !status; i++, one++) {
		status = one->rsvd_z0 | one->rsvd_z1 ? HV_STATUS_INVALID_PARAMETER
						     : vp_set_register(vp, one->name, &one->value);
		call->reps_done += !status;
	}
	target_vp_end(call, vp);
	return status;
}

static const uint8_t translate_codes[] = {
	[GVA_OK] = HvTranslateGvaSuccess,
	[GVA_NOT_PRESENT] = HvTranslateGvaPageNotPresent,
	[GVA_PROTECTION] = HvTranslateGvaPrivilegeViolation,
	[GVA_RESERVED_BITS] = HvTranslateGvaInvalidPageTableFlags,
	[GVA_UNMAPPED_GPA] = HvTranslateGvaGpaUnmapped,
};

// TLFS-DEVIATION: HV_TRANSLATE_GVA_CONTROL_FLAGS: accessed and dirty bits are not set, TLB flushes
// not inhibited.
static unsigned int translate_access(uint64_t flags)
{
	return (flags & HV_TRANSLATE_GVA_VALIDATE_WRITE ? GVA_WRITE : 0) |
	       (flags & HV_TRANSLATE_GVA_VALIDATE_EXECUTE ? GVA_EXECUTE : 0) |
	       (flags & HV_TRANSLATE_GVA_USER_ACCESS ? GVA_USER : 0);
}

HANDLER(TranslateVirtualAddress, translate_virtual_address)
{
	struct hv_output_translate_virtual_address *out = call->out;
	enum gva_result result;
	struct vp *vp;
	gpa_t address;

	TRY(target_vp_begin(call, in->vp_index, &vp));
	result = gva_translate(
		vp, in->gva_page << PAGE_SHIFT, translate_access(in->control_flags), &address);
	target_vp_end(call, vp);
	out->translation_result.result_code = translate_codes[result];
	if (result == GVA_OK) {
		out->translation_result.attributes = HvCacheTypeWriteBack;
		out->gpa_page = address.value >> PAGE_SHIFT;
	}
	return HV_STATUS_SUCCESS;
}

// TLFS: HV_INITIAL_VP_CONTEXT. EFER and CR4 before CR0: long mode is entered by setting CR0.PG.
static hv_status load_context(struct vp *vp, const struct hv_initial_vp_context *c)
{
	const struct {
		enum hv_register_name name;
		struct hv_register_value value;
	} list[] = {
		{ HvX64RegisterEfer, { { .reg64 = c->efer } } },
		{ HvX64RegisterCr4, { { .reg64 = c->cr4 } } },
		{ HvX64RegisterCr3, { { .reg64 = c->cr3 } } },
		{ HvX64RegisterCr0, { { .reg64 = c->cr0 } } },
		{ HvX64RegisterPat, { { .reg64 = c->msr_cr_pat } } },
		{ HvX64RegisterCs, { { .segment = c->cs } } },
		{ HvX64RegisterDs, { { .segment = c->ds } } },
		{ HvX64RegisterEs, { { .segment = c->es } } },
		{ HvX64RegisterFs, { { .segment = c->fs } } },
		{ HvX64RegisterGs, { { .segment = c->gs } } },
		{ HvX64RegisterSs, { { .segment = c->ss } } },
		{ HvX64RegisterTr, { { .segment = c->tr } } },
		{ HvX64RegisterLdtr, { { .segment = c->ldtr } } },
		{ HvX64RegisterIdtr, { { .table = c->idtr } } },
		{ HvX64RegisterGdtr, { { .table = c->gdtr } } },
		{ HvX64RegisterRip, { { .reg64 = c->rip } } },
		{ HvX64RegisterRsp, { { .reg64 = c->rsp } } },
		{ HvX64RegisterRflags, { { .reg64 = c->rflags } } },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++)
		if (vp_set_register(vp, list[i].name, &list[i].value))
			return HV_STATUS_INVALID_REGISTER_VALUE;
	return HV_STATUS_SUCCESS;
}

static hv_status start(struct vp *vp, const struct hv_initial_vp_context *context)
{
	hv_status status;

	if (vp->activity != VP_WAIT_FOR_SIPI)
		return HV_STATUS_INVALID_VP_STATE;
	status = load_context(vp, context);
	if (status)
		vp_reset(vp, false);
	vp->activity = status ? VP_WAIT_FOR_SIPI : VP_ACTIVE;
	return status;
}

HANDLER(StartVirtualProcessor, start_virtual_processor)
{
	struct vp *vp;
	hv_status status;

	TRY(target_vp(call, in->vp_index, &vp));
	if (in->target_vtl)
		return HV_STATUS_INVALID_VTL_STATE;
	if (vp == call->vp || READ_ONCE(vp->activity) != VP_WAIT_FOR_SIPI)
		return HV_STATUS_INVALID_VP_STATE;
	// A VP that waits for its start runs nothing: it cannot be about to pause us in turn.
	if (!examine(call, vp))
		return HYPERCALL_RETRY;
	status = start(vp, &in->vp_context);
	examine_end(vp);
	return status;
}

static struct vp *find_apic_id(struct partition *target, uint32_t apic_id)
{
	struct vp *vp;

	partition_for_each_vp(vp, target) if (vp->apic.id == apic_id) return vp;
	return NULL;
}

HANDLER(GetVpIndexFromApicId, get_vp_index_from_apic_id)
{
	const uint32_t *apic_ids = call->rep_in;
	uint32_t *indices = call->rep_out;

	if (in->target_vtl)
		return HV_STATUS_INVALID_VTL_STATE;
	for (; call->reps_done < call->reps; call->reps_done++) {
		struct vp *vp = find_apic_id(target, apic_ids[call->reps_done]);

		if (!vp)
			return HV_STATUS_INVALID_PARAMETER;
		indices[call->reps_done] = vp->index;
	}
	return HV_STATUS_SUCCESS;
}

// CPUID may show bits of the VP's control registers (OSXSAVE), so that it has to stand still.
HANDLER(GetVpCpuidValues, get_vp_cpuid_values)
{
	const struct hv_cpuid_leaf_info *leaf = call->rep_in;
	struct hv_cpuid_result *result = call->rep_out;
	struct vp *vp;

	if (in->flags & ~(HV_GET_VP_CPUID_USE_VP_XFEM_XSS |
				HV_GET_VP_CPUID_APPLY_REGISTERED_VALUES) ||
		in->rsvd_z0 || in->rsvd_z1)
		return HV_STATUS_INVALID_PARAMETER;
	TRY(target_vp_begin(call, in->vp_index, &vp));
	for (; call->reps_done < call->reps; call->reps_done++, leaf++, result++) {
		struct cpuid_result r;

		cpuid_read(vp, leaf->eax, leaf->ecx, &r);
		if (in->flags & HV_GET_VP_CPUID_APPLY_REGISTERED_VALUES)
			intercept_override_cpuid(vp, leaf->eax, leaf->ecx, &r);
		*result = (struct hv_cpuid_result){ r.eax, r.ebx, r.ecx, r.edx };
	}
	target_vp_end(call, vp);
	return HV_STATUS_SUCCESS;
}

// TLFS: HvCallMapVpStatePage. State pages belong to partitions that were created with them
// (creation flags), which is not offered.
static hv_status no_state_page(struct partition *target, hv_vp_index index, uint16_t type)
{
	if (!partition_vp(target, index))
		return HV_STATUS_INVALID_VP_INDEX;
	return type > HvVpStatePageGhcb ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_OPERATION_DENIED;
}

HANDLER(MapVpStatePage, map_vp_state_page)
{
	return no_state_page(target, in->vp_index, in->type);
}

HANDLER(UnmapVpStatePage, unmap_vp_state_page)
{
	return no_state_page(target, in->vp_index, in->type);
}
