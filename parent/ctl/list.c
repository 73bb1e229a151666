// SPDX-License-Identifier: BSD-2-Clause
// lumenctl list and stat.
#include "parent/ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ctl_print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

static void print_json_child(const char *name, const struct rundir_status *child, bool first)
{
	printf("%s\n  {\"name\": ", first ? "" : ",");
	ctl_print_json_string(name);
	printf(", \"state\": \"%s\"", rundir_state_name(child->state));
	if (child->state == RUNDIR_ENDED || child->state == RUNDIR_LOST) {
		printf(", \"status\": %d, \"reason\": ", child->status);
		ctl_print_json_string(child->reason);
	}
	printf("}");
}

static void print_child(const char *name, const struct rundir_status *child)
{
	printf("%-20s %-8s", name, rundir_state_name(child->state));
	if (child->state == RUNDIR_ENDED || child->state == RUNDIR_LOST)
		printf(" %3d  %s", child->status, child->reason);
	printf("\n");
}

static void print_all(struct dirent **entries, int count, bool json)
{
	struct rundir_status child;
	bool first = true;

	if (json)
		printf("[");
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (!rundir_name_valid(name) || rundir_read_status(name, &child))
			continue;
		if (json)
			print_json_child(name, &child, first);
		else
			print_child(name, &child);
		first = false;
	}
	if (json)
		printf("%s]\n", first ? "" : "\n");
}

int ctl_list(int argc, char **argv)
{
	struct dirent **entries = NULL;
	const char *name;
	bool json = false;
	int count, status = ctl_one_name(argc, argv, &name, true, &json);

	if (status)
		return status;
	if (name)
		return ctl_wrong("list takes no name.");
	count = scandir(rundir_base(), &entries, NULL, alphasort);
	if (count < 0 && errno != ENOENT)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s cannot be read: %s.", rundir_base(),
			strerror(errno));
	print_all(entries, count, json);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return 0;
}

// The worker's lines are `name value`. As JSON: one flat object.
static void print_stat_line(char *line, bool json, bool first)
{
	char *value = strchr(line, ' ');

	if (!json || !value) {
		printf("%s\n", line);
		return;
	}
	*value++ = 0;
	printf("%s\n  ", first ? "" : ",");
	ctl_print_json_string(line);
	printf(": ");
	if (*value && strspn(value, "0123456789") == strlen(value))
		printf("%s", value);
	else
		ctl_print_json_string(value);
}

static void print_stat(FILE *answer, bool json)
{
	char line[300];
	bool first = true;

	if (json)
		printf("{");
	while (fgets(line, sizeof(line), answer)) {
		line[strcspn(line, "\n")] = 0;
		print_stat_line(line, json, first);
		first = false;
	}
	if (json)
		printf("\n}\n");
}

int ctl_stat(int argc, char **argv)
{
	struct rundir_status child;
	const char *name;
	bool json = false;
	FILE *answer;
	int fd, status = ctl_one_name(argc, argv, &name, false, &json);

	if (!status)
		status = ctl_find(name, &child);
	if (status)
		return status;
	if (child.state != RUNDIR_RUNNING)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s does not run.", name);
	fd = ctl_request(name, "stat", false);
	if (fd < 0)
		return LUMEN_EXIT_OUR_FAULT;
	answer = fdopen(fd, "r");
	print_stat(answer, json);
	fclose(answer);
	return 0;
}
