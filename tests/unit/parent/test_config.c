// SPDX-License-Identifier: BSD-2-Clause
// A child's config and run directory: what comes back is what was written, and states are told
// apart.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/common/child_config.h"
#include "parent/common/exit_status.h"
#include "parent/common/rundir.h"

static struct child_config config, copy;
static char base[] = "/tmp/lumen-run-XXXXXX";
static char directory[RUNDIR_PATH_MAX];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(base));
	setenv("LUMEN_RUN_DIR", base, 1);
	snprintf(directory, sizeof(directory), "%s/a", base);
	cr_assert_eq(mkdir(directory, 0700), 0);
	child_config_init(&config);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", base);
	cr_expect_eq(system(command), 0);
}

TestSuite(config, .init = setup, .fini = teardown);

static const char *path_of(const char *file)
{
	static char path[RUNDIR_PATH_MAX];

	cr_assert(rundir_path(path, "a", file));
	return path;
}

Test(config, comes_back_as_written)
{
	static const char *const pairs[][2] = { { "kernel", "/boot/vm linuz" },
		{ "append", "root=/dev/sda  quiet" }, { "memory", "1G" }, { "cpus", "4" },
		{ "timeout", "90" }, { "test-devices", "on" }, { "disk", "/a,ro" },
		{ "disk", "/b,serial=A-1_b.c" }, { "disk", "/odd,ro,rw" },
		{ "disk", "/like,serial=x,rw,serial=" } };
	char error[300] = "";

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		cr_assert_null(child_config_set(&config, pairs[i][0], pairs[i][1]));
	cr_assert_eq(child_config_write(&config, path_of(RUNDIR_CONFIG)), 0);
	cr_assert(child_config_read(&copy, path_of(RUNDIR_CONFIG), error, sizeof(error)), "%s",
		error);
	cr_assert_str_eq(copy.kernel, "/boot/vm linuz");
	cr_assert_str_eq(copy.append, "root=/dev/sda  quiet");
	cr_assert_eq(copy.vps, 4);
	cr_assert_eq(copy.timeout_s, 90);
	cr_assert_eq(copy.disk_count, 4);
	cr_assert_str_eq(copy.disks[0].path, "/a");
	cr_assert_eq(copy.memory, 1ull << 30);
	cr_assert(copy.disks[0].read_only);
	cr_assert(!copy.disks[1].read_only);
	cr_assert_str_eq(copy.disks[1].path, "/b");
	cr_assert_str_eq(copy.disks[1].serial, "A-1_b.c");
	cr_assert_str_eq(copy.disks[2].path, "/odd,ro");
	cr_assert_str_eq(copy.disks[2].serial, "");
	cr_assert_str_eq(copy.disks[3].path, "/like,serial=x");
	cr_assert_str_eq(copy.disks[3].serial, "");
}

Test(config, a_disk_has_options_at_its_end)
{
	static const struct {
		const char *text, *path;
		bool read_only, raw;
	} disks[] = {
		{ "/a", "/a", false, false },
		{ "/a,ro", "/a", true, false },
		{ "/a,format=raw", "/a", false, true },
		{ "/a,ro,format=raw", "/a", true, true },
		{ "/a,format=raw,ro", "/a", true, true },
		{ "/a,ro,rw", "/a,ro", false, false },
		{ "/a,format=raw,format=auto", "/a,format=raw", false, false },
		{ "/a,b", "/a,b", false, false },
		{ "/a,b,ro", "/a,b", true, false },
	};
	char error[300];

	for (size_t i = 0; i < sizeof(disks) / sizeof(*disks); i++) {
		const struct child_disk *disk = &config.disks[0];

		child_config_init(&config);
		cr_assert_null(child_config_set(&config, "disk", disks[i].text));
		for (int round = 0; round < 2; round++) {
			cr_expect_str_eq(disk->path, disks[i].path, "%s", disks[i].text);
			cr_expect_eq(disk->read_only, disks[i].read_only, "%s", disks[i].text);
			cr_expect_eq(disk->raw, disks[i].raw, "%s", disks[i].text);
			cr_assert_eq(child_config_write(&config, path_of(RUNDIR_CONFIG)), 0);
			cr_assert(child_config_read(
				&copy, path_of(RUNDIR_CONFIG), error, sizeof(error)));
			disk = &copy.disks[0];
		}
	}
	cr_assert_not_null(child_config_set(&config, "disk", "/a,format=qcow2"));
	cr_assert_not_null(child_config_set(&config, "disk", "/a,format="));
	cr_assert_not_null(child_config_set(&config, "disk", ",ro,format=raw"));
}

Test(config, wrong_values_are_refused)
{
	static const char *const pairs[][2] = { { "memory", "12X" }, { "memory", "" },
		{ "memory", "M" }, { "memory", "1M" }, { "memory", "17M" }, { "memory", "100G" },
		{ "memory", "99999999999999999999G" }, { "memory", "-512M" }, { "cpus", "0" },
		{ "cpus", "65" }, { "cpus", "two" }, { "cpus", "1 " }, { "timeout", "-1" },
		{ "on-crash", "" }, { "on-crash", "Kill" }, { "legacy-timer", "1" },
		{ "timeout", "1.5" }, { "disk", "" }, { "disk", ",ro" },
		{ "disk", "/a,serial=a b" },
		{ "disk", "/a,serial=012345678901234567890123456789012" }, { "kernel", "a\nb" },
		{ "nonsense", "1" } };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		cr_expect_not_null(child_config_set(&config, pairs[i][0], pairs[i][1]), "%s %s",
			pairs[i][0], pairs[i][1]);
}

Test(config, there_are_8_disks_at_most)
{
	for (int i = 0; i < CHILD_DISKS_MAX; i++)
		cr_assert_null(child_config_set(&config, "disk", "/x"));
	cr_assert_not_null(child_config_set(&config, "disk", "/x"));
}

Test(config, names_are_checked)
{
	cr_assert(rundir_name_valid("linux-2_b"));
	cr_assert(rundir_name_valid("a234567890123456789012345678901"));
	cr_assert(!rundir_name_valid("a2345678901234567890123456789012"));
	cr_assert(!rundir_name_valid(""));
	cr_assert(!rundir_name_valid(".."));
	cr_assert(!rundir_name_valid("a/b"));
	cr_assert(!rundir_name_valid("-x"));
	cr_assert(!rundir_name_valid("a b"));
}

Test(config, states_follow_the_lock)
{
	struct rundir_status status;
	int lock;

	cr_assert_eq(rundir_read_status("a", &status), ENOENT);
	cr_assert_eq(child_config_write(&config, path_of(RUNDIR_CONFIG)), 0);
	cr_assert_eq(rundir_read_status("a", &status), 0);
	cr_assert_eq(status.state, RUNDIR_CREATED);
	cr_assert_eq(rundir_wait("a"), 0, "nobody to wait for");
	lock = rundir_lock(directory);
	cr_assert_geq(lock, 0);
	rundir_read_status("a", &status);
	cr_assert_eq(status.state, RUNDIR_RUNNING);
	cr_assert_eq(rundir_lock(directory), -1);
	cr_assert_eq(errno, EWOULDBLOCK);
	close(lock);
	rundir_read_status("a", &status);
	cr_assert_eq(status.state, RUNDIR_LOST);
	cr_assert_eq(status.status, LUMEN_EXIT_OUR_FAULT);
	cr_assert_eq(rundir_write_status(directory, 120, "It broke, in two."), 0);
	rundir_read_status("a", &status);
	cr_assert_eq(status.state, RUNDIR_ENDED);
	cr_assert_eq(status.status, 120);
	cr_assert_str_eq(status.reason, "It broke, in two.");
}

Test(config, waiting_ends_when_the_worker_is_killed)
{
	int ends[2], state;
	char byte;
	pid_t pid;

	cr_assert_eq(child_config_write(&config, path_of(RUNDIR_CONFIG)), 0);
	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		rundir_lock(directory);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	cr_assert_eq(rundir_wait("a"), 0);
	waitpid(pid, &state, 0);
	cr_assert_geq(rundir_lock(directory), 0);
}
