// SPDX-License-Identifier: BSD-2-Clause
// Whatever a user names as kernel, initrd or disk: it is opened, or refused at once.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/common/file.h"

static char directory[] = "/tmp/lumen-file-XXXXXX";
static char path[100];
static struct failure failure;
static struct stat found;

static const char *path_of(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
}

static void teardown(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(file, .init = setup, .fini = teardown, .timeout = 60);

static void refused(const char *file, unsigned kinds, const char *why)
{
	static const int flags[] = { O_RDONLY, O_RDWR };

	for (int i = 0; i < 2; i++) {
		failure.status = 0;
		cr_assert_eq(file_open("disk", file, flags[i], kinds, &found, &failure), -1);
		cr_assert_eq(failure.status, LUMEN_EXIT_BAD_ARGUMENTS);
		cr_assert(strstr(failure.text, why), "%s: %s", file, failure.text);
		cr_assert(strstr(failure.text, file), "%s", failure.text);
	}
}

Test(file, a_long_path_leaves_room_for_the_reason)
{
	char file[5000];

	memset(file, 'k', sizeof(file) - 1);
	file[sizeof(file) - 1] = 0;
	cr_assert_eq(file_open("kernel", file, O_RDONLY, FILE_REGULAR, &found, &failure), -1);
	cr_assert(strstr(failure.text, "k... cannot be opened: File name too long."), "%s",
		failure.text);
}

Test(file, everything_else_is_named_and_not_opened)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(mkfifo(path_of("fifo"), 0600), 0);
	refused(path, FILE_REGULAR | FILE_BLOCK_DEVICE,
		" is a FIFO, neither a file nor a block device.");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of("socket"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	refused(path, FILE_REGULAR, " is a socket, not a file.");
	refused(directory, FILE_REGULAR, " is a directory, not a file.");
	refused("/dev/zero", FILE_REGULAR | FILE_BLOCK_DEVICE, " is a character device, ");
	refused("/dev/tty", FILE_REGULAR | FILE_BLOCK_DEVICE, " is a character device, ");
	refused("/dev/null", FILE_BLOCK_DEVICE, " is a character device, ");
	cr_assert_eq(symlink(path_of("loop"), path), 0);
	refused(path, FILE_REGULAR, "cannot be opened: Too many levels of symbolic links.");
	refused(path_of("missing"), FILE_REGULAR, "cannot be opened: No such file or directory.");
	cr_assert_eq(errno, ENOENT);
}

Test(file, a_file_blocks_and_closes_on_exec)
{
	int fd = open(path_of("file"), O_CREAT | O_WRONLY, 0600);

	cr_assert_eq(write(fd, "abc", 3), 3);
	close(fd);
	fd = file_open("kernel", path, O_RDWR, FILE_REGULAR, &found, &failure);
	cr_assert_geq(fd, 0, "%s", failure.text);
	cr_assert_eq(found.st_size, 3);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	refused(path, FILE_BLOCK_DEVICE, " is a file, ");
}
