// SPDX-License-Identifier: BSD-2-Clause
// See child_config.h.
#include "parent/common/child_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/text.h"

// The last line of the file: what has none was not written to its end.
#define END_MARK "end"

enum { MEMORY_UNIT = 2 << 20, TIMEOUT_MAX_S = 365 * 24 * 3600 };

void child_config_init(struct child_config *config)
{
	memset(config, 0, sizeof(*config));
	config->vps = 1;
	config->cpu_weight = CHILD_WEIGHT_DEFAULT;
	config->cpu_cap = CHILD_CAP_NONE;
	config->memory = CHILD_MEMORY_DEFAULT;
}

bool child_config_parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && !*end && *number <= max;
}

bool child_config_parse_scaled(const char *text, uint32_t kilo, uint64_t *number)
{
	static const char units[] = "KMGT";
	size_t length = strlen(text);
	const char *unit = length ? strchr(units, text[length - 1]) : NULL;
	unsigned int power = unit && *unit ? (unsigned int)(unit - units) + 1 : 0;
	char digits[24];

	if (power)
		length--;
	if (!length || length >= sizeof(digits))
		return false;
	memcpy(digits, text, length);
	digits[length] = 0;
	if (!child_config_parse_number(digits, UINT64_MAX, number))
		return false;
	for (; power; power--)
		if (__builtin_mul_overflow(*number, kilo, number))
			return false;
	return true;
}

static const char *set_text(char *to, size_t room, const char *value)
{
	if (strlen(value) >= room)
		return "is too long";
	strcpy(to, value);
	return NULL;
}

static const char *set_kernel(struct child_config *config, const char *value)
{
	return set_text(config->kernel, sizeof(config->kernel), value);
}

static const char *set_initrd(struct child_config *config, const char *value)
{
	return set_text(config->initrd, sizeof(config->initrd), value);
}

static const char *set_append(struct child_config *config, const char *value)
{
	return set_text(config->append, sizeof(config->append), value);
}

static const char *set_memory(struct child_config *config, const char *value)
{
	if (!child_config_parse_scaled(value, 1024, &config->memory))
		return "is not a size such as 512M or 2G";
	if (config->memory < 16ull << 20 || config->memory > 60ull << 30)
		return "is not between 16M and 60G";
	if (config->memory % MEMORY_UNIT)
		return "is not a multiple of 2M";
	return NULL;
}

const char *child_config_set_number(
	uint32_t *to, const char *value, uint32_t max, const char *otherwise)
{
	uint64_t number;

	if (!child_config_parse_number(value, max, &number) || !number)
		return otherwise;
	*to = (uint32_t)number;
	return NULL;
}

static const char *set_vps(struct child_config *config, const char *value)
{
	return child_config_set_number(
		&config->vps, value, CHILD_VPS_MAX, "is not a number from 1 to 64");
}

static const char *set_cpu_weight(struct child_config *config, const char *value)
{
	return child_config_set_number(
		&config->cpu_weight, value, CHILD_WEIGHT_MAX, "is not a number from 1 to 10000");
}

static const char *set_cpu_cap(struct child_config *config, const char *value)
{
	return child_config_set_number(
		&config->cpu_cap, value, CHILD_CAP_NONE, "is not a percentage from 1 to 100");
}

static const char *set_timeout(struct child_config *config, const char *value)
{
	uint64_t seconds;

	if (!child_config_parse_number(value, TIMEOUT_MAX_S, &seconds))
		return "is not a number of seconds, at most a year";
	config->timeout_s = (uint32_t)seconds;
	return NULL;
}

static const char *set_switch(bool *to, const char *value)
{
	*to = !strcmp(value, "on");
	return *to || !strcmp(value, "off") ? NULL : "is neither on nor off";
}

static const char *set_test_devices(struct child_config *config, const char *value)
{
	return set_switch(&config->test_devices, value);
}

static const char *set_legacy_timer(struct child_config *config, const char *value)
{
	return set_switch(&config->legacy_timer, value);
}

static const char *const on_crash_names[] = {
#define X(name, text) [CHILD_CRASH_##name] = text,
	CHILD_ON_CRASH(X)
#undef X
};

static const char *set_on_crash(struct child_config *config, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(on_crash_names); i++)
		if (!strcmp(value, on_crash_names[i])) {
			config->on_crash = (enum child_on_crash)i;
			return NULL;
		}
	return "is not wait, kill or keep";
}

static const char *set_format(struct child_disk *disk, const char *value)
{
	disk->raw = !strcmp(value, "raw");
	return disk->raw || !strcmp(value, "auto") ? NULL : "has a format that is not raw";
}

static const char *set_serial(struct child_disk *disk, const char *value)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	if (strlen(value) > CHILD_SERIAL_MAX || strspn(value, letters) != strlen(value))
		return "has a serial that is not up to 32 letters, digits, -, _ and .";
	strcpy(disk->serial, value);
	return NULL;
}

static const char *set_access(struct child_disk *disk, const char *value)
{
	disk->read_only = !strcmp(value, "ro");
	return NULL;
}

static const struct disk_option {
	const char *prefix;
	const char *(*set)(struct child_disk *disk, const char *value); // of what follows `skip`
	unsigned kind, skip;
} disk_options[] = {
	{ "ro", set_access, 1, 0 },
	{ "rw", set_access, 1, 0 },
	{ "serial=", set_serial, 2, 7 },
	{ "format=", set_format, 4, 7 },
};

static const struct disk_option *find_disk_option(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk_options); i++) {
		const struct disk_option *option = &disk_options[i];

		if (option->skip ? !strncmp(text, option->prefix, option->skip)
				 : !strcmp(text, option->prefix))
			return option;
	}
	return NULL;
}

// A disk is PATH, then ",ro" or ",rw", ",serial=S" and ",format=F". Options are taken from the end,
// each kind once: the rest is the path, which may look like one.
static const char *take_disk_options(struct child_disk *disk)
{
	const struct disk_option *option;
	const char *error = NULL;
	unsigned given = 0;
	char *comma;

	while (!error && (comma = strrchr(disk->path, ',')) &&
		(option = find_disk_option(comma + 1)) && !(given & option->kind)) {
		error = option->set(disk, comma + 1 + option->skip);
		given |= option->kind;
		*comma = 0;
	}
	return error;
}

static const char *set_disk(struct child_config *config, const char *value)
{
	struct child_disk *disk = &config->disks[config->disk_count];
	const char *error;

	if (config->disk_count == CHILD_DISKS_MAX)
		return "is one disk too many: there can be 8";
	memset(disk, 0, sizeof(*disk));
	error = set_text(disk->path, sizeof(disk->path), value);
	if (!error)
		error = take_disk_options(disk);
	if (!error && !*disk->path)
		error = "names no file";
	if (!error)
		config->disk_count++;
	return error;
}

static const char *set_net(struct child_config *config, const char *value)
{
	return child_net_parse(&config->net, value);
}

const struct child_option child_options[CHILD_OPTIONS] = {
	{ "kernel", "F",
		"a Linux bzImage, an ELF file with a PVH note, or a file with a\n"
		"Multiboot header (required)\n",
		set_kernel },
	{ "initrd", "F", "its initial RAM disk\n", set_initrd },
	{ "append", "S", "its command line\n", set_append },
	{ "memory", "SIZE", "such as 512M or 2G; a multiple of 2M (default 512M)\n", set_memory },
	{ "cpus", "N", "virtual processors, 1 to 64 (default 1)\n", set_vps },
	{ "cpu-weight", "N",
		"its part of a processor that others want too, 1 to 10000\n"
		"(default 100, which the root has, and each other child)\n",
		set_cpu_weight },
	{ "cpu-cap", "P",
		"the most that each virtual processor may have of a real one,\n"
		"1 to 100 percent (default 100)\n",
		set_cpu_cap },
	{ "disk", "F[,OPTION...]",
		"a disk: a raw file or a block device; up to 8 of them.\n"
		"Options: ro; serial=S; format=raw (it is raw though it\n"
		"looks like an image of another format)\n",
		set_disk },
	{ "net", "SWITCH[,OPTION...]",
		"a network card on a switch (lumenctl switch), or none\n"
		"(default). Options: vlan=N, 1 to 4094 (default: the\n"
		"switch's for all, 1); mac=M (default: made of the child's\n"
		"name); queues=N, 1 to 16 (default: one for each virtual\n"
		"processor); rate=N, bits per second each way, 64K to 10G;\n"
		"mtu=N at most, 68 to 9000 (default: the switch's);\n"
		"isolated (from all others that are)\n",
		set_net },
	{ "timeout", "S", "end it after so many seconds (default: never)\n", set_timeout },
	{ "on-crash", "wait|kill|keep",
		"after it has reported a crash: end it when it does nothing\n"
		"any more, for it may write a dump (wait); at once; never\n",
		set_on_crash },
	{ "legacy-timer", NULL,
		"a PC's timer (ports 0x40 to 0x43, 0x61), for kernels that\n"
		"calibrate by it\n",
		set_legacy_timer },
	{ "test-devices", NULL, "the ports that kvm-unit-tests' images need\n", set_test_devices },
};

const char *child_config_set(struct child_config *config, const char *key, const char *value)
{
	for (size_t i = 0; i < CHILD_OPTIONS; i++)
		if (!strcmp(key, child_options[i].name))
			return child_options[i].set(config, value);
	return "is not known";
}

static void print_text(const char *key, const char *value, FILE *file)
{
	fprintf(file, "%s ", key);
	text_quote(value, file);
	putc('\n', file);
}

static void print_config(const struct child_config *config, FILE *file)
{
	print_text("kernel", config->kernel, file);
	print_text("initrd", config->initrd, file);
	print_text("append", config->append, file);
	fprintf(file, "memory %llu\ncpus %u\n", (unsigned long long)config->memory, config->vps);
	fprintf(file, "cpu-weight %u\ncpu-cap %u\n", config->cpu_weight, config->cpu_cap);
	fprintf(file, "timeout %u\n", config->timeout_s);
	fprintf(file, "test-devices %s\n", config->test_devices ? "on" : "off");
	fprintf(file, "legacy-timer %s\n", config->legacy_timer ? "on" : "off");
	fprintf(file, "on-crash %s\n", on_crash_names[config->on_crash]);
	fprintf(file, "net ");
	child_net_print(&config->net, file);
	putc('\n', file);
	// Always with all options: a path may end in what looks like one.
	for (uint32_t i = 0; i < config->disk_count; i++) {
		fprintf(file, "disk ");
		text_quote(config->disks[i].path, file);
		fprintf(file, ",serial=%s,format=%s,%s\n", config->disks[i].serial,
			config->disks[i].raw ? "raw" : "auto",
			config->disks[i].read_only ? "ro" : "rw");
	}
	fprintf(file, END_MARK "\n");
}

char *child_config_text(const struct child_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	print_config(config, file);
	if (!fclose(file))
		return text;
	free(text);
	return NULL;
}

// Takes one line, without its line break. Returns NULL or the end of a sentence about it.
static const char *read_line(struct child_config *config, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return "has no value";
	*value++ = 0;
	return text_unquote(value) ? child_config_set(config, line, value) : "is not quoted well";
}

static bool read_lines(struct child_config *config, FILE *file, char *error, unsigned int size)
{
	static char line[3 * CHILD_PATH_MAX + 64]; // every byte quoted
	const char *why;

	while (fgets(line, sizeof(line), file)) {
		char *end = strchr(line, '\n');

		if (!end)
			break;
		*end = 0;
		if (!strcmp(line, END_MARK))
			return true;
		why = read_line(config, line);
		if (!why)
			continue;
		snprintf(error, size, "The child's config is damaged: its %.40s %s.", line, why);
		return false;
	}
	snprintf(error, size,
		"The child's config is cut short: delete the child and create it again.");
	return false;
}

bool child_config_read(struct child_config *config, int directory, const char *name, char *error,
	unsigned int size)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	bool done;

	child_config_init(config);
	if (!file) {
		snprintf(error, size, "The child's config cannot be read: %s.", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	done = read_lines(config, file, error, size);
	fclose(file);
	return done;
}
