// SPDX-License-Identifier: BSD-2-Clause
// Status codes of hypercalls (TLFS: HV_STATUS).
#ifndef HYPERCALL_STATUS_H
#define HYPERCALL_STATUS_H

#include "hypercall/types.h"

// X(name after HV_STATUS_, number, text)
#define HV_STATUS_TABLE(X)                                                                         \
	X(SUCCESS, 0x0000, "the call succeeded")                                                   \
	X(INVALID_HYPERCALL_CODE, 0x0002, "no such call")                                          \
	X(INVALID_HYPERCALL_INPUT, 0x0003, "bad control word")                                     \
	X(INVALID_ALIGNMENT, 0x0004, "a parameter is not aligned")                                 \
	X(INVALID_PARAMETER, 0x0005, "a parameter is invalid")                                     \
	X(ACCESS_DENIED, 0x0006, "the caller lacks the privilege or the access")                   \
	X(INVALID_PARTITION_STATE, 0x0007, "the partition is in the wrong state")                  \
	X(OPERATION_DENIED, 0x0008, "the operation is not allowed now")                            \
	X(UNKNOWN_PROPERTY, 0x0009, "no such property")                                            \
	X(PROPERTY_VALUE_OUT_OF_RANGE, 0x000a, "the value of a property is out of range")          \
	X(INSUFFICIENT_MEMORY, 0x000b, "the partition's memory pool is too small: deposit")        \
	X(PARTITION_TOO_DEEP, 0x000c, "partitions are nested too deeply")                          \
	X(INVALID_PARTITION_ID, 0x000d, "no such partition")                                       \
	X(INVALID_VP_INDEX, 0x000e, "no such virtual processor")                                   \
	X(NOT_FOUND, 0x0010, "not found")                                                          \
	X(INVALID_PORT_ID, 0x0011, "no such port")                                                 \
	X(INVALID_CONNECTION_ID, 0x0012, "no such connection")                                     \
	X(INSUFFICIENT_BUFFERS, 0x0013, "no message buffer is free")                               \
	X(NOT_ACKNOWLEDGED, 0x0014, "an earlier interrupt is not acknowledged yet")                \
	X(INVALID_VP_STATE, 0x0015, "the virtual processor is in the wrong state")                 \
	X(ACKNOWLEDGED, 0x0016, "the earlier interrupt was acknowledged")                          \
	X(INVALID_SAVE_RESTORE_STATE, 0x0017, "saving or restoring is in the wrong state")         \
	X(INVALID_SYNIC_STATE, 0x0018, "the target's SynIC is not enabled for this")               \
	X(OBJECT_IN_USE, 0x0019, "the object is in use")                                           \
	X(INVALID_PROXIMITY_DOMAIN_INFO, 0x001a, "bad proximity domain")                           \
	X(NO_DATA, 0x001b, "no data")                                                              \
	X(INACTIVE, 0x001c, "the object is not active")                                            \
	X(NO_RESOURCES, 0x001d, "nothing is left of what was asked for")                           \
	X(FEATURE_UNAVAILABLE, 0x001e, "the feature is not available")                             \
	X(PARTIAL_PACKET, 0x001f, "the packet is incomplete")                                      \
	X(PROCESSOR_FEATURE_NOT_SUPPORTED, 0x0020, "the processor lacks the feature")              \
	X(PROCESSOR_CACHE_LINE_FLUSH_SIZE_INCOMPATIBLE, 0x0030, "another CLFLUSH size")            \
	X(INSUFFICIENT_BUFFER, 0x0033, "the output buffer is too small")                           \
	X(INCOMPATIBLE_PROCESSOR, 0x0037, "the processor is not compatible")                       \
	X(INSUFFICIENT_DEVICE_DOMAINS, 0x0038, "no device domain is left")                         \
	X(CPUID_FEATURE_VALIDATION_ERROR, 0x003c, "inconsistent processor features")               \
	X(CPUID_XSAVE_FEATURE_VALIDATION_ERROR, 0x003d, "inconsistent XSAVE features")             \
	X(PROCESSOR_STARTUP_TIMEOUT, 0x003e, "a processor did not start in time")                  \
	X(SMX_ENABLED, 0x003f, "SMX is enabled")                                                   \
	X(INVALID_LP_INDEX, 0x0041, "no such logical processor")                                   \
	X(INVALID_REGISTER_VALUE, 0x0050, "the value is not valid for the register")               \
	X(INVALID_VTL_STATE, 0x0051, "the virtual trust level is in the wrong state")              \
	X(NX_NOT_DETECTED, 0x0055, "the processor lacks NX")                                       \
	X(INVALID_DEVICE_ID, 0x0057, "no such device")                                             \
	X(INVALID_DEVICE_STATE, 0x0058, "the device is in the wrong state")                        \
	X(PENDING_PAGE_REQUESTS, 0x0059, "page requests are pending")                              \
	X(PAGE_REQUEST_INVALID, 0x0060, "the page request is invalid")                             \
	X(KEY_ALREADY_EXISTS, 0x0065, "the key exists already")                                    \
	X(DEVICE_ALREADY_IN_DOMAIN, 0x0066, "the device is in a domain already")                   \
	X(INVALID_CPU_GROUP_ID, 0x006f, "no such CPU group")                                       \
	X(INVALID_CPU_GROUP_STATE, 0x0070, "the CPU group is in the wrong state")                  \
	X(OPERATION_FAILED, 0x0071, "the operation failed")                                        \
	X(NOT_ALLOWED_WITH_NESTED_VIRT_ACTIVE, 0x0072, "nested virtualization is active")          \
	X(INSUFFICIENT_ROOT_MEMORY, 0x0073, "the root's memory pool is too small")                 \
	X(EVENT_BUFFER_ALREADY_FREED, 0x0074, "the event buffer is free already")                  \
	X(TIMEOUT, 0x0078, "call again: the call was interrupted")                                 \
	X(CALL_PENDING, 0x0079, "the call completes later")                                        \
	X(VTL_ALREADY_ENABLED, 0x0086, "the virtual trust level is enabled already")               \
	X(UNKNOWN_REGISTER_NAME, 0x0087, "no such register")

enum hv_status_code {
#define HV_STATUS_ENUM(name, number, text) HV_STATUS_##name = number,
	HV_STATUS_TABLE(HV_STATUS_ENUM)
#undef HV_STATUS_ENUM
};

#define HV_STATUS_TIME_OUT HV_STATUS_TIMEOUT // the name that Linux has

#endif
