// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls as tests make them: one by one, with every register in their hands.
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

uint8_t hypercall_page[HV_PAGE_SIZE] __attribute__((aligned(HV_PAGE_SIZE)));

void xmm_load(const uint64_t *xmm);
void xmm_store(uint64_t *xmm);

bool hypercall_page_enable(void)
{
	uint64_t wanted = gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_ENABLE, value = 0;

	if (kernel_try_wrmsr(HV_X64_MSR_GUEST_OS_ID, SUITE_GUEST_OS_ID))
		return false;
	// It may be locked there.
	if (kernel_try_rdmsr(HV_X64_MSR_HYPERCALL, &value) ||
		(value & ~HV_X64_MSR_HYPERCALL_LOCKED) == wanted)
		return value & HV_X64_MSR_HYPERCALL_ENABLE;
	if (kernel_try_wrmsr(HV_X64_MSR_HYPERCALL, wanted) ||
		kernel_try_rdmsr(HV_X64_MSR_HYPERCALL, &value))
		return false;
	return value == wanted;
}

void hypercall_registers(struct hypercall_registers *registers)
{
	hypercall_at(registers, hypercall_page);
}

struct attempt {
	struct hypercall_registers registers;
	uint64_t *xmm;
};

static void attempt(void *argument)
{
	struct attempt *a = argument;

	if (a->xmm)
		xmm_load(a->xmm);
	hypercall_at(&a->registers, hypercall_page);
	if (a->xmm)
		xmm_store(a->xmm);
}

int try_hypercall_xmm(uint64_t control, uint64_t in, uint64_t out, uint64_t *xmm, uint64_t *result)
{
	struct attempt a = { .registers = { .rcx = control, .rdx = in, .r8 = out }, .xmm = xmm };
	int vector = exception_of(attempt, &a);

	if (vector == NO_EXCEPTION)
		*result = a.registers.rax;
	return vector;
}

int try_hypercall(uint64_t control, hv_gpa in, hv_gpa out, uint64_t *result)
{
	return try_hypercall_xmm(control, in, out, NULL, result);
}

uint64_t hypercall(uint64_t control, hv_gpa in, hv_gpa out)
{
	uint64_t result = 0;
	int vector = try_hypercall(control, in, out, &result);

	if (vector != NO_EXCEPTION)
		test_fail("hypercall 0x%lx: exception %d", control, vector);
	return result;
}

hv_status call_memory(uint64_t control, const void *in, size_t in_size, void *out, size_t out_size)
{
	static uint8_t pages[MAX_VPS][2][HV_PAGE_SIZE] __attribute__((aligned(HV_PAGE_SIZE)));
	uint8_t *in_page = pages[this_vp()][0], *out_page = pages[this_vp()][1];
	hv_status status;

	__builtin_memset(in_page, 0, HV_PAGE_SIZE);
	__builtin_memset(out_page, 0, HV_PAGE_SIZE);
	if (in_size)
		__builtin_memcpy(in_page, in, in_size);
	status = hv_result_status(hypercall(control, gpa_of(in_page), gpa_of(out_page)));
	if (out_size)
		__builtin_memcpy(out, out_page, out_size);
	return status;
}

hv_status call_fast(uint64_t control, uint64_t in0, uint64_t in1)
{
	return hv_result_status(hypercall(control | HV_CALL_FAST, in0, in1));
}
