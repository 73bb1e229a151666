// SPDX-License-Identifier: BSD-2-Clause
// Exit reasons in Hyper-V's terms.
#include "hypervisor/core/stats.h"

const uint8_t stats_of_exit[EXIT_REASONS] = {
	[EXIT_NONE] = VpOtherInterceptsCount,
	[EXIT_INTERRUPT] = VpExternalInterruptsCount,
	[EXIT_NMI] = VpExternalInterruptsCount,
	[EXIT_CPUID] = VpCpuidInstructionsCount,
	[EXIT_HLT] = VpHltInstructionsCount,
	[EXIT_HYPERCALL] = VpHypercallsCount,
	[EXIT_RDMSR] = VpMsrAccessesCount,
	[EXIT_WRMSR] = VpMsrAccessesCount,
	[EXIT_IO] = VpIoInstructionsCount,
	[EXIT_GPA_FAULT] = VpNestedPageFaultInterceptsCount,
	[EXIT_CR8_WRITE] = VpControlRegisterAccessesCount,
	[EXIT_XSETBV] = VpControlRegisterAccessesCount,
	[EXIT_WBINVD] = VpOtherInterceptsCount,
	[EXIT_UNDEFINED] = VpOtherInterceptsCount,
	[EXIT_SHUTDOWN] = VpOtherInterceptsCount,
	[EXIT_INVALID_STATE] = VpOtherInterceptsCount,
};
