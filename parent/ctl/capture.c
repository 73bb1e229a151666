// SPDX-License-Identifier: BSD-2-Clause
// lumenctl capture: what passes between a child and its host, into a pcapng file: frames of its
// network card's port, messages of VMBus, hypercalls.
#include "parent/ctl/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/ctl/ctl.h"
#include "parent/ctl/deadline.h"

static const struct capture_source_class *const classes[] = { &capture_net, &capture_messages,
	&capture_calls };
_Static_assert(ARRAY_SIZE(classes) == CAPTURE_SOURCES, "a source each");

struct words {
	const char *child, *output; // NULL: standard output
	bool start;		    // the child first
	uint64_t count;		    // of frames
	unsigned only;		    // a bit for each of classes[]; 0: all that there are
};

// --- the sources ---

static bool is_wanted(const struct words *words, unsigned class)
{
	return !words->only || words->only & 1u << class;
}

static bool needs_worker(const struct words *words)
{
	for (unsigned i = 0; i < CAPTURE_SOURCES; i++)
		if (is_wanted(words, i) && classes[i]->asks_worker)
			return true;
	return false;
}

// The messages' end is that of the child: without them, whoever asks the worker at all is told.
static void choose(struct capture *capture, const struct words *words)
{
	for (unsigned i = 0; i < CAPTURE_SOURCES; i++) {
		const bool for_its_end = classes[i] == &capture_messages && needs_worker(words);

		if (is_wanted(words, i) || for_its_end)
			capture->sources[capture->used++] =
				(struct capture_source){ .class = classes[i],
					.child = words->child,
					.named = words->only,
					.unwanted = !is_wanted(words, i),
					.fd = -1 };
	}
}

static void leave_out_missing(struct capture *capture)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < capture->used; i++)
		if (!capture->sources[i].missing)
			capture->sources[kept++] = capture->sources[i];
	capture->used = kept;
}

static int prepare_sources(struct capture *capture)
{
	int status = 0;

	for (unsigned i = 0; !status && i < capture->used; i++) {
		struct capture_source *source = &capture->sources[i];

		if (source->class->prepare)
			status = source->class->prepare(source);
	}
	leave_out_missing(capture);
	return status;
}

static int open_sources(struct capture *capture, const struct capture_worker *worker)
{
	int status = 0;

	for (unsigned i = 0; !status && i < capture->used; i++) {
		struct capture_source *source = &capture->sources[i];

		snprintf(source->name, sizeof(source->name), "%s", source->class->name);
		status = source->class->open(source, worker);
	}
	leave_out_missing(capture);
	return status;
}

// --- the worker ---

static int take_hello(struct capture_worker *worker)
{
	struct capture_hello *hello = &worker->hello;
	ssize_t length;

	deadline_start(CTL_ANSWER_S);
	length = recv(worker->fd, hello, sizeof(*hello), MSG_WAITALL);
	deadline_end();
	if (length != sizeof(*hello) || hello->magic != CAPTURE_MAGIC ||
		hello->version != CAPTURE_VERSION)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"The worker does not say what is known here of the child's messages.");
	return 0;
}

static int take_verdict(int fd)
{
	int status;

	deadline_start(CTL_ANSWER_S);
	status = ctl_verdict(fd);
	deadline_end();
	return status;
}

// The request is there when the worker looks for the first time, before the child runs.
static int start_and_ask(const char *child, struct capture_worker *worker)
{
	int ends[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return ctl_fail(
			LUMEN_EXIT_OUR_FAULT, "A socket cannot be made: %s.", strerror(errno));
	dprintf(ends[0], "%s\n", CAPTURE_REQUEST);
	status = ctl_start_with_client(child, ends[1]);
	close(ends[1]);
	worker->fd = ends[0];
	return status ? status : take_verdict(worker->fd);
}

static int ask_running(const char *child, bool ask, struct capture_worker *worker)
{
	int status, directory = ctl_find_running(child, &status);

	if (directory < 0)
		return status;
	if (ask)
		worker->fd = ctl_request(directory, CAPTURE_REQUEST, CTL_ANSWER_S, false);
	close(directory);
	return ask && worker->fd < 0 ? LUMEN_EXIT_OUR_FAULT : 0;
}

static int reach_worker(const struct words *words, struct capture_worker *worker)
{
	const bool ask = needs_worker(words);
	int status;

	if (!words->start)
		status = ask_running(words->child, ask, worker);
	else
		status = ask ? start_and_ask(words->child, worker) : ctl_start_child(words->child);
	return status || !ask ? status : take_hello(worker);
}

// --- the command ---

static int open_file(struct capture *capture)
{
	int fd = STDOUT_FILENO;

	if (!capture->output && isatty(STDOUT_FILENO))
		return ctl_wrong("A capture is nothing for a terminal: name a file with --output, "
				 "or pipe it.");
	if (capture->output)
		fd = open(capture->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	capture->file = fd < 0 ? NULL : fdopen(fd, "w");
	return capture->file ? 0 : capture_write_failed(capture);
}

static bool write_interfaces(const struct capture *capture)
{
	bool good = pcapng_begin(capture->file);

	for (unsigned i = 0; i < capture->used; i++) {
		const struct capture_source *source = &capture->sources[i];

		good = good && (source->unwanted ||
				       pcapng_add_interface(capture->file, source->class->link_type,
					       source->name, source->description));
	}
	return good && !fflush(capture->file);
}

// Until then, a signal ends us as any program: nothing is in the file.
static int take_signals(struct capture *capture)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	capture->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return write_interfaces(capture) ? 0 : capture_write_failed(capture);
}

static int run(const struct words *words)
{
	struct capture capture = { .output = words->output, .count = words->count };
	struct capture_worker worker = { .fd = -1 };
	int status;

	choose(&capture, words);
	status = words->start ? 0 : ask_running(words->child, false, &worker);
	status = status ? status : prepare_sources(&capture);
	status = status ? status : open_file(&capture);
	status = status ? status : reach_worker(words, &worker);
	status = status ? status : open_sources(&capture, &worker);
	status = status ? status : take_signals(&capture);
	status = status ? status : capture_follow(&capture);
	return status ? status : capture_finish(&capture);
}

// NAME[,NAME...]
static int take_only(const char *text, unsigned *only)
{
	while (*text) {
		const size_t length = strcspn(text, ",");
		unsigned i = 0;

		while (i < CAPTURE_SOURCES && (strlen(classes[i]->name) != length ||
						      strncmp(classes[i]->name, text, length)))
			i++;
		if (i == CAPTURE_SOURCES)
			return ctl_wrong("--only %s is none of net, vmbus and hypercalls.", text);
		*only |= 1u << i;
		text += length + (text[length] == ',');
	}
	return *only ? 0 : ctl_wrong("--only needs one of net, vmbus and hypercalls.");
}

static int take_option(int option, struct words *words)
{
	if (option == 'o')
		words->output = optarg;
	else if (option == 's')
		words->start = true;
	else if (option == 'c' &&
		 (!child_config_parse_number(optarg, UINT32_MAX, &words->count) || !words->count))
		return ctl_wrong("--count %s is not a number of frames.", optarg);
	return option == 'O' ? take_only(optarg, &words->only) : 0;
}

static int take_words(int argc, char **argv, struct words *words)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "count", required_argument, NULL, 'c' },
		{ "only", required_argument, NULL, 'O' },
		{ "start", no_argument, NULL, 's' },
		{ 0 },
	};
	int option, status = 0;

	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":o:c:", options, NULL)) != -1) {
		if (option == ':')
			return ctl_wrong("%s needs a value.", argv[optind - 1]);
		if (option == '?')
			return ctl_unknown_option(argv);
		status = take_option(option, words);
	}
	if (status)
		return status;
	if (optind == argc)
		return ctl_wrong("%s needs the name of a child.", argv[0]);
	if (optind + 1 < argc)
		return ctl_wrong(
			"%s takes one name; %s is one too many.", argv[0], argv[optind + 1]);
	words->child = argv[optind];
	return 0;
}

int ctl_capture(int argc, char **argv)
{
	struct words words = { .count = UINT64_MAX };
	const int status = take_words(argc, argv, &words);

	return status ? status : run(&words);
}
