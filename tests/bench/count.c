// SPDX-License-Identifier: BSD-2-Clause
// A QEMU plugin that counts the instructions that the whole machine executes, into a file that
// others can read at any time: -plugin bench-count.so,out=PATH. For machines with one processor:
// several would lose counts to each other.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// QEMU's plugin interface, version 1 (docs/devel/tcg-plugins.rst); Debian has no header of it.
#define EXPORT __attribute__((visibility("default")))
#define OP_ADD 0

struct qemu_plugin_tb;
typedef uint64_t plugin_id;

void qemu_plugin_register_vcpu_tb_trans_cb(
	plugin_id id, void (*callback)(plugin_id id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(
	struct qemu_plugin_tb *tb, int op, void *counter, uint64_t value);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

int qemu_plugin_version = 1;

static uint64_t *counter;

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, OP_ADD, counter, qemu_plugin_tb_n_insns(tb));
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	static const char option[] = "out=";
	int fd;

	if (argc != 1 || strncmp(argv[0], option, sizeof(option) - 1)) {
		fprintf(stderr, "bench-count: one argument, out=PATH\n");
		return -1;
	}
	fd = open(argv[0] + sizeof(option) - 1, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(*counter))) {
		perror("bench-count");
		return -1;
	}
	counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counter == MAP_FAILED) {
		perror("bench-count");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
