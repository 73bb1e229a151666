// SPDX-License-Identifier: BSD-2-Clause
// Text from elsewhere (paths, sentences of a worker that nobody trusts) on lines of our own.
#pragma once

#include <stdbool.h>
#include <stdio.h>

// Writes a text so that it stays on its line: a backslash, and bytes that are control characters of
// ASCII, as \ and two hexadecimal digits. text_unquote() gives back the same bytes.
void text_quote(const char *text, FILE *file);

// Takes the quoting back, in place. Returns false if text_quote() cannot have written this.
bool text_unquote(char *text);

// Makes every control character, and every byte that is no UTF-8, a question mark: what is left can
// be shown on a terminal, and be a JSON string.
void text_make_printable(char *text);
