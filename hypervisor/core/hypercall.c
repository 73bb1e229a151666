// SPDX-License-Identifier: BSD-2-Clause
// The dispatcher (TLFS: Hypercall Interface). All checks that hypercall/table.h can express are
// made here, in the order call code, privilege, control word, alignment, bounds; handlers see
// private copies only.
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/explain.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/state.h"

#define INSN_LENGTH 3 // VMMCALL and VMCALL

struct row {
	uint64_t privilege;
	hypercall_handler *handler;
	uint16_t in, in_element, out, out_element;
	uint8_t target; // HV_TARGET_*
	bool rep, fast, variable;
};

static const struct row rows[] = {
#define ROW(code, name, type, kind, in_element, out_element, fast, variable, privilege, target)    \
	{ privilege, hc_##name, HV_CALL_IN(kind, type), in_element, HV_CALL_OUT(kind, type),       \
		out_element, target, HV_CALL_IS_REP(kind), fast, variable },
	HV_HYPERCALL_TABLE(ROW)
#undef ROW
};

enum {
#define ROW_NUMBER(code, name, ...) ROW_##name,
	HV_HYPERCALL_TABLE(ROW_NUMBER)
#undef ROW_NUMBER
		ROWS
};

// Row number plus one by call code; 0: no such call.
static const uint8_t row_of_code[] = {
#define ROW_OF_CODE(code, name, ...) [code] = ROW_##name + 1,
	HV_HYPERCALL_TABLE(ROW_OF_CODE)
#undef ROW_OF_CODE
};
_Static_assert(ROWS < 255 && sizeof(row_of_code) <= 512, "the index stays small");

// One call on its way: what the registers say.
struct request {
	const struct row *row;
	uint64_t control;
	uint64_t in, out; // GPAs; in a fast call the first 16 bytes of the block of registers
	bool wide;	  // 64-bit caller; others have pairs of 32-bit registers
	uint32_t header;  // input header, fixed and variable
	uint32_t start, count;
};

static uint32_t in_bytes(const struct request *r)
{
	return r->header + r->count * r->row->in_element;
}

static uint32_t out_bytes(const struct request *r)
{
	return r->row->out + r->count * r->row->out_element;
}

static uint64_t pair(const uint64_t *gpr, int high, int low)
{
	return gpr[high] << 32 | (uint32_t)gpr[low];
}

// TLFS: Hypercall Register Conventions.
static void read_registers(const struct vp *vp, struct request *r)
{
	const uint64_t *gpr = vp->regs.gpr;

	r->control = r->wide ? gpr[RCX] : pair(gpr, RDX, RAX);
	r->in = r->wide ? gpr[RDX] : pair(gpr, RBX, RCX);
	r->out = r->wide ? gpr[R8] : pair(gpr, RDI, RSI);
}

// Sets the register that WIDE callers have for VALUE, or the pair that the others have.
static void set_register(struct vp *vp, const struct request *r, int wide, uint64_t value)
{
	vp->regs.gpr[r->wide ? wide : RAX] = r->wide ? value : (uint32_t)value;
	if (!r->wide)
		vp->regs.gpr[RDX] = value >> 32;
}

static void finish(struct vp *vp, const struct request *r, uint64_t result)
{
	set_register(vp, r, RAX, result);
	vp_skip_insn(vp, INSN_LENGTH);
	trace(LUMEN_TRACE_HYPERCALL, vp, r->control, result);
}

// TLFS: Hypercall Inputs, Hypercall Status Codes.
static hv_status check_control(const struct vp *vp, struct request *r)
{
	const struct row *row = r->row;
	uint32_t variable = hv_call_variable_bytes(r->control);

	r->count = hv_call_rep_count(r->control);
	r->start = hv_call_rep_start(r->control);
	r->header = row->in + variable;
	if (r->control & (HV_CALL_RSVD_MASK | HV_CALL_NESTED))
		return explain_rejection(vp, r->control, HvRejectionReservedBits);
	if (row->rep ? r->start >= r->count : r->count | r->start)
		return explain_rejection(
			vp, r->control, row->rep ? HvRejectionRepRange : HvRejectionRepOnSimple);
	if (variable && !row->variable)
		return explain_rejection(vp, r->control, HvRejectionNoVariableHeader);
	if (hv_call_is_fast(r->control) && (!row->fast || (out_bytes(r) && !r->wide)))
		return explain_rejection(vp, r->control, HvRejectionNotFast);
	return HV_STATUS_SUCCESS;
}

// TLFS: XMM Fast Hypercall Output (which 64-bit callers have): the output follows the input, at the
// next multiple of 16 in the block of registers.
static uint32_t fast_out(const struct request *r)
{
	return ALIGN_UP(in_bytes(r), 16);
}

// One of the two parameter blocks. The page of the output is looked at now, with ACCESS; that of
// the input (ACCESS 0) when it is copied. TLFS-DEVIATION: Alignment Requirements: a page that is
// not mapped (with this access) gives a status, not a memory intercept; to the guest's kernel it is
// an address outside its GPA space.
static hv_status check_block(const struct vp *vp, const struct request *r, uint64_t gpa,
	uint32_t bytes, unsigned int access)
{
	uint64_t spa_page;

	if (!bytes)
		return HV_STATUS_SUCCESS;
	if (gpa % HV_CALL_ALIGNMENT)
		return explain_rejection(vp, r->control, HvRejectionBlockAlignment);
	if (gpa % PAGE_SIZE + bytes > PAGE_SIZE)
		return explain_rejection(vp, r->control, HvRejectionBlockCrossesPage);
	if (access && !gpa_map_lookup(&vp->partition->gpa, gpa >> PAGE_SHIFT, access, &spa_page))
		return explain_rejection(vp, r->control, HvRejectionBlockOutside);
	return HV_STATUS_SUCCESS;
}

static hv_status check_blocks(const struct vp *vp, const struct request *r)
{
	if (!hv_call_is_fast(r->control)) {
		TRY(check_block(vp, r, r->in, in_bytes(r), 0));
		return check_block(vp, r, r->out, out_bytes(r), GPA_READ | GPA_WRITE);
	}
	if (fast_out(r) + out_bytes(r) > HV_CALL_FAST_XMM_BYTES)
		return explain_rejection(vp, r->control, HvRejectionFastTooLong);
	return HV_STATUS_SUCCESS;
}

static bool uses_xmm(const struct request *r)
{
	return in_bytes(r) > HV_CALL_FAST_BYTES || out_bytes(r);
}

// The input's header and the elements from the start index on, at the same offsets in the private
// page.
static bool copy_in(struct partition *partition, const struct request *r, char *page)
{
	uint32_t done = r->start * r->row->in_element;
	uint32_t list = in_bytes(r) - r->header - done;

	if (hv_call_is_fast(r->control)) {
		memcpy(page, &r->in, sizeof(r->in));
		memcpy(page + sizeof(r->in), &r->out, sizeof(r->out));
		if (uses_xmm(r))
			xmm_read(page + HV_CALL_FAST_BYTES);
		return true;
	}
	if (!in_bytes(r))
		return true; // TLFS: the GPA of a block that the call does not have is ignored
	return guest_read(partition, gpa(r->in), page, r->header) &&
	       guest_read(partition, gpa(r->in + r->header + done), page + r->header + done, list);
}

// Output goes to the guest's memory, or in a fast call to the block of registers, behind its input
// in PAGE.
static void put(struct partition *partition, const struct request *r, char *page, uint32_t offset,
	const void *from, size_t bytes)
{
	if (hv_call_is_fast(r->control))
		memcpy(page + fast_out(r) + offset, from, bytes);
	else
		guest_write(partition, gpa(r->out + offset), from, bytes);
}

static void copy_out(struct vp *vp, const struct request *r, char *page,
	const struct hypercall *call, hv_status status)
{
	const struct row *row = r->row;

	if (row->out && !status)
		put(vp->partition, r, page, 0, call->out, row->out);
	if (row->out_element && call->reps_done)
		put(vp->partition, r, page, row->out + r->start * row->out_element, call->rep_out,
			(size_t)call->reps_done * row->out_element);
	if (hv_call_is_fast(r->control) && out_bytes(r)) {
		memcpy(&vp->regs.gpr[RDX], page, sizeof(uint64_t));
		memcpy(&vp->regs.gpr[R8], page + sizeof(uint64_t), sizeof(uint64_t));
		xmm_write(page + HV_CALL_FAST_BYTES);
	}
}

// The only place where one partition's right to another is decided.
static hv_status find_target(struct hypercall *call, unsigned int target, uint64_t privilege)
{
	struct partition *caller = call->partition;
	hv_partition_id id;

	memcpy(&id, (const char *)call->in + (target & HV_TARGET_ID_AT_8 ? 8 : 0), sizeof(id));
	if (target & HV_TARGET_SELF_IF &&
		caller->privileges & privilege & ~HV_PRIVILEGE_CREATE_PARTITIONS)
		target |= HV_TARGET_SELF;
	if (id == HV_PARTITION_ID_SELF || id == caller->id) {
		call->target = caller;
		return target & HV_TARGET_SELF ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
	}
	// Who has no children learns nothing about which partitions there are.
	if (!(target & HV_TARGET_CHILD) || !(caller->privileges & HV_PRIVILEGE_CREATE_PARTITIONS))
		return HV_STATUS_ACCESS_DENIED;
	call->target = partition_find(id);
	if (!call->target)
		return HV_STATUS_INVALID_PARTITION_ID;
	return call->target->parent == caller ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
}

// Finds what CALL names, takes the hold, calls the handler and lets go.
static hv_status handle(struct hypercall *call, const struct row *row)
{
	unsigned int target = row->target;
	enum partition_hold_mode mode =
		target & HV_TARGET_EXCLUSIVE ? PARTITION_EXCLUSIVE : PARTITION_SHARED;
	bool hold = target & (HV_TARGET_SHARED | HV_TARGET_EXCLUSIVE);
	hv_status status;

	if (!target)
		return row->handler(call);
	TRY(find_target(call, target, row->privilege));
	if (hold && !partition_hold(call->target, mode))
		return HYPERCALL_RETRY;
	if (!(target & HV_TARGET_ANY_STATE) &&
		load_acquire(call->target->state) != PARTITION_INITIALIZED)
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else
		status = row->handler(call);
	if (status == HYPERCALL_TARGET_GONE)
		return HV_STATUS_SUCCESS;
	if (hold)
		partition_release(call->target, mode);
	return status;
}

// Calls the handler with private copies of the parameters, copy_in()'s.
static hv_status run(struct vp *vp, const struct request *r, uint32_t *reps_done)
{
	char *in = this_cpu()->hypercall_input, *out = this_cpu()->hypercall_output;
	struct hypercall call = {
		.vp = vp,
		.partition = vp->partition,
		.in = in,
		.variable_size = r->header - r->row->in,
		.rep_in = in + r->header + r->start * r->row->in_element,
		.rep_start = r->start,
		.reps = r->count - r->start,
		.out = out,
		.rep_out = out + r->row->out + r->start * r->row->out_element,
	};
	hv_status status;

	memset(out, 0, out_bytes(r));
	vp->recheck = true; // whatever the handler does to its caller, or if it is to call again
	status = handle(&call, r->row);
	*reps_done = call.reps_done;
	copy_out(vp, r, in, &call, status);
	return status;
}

static void execute(struct vp *vp, struct request *r)
{
	uint32_t reps_done = 0;
	hv_status status = check_control(vp, r);

	if (!status)
		status = check_blocks(vp, r);
	if (!status && !copy_in(vp->partition, r, this_cpu()->hypercall_input))
		status = explain_rejection(vp, r->control, HvRejectionBlockOutside);
	if (!status) {
		status = run(vp, r, &reps_done);
		if (unlikely(status) && status != HYPERCALL_RETRY)
			explain_status(vp, r->control, status);
	}
	// TLFS: Hypercall Continuation: the instruction is executed again for what is left, after
	// interrupts had their chance.
	if (r->row->rep)
		set_register(vp, r, RCX, hv_call_restart(r->control, r->start + reps_done));
	if (status == HYPERCALL_RETRY || (!status && r->start + reps_done < r->count))
		return; // RIP stays
	finish(vp, r, hv_result(status, r->row->rep ? r->start + reps_done : 0));
}

// Row number plus one; 0: no such call.
static inline unsigned int find_row(uint16_t code)
{
	return code < sizeof(row_of_code) ? row_of_code[index_nospec(code, sizeof(row_of_code))]
					  : 0;
}

// TLFS: Legal Hypercall Environments, Reporting the Guest OS Identity.
static void __attribute__((noinline)) any_call(struct vp *vp, unsigned int mode)
{
	bool wide = mode == (CPU_MODE_PROTECTED | CPU_MODE_64BIT);
	unsigned int row = find_row(vp->regs.gpr[wide ? RCX : RAX]);
	struct request r = { .wide = wide };

	if ((!wide && mode != CPU_MODE_PROTECTED) || !READ_ONCE(vp->partition->guest_os_id)) {
		vp_inject_ud(vp);
		return;
	}
	read_registers(vp, &r);
	if (!row) {
		if (!intercept_hypercall(vp))
			finish(vp, &r, HV_STATUS_INVALID_HYPERCALL_CODE);
		return;
	}
	r.row = &rows[row - 1];
	if (hv_privilege_suffices(vp->partition->privileges, r.row->privilege))
		execute(vp, &r);
	else
		finish(vp, &r, explain_rejection(vp, r.control, HvRejectionNoPrivilege));
}

// A 64-bit kernel's call of a code that there is not is the shortest way in and out; it goes
// without a stack frame, and is what benchmarks measure. Everything else is any_call().
void hypercall_exit(struct vp *vp, const struct vp_exit *exit)
{
	const struct partition *partition = vp->partition;

	if (exit->cpu_mode == (CPU_MODE_PROTECTED | CPU_MODE_64BIT) &&
		!find_row(vp->regs.gpr[RCX]) && READ_ONCE(partition->guest_os_id) &&
		!intercepts_want_hypercall(partition->intercepts)) {
		vp->regs.gpr[RAX] = HV_STATUS_INVALID_HYPERCALL_CODE;
		// Not vp_skip_insn(): no #DB after a single step.
		vp_go_on_at(vp, vp->regs.rip + INSN_LENGTH);
	} else {
		any_call(vp, exit->cpu_mode);
	}
}
