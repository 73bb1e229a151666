// SPDX-License-Identifier: BSD-2-Clause
// What a child is made of: written by `lumenctl create`, read by its worker. A text file, one
// `key value` per line, and a last line `end`. A value ends at the line's end; what it has of
// control characters is quoted (text.h), so that no path can be taken for a line.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "parent/common/child_net.h"

enum {
	CHILD_DISKS_MAX = 8,
	CHILD_VPS_MAX = 64,
	CHILD_PATH_MAX = 4096,
	CHILD_APPEND_MAX = 2048,
	CHILD_SERIAL_MAX = 32,
};

enum { CHILD_WEIGHT_DEFAULT = 100, CHILD_WEIGHT_MAX = 10000, CHILD_CAP_NONE = 100 };

#define CHILD_MEMORY_DEFAULT (512ull << 20)

struct child_disk {
	char path[CHILD_PATH_MAX];
	char serial[CHILD_SERIAL_MAX + 1]; // "": the worker's choice
	bool read_only;
	bool raw; // whatever it looks like (parent/worker/backends/disk_format.h)
};

// After a child has reported a crash: X(NAME, what it is called).
#define CHILD_ON_CRASH(X)                                                                          \
	X(WAIT, "wait") /* as long as it does something: it may write a dump */                    \
	X(KILL, "kill") /* end it after a second */                                                \
	X(KEEP, "keep") /* it ends by itself, or by --timeout */

enum child_on_crash {
#define X(name, text) CHILD_CRASH_##name,
	CHILD_ON_CRASH(X)
#undef X
};

struct child_config {
	char kernel[CHILD_PATH_MAX];
	char initrd[CHILD_PATH_MAX]; // "" for none
	char append[CHILD_APPEND_MAX];
	uint64_t memory; // bytes
	uint32_t vps;
	uint32_t cpu_weight; // its part of a processor that others want too: TLFS's CPU weight
	uint32_t cpu_cap;    // percent of a processor that each VP may have
	uint32_t timeout_s;  // from start to the end; 0 for none
	bool test_devices;   // the ports of parent/worker/platform/test_ports.h
	bool legacy_timer;   // those of parent/worker/platform/pit.h
	enum child_on_crash on_crash;
	uint32_t disk_count;
	struct child_disk disks[CHILD_DISKS_MAX];
	struct child_net net;
};

// Fills in the defaults: one VP, of the same weight as others and without a cap,
// CHILD_MEMORY_DEFAULT, nothing else.
void child_config_init(struct child_config *config);

// Reads a number that may have a unit: 512M, 2G, 65536K or 1048576. `kilo` is what a K is, 1000 or
// 1024. Returns false if it is none.
bool child_config_parse_scaled(const char *text, uint32_t kilo, uint64_t *number);

// Reads a decimal number up to `max`. Returns false if it is none.
bool child_config_parse_number(const char *text, uint64_t max, uint64_t *number);

// Sets a number from 1 to `max`. Returns NULL, or `otherwise` if the text is none.
const char *child_config_set_number(
	uint32_t *to, const char *value, uint32_t max, const char *otherwise);

// What a child can be given: a key of the file, and an option of the command line.
struct child_option {
	const char *name;
	const char *argument; // for its help; NULL: it takes none, it is switched on
	const char *help;     // lines, each with its line break
	const char *(*set)(struct child_config *config, const char *value);
};

extern const struct child_option child_options[];
enum { CHILD_OPTIONS = 13 };

// Sets one key from its text. Returns NULL, or why not: the end of a sentence that begins with the
// key and the text.
const char *child_config_set(struct child_config *config, const char *key, const char *value);

// Returns the file's text, which is the caller's to free; NULL: out of memory.
char *child_config_text(const struct child_config *config);

// Reads the file `name` in a directory. Returns true, or false with a sentence in error (`size`
// bytes): also if the file is not whole.
bool child_config_read(struct child_config *config, int directory, const char *name, char *error,
	unsigned int size);
