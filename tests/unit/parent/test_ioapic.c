// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC: its registers as the kernel probes them, and edges to interrupts.
#include <criterion/criterion.h>

#include "parent/worker/platform/ioapic.h"

static struct ioapic ioapic;
static struct ioapic_interrupt last;
static int delivered;

static void on_deliver(void *context, const struct ioapic_interrupt *interrupt)
{
	(void)context;
	last = *interrupt;
	delivered++;
}

static void setup(void)
{
	delivered = 0;
	ioapic_init(&ioapic, NULL, on_deliver);
}

static uint32_t get(uint32_t index)
{
	ioapic_write(&ioapic, 0x00, index);
	return ioapic_read(&ioapic, 0x10);
}

static void set(uint32_t index, uint32_t value)
{
	ioapic_write(&ioapic, 0x00, index);
	ioapic_write(&ioapic, 0x10, value);
}

TestSuite(ioapic, .init = setup);

Test(ioapic, has_24_masked_pins)
{
	cr_assert_eq(get(1), 0x00170011);
	for (uint32_t pin = 0; pin < 24; pin++) {
		cr_assert_eq(get(0x10 + 2 * pin), 0x10000);
		cr_assert_eq(get(0x11 + 2 * pin), 0);
	}
}

Test(ioapic, the_id_can_be_set)
{
	set(0, 0xffffffff);
	cr_assert_eq(get(0), 0x0f000000);
	set(1, 0);
	cr_assert_eq(get(1), 0x00170011, "the version cannot");
}

Test(ioapic, an_edge_is_delivered_as_programmed)
{
	set(0x18 + 1, 0x03000000);
	set(0x18, 0x0831);
	cr_assert_eq(get(0x18), 0x0831);
	ioapic_set_line(&ioapic, 4, true);
	cr_assert_eq(delivered, 1);
	cr_assert_eq(last.vector, 0x31);
	cr_assert_eq(last.delivery_mode, 0);
	cr_assert(last.logical);
	cr_assert(!last.level);
	cr_assert_eq(last.destination, 3);
	ioapic_set_line(&ioapic, 4, true);
	cr_assert_eq(delivered, 1, "no second edge without a fall");
	ioapic_set_line(&ioapic, 4, false);
	ioapic_set_line(&ioapic, 4, true);
	cr_assert_eq(delivered, 2);
}

Test(ioapic, a_masked_pin_delivers_nothing)
{
	set(0x18, 0x10031);
	ioapic_set_line(&ioapic, 4, true);
	cr_assert_eq(delivered, 0);
}

Test(ioapic, read_only_bits_stay)
{
	set(0x18, 0x15000);
	cr_assert_eq(get(0x18), 0x10000, "delivery status and remote IRR are the APIC's");
}

Test(ioapic, what_is_not_there_reads_as_zero)
{
	cr_assert_eq(get(0x03), 0);
	cr_assert_eq(get(0x40), 0);
	cr_assert_eq(get(0xff), 0);
	set(0x40, 0xffffffff);
	set(0xff, 0xffffffff);
	cr_assert_eq(ioapic_read(&ioapic, 0x20), 0);
	ioapic_write(&ioapic, 0x40, 5);
	cr_assert_eq(ioapic_read(&ioapic, 0x00), 0xff);
}
