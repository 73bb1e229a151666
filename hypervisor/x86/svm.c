// SPDX-License-Identifier: BSD-2-Clause
// The SVM backend (APM2 chapter 15): nested paging, virtual interrupts through V_IRQ.
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/irq.h"
#include "hypervisor/x86/memory.h"
#include "hypervisor/x86/svm.h"

// Permission maps (APM2 15.10, 15.11). Static: their addresses are physical, the image is one
// physical range.
static uint8_t msr_map[8192] __attribute__((aligned(4096)));
static uint8_t io_map_root[12288] __attribute__((aligned(4096)));
static uint8_t io_map_child[12288] __attribute__((aligned(4096)));

static uint32_t asid_count, svm_features;
enum { SVM_FEATURE_NP = 1 << 0, SVM_FEATURE_NRIPS = 1 << 3 };

struct svm_cpu { // pcpu->arch, one page; the host save area follows
	uint32_t next_asid;
	uint64_t generation;
};

static uint64_t image_spa(const void *p)
{
	return (uint64_t)p - HV_IMAGE_BASE;
}

static struct svm_vp *svm_vp(const struct vp *vp)
{
	return vp->arch;
}

// --- second-level entries: ordinary page tables (APM2 15.25.5), for user accesses ---

enum { NPT_PRESENT = 1, NPT_WRITE = 2, NPT_USER = 4, NPT_LARGE = 1 << 7 };
#define NPT_NX	 BIT(63)
#define NPT_ADDR 0x000ffffffffff000ull

static enum gpa_order npt_max_order(void)
{
	return cpuid(0x80000001, 0).edx & 1 << 26 ? GPA_1G : GPA_2M;
}

static uint64_t npt_leaf(uint64_t spa_page, unsigned int access, enum gpa_order order)
{
	return spa_page << PAGE_SHIFT | NPT_PRESENT | NPT_USER |
	       (access & GPA_WRITE ? NPT_WRITE : 0) | (access & GPA_EXECUTE ? 0 : NPT_NX) |
	       (order ? NPT_LARGE : 0);
}

static uint64_t npt_table(uint64_t spa_page)
{
	return spa_page << PAGE_SHIFT | NPT_PRESENT | NPT_WRITE | NPT_USER;
}

static bool npt_is_leaf(uint64_t entry, enum gpa_order order)
{
	return !order || entry & NPT_LARGE;
}

static uint64_t npt_page(uint64_t entry)
{
	return (entry & NPT_ADDR) >> PAGE_SHIFT;
}

static unsigned int npt_access(uint64_t entry)
{
	return GPA_READ | (entry & NPT_WRITE ? GPA_WRITE : 0) | (entry & NPT_NX ? 0 : GPA_EXECUTE);
}

// --- the machine ---

static bool svm_probe(const char **why_not)
{
	struct cpuid_result r;
	uint64_t vm_cr;

	*why_not = "this processor has no SVM (CPUID 0x80000001 ECX bit 2)";
	if (cpuid(0x80000000, 0).eax < 0x8000000a || !(cpuid(0x80000001, 0).ecx & 1 << 2))
		return false;
	*why_not = "SVM is disabled by the firmware (VM_CR.SVMDIS)";
	if (msr_rd_safe(MSR_VM_CR, &vm_cr) && vm_cr & BIT(4))
		return false;
	r = cpuid(0x8000000a, 0);
	svm_features = r.edx;
	asid_count = r.ebx;
	*why_not = "this processor has SVM without nested paging";
	return svm_features & SVM_FEATURE_NP;
}

static void init_maps(void)
{
	// What VMLOAD and VMSAVE carry needs no intercept: while the VP is loaded the processor
	// holds the guest's.
	static const uint32_t pass[] = { 0x174, 0x175, 0x176, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
		MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE };

	memset(msr_map, 0xff, sizeof(msr_map));
	memset(io_map_child, 0xff, sizeof(io_map_child));
	for (unsigned int i = 0; i < ARRAY_SIZE(pass); i++) {
		uint32_t n = pass[i] < 0x2000 ? pass[i] : 0x2000 + (pass[i] - 0xc0000000);

		msr_map[n / 4] &= ~(3 << n % 4 * 2);
	}
}

static void svm_cpu_enable(void)
{
	struct svm_cpu *cpu = this_cpu()->arch;

	if (this_cpu()->index == 0)
		init_maps();
	cpu->next_asid = 1;
	cpu->generation = 1;
	msr_wr(MSR_EFER, msr_rd(MSR_EFER) | EFER_SVME);
	msr_wr(MSR_VM_HSAVE_PA, va_to_spa(cpu) + PAGE_SIZE);
	__asm__ volatile("clgi");
}

// --- a VP ---

struct exit_row {
	uint8_t reason, length;
};

// What is intercepted, and why, for exits that an instruction causes and that need no more than
// their reason: the instruction's length where the processor does not report it.
static const struct exit_row exit_rows[] = {
	[SVM_EXIT_CR8_WRITE] = { EXIT_CR8_WRITE, 0 },
	[SVM_EXIT_INTR] = { EXIT_INTERRUPT, 0 },
	[SVM_EXIT_NMI] = { EXIT_NMI, 0 },
	[SVM_EXIT_INIT] = { EXIT_INTERRUPT, 0 },
	[SVM_EXIT_CPUID] = { EXIT_CPUID, 2 },
	[SVM_EXIT_INVD] = { EXIT_WBINVD, 2 },
	[SVM_EXIT_HLT] = { EXIT_HLT, 1 },
	[SVM_EXIT_INVLPGA] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_IO] = { EXIT_IO, 0 },
	[SVM_EXIT_MSR] = { EXIT_RDMSR, 0 },
	[SVM_EXIT_SHUTDOWN] = { EXIT_SHUTDOWN, 0 },
	[SVM_EXIT_VMRUN] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_VMMCALL] = { EXIT_HYPERCALL, 3 },
	[SVM_EXIT_VMLOAD... SVM_EXIT_SKINIT] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_MONITOR... SVM_EXIT_MWAIT_ARMED] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_XSETBV] = { EXIT_XSETBV, 3 },
};
_Static_assert(ARRAY_SIZE(exit_rows) <= SVM_EXIT_INTERCEPTS, "the first intercepts");

static void unblock_nmi(struct svm_vp *s)
{
	s->nmi_blocked = s->nmi_iret = s->nmi_step = false;
	s->vmcb->intercepts[SVM_EXIT_IRET / 32] &= ~(1u << SVM_EXIT_IRET % 32);
}

static void svm_vp_reset(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	memset(&vmcb->es, 0, sizeof(*vmcb) - offsetof(struct vmcb, es));
	vmcb->cs = (struct svm_segment){ 0xf000, 0x09b, 0xffff, 0xffff0000 };
	vmcb->ds = (struct svm_segment){ 0, 0x093, 0xffff, 0 };
	vmcb->es = vmcb->ss = vmcb->fs = vmcb->gs = vmcb->ds;
	vmcb->ldtr = (struct svm_segment){ 0, 0x082, 0xffff, 0 };
	vmcb->tr = (struct svm_segment){ 0, 0x08b, 0xffff, 0 };
	vmcb->gdtr.limit = vmcb->idtr.limit = 0xffff;
	vmcb->efer = EFER_SVME; // the processor insists; guests do not see it
	vmcb->cr0 = CR0_ET | CR0_NW | CR0_CD;
	vmcb->dr6 = 0xffff0ff0;
	vmcb->dr7 = 0x400;
	vmcb->pat = 0x0007040600070406ull;
	vmcb->event_injection = 0;
	vmcb->vintr = SVM_V_MASKING;
	vmcb->tsc_offset = vp->partition->tsc_offset + vp->tsc_adjust - tsc_start;
	svm_vp(vp)->asid_cpu = NULL;
	unblock_nmi(svm_vp(vp));
	svm_sync_back(vp);
}

static void svm_vp_init(struct vp *vp, void *const *pages)
{
	struct svm_vp *s = pages[1];
	struct vmcb *vmcb = pages[0];

	vp->arch = s;
	s->vmcb = vmcb;
	s->vmcb_spa = va_to_spa(vmcb);
	for (unsigned int code = 0; code < ARRAY_SIZE(exit_rows); code++)
		if (exit_rows[code].reason)
			vmcb->intercepts[code / 32] |= 1u << code % 32;
	// #AC and #DB could keep the processor busy for ever in their own delivery; #MC is the
	// machine's.
	vmcb->intercepts[SVM_EXIT_EXCEPTION / 32] = 1 << 1 | 1 << 17 | 1 << 18;
	vmcb->msrpm_base = image_spa(msr_map);
	vmcb->iopm_base = image_spa(vp->partition->is_root ? io_map_root : io_map_child);
	vmcb->nested_control = SVM_NESTED_PAGING;
	vmcb->nested_cr3 = va_to_spa(vp->partition->gpa.top);
	svm_vp_reset(vp);
}

void svm_sync_back(struct vp *vp)
{
	if (!vp->loaded_on)
		return;
	__asm__ volatile("vmload %0" : : "a"(svm_vp(vp)->vmcb_spa) : "memory");
	write_dr0(vp->dr[0]);
	write_dr1(vp->dr[1]);
	write_dr2(vp->dr[2]);
	write_dr3(vp->dr[3]);
}

struct vmcb *svm_sync(struct vp *vp)
{
	if (vp->loaded_on) {
		__asm__ volatile("vmsave %0" : : "a"(svm_vp(vp)->vmcb_spa) : "memory");
		vp->dr[0] = read_dr0();
		vp->dr[1] = read_dr1();
		vp->dr[2] = read_dr2();
		vp->dr[3] = read_dr3();
	}
	return svm_vp(vp)->vmcb;
}

// Extended state: all components that fit the one page that a VP has; guests are offered no others.
static void svm_load(struct vp *vp)
{
	svm_sync_back(vp);
	xcr0_write(host_xcr0);
	__asm__ volatile("xrstor64 (%0)" : : "r"(vp->xsave), "a"(-1), "d"(-1) : "memory");
	xcr0_write(vp->xcr0);
	msr_wr_safe(MSR_TSC_AUX, vp->tsc_aux);
}

static void svm_save(struct vp *vp)
{
	svm_sync(vp);
	vp->xcr0 = vp_xcr0(vp);
	xcr0_write(host_xcr0);
	__asm__ volatile("xsave64 (%0)" : : "r"(vp->xsave), "a"(-1), "d"(-1) : "memory");
}

// Gives VP an address space identifier of this processor that nothing stale is tagged with.
static void assign_asid(struct svm_vp *s, struct vmcb *vmcb, struct svm_cpu *cpu)
{
	if (likely(s->asid_cpu == cpu && s->asid_generation == cpu->generation))
		return;
	if (cpu->next_asid >= asid_count) {
		cpu->generation++;
		cpu->next_asid = 1;
	}
	if (cpu->next_asid == 1)
		vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	vmcb->asid = cpu->next_asid++;
	s->asid_cpu = cpu;
	s->asid_generation = cpu->generation;
}

static void svm_flush_tlb(struct vp *vp)
{
	svm_vp(vp)->asid_cpu = NULL;
}

// --- events ---

static void svm_offer_interrupt(struct vp *vp, int vector)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	// Priority against the TPR was decided by the virtual APIC; CR8 writes exit, so it cannot
	// change behind its back.
	vmcb->vintr = SVM_V_MASKING | vapic_get_cr8(vp);
	if (vector >= 0)
		vmcb->vintr |= SVM_V_IRQ | SVM_V_IGN_TPR | 15ull << SVM_V_PRIO_SHIFT |
			       (uint64_t)vector << SVM_V_VECTOR_SHIFT;
}

// The processor clears V_IRQ when it starts to deliver. If that was cut short by an exit, it counts
// as not taken: the request stays and is offered again.
static bool svm_interrupt_taken(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	return !(vmcb->vintr & SVM_V_IRQ) &&
	       !(vmcb->exit_int_info & SVM_EVENT_VALID &&
		       (vmcb->exit_int_info >> SVM_EVENT_TYPE_SHIFT & 7) == SVM_EVENT_INTR);
}

static void svm_inject_exception(struct vp *vp, unsigned int vector, bool has_code, uint32_t code)
{
	svm_vp(vp)->vmcb->event_injection =
		SVM_EVENT_VALID | SVM_EVENT_EXCEPTION << SVM_EVENT_TYPE_SHIFT | vector |
		(has_code ? SVM_EVENT_ERROR_CODE | (uint64_t)code << 32 : 0);
	vp->regs.interrupt_shadow = false;
}

// The VP is at the IRET from an NMI: it must come out behind it. TF of the flags that IRET loads
// does not matter to that.
static void step_over_iret(struct vp *vp)
{
	svm_vp(vp)->nmi_step = !(vp->regs.rflags & RFLAGS_TF);
	vp->regs.rflags |= RFLAGS_TF;
}

static bool svm_inject_nmi(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);
	uint64_t *event = &s->vmcb->event_injection;

	if (s->nmi_iret && vp->regs.rip != s->iret_rip)
		unblock_nmi(s);
	if (s->nmi_iret && !s->nmi_step)
		step_over_iret(vp);
	if (s->nmi_blocked || *event & SVM_EVENT_VALID)
		return false;
	*event = SVM_EVENT_VALID | SVM_EVENT_NMI << SVM_EVENT_TYPE_SHIFT | 2;
	s->nmi_blocked = true;
	s->vmcb->intercepts[SVM_EXIT_IRET / 32] |= 1u << SVM_EXIT_IRET % 32;
	return true;
}

static void exit_iret(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);

	unblock_nmi(s); // takes the intercept away
	s->nmi_blocked = s->nmi_iret = true;
	s->iret_rip = vp->regs.rip;
}

// The #DB that step_over_iret() has asked for is not the guest's.
static bool stepped_over_iret(struct vp *vp, unsigned int vector)
{
	struct svm_vp *s = svm_vp(vp);

	if (vector != 1 || !s->nmi_step)
		return false;
	unblock_nmi(s);
	s->vmcb->dr6 &= ~DR6_BS;
	return true;
}

// An exit in the middle of the delivery of an exception or NMI: deliver it again at the next entry.
// External interrupts are offered again by the virtual APIC; software interrupts, #BP and #OF
// happen again as RIP is still at their instruction.
static void redeliver(struct vmcb *vmcb)
{
	uint64_t event = vmcb->exit_int_info;
	unsigned int type = event >> SVM_EVENT_TYPE_SHIFT & 7, vector = event & 0xff;

	if (type == SVM_EVENT_NMI || (type == SVM_EVENT_EXCEPTION && vector != 3 && vector != 4))
		vmcb->event_injection = event;
}

static unsigned int svm_cpu_mode(const struct vp *vp)
{
	const struct vmcb *vmcb = svm_vp(vp)->vmcb;

	if (likely(vmcb->efer & EFER_LMA && vmcb->cs.attributes & SVM_SEGMENT_LONG))
		return vmcb->cpl | CPU_MODE_PROTECTED | CPU_MODE_64BIT;
	return vmcb->cpl | (vmcb->cr0 & CR0_PE ? CPU_MODE_PROTECTED : 0);
}

// --- exits ---

static void exit_io(const struct vmcb *vmcb, struct vp_exit *exit)
{
	uint64_t info = vmcb->exit_info1; // APM2 15.10.2

	exit->insn_length = vmcb->exit_info2 - vmcb->rip;
	exit->io.port = info >> 16;
	exit->io.in = info & 1;
	exit->io.string = info >> 2 & 1;
	exit->io.rep = info >> 3 & 1;
	exit->io.size = info >> 4 & 7;
	exit->io.address_bytes = (info >> 7 & 7) * 2;
	exit->io.segment = info >> 10 & 7;
}

static void exit_npf(const struct vmcb *vmcb, struct vp_exit *exit)
{
	exit->reason = EXIT_GPA_FAULT;
	exit->fault.gpa = vmcb->exit_info2;
	exit->fault.access = vmcb->exit_info1 & BIT(4)	 ? GPA_EXECUTE
			     : vmcb->exit_info1 & BIT(1) ? GPA_WRITE
							 : GPA_READ;
}

static void exit_exception(struct vp *vp, const struct vmcb *vmcb, struct vp_exit *exit)
{
	unsigned int vector = vmcb->exit_code - SVM_EXIT_EXCEPTION;

	exit->reason = EXIT_NONE;
	if (vector == 18)
		panic("machine check while partition %lu ran", vp->partition->id);
	if (!stepped_over_iret(vp, vector))
		svm_inject_exception(vp, vector, vector == 17, vmcb->exit_info1);
}

// Without a next RIP, an instruction is taken to have no prefixes (docs/hypervisor.md, Limits).
static inline unsigned int insn_length(const struct vmcb *vmcb, unsigned int plain)
{
	return svm_features & SVM_FEATURE_NRIPS ? vmcb->next_rip - vmcb->rip : plain;
}

static void decode_other_exit(struct vp *vp, struct vmcb *vmcb, struct vp_exit *exit)
{
	uint64_t code = vmcb->exit_code;
	unsigned int reason = code < ARRAY_SIZE(exit_rows) ? exit_rows[code].reason : EXIT_NONE;

	exit->reason = reason ? reason : EXIT_INVALID_STATE;
	exit->insn_length = 0;
	if (code >= SVM_EXIT_INTR && code <= SVM_EXIT_INIT)
		return; // not by an instruction
	if (code == SVM_EXIT_IRET) {
		exit->reason = EXIT_NONE;
		exit_iret(vp);
	} else if (code == SVM_EXIT_MSR) {
		exit->reason = vmcb->exit_info1 ? EXIT_WRMSR : EXIT_RDMSR;
		exit->insn_length = insn_length(vmcb, 2);
	} else if (code == SVM_EXIT_IO) {
		exit_io(vmcb, exit);
	} else if (code == SVM_EXIT_NPF) {
		exit_npf(vmcb, exit);
	} else if (code - SVM_EXIT_EXCEPTION < 32) {
		exit_exception(vp, vmcb, exit);
	}
}

static inline void decode_exit(struct vp *vp, struct vmcb *vmcb, struct vp_exit *exit)
{
	uint64_t code = vmcb->exit_code;
	const struct exit_row *row = &exit_rows[code];

	exit->vendor_code = code;
	if (unlikely(code >= ARRAY_SIZE(exit_rows) || !row->length)) {
		decode_other_exit(vp, vmcb, exit);
		return;
	}
	exit->reason = row->reason;
	exit->insn_length = insn_length(vmcb, row->length);
	exit->cpu_mode = svm_cpu_mode(vp);
}

// The world switch. What VMLOAD and VMSAVE hold stays the guest's while its VP is loaded, as the
// hypervisor uses no segment register and no system call MSR; so only the general registers are
// exchanged. RAX and RSP are in the VMCB. GIF is 0 before and after; with V_INTR_MASKING it is the
// host's IF that lets physical interrupts into the guest. QEMU 7.2 takes the interrupt shadow of an
// STI next to VMRUN into the guest, and not that of the VMCB: so there is one exactly if the guest
// is to have it (what is between TESTB and JZ leaves the flags alone). Without it a guest that is
// interrupted between STI and HLT would sleep for ever.
static inline void switch_to_guest(uint64_t *gpr, uint64_t vmcb_spa, uint64_t interrupt_shadow)
{
	__asm__ volatile(
		"sti\n\ttestb $1, %b[shadow]\n\tpushq %%rbp\n\tpushq %%rdi\n\t"
		"movq 0x08(%%rdi), %%rcx\n\tmovq 0x10(%%rdi), %%rdx\n\tmovq 0x18(%%rdi), %%rbx\n\t"
		"movq 0x28(%%rdi), %%rbp\n\tmovq 0x30(%%rdi), %%rsi\n\t"
		"movq 0x40(%%rdi), %%r8\n\tmovq 0x48(%%rdi), %%r9\n\tmovq 0x50(%%rdi), %%r10\n\t"
		"movq 0x58(%%rdi), %%r11\n\tmovq 0x60(%%rdi), %%r12\n\tmovq 0x68(%%rdi), %%r13\n\t"
		"movq 0x70(%%rdi), %%r14\n\tmovq 0x78(%%rdi), %%r15\n\tmovq 0x38(%%rdi), %%rdi\n\t"
		"jz 1f\n\tsti\n1:\n\tvmrun %%rax\n\tcli\n\t"
		"movq %%rdi, %%rax\n\tpopq %%rdi\n\t"
		"movq %%rcx, 0x08(%%rdi)\n\tmovq %%rdx, 0x10(%%rdi)\n\tmovq %%rbx, 0x18(%%rdi)\n\t"
		"movq %%rbp, 0x28(%%rdi)\n\tmovq %%rsi, 0x30(%%rdi)\n\tmovq %%rax, 0x38(%%rdi)\n\t"
		"movq %%r8, 0x40(%%rdi)\n\tmovq %%r9, 0x48(%%rdi)\n\tmovq %%r10, 0x50(%%rdi)\n\t"
		"movq %%r11, 0x58(%%rdi)\n\tmovq %%r12, 0x60(%%rdi)\n\tmovq %%r13, 0x68(%%rdi)\n\t"
		"movq %%r14, 0x70(%%rdi)\n\tmovq %%r15, 0x78(%%rdi)\n\tpopq %%rbp"
		: "+D"(gpr), "+a"(vmcb_spa), [shadow] "+c"(interrupt_shadow)
		:
		: "rdx", "rbx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		"memory", "cc");
}

static void svm_run(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);
	struct vmcb *vmcb = s->vmcb;
	struct pcpu *cpu = this_cpu();
	struct vp_exit exit;

	assign_asid(s, vmcb, cpu->arch);
	vmcb->rsp = vp->regs.gpr[RSP];
	vmcb->rflags = vp->regs.rflags;
	do {
		// A handler that changes other registers than these asks for a recheck, and so for
		// a new start.
		vmcb->rax = vp->regs.gpr[RAX];
		vmcb->rip = vp->regs.rip;
		vmcb->interrupt_shadow = vp->regs.interrupt_shadow;
		if (!guest_enter(vp, cpu))
			return;
		switch_to_guest(vp->regs.gpr, s->vmcb_spa, vmcb->interrupt_shadow);
		guest_leave(cpu);
		vp->regs.gpr[RAX] = vmcb->rax;
		vp->regs.gpr[RSP] = vmcb->rsp;
		vp->regs.rip = vmcb->rip;
		vp->regs.rflags = vmcb->rflags;
		vp->regs.interrupt_shadow = vmcb->interrupt_shadow & SVM_INTERRUPT_SHADOW;
		vmcb->event_injection = 0;
		vmcb->tlb_control = SVM_TLB_KEEP;

		decode_exit(vp, vmcb, &exit);
		if (unlikely(vmcb->exit_int_info & SVM_EVENT_VALID))
			redeliver(vmcb);
		if (exit.reason == EXIT_INTERRUPT)
			irq_window();
	} while (vp_handle_exit(vp, &exit));
}

const struct backend svm_backend = {
	.name = "AMD SVM",
	.gpa_format = { npt_leaf, npt_table, npt_is_leaf, npt_page, npt_access, npt_max_order },
	.hypercall_code = (const uint8_t[]){ 0x0f, 0x01, 0xd9, 0xc3 }, // vmmcall; ret
	.hypercall_code_size = 4,
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.vp_pages = 2,
	.vp_init = svm_vp_init,
	.vp_reset = svm_vp_reset,
	.load = svm_load,
	.save = svm_save,
	.run = svm_run,
	.offer_interrupt = svm_offer_interrupt,
	.interrupt_taken = svm_interrupt_taken,
	.inject_exception = svm_inject_exception,
	.inject_nmi = svm_inject_nmi,
	.flush_tlb = svm_flush_tlb,
	.cpu_mode = svm_cpu_mode,
	.get_register = svm_get_register,
	.set_register = svm_set_register,
};
