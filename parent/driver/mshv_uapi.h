/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The ioctls of /dev/mshv, for user space and for the driver. Part 1 has the numbers and layouts of
 * mainline Linux (6.15 and later); part 2 is Lumen's own: what a VMBus server in user space needs.
 */
#ifndef LUMEN_MSHV_UAPI_H
#define LUMEN_MSHV_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MSHV_IOCTL 0xB8

#define MSHV_HV_PAGE_SIZE 0x1000

/*
 * Part 1: mainline's.
 *
 * Every ioctl returns 0 (or a new file descriptor) or -1 with errno. An ioctl of mainline that is
 * not listed here (irqfd, ioeventfd, MSI routing, VP state, ...) gives ENOTTY.
 */

/* ---- /dev/mshv ---- */

enum {
	MSHV_PT_BIT_LAPIC,
	MSHV_PT_BIT_X2APIC,
	MSHV_PT_BIT_GPA_SUPER_PAGES,
	MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES, /* the argument is struct mshv_create_partition_v2 */
	MSHV_PT_BIT_NESTED_VIRTUALIZATION,  /* EOPNOTSUPP */
	MSHV_PT_BIT_SMT_ENABLED_GUEST,	    /* EOPNOTSUPP */
	MSHV_PT_BIT_COUNT,
};

enum {
	MSHV_PT_ISOLATION_NONE,
};

#define MSHV_NUM_CPU_FEATURES_BANKS 2

struct mshv_create_partition {
	__u64 pt_flags;	    /* 1 << MSHV_PT_BIT_* */
	__u64 pt_isolation; /* MSHV_PT_ISOLATION_NONE */
};
_Static_assert(sizeof(struct mshv_create_partition) == 16, "mshv_create_partition");

struct mshv_create_partition_v2 {
	__u64 pt_flags;
	__u64 pt_isolation;
	__u16 pt_num_cpu_fbanks; /* banks below that hold something: 0 to 2 */
	__u8 pt_rsvd[6];	 /* zero */
	__u64 pt_cpu_fbanks[MSHV_NUM_CPU_FEATURES_BANKS]; /* processor features to disable */
	__u64 pt_rsvd1[2];				  /* zero */
	__u64 pt_disabled_xsave;			  /* XSAVE features to disable */
};
_Static_assert(sizeof(struct mshv_create_partition_v2) == 64, "mshv_create_partition_v2");

/* Creates a partition (not initialized yet) and returns its file descriptor. */
#define MSHV_CREATE_PARTITION _IOW(MSHV_IOCTL, 0x00, struct mshv_create_partition)

/* ---- partition fd ---- */

struct mshv_create_vp {
	__u32 vp_index; /* below 64 */
};
_Static_assert(sizeof(struct mshv_create_vp) == 4, "mshv_create_vp");

enum {
	MSHV_SET_MEM_BIT_WRITABLE,
	MSHV_SET_MEM_BIT_EXECUTABLE,
	MSHV_SET_MEM_BIT_UNMAP,
	MSHV_SET_MEM_BIT_COUNT,
};

/*
 * Regions may not overlap in guest physical space. To unmap, size, guest_pfn and userspace_addr
 * must be those of one earlier call. The pages are pinned while they are mapped, and count against
 * RLIMIT_MEMLOCK. ENOMEM: beyond that, or beyond what the machine has; ENOSPC: 1024 regions.
 */
struct mshv_user_mem_region {
	__u64 size;	      /* bytes, multiple of 4096 */
	__u64 guest_pfn;      /* first guest page number */
	__u64 userspace_addr; /* multiple of 4096 */
	__u8 flags;	      /* 1 << MSHV_SET_MEM_BIT_*; with UNMAP the others are ignored */
	__u8 rsvd[7];	      /* zero */
};
_Static_assert(sizeof(struct mshv_user_mem_region) == 32, "mshv_user_mem_region");

/*
 * Passes a hypercall on. The driver puts the id of the fd's partition into the first eight bytes of
 * the input. Codes: 0x44, 0x45, 0x4D, 0x50, 0x51, 0x52, 0x56, 0x91, 0x94, 0xC0, 0xC1, 0xC9, 0xF4,
 * 0x101; others give EINVAL. When the hypercall was made, reps, status and the output are written
 * back, also if the ioctl fails because of the status (EIO, EINVAL, ...).
 */
struct mshv_root_hvcall {
	__u16 code;
	__u16 reps;   /* in: repetitions, 0 if the call is not a rep call; out: repetitions done */
	__u16 in_sz;  /* bytes with the list, 8 to 4096 */
	__u16 out_sz; /* bytes, 0 to 4096; 0 if out_ptr is */
	__u16 status; /* in: 0; out: HV_STATUS_* */
	__u8 rsvd[6]; /* zero */
	__u64 in_ptr;
	__u64 out_ptr;
};
_Static_assert(sizeof(struct mshv_root_hvcall) == 32, "mshv_root_hvcall");

#define MSHV_INITIALIZE_PARTITION _IO(MSHV_IOCTL, 0x00)
/* Creates a VP, suspended, and returns its file descriptor. It lives as long as the partition. */
#define MSHV_CREATE_VP	      _IOW(MSHV_IOCTL, 0x01, struct mshv_create_vp)
#define MSHV_SET_GUEST_MEMORY _IOW(MSHV_IOCTL, 0x02, struct mshv_user_mem_region)
/* On partition and VP fds. */
#define MSHV_ROOT_HVCALL _IOWR(MSHV_IOCTL, 0x07, struct mshv_root_hvcall)

/* ---- VP fd ---- */

#define MSHV_RUN_VP_BUF_SZ 256

struct mshv_run_vp {
	__u8 msg_buf[MSHV_RUN_VP_BUF_SZ]; /* out: struct hv_message, the intercept */
};
_Static_assert(sizeof(struct mshv_run_vp) == 256, "mshv_run_vp");

/*
 * Resumes the VP and waits for its next intercept message. EINTR: a signal came; the VP is
 * suspended and no message is lost (the next call resumes it). EFAULT: the message could not be
 * written; the next call gives it, and resumes nothing. One thread at a time; other ioctls
 * of the VP fd wait.
 */
#define MSHV_RUN_VP _IOR(MSHV_IOCTL, 0x00, struct mshv_run_vp)

/*
 * Part 2: Lumen's. All but the last on the partition fd. Reserved fields are zero (else EINVAL).
 */

/* Takes the port (the connection of the child) away again. */
#define LUMEN_MSHV_PORT_DEASSIGN 1u

/*
 * Messages that wait for LUMEN_MSHV_GET_MESSAGE, per partition. A child that has more outstanding
 * breaks every VMBus protocol there is: later messages are not kept, poll() gives POLLERR, and
 * GET_MESSAGE gives EOVERFLOW for good once it has returned the queued ones. End such a child.
 */
#define LUMEN_MSHV_MESSAGES_MAX 1024

/* Message and event ports that a partition may have, and flags that its event ports may. */
#define LUMEN_MSHV_PORTS_MAX	   512
#define LUMEN_MSHV_EVENT_FLAGS_MAX 256

/*
 * What the child posts to CONNECTION_ID (HvCallPostMessage) goes to the partition's message queue,
 * in order. EEXIST: the connection is there; ENOENT: DEASSIGN of one that is not; EINVAL: before
 * MSHV_INITIALIZE_PARTITION; ENOSPC: the partition has LUMEN_MSHV_PORTS_MAX.
 */
struct lumen_mshv_message_port {
	__u32 connection_id;
	__u32 flags; /* LUMEN_MSHV_PORT_DEASSIGN */
};
_Static_assert(sizeof(struct lumen_mshv_message_port) == 8, "lumen_mshv_message_port");

/* The next message. Waits (EINTR), or EAGAIN if the fd is O_NONBLOCK; poll() gives POLLIN when one
 * is there. EFAULT: it could not be written; it stays the next one. */
struct lumen_mshv_get_message {
	__u32 connection_id; /* out: the one that it came over */
	__u32 rsvd;
	__u8 msg_buf[256]; /* out: struct hv_message */
};
_Static_assert(sizeof(struct lumen_mshv_get_message) == 264, "lumen_mshv_get_message");

/*
 * When the child signals CONNECTION_ID (HvCallSignalEvent, any flag number below FLAG_COUNT), the
 * eventfd is signalled. Errors as for message ports; ENOSPC also: the partition has its share of
 * the event flags, or there are none left (2048 for all children). DEASSIGN: flag_count and fd are
 * ignored; when it returns the eventfd is not signalled any more.
 */
struct lumen_mshv_signal_eventfd {
	__u32 connection_id;
	__u16 flag_count; /* 1 to 2048; LUMEN_MSHV_EVENT_FLAGS_MAX for the partition's ports
			     together */
	__u16 rsvd;
	__s32 fd;
	__u32 flags; /* LUMEN_MSHV_PORT_DEASSIGN */
};
_Static_assert(sizeof(struct lumen_mshv_signal_eventfd) == 16, "lumen_mshv_signal_eventfd");

#define LUMEN_MSHV_STATS_PARTITION 0x00010001u /* HvStatsObjectPartition */
#define LUMEN_MSHV_STATS_VP	   0x00010002u /* HvStatsObjectVp */

/* Copies a statistics page (HvCallMapStatsPage2) out: 64-bit counters. */
struct lumen_mshv_read_stats {
	__u32 object_type; /* LUMEN_MSHV_STATS_* */
	__u32 vp_index;	   /* 0 for the partition's */
	__u64 buf_ptr;
	__u32 buf_sz; /* bytes, at most 4096: the first ones of the page */
	__u32 rsvd;
};
_Static_assert(sizeof(struct lumen_mshv_read_stats) == 24, "lumen_mshv_read_stats");

#define LUMEN_MSHV_RUN_REGISTERS 8

/*
 * MSHV_RUN_VP, on the VP fd, that first sets registers: the answer to the last intercept, in the
 * same hypercall that resumes the VP. Fails as that hypercall does (EIO, EINVAL, ...), and as
 * MSHV_RUN_VP. Whatever it returns, register_count is 0 afterwards if the registers have been set.
 */
struct lumen_mshv_run_vp {
	__u32 register_count; /* in: 0 to 8; out: 0 if they are set */
	__u32 rsvd;
	__u8 registers[LUMEN_MSHV_RUN_REGISTERS][32]; /* in: struct hv_register_assoc */
	__u8 msg_buf[MSHV_RUN_VP_BUF_SZ];	      /* out: struct hv_message, the intercept */
};
_Static_assert(sizeof(struct lumen_mshv_run_vp) == 520, "lumen_mshv_run_vp");

#define LUMEN_MSHV_CREATE_MESSAGE_PORT _IOW(MSHV_IOCTL, 0x80, struct lumen_mshv_message_port)
#define LUMEN_MSHV_GET_MESSAGE	       _IOR(MSHV_IOCTL, 0x81, struct lumen_mshv_get_message)
#define LUMEN_MSHV_SIGNAL_EVENTFD      _IOW(MSHV_IOCTL, 0x82, struct lumen_mshv_signal_eventfd)
#define LUMEN_MSHV_READ_STATS	       _IOW(MSHV_IOCTL, 0x83, struct lumen_mshv_read_stats)
/* The hypervisor's id of the partition. */
#define LUMEN_MSHV_GET_PARTITION_ID _IOR(MSHV_IOCTL, 0x84, __u64)
#define LUMEN_MSHV_RUN_VP	    _IOWR(MSHV_IOCTL, 0x85, struct lumen_mshv_run_vp)

/*
 * /dev/mshv-trace: the hypervisor's trace ring, read-only: read() and lseek() see the ring's memory
 * as it is, all of its bytes (hypercall/lumen_trace.h). It exists if the hypervisor has one.
 *
 * /sys/class/misc/mshv/ has one decimal number per file: partitions, vps, ports, connections,
 * deposited_pages, pinned_pages. All are 0 when no child exists, but for deposited_pages, which
 * keeps what the root's own pool took (own_deposited_pages is that part).
 */

#endif
