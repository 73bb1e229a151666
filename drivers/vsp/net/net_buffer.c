// SPDX-License-Identifier: BSD-2-Clause
// What the guest lends. It may take it back at any time, also while the host is still to say what
// it is, and while frames are under way in it.
#include "drivers/vsp/net/net_internal.h"

static void answer(struct net_vsp *vsp, enum net_lent which, bool done)
{
	struct net_card_state *state = vsp->state;
	struct net_slot *slot = state->loans[which].slot;
	struct nvsp_message *message;

	state->loans[which].slot = NULL;
	if (!slot)
		return;
	message = &slot->answer;
	if (which == NET_SEND_BUFFER) {
		message->send_buffer_complete = (struct nvsp_send_buffer_complete){
			done ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE, NET_SECTION_SIZE
		};
		net_answer(slot, NVSP_SEND_SEND_BUFFER_COMPLETE);
		return;
	}
	message->receive_buffer_complete = (struct nvsp_receive_buffer_complete){
		.status = done ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE,
	};
	if (done) {
		message->receive_buffer_complete.section_count = 1;
		message->receive_buffer_complete.section = (struct nvsp_receive_section){
			.piece_size = state->room_size,
			.pieces = state->room_count,
			.end_offset = state->room_size * state->room_count,
		};
	}
	net_answer(slot, NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
}

void net_begin_loan(struct net_slot *slot, enum net_lent which, uint32_t gpadl)
{
	struct net_vsp *vsp = slot->vsp;
	struct net_loan *loan = &vsp->state->loans[which];
	const struct net_host *host = vsp->config->host;

	if (loan->state != NET_LOAN_NONE) {
		slot->answer.receive_buffer_complete.status = NVSP_STATUS_FAILURE; // both begin so
		net_answer(slot, which == NET_SEND_BUFFER ? NVSP_SEND_SEND_BUFFER_COMPLETE
							  : NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
		return;
	}
	*loan = (struct net_loan){ .state = NET_LOAN_ASKED, .gpadl = gpadl, .slot = slot };
	host->borrow(host->context, which, gpadl);
}

void net_vsp_lend(struct vsp *base, enum net_lent which, const struct vmbus_gpa_range *range)
{
	struct net_vsp *vsp = (struct net_vsp *)base;
	struct net_loan *loan = &vsp->state->loans[which];
	bool done = range && loan->state == NET_LOAN_ASKED;

	if (loan->state != NET_LOAN_ASKED && loan->state != NET_LOAN_ENDING_ASKED)
		return;
	loan->state = range ? NET_LOAN_ENDING : NET_LOAN_NONE;
	if (done) {
		loan->range = *range;
		loan->state = NET_LOAN_LENT;
		if (which == NET_RECEIVE_BUFFER && !net_make_rooms(vsp)) {
			loan->state = NET_LOAN_ENDING;
			done = false;
		}
	}
	if (done)
		net_apply(vsp);
	if (!done && !loan->slot && !vsp->base.stopped)
		vsp_fail(&vsp->base, "net: the guest does not lend any more what it has lent");
	answer(vsp, which, done);
	net_check_loans(vsp);
}

void net_end_loan(struct net_vsp *vsp, enum net_lent which)
{
	struct net_loan *loan = &vsp->state->loans[which];

	if (loan->state == NET_LOAN_ASKED)
		loan->state = NET_LOAN_ENDING_ASKED;
	if (loan->state != NET_LOAN_LENT)
		return;
	loan->state = NET_LOAN_ENDING;
	if (which == NET_RECEIVE_BUFFER)
		net_end_rooms(vsp);
	net_check_loans(vsp);
}

void net_vsp_end_loan(struct vsp *base, enum net_lent which)
{
	net_end_loan((struct net_vsp *)base, which);
}

// Those of a channel that has ended, too.
static uint32_t frames_in_flight(const struct net_card_state *state)
{
	uint32_t count = 0;

	for (const struct vsp *channel = &state->primary->base; channel; channel = channel->next)
		count += ((const struct net_vsp *)channel)->in_flight;
	return count;
}

static bool in_use(const struct net_card_state *state, enum net_lent which)
{
	return which == NET_RECEIVE_BUFFER ? state->rooms_on_wire + state->rooms_waiting > 0
					   : frames_in_flight(state) > 0;
}

void net_check_loans(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;
	const struct net_host *host = vsp->config->host;

	for (uint32_t i = 0; i < NET_LENT; i++) {
		if (state->loans[i].state != NET_LOAN_ENDING || in_use(state, i))
			continue;
		state->loans[i].state = NET_LOAN_NONE;
		host->give_back(host->context, i);
	}
}
