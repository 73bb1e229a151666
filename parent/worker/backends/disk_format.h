// SPDX-License-Identifier: BSD-2-Clause
// Disk images that are no raw disks: a child would see the container, and overwrite it. Portable.
#pragma once

#include <stdbool.h>

#include "parent/common/failure.h"

// X(name, qemu-img's name of it, offset of the magic; negative: from the end, the magic). All of it
// on one line: tools/lumen/diskfile.py reads this table, too.
#define DISK_FORMATS(X)                                                                            \
	X("qcow2", "qcow2", 0, "QFI\xfb\0\0\0\2")                                                  \
	X("qcow2", "qcow2", 0, "QFI\xfb\0\0\0\3")                                                  \
	X("qcow", "qcow", 0, "QFI\xfb")                                                            \
	X("QED", "qed", 0, "QED\0")                                                                \
	X("VMDK", "vmdk", 0, "KDMV")                                                               \
	X("VMDK", "vmdk", 0, "COWD")                                                               \
	X("VMDK", "vmdk", 0, "# Disk DescriptorFile")                                              \
	X("VHDX", "vhdx", 0, "vhdxfile")                                                           \
	X("VHD", "vpc", 0, "conectix")                                                             \
	X("VHD", "vpc", -512, "conectix")                                                          \
	X("VDI", "vdi", 64, "\x7f\x10\xda\xbe")                                                    \
	X("Parallels", "parallels", 0, "WithoutFreeSpace")                                         \
	X("Parallels", "parallels", 0, "WithouFreSpacExt")                                         \
	X("Bochs", "bochs", 0, "Bochs Virtual HD Image")                                           \
	X("DMG", "dmg", -512, "koly")

// Whether a disk, a file or a block device, may be used as it is: it has none of these magics where
// they would be. `fd` is open for reading, `path` for the sentence. Else, or if it cannot be read,
// false with a sentence.
bool disk_format_is_raw(int fd, const char *path, struct failure *failure);
