// SPDX-License-Identifier: BSD-2-Clause
// The root partition: all of the machine but the hypervisor's memory and the local APICs.
#pragma once

// Makes the root partition with a VP for each processor. Boot processor, after create_pcpus().
void create_root_partition(void);

// Loads the root's kernel (first boot module: bzImage, its command line; second: its initrd) and starts its first VP.
void start_root(void);
