// SPDX-License-Identifier: BSD-2-Clause
// Multiboot 1 and Multiboot 2 information.
#include "hypervisor/x86/boot.h"
#include "hypervisor/core/log.h"
#include "hypervisor/x86/memory.h"

enum { MB1_LOADED = 0x2badb002, MB2_LOADED = 0x36d76289 };

struct boot_info boot_info;

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
};

struct mb1_module {
	uint32_t start, end, cmdline, rsvd;
};

struct mb2_tag {
	uint32_t type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
	char cmdline[];
};

struct mb2_memory {
	struct mb2_tag tag;
	uint32_t entry_size, version;
	char entries[];
};

void copy_string(char *to, const char *from, size_t size)
{
	while (--size && *from)
		*to++ = *from++;
	*to = 0;
}

static void add_module(uint64_t start, uint64_t end, const char *cmdline)
{
	struct boot_module *m = &boot_info.modules[boot_info.module_count];

	if (boot_info.module_count == BOOT_MODULES_MAX)
		return;
	boot_info.module_count++;
	m->start = start;
	m->end = end;
	copy_string(m->cmdline, cmdline, BOOT_CMDLINE_MAX);
}

static void add_memory(const struct memory_range *range)
{
	if (boot_info.memory_count < BOOT_MEMORY_MAX)
		boot_info.memory[boot_info.memory_count++] = *range;
}

static void read_mb1(const struct mb1_info *info)
{
	const struct mb1_module *module = spa_to_va(info->mods_addr);
	const char *at = spa_to_va(info->mmap_addr), *end = at + info->mmap_length;

	if (info->flags & BIT(2))
		copy_string(boot_info.cmdline, spa_to_va(info->cmdline), BOOT_CMDLINE_MAX);
	for (uint32_t i = 0; info->flags & BIT(3) && i < info->mods_count; i++, module++)
		add_module(module->start, module->end, spa_to_va(module->cmdline));
	// Each entry: the size of what follows, a range.
	for (; info->flags & BIT(6) && at < end; at += *(const uint32_t *)at + 4)
		add_memory((const void *)(at + 4));
}

static void read_mb2_tag(const struct mb2_tag *tag)
{
	const struct mb2_module *module = (const void *)tag;
	const struct mb2_memory *memory = (const void *)tag;

	if (tag->type == 1)
		copy_string(boot_info.cmdline, (const char *)(tag + 1), BOOT_CMDLINE_MAX);
	if (tag->type == 3)
		add_module(module->start, module->end, module->cmdline);
	if (tag->type == 6)
		for (const char *at = memory->entries; at < (const char *)tag + tag->size;
			at += memory->entry_size)
			add_memory((const void *)at);
}

static void read_mb2(const char *info)
{
	const char *end = info + *(const uint32_t *)info;

	for (info += 8; info < end; info += ALIGN_UP(((const struct mb2_tag *)info)->size, 8))
		read_mb2_tag((const void *)info);
}

void boot_info_read(uint32_t magic, uint32_t info)
{
	if (magic == MB1_LOADED)
		read_mb1(spa_to_va(info));
	else if (magic == MB2_LOADED)
		read_mb2(spa_to_va(info));
	else
		panic("not started by a Multiboot loader (EAX %x)", magic);
}

const char *boot_option(const char *name)
{
	size_t length = strlen(name);

	for (const char *at = boot_info.cmdline; *at; at++)
		if ((at == boot_info.cmdline || at[-1] == ' ') && !strncmp(at, name, length) &&
			at[length] == '=')
			return at + length + 1;
	return NULL;
}
