// SPDX-License-Identifier: BSD-2-Clause
// Setting the SynIC up (TLFS: SynIC MSRs, SINTx Registers).
#include "lumen/synic.h"

#include "guest-sdk/arch.h"
#include "guest-sdk/page_register.h"
#include "guest-sdk/synic_vp0.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

static void set_control(uint64_t enable)
{
	uint64_t rsvd = arch_rdmsr(HV_X64_MSR_SCONTROL) & ~HV_SYNIC_CONTROL_ENABLE;

	arch_wrmsr(HV_X64_MSR_SCONTROL, rsvd | enable);
}

lumen_status lumen_synic_start(struct lumen_synic *synic)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_SYNIC_REGS))
		return LUMEN_NO_PRIVILEGE;
	if (synic->messages)
		return LUMEN_BAD_STATE;
	synic->messages = lumen_alloc_pages(1);
	if (!synic->messages)
		return LUMEN_NO_MEMORY;
	synic->events = lumen_alloc_pages(1);
	if (!synic->events) {
		lumen_free_pages(synic->messages, 1);
		synic->messages = NULL;
		return LUMEN_NO_MEMORY;
	}
	page_register_enable(HV_X64_MSR_SIMP, synic->messages);
	page_register_enable(HV_X64_MSR_SIEFP, synic->events);
	set_control(HV_SYNIC_CONTROL_ENABLE);
	if (lumen_this_vp() == 0)
		lumen_synic_vp0 = synic;
	return LUMEN_OK;
}

void lumen_synic_stop(struct lumen_synic *synic)
{
	if (!synic->messages)
		return;
	if (lumen_synic_vp0 == synic)
		lumen_synic_vp0 = NULL;
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		lumen_sint_disable(synic, sint);
	set_control(0);
	page_register_disable(HV_X64_MSR_SIMP);
	page_register_disable(HV_X64_MSR_SIEFP);
	lumen_free_pages(synic->messages, 1);
	lumen_free_pages(synic->events, 1);
	synic->messages = NULL;
	synic->events = NULL;
}

static uint64_t sint_value(const struct lumen_sint *config)
{
	uint64_t value = config->vector;

	if (!config->vector)
		return lumen_has_features(HV_FEATURE_EDX_SINT_POLLING)
			       ? LUMEN_SINT_QUIET_VECTOR | HV_SYNIC_SINT_POLLING
			       : LUMEN_SINT_QUIET_VECTOR;
	if (config->auto_eoi && !lumen_is_advised(HV_HINT_DEPRECATE_AUTO_EOI))
		value |= HV_SYNIC_SINT_AUTO_EOI;
	return value;
}

lumen_status lumen_sint_enable(
	struct lumen_synic *synic, unsigned int sint, const struct lumen_sint *config)
{
	uint64_t state;

	if (sint >= HV_SYNIC_SINT_COUNT || synic->sints[sint] ||
		(config->vector && config->vector < HV_SYNIC_SINT_VECTOR_MIN))
		return LUMEN_BAD_ARGUMENT;
	if (!synic->messages)
		return LUMEN_BAD_STATE;
	state = lumen_irq_save();
	synic->sints[sint] = config;
	synic->in_use |= 1u << sint;
	arch_wrmsr(HV_X64_MSR_SINTn(sint), sint_value(config));
	lumen_irq_restore(state);
	return LUMEN_OK;
}

void lumen_sint_disable(struct lumen_synic *synic, unsigned int sint)
{
	uint64_t state;

	if (sint >= HV_SYNIC_SINT_COUNT || !synic->sints[sint])
		return;
	state = lumen_irq_save();
	arch_wrmsr(HV_X64_MSR_SINTn(sint), HV_SYNIC_SINT_MASKED);
	synic->in_use &= ~(1u << sint);
	synic->sints[sint] = NULL;
	__builtin_memset(&synic->messages->sint_message[sint], 0, HV_MESSAGE_SIZE);
	__builtin_memset(&synic->events->sint_event_flags[sint], 0, HV_EVENT_FLAGS_BYTE_COUNT);
	lumen_irq_restore(state);
}
