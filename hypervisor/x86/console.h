// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's console: a 16550 that it shares with the root, which owns it (the hypervisor
// only ever writes characters).
#pragma once

void console_init(void);  // after boot_info_read(): "console=PORT" in hexadecimal, "console=none"
void console_put(char c); // waits for the UART: a millisecond at most

// As many of COUNT characters as the UART takes without a wait.
unsigned int console_write_some(const char *text, unsigned int count);

// Stops the other processors and resets the machine.
void machine_reset(void) __attribute__((noreturn));
