// SPDX-License-Identifier: BSD-2-Clause
// A kernel on the network: it answers ARP and ping (ICMP echo), and sends UDP datagrams back, at
// the address of its command line (ip=10.7.0.5), until its host has enough of it (`lumenctl stop`).
// Frames are answered where they come in, in VMBus's interrupt; the only thread sleeps.
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/net.h"
#include "lumen/platform.h"
#include "lumen/synic.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff, ICMP = 1, UDP = 17 };
enum { TYPE = 12, ARP = 14, ARP_FROM = 22, ARP_TO = 32, ARP_TO_IP = 38, SHORTEST = 42 };
enum { IP = 14, IP_FRAGMENT = 20, IP_PROTOCOL = 23, IP_FROM = 26, IP_TO = 30, INNER = 34 };

static struct lumen_synic synic;
static uint8_t address[4] = { 10, 7, 0, 5 };
static uint8_t frame[1514]; // a private copy: the host can change what it has sent

// --- answers: the frame itself, turned around ---

static void swap(uint32_t a, uint32_t b, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		const uint8_t byte = frame[a + i];

		frame[a + i] = frame[b + i];
		frame[b + i] = byte;
	}
}

// RFC 826: "who has our address?" for IPv4 on Ethernet.
static bool answer_arp(const uint8_t *mac)
{
	static const uint8_t request[] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	if (__builtin_memcmp(frame + ARP, request, sizeof(request)) ||
		__builtin_memcmp(frame + ARP_TO_IP, address, 4))
		return false;
	frame[ARP + 7] = 2; // reply
	__builtin_memcpy(frame + ARP_TO, frame + ARP_FROM, 10);
	__builtin_memcpy(frame + ARP_FROM, mac, 6);
	__builtin_memcpy(frame + ARP_FROM + 6, address, 4);
	return true;
}

// RFC 792. What the type loses, the checksum gains.
static bool answer_ping(void)
{
	uint32_t sum = ((uint32_t)frame[INNER + 2] << 8 | frame[INNER + 3]) + 0x800;

	if (frame[INNER] != 8)
		return false;
	frame[INNER] = 0;
	sum += sum >> 16;
	frame[INNER + 2] = (uint8_t)(sum >> 8);
	frame[INNER + 3] = (uint8_t)sum;
	return true;
}

// IPv4 without options or fragments. Sums do not change when addresses and ports are swapped.
static bool answer_ip(void)
{
	if (frame[IP] != 0x45 || (frame[IP_FRAGMENT] & 0x3f) || frame[IP_FRAGMENT + 1] ||
		__builtin_memcmp(frame + IP_TO, address, 4))
		return false;
	swap(IP_FROM, IP_TO, 4);
	if (frame[IP_PROTOCOL] == UDP)
		swap(INNER, INNER + 2, 2);
	return frame[IP_PROTOCOL] == UDP || (frame[IP_PROTOCOL] == ICMP && answer_ping());
}

static void on_frame(void *context, struct lumen_net *net, const struct lumen_net_received *came)
{
	const uint8_t *mac = lumen_net_info(net)->mac;

	(void)context;
	if (came->length < SHORTEST || came->length > sizeof(frame))
		return;
	__builtin_memcpy(frame, came->data, came->length);
	if (frame[TYPE] != 8 ||
		!(frame[TYPE + 1] == 6 ? answer_arp(mac) : !frame[TYPE + 1] && answer_ip()))
		return;
	__builtin_memcpy(frame, frame + 6, 6);
	__builtin_memcpy(frame + 6, mac, 6);
	lumen_net_send_copy(net, frame, came->length); // busy: the frame is lost, as frames may be
}

static void on_vmbus(struct kernel_frame *interrupted)
{
	(void)interrupted;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi();
}

static void take_address(const char *text)
{
	for (uint32_t i = 0, byte = 0; i < 4; i++, byte = 0, text += *text == '.') {
		for (; *text >= '0' && *text <= '9'; text++)
			byte = byte * 10 + (uint32_t)(*text - '0');
		address[i] = (uint8_t)byte;
	}
}

static lumen_status connect(struct lumen_vmbus **bus)
{
	const struct lumen_vmbus_config config = { .synic = &synic, .vector = VECTOR_VMBUS };
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	status = status ? status : lumen_hypercall_enable(0);
	status = status ? status : lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	status = status ? status : lumen_synic_start(&synic);
	return status ? status : lumen_vmbus_connect(&config, bus);
}

int kernel_main(void)
{
	static const struct lumen_net_config config = { .receive = on_frame };
	struct lumen_channel *channel;
	struct lumen_vmbus *bus = NULL;
	struct lumen_net *net;
	char text[16];

	if (kernel_option("ip", text, sizeof(text)))
		take_address(text);
	if (!kernel_check_status(connect(&bus), "connected to the host") ||
		!kernel_check(channel = lumen_net_find(bus, 0), "the host offers a network card") ||
		!kernel_check_status(lumen_net_open(channel, &config, &net), "opened it"))
		return kernel_failures();
	kernel_print("Answering at %u.%u.%u.%u.\n", address[0], address[1], address[2], address[3]);
	for (uint32_t seen = 0; !lumen_net_status(net); seen = *lumen_net_changes(net))
		lumen_wait(lumen_net_changes(net), seen, UINT64_MAX);
	kernel_print("The card has failed: %s.\n", lumen_net_failure(net));
	return 1;
}
