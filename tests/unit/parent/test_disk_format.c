// SPDX-License-Identifier: BSD-2-Clause
// Which disks are refused as images of other formats: made-up heads and tails of each, and raw
// disks that could be confused with them.
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/worker/backends/disk_format.h"

#include "base/macros.h"

enum { SIZE = 1 << 20 };

static char path[] = "/tmp/lumen-disk-XXXXXX";
static int fd;
static struct failure failure;

static void setup(void)
{
	fd = mkstemp(path);
	cr_assert_eq(ftruncate(fd, SIZE), 0);
}

static void teardown(void)
{
	close(fd);
	unlink(path);
}

TestSuite(disk_format, .init = setup, .fini = teardown);

static void put(off_t offset, const void *bytes, size_t length)
{
	cr_assert_eq(pwrite(fd, bytes, length, offset), (ssize_t)length);
}

static bool raw(void)
{
	return disk_format_is_raw(fd, path, &failure);
}

Test(disk_format, images_of_other_formats_are_refused)
{
	static const struct {
		const char *name, *tool;
		off_t offset;
		char bytes[24];
		unsigned length;
	} images[] = {
		{ "a qcow2 image", "-f qcow2 -O raw", 0, "QFI\xfb\0\0\0\3", 8 },
		{ "a qcow2 image", "-f qcow2 -O raw", 0, "QFI\xfb\0\0\0\2", 8 },
		{ "a qcow image", "-f qcow -O raw", 0, "QFI\xfb\0\0\0\1", 8 },
		{ "a QED image", "-f qed -O raw", 0, "QED\0\0\0\1", 8 },
		{ "a VMDK image", "-f vmdk -O raw", 0, "KDMV\1\0\0\0", 8 },
		{ "a VMDK image", "-f vmdk -O raw", 0, "COWD\1\0\0\0", 8 },
		{ "a VMDK image", "-f vmdk -O raw", 0, "# Disk DescriptorFile\n", 22 },
		{ "a VHD image", "-f vpc -O raw", 0, "conectix", 8 },
		{ "a VHD image", "-f vpc -O raw", SIZE - 512, "conectix", 8 },
		{ "a VHDX image", "-f vhdx -O raw", 0, "vhdxfile", 8 },
		{ "a VDI image", "-f vdi -O raw", 64, "\x7f\x10\xda\xbe", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		cr_assert_eq(ftruncate(fd, 0), 0);
		cr_assert_eq(ftruncate(fd, SIZE), 0);
		cr_assert(raw(), "%s", failure.text);
		put(images[i].offset, images[i].bytes, images[i].length);
		cr_assert(!raw(), "%s", images[i].name);
		cr_expect(strstr(failure.text, images[i].name), "%s", failure.text);
		cr_expect(strstr(failure.text, images[i].tool), "%s", failure.text);
		cr_expect(strstr(failure.text, path));
		cr_expect(strstr(failure.text, "format=raw"));
		cr_expect_eq(failure.status, LUMEN_EXIT_BAD_ARGUMENTS);
	}
}

Test(disk_format, raw_disks_are_not)
{
	static const uint8_t boot[] = { 0xeb, 0x63, 0x90, 0xd0, 0xbc, 0x00, 0x7c };
	char noise[512];

	put(0, boot, sizeof(boot)); // GRUB's first sector, with a partition table
	put(510, "\x55\xaa", 2);
	put(512, "EFI PART", 8);
	put(SIZE - 512, "EFI PART", 8);
	cr_assert(raw(), "%s", failure.text);
	put(0, "LUKS\xba\xbe\0\2", 8); // what a child may have on its whole disk
	cr_assert(raw(), "%s", failure.text);
	put(0, "\x1f\x8b\x08\0", 4);
	put(1080, "\x53\xef", 2);
	cr_assert(raw(), "%s", failure.text);
	// Magics where they are none.
	put(1, "QFI\xfb", 4);
	put(512, "conectix", 8);
	put(SIZE - 1024, "conectix", 8);
	put(SIZE - 511, "conectix", 8);
	put(60, "\x7f\x10\xda\xbe", 4);
	cr_assert(raw(), "%s", failure.text);
	srandom(1);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)random();
		put(0, noise, sizeof(noise));
		cr_assert(raw(), "%s", failure.text);
	}
}

Test(disk_format, short_files_and_none)
{
	for (off_t size = 0; size <= 520; size += 8) {
		cr_assert_eq(ftruncate(fd, size), 0);
		cr_assert(raw(), "%s", failure.text);
	}
	cr_assert_eq(ftruncate(fd, 4), 0);
	put(0, "QED\0", 4);
	cr_assert(!raw(), "a magic that is all of the file");
	cr_assert(!disk_format_is_raw(-1, path, &failure));
	cr_assert(strstr(failure.text, "cannot be read: Bad file descriptor"), "%s", failure.text);
}
