// SPDX-License-Identifier: BSD-2-Clause
// The kernel loader: made-up kernels that are right, and each way of being wrong.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "base/macros.h"
#include "made_kernels.h"
#include "parent/worker/platform/layout.h"
#include "parent/worker/platform/loader.h"

enum { RSDP = 0xe0000, MEMORY = 64 << 20 };

static struct guest_memory memory;
static struct loader_entry entry;
static struct failure failure;
static char kernel_path[] = "/tmp/lumen-kernel-XXXXXX";
static char initrd_path[] = "/tmp/lumen-initrd-XXXXXX";

static uint64_t get(uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, guest_memory_at(&memory, gpa, size), size);
	return value;
}

static void write_file(char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void setup(void)
{
	close(mkstemp(kernel_path));
	close(mkstemp(initrd_path));
	cr_assert(guest_memory_create(&memory, MEMORY, &failure));
}

static void teardown(void)
{
	guest_memory_destroy(&memory);
	unlink(kernel_path);
	unlink(initrd_path);
}

static bool load_with(const char *initrd, const char *command, size_t size)
{
	struct loader_input input = {
		.kernel = kernel_path, .initrd = initrd, .command = command, .rsdp = RSDP
	};

	write_file(kernel_path, file, size);
	return loader_load(&memory, &input, &entry, &failure);
}

static bool load(void)
{
	return load_with(NULL, "", FILE_SIZE);
}

// The load fails, with this in its sentence.
static void refused(const char *words)
{
	cr_expect(!load(), "%s", words);
	cr_expect(strstr(failure.text, words), "\"%s\" has no \"%s\"", failure.text, words);
	cr_expect_eq(failure.status, LUMEN_EXIT_BAD_ARGUMENTS);
	cr_expect_null(strchr(failure.text, '\n'));
}

TestSuite(loader, .init = setup, .fini = teardown);

Test(loader, bzimage_is_loaded_where_it_wants)
{
	make_bzimage();
	cr_assert(load_with(NULL, "console=ttyS0", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(entry.rip, PREFERRED);
	cr_assert_eq(entry.rsi, LAYOUT_BOOT_PARAMS);
	cr_assert_eq(entry.rbx, 0);
	cr_assert_eq(get(PREFERRED, 4), 5 * 512);
	cr_assert_eq(get(PREFERRED + FILE_SIZE - 5 * 512 - 4, 4), FILE_SIZE - 4);
	cr_assert_str_eq(guest_memory_at(&memory, LAYOUT_COMMAND_LINE, 32), "console=ttyS0");
}

Test(loader, bzimage_gets_its_boot_parameters)
{
	const uint64_t params = LAYOUT_BOOT_PARAMS;

	make_bzimage();
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(get(params + 0x070, 8), RSDP);
	cr_assert_eq(get(params + 0x210, 1), 0xff, "type_of_loader");
	cr_assert_eq(get(params + 0x214, 4), PREFERRED, "code32_start");
	cr_assert_eq(get(params + 0x228, 4), LAYOUT_COMMAND_LINE);
	cr_assert_eq(get(params + 0x218, 4), 0, "no initrd");
	cr_assert_eq(get(params + 0x264, 4), 0x12345678, "the header's unknown rest is copied");
	cr_assert_eq(get(params + 0x1e8, 1), 3, "memory map");
	cr_assert_eq(get(params + 0x2d0 + 40, 8), 0x100000);
	cr_assert_eq(get(params + 0x2d0 + 48, 8), MEMORY - 0x100000);
	cr_assert_eq(get(params + 0x2d0 + 56, 4), 1);
	cr_assert_eq(get(params + 0x2d0 + 36, 4), 2, "the hole below 1 MiB is reserved");
}

Test(loader, the_reset_vector_asks_for_a_reset)
{
	make_bzimage();
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(get(0xffff0, 8), 0xebf4ee01b00602ba, "mov $0x602, %%dx; mov $1, %%al; out");
}

Test(loader, bzimage_that_wants_to_be_where_it_cannot)
{
	make_bzimage();
	put(0x258, 1ull << 40, 8);
	refused("too little memory");
	put(0x258, 4ull << 30, 8);
	refused("too little memory");
	put(0x258, UINT64_MAX & ~0x1fffffull, 8);
	refused("too little memory");
	put(0x258, 60 << 20, 8);
	refused("too little memory");
	put(0x258, 56 << 20, 8);
	cr_assert(load(), "%s", failure.text);
	put(0x258, 0, 8);
	refused("it wants to be at 0x0");
	put(0x258, PREFERRED + 0x1000, 8);
	refused("it wants to be at 0x1001000");
}

Test(loader, initrd_is_at_the_top)
{
	static uint8_t initrd[5000] = { 1, 2, 3 };

	make_bzimage();
	write_file(initrd_path, initrd, sizeof(initrd));
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(LAYOUT_BOOT_PARAMS + 0x218, 4), MEMORY - 8192);
	cr_assert_eq(get(LAYOUT_BOOT_PARAMS + 0x21c, 4), 5000);
	cr_assert_eq(get(MEMORY - 8192, 3), 0x030201);
	put(0x22c, 0x2ffffff, 4);
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(LAYOUT_BOOT_PARAMS + 0x218, 4), 0x3000000 - 8192, "the kernel's limit");
	put(0x22c, PREFERRED + 100, 4);
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(LAYOUT_BOOT_PARAMS + 0x218, 4), PREFERRED - 8192, "below the kernel");
}

Test(loader, initrd_that_does_not_fit)
{
	make_bzimage();
	write_file(initrd_path, "x", 1);
	cr_assert_eq(truncate(initrd_path, MEMORY), 0);
	cr_assert(!load_with(initrd_path, "", FILE_SIZE));
	cr_assert(strstr(failure.text, "too little memory"), "%s", failure.text);
	cr_assert_eq(truncate(initrd_path, 0), 0);
	cr_assert(!load_with(initrd_path, "", FILE_SIZE));
	cr_assert(strstr(failure.text, "is empty"), "%s", failure.text);
	unlink(initrd_path);
	cr_assert(!load_with(initrd_path, "", FILE_SIZE));
	cr_assert(strstr(failure.text, "cannot be opened"), "%s", failure.text);
}

Test(loader, bzimage_header_is_checked)
{
	make_bzimage();
	put(0x206, 0x0204, 2);
	refused("boot protocol is 2.04");
	make_bzimage();
	put(0x211, 0, 1);
	refused("zImage");
	make_bzimage();
	put(0x201, 0x10, 1);
	refused("setup header ends at 0x212");
	make_bzimage();
	put(0x201, 0xff, 1);
	refused("setup header ends at 0x301");
	make_bzimage();
	put(0x1f1, 200, 1);
	refused("cut short");
	make_bzimage();
	put(0x1f4, FILE_SIZE / 16, 4);
	refused("cut short");
	make_bzimage();
	put(0x230, 0x300000, 4);
	refused("not a power of two");
	make_bzimage();
	put(0x260, UINT32_MAX, 4);
	refused("too little memory");
}

Test(loader, command_line_that_is_too_long)
{
	static char command[4096];

	make_bzimage();
	memset(command, 'x', 2048);
	cr_assert(!load_with(NULL, command, FILE_SIZE));
	cr_assert(strstr(failure.text, "2048 bytes"), "%s", failure.text);
	command[2047] = 0;
	cr_assert(load_with(NULL, command, FILE_SIZE), "%s", failure.text);
}

Test(loader, what_is_no_kernel)
{
	memset(file, 0, sizeof(file));
	refused("no bzImage, no ELF file, and no Multiboot image");
	cr_assert(!load_with(NULL, "", 100));
	cr_assert(strstr(failure.text, "only 100 bytes"), "%s", failure.text);
	cr_assert(!load_with(NULL, "", 0));
	unlink(kernel_path);
	cr_assert(!loader_load(&memory,
		&(struct loader_input){ .kernel = kernel_path, .command = "" }, &entry, &failure));
	cr_assert(strstr(failure.text, "cannot be opened"), "%s", failure.text);
	cr_assert(!loader_load(&memory, &(struct loader_input){ .kernel = "/tmp", .command = "" },
		&entry, &failure));
	cr_assert(strstr(failure.text, "is a directory, not a file"), "%s", failure.text);
}

// Opening one waits for its other end: for ever.
Test(loader, a_fifo_is_refused_at_once, .timeout = 60)
{
	char fifo[] = "/tmp/lumen-loader-fifo-XXXXXX";

	cr_assert_not_null(mkdtemp(fifo));
	cr_assert_eq(rmdir(fifo), 0);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	cr_assert(!loader_load(&memory, &(struct loader_input){ .kernel = fifo, .command = "" },
		&entry, &failure));
	cr_assert(strstr(failure.text, "is a FIFO, not a file"), "%s", failure.text);
	make_bzimage();
	cr_assert(!load_with(fifo, "", FILE_SIZE));
	cr_assert(strstr(failure.text, "is a FIFO, not a file"), "%s", failure.text);
	unlink(fifo);
}

Test(loader, pvh_is_loaded)
{
	const struct hvm_start_info *info;
	const struct hvm_memmap_table_entry *map;
	const struct hvm_modlist_entry *module;

	make_elf();
	write_file(initrd_path, "initrd", 6);
	cr_assert(load_with(initrd_path, "hello", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(entry.rip, 0x200040);
	cr_assert_eq(entry.rbx, LAYOUT_START_INFO);
	cr_assert_eq(get(0x200fff, 1), 0x5a);
	cr_assert_eq(get(0x201000, 1), 0, "bss");
	info = guest_memory_at(&memory, entry.rbx, sizeof(*info));
	cr_assert_eq(info->magic, XEN_HVM_START_MAGIC_VALUE);
	cr_assert_eq(info->version, 1);
	cr_assert_eq(info->rsdp_paddr, RSDP);
	cr_assert_eq(info->memmap_entries, 3);
	cr_assert_eq(info->nr_modules, 1);
	cr_assert_str_eq(guest_memory_at(&memory, info->cmdline_paddr, 6), "hello");
	map = guest_memory_at(&memory, info->memmap_paddr, 3 * sizeof(*map));
	cr_assert_eq(map[2].addr + map[2].size, MEMORY);
	module = guest_memory_at(&memory, info->modlist_paddr, sizeof(*module));
	cr_assert_eq(module->size, 6);
	cr_assert_eq(memcmp(guest_memory_at(&memory, module->paddr, 6), "initrd", 6), 0);
}

Test(loader, pvh_segments_are_checked)
{
	make_elf();
	elf_segment(0)->p_filesz = 0x4000;
	refused("larger in the file than in memory");
	make_elf();
	elf_segment(0)->p_paddr = UINT64_MAX - 0x1000;
	refused("has no end");
	make_elf();
	elf_segment(0)->p_paddr = 0x9e000;
	refused("from 0x9f000 to 0x100000 there is no RAM");
	make_elf();
	elf_segment(0)->p_paddr = 0xb8000;
	refused("from 0x9f000 to 0x100000 there is no RAM");
	make_elf();
	elf_segment(0)->p_paddr = 1ull << 40;
	refused("too little memory");
	make_elf();
	elf_segment(0)->p_memsz = MEMORY;
	refused("too little memory");
	make_elf();
	elf_segment(0)->p_offset = FILE_SIZE - 0x100;
	refused("cut short");
	make_elf();
	elf_segment(0)->p_offset = UINT64_MAX;
	refused("cut short");
}

Test(loader, pvh_header_is_checked)
{
	make_elf();
	elf_header()->e_machine = EM_AARCH64;
	refused("another processor");
	make_elf();
	elf_header()->e_type = ET_REL;
	refused("not an executable");
	make_elf();
	elf_header()->e_phnum = 1000;
	refused("damaged");
	make_elf();
	elf_header()->e_phoff = FILE_SIZE + 8;
	refused("damaged");
	make_elf();
	elf_header()->e_ident[EI_CLASS] = 9;
	refused("is not a kernel");
}

Test(loader, pvh_note_is_checked)
{
	make_elf();
	put(0x208, 6, 4);
	refused("without a PVH note and without a Multiboot header");
	make_elf();
	put(0x204, UINT32_MAX, 4);
	refused("without a PVH note and without a Multiboot header");
	make_elf();
	elf_segment(1)->p_offset = UINT64_MAX - 4;
	refused("without a PVH note and without a Multiboot header");
	make_elf();
	put(0x210, 0x100000, 4);
	refused("in none of its segments");
}

Test(loader, pvh_note_of_another_owner_is_named)
{
	make_elf();
	memcpy(file + 0x20c, "xen", 4);
	refused("the owner of its note of type 18 is \"xen\", not \"Xen\"");
	make_elf();
	memcpy(file + 0x20c, "\x1b\n\xff", 4);
	refused("is \"???\", not \"Xen\"");
	make_elf();
	put(0x200, 0, 4); // no name at all
	refused("is \"\", not \"Xen\"");
	make_elf();
	put(0x204, 2, 4);
	refused("its PVH note has an entry of 2 bytes");
	make_elf();
	put(0x200, 3, 4); // the name without its 0, which is then padding
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(entry.rip, 0x200040);
}

Test(loader, pvh_note_may_be_in_a_section_only)
{
	const Elf64_Shdr note = {
		.sh_type = SHT_NOTE, .sh_offset = 0x200, .sh_size = 20, .sh_addralign = 4
	};

	make_elf();
	elf_segment(1)->p_type = PT_NULL;
	refused("without a PVH note");
	elf_header()->e_shoff = 0x3000;
	elf_header()->e_shentsize = sizeof(note);
	elf_header()->e_shnum = 2;
	memcpy(file + 0x3000 + sizeof(note), &note, sizeof(note));
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(entry.rip, 0x200040);
}

// The loaded segment, its own bytes and its zeroes, is what the file says.
static void segment_is_whole(uint64_t gpa, uint64_t size)
{
	const uint8_t *at = guest_memory_at(&memory, gpa, size);

	for (uint64_t i = 0; i < size; i++)
		cr_assert_eq(
			at[i], i < 0x1000 ? 0x5a : 0, "at 0x%llx", (unsigned long long)(gpa + i));
}

Test(loader, a_kernel_may_be_where_the_loader_puts_its_data)
{
	static const struct {
		uint64_t gpa, size;
		uint64_t info, command_line, gdt;
	} cases[] = {
		{ 0x9000, 0x1000, LAYOUT_START_INFO, LAYOUT_COMMAND_LINE, LAYOUT_GDT },
		{ 0x5000, 0x2b000, 0x2000, 0x1000, 0x3000 },
		{ 0, 0x8000, 0x8000, LAYOUT_COMMAND_LINE, 0x9000 },
		{ 0, LAYOUT_LOW_END, 0x101000, 0x100000, 0x102000 },
		{ 0x1000, LAYOUT_LOW_END - 0x1000, 0x101000, 0x100000, 0x102000 },
		{ 0x6020, 0x100, 0x1000, LAYOUT_COMMAND_LINE, LAYOUT_GDT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct hvm_start_info *info;

		teardown();
		setup();
		make_elf();
		elf_segment(0)->p_paddr = cases[i].gpa;
		elf_segment(0)->p_memsz = cases[i].size;
		if (cases[i].size < 0x1000)
			elf_segment(0)->p_filesz = cases[i].size;
		put(0x210, cases[i].gpa + 0x40, 4);
		cr_assert(load_with(NULL, "hello", FILE_SIZE), "%s", failure.text);
		segment_is_whole(cases[i].gpa, cases[i].size);
		cr_expect_eq(entry.rbx, cases[i].info, "case %zu: 0x%x", i, entry.rbx);
		info = guest_memory_at(&memory, entry.rbx, sizeof(*info));
		cr_expect_eq(info->magic, XEN_HVM_START_MAGIC_VALUE);
		cr_expect_eq(info->memmap_entries, 3);
		cr_expect_eq(info->cmdline_paddr, cases[i].command_line, "case %zu: 0x%llx", i,
			(unsigned long long)info->cmdline_paddr);
		cr_expect_str_eq(guest_memory_at(&memory, info->cmdline_paddr, 6), "hello");
		cr_expect_eq(entry.gdt, cases[i].gdt, "case %zu: 0x%x", i, entry.gdt);
		cr_expect_eq(get(entry.gdt + 0x10, 8), 0x00cf9b000000ffff);
	}
}

Test(loader, a_kernel_that_leaves_no_room)
{
	make_elf();
	elf_segment(0)->p_paddr = 0x100000;
	elf_segment(0)->p_memsz = MEMORY - 0x100000;
	elf_segment(1)->p_type = PT_LOAD;
	elf_segment(1)->p_paddr = 0;
	elf_segment(1)->p_memsz = LAYOUT_LOW_END;
	refused("without a PVH note"); // it was the note's segment
	memcpy(file + 0x1000, "\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4", 12);
	elf_header()->e_entry = 0x100000;
	refused("leaves no room in the child's memory");
}

Test(loader, the_initrd_goes_between_segments)
{
	make_elf();
	elf_segment(0)->p_memsz = 0x1000;
	elf_segment(1)->p_type = PT_LOAD;
	elf_segment(1)->p_paddr = 0x400000;
	elf_segment(1)->p_memsz = MEMORY - 0x400000;
	elf_header()->e_entry = 0x200000;
	memcpy(file + 0x1000, "\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4", 12);
	write_file(initrd_path, "initrd", 6);
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(get(entry.rbx + 24, 4), 4), 0x3ff000);
	elf_segment(1)->p_paddr = 0x201000;
	elf_segment(1)->p_memsz = MEMORY - 0x201000;
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(get(entry.rbx + 24, 4), 4), 0x1ff000);
}

Test(loader, the_bios_data_area_says_636_kib)
{
	make_elf();
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(get(0x413, 2), 636);
	cr_assert_eq(get(0x413, 2) * 1024, LAYOUT_LOW_END);
	cr_assert_eq(get(0x400, 2), LAYOUT_CONSOLE_PORT);
	cr_assert_eq(get(0x40e, 2), 0, "no extended BIOS data area");
}

Test(loader, multiboot_is_loaded)
{
	uint64_t info;

	make_multiboot_elf();
	cr_assert(load_with(NULL, "one two", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(entry.rip, 0x400010, "the entry as a physical address");
	cr_assert_eq(entry.rax, 0x2badb002);
	cr_assert_eq(get(0x400fff, 1), 0x5a);
	cr_assert_eq(get(0x401000, 8), 0, "bss");
	info = entry.rbx;
	cr_assert_eq(get(info, 4), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	cr_assert_eq(get(info + 4, 4), 0x9f000 / 1024);
	cr_assert_eq(get(info + 8, 4), (MEMORY - 0x100000) / 1024);
	cr_assert_str_eq(strchr(guest_memory_at(&memory, get(info + 16, 4), 64), ' '), " one two");
	cr_assert_eq(strncmp(guest_memory_at(&memory, get(info + 16, 4), 64), "lumen-kernel-", 13),
		0, "the kernel's name is the first word");
	cr_assert_eq(get(info + 20, 4), 0, "no module");
	cr_assert_str_eq(guest_memory_at(&memory, get(info + 64, 4), 8), "Lumen");
}

Test(loader, multiboot_gets_the_initrd_and_the_memory_map)
{
	uint64_t module, map;

	make_multiboot_elf();
	write_file(initrd_path, "NR_CPUS=2", 9);
	cr_assert(load_with(initrd_path, "", FILE_SIZE), "%s", failure.text);
	cr_assert_eq(get(entry.rbx + 20, 4), 1);
	module = get(entry.rbx + 24, 4);
	cr_assert_eq(get(module, 4) % 4096, 0);
	cr_assert_eq(get(module + 4, 4), get(module, 4) + 9);
	cr_assert_eq(memcmp(guest_memory_at(&memory, get(module, 4), 9), "NR_CPUS=2", 9), 0);
	cr_assert_str_eq(guest_memory_at(&memory, get(module + 8, 4), 7), "initrd");
	cr_assert_eq(get(entry.rbx + 44, 4), 3 * 24);
	map = get(entry.rbx + 48, 4);
	cr_assert_eq(get(map, 4), 20);
	cr_assert_eq(get(map + 24 + 20, 4), 2, "the hole below 1 MiB is reserved");
	cr_assert_eq(get(map + 48 + 4, 8), 0x100000);
	cr_assert_eq(get(map + 48 + 12, 8), MEMORY - 0x100000);
	cr_assert_eq(get(map + 48 + 20, 4), 1);
}

Test(loader, multiboot_addresses_load_what_is_no_elf_file)
{
	make_multiboot_flat();
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(entry.rip, 0x300100);
	cr_assert_eq(entry.rax, 0x2badb002);
	cr_assert_eq(get(0x300020, 4), 0x1badb002);
	cr_assert_eq(get(0x300fff, 2), 0x77, "up to the end that the header gives");
	put(0x54, 0, 4);
	put(0x58, 0, 4);
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(get(0x300000 + FILE_SIZE - 0x20 - 1, 2), 0x77, "the whole file");
}

Test(loader, multiboot_addresses_are_checked)
{
	static const struct {
		uint32_t offset, value;
		const char *words;
	} wrong[] = {
		{ 0x4c, 0x2ff000, "make no sense" }, // the header is below what is loaded
		{ 0x50, 0x2f0000, "make no sense" }, // begins before the file
		{ 0x54, 0x2fffff, "make no sense" },
		{ 0x58, 0x300fff, "make no sense" },
		{ 0x54, 0x306000, "make no sense" },
		{ 0x58, MEMORY + 1, "too little memory" },
		{ 0x5c, 0x305000, "in none of its segments" },
		{ 0x5c, 0x2fffff, "in none of its segments" },
		{ 0x5c, UINT32_MAX, "in none of its segments" },
		{ 0x44, 0, "has no addresses" },
		{ 0x44, 0x10008, "asks for what there is not" },
		{ 0x44, 0x18000, "asks for what there is not" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make_multiboot_flat();
		put(wrong[i].offset, wrong[i].value, 4);
		put(0x48, -(0x1badb002u + *(const uint32_t *)(file + 0x44)), 4);
		refused(wrong[i].words);
	}
	make_multiboot_flat();
	put(0x54, 0x300000 + FILE_SIZE, 4);
	put(0x58, 0, 4);
	refused("cut short");
	make_multiboot_flat();
	put(0x54, 0, 4);
	put(0x58, 0x2fffff, 4);
	refused("make no sense"); // a bss that ends before its load address
	put(0x58, 0x300000 + FILE_SIZE - 0x21, 4);
	refused("make no sense"); // a bss that ends before the file
	make_multiboot_flat();
	put(0x4c, 0xfffff020, 4);
	put(0x50, 0xfffff000, 4);
	put(0x54, 0, 4);
	put(0x58, 0, 4);
	refused("make no sense"); // an end beyond 32 bits
	put(0x54, 0x100, 4);
	refused("make no sense");
	put(0x54, 0xfffff800, 4);
	refused("too little memory");
}

// What GRUB does: with addresses in the header, the ELF header is not asked.
Test(loader, multiboot_addresses_go_before_an_elf_header)
{
	static const struct {
		uint32_t header, load, load_end, bss_end;
		uint32_t size;
	} cases[] = {
		{ 0x500000, 0x500000, 0x500800, 0x505000, 0x800 },
		{ 0x500000, 0x500000, 0x501000, 0, 0x1000 },
		{ 0x500000, 0x500000, 0, 0, FILE_SIZE - 0x1000 },
		{ 0x500000, 0x500000, 0, 0x600000, FILE_SIZE - 0x1000 },
		{ 0x501000, 0x500000, 0x502000, 0, 0x2000 }, // from the file's begin
		{ 0x010000, 0x010000, 0x011000, 0x12000, 0x1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t offset = 0x1000 - (cases[i].header - cases[i].load);

		teardown();
		setup();
		make_multiboot_elf();
		put(0x1004, 0x10000, 4);
		put(0x1008, -(0x1badb002u + 0x10000), 4);
		put(0x100c, cases[i].header, 4);
		put(0x1010, cases[i].load, 4);
		put(0x1014, cases[i].load_end, 4);
		put(0x1018, cases[i].bss_end, 4);
		put(0x101c, cases[i].load + 0x40, 4);
		cr_assert(load(), "case %zu: %s", i, failure.text);
		cr_expect_eq(entry.rip, cases[i].load + 0x40);
		cr_expect_eq(memcmp(guest_memory_at(&memory, cases[i].load, cases[i].size),
				     file + offset, cases[i].size),
			0, "case %zu", i);
		cr_expect_eq(get(cases[i].load + cases[i].size, 8), 0);
		cr_expect_eq(get(0x400000, 8), 0, "nothing by the ELF header");
	}
}

Test(loader, multiboot_header_with_addresses_that_it_has_not)
{
	make_multiboot_elf();
	memset(file + 0x1000, 0, 0x1000);
	put(8192 - 12, 0x1badb002, 4);
	put(8192 - 8, 0x10000, 4);
	put(8192 - 4, -(0x1badb002u + 0x10000), 4);
	refused("without a Multiboot header"); // it leaves the first 8 KiB
}

Test(loader, multiboot_video_mode_is_a_wish)
{
	make_multiboot_elf();
	put(0x1004, 7, 4);
	put(0x1008, -(0x1badb002u + 7), 4);
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(get(entry.rbx, 4) & (1 << 11 | 1 << 12), 0, "no VBE, no framebuffer");
}

Test(loader, multiboot_header_must_be_whole_and_early)
{
	make_multiboot_elf();
	put(0x1008, 0, 4);
	refused("without a Multiboot header"); // its sum is not 0
	make_multiboot_elf();
	memmove(file + 0x1002, file + 0x1000, 12);
	put(0x1000, 0, 2);
	refused("without a Multiboot header"); // it is not aligned
	make_multiboot_elf();
	memcpy(file + 8192, file + 0x1000, 12);
	put(0x1000, 0, 4);
	refused("without a Multiboot header"); // it is behind the first 8 KiB
	make_multiboot_elf();
	put(0x18, 0xc0500000, 4);
	refused("Multiboot entry 0xc0500000 is in none of its segments");
}

Test(loader, pvh_goes_before_multiboot)
{
	make_elf();
	put(0x1000, 0x1badb002, 4);
	put(0x1004, 0, 4);
	put(0x1008, -0x1badb002u, 4);
	cr_assert(load(), "%s", failure.text);
	cr_assert_eq(entry.rax, 0);
	cr_assert_eq(get(entry.rbx, 4), XEN_HVM_START_MAGIC_VALUE);
}

Test(loader, damaged_files_are_harmless)
{
	unsigned seed = 3;

	for (int i = 0; i < 800; i++) {
		static void (*const make[])(
			void) = { make_bzimage, make_elf, make_multiboot_elf, make_multiboot_flat };

		make[i % 4]();
		for (int j = 0; j < 6; j++) {
			seed = seed * 1103515245 + 12345;
			file[(seed >> 8) % 0x290] = (uint8_t)(seed >> 20);
		}
		failure.text[0] = 0;
		cr_expect(load() || failure.text[0]);
	}
}
