// SPDX-License-Identifier: BSD-2-Clause
// How lwIP is built for this kernel: one thread, IPv4, DHCP, TCP by its raw interface. Everything
// is in pools of fixed size: what does not fit is refused, and memory stays as it is.
#pragma once

#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0 // lwIP is called by one thread, and not by interrupts
#define LWIP_SOCKET	     0
#define LWIP_NETCONN	     0
#define LWIP_RAW	     0

#define LWIP_DHCP		   1
#define DHCP_DOES_ARP_CHECK	   0 // whoever has given the address has looked
#define IP_REASSEMBLY		   0 // nobody has to send us fragments
#define IP_FRAG			   0
#define LWIP_NETIF_HOSTNAME	   1
#define LWIP_NETIF_STATUS_CALLBACK 1
// Checksums that the host computes are not computed here: card.c says which, for each frame.
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1

#define TCP_MSS		   1460
#define TCP_WND		   (4 * TCP_MSS) // requests are short
#define TCP_SND_BUF	   (32 * 1024)
#define TCP_QUEUE_OOSEQ	   0
#define TCP_LISTEN_BACKLOG 1

#define MEM_ALIGNMENT	 8
#define MEM_SIZE	 (192 * 1024)
#define PBUF_POOL_SIZE	 128  // frames that have come
#define MEMP_NUM_PBUF	 1024 // pieces of files that are on their way
#define MEMP_NUM_TCP_SEG 1024
#define MEMP_NUM_TCP_PCB 128 // with those that only wait for stragglers: the oldest makes room
#define MEMP_NUM_UDP_PCB 2

#define LWIP_STATS 1
