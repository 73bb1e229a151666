// SPDX-License-Identifier: BSD-2-Clause
// RSDP, RSDT or XSDT, MADT (ACPI 6.5, 5.2).
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/memory.h"

struct rsdp {
	char signature[8];
	uint8_t checksum, oem[6], revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __attribute__((packed));

struct table {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
};

static bool checksum_ok(const uint8_t *bytes, uint32_t length)
{
	uint8_t sum = 0;

	while (length--)
		sum += *bytes++;
	return !sum;
}

static uint64_t scan(uint64_t from, uint64_t to)
{
	for (; from < to; from += 16) {
		const struct rsdp *rsdp = spa_to_va(from);

		if (!memcmp(rsdp->signature, "RSD PTR ", 8) &&
			checksum_ok((const uint8_t *)rsdp, 20))
			return from;
	}
	return 0;
}

uint64_t acpi_rsdp(void)
{
	uint64_t ebda = (uint64_t) * (const uint16_t *)spa_to_va(0x40e) << 4;
	uint64_t found = ebda ? scan(ebda, ebda + 1024) : 0;

	return found ? found : scan(0xe0000, 0x100000);
}

static const struct table *find_table(const char *signature)
{
	uint64_t at = acpi_rsdp();
	const struct rsdp *rsdp = spa_to_va(at);
	const struct table *list, *table;
	bool wide = at && rsdp->revision >= 2 && rsdp->xsdt;
	unsigned int size = wide ? 8 : 4;

	if (!at)
		return NULL;
	list = spa_to_va(wide ? rsdp->xsdt : rsdp->rsdt);
	for (uint32_t offset = sizeof(*list); offset + size <= list->length; offset += size) {
		uint64_t entry = 0;

		memcpy(&entry, (const char *)list + offset, size);
		table = spa_to_va(entry);
		if (!memcmp(table->signature, signature, 4))
			return table;
	}
	return NULL;
}

unsigned int acpi_processors(uint32_t *apic_ids, unsigned int max)
{
	const struct table *madt = find_table("APIC");
	unsigned int count = 0;
	const uint8_t *entry, *end;

	if (!madt)
		return 0;
	end = (const uint8_t *)madt + madt->length;
	for (entry = (const uint8_t *)madt + 44; entry + 2 <= end && entry[1] >= 2 && count < max;
		entry += entry[1]) {
		if (entry[0] == 0 && entry[4] & 1) // local APIC, enabled
			apic_ids[count++] = entry[3];
		if (entry[0] == 9 && entry[8] & 1) // local x2APIC, enabled
			apic_ids[count++] = *(const uint32_t *)(entry + 4);
	}
	return count;
}
