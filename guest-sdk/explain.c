// SPDX-License-Identifier: BSD-2-Clause
// lumen_explain(): from a status and what was tried to a sentence. The texts are those of
// hypercall/explain.h and the status tables; what depends on this machine is looked up by CPUID and
// in MSRs that the partition may read.
#include "lumen/status.h"

#include "base/macros.h"
#include "guest-sdk/arch.h"
#include "guest-sdk/texts.h"
#include "hypercall/explain.h"
#include "lumen/detect.h"

#define CALL_CODE_LAST 0xffffu // what is above is an MSR

#define COUNT(array) (ARRAY_SIZE(array))

// --- what statuses mean ---

#define TEXT(name, number, text) text "\0"

static const char status_texts[] = HV_STATUS_TABLE(TEXT) LUMEN_STATUS_TABLE(TEXT);

static const char *text_of_status(lumen_status status)
{
	size_t index = lumen_status_index(status);

	return index == STATUS_UNKNOWN ? "a status that is not known here"
				       : text_at(status_texts, index);
}

// --- hypercalls ---

struct call {
	uint64_t privilege;
	uint16_t code;
	bool rep, fast, variable, in, out;
};

static const struct call calls[] = {
#define CALL(number, name, type, kind, in_element, out_element, fast_, variable_, privilege_, ...) \
	{ .privilege = (privilege_),                                                               \
		.code = number,                                                                    \
		.rep = HV_CALL_IS_REP(kind),                                                       \
		.fast = fast_,                                                                     \
		.variable = variable_,                                                             \
		.in = HV_CALL_IN(kind, type) + (in_element) > 0,                                   \
		.out = HV_CALL_OUT(kind, type) + (out_element) > 0 },
	HV_HYPERCALL_TABLE(CALL)
#undef CALL
};

static const char call_names[] =
#define CALL_NAME(code, name, ...) "HvCall" #name "\0"
	HV_HYPERCALL_TABLE(CALL_NAME)
#undef CALL_NAME
	;

static const struct call *find_call(uint32_t code)
{
	for (size_t i = 0; i < COUNT(calls); i++) {
		if (calls[i].code == code)
			return &calls[i];
	}
	return NULL;
}

static const uint16_t rejection_statuses[] = {
#define REJECTION_STATUS(name, status, applies, text) HV_STATUS_##status,
	HV_REJECTION_TABLE(REJECTION_STATUS)
#undef REJECTION_STATUS
};

static const char rejection_texts[] =
#define REJECTION_TEXT(name, status, applies, text) text "\0"
	HV_REJECTION_TABLE(REJECTION_TEXT)
#undef REJECTION_TEXT
	;

// A bit for each enum hv_rejection that can be meant.
static uint32_t rejections_of(const struct call *call)
{
	bool rep = call->rep, fast = call->fast, variable = call->variable;
	bool in = call->in, out = call->out;

	return 0
#define APPLIES(name, status, applies, text) | (uint32_t)(applies) << HvRejection##name
		HV_REJECTION_TABLE(APPLIES)
#undef APPLIES
			;
}

static const struct {
	uint16_t code, status;
} advice[] = {
#define ADVICE(name, status, text) { HvCall##name, HV_STATUS_##status },
	HV_CALL_ADVICE_TABLE(ADVICE)
#undef ADVICE
};

static const char advice_texts[] =
#define ADVICE_TEXT(name, status, text) text "\0"
	HV_CALL_ADVICE_TABLE(ADVICE_TEXT)
#undef ADVICE_TEXT
	;

// --- MSRs ---

static const struct msr {
	uint32_t first, last;
	uint64_t privilege;
} msrs[] = {
#define MSR(first, last, privilege, text)                                                          \
	{ HV_X64_MSR_##first, HV_X64_MSR_##last, HV_PRIVILEGE_##privilege },
	HV_MSR_TABLE(MSR)
#undef MSR
};

static const char msr_texts[] =
#define MSR_TEXT(first, last, privilege, text) text "\0"
	HV_MSR_TABLE(MSR_TEXT)
#undef MSR_TEXT
	;

// --- privileges ---

static const uint8_t privilege_bits[] = {
#define PRIVILEGE_BIT(name, Name) (uint8_t) __builtin_ctzll(HV_PRIVILEGE_##name),
	HV_PRIVILEGE_TABLE(PRIVILEGE_BIT)
#undef PRIVILEGE_BIT
};

static const char privilege_names[] =
#define PRIVILEGE_NAME(name, Name) #Name "\0"
	HV_PRIVILEGE_TABLE(PRIVILEGE_NAME)
#undef PRIVILEGE_NAME
	;

// --- what has to be enabled before ---

static const struct {
	uint32_t first, last; // what was tried
	uint32_t msr;	      // bit 0 of it enables
	uint64_t privilege;   // to read it
} enables[] = {
	{ 0, CALL_CODE_LAST, HV_X64_MSR_HYPERCALL, HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS },
	{ HV_X64_MSR_SINT0, HV_X64_MSR_STIMER3_COUNT, HV_X64_MSR_SCONTROL,
		HV_PRIVILEGE_ACCESS_SYNIC_REGS },
	{ HV_X64_MSR_SINT0, HV_X64_MSR_STIMER3_COUNT, HV_X64_MSR_SIMP,
		HV_PRIVILEGE_ACCESS_SYNIC_REGS },
	{ HV_X64_MSR_SINT0, HV_X64_MSR_SINT15, HV_X64_MSR_SIEFP, HV_PRIVILEGE_ACCESS_SYNIC_REGS },
};

static const char enable_texts[] =
	"the hypercall page is not enabled: lumen_hypercall_enable() comes first\0"
	"the SynIC of this VP is not enabled: lumen_synic_start() comes first\0"
	"the SIM page of this VP is not enabled: lumen_synic_start() comes first\0"
	"the SIEF page of this VP is not enabled: lumen_synic_start() comes first\0";

// --- putting it together ---

struct sink {
	char *at;
	size_t room; // the 0 byte at the end not counted
};

static void put(struct sink *sink, const char *text)
{
	for (; *text && sink->room; sink->room--)
		*sink->at++ = *text++;
}

static void put_number(struct sink *sink, uint32_t number, uint32_t base)
{
	char digits[12], *at = digits + sizeof(digits);

	*--at = 0;
	do {
		*--at = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	put(sink, base == 16 ? "0x" : "");
	put(sink, at);
}

// One more part of the sentence.
static void put_part(struct sink *sink, const char *text)
{
	put(sink, "; ");
	put(sink, text);
}

// "PostMessages (CPUID 0x40000003 EBX bit 4)".
static void put_privileges(struct sink *sink, uint64_t privileges)
{
	const char *separator = "";

	for (size_t i = 0; i < COUNT(privilege_bits); i++) {
		uint32_t bit = privilege_bits[i];

		if (!(privileges >> bit & 1))
			continue;
		put(sink, separator);
		put(sink, text_at(privilege_names, i));
		put(sink, bit < 32 ? " (CPUID 0x40000003 EAX bit " : " (CPUID 0x40000003 EBX bit ");
		put_number(sink, bit % 32, 10);
		put(sink, ")");
		separator = " or ";
	}
}

// Does the partition have one of these? Says so if not; if it has, and was refused all the same,
// that too.
static bool put_privilege(struct sink *sink, uint64_t need, bool refused)
{
	uint64_t have = 0;

	for (uint32_t bit = 0; bit < 64; bit++)
		have |= lumen_has(1ull << bit) ? 1ull << bit : 0;
	if (!hv_privilege_suffices(have, need)) {
		put_part(sink, "this partition lacks ");
		put_privileges(sink, need);
		return false;
	}
	if (refused && need) {
		put_part(sink, "it has ");
		put_privileges(sink, need & have);
		put(sink, ", so the object is not the caller's to use");
	}
	return true;
}

static void put_enables(struct sink *sink, uint32_t context)
{
	for (size_t i = 0; i < COUNT(enables); i++) {
		if (context >= enables[i].first && context <= enables[i].last &&
			lumen_has(enables[i].privilege) && !(arch_rdmsr(enables[i].msr) & 1))
			put_part(sink, text_at(enable_texts, i));
	}
}

static void explain_call(struct sink *sink, const struct call *call, lumen_status status)
{
	uint32_t rejections = rejections_of(call);
	bool refused = status == HV_STATUS_ACCESS_DENIED || status == LUMEN_NO_PRIVILEGE;
	bool may = put_privilege(sink, call->privilege, refused);

	for (size_t i = 0; i < COUNT(advice); i++) {
		if (advice[i].code == call->code && advice[i].status == status)
			put_part(sink, text_at(advice_texts, i));
	}
	for (size_t i = 0; may && !refused && i < COUNT(rejection_statuses); i++) {
		if (rejection_statuses[i] == status && rejections >> i & 1)
			put_part(sink, text_at(rejection_texts, i));
	}
}

static void explain_msr(struct sink *sink, uint32_t number)
{
	for (size_t i = 0; i < COUNT(msrs); i++) {
		if (number < msrs[i].first || number > msrs[i].last)
			continue;
		if (put_privilege(sink, msrs[i].privilege, false))
			put_part(sink, text_at(msr_texts, i));
		return;
	}
	put_part(sink, "there is no such register");
}

static void put_context(struct sink *sink, uint32_t context, const struct call *call)
{
	if (call) {
		put(sink, text_at(call_names, (size_t)(call - calls)));
	} else {
		put(sink, context <= CALL_CODE_LAST ? "call " : "MSR ");
		put_number(sink, context, 16);
	}
	put(sink, ": ");
}

const char *lumen_explain(lumen_status status, uint32_t context, char *text, size_t size)
{
	struct sink sink = { text, size ? size - 1 : 0 };
	const struct call *call = find_call(context);

	if (context != LUMEN_CONTEXT_NONE)
		put_context(&sink, context, call);
	put(&sink, lumen_status_name(status));
	put(&sink, ": ");
	put(&sink, text_of_status(status));
	if (status && !lumen_has(HV_PRIVILEGE_NONE)) {
		put_part(&sink, "no hypervisor with the Hyper-V interface (Hv#1) is there");
	} else if (status && context != LUMEN_CONTEXT_NONE) {
		if (call)
			explain_call(&sink, call, status);
		else if (context > CALL_CODE_LAST)
			explain_msr(&sink, context);
		put_enables(&sink, context);
	}
	if (size)
		*sink.at = 0;
	return text;
}
