// SPDX-License-Identifier: BSD-2-Clause
// A program for a Linux child's initrd: loads the kernel that is to run when this one panics.
//
//	linux-kexec KERNEL INITRD "COMMAND LINE"
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4)
		return 2;
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (!syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3],
		    (long)KEXEC_FILE_ON_CRASH))
		return 0;
	perror("linux-kexec");
	return 1;
}
