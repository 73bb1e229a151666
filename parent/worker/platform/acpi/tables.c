// SPDX-License-Identifier: BSD-2-Clause
// See tables.h. Layouts: ACPI 6.4, 5.2 (RSDP 5.2.5.3, RSDT 5.2.7, XSDT 5.2.8, FADT 5.2.9,
// MADT 5.2.12).
#include "parent/worker/platform/acpi/tables.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "parent/worker/platform/acpi/dsdt.h"
#include "parent/worker/platform/layout.h"

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};
_Static_assert(sizeof(struct acpi_header) == 36, "struct acpi_header");

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; // of the first 20 bytes
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t rsvd_z[3];
} __attribute__((packed)); // xsdt is misaligned
_Static_assert(sizeof(struct acpi_rsdp) == 36, "struct acpi_rsdp");

enum { RSDP_FIRST_PART = 20, ACPI_TABLES = 2 };

struct acpi_rsdt {
	struct acpi_header header;
	uint32_t tables[ACPI_TABLES];
};
_Static_assert(sizeof(struct acpi_rsdt) == 36 + 4 * ACPI_TABLES, "struct acpi_rsdt");

struct acpi_xsdt {
	struct acpi_header header;
	uint64_t tables[ACPI_TABLES];
} __attribute__((packed)); // tables is misaligned

struct acpi_gas { // Generic Address Structure, 5.2.3.2
	uint8_t space;
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed)); // so that it can be misaligned in the FADT

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t unused0[65]; // fixed hardware: there is none
	uint16_t boot_flags;
	uint8_t rsvd_z;
	uint32_t flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas unused1[8];
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed)); // x_dsdt and others are misaligned
_Static_assert(offsetof(struct acpi_fadt, boot_flags) == 109, "FADT: IAPC_BOOT_ARCH");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "FADT: Flags");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "FADT: X_DSDT");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "FADT: SLEEP_CONTROL_REG");
_Static_assert(sizeof(struct acpi_fadt) == 276, "struct acpi_fadt");

#define FADT_BOOT_NO_VGA	(1u << 2)
#define FADT_BOOT_NO_RTC	(1u << 5)
#define FADT_WBINVD		(1u << 0)
#define FADT_PROC_C1		(1u << 2)
#define FADT_NO_POWER_BUTTON	(1u << 4) // not as fixed hardware
#define FADT_NO_SLEEP_BUTTON	(1u << 5)
#define FADT_RESET_REGISTER	(1u << 10)
#define FADT_HEADLESS		(1u << 12)
#define FADT_PHYSICAL_APIC_MODE (1u << 19)
#define FADT_HW_REDUCED		(1u << 20)

struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags; // bit 0, PCAT_COMPAT: a pair of 8259. No.
};
_Static_assert(sizeof(struct acpi_madt) == 44, "struct acpi_madt");

struct madt_local_apic {
	uint8_t type, length;
	uint8_t uid, apic_id;
	uint32_t flags;
};
_Static_assert(sizeof(struct madt_local_apic) == 8, "struct madt_local_apic");

struct madt_io_apic {
	uint8_t type, length;
	uint8_t id, rsvd_z;
	uint32_t address, first_gsi;
};
_Static_assert(sizeof(struct madt_io_apic) == 12, "struct madt_io_apic");

struct madt_x2apic {
	uint8_t type, length;
	uint16_t rsvd_z;
	uint32_t apic_id, flags, uid;
};
_Static_assert(sizeof(struct madt_x2apic) == 16, "struct madt_x2apic");

enum {
	MADT_LOCAL_APIC = 0,
	MADT_IO_APIC = 1,
	MADT_X2APIC = 9,
	MADT_ENABLED = 1,
	MADT_FIRST_X2APIC_ID = 255, // the first id that a local APIC entry cannot have
};

// Memory that fills up from the front.
struct acpi_room {
	uint8_t *base;
	uint32_t used, size;
	uint64_t gpa;
	bool full;
};

// Appends bytes; returns their offset (0 once there is no room any more).
static uint32_t room_append(struct acpi_room *room, const void *bytes, uint32_t length)
{
	uint32_t at = room->used;

	if (length > room->size - at)
		room->full = true;
	if (room->full)
		return 0;
	memcpy(room->base + at, bytes, length);
	room->used += length;
	return at;
}

static void room_align(struct acpi_room *room)
{
	static const uint8_t zeroes[16];

	room_append(room, zeroes, -room->used & 15);
}

static uint8_t checksum(const uint8_t *bytes, uint32_t length)
{
	uint8_t sum = 0;

	while (length--)
		sum += *bytes++;
	return (uint8_t)-sum;
}

static struct acpi_header header(const char *signature, uint8_t revision)
{
	struct acpi_header header = {
		.revision = revision, .oem_revision = 1, .creator_revision = 1
	};

	memcpy(header.signature, signature, sizeof(header.signature));
	memcpy(header.oem_id, "LUMEN ", sizeof(header.oem_id));
	memcpy(header.oem_table_id, "CHILD   ", sizeof(header.oem_table_id));
	memcpy(header.creator_id, "LUMN", sizeof(header.creator_id));
	return header;
}

// Ends the table that begins at `start`: length and checksum. Returns its GPA.
static uint64_t room_end_table(struct acpi_room *room, uint32_t start)
{
	struct acpi_header *table = (struct acpi_header *)(room->base + start);

	if (room->full)
		return 0;
	table->length = room->used - start;
	table->checksum = 0;
	table->checksum = checksum(room->base + start, table->length);
	room_align(room);
	return room->gpa + start;
}

static struct acpi_gas port_register(uint16_t port)
{
	return (struct acpi_gas){
		.space = 1 /* system I/O */, .bits = 8, .access = 1 /* byte */, .address = port
	};
}

static uint64_t write_fadt(struct acpi_room *room, uint64_t dsdt)
{
	struct acpi_fadt fadt = {
		.header = header("FACP", 6),
		.dsdt = (uint32_t)dsdt,
		.boot_flags = FADT_BOOT_NO_VGA | FADT_BOOT_NO_RTC,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_RESET_REGISTER | FADT_HEADLESS | FADT_PHYSICAL_APIC_MODE |
			 FADT_HW_REDUCED,
		.reset = port_register(LAYOUT_RESET),
		.reset_value = LAYOUT_RESET_VALUE,
		.minor_revision = 4,
		.x_dsdt = dsdt,
		.sleep_control = port_register(LAYOUT_SLEEP_CONTROL),
		.sleep_status = port_register(LAYOUT_SLEEP_STATUS),
	};

	return room_end_table(room, room_append(room, &fadt, sizeof(fadt)));
}

static void write_processor(struct acpi_room *room, uint32_t id)
{
	struct madt_local_apic local = { MADT_LOCAL_APIC, sizeof(local), (uint8_t)id, (uint8_t)id,
		MADT_ENABLED };
	struct madt_x2apic x2apic = { MADT_X2APIC, sizeof(x2apic), 0, id, MADT_ENABLED, id };

	if (id < MADT_FIRST_X2APIC_ID)
		room_append(room, &local, sizeof(local));
	else
		room_append(room, &x2apic, sizeof(x2apic));
}

static uint64_t write_madt(struct acpi_room *room, uint32_t vp_count)
{
	struct acpi_madt madt = { .header = header("APIC", 5), .local_apic = LAYOUT_LOCAL_APIC };
	struct madt_io_apic io_apic = { MADT_IO_APIC, sizeof(io_apic), 0, 0, LAYOUT_IOAPIC, 0 };
	uint32_t start = room_append(room, &madt, sizeof(madt));

	for (uint32_t id = 0; id < vp_count; id++)
		write_processor(room, id);
	room_append(room, &io_apic, sizeof(io_apic));
	return room_end_table(room, start);
}

// The same list twice: kernels that know ACPI 1.0 only look at the RSDT.
static void write_lists(struct acpi_room *room, const uint64_t *tables, struct acpi_rsdp *rsdp)
{
	struct acpi_rsdt rsdt = { .header = header("RSDT", 1) };
	struct acpi_xsdt xsdt = { .header = header("XSDT", 1) };

	for (int i = 0; i < ACPI_TABLES; i++) {
		rsdt.tables[i] = (uint32_t)tables[i];
		xsdt.tables[i] = tables[i];
	}
	rsdp->rsdt = (uint32_t)room_end_table(room, room_append(room, &rsdt, sizeof(rsdt)));
	rsdp->xsdt = room_end_table(room, room_append(room, &xsdt, sizeof(xsdt)));
}

static void write_rsdp(struct acpi_room *room, struct acpi_rsdp rsdp)
{

	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, "LUMEN ", sizeof(rsdp.oem_id));
	rsdp.checksum = checksum((const uint8_t *)&rsdp, RSDP_FIRST_PART);
	rsdp.extended_checksum = checksum((const uint8_t *)&rsdp, sizeof(rsdp));
	memcpy(room->base, &rsdp, sizeof(rsdp));
}

uint32_t acpi_tables_write(uint8_t *to, uint32_t room_size, uint64_t gpa, uint32_t vp_count)
{
	struct acpi_room room = { .base = to, .size = room_size, .gpa = gpa };
	struct acpi_rsdp rsdp = { .revision = 2, .length = sizeof(rsdp) };
	uint64_t dsdt, tables[ACPI_TABLES];

	room_append(&room, &rsdp, sizeof(rsdp)); // its place; it is written last
	room_align(&room);
	dsdt = room_end_table(&room, room_append(&room, dsdt_aml_code, dsdt_aml_size));
	tables[0] = write_fadt(&room, dsdt);
	tables[1] = write_madt(&room, vp_count);
	write_lists(&room, tables, &rsdp);
	if (room.full)
		return 0;
	write_rsdp(&room, rsdp);
	return room.used;
}
