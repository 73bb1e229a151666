// SPDX-License-Identifier: BSD-2-Clause
// A VP's registers that live in the VMCB, by TLFS name.
#include "hypervisor/core/backend.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/vp.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/svm.h"

enum kind { PLAIN, SEGMENT, TABLE, EFER, CR0, CR4, DEBUG, TSC };

static const struct vmcb_register {
	uint32_t name;
	uint16_t offset; // in the VMCB, or the number of a debug register
	uint8_t kind;
} vmcb_registers[] = {
#define R(name, field, kind) { name, offsetof(struct vmcb, field), kind }
	R(HvX64RegisterEs, es, SEGMENT),
	R(HvX64RegisterCs, cs, SEGMENT),
	R(HvX64RegisterSs, ss, SEGMENT),
	R(HvX64RegisterDs, ds, SEGMENT),
	R(HvX64RegisterFs, fs, SEGMENT),
	R(HvX64RegisterGs, gs, SEGMENT),
	R(HvX64RegisterLdtr, ldtr, SEGMENT),
	R(HvX64RegisterTr, tr, SEGMENT),
	R(HvX64RegisterIdtr, idtr, TABLE),
	R(HvX64RegisterGdtr, gdtr, TABLE),
	R(HvX64RegisterCr0, cr0, CR0),
	R(HvX64RegisterCr2, cr2, PLAIN),
	R(HvX64RegisterCr3, cr3, PLAIN),
	R(HvX64RegisterCr4, cr4, CR4),
	{ HvX64RegisterDr0, 0, DEBUG },
	{ HvX64RegisterDr1, 1, DEBUG },
	{ HvX64RegisterDr2, 2, DEBUG },
	{ HvX64RegisterDr3, 3, DEBUG },
	R(HvX64RegisterDr6, dr6, PLAIN),
	R(HvX64RegisterDr7, dr7, PLAIN),
	R(HvX64RegisterEfer, efer, EFER),
	R(HvX64RegisterKernelGsBase, kernel_gs_base, PLAIN),
	R(HvX64RegisterPat, pat, PLAIN),
	R(HvX64RegisterSysenterCs, sysenter_cs, PLAIN),
	R(HvX64RegisterSysenterEip, sysenter_eip, PLAIN),
	R(HvX64RegisterSysenterEsp, sysenter_esp, PLAIN),
	R(HvX64RegisterStar, star, PLAIN),
	R(HvX64RegisterLstar, lstar, PLAIN),
	R(HvX64RegisterCstar, cstar, PLAIN),
	R(HvX64RegisterSfmask, sfmask, PLAIN),
	R(HvX64RegisterTsc, tsc_offset, TSC),
#undef R
};

static const struct vmcb_register *find(enum hv_register_name name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vmcb_registers); i++)
		if (vmcb_registers[i].name == name)
			return &vmcb_registers[i];
	return NULL;
}

// Attributes: the VMCB packs bits 55:52 and 47:40 of a descriptor; TLFS has them as in the descriptor's upper word.
static uint16_t attributes_to_hv(uint16_t a)
{
	return (a & 0xff) | (a & 0xf00) << 4;
}

static uint16_t attributes_from_hv(uint16_t a)
{
	return (a & 0xff) | (a >> 4 & 0xf00);
}

bool svm_get_register(struct vp *vp, enum hv_register_name name, struct hv_register_value *value)
{
	const struct vmcb_register *r = find(name);
	const struct svm_segment *segment;
	const uint64_t *word;

	if (!r)
		return false;
	if (r->kind == DEBUG) {
		if (vp->loaded_on) {
			const uint64_t now[] = { read_dr0(), read_dr1(), read_dr2(), read_dr3() };

			memcpy(vp->dr, now, sizeof(now));
		}
		value->reg64 = vp->dr[r->offset];
		return true;
	}
	word = (const uint64_t *)((const char *)svm_sync(vp) + r->offset);
	segment = (const struct svm_segment *)word;
	switch (r->kind) {
	case SEGMENT:
		value->segment.base = segment->base;
		value->segment.limit = segment->limit;
		value->segment.selector = segment->selector;
		value->segment.attributes = attributes_to_hv(segment->attributes);
		break;
	case TABLE:
		value->table.base = segment->base;
		value->table.limit = segment->limit;
		break;
	case EFER:
		value->reg64 = *word & ~EFER_SVME;
		break;
	case TSC:
		value->reg64 = tsc_read() + *word;
		break;
	default:
		value->reg64 = *word;
	}
	return true;
}

static void set_segment(struct vmcb *vmcb, struct svm_segment *segment, const struct hv_register_value *value)
{
	segment->base = value->segment.base;
	segment->limit = value->segment.limit;
	segment->selector = value->segment.selector;
	segment->attributes = attributes_from_hv(value->segment.attributes);
	if (segment == &vmcb->ss)
		vmcb->cpl = segment->attributes >> 5 & 3;
}

static void set_debug(struct vp *vp, unsigned int number, uint64_t value)
{
	static void (*const write[])(uint64_t) = { write_dr0, write_dr1, write_dr2, write_dr3 };

	vp->dr[number] = value;
	if (vp->loaded_on)
		write[number](value);
}

// What VMRUN would refuse as a whole (APM2 15.5.1) is refused here, register by register.
static bool acceptable(const struct vmcb_register *r, uint64_t value)
{
	switch (r->kind) {
	case CR0:
		return !(value >> 32) && !(value & CR0_NW && !(value & CR0_CD)) &&
			!(value & CR0_PG && !(value & CR0_PE));
	case CR4:
		return !(value & ~(uint64_t)0xf71fff);
	case EFER:
		return !(value & ~(uint64_t)0xef01) && !(value & EFER_SVME);
	default:
		return true;
	}
}

bool svm_set_register(struct vp *vp, enum hv_register_name name, const struct hv_register_value *value)
{
	const struct vmcb_register *r = find(name);
	struct vmcb *vmcb;
	struct svm_segment *segment;
	uint64_t *word;

	if (!r)
		return false;
	if (r->kind == DEBUG) {
		set_debug(vp, r->offset, value->reg64);
		return true;
	}
	vmcb = svm_sync(vp);
	word = (uint64_t *)((char *)vmcb + r->offset);
	segment = (struct svm_segment *)word;
	switch (r->kind) {
	case SEGMENT:
		set_segment(vmcb, segment, value);
		break;
	case TABLE:
		segment->base = value->table.base;
		segment->limit = value->table.limit;
		break;
	case TSC:
		*word = value->reg64 - tsc_read();
		break;
	default:
		if (!acceptable(r, value->reg64))
			return false;
		*word = value->reg64 | (r->kind == EFER ? EFER_SVME : 0);
		if (r->kind != PLAIN)
			backend->flush_tlb(vp);
	}
	svm_sync_back(vp);
	return true;
}
