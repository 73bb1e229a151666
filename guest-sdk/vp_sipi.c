// SPDX-License-Identifier: BSD-2-Clause
// Starting processors as on a PC (SDM 3: MP Initialization).
#include "guest-sdk/arch.h"
#include "lumen/apic.h"
#include "lumen/platform.h"
#include "lumen/vp.h"

#define ICR_INIT     0x4500u // edge, assert
#define ICR_STARTUP  0x4600u
#define ICR_ID_SHIFT 32

#define AFTER_INIT_NS 10000000u
#define AFTER_SIPI_NS 200000u

static void wait(uint64_t ns)
{
	uint64_t until = lumen_deadline_ns(ns);

	while (!lumen_is_due(until))
		arch_pause();
}

// On this processor from the first to the last, as the caller may be moved.
static void send(uint32_t apic_id, uint32_t command)
{
	uint64_t state = lumen_irq_save();

	lumen_icr_write((uint64_t)apic_id << ICR_ID_SHIFT | command);
	lumen_irq_restore(state);
}

lumen_status lumen_vp_start_sipi(uint32_t apic_id, uint8_t start_page)
{
	if (!start_page)
		return LUMEN_BAD_ARGUMENT;
	if (!lumen_now_ns()) // there is no clock to wait by
		return LUMEN_BAD_STATE;
	send(apic_id, ICR_INIT);
	wait(AFTER_INIT_NS);
	for (int i = 0; i < 2; i++) {
		send(apic_id, ICR_STARTUP | start_page);
		wait(AFTER_SIPI_NS);
	}
	return LUMEN_OK;
}
