// SPDX-License-Identifier: BSD-2-Clause
// How lumenctl and the worker open what a user has named: kernel, initrd, disks, a file to be
// copied. Never waits, whatever the path leads to. The worker only while it starts: afterwards it
// opens nothing by a path of the user's.
#pragma once

#include <sys/stat.h>

#include "parent/common/failure.h"

// What a file may be, as bits.
enum file_kind { FILE_REGULAR = 1, FILE_BLOCK_DEVICE = 2 };

// Opens a file with open()'s `flags` if it is one of `kinds` (all others, that would wait, ring or
// rewind, are not even opened), and fills in *stat. `what` says what it is to be: "kernel". Returns
// the descriptor, which is blocking and closes on exec, or -1 with errno and a sentence in
// *failure.
int file_open(const char *what, const char *path, int flags, unsigned kinds, struct stat *stat,
	struct failure *failure);
