// SPDX-License-Identifier: BSD-2-Clause
// A typed wrapper for each simple call of the hypercall table that a guest may issue:
//
//	lumen_status lumen_call_PostMessage(const struct hv_input_post_message *in);
//	lumen_status lumen_call_GetPartitionId(struct hv_output_get_partition_id *out);
//	lumen_status lumen_call_GetPartitionProperty(const struct ... *in, struct ... *out);
//
// All is made from hypercall/table.h: input of up to 16 bytes of a call that may be fast and puts
// nothing out goes in registers; otherwise the blocks are as lumen_hypercall() wants them. Any
// context; errors as lumen_hypercall().
#ifndef LUMEN_CALLS_H
#define LUMEN_CALLS_H

#include "hypercall/table.h"
#include "lumen/decls.h"
#include "lumen/hypercall.h"

LUMEN_DECLS_BEGIN

static inline lumen_status lumen_call_in(uint64_t code, const void *in, size_t size, bool fast)
{
	uint64_t word[2] = { 0, 0 };

	if (!fast || size > sizeof(word))
		return lumen_hypercall(code, in, NULL);
	__builtin_memcpy(word, in, size);
	return lumen_hypercall_fast(code, word[0], word[1]);
}

// By kind and variable: a call with a list or a variable header has no wrapper.
#define LUMEN_CALL_In0(name, type, fast)                                                           \
	static inline lumen_status lumen_call_##name(const struct hv_input_##type *in)             \
	{                                                                                          \
		return lumen_call_in(HvCall##name, in, sizeof(*in), fast);                         \
	}
#define LUMEN_CALL_Out0(name, type, fast)                                                          \
	static inline lumen_status lumen_call_##name(struct hv_output_##type *out)                 \
	{                                                                                          \
		return lumen_hypercall(HvCall##name, NULL, out);                                   \
	}
#define LUMEN_CALL_InOut0(name, type, fast)                                                        \
	static inline lumen_status lumen_call_##name(                                              \
		const struct hv_input_##type *in, struct hv_output_##type *out)                    \
	{                                                                                          \
		return lumen_hypercall(HvCall##name, in, out);                                     \
	}
#define LUMEN_CALL_In1(name, type, fast)
#define LUMEN_CALL_Rep0(name, type, fast)
#define LUMEN_CALL_Rep1(name, type, fast)
#define LUMEN_CALL(code, name, type, kind, in_element, out_element, fast, variable, ...)           \
	LUMEN_CALL_##kind##variable(name, type, fast)

HV_HYPERCALL_TABLE(LUMEN_CALL)

#undef LUMEN_CALL
#undef LUMEN_CALL_In0
#undef LUMEN_CALL_Out0
#undef LUMEN_CALL_InOut0
#undef LUMEN_CALL_In1
#undef LUMEN_CALL_Rep0
#undef LUMEN_CALL_Rep1

LUMEN_DECLS_END

#endif
