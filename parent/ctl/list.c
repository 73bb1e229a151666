// SPDX-License-Identifier: BSD-2-Clause
// lumenctl list and stat.
#include "parent/ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/text.h"

enum {
	HEARTBEATS_MS = 3000, // that all workers together have to say how their children are
	ANSWER_MAX = 1 << 20, // bytes of each
	CHUNK = 65536,
};

// A child, and what its worker has said so far.
struct listed {
	const char *name;
	struct rundir_status status;
	FILE *answer; // to `text`; NULL: its worker is not asked
	char *text;
	size_t size;
};

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

// "ok", "lost", "none", or "unknown" if the worker has not said so; "" without a worker.
static const char *heartbeat_of(const struct listed *child)
{
	static const char *const known[] = { "ok", "lost", "none" };
	static const char key[] = "\nheartbeat.state ";
	const char *found = child->text ? strstr(child->text, key) : NULL;

	for (size_t i = 0; found && i < ARRAY_SIZE(known); i++)
		if (!strncmp(found + strlen(key), known[i], strlen(known[i])))
			return known[i];
	return child->status.state == RUNDIR_RUNNING ? "unknown" : "";
}

static void print_json_child(const struct listed *child, bool first)
{
	const char *heartbeat = heartbeat_of(child);

	printf("%s\n  {\"name\": ", first ? "" : ",");
	ctl_print_json_string(child->name);
	printf(", \"state\": \"%s\"", rundir_state_name(child->status.state));
	if (child->status.state == RUNDIR_ENDED || child->status.state == RUNDIR_LOST) {
		printf(", \"status\": %d, \"reason\": ", child->status.status);
		ctl_print_json_string(child->status.reason);
	}
	if (*heartbeat)
		printf(", \"heartbeat\": \"%s\"", heartbeat);
	printf("}");
}

static void print_child(const struct listed *child)
{
	const char *heartbeat = heartbeat_of(child);

	printf("%-20s %-8s", child->name, rundir_state_name(child->status.state));
	if (*heartbeat)
		printf("      heartbeat %s", heartbeat);
	if (child->status.state == RUNDIR_ENDED || child->status.state == RUNDIR_LOST)
		printf(" %3d  %s", child->status.status, child->status.reason);
	printf("\n");
}

static void print_all(const struct listed *children, int count, bool json)
{
	if (json)
		printf("[");
	for (int i = 0; i < count; i++)
		if (json)
			print_json_child(&children[i], !i);
		else
			print_child(&children[i]);
	if (json)
		printf("%s]\n", count ? "\n" : "");
}

// Finds a child's state, and asks its worker, if there is one. Returns false if there is no child.
static bool find(const char *name, struct listed *child, struct pollfd *worker)
{
	int directory = rundir_open(name);

	*worker = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (directory < 0)
		return false;
	child->name = name;
	rundir_read_status(directory, &child->status);
	if (child->status.state == RUNDIR_RUNNING)
		worker->fd = ctl_connect_now(directory);
	close(directory);
	if (worker->fd >= 0)
		child->answer = open_memstream(&child->text, &child->size);
	if (child->answer)
		dprintf(worker->fd, "stat\n"); // who cannot read it does not answer either
	return true;
}

static void hang_up(struct pollfd *worker)
{
	close(worker->fd);
	worker->fd = -1;
}

// Takes what a worker says.
static void hear(struct listed *child, struct pollfd *worker)
{
	static char chunk[CHUNK];
	ssize_t got = read(worker->fd, chunk, sizeof(chunk));

	if (got > 0 && child->answer)
		fwrite(chunk, 1, (size_t)got, child->answer);
	if (got <= 0 || !child->answer || ftell(child->answer) > ANSWER_MAX)
		hang_up(worker);
}

static bool any_left(const struct pollfd *workers, int count)
{
	while (count && workers[count - 1].fd < 0)
		count--;
	return count;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Hears all of them at once: those that do not answer cost nobody else's time.
static void hear_all(struct listed *children, struct pollfd *workers, int count)
{
	const int64_t end = now_ms() + HEARTBEATS_MS;
	int64_t left;

	while (any_left(workers, count) && (left = end - now_ms()) > 0) {
		poll(workers, (nfds_t)count, (int)left);
		for (int i = 0; i < count; i++)
			if (workers[i].fd >= 0 && workers[i].revents)
				hear(&children[i], &workers[i]);
	}
	for (int i = 0; i < count; i++) {
		if (workers[i].fd >= 0)
			hang_up(&workers[i]);
		if (children[i].answer)
			fclose(children[i].answer);
	}
}

static int list(struct dirent **entries, int count, bool json)
{
	struct listed *children = calloc((size_t)count + 1, sizeof(*children));
	struct pollfd *workers = calloc((size_t)count + 1, sizeof(*workers));
	int found = 0;

	for (int i = 0; children && workers && i < count; i++)
		found += find(entries[i]->d_name, &children[found], &workers[found]);
	if (children && workers) {
		hear_all(children, workers, found);
		print_all(children, found, json);
	}
	for (int i = 0; i < found; i++)
		free(children[i].text);
	free(children);
	free(workers);
	return children && workers ? 0 : ctl_fail(LUMEN_EXIT_OUR_FAULT, "There is no memory left.");
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
	status = list(entries, count > 0 ? count : 0, json);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return status;
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
