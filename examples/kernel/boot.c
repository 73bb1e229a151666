// SPDX-License-Identifier: BSD-2-Clause
// What the loader says: struct hvm_start_info (PVH: Xen public headers, arch-x86/hvm/start_info.h)
// or the Multiboot 1 information. All of it is copied before memory is given out.
#include "examples/kernel/internal.h"
#include "lumen/acpi.h"

#define PVH_MAGIC	0x336ec578
#define MULTIBOOT_MAGIC 0x2badb002

enum { REGIONS_MAX = 32, COMMAND_LINE_SIZE = 1024, REGION_RAM = 1 };

struct pvh_start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, rsvd;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "struct hvm_start_info");

struct pvh_module {
	uint64_t base, size, command_line, rsvd;
};

struct pvh_region {
	uint64_t base, size;
	uint32_t type, rsvd;
};

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, command_line;
	uint32_t modules, module_list;
	uint32_t symbols[4];
	uint32_t memory_map_bytes, memory_map;
};
_Static_assert(sizeof(struct multiboot_info) == 52, "Multiboot 0.6.96, 3.3");

#define MULTIBOOT_COMMAND_LINE (1u << 2)
#define MULTIBOOT_MODULES      (1u << 3)
#define MULTIBOOT_MEMORY_MAP   (1u << 6)

struct multiboot_module {
	uint32_t start, end, command_line, rsvd;
};

struct multiboot_region { // `bytes` does not count itself
	uint32_t bytes;
	uint64_t base, size;
	uint32_t type;
} __attribute__((packed)); // base is misaligned

static char command_line[COMMAND_LINE_SIZE];
static struct kernel_region regions[REGIONS_MAX];
static uint32_t region_count;

static const void *at(uint64_t address)
{
	return (const void *)address;
}

static void keep_command_line(uint64_t address)
{
	const char *text = at(address);

	for (size_t i = 0; text && i < COMMAND_LINE_SIZE - 1 && text[i]; i++)
		command_line[i] = text[i];
}

static void keep_region(uint64_t base, uint64_t size, uint32_t type)
{
	if (region_count < REGIONS_MAX)
		regions[region_count++] = (struct kernel_region){ base, size, type == REGION_RAM };
}

static void pvh_reserve_modules(const struct pvh_start_info *info)
{
	const struct pvh_module *module = at(info->module_list);

	for (uint32_t i = 0; i < info->modules; i++)
		memory_reserve(module[i].base, module[i].size);
}

static void pvh_start(const struct pvh_start_info *info)
{
	const struct pvh_region *region = at(info->memory_map);

	lumen_acpi_set_rsdp(info->rsdp);
	keep_command_line(info->command_line);
	for (uint32_t i = 0; info->version >= 1 && i < info->memory_map_entries; i++)
		keep_region(region[i].base, region[i].size, region[i].type);
	memory_start();
	pvh_reserve_modules(info);
}

static void multiboot_start(const struct multiboot_info *info)
{
	const struct multiboot_module *module = at(info->module_list);
	uint64_t entry = info->memory_map, end = entry + info->memory_map_bytes;

	if (info->flags & MULTIBOOT_COMMAND_LINE)
		keep_command_line(info->command_line);
	while (info->flags & MULTIBOOT_MEMORY_MAP && entry < end) {
		const struct multiboot_region *region = at(entry);

		keep_region(region->base, region->size, region->type);
		entry += region->bytes + sizeof(region->bytes);
	}
	memory_start();
	for (uint32_t i = 0; info->flags & MULTIBOOT_MODULES && i < info->modules; i++)
		memory_reserve(module[i].start, module[i].end - module[i].start);
}

// A PC's firmware leaves the 8259s on, with their vectors among the exceptions. On Lumen there are
// none, and nothing is at these ports.
static void mask_old_interrupts(void)
{
	kernel_out8(0x21, 0xff);
	kernel_out8(0xa1, 0xff);
}

_Noreturn void kernel_boot(void)
{
	const struct pvh_start_info *info = at(kernel_boot_data);

	cpu_start(cpu_boot(), 0);
	if (kernel_boot_magic == MULTIBOOT_MAGIC)
		multiboot_start(at(kernel_boot_data));
	else if (info->magic == PVH_MAGIC)
		pvh_start(info);
	mask_old_interrupts();
	kernel_irq_on();
	kernel_exit(kernel_main());
}

bool kernel_memory_region(uint32_t index, struct kernel_region *region)
{
	if (index >= region_count)
		return false;
	*region = regions[index];
	return true;
}

const char *kernel_command_line(void)
{
	return command_line;
}

// If the word at `word` is `name`, alone or before '=': what comes after, else NULL.
static const char *value_of(const char *word, const char *name)
{
	while (*name && *word == *name) {
		word++;
		name++;
	}
	if (*name || (*word && *word != ' ' && *word != '='))
		return NULL;
	return *word == '=' ? word + 1 : word;
}

static const char *find_option(const char *name)
{
	const char *word = command_line, *value = NULL;

	while (*word && !value) {
		while (*word == ' ')
			word++;
		value = value_of(word, name);
		while (*word && *word != ' ')
			word++;
	}
	return value;
}

bool kernel_option(const char *name, char *value, size_t size)
{
	const char *from = find_option(name);
	size_t length = 0;

	if (!from)
		return false;
	while (size && length < size - 1 && from[length] && from[length] != ' ') {
		value[length] = from[length];
		length++;
	}
	if (size)
		value[length] = 0;
	return true;
}

static unsigned int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a') + 10 : 99;
}

uint64_t kernel_option_number(const char *name, uint64_t otherwise)
{
	const char *digits = find_option(name);
	unsigned int base = 10;
	uint64_t number = 0;

	if (!digits)
		return otherwise;
	if (digits[0] == '0' && (digits[1] | 0x20) == 'x') {
		base = 16;
		digits += 2;
	}
	if (digit_of(*digits) >= base)
		return otherwise;
	for (; digit_of(*digits) < base; digits++)
		number = number * base + digit_of(*digits);
	return number;
}
