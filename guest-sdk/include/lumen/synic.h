// SPDX-License-Identifier: BSD-2-Clause
// The synthetic interrupt controller of a VP: messages and event flags (TLFS: Inter-Partition
// Communication). Each VP has its own struct, which belongs to the kernel and lives as long as the
// VP uses it; all calls on it are made on that VP.
#ifndef LUMEN_SYNIC_H
#define LUMEN_SYNIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/synic.h"
#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

// Takes a message that has come for a SINT: a private copy. In the context of lumen_sint_handle().
typedef void lumen_message_handler(void *context, const struct hv_message *message);

// Takes an event flag (0 to 2047) that was set at a SINT, and is cleared now. The same context.
typedef void lumen_event_handler(void *context, uint32_t flag);

// The vector of polled SINTs where the hypervisor does not offer HV_FEATURE_EDX_SINT_POLLING (KVM):
// an interrupt is then pending after each message. It does not matter to kernels that have
// interrupts off; others give it a handler that calls lumen_eoi() and nothing else.
#define LUMEN_SINT_QUIET_VECTOR 0x1f

// What a SINT does. The kernel gives the vector an interrupt handler that calls
// lumen_sint_handle(), and, without auto_eoi, lumen_eoi() of <lumen/apic.h>.
struct lumen_sint {
	uint8_t vector;			// 16 to 255; 0: none, the kernel calls lumen_synic_poll()
	bool auto_eoi;			// ignored where the hypervisor deprecates it
	lumen_message_handler *message; // may be NULL: messages are taken and dropped
	lumen_event_handler *event;	// may be NULL: flags are cleared and forgotten
	void *context;			// for both
};

// The contents are the SDK's. Zeroed before lumen_synic_start().
struct lumen_synic {
	struct hv_message_page *messages;	  // SIM page
	struct hv_synic_event_flags_page *events; // SIEF page
	const struct lumen_sint *sints[HV_SYNIC_SINT_COUNT];
	uint32_t in_use; // a bit for each SINT
};

// Gives this VP its SIM and SIEF pages and enables its SynIC. Allocates two pages. Thread context.
// LUMEN_NO_HYPERVISOR, LUMEN_NO_PRIVILEGE (AccessSynicRegs), LUMEN_NO_MEMORY, LUMEN_BAD_STATE
// (started already).
lumen_status lumen_synic_start(struct lumen_synic *synic);

// Masks all SINTs, takes the pages away and frees them. Thread context.
void lumen_synic_stop(struct lumen_synic *synic);

// Sets up SINT number `sint` (0 to 15). *config stays the caller's and lives until
// lumen_sint_disable(). Thread context, or interrupts off. LUMEN_BAD_ARGUMENT (vector, number, or
// the SINT is in use), LUMEN_BAD_STATE (not started).
lumen_status lumen_sint_enable(
	struct lumen_synic *synic, unsigned int sint, const struct lumen_sint *config);

// Masks it and forgets what is there. The same context.
void lumen_sint_disable(struct lumen_synic *synic, unsigned int sint);

// Takes all messages and event flags that are there for a SINT and calls its handlers; ends each
// message (TLFS: EOM). From its interrupt handler, or with interrupts off. Returns whether there
// was anything.
bool lumen_sint_handle(struct lumen_synic *synic, unsigned int sint);

// The same for all SINTs that are in use. For kernels that take no interrupts: the default
// lumen_wait() calls lumen_synic_poll_this(), which finds the struct of this VP. Any context but a
// handler of a SINT.
bool lumen_synic_poll(struct lumen_synic *synic);

// Whether a message waits for a SINT that nobody has taken yet. Any context, of any VP's.
bool lumen_sint_waits(const struct lumen_synic *synic, unsigned int sint);

// lumen_synic_poll() for the struct that was last started on VP 0 (kernels that poll have one
// processor). False: there is none.
bool lumen_synic_poll_this(void);

LUMEN_DECLS_END

#endif
