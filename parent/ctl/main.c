// SPDX-License-Identifier: BSD-2-Clause
// lumenctl: the table of its commands, and help.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/text.h"
#include "parent/ctl/deadline.h"

// As long as a start by another lumenctl may take, and a little more.
enum { CHANGE_S = CTL_START_S + 20, SENTENCE_MAX = 8192 };

static const struct ctl_command commands[] = {
	{ "create", ctl_create, "NAME --kernel F [options]", "describe a child", "", true },
	{ "start", ctl_start, "NAME", "start a child that was created, or one that has ended", "",
		false },
	{ "run", ctl_run, "NAME --kernel F [options]",
		"create, start, console and wait in one; ends with the child's status",
		"Ctrl-] ends the child. A child of this name that has ended is replaced.\n", true },
	{ "list", ctl_list, "[--json]", "all children and their states",
		"The heartbeat of one that runs is ok, lost, none (it has no driver for that), or "
		"unknown\n"
		"(its worker does not say).\n",
		false },
	{ "console", ctl_console, "NAME", "the child's console here; Ctrl-] leaves it", "", false },
	{ "exec", ctl_exec, "NAME [-- COMMAND [ARGUMENT]...]",
		"run a command in the child, or a shell; ends with its status",
		"Needs the agent in the child (lumen-agent, in the example Linux) and its driver "
		"for VMBus\n"
		"sockets (Linux: hv_sock). Standard input, output and errors are the command's; "
		"SIGINT\n"
		"(Ctrl-C), SIGTERM, SIGQUIT and SIGHUP are passed on; the third within 3 s ends "
		"lumenctl,\n"
		"too. If standard input and output are a terminal, the command has one of the same "
		"size. A\n"
		"command that a signal has ended has status 128 and the signal. When lumenctl ends "
		"before\n"
		"it, it gets SIGHUP, and SIGKILL 2 s later.\n",
		false },
	{ "copy", ctl_copy, "FILE NAME:PATH | NAME:PATH FILE",
		"copy a file into the child, or out of it",
		"Needs the agent in the child, as exec does. The copy has the file's mode (without "
		"set-id\n"
		"bits and what the umask takes) and its holes, and takes the place of what was "
		"there when\n"
		"it is whole. PATH begins with /; the target may be a folder. Fails if the child "
		"takes or\n"
		"says nothing for 60 s.\n",
		false },
	{ "kill", ctl_kill, "NAME", "end the child at once",
		"Takes at most a few seconds, whatever the child and its worker do.\n", false },
	{ "wait", ctl_wait, "NAME", "wait for the child's end; ends with its status", "", false },
	{ "stat", ctl_stat, "NAME [--json]", "counters of a running child", "", false },
	{ "trace", ctl_trace, "[NAME] [--json]",
		"the hypervisor's trace: of one child, or of everything", "", false },
	{ "switch", ctl_switch, "add NAME [--mtu N] | del NAME | show [NAME] [--json]",
		"make, remove and show the switches that children's network cards are on",
		"A switch is a bridge of the root's Linux that keeps VLANs apart: what --net "
		"SWITCH names.\n"
		"add    makes one, which is up and has no port; with --mtu N, 68 to 65535, so "
		"large\n"
		"       frames (default 1500). An address for the root is given by `ip addr add`\n"
		"del    removes one that has no port\n"
		"show   lists switches and their ports: link, child, the address of its card, VLAN "
		"(of\n"
		"       frames without a tag), whether it is up, and whether it is isolated\n",
		false },
	{ "capture", ctl_capture, "NAME [--only WHAT,...] [--start] [--output F] [--count N]",
		"what passes between a child and its host, as pcapng",
		"To standard output, or to --output F (-o), until --count N frames (-c) have "
		"passed, Ctrl-C\n"
		"is typed, or the child ends. --start starts the child first, so that nothing is "
		"missed.\n"
		"Wireshark, tshark and tcpdump read it: live by\n"
		"  lumenctl capture NAME | tshark -r - -X lua_script:lumen.lua\n"
		"An interface each, or those of --only WHAT,...:\n"
		"net         frames at the port of its network card, if it has one. Large frames "
		"are\n"
		"            whole, as the root's Linux has them\n"
		"vmbus       messages of VMBus, both ways: contact, offers, GPADLs, opens, ...\n"
		"hypercalls  its calls of the hypervisor: input value and result, without "
		"parameters\n"
		"Inbound is what goes to the child. What came too fast is counted where it is "
		"missing and\n"
		"at the end; of hypercalls, that may have been others' (of the trace, which all "
		"share).\n"
		"lumen.lua (tools/wireshark/) shows messages and calls.\n",
		false },
	{ "delete", ctl_delete, "NAME", "forget a child that does not run", "", false },
};

enum { COMMANDS = ARRAY_SIZE(commands), OPTION_COLUMN = 18 };

static void print_statuses(void)
{
	printf("\nExit status of run and wait:\n");
#define X(number, name, text) printf("  %-5d  %s\n", number, text);
	LUMEN_EXIT_STATUSES(X)
#undef X
	printf("  1..99  the status that the child reported before it powered off\n"
	       "Other commands: 0, or 122 or 123.\n");
}

static int print_help(void)
{
	printf("usage: lumenctl COMMAND ...\n\nChildren of this root partition.\n\n");
	for (int i = 0; i < COMMANDS; i++)
		printf("  %-10s  %s\n", commands[i].name, commands[i].summary);
	for (unsigned i = 0; i < child_verb_count; i++)
		printf("  %-10s  %s\n", child_verbs[i].name, child_verbs[i].summary);
	printf("\nlumenctl COMMAND --help says more about one of them.\n");
	print_statuses();
	return 0;
}

// Its name and argument stand in a column, on a line of their own if they are too long for it.
static void print_option(const struct child_option *option)
{
	char left[40];
	int length = snprintf(left, sizeof(left), "  --%s%s%s", option->name,
		option->argument ? " " : "", option->argument ? option->argument : "");

	if (length > OPTION_COLUMN - 2)
		printf("%s\n", left);
	for (const char *line = option->help; *line; line = strchr(line, '\n') + 1)
		printf("%-*s%.*s\n", OPTION_COLUMN,
			line == option->help && length <= OPTION_COLUMN - 2 ? left : "",
			(int)strcspn(line, "\n"), line);
}

static void print_options(void)
{
	static const struct child_option name = { "name", "NAME",
		"the same as NAME without --name\n", NULL };

	putchar('\n');
	for (int i = 0; i < CHILD_OPTIONS; i++)
		print_option(&child_options[i]);
	print_option(&name);
}

static int print_command_help(const struct ctl_command *command)
{
	printf("usage: lumenctl %s %s\n\n%s\n", command->name, command->arguments,
		command->summary);
	if (command->describes)
		print_options();
	if (*command->details)
		printf("%s%s", command->describes ? "" : "\n", command->details);
	return 0;
}

// Names, paths and the words of a worker that may be no longer ours are in it: nothing of that is
// for the terminal to obey.
static void say(const char *format, va_list arguments, const char *end)
{
	static char sentence[SENTENCE_MAX];

	vsnprintf(sentence, sizeof(sentence), format, arguments);
	text_make_printable(sentence);
	fflush(stdout);
	fprintf(stderr, "lumenctl: %s%s\n", sentence, end);
}

static const char *command = ""; // the one that runs

int ctl_fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, "");
	va_end(arguments);
	return status;
}

int ctl_wrong(const char *format, ...)
{
	va_list arguments;
	char hint[64];

	snprintf(hint, sizeof(hint), " (lumenctl%s%s --help says more)", *command ? " " : "",
		command);
	va_start(arguments, format);
	say(format, arguments, hint);
	va_end(arguments);
	return LUMEN_EXIT_BAD_ARGUMENTS;
}

int ctl_unknown_option(char **argv)
{
	if (optopt && optopt < CTL_OPTION) // one of several letters, of which the word may be next
		return ctl_wrong("%s does not know -%c.", argv[0], optopt);
	return ctl_wrong("%s does not know %s.", argv[0], argv[optind - 1]);
}

int ctl_one_name(int argc, char **argv, const char **name, bool optional, bool *json)
{
	static const struct option options[] = { { "json", no_argument, NULL, CTL_OPTION }, { 0 } };
	int option;

	*name = NULL;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option != CTL_OPTION || !json)
			return ctl_unknown_option(argv);
		*json = true;
	}
	if (optind == argc)
		return optional ? 0 : ctl_wrong("%s needs the name of a child.", argv[0]);
	if (optind + 1 < argc)
		return ctl_wrong(
			"%s takes one name; %s is one too many.", argv[0], argv[optind + 1]);
	*name = argv[optind];
	return 0;
}

static int fail_to_find(const char *name)
{
	if (errno == ENOENT)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "There is no child %s.", name);
	if (errno == EINTR)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"%s is being changed by another lumenctl, which takes too long.", name);
	return ctl_fail(
		LUMEN_EXIT_OUR_FAULT, "The files of %s cannot be read: %s.", name, strerror(errno));
}

int ctl_find(const char *name, struct rundir_status *status, int *error)
{
	int directory = rundir_open(name);

	*error = directory < 0 ? fail_to_find(name) : 0;
	if (directory >= 0)
		rundir_read_status(directory, status);
	return directory;
}

int ctl_find_running(const char *name, int *error)
{
	struct rundir_status child;
	int directory = ctl_find(name, &child, error);

	if (directory < 0 || child.state == RUNDIR_RUNNING)
		return directory;
	close(directory);
	*error = ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s does not run.", name);
	return -1;
}

int ctl_with_running(int argc, char **argv, int (*act)(const char *name, int directory))
{
	const char *name;
	int directory, status = ctl_one_name(argc, argv, &name, false, NULL);

	if (status)
		return status;
	directory = ctl_find_running(name, &status);
	if (directory < 0)
		return status;
	status = act(name, directory);
	close(directory);
	return status;
}

int ctl_find_to_change(const char *name, struct rundir_status *status, int *error)
{
	int directory;

	deadline_start(CHANGE_S);
	directory = rundir_open_to_change(name);
	deadline_end();
	*error = directory < 0 ? fail_to_find(name) : 0;
	if (directory >= 0)
		rundir_read_status(directory, status);
	return directory;
}

static bool wants_help(int argc, char **argv)
{
	return argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	char arguments[160];
	const struct ctl_command as_command = { verb->name, NULL, arguments, verb->summary,
		verb->details, false };

	command = verb->name;
	if (!wants_help(argc, argv))
		return ctl_verb(verb, argc, argv);
	snprintf(arguments, sizeof(arguments), "%s [--timeout S]%s", verb->arguments,
		verb->flags & VERB_TELLS ? " [--json]" : "");
	print_command_help(&as_command);
	printf("%sWaits %u s for an answer of the child's without --timeout.\n",
		*verb->details ? "" : "\n", verb->seconds);
	return 0;
}

// Where one of them is closed, a file of ours would take its place, and be written to. What is put
// there can be used no more than what is missing.
static void keep_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int run_command(int argc, char **argv)
{
	if (argc < 2)
		return ctl_wrong("A command is missing.");
	if (wants_help(argc, argv))
		return print_help();
	for (int i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (wants_help(argc - 1, argv + 1))
			return print_command_help(&commands[i]);
		command = commands[i].name;
		return commands[i].run(argc - 1, argv + 1);
	}
	if (verb_find(argv[1]))
		return run_verb(verb_find(argv[1]), argc - 1, argv + 1);
	return ctl_wrong("There is no command %s.", argv[1]);
}

int main(int argc, char **argv)
{
	int status;

	// A worker that ends while it is spoken to is an error like others.
	signal(SIGPIPE, SIG_IGN);
	keep_standard_files();
	status = run_command(argc, argv);
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return status ? status
		      : ctl_fail(LUMEN_EXIT_OUR_FAULT, "Standard output could not be written.");
}
