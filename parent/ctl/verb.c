// SPDX-License-Identifier: BSD-2-Clause
// lumenctl's commands that ask a child for something: the verbs of verbs.h, all in the same way.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/common/child_config.h"
#include "parent/common/descriptor.h"
#include "parent/common/file.h"
#include "parent/common/text.h"
#include "parent/ctl/deadline.h"

enum {
	GRACE_S = 2, // of the worker, which knows the deadline and says what happened
	SECONDS_MAX = 86400,
	CHUNK = 65536,
	OPTION_TIMEOUT = CTL_OPTION,
	OPTION_JSON,
};

struct verb_call {
	const struct verb *verb;
	const char *name;
	char **words;
	unsigned int seconds; // that the child has
	bool json;
	int directory;
	struct ctl_brought brought;
	int file; // that is sent, or -1
	off_t size;
};

static int parse_seconds(const char *text, unsigned int *seconds)
{
	uint64_t value;

	if (!child_config_parse_number(text, SECONDS_MAX, &value) || !value)
		return ctl_wrong(
			"--timeout %s is no number of seconds from 1 to %d.", text, SECONDS_MAX);
	*seconds = (unsigned int)value;
	return 0;
}

static int parse(int argc, char **argv, struct verb_call *call)
{
	static const struct option options[] = { { "timeout", required_argument, NULL,
							 OPTION_TIMEOUT },
		{ "json", no_argument, NULL, OPTION_JSON }, { 0 } };
	int option, status = 0;

	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			status = ctl_wrong("%s needs a value.", argv[optind - 1]);
		else if (option == OPTION_TIMEOUT)
			status = parse_seconds(optarg, &call->seconds);
		else if (option == OPTION_JSON && (call->verb->flags & VERB_TELLS))
			call->json = true;
		else
			status = ctl_unknown_option(argv);
	}
	if (!status && argc - optind != (int)call->verb->words + 1)
		status = ctl_wrong("%s takes %s.", argv[0], call->verb->arguments);
	call->name = argv[optind];
	call->words = argv + optind + 1;
	return status;
}

// /proc has files that say 0 and have more.
static bool says_its_size(const struct verb_call *call)
{
	char byte;

	return call->size || pread(call->file, &byte, 1, 0) <= 0;
}

static bool names_a_file(const char *path)
{
	const size_t length = strlen(path);

	return length && path[0] == '/' && path[length - 1] != '/';
}

static int open_file(struct verb_call *call)
{
	const char *path = call->words[0];
	struct failure failure;
	struct stat file;

	call->file = file_open("file", path, O_RDONLY, FILE_REGULAR, &file, &failure);
	if (call->file < 0)
		return ctl_fail(failure.status, "%s", failure.text);
	call->size = file.st_size;
	if (!says_its_size(call))
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The file %s does not say how long it is: copy it elsewhere first.", path);
	if (!names_a_file(call->words[1]))
		return ctl_wrong(
			"%s is not the whole path of a file, such as /tmp/file.", call->words[1]);
	return 0;
}

// Returns false if the request is longer than a worker takes.
static bool send_request(const struct verb_call *call, int fd)
{
	char *line = NULL;
	size_t length = 0;
	FILE *text = open_memstream(&line, &length);
	bool fits = text;

	if (text)
		fprintf(text, "%s\t%u", call->verb->name, call->seconds);
	for (uint32_t i = 0; text && i < call->verb->words; i++) {
		fputc('\t', text);
		if (call->file >= 0 && !i)
			fprintf(text, "%lld", (long long)call->size);
		else
			text_quote(!i && call->brought.word ? call->brought.word : call->words[i],
				text);
	}
	if (text)
		fputc('\n', text), fits = !fclose(text) && length <= VERB_LINE_MAX;
	if (fits)
		descriptor_send(fd, line, length, call->brought.descriptor, 0);
	free(line);
	return fits;
}

// Sends a file, however long that takes, as long as the child takes some of it in time. Whether all
// has gone is the worker's to say.
static void send_file(const struct verb_call *call, int fd)
{
	static char chunk[CHUNK];
	off_t left = call->size;
	ssize_t got = 1, sent = 0;

	while (left && sent >= 0 && (got = read(call->file, chunk, sizeof(chunk))) > 0) {
		if (got > left)
			got = (ssize_t)left;
		left -= got;
		for (ssize_t at = 0; at < got && sent >= 0; at += sent) {
			deadline_start(call->seconds + GRACE_S);
			sent = write(fd, chunk + at, (size_t)(got - at));
		}
	}
	if (left)
		shutdown(fd, SHUT_WR); // it has become shorter: the worker does not wait for more
	deadline_start(call->seconds + GRACE_S);
}

// Within a deadline.
static int converse(const struct verb_call *call, int fd)
{
	char *text;
	int status;

	if (!send_request(call, fd))
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "That is too long to be said.");
	if (call->file >= 0)
		send_file(call, fd);
	status = ctl_verdict(fd);
	if (status || !(call->verb->flags & VERB_TELLS))
		return status;
	text = ctl_take_answer(fd, false);
	if (!text)
		return LUMEN_EXIT_OUR_FAULT;
	ctl_print_lines(text, call->json);
	free(text);
	return 0;
}

static int wait_for_end(const struct verb_call *call)
{
	int error = rundir_wait(call->directory);

	if (error == EINTR)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"%s was asked to %s, but still runs after %u s.", call->name,
			call->verb->name, call->seconds);
	return error ? ctl_fail(LUMEN_EXIT_OUR_FAULT, "The end of %s cannot be waited for: %s.",
			       call->name, strerror(error))
		     : 0;
}

static int carry_out(const struct verb_call *call)
{
	int fd, status;

	deadline_start(call->seconds + GRACE_S);
	fd = ctl_connect(call->directory, false);
	status = fd >= 0 ? converse(call, fd) : LUMEN_EXIT_OUR_FAULT;
	if (!status && (call->verb->flags & VERB_ENDS))
		status = wait_for_end(call);
	deadline_end();
	if (fd >= 0)
		close(fd);
	return status;
}

int ctl_verb(const struct verb *verb, int argc, char **argv)
{
	struct verb_call call = {
		.verb = verb, .seconds = verb->seconds, .file = -1, .brought = { .descriptor = -1 }
	};
	int status = parse(argc, argv, &call);

	if (!status && (verb->flags & VERB_SENDS))
		status = open_file(&call);
	if (status)
		return status;
	call.directory = ctl_find_running(call.name, &status);
	if (call.directory < 0)
		return status;
	call.brought.child = call.name;
	call.brought.directory = call.directory;
	if (verb->flags & VERB_BRINGS)
		status = ctl_bring(&call.brought, call.words[0]);
	if (!status)
		status = carry_out(&call);
	if (call.brought.descriptor >= 0)
		close(call.brought.descriptor);
	free(call.brought.word);
	close(call.directory);
	return status || !(verb->flags & VERB_RESTARTS) ? status : ctl_start_child(call.name);
}
