// SPDX-License-Identifier: BSD-2-Clause
// The SVM backend (APM2 chapter 15): nested paging, virtual interrupts through V_IRQ.
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/memory.h"
#include "hypervisor/x86/msr.h"
#include "hypervisor/x86/speculation.h"
#include "hypervisor/x86/svm.h"
#include "hypervisor/x86/svm_asid.h"

// Permission maps (APM2 15.10, 15.11). Static: their addresses are physical, the image is one
// physical range.
static uint8_t msr_map[8192] __attribute__((aligned(4096)));
static uint8_t io_map_root[12288] __attribute__((aligned(4096)));
static uint8_t io_map_child[12288] __attribute__((aligned(4096)));

static uint32_t asid_count, svm_features;
enum { SVM_FEATURE_NP = 1 << 0, SVM_FEATURE_NRIPS = 1 << 3, SVM_FEATURE_SPEC_CTRL = 1 << 20 };

struct svm_cpu { // pcpu->arch, one page; the host save area follows
	struct svm_asids asids;
};

static uint64_t image_spa(const void *p)
{
	return (uint64_t)p - HV_IMAGE_BASE;
}

// --- second-level entries: ordinary page tables (APM2 15.25.5), for user accesses ---

enum { NPT_PRESENT = 1, NPT_WRITE = 2, NPT_USER = 4 };
enum { NPT_ACCESSED = 1 << 5, NPT_DIRTY = 1 << 6, NPT_LARGE = 1 << 7 };
#define NPT_NX	 BIT(63)
#define NPT_ADDR 0x000ffffffffff000ull

static enum gpa_order npt_max_order(void)
{
	return cpuid(0x80000001, 0).edx & 1 << 26 ? GPA_1G : GPA_2M;
}

#define NPT_TABLE (NPT_PRESENT | NPT_WRITE | NPT_USER | NPT_ACCESSED)
#define NPT_LEAF  (NPT_PRESENT | NPT_USER | NPT_ACCESSED | NPT_DIRTY)

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
	*why_not = "this processor has no address space identifiers for guests";
	if (asid_count < 2)
		return false;
	*why_not = "this processor has SVM without nested paging";
	return svm_features & SVM_FEATURE_NP;
}

enum { PASS_READ = 1, PASS_WRITE = 2, PASS_BOTH = 3 };

static void pass(uint32_t msr, unsigned int access)
{
	uint32_t n = msr & 0x1fff; // APM2 15.11: three ranges of so many

	if (msr >= 0xc0010000)
		n += 2 * 0x2000;
	else if (msr >= 0xc0000000)
		n += 0x2000;
	msr_map[n / 4] &= ~(access << n % 4 * 2);
}

static void init_maps(void)
{
	// What VMLOAD and VMSAVE carry needs no intercept: while the VP is loaded the processor
	// holds the guest's.
	static const uint32_t swapped[] = { 0x174, 0x175, 0x176, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
		MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE };

	memset(msr_map, 0xff, sizeof(msr_map));
	memset(io_map_child, 0xff, sizeof(io_map_child));
	for (unsigned int i = 0; i < ARRAY_SIZE(swapped); i++)
		pass(swapped[i], PASS_BOTH);
	// The processor refuses the bits that it does not have.
	if (speculation.ibpb)
		pass(MSR_PRED_CMD, PASS_WRITE);
	if (speculation.spec_ctrl)
		pass(MSR_SPEC_CTRL, PASS_BOTH);
	if (svm_features & SVM_FEATURE_SPEC_CTRL)
		speculation.spec_ctrl = false; // VMRUN and exits exchange it
	if (speculation.virt_spec_ctrl)
		pass(MSR_VIRT_SPEC_CTRL, PASS_BOTH);
}

static void svm_cpu_enable(void)
{
	struct svm_cpu *cpu = this_cpu()->arch;

	if (this_cpu()->index == 0)
		init_maps();
	svm_asids_init(&cpu->asids, asid_count);
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
	[SVM_EXIT_CR4_WRITE] = { EXIT_CR_WRITE, 0 },
	[SVM_EXIT_CR8_WRITE] = { EXIT_CR_WRITE, 0 },
	[SVM_EXIT_INTR] = { EXIT_INTERRUPT, 0 },
	[SVM_EXIT_NMI] = { EXIT_NMI, 0 },
	[SVM_EXIT_INIT] = { EXIT_INTERRUPT, 0 },
	[SVM_EXIT_RDPMC] = { EXIT_DENIED, 0 },
	[SVM_EXIT_CPUID] = { EXIT_CPUID, 2 },
	[SVM_EXIT_INVD] = { EXIT_WBINVD, 0 },
	[SVM_EXIT_HLT] = { EXIT_HLT, 1 },
	[SVM_EXIT_INVLPGA] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_IO] = { EXIT_IO, 0 },
	[SVM_EXIT_MSR] = { EXIT_RDMSR, 0 },
	[SVM_EXIT_FERR_FREEZE] = { EXIT_FPU_FREEZE, 0 },
	[SVM_EXIT_SHUTDOWN] = { EXIT_SHUTDOWN, 0 },
	[SVM_EXIT_VMRUN] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_VMMCALL] = { EXIT_HYPERCALL, 3 },
	[SVM_EXIT_VMLOAD... SVM_EXIT_SKINIT] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_ICEBP] = { EXIT_ICEBP, 1 },
	[SVM_EXIT_WBINVD] = { EXIT_WBINVD, 0 },
	[SVM_EXIT_MONITOR... SVM_EXIT_MWAIT_ARMED] = { EXIT_UNDEFINED, 0 },
	[SVM_EXIT_XSETBV] = { EXIT_XSETBV, 3 },
	[SVM_EXIT_RDPRU] = { EXIT_UNDEFINED, 0 },
};
_Static_assert(ARRAY_SIZE(exit_rows) <= SVM_EXIT_INTERCEPTS, "the first intercepts");

static void svm_vp_reset(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	vmcb->tsc_offset = vp->partition->tsc_offset + vp->tsc_adjust - tsc_start;
	svm_asid_drop(&svm_vp(vp)->asid);
	svm_event_reset(vp);
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
	vmcb->msrpm_base = image_spa(msr_map);
	vmcb->iopm_base = image_spa(vp->partition->is_root ? io_map_root : io_map_child);
	vmcb->nested_control = SVM_NESTED_PAGING;
	vmcb->nested_cr3 = va_to_spa(vp->partition->gpa.top);
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
	svm_vp(vp)->vmcb->spec_ctrl = vp->spec_ctrl;
	xcr0_write(host_xcr0);
	__asm__ volatile("xrstor64 (%0)" : : "r"(vp->xsave), "a"(-1), "d"(-1) : "memory");
	xcr0_write(vp->xcr0);
	msr_wr_safe(MSR_TSC_AUX, vp->tsc_aux);
}

static void svm_save(struct vp *vp)
{
	svm_sync(vp);
	if (svm_features & SVM_FEATURE_SPEC_CTRL)
		vp->spec_ctrl = svm_vp(vp)->vmcb->spec_ctrl;
	vp->xcr0 = vp_xcr0(vp);
	xcr0_write(host_xcr0);
	__asm__ volatile("xsave64 (%0)" : : "r"(vp->xsave), "a"(-1), "d"(-1) : "memory");
}

static void svm_flush_tlb(struct vp *vp)
{
	svm_asid_drop(&svm_vp(vp)->asid);
	vp->recheck = true; // svm_run() starts anew
}

// --- exits ---

static inline unsigned int cpu_mode(const struct vmcb *vmcb)
{
	if (likely(vmcb->efer & EFER_LMA && vmcb->cs.attributes & SVM_SEGMENT_LONG))
		return vmcb->cpl | CPU_MODE_PROTECTED | CPU_MODE_64BIT;
	return vmcb->cpl | (vmcb->cr0 & CR0_PE ? CPU_MODE_PROTECTED : 0);
}

static unsigned int svm_cpu_mode(const struct vp *vp)
{
	return cpu_mode(svm_vp(vp)->vmcb);
}

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
	exit->fault.by_insn =
		!(vmcb->exit_info1 & SVM_NPF_WALK) && !(vmcb->exit_int_info & SVM_EVENT_VALID);
	exit->fault.access = vmcb->exit_info1 & BIT(4)	 ? GPA_EXECUTE
			     : vmcb->exit_info1 & BIT(1) ? GPA_WRITE
							 : GPA_READ;
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
	svm_event_exit(vp);
	if (code >= SVM_EXIT_INTR && code <= SVM_EXIT_INIT)
		return; // not by an instruction
	if (code == SVM_EXIT_IRET || code - SVM_EXIT_EXCEPTION < EXCEPTIONS) {
		exit->reason = EXIT_NONE;
	} else if (code == SVM_EXIT_MSR) {
		exit->reason = vmcb->exit_info1 ? EXIT_WRMSR : EXIT_RDMSR;
		exit->insn_length = insn_length(vmcb, 2);
	} else if (code == SVM_EXIT_IO) {
		exit_io(vmcb, exit);
	} else if (code == SVM_EXIT_NPF) {
		exit_npf(vmcb, exit);
	}
}

static inline void decode_exit(struct vp *vp, struct vmcb *vmcb, struct vp_exit *exit)
{
	uint64_t code = vmcb->exit_code;
	const struct exit_row *row = &exit_rows[code];

	exit->vendor_code = code;
	if (likely(code == SVM_EXIT_VMMCALL)) {
		exit->reason = EXIT_HYPERCALL;
		exit->cpu_mode = cpu_mode(vmcb);
	} else if (code < ARRAY_SIZE(exit_rows) && row->length) {
		exit->reason = row->reason;
		exit->insn_length = insn_length(vmcb, row->length);
	} else {
		decode_other_exit(vp, vmcb, exit);
	}
}

// The world switch. What VMLOAD and VMSAVE hold stays the guest's while its VP is loaded, as the
// hypervisor uses no segment register and no system call MSR; so only the general registers are
// exchanged. RAX and RSP are in the VMCB. GIF is 0 before and after; with V_INTR_MASKING it is the
// host's IF that lets physical interrupts into the guest. QEMU 7.2 takes the interrupt shadow of an
// STI next to VMRUN into the guest, and not that of the VMCB: so there is one exactly if the guest
// is to have it (what is between TESTB and JZ leaves the flags alone). Without it a guest that is
// interrupted between STI and HLT would sleep for ever. Afterwards no register has a value of the
// guest's, which speculation could take for an address. RBP, RBX and R12 keep what the compiler has
// there.
static inline void switch_to_guest(struct vp_regs *regs, uint64_t vmcb_spa)
{
	_Static_assert(offsetof(struct vp_regs, gpr) == 0, "as below");
	__asm__ volatile(
		"sti\n\ttestb $1, %c[shadow](%%rdi)\n\t"
		"pushq %%rbp\n\tpushq %%rbx\n\tpushq %%r12\n\tpushq %%rdi\n\t"
		"movq 0x08(%%rdi), %%rcx\n\tmovq 0x10(%%rdi), %%rdx\n\tmovq 0x18(%%rdi), %%rbx\n\t"
		"movq 0x28(%%rdi), %%rbp\n\tmovq 0x30(%%rdi), %%rsi\n\t"
		"movq 0x40(%%rdi), %%r8\n\tmovq 0x48(%%rdi), %%r9\n\tmovq 0x50(%%rdi), %%r10\n\t"
		"movq 0x58(%%rdi), %%r11\n\tmovq 0x60(%%rdi), %%r12\n\tmovq 0x68(%%rdi), %%r13\n\t"
		"movq 0x70(%%rdi), %%r14\n\tmovq 0x78(%%rdi), %%r15\n\tmovq 0x38(%%rdi), %%rdi\n\t"
		"jz 1f\n\tsti\n1:\n\tvmrun %%rax\n\tcli\n\t"
		"xchgq %%rdi, (%%rsp)\n\tpopq 0x38(%%rdi)\n\t"
		"movq %%rcx, 0x08(%%rdi)\n\tmovq %%rdx, 0x10(%%rdi)\n\tmovq %%rbx, 0x18(%%rdi)\n\t"
		"movq %%rbp, 0x28(%%rdi)\n\tmovq %%rsi, 0x30(%%rdi)\n\t"
		"movq %%r8, 0x40(%%rdi)\n\tmovq %%r9, 0x48(%%rdi)\n\tmovq %%r10, 0x50(%%rdi)\n\t"
		"movq %%r11, 0x58(%%rdi)\n\tmovq %%r12, 0x60(%%rdi)\n\tmovq %%r13, 0x68(%%rdi)\n\t"
		"movq %%r14, 0x70(%%rdi)\n\tmovq %%r15, 0x78(%%rdi)\n\t"
		"popq %%r12\n\tpopq %%rbx\n\tpopq %%rbp\n\t"
		"xorl %%ecx, %%ecx\n\txorl %%edx, %%edx\n\txorl %%esi, %%esi\n\t"
		"xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d\n\t"
		"xorl %%r11d, %%r11d\n\txorl %%r13d, %%r13d\n\txorl %%r14d, %%r14d\n\t"
		"xorl %%r15d, %%r15d"
		:
		: "D"(regs), "a"(vmcb_spa), [shadow] "i"(offsetof(struct vp_regs, interrupt_shadow))
		: "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r13", "r14", "r15", "memory",
		"cc");
}

// Enters VP and handles its exits, for as long as what was decided for the first entry holds.
static inline void enter(struct vp *vp, struct svm_vp *s, struct vmcb *vmcb, struct pcpu *cpu)
{
	struct svm_asids *asids = &((struct svm_cpu *)cpu->arch)->asids;
	struct vp_exit exit;

	svm_asid_enter(asids, &s->asid, vmcb);
	svm_event_enter(vp);
	do {
		// A handler that changes other registers than these asks for a recheck, and so for
		// a new start.
		vmcb->rax = vp->regs.gpr[RAX];
		vmcb->rip = vp->regs.rip;
		vmcb->interrupt_shadow = vp->regs.interrupt_shadow;
		if (!guest_enter(vp, cpu))
			return;
		switch_to_guest(&vp->regs, s->vmcb_spa);
		guest_leave(cpu);
		vp->regs.gpr[RAX] = vmcb->rax;
		vp->regs.gpr[RSP] = vmcb->rsp;
		vp->regs.rip = vmcb->rip;
		vp->regs.rflags = vmcb->rflags;
		vp->regs.interrupt_shadow = vmcb->interrupt_shadow & SVM_INTERRUPT_SHADOW;
		vmcb->tlb_control = SVM_TLB_KEEP;

		if (unlikely(vp->event.pending))
			svm_event_injected(vp);
		decode_exit(vp, vmcb, &exit);
	} while (vp_handle_exit(vp, &exit));
	svm_asid_left(asids, vmcb);
}

static void svm_run(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);
	struct vmcb *vmcb = s->vmcb;
	struct pcpu *cpu = this_cpu();

	vmcb->rsp = vp->regs.gpr[RSP];
	vmcb->rflags = vp->regs.rflags;
	enter(vp, s, vmcb, cpu);
	// Up to here each return had its call after the exit; the next one has not.
	if (unlikely(speculation.fill_return_stack))
		speculation_fill_return_stack();
}

const struct backend svm_backend = {
	.name = "AMD SVM",
	.gpa_format = { .leaf = NPT_LEAF,
		.table = NPT_TABLE,
		.large = NPT_LARGE,
		.write = NPT_WRITE,
		.no_execute = NPT_NX,
		.address = NPT_ADDR,
		.noted = NPT_ACCESSED | NPT_DIRTY,
		.max_order = npt_max_order },
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
	.nmi_state = svm_nmi_state,
	.set_nmi_blocked = svm_set_nmi_blocked,
	.flush_tlb = svm_flush_tlb,
	.cpu_mode = svm_cpu_mode,
	.get_register = svm_get_register,
	.set_register = svm_set_register,
};
