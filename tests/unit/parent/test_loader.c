// SPDX-License-Identifier: BSD-2-Clause
// The kernel loader: made-up kernels that are right, and each way of being wrong.
#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "parent/worker/layout.h"
#include "parent/worker/loader.h"

enum { FILE_SIZE = 64 << 10, RSDP = 0xe0000, MEMORY = 64 << 20, PREFERRED = 16 << 20 };

static struct guest_memory memory;
static struct loader_entry entry;
static struct failure failure;
static uint8_t file[FILE_SIZE];
static char kernel_path[] = "/tmp/lumen-kernel-XXXXXX";
static char initrd_path[] = "/tmp/lumen-initrd-XXXXXX";

static void put(unsigned offset, uint64_t value, unsigned size)
{
	memcpy(file + offset, &value, size);
}

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

// A bzImage whose protected-mode code is its own file offsets.
static void make_bzimage(void)
{
	memset(file, 0, sizeof(file));
	for (unsigned i = 5 * 512; i + 4 <= FILE_SIZE; i += 4)
		put(i, i, 4);
	put(0x1f1, 4, 1);
	put(0x1f4, (FILE_SIZE - 5 * 512) / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	memcpy(file + 0x202, "HdrS", 4);
	put(0x206, 0x020f, 2);
	put(0x211, 1, 1);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, 0x200000, 4);
	put(0x234, 1, 1);
	put(0x238, 2047, 4);
	put(0x258, PREFERRED, 8);
	put(0x260, 8 << 20, 4);
	put(0x264, 0x12345678, 4); // a field of newer protocols
}

// An ELF kernel with one segment, and a note that says where to enter.
static void make_elf(void)
{
	Elf64_Ehdr header = { .e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2 };
	Elf64_Phdr load = { .p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_paddr = 0x200000,
		.p_filesz = 0x1000,
		.p_memsz = 0x3000,
		.p_align = 0x1000 };
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_memsz = 20, .p_align = 4
	};
	Elf64_Nhdr note_header = { .n_namesz = 4, .n_descsz = 4, .n_type = 18 };

	memset(file, 0, sizeof(file));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), &load, sizeof(load));
	memcpy(file + sizeof(header) + sizeof(load), &note, sizeof(note));
	memcpy(file + 0x200, &note_header, sizeof(note_header));
	memcpy(file + 0x20c, "Xen", 4);
	put(0x210, 0x200040, 4);
	memset(file + 0x1000, 0x5a, 0x1000);
}

static Elf64_Ehdr *elf_header(void)
{
	return (Elf64_Ehdr *)file;
}

static Elf64_Phdr *elf_segment(unsigned index)
{
	return (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)) + index;
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
	refused("neither a bzImage nor an ELF file");
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
Test(loader, a_fifo_is_refused_at_once, .timeout = 10)
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
	elf_segment(0)->p_paddr = 0x9000;
	refused("below 1 MiB");
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
	memcpy(file + 0x20c, "GNU", 4);
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

// An ELF file of 32 bits as others load it by Multiboot: no note, a header, an entry that is a
// virtual address.
static void make_multiboot_elf(void)
{
	Elf32_Ehdr header = { .e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = 0xc0400010,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 1 };
	Elf32_Phdr load_segment = { .p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_vaddr = 0xc0400000,
		.p_paddr = 0x400000,
		.p_filesz = 0x1000,
		.p_memsz = 0x9000,
		.p_align = 0x1000 };

	memset(file, 0, sizeof(file));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS32;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), &load_segment, sizeof(load_segment));
	memset(file + 0x1000, 0x5a, 0x1000);
	put(0x1000, 0x1badb002, 4);
	put(0x1004, 3, 4);
	put(0x1008, -(0x1badb002u + 3), 4);
}

// A file of no format but its Multiboot header, at 0x40, with addresses: loaded from its offset
// 0x20 on.
static void make_multiboot_flat(void)
{
	memset(file, 0x77, sizeof(file));
	memset(file + 0x1f0, 0, 0x20);
	put(0x40, 0x1badb002, 4);
	put(0x44, 0x10000, 4);
	put(0x48, -(0x1badb002u + 0x10000), 4);
	put(0x4c, 0x300020, 4); // the header's address
	put(0x50, 0x300000, 4); // load address
	put(0x54, 0x301000, 4); // its end
	put(0x58, 0x305000, 4); // end of the bss
	put(0x5c, 0x300100, 4); // entry
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
		{ 0x44, 0, "has no addresses" },
		{ 0x44, 0x10004, "asks for what there is not" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		make_multiboot_flat();
		put(wrong[i].offset, wrong[i].value, 4);
		put(0x48, -(0x1badb002u + (uint32_t)(file[0x44] | file[0x46] << 16)), 4);
		refused(wrong[i].words);
	}
	make_multiboot_flat();
	put(0x54, 0x300000 + FILE_SIZE, 4);
	put(0x58, 0, 4);
	refused("cut short");
	make_multiboot_flat();
	put(0x4c, 0x10020, 4);
	put(0x50, 0x10000, 4);
	put(0x54, 0x11000, 4);
	put(0x58, 0, 4);
	refused("below 1 MiB");
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
