// SPDX-License-Identifier: BSD-2-Clause
// All that a virtual processor is, once: struct vp is made of these rows, and so are its reset, its
// registers by TLFS name and its saved form. A feature that adds state adds a row, or does not
// compile.
//
// A register by name is R(first, count, get, set, arg), a row of vp_registers.c, where its
// functions are.
#pragma once

// clang-format off
// (It takes several R's for one expression.)

// --- struct vp_regs: what is exchanged at every entry. X(type, name, array, reset value, R...) ---

#define VP_REGS(X)                                                                                 \
	/* in the processor's encoding order */                                                    \
	X(uint64_t, gpr, [16], 0,                                                                  \
		R(HvX64RegisterRax, 16, get_field, set_field, FIELD(regs.gpr[0])))                 \
	X(uint64_t, rip, , 0xfff0, R(HvX64RegisterRip, 1, get_field, set_rip, FIELD(regs.rip)))    \
	/* bit 1 is always set */                                                                  \
	X(uint64_t, rflags, , 2,                                                                   \
		R(HvX64RegisterRflags, 1, get_field, set_rflags, FIELD(regs.rflags)))              \
	/* an STI or MOV to SS came last: no interrupt before the instruction at RIP is done */    \
	X(bool, interrupt_shadow, , 0, )

// --- fields of struct vp. X(type, name, array, reset, reset value, R...) ---
// Reset: INIT (and power-on), POWER (not INIT: APM2 14.1.3), OWNER (a function, see vp_reset()),
// KEPT (set when the VP is made; what is under way goes on). All of it, but for VP_REGS, is the
// paused VP's or its processor's, unless it says "atomic".

#define VP_STATE(X)                                                                                \
	X(struct vp_regs, regs, , OWNER, 0, )                                                      \
	X(uint32_t, requests, , KEPT, 0, ) /* atomic, enum vp_request */                           \
	X(uint32_t, sipi_vector, , KEPT, 0, ) /* atomic */                                         \
	/* total time run, in ticks */                                                             \
	X(uint64_t, runtime_tsc, , KEPT, 0,                                                        \
		R(HvRegisterVpRuntime, 1, get_msr, NULL, HV_X64_MSR_VP_RUNTIME))                   \
	X(enum vp_activity, activity, , OWNER, 0,                                                  \
		R(HvRegisterInternalActivityState, 1, get_activity, set_activity, 0))              \
	X(bool, explicit_suspend, , KEPT, 0,                                                       \
		R(HvRegisterExplicitSuspend, 1, get_field, set_suspend, FIELD(explicit_suspend)))  \
	X(bool, intercept_suspend, , KEPT, 0,                                                      \
		R(HvRegisterInterceptSuspend, 1, get_field, set_suspend,                           \
			FIELD(intercept_suspend)))                                                 \
	/* what the next entry delivers */                                                         \
	X(struct event, event, , INIT, 0, )                                                        \
	X(bool, nmi_waits, , INIT, 0, ) /* for the end of another one, or an exception goes first */ \
	X(uint64_t, xcr0, , POWER, 1, R(HvX64RegisterXfem, 1, get_xfem, set_xfem, 0))              \
	X(uint64_t, tsc_aux, , POWER, 0, R(HvX64RegisterTscAux, 1, get_msr, set_msr, MSR_TSC_AUX)) \
	X(uint64_t, tsc_adjust, , POWER, 0, R(HvX64RegisterTsc, 1, get_msr, set_msr, MSR_TSC))     \
	X(uint64_t, spec_ctrl, , POWER, 0,                                                         \
		R(HvX64RegisterSpecCtrl, 1, get_spec_ctrl, set_spec_ctrl, FIELD(spec_ctrl)))       \
	X(uint64_t, virt_spec_ctrl, , POWER, 0,                                                    \
		R(HvX64RegisterVirtSpecCtrl, 1, get_spec_ctrl, set_virt_spec_ctrl,                 \
			FIELD(virt_spec_ctrl)))                                                    \
	X(uint64_t, dr, [4], INIT, 0, ) /* by name: the backend, which has them while loaded */    \
	X(uint64_t, apic_base, , OWNER, 0,                                                         \
		R(HvX64RegisterApicBase, 1, get_msr, set_msr, MSR_APIC_BASE))                      \
	X(struct vapic, apic, , OWNER, 0,                                                          \
		R(HvX64RegisterCr8, 1, get_cr8, set_cr8, 0)                                        \
		R(HvX64RegisterTscDeadline, 1, get_msr, set_msr, MSR_TSC_DEADLINE)                 \
		R(HvX64RegisterApicId, 0x3e, get_msr, set_msr, MSRS(MSR_X2APIC_FIRST + 2, 1))      \
		R(HvX64RegisterInitialApicId, 1, get_field, NULL, FIELD(apic.id)))                 \
	/* the VP assist page; its content is among VP_PAGES */                                    \
	X(uint64_t, assist_msr, , POWER, 0,                                                        \
		R(HvRegisterVpAssistPage, 1, get_msr, set_msr, HV_X64_MSR_VP_ASSIST_PAGE))         \
	/* EOIs of level-triggered interrupts that still wait for a message to the parent */       \
	X(uint64_t, eoi_vectors, [4], KEPT, 0, )                                                   \
	/* what the guest has written there; the guest itself reads what is supported */           \
	X(struct hv_crash, crash, , POWER, 0,                                                      \
		R(HvRegisterGuestCrashP0, 5, get_field, set_field, FIELD(crash.p[0]))              \
		R(HvRegisterGuestCrashCtl, 1, get_field, set_field, FIELD(crash.ctl)))

// --- state in the registers of the SynIC (struct synic), which are saved by name ---

#define VP_SYNIC_STATE(X)                                                                          \
	X(HvRegisterSint0, HV_SYNIC_SINT_COUNT, MSRS(HV_X64_MSR_SINT0, 1))                         \
	X(HvRegisterScontrol, 1, HV_X64_MSR_SCONTROL)                                              \
	X(HvRegisterSifp, 2, MSRS(HV_X64_MSR_SIEFP, 1))                                            \
	X(HvRegisterStimer0Config, 2 * HV_SYNIC_STIMER_COUNT, MSRS(HV_X64_MSR_STIMER0_CONFIG, 1))

// --- pages that hold state. X(where struct vp notes it, R...) ---

#define VP_PAGES(X)                                                                                \
	X(xsave,                                                                                   \
		R(HvX64RegisterXmm0, 16, get_extended, set_extended,                               \
			EXTENDED(AREA_XMM, STATE_SSE))                                             \
		R(HvX64RegisterFpMmx0, 8, get_extended, set_extended,                              \
			EXTENDED(AREA_ST, STATE_X87))                                              \
		R(HvX64RegisterFpControlStatus, 1, get_extended, set_extended,                     \
			EXTENDED(0, STATE_X87))                                                    \
		R(HvX64RegisterXmmControlStatus, 1, get_extended, set_extended,                    \
			EXTENDED(16, STATE_X87)))                                                  \
	X(synic.sim_page, )                                                                        \
	X(synic.sief_page, )                                                                       \
	X(assist_page, )

// --- registers that the backend keeps. X(name, its own name for it, kind, value after INIT) ---

#define SEGMENT_16(selector_, base_, attributes_)                                                  \
	.segment = { .selector = (selector_), .base = (base_), .limit = 0xffff,                    \
		.attributes = (attributes_) }

#define VP_BACKEND_STATE(X)                                                                        \
	X(Es, es, SEGMENT, SEGMENT_16(0, 0, 0x93))                                                 \
	X(Cs, cs, SEGMENT, SEGMENT_16(0xf000, 0xffff0000, 0x9b))                                   \
	X(Ss, ss, SEGMENT, SEGMENT_16(0, 0, 0x93))                                                 \
	X(Ds, ds, SEGMENT, SEGMENT_16(0, 0, 0x93))                                                 \
	X(Fs, fs, SEGMENT, SEGMENT_16(0, 0, 0x93))                                                 \
	X(Gs, gs, SEGMENT, SEGMENT_16(0, 0, 0x93))                                                 \
	X(Ldtr, ldtr, SEGMENT, SEGMENT_16(0, 0, 0x82))                                             \
	X(Tr, tr, SEGMENT, SEGMENT_16(0, 0, 0x8b))                                                 \
	X(Idtr, idtr, TABLE, .table = { .limit = 0xffff })                                         \
	X(Gdtr, gdtr, TABLE, .table = { .limit = 0xffff })                                         \
	X(Efer, efer, EFER, .reg64 = 0)                                                            \
	X(Cr0, cr0, CR0, .reg64 = CR0_ET | CR0_NW | CR0_CD)                                        \
	X(Cr2, cr2, PLAIN, .reg64 = 0)                                                             \
	X(Cr3, cr3, CR3, .reg64 = 0)                                                               \
	X(Cr4, cr4, CR4, .reg64 = 0)                                                               \
	X(Dr6, dr6, PLAIN, .reg64 = 0xffff0ff0)                                                    \
	X(Dr7, dr7, PLAIN, .reg64 = 0x400)                                                         \
	X(Pat, pat, PAT, .reg64 = 0x0007040600070406)                                              \
	X(KernelGsBase, kernel_gs_base, PLAIN, .reg64 = 0)                                         \
	X(SysenterCs, sysenter_cs, PLAIN, .reg64 = 0)                                              \
	X(SysenterEip, sysenter_eip, PLAIN, .reg64 = 0)                                            \
	X(SysenterEsp, sysenter_esp, PLAIN, .reg64 = 0)                                            \
	X(Star, star, PLAIN, .reg64 = 0)                                                           \
	X(Lstar, lstar, PLAIN, .reg64 = 0)                                                         \
	X(Cstar, cstar, PLAIN, .reg64 = 0)                                                         \
	X(Sfmask, sfmask, PLAIN, .reg64 = 0)

// --- the rest of struct vp: what it is to the hypervisor, and nothing that a guest could miss. ---
// X(type, name, array)

#define VP_REST(X)                                                                                 \
	X(struct partition *, partition, )                                                         \
	X(uint32_t, index, )                                                                       \
	/* scheduling (core/sched.c); guarded by the run queue lock of vp->cpu */                  \
	X(struct pcpu *, cpu, )                                                                    \
	X(struct pcpu *, loaded_on, ) /* whose registers hold its state; NULL: it is in memory */  \
	X(bool, pinned, ) /* the root's VPs stay on their processor */                             \
	X(enum vp_run_state, run_state, )                                                          \
	X(struct fair, fair, ) /* its place among its partition's, or in run_queue.capped */       \
	X(uint64_t, due, ) /* TSC; before that its cap does not allow more (run_queue.c) */        \
	/* what others may set at any time */                                                      \
	X(uint32_t, expired_timers, ) /* atomic, bit per timer: STIMER 0-3, APIC timer */          \
	X(uint32_t, pause_count, ) /* atomic; > 0: must not run */                                 \
	X(bool, examined, ) /* atomic; somebody else's hypercall has it paused and in hand */      \
	X(claim_t, parents_claim, ) /* to examine it, before its own partition */                  \
	/* decided for the next entry */                                                           \
	X(int, offered_vector, ) /* what the backend was last asked to deliver, -1 = none */       \
	X(bool, recheck, ) /* that may not hold any more (interrupts, suspension, activity) */     \
	X(bool, eoi_pending, ) /* eoi_vectors: intercept_flush_eoi() before entry */               \
	/* its parts, and the pages that hold their state */                                       \
	X(void *, arch, ) /* the backend's */                                                      \
	X(void *, arch_pages, [VP_ARCH_PAGES_MAX]) /* what backend->vp_init() got */               \
	X(void *, xsave, )                                                                         \
	X(struct synic, synic, )                                                                   \
	X(struct timer, timers, [VP_TIMERS])                                                       \
	X(void *, assist_page, )                                                                   \
	X(struct overlay, assist_overlay, )                                                        \
	/* its intercept message, and EOIs: on the parent's queue while in flight */               \
	X(struct message, intercept, )                                                             \
	X(struct message, eoi, [VP_EOI_MESSAGES])                                                  \
	/* guards taking a message from synic.direct; before synic.lock */                         \
	X(struct spinlock, direct_lock, )                                                          \
	/* counters by TLFS index, one page, readable by the parent (HvCallMapStatsPage2) */       \
	X(uint64_t *, stats, )                                                                     \
	X(struct overlay, stats_overlay, [2]) /* in the parent's map, by area type */
