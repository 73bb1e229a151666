// SPDX-License-Identifier: BSD-2-Clause
// IPIs by hypercall (TLFS: HvCallSendSyntheticClusterIpi and its Ex form).
#include "lumen/ipi.h"

#include "guest-sdk/vp_set_call.h"

// Words of the fixed header of the Ex form.
enum { EX_WORDS = 3 };

_Static_assert(sizeof(struct hv_input_send_synthetic_cluster_ipi_ex) == EX_WORDS * 8, "words");

lumen_status lumen_ipi_send(uint8_t vector, uint64_t vps)
{
	if (vector < HV_SYNTHETIC_IPI_VECTOR_MIN)
		return LUMEN_BAD_ARGUMENT;
	// The first word is the vector and zeroes.
	return lumen_hypercall_fast(HvCallSendSyntheticClusterIpi, vector, vps);
}

lumen_status lumen_ipi_send_ex(uint8_t vector, const struct lumen_vp_set *vps)
{
	struct set_call call;

	if (vector < HV_SYNTHETIC_IPI_VECTOR_MIN)
		return LUMEN_BAD_ARGUMENT;
	call.word[0] = vector;
	set_call_pack(&call, EX_WORDS, vps);
	return lumen_hypercall(hv_call_control(HvCallSendSyntheticClusterIpiEx, call.banks, 0, 0),
		call.word, NULL);
}
