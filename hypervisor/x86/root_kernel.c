// SPDX-License-Identifier: BSD-2-Clause
// Loading the root's kernel: a Linux bzImage by the 32-bit boot protocol
// (Documentation/arch/x86/boot.rst).
#include "hypervisor/core/log.h"
#include "hypervisor/core/sched.h"
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/memory.h"
#include "hypervisor/x86/state.h"

enum { // in boot_params
	BP_ACPI_RSDP = 0x070,
	BP_E820_COUNT = 0x1e8,
	BP_SETUP = 0x1f1,
	BP_E820 = 0x2d0,
	E820_MAX = 128,
};

enum { PARAMS_SPA = 0x10000, CMDLINE_SPA = 0x20000, CMDLINE_MAX = 2048 };

struct setup_header { // at BP_SETUP; what of it is the loader's business
	uint8_t setup_sects;
	uint8_t rsvd_1f2[0x202 - 0x1f2];
	char magic[4];
	uint16_t version;
	uint8_t rsvd_208[0x210 - 0x208];
	uint8_t type_of_loader;
	uint8_t rsvd_211[0x214 - 0x211];
	uint32_t code32_start, ramdisk_image, ramdisk_size;
	uint8_t rsvd_220[0x228 - 0x220];
	uint32_t cmd_line_ptr;
	uint8_t rsvd_22c[0x258 - 0x22c];
	uint64_t pref_address;
	uint32_t init_size, handover_offset;
} __attribute__((packed));
_Static_assert(offsetof(struct setup_header, code32_start) == 0x214 - BP_SETUP, "boot.rst");
_Static_assert(offsetof(struct setup_header, init_size) == 0x260 - BP_SETUP, "boot.rst");

struct e820_entry {
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

static void add_e820(uint8_t *params, uint64_t from, uint64_t to, uint32_t type)
{
	struct e820_entry *entries = (void *)(params + BP_E820);

	if (from >= to)
		return;
	if (params[BP_E820_COUNT] == E820_MAX)
		panic("the memory map has more than %u entries", E820_MAX);
	entries[params[BP_E820_COUNT]++] = (struct e820_entry){ from, to - from, type };
}

// The loader's map, with the hypervisor's pieces cut out of RAM.
static void fill_e820(uint8_t *params)
{
	for_each_memory_range(m)
	{
		uint64_t at = m->base, end = m->base + m->length;

		for (const struct spa_range *r = hypervisor_memory; r <= RESERVE; r++) {
			if (m->type != MEMORY_RAM || r->base < at || r->end > end)
				continue;
			add_e820(params, at, r->base, MEMORY_RAM);
			add_e820(params, r->base, r->end, MEMORY_RESERVED);
			at = r->end;
		}
		add_e820(params, at, end, m->type);
	}
}

// The initrd goes below the reserve, clear of where the kernel unpacks itself.
static uint64_t move_initrd(uint64_t kernel_end)
{
	const struct boot_module *initrd = &boot_info.modules[1];
	uint64_t size = initrd->end - initrd->start;
	uint64_t to = ALIGN_DOWN(MIN(RESERVE->base, 0x7fff0000ull) - size, PAGE_SIZE);

	if (size > RESERVE->base || to < kernel_end)
		panic("too little memory for the root's kernel and its initrd of %lu MiB",
			size >> 20);
	memmove(spa_to_va(to), spa_to_va(initrd->start), size);
	return to;
}

static uint64_t load_kernel(uint8_t *params)
{
	const struct boot_module *kernel = &boot_info.modules[0];
	const uint8_t *image = spa_to_va(kernel->start);
	struct setup_header *setup = (void *)(params + BP_SETUP);
	uint64_t payload, entry, size = kernel->end - kernel->start;

	memcpy(setup, image + BP_SETUP, sizeof(*setup));
	payload = (setup->setup_sects + 1) * 512ul;
	entry = setup->pref_address;
	if (size < 4096 || memcmp(setup->magic, "HdrS", 4) || setup->version < 0x020c ||
		size <= payload)
		panic("the first boot module is no Linux bzImage of boot protocol 2.12 or later");
	if (boot_info.module_count > 1) {
		setup->ramdisk_image = move_initrd(entry + setup->init_size);
		setup->ramdisk_size = boot_info.modules[1].end - boot_info.modules[1].start;
	}
	setup->type_of_loader = 0xff;
	setup->code32_start = entry;
	setup->cmd_line_ptr = CMDLINE_SPA;
	memmove(spa_to_va(entry), image + payload, size - payload);
	return entry;
}

// The first word of a module's command line is the file's name.
static void copy_cmdline(void)
{
	const char *from = boot_info.modules[0].cmdline;

	while (*from && *from != ' ')
		from++;
	while (*from == ' ')
		from++;
	copy_string(spa_to_va(CMDLINE_SPA), from, CMDLINE_MAX);
}

static void set_flat(
	struct vp *vp, enum hv_register_name name, uint16_t selector, uint16_t attributes)
{
	struct hv_register_value value = { .segment = { 0, UINT32_MAX, selector, attributes } };

	backend->set_register(vp, name, &value);
}

void start_root(void)
{
	struct vp *vp = partition_vp(root_partition, 0);
	uint8_t *params = spa_to_va(PARAMS_SPA);

	if (!boot_info.module_count)
		panic("no boot module: the first one is the root's kernel, the second its initrd");
	memset(params, 0, PAGE_SIZE);
	copy_cmdline();
	vp->regs.rip = load_kernel(params);
	fill_e820(params);
	*(uint64_t *)(params + BP_ACPI_RSDP) = acpi_rsdp();

	vp->regs.gpr[RSI] = PARAMS_SPA;
	vp->regs.rflags = 2;
	set_flat(vp, HvX64RegisterCs, 0x10, 0xc09b);
	set_flat(vp, HvX64RegisterDs, 0x18, 0xc093);
	set_flat(vp, HvX64RegisterEs, 0x18, 0xc093);
	set_flat(vp, HvX64RegisterSs, 0x18, 0xc093);
	vp_set_reg64(vp, HvX64RegisterCr0, CR0_PE | CR0_ET);
	sched_wake(vp);
}
