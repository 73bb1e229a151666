// SPDX-License-Identifier: BSD-2-Clause
// A VP's registers that live in the VMCB, by TLFS name.
#include "hypervisor/core/backend.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/vp.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/msr.h"
#include "hypervisor/x86/svm.h"

enum kind { PLAIN, SEGMENT, TABLE, EFER, CR0, CR3, CR4, DEBUG, PAT, TSC };

static const struct vmcb_register {
	uint32_t name;
	uint16_t offset; // in the VMCB, or the number of a debug register
	uint8_t kind;
} vmcb_registers[] = {
#define AT(field) offsetof(struct vmcb, field)
	{ HvX64RegisterEs, AT(es), SEGMENT },
	{ HvX64RegisterCs, AT(cs), SEGMENT },
	{ HvX64RegisterSs, AT(ss), SEGMENT },
	{ HvX64RegisterDs, AT(ds), SEGMENT },
	{ HvX64RegisterFs, AT(fs), SEGMENT },
	{ HvX64RegisterGs, AT(gs), SEGMENT },
	{ HvX64RegisterLdtr, AT(ldtr), SEGMENT },
	{ HvX64RegisterTr, AT(tr), SEGMENT },
	{ HvX64RegisterIdtr, AT(idtr), TABLE },
	{ HvX64RegisterGdtr, AT(gdtr), TABLE },
	{ HvX64RegisterCr0, AT(cr0), CR0 },
	{ HvX64RegisterCr2, AT(cr2), PLAIN },
	{ HvX64RegisterCr3, AT(cr3), CR3 },
	{ HvX64RegisterCr4, AT(cr4), CR4 },
	{ HvX64RegisterDr0, 0, DEBUG },
	{ HvX64RegisterDr1, 1, DEBUG },
	{ HvX64RegisterDr2, 2, DEBUG },
	{ HvX64RegisterDr3, 3, DEBUG },
	{ HvX64RegisterDr6, AT(dr6), PLAIN },
	{ HvX64RegisterDr7, AT(dr7), PLAIN },
	{ HvX64RegisterEfer, AT(efer), EFER },
	{ HvX64RegisterKernelGsBase, AT(kernel_gs_base), PLAIN },
	{ HvX64RegisterPat, AT(pat), PAT },
	{ HvX64RegisterSysenterCs, AT(sysenter_cs), PLAIN },
	{ HvX64RegisterSysenterEip, AT(sysenter_eip), PLAIN },
	{ HvX64RegisterSysenterEsp, AT(sysenter_esp), PLAIN },
	{ HvX64RegisterStar, AT(star), PLAIN },
	{ HvX64RegisterLstar, AT(lstar), PLAIN },
	{ HvX64RegisterCstar, AT(cstar), PLAIN },
	{ HvX64RegisterSfmask, AT(sfmask), PLAIN },
	{ HvX64RegisterTsc, AT(tsc_offset), TSC },
};

static const struct vmcb_register *find(enum hv_register_name name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vmcb_registers); i++)
		if (vmcb_registers[i].name == name)
			return &vmcb_registers[i];
	return NULL;
}

union place {
	uint64_t word;
	struct svm_segment segment;
};

static union place *locate(struct vp *vp, struct vmcb *vmcb, const struct vmcb_register *r)
{
	return r->kind == DEBUG ? (void *)&vp->dr[r->offset] : (void *)((char *)vmcb + r->offset);
}

bool svm_get_register(struct vp *vp, enum hv_register_name name, struct hv_register_value *value)
{
	const struct vmcb_register *r = find(name);
	const union place *at;

	if (!r)
		return false;
	at = locate(vp, svm_sync(vp), r);
	switch (r->kind) {
	case SEGMENT:
		value->segment.base = at->segment.base;
		value->segment.limit = at->segment.limit;
		value->segment.selector = at->segment.selector;
		value->segment.attributes =
			(at->segment.attributes & 0xff) | (at->segment.attributes & 0xf00) << 4;
		break;
	case TABLE:
		value->table.base = at->segment.base;
		value->table.limit = at->segment.limit;
		break;
	case EFER:
		value->reg64 = at->word & ~EFER_SVME;
		break;
	case TSC:
		value->reg64 = rdtsc() + at->word;
		break;
	default:
		value->reg64 = at->word;
	}
	return true;
}

// The VMCB packs bits 55:52 and 47:40 of a descriptor; TLFS has them as in its upper word.
static void set_segment(
	struct vmcb *vmcb, struct svm_segment *segment, const struct hv_register_value *value)
{
	uint16_t attributes = value->segment.attributes;

	segment->base = value->segment.base;
	segment->limit = value->segment.limit;
	segment->selector = value->segment.selector;
	segment->attributes = (attributes & 0xff) | (attributes >> 4 & 0xf00);
	if (segment == &vmcb->ss)
		vmcb->cpl = segment->attributes >> 5 & 3;
}

// What VMRUN would refuse as a whole (APM2 15.5.1) is refused here, register by register.
static bool acceptable(const struct vmcb_register *r, uint64_t value)
{
	switch (r->kind) {
	case CR0:
		return !(value >> 32) && !(value & CR0_NW && !(value & CR0_CD)) &&
		       !(value & CR0_PG && !(value & CR0_PE));
	case CR3:
		return !(value >> guest_address_bits());
	case PAT:
		return msr_pat_valid(value);
	case CR4:
		return !(value & ~(uint64_t)0xf71fff);
	case EFER:
		return !(value & ~(uint64_t)0xef01); // not SVME
	default:
		return true;
	}
}

bool svm_set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value)
{
	const struct vmcb_register *r = find(name);
	struct vmcb *vmcb;
	union place *at;

	if (!r || !acceptable(r, value->reg64))
		return false;
	vmcb = svm_sync(vp);
	at = locate(vp, vmcb, r);
	switch (r->kind) {
	case SEGMENT:
		set_segment(vmcb, &at->segment, value);
		break;
	case TABLE:
		at->segment.base = value->table.base;
		at->segment.limit = value->table.limit;
		break;
	case TSC:
		at->word = value->reg64 - rdtsc();
		break;
	case PLAIN:
	case DEBUG:
	case PAT:
		at->word = value->reg64;
		break;
	default: // what translations depend on
		at->word = value->reg64 | (r->kind == EFER ? EFER_SVME : 0);
		backend->flush_tlb(vp);
	}
	svm_sync_back(vp);
	return true;
}
