// SPDX-License-Identifier: BSD-2-Clause
// A child's config and run directory: what comes back is what was written, and states are told
// apart.
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/child_config.h"
#include "parent/common/exit_status.h"
#include "parent/common/rundir.h"
#include "parent/common/text.h"

static struct child_config config, copy;
static char base[] = "/tmp/lumen-run-XXXXXX";
static char directory[64];
static int directory_fd;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(base));
	setenv("LUMEN_RUN_DIR", base, 1);
	snprintf(directory, sizeof(directory), "%s/a", base);
	cr_assert_eq(mkdir(directory, 0700), 0);
	directory_fd = rundir_open("a");
	cr_assert_geq(directory_fd, 0);
	child_config_init(&config);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", base);
	cr_expect_eq(system(command), 0);
}

TestSuite(config, .init = setup, .fini = teardown);

static void write_config(void)
{
	char *text = child_config_text(&config);

	cr_assert_eq(rundir_write(directory_fd, RUNDIR_CONFIG, text), 0);
	free(text);
}

static bool read_config(void)
{
	static char error[300];

	return child_config_read(&copy, directory_fd, RUNDIR_CONFIG, error, sizeof(error));
}

static enum rundir_state state_now(void)
{
	struct rundir_status status;

	rundir_read_status(directory_fd, &status);
	return status.state;
}

Test(config, comes_back_as_written)
{
	static const char *const pairs[][2] = { { "kernel", "/boot/vm linuz" },
		{ "append", "root=/dev/sda  quiet" }, { "memory", "1G" }, { "cpus", "4" },
		{ "cpu-weight", "300" }, { "cpu-cap", "25" }, { "timeout", "90" },
		{ "test-devices", "on" }, { "disk", "/a,ro" }, { "disk", "/b,serial=A-1_b.c" },
		{ "disk", "/odd,ro,rw" }, { "disk", "/like,serial=x,rw,serial=" } };
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		cr_assert_null(child_config_set(&config, pairs[i][0], pairs[i][1]));
	write_config();
	cr_assert(read_config());
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

	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		const struct child_disk *disk = &config.disks[0];

		child_config_init(&config);
		cr_assert_null(child_config_set(&config, "disk", disks[i].text));
		for (int round = 0; round < 2; round++) {
			cr_expect_str_eq(disk->path, disks[i].path, "%s", disks[i].text);
			cr_expect_eq(disk->read_only, disks[i].read_only, "%s", disks[i].text);
			cr_expect_eq(disk->raw, disks[i].raw, "%s", disks[i].text);
			write_config();
			cr_assert(read_config());
			disk = &copy.disks[0];
		}
	}
	cr_assert_not_null(child_config_set(&config, "disk", "/a,format=qcow2"));
	cr_assert_not_null(child_config_set(&config, "disk", "/a,format="));
	cr_assert_not_null(child_config_set(&config, "disk", ",ro,format=raw"));
}

Test(config, a_network_card_comes_back_as_written)
{
	static const uint8_t mac[6] = { 0x02, 0x15, 0x5d, 0xa, 0xb, 0xc };
	static const struct {
		const char *text, *bridge;
		uint32_t vlan, queues;
		bool has_mac, isolated;
		uint64_t rate;
		uint32_t mtu;
	} rows[] = {
		{ "none", "", 0, 0, false, false, 0, 0 },
		{ "lan", "lan", 0, 0, false, false, 0, 0 },
		{ "br-lan_0.15bytes", NULL, 0, 0, false, false, 0, 0 },
		{ "br-lan_0.15byte", "br-lan_0.15byte", 0, 0, false, false, 0, 0 },
		{ "lan,vlan=4094,isolated", "lan", 4094, 0, false, true, 0, 0 },
		{ "lan,queues=16,mac=02:15:5D:0a:0b:0C,vlan=1", "lan", 1, 16, true, false, 0, 0 },
		{ "lan,rate=64K", "lan", 0, 0, false, false, 64000, 0 },
		{ "lan,rate=12345678,isolated", "lan", 0, 0, false, true, 12345678, 0 },
		{ "lan,mtu=1400,rate=100M", "lan", 0, 0, false, false, 100000000, 1400 },
		{ "lan,rate=10G", "lan", 0, 0, false, false, 10000000000, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const bool wrong = child_config_set(&config, "net", rows[i].text);

		cr_expect_eq(wrong, !rows[i].bridge, "%s", rows[i].text);
		if (wrong)
			continue;
		write_config();
		cr_assert(read_config());
		cr_expect_str_eq(copy.net.bridge, rows[i].bridge);
		cr_expect_eq(copy.net.vlan, rows[i].vlan);
		cr_expect_eq(copy.net.queues, rows[i].queues);
		cr_expect_eq(copy.net.has_mac, rows[i].has_mac);
		cr_expect_eq(copy.net.isolated, rows[i].isolated);
		cr_expect_eq(copy.net.rate, rows[i].rate);
		cr_expect_eq(copy.net.mtu, rows[i].mtu);
		cr_expect(!rows[i].has_mac || !memcmp(copy.net.mac, mac, sizeof(mac)));
	}
}

Test(config, wrong_values_are_refused)
{
	static const char *const pairs[][2] = { { "memory", "12X" }, { "memory", "" },
		{ "memory", "M" }, { "memory", "1M" }, { "memory", "17M" }, { "memory", "100G" },
		{ "memory", "99999999999999999999G" }, { "memory", "-512M" }, { "cpus", "0" },
		{ "cpus", "65" }, { "cpus", "two" }, { "cpus", "1 " }, { "timeout", "-1" },
		{ "cpu-weight", "0" }, { "cpu-weight", "10001" }, { "cpu-cap", "0" },
		{ "cpu-cap", "101" }, { "cpu-cap", "50%" }, { "on-crash", "" },
		{ "on-crash", "Kill" }, { "legacy-timer", "1" }, { "timeout", "1.5" },
		{ "disk", "" }, { "disk", ",ro" }, { "disk", "/a,serial=a b" },
		{ "disk", "/a,serial=012345678901234567890123456789012" }, { "net", "" },
		{ "net", ",vlan=1" }, { "net", "a b" }, { "net", "../a" }, { "net", "default" },
		{ "net", "lan,vlan=0" }, { "net", "lan,vlan=4095" }, { "net", "lan,vlan=" },
		{ "net", "lan,vlan=1x" }, { "net", "lan," }, { "net", "lan,nonsense=1" },
		{ "net", "lan,isolated=1" }, { "net", "lan,queues=17" }, { "net", "lan,mac=" },
		{ "net", "lan,mac=03:15:5d:00:00:01" }, { "net", "lan,mac=02:15:5d:00:00:1" },
		{ "net", "lan,mtu=67" }, { "net", "lan,mtu=9001" }, { "net", "lan,mtu=" },
		{ "net", "lan,rate=" }, { "net", "lan,rate=63999" }, { "net", "lan,rate=11G" },
		{ "net", "lan,rate=1m" }, { "net", "lan,rate=M" }, { "net", "lan,rate=1.5M" },
		{ "net", "lan,rate=99999999T" }, { "net", "lan,rate=18446744073709551615T" },
		{ "nonsense", "1" } };

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
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

// A path that looks like a line of the config, and one with every byte that a path can have.
Test(config, no_byte_of_a_value_makes_a_line)
{
	char all[256];

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = 0;
	cr_assert_null(child_config_set(&config, "kernel", all));
	cr_assert_null(child_config_set(&config, "append", "quiet\ndisk /dev/sda,rw"));
	cr_assert_null(child_config_set(&config, "disk", "/a\nend\n,ro"));
	write_config();
	cr_assert(read_config());
	cr_assert_str_eq(copy.kernel, all);
	cr_assert_str_eq(copy.append, "quiet\ndisk /dev/sda,rw");
	cr_assert_eq(copy.disk_count, 1);
	cr_assert_str_eq(copy.disks[0].path, "/a\nend\n");
	cr_assert(copy.disks[0].read_only);
}

// Every way to cut a config, as a full file system does: a disk must not become a writable one.
Test(config, one_that_is_cut_is_refused)
{
	char *text;

	cr_assert_null(child_config_set(&config, "kernel", "/k"));
	cr_assert_null(child_config_set(&config, "disk", "/d,ro"));
	text = child_config_text(&config);
	for (size_t length = strlen(text); length-- > 0;) {
		text[length] = 0;
		cr_assert_eq(rundir_write(directory_fd, RUNDIR_CONFIG, text), 0);
		cr_assert(!read_config(), "%zu bytes", length);
	}
	free(text);
}

Test(config, one_that_is_quoted_badly_is_refused)
{
	static const char *const texts[] = { "kernel a\\\nend\n", "kernel a\\0\nend\n",
		"kernel a\\00\nend\n", "kernel a\\61\nend\n", "kernel a\\0A\nend\n",
		"kernel a\tb\nend\n", "kernel\nend\n", "nonsense 1\nend\n" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_eq(rundir_write(directory_fd, RUNDIR_CONFIG, texts[i]), 0);
		cr_expect(!read_config(), "%s", texts[i]);
	}
}

// C1 control characters are as good as escape sequences to many terminals.
Test(config, what_is_shown_is_printable_utf8)
{
	static const struct {
		const char *text, *shown;
	} texts[] = {
		{ "plain ~", "plain ~" },
		{ "\x1b[2J\x7f\t", "?[2J??" },
		{ "k\u00e4y \u20ac \U0001f600 \U0010fffd \ue000 \u00a0",
			"k\u00e4y \u20ac \U0001f600 \U0010fffd \ue000 \u00a0" },
		{ "\xc2\x9b"
		  "31m \x9b"
		  "31m",
			"??31m ?31m" },
		{ "\xff \xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf", "? ?? ??? ????" },
		{ "\xed\xa0\x80 \xf4\x90\x80\x80", "??? ????" },
		{ "\xc3", "?" },
		{ "\xe2\x82", "??" },
		{ "\xf0\x9f\x98", "???" },
		{ "\xe2\x82z", "??z" },
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		snprintf(text, sizeof(text), "%s", texts[i].text);
		text_make_printable(text);
		cr_expect_str_eq(text, texts[i].shown, "%zu: %s", i, text);
	}
}

Test(config, states_follow_the_lock)
{
	struct rundir_status status;
	int lock;

	cr_assert_eq(state_now(), RUNDIR_LOST, "no config");
	write_config();
	cr_assert_eq(state_now(), RUNDIR_CREATED);
	cr_assert_eq(rundir_wait(directory_fd), 0, "nobody to wait for");
	lock = rundir_lock(directory_fd);
	cr_assert_geq(lock, 0);
	cr_assert(rundir_owns(directory_fd, lock));
	cr_assert_eq(state_now(), RUNDIR_RUNNING);
	cr_assert_eq(rundir_lock(directory_fd), -1);
	cr_assert_eq(errno, EWOULDBLOCK);
	close(lock);
	cr_assert_eq(state_now(), RUNDIR_CREATED, "a start that went no further");
	cr_assert_eq(rundir_write_started(directory_fd), 0);
	rundir_read_status(directory_fd, &status);
	cr_assert_eq(status.state, RUNDIR_LOST);
	cr_assert_eq(status.status, LUMEN_EXIT_OUR_FAULT);
	cr_assert_eq(rundir_write_status(directory_fd, 120, "It broke,\n in \033[2Jtwo."), 0);
	rundir_read_status(directory_fd, &status);
	cr_assert_eq(status.state, RUNDIR_ENDED);
	cr_assert_eq(status.status, 120);
	cr_assert_str_eq(status.reason, "It broke,? in ?[2Jtwo.");
}

Test(config, a_status_that_is_cut_is_no_status)
{
	static const char *const texts[] = { "", "0", "0 ", "0 The child powered off", "x\n", " \n",
		"0\n" };

	write_config();
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_eq(rundir_write(directory_fd, RUNDIR_STATUS, texts[i]), 0);
		cr_expect_eq(state_now(), RUNDIR_LOST, "%s", texts[i]);
	}
}

Test(config, a_lock_of_another_directory_is_not_owned)
{
	int lock = rundir_lock(directory_fd);

	cr_assert_geq(lock, 0);
	cr_assert_eq(rundir_write(directory_fd, RUNDIR_LOCK, ""), 0);
	cr_assert(!rundir_owns(directory_fd, lock));
}

static void run_until_killed(int ready)
{
	int lock = rundir_lock(directory_fd);

	if (rundir_claim(lock) || write(ready, "x", 1) != 1)
		_exit(1);
	pause();
}

Test(config, waiting_ends_when_the_worker_is_killed)
{
	int ends[2], state;
	char byte;
	pid_t pid;

	write_config();
	cr_assert_eq(rundir_owner(directory_fd), 0);
	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (!pid)
		run_until_killed(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(rundir_owner(directory_fd), pid);
	kill(pid, SIGKILL);
	cr_assert_eq(rundir_wait(directory_fd), 0);
	cr_assert_eq(rundir_owner(directory_fd), 0);
	waitpid(pid, &state, 0);
	cr_assert_geq(rundir_lock(directory_fd), 0);
}

Test(config, a_child_is_made_and_removed_as_a_whole)
{
	int made;

	cr_assert_eq(rundir_create("b", "end\n"), 0);
	cr_assert_eq(rundir_create("b", "end\n"), EEXIST);
	made = rundir_open_to_change("b");
	cr_assert_geq(made, 0);
	cr_assert_eq(rundir_write(made, "what nobody knows", ""), 0);
	cr_assert_eq(mkdirat(made, "directory", 0700), 0);
	cr_assert_eq(rundir_remove("b", made), 0);
	cr_assert_eq(rundir_open("b"), -1);
	cr_assert_eq(errno, ENOENT);
}
