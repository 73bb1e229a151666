// SPDX-License-Identifier: BSD-2-Clause
// Intercepts: what can be intercepted, and the messages that a parent gets (TLFS:
// HV_INTERCEPT_TYPE, HvCallInstallIntercept). The TLFS leaves the messages' layouts out; these are
// those of Linux and OpenVMM.
#ifndef HYPERCALL_INTERCEPT_H
#define HYPERCALL_INTERCEPT_H

#include "hypercall/registers.h"
#include "hypercall/types.h"

// TLFS: HV_INTERCEPT_TYPE.
enum hv_intercept_type {
	HvInterceptTypeX64IoPort = 0x00,
	HvInterceptTypeX64Msr = 0x01,
	HvInterceptTypeX64Cpuid = 0x02,
	HvInterceptTypeException = 0x03,
	HvInterceptTypeX64GlobalCpuid = 0x06,
	HvInterceptTypeX64ApicSmi = 0x07,
	HvInterceptTypeHypercall = 0x08,
	HvInterceptTypeX64ApicInitSipi = 0x09,
	HvInterceptTypeX64ApicWrite = 0x0b,
	HvInterceptTypeX64MsrIndex = 0x0c,
	HvInterceptTypeUnknownSynicConnection = 0x0d,
	HvInterceptTypeX64ApicEoi = 0x0e,
	HvInterceptTypeRetargetInterruptWithUnknownDeviceId = 0x0f,
	HvInterceptTypeX64ExceptionTrap = 0x10,
	HvInterceptTypeX64IoPortRange = 0x11,
};

// TLFS: HV_INTERCEPT_ACCESS_TYPE_MASK.
#define HV_INTERCEPT_ACCESS_MASK_NONE	 0x00
#define HV_INTERCEPT_ACCESS_MASK_READ	 0x01
#define HV_INTERCEPT_ACCESS_MASK_WRITE	 0x02
#define HV_INTERCEPT_ACCESS_MASK_EXECUTE 0x04
#define HV_INTERCEPT_ACCESS_MASK_ALL	 0x07

// The field intercept_access_type of a message.
enum hv_intercept_access_type {
	HvInterceptAccessRead = 0,
	HvInterceptAccessWrite = 1,
	HvInterceptAccessExecute = 2,
};

// TLFS: HV_INTERCEPT_PARAMETERS. Types that have no member here have no parameters.
union hv_intercept_parameters {
	uint64_t as_uint64;
	uint16_t io_port;
	uint32_t cpuid_index;
	uint32_t apic_write_mask;
	uint32_t msr_index;
	uint16_t exception_vector;
	struct {
		uint16_t base;
		uint16_t end; // inclusive
	} io_port_range;
};
HV_ASSERT_SIZE(union hv_intercept_parameters, 8);

// TLFS: HvCallInstallIntercept.
struct hv_input_install_intercept {
	hv_partition_id partition_id;
	uint32_t access_type;	 // HV_INTERCEPT_ACCESS_MASK_*; none: removes it
	uint32_t intercept_type; // enum hv_intercept_type
	union hv_intercept_parameters intercept_parameter;
};
HV_ASSERT_SIZE(struct hv_input_install_intercept, 24);
HV_ASSERT_OFFSET(struct hv_input_install_intercept, intercept_type, 12);
HV_ASSERT_OFFSET(struct hv_input_install_intercept, intercept_parameter, 16);

// TLFS: HvCallRegisterInterceptResult. What CPUID and unimplemented MSRs answer without a message.
struct hv_register_x64_cpuid_result_parameters {
	struct {
		uint32_t eax;
		uint32_t ecx;
		uint8_t subleaf_specific; // 1: only for this ECX
		uint8_t always_override;  // 1: also where the hypervisor has its own answer
		uint16_t rsvd_z;
	} input;
	struct {
		uint32_t eax;
		uint32_t eax_mask; // bits that are taken from here
		uint32_t ebx;
		uint32_t ebx_mask;
		uint32_t ecx;
		uint32_t ecx_mask;
		uint32_t edx;
		uint32_t edx_mask;
	} result;
};
HV_ASSERT_SIZE(struct hv_register_x64_cpuid_result_parameters, 44);

enum hv_unimplemented_msr_action {
	HvUnimplementedMsrActionFault = 0,
	HvUnimplementedMsrActionIgnoreWriteReadZero = 1,
};

struct hv_register_x64_msr_result_parameters {
	uint32_t msr_index;
	uint32_t access_type; // HV_INTERCEPT_ACCESS_MASK_*
	uint32_t action;      // enum hv_unimplemented_msr_action
};
HV_ASSERT_SIZE(struct hv_register_x64_msr_result_parameters, 12);

// Issuers give 60 bytes; the last four are alignment and may hold anything.
struct hv_input_register_intercept_result {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t intercept_type; // X64Cpuid or X64Msr
	union {
		struct hv_register_x64_cpuid_result_parameters cpuid;
		struct hv_register_x64_msr_result_parameters msr;
	};
	uint32_t ignored;
};
HV_ASSERT_SIZE(struct hv_input_register_intercept_result, 64);
HV_ASSERT_OFFSET(struct hv_input_register_intercept_result, cpuid, 16);

// TLFS: HvCallUnregisterInterceptResult; its page does not give these parameters' layout.
struct hv_input_unregister_intercept_result {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t intercept_type;
	union {
		struct {
			uint32_t eax;
			uint32_t ecx;
			uint8_t subleaf_specific;
			uint8_t rsvd_z[3];
		} cpuid;
		struct {
			uint32_t msr_index;
			uint32_t access_type;
		} msr;
	};
	uint32_t ignored;
};
HV_ASSERT_SIZE(struct hv_input_unregister_intercept_result, 32);

// hv_x64_intercept_message_header.execution_state.
#define HV_X64_EXECUTION_STATE_CPL_MASK		    0x0003
#define HV_X64_EXECUTION_STATE_CR0_PE		    0x0004
#define HV_X64_EXECUTION_STATE_CR0_AM		    0x0008
#define HV_X64_EXECUTION_STATE_EFER_LMA		    0x0010
#define HV_X64_EXECUTION_STATE_DEBUG_ACTIVE	    0x0020
#define HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING 0x0040
#define HV_X64_EXECUTION_STATE_VTL_SHIFT	    7 // 4 bits
#define HV_X64_EXECUTION_STATE_INTERRUPT_SHADOW	    0x1000

// hv_x64_intercept_message_header.instruction_length_cr8.
#define HV_X64_INTERCEPT_INSTRUCTION_LENGTH_MASK 0x0f // 0: not known
#define HV_X64_INTERCEPT_CR8_SHIFT		 4

struct hv_x64_intercept_message_header {
	hv_vp_index vp_index;
	uint8_t instruction_length_cr8;
	uint8_t intercept_access_type; // enum hv_intercept_access_type
	uint16_t execution_state;
	struct hv_x64_segment_register cs;
	uint64_t rip;
	uint64_t rflags;
};
HV_ASSERT_SIZE(struct hv_x64_intercept_message_header, 40);
HV_ASSERT_OFFSET(struct hv_x64_intercept_message_header, execution_state, 6);
HV_ASSERT_OFFSET(struct hv_x64_intercept_message_header, cs, 8);
HV_ASSERT_OFFSET(struct hv_x64_intercept_message_header, rip, 24);

// HvMessageTypeX64IoPortIntercept.
#define HV_X64_IO_PORT_ACCESS_SIZE_MASK 0x07 // 1, 2 or 4 bytes
#define HV_X64_IO_PORT_ACCESS_STRING	0x08
#define HV_X64_IO_PORT_ACCESS_REP	0x10

struct hv_x64_io_port_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t port_number;
	uint8_t access_info;
	uint8_t instruction_byte_count;
	uint32_t rsvd;
	uint64_t rax;
	uint8_t instruction_bytes[16];
	struct hv_x64_segment_register ds;
	struct hv_x64_segment_register es;
	uint64_t rcx;
	uint64_t rsi;
	uint64_t rdi;
};
HV_ASSERT_SIZE(struct hv_x64_io_port_intercept_message, 128);
HV_ASSERT_OFFSET(struct hv_x64_io_port_intercept_message, rax, 48);
HV_ASSERT_OFFSET(struct hv_x64_io_port_intercept_message, rcx, 104);

// HvMessageTypeUnmappedGpa, HvMessageTypeGpaIntercept.
#define HV_X64_MEMORY_ACCESS_GVA_VALID		      0x01
#define HV_X64_MEMORY_ACCESS_GVA_GPA_VALID	      0x02
#define HV_X64_MEMORY_ACCESS_HYPERCALL_OUTPUT_PENDING 0x04

struct hv_x64_memory_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t cache_type; // enum hv_cache_type
	uint8_t instruction_byte_count;
	uint8_t memory_access_info;
	uint8_t tpr_priority;
	uint8_t rsvd;
	hv_gva guest_virtual_address;
	hv_gpa guest_physical_address;
	uint8_t instruction_bytes[16];
};
HV_ASSERT_SIZE(struct hv_x64_memory_intercept_message, 80);
HV_ASSERT_OFFSET(struct hv_x64_memory_intercept_message, guest_physical_address, 56);
HV_ASSERT_OFFSET(struct hv_x64_memory_intercept_message, instruction_bytes, 64);

// HvMessageTypeX64CpuidIntercept.
struct hv_x64_cpuid_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t default_result_rax;
	uint64_t default_result_rcx;
	uint64_t default_result_rdx;
	uint64_t default_result_rbx;
};
HV_ASSERT_SIZE(struct hv_x64_cpuid_intercept_message, 104);

// HvMessageTypeX64MsrIntercept.
struct hv_x64_msr_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t msr_number;
	uint32_t rsvd;
	uint64_t rdx;
	uint64_t rax;
};
HV_ASSERT_SIZE(struct hv_x64_msr_intercept_message, 64);

// HvMessageTypeX64ExceptionIntercept.
#define HV_X64_EXCEPTION_ERROR_CODE_VALID 0x01
#define HV_X64_EXCEPTION_SOFTWARE	  0x02

struct hv_x64_exception_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t exception_vector;
	uint8_t exception_info;
	uint8_t instruction_byte_count;
	uint32_t error_code;
	uint64_t exception_parameter; // CR2 of #PF, DR6 of #DB
	uint64_t rsvd;
	uint8_t instruction_bytes[16];
	struct hv_x64_segment_register ds;
	struct hv_x64_segment_register ss;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t rsp;
	uint64_t rbp;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t r8_to_r15[8];
};
HV_ASSERT_SIZE(struct hv_x64_exception_intercept_message, 240);
HV_ASSERT_OFFSET(struct hv_x64_exception_intercept_message, exception_parameter, 48);
HV_ASSERT_OFFSET(struct hv_x64_exception_intercept_message, rax, 112);

// HvMessageTypeUnrecoverableException, HvMessageTypeX64Halt: the header is all.
struct hv_x64_unrecoverable_exception_message {
	struct hv_x64_intercept_message_header header;
};
HV_ASSERT_SIZE(struct hv_x64_unrecoverable_exception_message, 40);

struct hv_x64_halt_message {
	struct hv_x64_intercept_message_header header;
};
HV_ASSERT_SIZE(struct hv_x64_halt_message, 40);

// HvMessageTypeHypercallIntercept.
struct hv_x64_hypercall_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rbx;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t r8;
	uint64_t rsi;
	uint64_t rdi;
	struct hv_u128 xmm[6];
	uint32_t flags; // bit 0: isolated
	uint32_t rsvd;
};
HV_ASSERT_SIZE(struct hv_x64_hypercall_intercept_message, 200);
HV_ASSERT_OFFSET(struct hv_x64_hypercall_intercept_message, xmm, 96);

// HvMessageTypeX64ApicEoi: for level-triggered interrupts that the VMM asserted. No header.
struct hv_x64_apic_eoi_message {
	hv_vp_index vp_index;
	uint32_t interrupt_vector;
};
HV_ASSERT_SIZE(struct hv_x64_apic_eoi_message, 8);

// HvMessageTypeSynicSintDeliverable.
struct hv_x64_sint_deliverable_message {
	struct hv_x64_intercept_message_header header;
	uint16_t deliverable_sints;
	uint16_t rsvd1;
	uint32_t rsvd2;
};
HV_ASSERT_SIZE(struct hv_x64_sint_deliverable_message, 48);

// HvMessageTypeX64InterruptionDeliverable.
struct hv_x64_interruption_deliverable_message {
	struct hv_x64_intercept_message_header header;
	uint8_t deliverable_type; // enum hv_x64_pending_interruption_type
	uint8_t rsvd[7];
};
HV_ASSERT_SIZE(struct hv_x64_interruption_deliverable_message, 48);

// HvMessageTypeX64SipiIntercept.
struct hv_x64_sipi_intercept_message {
	struct hv_x64_intercept_message_header header;
	hv_vp_index target_vp_index;
	uint32_t vector;
};
HV_ASSERT_SIZE(struct hv_x64_sipi_intercept_message, 48);

#endif
