// SPDX-License-Identifier: BSD-2-Clause
#include "hypervisor/core/explain.h"
#include "hypercall/call.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"

static const struct {
	hv_status status;
	const char *text;
} rejections[] = {
#define ROW(name, status, applies, text) [HvRejection##name] = { HV_STATUS_##status, text },
	HV_REJECTION_TABLE(ROW)
#undef ROW
};

static const struct {
	uint16_t code;
	uint64_t privilege;
	const char *name;
} calls[] = {
#define ROW(code, name, type, kind, in_element, out_element, fast, variable, privilege, ...)       \
	{ code, privilege, #name },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

static const struct {
	uint16_t code;
	hv_status status;
	const char *text;
} advice[] = {
#define ROW(call, status, text) { HvCall##call, HV_STATUS_##status, text },
	HV_CALL_ADVICE_TABLE(ROW)
#undef ROW
};

static const struct {
	uint64_t privilege;
	const char *name;
} privileges[] = {
#define ROW(privilege, name) { HV_PRIVILEGE_##privilege, " " #name },
	HV_PRIVILEGE_TABLE(ROW)
#undef ROW
};

static const struct {
	uint32_t first, last;
	uint64_t privilege;
	const char *text;
} msrs[] = {
#define ROW(first, last, privilege, text)                                                          \
	{ HV_X64_MSR_##first, HV_X64_MSR_##last, HV_PRIVILEGE_##privilege, text },
	HV_MSR_TABLE(ROW)
#undef ROW
};

// With a blank before it: the last one of those in MASK, the others being a parent's.
static const char *privilege_name(uint64_t mask)
{
	const char *name = "";

	for (unsigned int i = 0; i < ARRAY_SIZE(privileges); i++)
		if (mask & privileges[i].privilege)
			name = privileges[i].name;
	return name;
}

static const char *colon(const char *text)
{
	return *text ? ": " : "";
}

static void explain_call(const struct vp *vp, uint64_t control, hv_status status, const char *text,
	bool name_privilege)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].code == hv_call_code(control))
			log_limited("partition %lu VP %u: HvCall%s: status %x%s%s%s",
				vp->partition->id, vp->index, calls[i].name, status, colon(text),
				text, privilege_name(name_privilege ? calls[i].privilege : 0));
}

hv_status explain_rejection(const struct vp *vp, uint64_t control, enum hv_rejection why)
{
	explain_call(vp, control, rejections[why].status, rejections[why].text,
		why == HvRejectionNoPrivilege);
	return rejections[why].status;
}

void explain_status(const struct vp *vp, uint64_t control, hv_status status)
{
	const char *text = "";

	switch (status) {
	case HV_STATUS_SUCCESS:
	case HV_STATUS_INSUFFICIENT_MEMORY: // deposit, and again
	case HV_STATUS_INSUFFICIENT_BUFFERS:
	case HV_STATUS_NO_RESOURCES: // the end of a list
		return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(advice); i++)
		if (advice[i].code == hv_call_code(control) && advice[i].status == status)
			text = advice[i].text;
	explain_call(vp, control, status, text, false);
}

void explain_msr(const struct vp *vp, uint32_t msr, const char *what)
{
	const char *text = "";
	uint64_t missing = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (msr < msrs[i].first || msr > msrs[i].last)
			continue;
		missing = msrs[i].privilege & ~vp->partition->privileges;
		text = missing ? rejections[HvRejectionNoPrivilege].text : msrs[i].text;
	}
	log_limited("partition %lu VP %u: %s of MSR %x at %lx%s%s%s", vp->partition->id, vp->index,
		what, msr, vp->regs.rip, colon(text), text, privilege_name(missing));
}
