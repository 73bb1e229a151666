// SPDX-License-Identifier: BSD-2-Clause
// See ioapic.h. Registers as in the data sheet of Intel's 82093AA.
#include "parent/worker/platform/ioapic.h"

#include <string.h>

enum { // offsets from the base, and indices behind them
	OFFSET_INDEX = 0x00,
	OFFSET_DATA = 0x10,
	INDEX_ID = 0,
	INDEX_VERSION = 1,
	INDEX_ARBITRATION = 2,
	INDEX_REDIRECTION = 0x10,
};

#define VERSION		     (0x11u | (IOAPIC_PINS - 1) << 16)
#define ID_MASK		     0x0f000000u
#define ENTRY_MASKED	     (1ull << 16)
#define ENTRY_LEVEL	     (1ull << 15)
#define ENTRY_LOGICAL	     (1ull << 11)
#define ENTRY_READ_ONLY	     (1ull << 12 | 1ull << 14) // delivery status, remote IRR
#define ENTRY_DESTINATION(e) ((uint32_t)((e) >> 56))

void ioapic_init(struct ioapic *ioapic, void *context,
	void (*deliver)(void *context, const struct ioapic_interrupt *interrupt))
{
	memset(ioapic, 0, sizeof(*ioapic));
	ioapic->context = context;
	ioapic->deliver = deliver;
	for (int i = 0; i < IOAPIC_PINS; i++)
		ioapic->redirection[i] = ENTRY_MASKED;
}

static uint32_t read_redirection(const struct ioapic *ioapic, unsigned index)
{
	unsigned pin = (index - INDEX_REDIRECTION) / 2;

	if (index < INDEX_REDIRECTION || pin >= IOAPIC_PINS)
		return 0;
	return (uint32_t)(ioapic->redirection[pin] >> (index & 1 ? 32 : 0));
}

uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t offset)
{
	if (offset == OFFSET_INDEX)
		return ioapic->index;
	if (offset != OFFSET_DATA)
		return 0;
	switch (ioapic->index) {
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return ioapic->id;
	case INDEX_VERSION:
		return VERSION;
	default:
		return read_redirection(ioapic, ioapic->index);
	}
}

static void write_redirection(struct ioapic *ioapic, unsigned index, uint32_t value)
{
	unsigned pin = (index - INDEX_REDIRECTION) / 2;
	unsigned shift = index & 1 ? 32 : 0;
	uint64_t entry;

	if (index < INDEX_REDIRECTION || pin >= IOAPIC_PINS)
		return;
	entry = ioapic->redirection[pin] & ~((uint64_t)UINT32_MAX << shift);
	entry |= (uint64_t)value << shift;
	ioapic->redirection[pin] = entry & ~ENTRY_READ_ONLY;
}

void ioapic_write(struct ioapic *ioapic, uint32_t offset, uint32_t value)
{
	if (offset == OFFSET_INDEX)
		ioapic->index = (uint8_t)value;
	else if (offset == OFFSET_DATA && ioapic->index == INDEX_ID)
		ioapic->id = value & ID_MASK;
	else if (offset == OFFSET_DATA)
		write_redirection(ioapic, ioapic->index, value);
}

void ioapic_set_line(struct ioapic *ioapic, unsigned pin, bool high)
{
	uint32_t bit = 1u << pin;
	bool rising = high && !(ioapic->lines & bit);
	uint64_t entry = ioapic->redirection[pin];

	ioapic->lines = high ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (!rising || (entry & ENTRY_MASKED))
		return;
	ioapic->deliver(ioapic->context, &(struct ioapic_interrupt){
						 .vector = (uint8_t)entry,
						 .delivery_mode = (uint8_t)(entry >> 8 & 7),
						 .logical = entry & ENTRY_LOGICAL,
						 .level = entry & ENTRY_LEVEL,
						 .destination = ENTRY_DESTINATION(entry),
					 });
}
