// SPDX-License-Identifier: BSD-2-Clause
// A typed wrapper for each simple call of the hypercall table that a guest may issue:
//
//	lumen_status lumen_call_PostMessage(const struct hv_input_post_message *in);
//	lumen_status lumen_call_GetPartitionId(struct hv_output_get_partition_id *out);
//	lumen_status lumen_call_GetPartitionProperty(const struct ... *in, struct ... *out);
//
// Sizes and the fast form come from hypercall/table.h: input of up to 16 bytes of a call that may
// be fast and puts nothing out goes in registers; otherwise the blocks are as lumen_hypercall()
// wants them. Any context; errors as lumen_hypercall().
#ifndef LUMEN_CALLS_H
#define LUMEN_CALLS_H

#include "hypercall/intercept.h"
#include "hypercall/interrupt.h"
#include "hypercall/memory.h"
#include "hypercall/partition.h"
#include "hypercall/port.h"
#include "hypercall/stats.h"
#include "hypercall/synic.h"
#include "hypercall/tlb.h"
#include "lumen/decls.h"
#include "lumen/hypercall.h"

LUMEN_DECLS_BEGIN

// IN(Name, input), OUT(Name, output), IN_OUT(Name, input, output): types after struct hv_input_ and
// struct hv_output_.
#define LUMEN_CALL_TABLE(IN, OUT, IN_OUT)                                                          \
	IN(FlushVirtualAddressSpace, flush_virtual_address_space)                                  \
	IN(NotifyLongSpinWait, notify_long_spin_wait)                                              \
	IN(SendSyntheticClusterIpi, send_synthetic_cluster_ipi)                                    \
	IN_OUT(CreatePartition, create_partition, create_partition)                                \
	IN(InitializePartition, initialize_partition)                                              \
	IN(FinalizePartition, finalize_partition)                                                  \
	IN(DeletePartition, delete_partition)                                                      \
	IN_OUT(GetPartitionProperty, get_partition_property, get_partition_property)               \
	IN(SetPartitionProperty, set_partition_property)                                           \
	OUT(GetPartitionId, get_partition_id)                                                      \
	IN_OUT(GetNextChildPartition, get_next_child_partition, get_next_child_partition)          \
	IN_OUT(GetMemoryBalance, get_memory_balance, get_memory_balance)                           \
	IN(InstallIntercept, install_intercept)                                                    \
	IN(CreateVp, create_vp)                                                                    \
	IN(DeleteVp, delete_vp)                                                                    \
	IN_OUT(TranslateVirtualAddress, translate_virtual_address, translate_virtual_address)      \
	IN_OUT(ReadGpa, read_gpa, read_gpa)                                                        \
	IN_OUT(WriteGpa, write_gpa, write_gpa)                                                     \
	IN(ClearVirtualInterrupt, clear_virtual_interrupt)                                         \
	IN(DeletePort, delete_port)                                                                \
	IN(DisconnectPort, disconnect_port)                                                        \
	IN(PostMessage, post_message)                                                              \
	IN(SignalEvent, signal_event)                                                              \
	IN(UnmapStatsPage, unmap_stats_page)                                                       \
	IN(RegisterInterceptResult, register_intercept_result)                                     \
	IN(UnregisterInterceptResult, unregister_intercept_result)                                 \
	IN(AssertVirtualInterrupt, assert_virtual_interrupt)                                       \
	IN(CreatePort, create_port)                                                                \
	IN(ConnectPort, connect_port)                                                              \
	IN(StartVirtualProcessor, start_virtual_processor)                                         \
	IN_OUT(SignalEventDirect, signal_event_direct, signal_event_direct)                        \
	IN(PostMessageDirect, post_message_direct)                                                 \
	IN_OUT(MapVpStatePage, map_vp_state_page, map_vp_state_page)                               \
	IN(UnmapVpStatePage, unmap_vp_state_page)                                                  \
	IN(MapStatsPage2, map_stats_page2)

// What the wrappers take from the rows.
enum lumen_call_facts {
#define LUMEN_CALL_FACTS(                                                                          \
	code, name, kind, in, in_element, out, out_element, fast, variable, privilege)             \
	LUMEN_CALL_##name##_IN = in, LUMEN_CALL_##name##_OUT = out,                                \
	LUMEN_CALL_##name##_FAST = fast && in <= HV_CALL_FAST_BYTES && !out,
	HV_HYPERCALL_TABLE(LUMEN_CALL_FACTS)
#undef LUMEN_CALL_FACTS
};

static inline lumen_status lumen_call_in(uint64_t code, const void *in, size_t size, bool fast)
{
	uint64_t word[2] = { 0, 0 };

	if (!fast)
		return lumen_hypercall(code, in, NULL);
	__builtin_memcpy(word, in, size <= sizeof(word) ? size : sizeof(word));
	return lumen_hypercall_fast(code, word[0], word[1]);
}

#define LUMEN_CALL_IN(name, type)                                                                  \
	HV_ASSERT(sizeof(struct hv_input_##type) == LUMEN_CALL_##name##_IN &&                      \
			  LUMEN_CALL_##name##_OUT == 0,                                            \
		"the types of " #name);                                                            \
	static inline lumen_status lumen_call_##name(const struct hv_input_##type *in)             \
	{                                                                                          \
		return lumen_call_in(                                                              \
			HvCall##name, in, LUMEN_CALL_##name##_IN, LUMEN_CALL_##name##_FAST);       \
	}
#define LUMEN_CALL_OUT(name, type)                                                                 \
	HV_ASSERT(LUMEN_CALL_##name##_IN == 0 &&                                                   \
			  sizeof(struct hv_output_##type) == LUMEN_CALL_##name##_OUT,              \
		"the types of " #name);                                                            \
	static inline lumen_status lumen_call_##name(struct hv_output_##type *out)                 \
	{                                                                                          \
		return lumen_hypercall(HvCall##name, NULL, out);                                   \
	}
#define LUMEN_CALL_IN_OUT(name, input, output)                                                     \
	HV_ASSERT(sizeof(struct hv_input_##input) == LUMEN_CALL_##name##_IN &&                     \
			  sizeof(struct hv_output_##output) == LUMEN_CALL_##name##_OUT,            \
		"the types of " #name);                                                            \
	static inline lumen_status lumen_call_##name(                                              \
		const struct hv_input_##input *in, struct hv_output_##output *out)                 \
	{                                                                                          \
		return lumen_hypercall(HvCall##name, in, out);                                     \
	}

LUMEN_CALL_TABLE(LUMEN_CALL_IN, LUMEN_CALL_OUT, LUMEN_CALL_IN_OUT)

#undef LUMEN_CALL_IN
#undef LUMEN_CALL_OUT
#undef LUMEN_CALL_IN_OUT

LUMEN_DECLS_END

#endif
