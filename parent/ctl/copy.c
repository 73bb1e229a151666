// SPDX-License-Identifier: BSD-2-Clause
// lumenctl copy: a file into a child, or out of it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "parent/common/agent_file.h"
#include "parent/common/file.h"
#include "parent/ctl/ctl.h"

enum { PROGRESS_MS = 200 };

// NAME:PATH, or a file here.
struct end {
	const char *path;
	char child[RUNDIR_NAME_MAX + 1]; // "": here
};

static struct agent_stream stream;

// A name of a child's, a colon, and a path that begins with a slash. "./a:/b" is a file here.
static struct end parse(const char *text)
{
	struct end end = { .path = text };
	const char *colon = strchr(text, ':');
	const size_t length = colon ? (size_t)(colon - text) : 0;

	if (!colon || length > RUNDIR_NAME_MAX)
		return end;
	memcpy(end.child, text, length);
	if (rundir_name_valid(end.child))
		end.path = colon + 1;
	else
		*end.child = 0;
	return end;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

// --- how far it is ---

static bool shown;

static void show(uint64_t done, uint64_t size)
{
	static struct timespec last;
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
	if (ms < PROGRESS_MS || !size)
		return;
	last = now;
	shown = true;
	fprintf(stderr, "\r%3u%%  %llu of %llu MiB", (unsigned)(done * 100.0 / (double)size),
		(unsigned long long)(done >> 20), (unsigned long long)(size >> 20));
}

static agent_progress progress(void)
{
	return isatty(STDERR_FILENO) ? show : NULL;
}

static void end_progress(void)
{
	if (shown)
		fprintf(stderr, "\r\033[K");
	shown = false;
}

// --- both ways ---

static int judge(bool done, const char *sentence)
{
	end_progress();
	if (done)
		return 0;
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s",
		*sentence ? sentence : "The child, or its agent, does not answer any more.");
}

// Takes what says how it has ended.
static bool take_verdict(uint32_t wanted, struct agent_frame *frame, char *sentence)
{
	*sentence = 0;
	stream.ended = false; // it may have said why before it went
	if (!agent_receive(&stream, frame))
		return false;
	if (frame->type == AGENT_FAILED)
		snprintf(sentence, AGENT_SENTENCE_MAX, "%.*s", (int)frame->length,
			(const char *)frame->bytes);
	else if (frame->type != wanted)
		snprintf(sentence, AGENT_SENTENCE_MAX, "The agent says what makes no sense.");
	return frame->type == wanted;
}

static bool send_request(
	int fd, const struct stat *stat, const struct end *from, const struct end *to)
{
	const struct agent_file file = { .size = (uint64_t)stat->st_size,
		.mode = stat->st_mode & 0777 };
	char strings[2 * PATH_MAX];
	int length =
		snprintf(strings, sizeof(strings), "%s%c%s", to->path, 0, last_part(from->path));

	return length < (int)sizeof(strings) &&
	       agent_send(&stream, AGENT_PUT, &file, sizeof(file), strings, (size_t)length + 1);
}

static int copy_in(const struct end *from, const struct end *to)
{
	char sentence[AGENT_SENTENCE_MAX] = "";
	struct agent_frame frame;
	struct failure failure;
	struct stat stat;
	int status, fd = file_open("file", from->path, O_RDONLY, FILE_REGULAR, &stat, &failure);
	bool sent;

	if (fd < 0)
		return ctl_fail(failure.status, "%s", failure.text);
	status = ctl_agent(to->child, &stream);
	if (status)
		return status;
	sent = send_request(fd, &stat, from, to) &&
	       agent_send_file(&stream, fd, (uint64_t)stat.st_size, progress(), sentence);
	// A sentence is ours; without one the agent may have ended it, and says why.
	return judge((sent || !*sentence) && take_verdict(AGENT_DONE, &frame, sentence), sentence);
}

static void forget_and_die(int number)
{
	agent_forget_file();
	signal(number, SIG_DFL);
	raise(number);
}

static int copy_out(const struct end *from, const struct end *to)
{
	char sentence[AGENT_SENTENCE_MAX] = "";
	struct agent_frame frame;
	struct agent_file file;
	int status = ctl_agent(from->child, &stream);
	bool done;

	if (status)
		return status;
	signal(SIGINT, forget_and_die);
	signal(SIGTERM, forget_and_die);
	signal(SIGHUP, forget_and_die);
	done = agent_send(&stream, AGENT_GET, from->path, strlen(from->path) + 1, NULL, 0) &&
	       take_verdict(AGENT_FILE, &frame, sentence) &&
	       agent_take(&frame, &file, sizeof(file)) &&
	       agent_receive_file(
		       &stream, to->path, last_part(from->path), &file, progress(), sentence);
	return judge(done, sentence);
}

int ctl_copy(int argc, char **argv)
{
	struct end from, to;

	if (argc > 1 && argv[1][0] == '-')
		return ctl_wrong("copy does not know %s.", argv[1]);
	if (argc != 3)
		return ctl_wrong("copy needs a file and where it goes.");
	from = parse(argv[1]);
	to = parse(argv[2]);
	if (!*from.child == !*to.child)
		return ctl_wrong(
			"copy needs one path of a child's, NAME:PATH, and one that is not.");
	if (*(*from.child ? from.path : to.path) != '/')
		return ctl_wrong("copy needs the whole path in the child, beginning with /.");
	return *from.child ? copy_out(&from, &to) : copy_in(&from, &to);
}
