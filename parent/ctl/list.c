// SPDX-License-Identifier: BSD-2-Clause
// lumenctl list and stat.
#include "parent/ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/text.h"

enum { HEARTBEAT_S = 2 }; // of `list`, for each child's worker

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

static void print_json_child(
	const char *name, const struct rundir_status *child, const char *heartbeat, bool first)
{
	printf("%s\n  {\"name\": ", first ? "" : ",");
	ctl_print_json_string(name);
	printf(", \"state\": \"%s\"", rundir_state_name(child->state));
	if (child->state == RUNDIR_ENDED || child->state == RUNDIR_LOST) {
		printf(", \"status\": %d, \"reason\": ", child->status);
		ctl_print_json_string(child->reason);
	}
	if (*heartbeat)
		printf(", \"heartbeat\": \"%s\"", heartbeat);
	printf("}");
}

static void print_child(const char *name, const struct rundir_status *child, const char *heartbeat)
{
	printf("%-20s %-8s", name, rundir_state_name(child->state));
	if (*heartbeat)
		printf("      heartbeat %s", heartbeat);
	if (child->state == RUNDIR_ENDED || child->state == RUNDIR_LOST)
		printf(" %3d  %s", child->status, child->reason);
	printf("\n");
}

// "ok", "lost", "none", or "unknown" if the worker does not say so in time; "" without a worker.
static const char *heartbeat_of(int directory, const struct rundir_status *child)
{
	static const char *const known[] = { "ok", "lost", "none" };
	static const char key[] = "\nheartbeat.state ";
	char *answer, *found;
	const char *state = "unknown";

	if (child->state != RUNDIR_RUNNING)
		return "";
	answer = ctl_ask(directory, "stat", HEARTBEAT_S, true);
	found = answer ? strstr(answer, key) : NULL;
	for (size_t i = 0; found && i < ARRAY_SIZE(known); i++)
		if (!strncmp(found + strlen(key), known[i], strlen(known[i])))
			state = known[i];
	free(answer);
	return state;
}

static bool find(const char *name, struct rundir_status *child, const char **heartbeat)
{
	int directory = rundir_open(name);

	if (directory < 0)
		return false;
	rundir_read_status(directory, child);
	*heartbeat = heartbeat_of(directory, child);
	close(directory);
	return true;
}

static void print_all(struct dirent **entries, int count, bool json)
{
	struct rundir_status child;
	const char *heartbeat;
	bool first = true;

	if (json)
		printf("[");
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (!find(name, &child, &heartbeat))
			continue;
		if (json)
			print_json_child(name, &child, heartbeat, first);
		else
			print_child(name, &child, heartbeat);
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

// Whether JSON takes it for the number that it is (RFC 8259, section 6): 007 is none.
static bool is_number(const char *text)
{
	text += *text == '-';
	return *text && strspn(text, "0123456789") == strlen(text) && (*text != '0' || !text[1]);
}

// The worker's lines are `name value`. As JSON: one flat object.
static void print_stat_line(char *line, bool json, bool first)
{
	const char *name = json ? strsep(&line, " ") : line;
	const char *value = line ? line : "";

	if (!json) {
		printf("%s\n", name);
		return;
	}
	printf("%s\n  ", first ? "" : ",");
	ctl_print_json_string(name);
	printf(": ");
	if (is_number(value))
		printf("%s", value);
	else
		ctl_print_json_string(value);
}

void ctl_print_lines(char *answer, bool json)
{
	char *rest = answer;
	char *line;
	bool first = true;

	if (json)
		printf("{");
	while ((line = strtok_r(rest, "\n", &rest))) {
		text_make_printable(line); // it may be no worker of ours any more
		print_stat_line(line, json, first);
		first = false;
	}
	if (json)
		printf("\n}\n");
}

int ctl_stat(int argc, char **argv)
{
	const char *name;
	bool json = false;
	char *answer;
	int directory, status = ctl_one_name(argc, argv, &name, false, &json);

	if (status)
		return status;
	directory = ctl_find_running(name, &status);
	if (directory < 0)
		return status;
	answer = ctl_ask(directory, "stat", CTL_ANSWER_S, false);
	close(directory);
	if (!answer)
		return LUMEN_EXIT_OUR_FAULT;
	ctl_print_lines(answer, json);
	free(answer);
	return 0;
}
