// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that create, delete, start and examine VPs (TLFS: Virtual Processor Management).
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/partition.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/msr.h"

hv_status hc_CreateVp(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_create_vp *in = call->in;

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

hv_status hc_DeleteVp(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_delete_vp *in = call->in;
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

hv_status hc_GetVpRegisters(struct hypercall *call)
{
	const struct hv_input_get_vp_registers *in = call->in;
	struct hv_register_value *values = call->rep_out;
	const uint32_t *names = call->rep_in;
	struct vp *vp;
	hv_status status;

	if (!input_vtl_valid(in->input_vtl))
		return HV_STATUS_INVALID_VTL_STATE;
	status = target_vp_begin(call, in->vp_index, &vp);
	if (status)
		return status;
	while (call->reps_done < call->reps && !status) {
		status = vp_get_register(vp, names[call->reps_done], &values[call->reps_done]);
		if (!status)
			call->reps_done++;
	}
	target_vp_end(call, vp);
	return status;
}

hv_status hc_SetVpRegisters(struct hypercall *call)
{
	const struct hv_input_set_vp_registers *in = call->in;
	const struct hv_register_assoc *list = call->rep_in;
	struct vp *vp;
	hv_status status;

	if (!input_vtl_valid(in->input_vtl))
		return HV_STATUS_INVALID_VTL_STATE;
	status = target_vp_begin(call, in->vp_index, &vp);
	if (status)
		return status;
	while (call->reps_done < call->reps && !status) {
		const struct hv_register_assoc *one = &list[call->reps_done];

		status = one->rsvd_z0 | one->rsvd_z1 ? HV_STATUS_INVALID_PARAMETER
						     : vp_set_register(vp, one->name, &one->value);
		if (!status)
			call->reps_done++;
	}
	target_vp_end(call, vp);
	return status;
}

static uint32_t translate_code(enum gva_result result)
{
	static const uint8_t codes[] = {
		[GVA_OK] = HvTranslateGvaSuccess,
		[GVA_NOT_PRESENT] = HvTranslateGvaPageNotPresent,
		[GVA_PROTECTION] = HvTranslateGvaPrivilegeViolation,
		[GVA_RESERVED_BITS] = HvTranslateGvaInvalidPageTableFlags,
		[GVA_UNMAPPED_GPA] = HvTranslateGvaGpaUnmapped,
	};

	return codes[result];
}

// TLFS-DEVIATION: HV_TRANSLATE_GVA_CONTROL_FLAGS: accessed and dirty bits are not set, TLB flushes
// not inhibited.
static unsigned int translate_access(uint64_t flags)
{
	return (flags & HV_TRANSLATE_GVA_VALIDATE_WRITE ? GVA_WRITE : 0) |
	       (flags & HV_TRANSLATE_GVA_VALIDATE_EXECUTE ? GVA_EXECUTE : 0) |
	       (flags & HV_TRANSLATE_GVA_USER_ACCESS ? GVA_USER : 0);
}

hv_status hc_TranslateVirtualAddress(struct hypercall *call)
{
	const struct hv_input_translate_virtual_address *in = call->in;
	struct hv_output_translate_virtual_address *out = call->out;
	enum gva_result result;
	struct vp *vp;
	gpa_t address;
	hv_status status = target_vp_begin(call, in->vp_index, &vp);

	if (status)
		return status;
	result = gva_translate(
		vp, in->gva_page << PAGE_SHIFT, translate_access(in->control_flags), &address);
	target_vp_end(call, vp);
	out->translation_result.result_code = translate_code(result);
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

hv_status hc_StartVirtualProcessor(struct hypercall *call)
{
	const struct hv_input_start_virtual_processor *in = call->in;
	struct vp *vp;
	hv_status status = target_vp(call, in->vp_index, &vp);

	if (status)
		return status;
	if (in->target_vtl)
		return HV_STATUS_INVALID_VTL_STATE;
	if (vp == call->vp || READ_ONCE(vp->activity) != VP_WAIT_FOR_SIPI)
		return HV_STATUS_INVALID_VP_STATE;
	// A VP that waits for its start runs nothing: it cannot be about to pause us in turn.
	if (!vp_examine(vp))
		return HYPERCALL_RETRY;
	status = start(vp, &in->vp_context);
	vp_examine_end(vp);
	return status;
}

static bool find_apic_id(struct partition *target, uint32_t apic_id, uint32_t *index)
{
	struct vp *vp;

	partition_for_each_vp(vp, target)
	{
		if (vp->apic.id == apic_id) {
			*index = vp->index;
			return true;
		}
	}
	return false;
}

hv_status hc_GetVpIndexFromApicId(struct hypercall *call)
{
	const struct hv_input_get_vp_index_from_apic_id *in = call->in;
	const uint32_t *apic_ids = call->rep_in;
	uint32_t *indices = call->rep_out;

	if (in->target_vtl)
		return HV_STATUS_INVALID_VTL_STATE;
	for (; call->reps_done < call->reps; call->reps_done++)
		if (!find_apic_id(
			    call->target, apic_ids[call->reps_done], &indices[call->reps_done]))
			return HV_STATUS_INVALID_PARAMETER;
	return HV_STATUS_SUCCESS;
}

// CPUID may show bits of the VP's control registers (OSXSAVE), so that it has to stand still.
hv_status hc_GetVpCpuidValues(struct hypercall *call)
{
	const struct hv_input_get_vp_cpuid_values *in = call->in;
	const struct hv_cpuid_leaf_info *leaves = call->rep_in;
	struct hv_cpuid_result *results = call->rep_out;
	struct vp *vp;
	hv_status status;

	if (in->flags & ~(HV_GET_VP_CPUID_USE_VP_XFEM_XSS |
				HV_GET_VP_CPUID_APPLY_REGISTERED_VALUES) ||
		in->rsvd_z0 || in->rsvd_z1)
		return HV_STATUS_INVALID_PARAMETER;
	status = target_vp_begin(call, in->vp_index, &vp);
	if (status)
		return status;
	for (; call->reps_done < call->reps; call->reps_done++) {
		const struct hv_cpuid_leaf_info *leaf = &leaves[call->reps_done];
		struct cpuid_result r;

		cpuid_read(vp, leaf->eax, leaf->ecx, &r);
		if (in->flags & HV_GET_VP_CPUID_APPLY_REGISTERED_VALUES)
			intercept_override_cpuid(vp, leaf->eax, leaf->ecx, &r);
		results[call->reps_done] = (struct hv_cpuid_result){ r.eax, r.ebx, r.ecx, r.edx };
	}
	target_vp_end(call, vp);
	return HV_STATUS_SUCCESS;
}

// TLFS: HvCallMapVpStatePage. State pages belong to partitions that were created with them
// (creation flags), which is not offered.
static hv_status no_state_page(struct hypercall *call, hv_vp_index index, uint16_t type)
{
	if (!partition_vp(call->target, index))
		return HV_STATUS_INVALID_VP_INDEX;
	return type > HvVpStatePageGhcb ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_OPERATION_DENIED;
}

hv_status hc_MapVpStatePage(struct hypercall *call)
{
	const struct hv_input_map_vp_state_page *in = call->in;

	return no_state_page(call, in->vp_index, in->type);
}

hv_status hc_UnmapVpStatePage(struct hypercall *call)
{
	const struct hv_input_unmap_vp_state_page *in = call->in;

	return no_state_page(call, in->vp_index, in->type);
}
