// SPDX-License-Identifier: BSD-2-Clause
// lumen-report N [PORT]: tells the machine this child's exit status (0 to 99), one byte to an I/O
// port. The stock kernel has no /dev/port, so this asks for the port itself.
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <termios.h>
#include <unistd.h>

#define EXIT_STATUS_PORT 0x603 // docs/worker.md, "The power block"
#define STATUS_MAX	 99

static unsigned long number(const char *text, unsigned long max)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 0);

	if (end == text || *end || value > max) {
		fprintf(stderr, "lumen-report: %s is not a number from 0 to %lu\n", text, max);
		exit(1);
	}
	return value;
}

int main(int argc, char **argv)
{
	unsigned long status, port;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: lumen-report STATUS [PORT]\n");
		return 1;
	}
	status = number(argv[1], STATUS_MAX);
	port = argc == 3 ? number(argv[2], 0xffff) : EXIT_STATUS_PORT;
	if (ioperm(port, 1, 1) != 0) {
		perror("lumen-report");
		return 1;
	}
	// What was printed must be out before the power goes.
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	outb((unsigned char)status, (unsigned short)port);
	return 0;
}
