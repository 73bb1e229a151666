// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// A partition's message queue: from the interrupt handler to LUMEN_MSHV_GET_MESSAGE.
#include "driver.h"

#include <linux/mm.h>

void mshv_messages_init(struct mshv_messages *messages)
{
	spin_lock_init(&messages->lock);
	init_waitqueue_head(&messages->wait);
}

int mshv_messages_prepare(struct mshv_messages *messages)
{
	if (!messages->slots)
		messages->slots = kvcalloc(
			LUMEN_MSHV_MESSAGES_MAX, sizeof(*messages->slots), GFP_KERNEL_ACCOUNT);
	return messages->slots ? 0 : -ENOMEM;
}

void mshv_messages_free(struct mshv_messages *messages)
{
	kvfree(messages->slots);
}

static struct lumen_mshv_get_message *slot(struct mshv_messages *messages, unsigned int index)
{
	return &messages->slots[index % LUMEN_MSHV_MESSAGES_MAX];
}

void mshv_messages_put(
	struct mshv_messages *messages, u32 connection_id, const struct hv_message *message)
{
	struct lumen_mshv_get_message *to;
	unsigned long flags;

	BUILD_BUG_ON(sizeof(to->msg_buf) != sizeof(*message));
	spin_lock_irqsave(&messages->lock, flags);
	if (messages->tail - messages->head == LUMEN_MSHV_MESSAGES_MAX)
		messages->overflow = true;
	if (!messages->overflow) {
		to = slot(messages, messages->tail++);
		to->connection_id = connection_id;
		memcpy(to->msg_buf, message, sizeof(*message));
	}
	spin_unlock_irqrestore(&messages->lock, flags);
	wake_up(&messages->wait);
}

// A message on its way out: it stays in the queue until user space has it.
struct outgoing {
	unsigned int at;
	struct lumen_mshv_get_message message;
};

// The next message into OUT. -EAGAIN: there is none; -EOVERFLOW: and one was lost.
static int messages_peek(struct mshv_messages *messages, struct outgoing *out)
{
	int ret = 0;

	spin_lock_irq(&messages->lock);
	out->at = messages->head;
	if (messages->head != messages->tail)
		out->message = *slot(messages, messages->head);
	else
		ret = messages->overflow ? -EOVERFLOW : -EAGAIN;
	spin_unlock_irq(&messages->lock);
	return ret;
}

// Takes OUT off the queue. Returns false if somebody else has.
static bool messages_drop(struct mshv_messages *messages, const struct outgoing *out)
{
	bool mine;

	spin_lock_irq(&messages->lock);
	mine = messages->head == out->at;
	messages->head += mine;
	spin_unlock_irq(&messages->lock);
	return mine;
}

static int messages_wait(struct mshv_messages *messages, bool nonblock, struct outgoing *out)
{
	int ret = messages_peek(messages, out);

	if (ret == -EAGAIN && !nonblock &&
		wait_event_interruptible(
			messages->wait, (ret = messages_peek(messages, out)) != -EAGAIN))
		return -EINTR;
	return ret;
}

// Each turn but the last is a message that another thread has taken meanwhile.
long mshv_messages_get(struct mshv_messages *messages, bool nonblock, void __user *arg)
{
	struct outgoing out;
	int ret;

	do {
		ret = messages_wait(messages, nonblock, &out);
		if (ret)
			return ret;
		if (copy_to_user(arg, &out.message, sizeof(out.message)))
			return -EFAULT;
	} while (!messages_drop(messages, &out));
	return 0;
}

__poll_t mshv_messages_poll(struct mshv_messages *messages, struct file *file, poll_table *table)
{
	__poll_t events = 0;

	poll_wait(file, &messages->wait, table);
	spin_lock_irq(&messages->lock);
	if (messages->head != messages->tail)
		events |= EPOLLIN | EPOLLRDNORM;
	if (messages->overflow)
		events |= EPOLLERR;
	spin_unlock_irq(&messages->lock);
	return events;
}
