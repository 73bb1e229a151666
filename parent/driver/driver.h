/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the files of the driver know of each other. */
#ifndef LUMEN_MSHV_DRIVER_H
#define LUMEN_MSHV_DRIVER_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "hypercall/call.h"
#include "hypercall/intercept.h"
#include "hypercall/memory.h"
#include "hypercall/msr.h"
#include "hypercall/partition.h"
#include "hypercall/port.h"
#include "hypercall/registers.h"
#include "hypercall/stats.h"
#include "hypercall/status.h"
#include "hypercall/synic.h"
#include "hypercall/table.h"
#include "hypercall/types.h"

#include "mshv_uapi.h"

/*
 * What one partition may have, so that there is something left for the others, and each search in
 * its lists is short. The event flags of all partitions are HV_EVENT_FLAGS_COUNT.
 */
#define MSHV_MAX_VPS	 64
#define MSHV_MAX_REGIONS 1024
#define MSHV_MAX_PORTS	 LUMEN_MSHV_PORTS_MAX
#define MSHV_MAX_FLAGS	 LUMEN_MSHV_EVENT_FLAGS_MAX

/*
 * Lifetimes. A partition lives as long as a file descriptor of it or of one of its VPs; the last
 * one to go destroys it (mshv_partition_put). Interrupt handlers find partitions, VPs and ports
 * under RCU; who frees one unlinks it and calls synchronize_rcu() first.
 *
 * Locks, outer to inner: vp->lock, partition->lock, pool->lock / the port tables' lock /
 * messages.lock.
 */

/* Counters of everything that must come back when the children are gone (main.c shows them in
 * sysfs). */
struct mshv_counters {
	atomic_long_t partitions, vps, ports, connections, pinned_pages, deposited_pages;
};
extern struct mshv_counters mshv_counters;

/* ---- hvcall.c: hypercalls ---- */

struct mshv_pool;

/* One hypercall. The caller fills in the first part; the buffers hold at most 4096 bytes each. */
struct mshv_hvcall {
	u16 code;
	u16 reps;     /* 0: not a rep call */
	bool quiet;   /* no line in the log when it fails */
	u32 in_size;  /* bytes, with the list */
	u32 out_size; /* bytes */
	const void *in;
	void *out; /* zeroed by the caller; written even if the call fails half-way */

	u16 status;    /* HV_STATUS_*, valid after the call */
	u16 reps_done; /* valid after the call */
};

/*
 * Makes CALL: goes on with a rep call until it is complete, deposits memory into POOL (if any)
 * whenever the hypervisor runs out of it. Returns 0 or what mshv_errno() says. May sleep.
 */
int mshv_hvcall(struct mshv_hvcall *call, struct mshv_pool *pool);

/* mshv_hvcall() of a call that is no rep call and has no output. IN: the input structure itself. */
#define mshv_simple_call(hvcode, input, pool)                                                      \
	mshv_hvcall(                                                                               \
		&(struct mshv_hvcall){                                                             \
			.code = (hvcode), .in = &(input), .in_size = sizeof(input) },              \
		(pool))

/* HV_STATUS_* as a negative errno (0 for success). */
int mshv_errno(u16 status);

int mshv_hvcall_init(void); /* the per-processor pages */
void mshv_hvcall_exit(void);

/* ---- pool.c: memory given to the hypervisor ---- */

struct mshv_pool {
	hv_partition_id id;	 /* the partition whose pool it is */
	spinlock_t lock;	 /* guards guards */
	struct list_head guards; /* page.lru: pages that stay with us, see mshv_pool_deposit() */
	atomic_long_t pages;	 /* that the hypervisor holds */
};

/*
 * The root's own: partitions themselves and ports are made of it. The hypervisor filled it at boot;
 * what is added stays in it, also for the next time that the module is loaded.
 */
extern struct mshv_pool mshv_own_pool;

void mshv_pool_init(struct mshv_pool *pool, hv_partition_id id);

/* Deposits one block of pages (TLFS: HvCallDepositMemory). -ENOMEM or an error of the hypercall.
 * May sleep. */
int mshv_pool_deposit(struct mshv_pool *pool);

/* For a child's. Takes all free pages back and frees them; says so in the log if some are missing
 * and all should be free. */
void mshv_pool_withdraw(struct mshv_pool *pool);

/* ---- synic.c: this kernel's SynIC ---- */

/* SINTs of the root (0 is the intercepts', 2 is hv_vmbus's). */
#define MSHV_SINT_EVENTS   5
#define MSHV_SINT_MESSAGES 6

int mshv_synic_init(void); /* -EBUSY: another driver owns the SynIC */
void mshv_synic_exit(void);

/*
 * The VP that receives the messages of ports: always the same one, because messages over one
 * connection must stay in order and every VP has slots of its own.
 */
hv_vp_index mshv_synic_message_vp(void);

/* Clears an event flag of MSHV_SINT_EVENTS on all processors; its port is gone. */
void mshv_synic_clear_flag(unsigned int flag);

/* ---- partition.c ---- */

struct mshv_region;
struct mshv_vp;

/* A statistics page, mapped on first use; guarded by partition->lock. */
struct mshv_stats {
	void *page;
};

/* Messages on their way to LUMEN_MSHV_GET_MESSAGE. */
struct mshv_messages {
	spinlock_t lock; /* guards the rest; taken by the interrupt handler */
	wait_queue_head_t wait;
	unsigned int head, tail; /* free-running; tail - head messages are queued */
	bool overflow;		 /* one was lost */
	struct lumen_mshv_get_message
		*slots; /* LUMEN_MSHV_MESSAGES_MAX; made with the first port */
};

struct mshv_partition {
	hv_partition_id id;
	refcount_t refs;
	struct hlist_node hash; /* in the table by id */
	bool large_pages;	/* MSHV_PT_BIT_GPA_SUPER_PAGES */
	struct mshv_pool pool;
	struct mshv_messages messages;

	struct mutex lock; /* guards the rest; vps[] is read without it */
	bool initialized;
	struct mshv_vp *vps[MSHV_MAX_VPS];
	struct list_head regions; /* struct mshv_region; at most MSHV_MAX_REGIONS */
	unsigned int region_count;
	struct list_head ports; /* struct mshv_port; at most MSHV_MAX_PORTS */
	unsigned int port_count;
	unsigned int flag_count; /* event flags that they have, at most MSHV_MAX_FLAGS */
	struct mshv_stats stats;
};

/* MSHV_CREATE_PARTITION: the new file descriptor or an errno. */
long mshv_partition_create(void __user *arg);

/* The partition with an id, or NULL. Under RCU. */
struct mshv_partition *mshv_partition_find(hv_partition_id id);

static inline void mshv_partition_get(struct mshv_partition *partition)
{
	refcount_inc(&partition->refs);
}
/* Drops a reference; the last one destroys the partition. May sleep. */
void mshv_partition_put(struct mshv_partition *partition);

/* ---- passthru.c ---- */

/* MSHV_ROOT_HVCALL. */
long mshv_passthru(struct mshv_partition *partition, void __user *arg);

/* ---- vp.c ---- */

struct mshv_vp {
	struct mshv_partition *partition; /* the VP's file holds a reference */
	hv_vp_index index;
	struct mutex lock; /* one ioctl at a time */
	wait_queue_head_t wait;
	bool message_ready; /* release/acquire: message is complete; the VP is suspended by its
			       intercept */
	struct hv_message message;
	struct mshv_stats stats;
};

/* MSHV_CREATE_VP: the new file descriptor or an errno. */
long mshv_vp_create(struct mshv_partition *partition, void __user *arg);

/* Deletes all VPs in the hypervisor. mshv_vp_free() frees them when no interrupt handler can see
 * them. */
void mshv_vp_delete_all(struct mshv_partition *partition);
void mshv_vp_free_all(struct mshv_partition *partition);

/* A message on the intercept SINT. Interrupt context. */
void mshv_vp_intercept(const struct hv_message *message);

/* ---- pin.c: user memory that is held where it is ---- */

#define MSHV_PIN_CHUNK (PAGE_SIZE / sizeof(struct page *)) /* pages whose list is one page */

struct mshv_pins {
	struct mm_struct *mm; /* whose RLIMIT_MEMLOCK they count against */
	unsigned long count;  /* pages */
	struct page ***chunks;
};

/*
 * Pins COUNT pages from USER_ADDR (of this process) on. -ENOMEM: beyond the process's
 * RLIMIT_MEMLOCK, which does not bind CAP_IPC_LOCK, or beyond what the machine has; -EFAULT;
 * -EINTR: a fatal signal. May sleep.
 */
int mshv_pin(struct mshv_pins *pins, u64 user_addr, unsigned long count);
void mshv_unpin(struct mshv_pins *pins);

/* Frees what PINS itself takes; the pages stay pinned and charged for ever. */
void mshv_pins_forget(struct mshv_pins *pins);

static inline unsigned long mshv_pin_pfn(const struct mshv_pins *pins, unsigned long i)
{
	return page_to_pfn(pins->chunks[i / MSHV_PIN_CHUNK][i % MSHV_PIN_CHUNK]);
}

/* ---- memory.c ---- */

/* MSHV_SET_GUEST_MEMORY. */
long mshv_memory_set(struct mshv_partition *partition, void __user *arg);

/* Unmaps and unpins everything. Nothing runs in the partition any more. */
void mshv_memory_release(struct mshv_partition *partition);

/* ---- port.c ---- */

/* LUMEN_MSHV_CREATE_MESSAGE_PORT, LUMEN_MSHV_SIGNAL_EVENTFD. */
long mshv_port_message(struct mshv_partition *partition, void __user *arg);
long mshv_port_event(struct mshv_partition *partition, void __user *arg);

/* Deletes all ports and connections of the partition. */
void mshv_port_release(struct mshv_partition *partition);

/* A message on MSHV_SINT_MESSAGES. Interrupt context. */
void mshv_port_received(const struct hv_message *message);

/* ---- events.c: event flags of MSHV_SINT_EVENTS ---- */

struct eventfd_ctx;

/* Takes COUNT consecutive flags and has them signal EVENTFD. -ENOSPC. */
int mshv_events_alloc(struct eventfd_ctx *eventfd, unsigned int count, unsigned int *first);

/* They signal nobody any more, but for handlers that run right now: synchronize_rcu(), then free.
 */
void mshv_events_unhook(unsigned int first, unsigned int count);
void mshv_events_free(unsigned int first, unsigned int count);

/* FLAG was set. Interrupt context. */
void mshv_event_signaled(unsigned int flag);

/* ---- messages.c: a partition's message queue ---- */

void mshv_messages_init(struct mshv_messages *messages);
int mshv_messages_prepare(struct mshv_messages *messages); /* makes the slots; partition->lock */
void mshv_messages_free(struct mshv_messages *messages);

/* Queues a copy. Any context. */
void mshv_messages_put(
	struct mshv_messages *messages, u32 connection_id, const struct hv_message *message);

/* LUMEN_MSHV_GET_MESSAGE, and poll() of the partition's file. */
long mshv_messages_get(struct mshv_messages *messages, bool nonblock, void __user *arg);
__poll_t mshv_messages_poll(struct mshv_messages *messages, struct file *file, poll_table *table);

/* ---- stats.c, trace.c ---- */

/* LUMEN_MSHV_READ_STATS. */
long mshv_stats_read(struct mshv_partition *partition, void __user *arg);

/* Unmaps and frees the pages of the partition and its VPs; before the VPs are deleted. */
void mshv_stats_release(struct mshv_partition *partition);

int mshv_trace_init(void); /* 0 also if the hypervisor has no trace ring */
void mshv_trace_exit(void);

#endif
