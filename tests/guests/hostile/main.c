// SPDX-License-Identifier: BSD-2-Clause
// The hostile guest: looks up its mode and runs it.
#include "tests/guests/hostile/hostile.h"

#include "base/macros.h"

static const struct mode *const groups[] = { stack_modes, table_modes, debug_modes, overlay_modes,
	random_modes, random_bus_modes, device_modes, flood_modes };

static bool equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static const struct mode *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (const struct mode *mode = groups[i]; mode->name; mode++)
			if (equal(mode->name, name))
				return mode;
	return NULL;
}

int kernel_main(void)
{
	const struct mode *mode;
	char name[32] = "";

	kernel_option("mode", name, sizeof(name));
	mode = find(name);
	if (!kernel_check(mode, "there is a mode '%s'", name))
		return kernel_failures();
	kernel_print("hostile: %s\n", name);
	mode->run(mode->argument);
	return kernel_failures();
}
