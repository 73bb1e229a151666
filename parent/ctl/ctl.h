// SPDX-License-Identifier: BSD-2-Clause
// lumenctl: its commands and what they share.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "parent/common/agent_wire.h"
#include "parent/common/child_config.h"
#include "parent/common/exit_status.h"
#include "parent/common/rundir.h"
#include "parent/common/verbs.h"

// A command gets its own arguments, argv[0] being its name, and returns lumenctl's exit status.
struct ctl_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments; // for the usage line
	const char *summary;   // one line
	const char *details;   // for its --help; "" if there is nothing more to say
	bool describes;	       // it takes the options of child_config.h
};

// The commands, one file each, and the table of them in main.c.
int ctl_create(int argc, char **argv);
int ctl_delete(int argc, char **argv);
int ctl_start(int argc, char **argv);
int ctl_run(int argc, char **argv);
int ctl_list(int argc, char **argv);
int ctl_console(int argc, char **argv);
int ctl_kill(int argc, char **argv);
int ctl_wait(int argc, char **argv);
int ctl_stat(int argc, char **argv);
int ctl_trace(int argc, char **argv);
int ctl_switch(int argc, char **argv);
int ctl_capture(int argc, char **argv);
int ctl_exec(int argc, char **argv);
int ctl_copy(int argc, char **argv);

// The commands that are a verb of verbs.h.
int ctl_verb(const struct verb *verb, int argc, char **argv);

// Says "lumenctl: <sentence>" on standard error. Returns `status`.
__attribute__((format(printf, 2, 3))) int ctl_fail(int status, const char *format, ...);

// As ctl_fail, for a wrong command line: adds where to find help, and returns the status for it.
__attribute__((format(printf, 1, 2))) int ctl_wrong(const char *format, ...);

// The values of long options begin here: getopt_long() then says which one was not known.
enum { CTL_OPTION = 256 };

// Says that a command does not know the option at which getopt_long() has stopped. Returns the
// status for it.
int ctl_unknown_option(char **argv);

// Takes the options of a command that knows only --json (if `json` is not NULL), and exactly one
// NAME (or at most one, if `optional`; *name is then NULL). Returns 0 or an exit status.
int ctl_one_name(int argc, char **argv, const char **name, bool optional, bool *json);

// Opens the directory of a child and finds out its state. Returns a descriptor, or -1 after saying
// why, with an exit status in *error.
int ctl_find(const char *name, struct rundir_status *status, int *error);

// The same, for a child that is to run.
int ctl_find_running(const char *name, int *error);

// The whole of a command that takes exactly one NAME, of a child that is to run, and does `act`
// with it. Returns an exit status.
int ctl_with_running(int argc, char **argv, int (*act)(const char *name, int directory));

// The same as ctl_find(), and locks the directory for a change; waits for those who do that.
int ctl_find_to_change(const char *name, struct rundir_status *status, int *error);

// Reads the arguments of create and run: NAME and the options. Checks that the files are there and
// makes their paths absolute. Returns 0 or an exit status.
int ctl_parse_child(int argc, char **argv, const char **name, struct child_config *config);

// Makes the child's directory and config. `replace`: a child of that name that does not run goes.
int ctl_make_child(const char *name, const struct child_config *config, bool replace);

// Starts the child's worker and waits until it says that the child runs.
int ctl_start_child(const char *name);

// The same with a connection to the worker, of which this is the worker's end: what has been asked
// for on it is answered before the child's first instruction.
int ctl_start_with_client(const char *name, int client);

enum {
	CTL_START_S = 300, // seconds that a worker has to load its child
	CTL_ANSWER_S = 10, // and to answer, other than to a request for a shutdown
};

// Connects to the child's worker and makes a request, which is answered in so many seconds. Returns
// the socket, from which the rest of the answer can be read, or -1 after saying why (unless
// `quiet`).
int ctl_request(int directory, const char *request, unsigned int seconds, bool quiet);

// Makes a request whose answer has an end, and returns that: text of the caller's to free. NULL
// after saying why not (unless `quiet`).
char *ctl_ask(int directory, const char *request, unsigned int seconds, bool quiet);

// Connects without waiting, to read and write without waiting. Returns the socket, or -1.
int ctl_connect_now(int directory);

// Parts of these, within a deadline of the caller's (deadline.h). The socket, or -1; 0, or a status
// after saying what the worker's first line does; the rest, or NULL after saying why not.
int ctl_connect(int directory, bool quiet);
int ctl_verdict(int fd);
char *ctl_take_answer(int fd, bool quiet);

// Opens the hypervisor's trace. Returns 0, or an exit status after saying why not. If `missing` is
// not NULL, one that is not there is no failure, and *missing says so.
struct trace_ring;
int ctl_open_trace(struct trace_ring *ring, bool *missing);

// Prints the worker's `name value` lines, as they are or as one JSON object; changes the text.
void ctl_print_lines(char *lines, bool json);

// Ends the child whatever it does. Returns 0, or an exit status after saying why not.
int ctl_end_child(const char *name, int directory);

// Connects to the agent in a child, in *stream. Returns 0, or an exit status after saying why not.
int ctl_agent(const char *name, struct agent_stream *stream);

// The terminal at standard input, if it is one, passes on what is typed as it is; and again as it
// was before. Returns whether it does.
bool ctl_terminal_raw(void);
void ctl_terminal_restore(void);

// Connects standard input and output to the console until the child ends or Ctrl-] is typed; *left
// says which it was. Returns 0, or an exit status if there is no worker to connect to (after saying
// so, unless `quiet`).
int ctl_attach(int directory, bool *left, bool quiet);

// Waits for the child's end, says why if it was not in order, and returns its status.
int ctl_wait_child(const char *name, int directory);

// What goes with the request to attach a device. The caller fills in the first two.
struct ctl_brought {
	const char *child;
	int directory;
	char *word;	// what the worker is told, the caller's to free
	int descriptor; // or -1
};

// Makes what a device needs that is attached, given as DEVICE or DEVICE=HOW. Returns 0, or an exit
// status after saying why not.
int ctl_bring(struct ctl_brought *brought, const char *device);

// lumenctl switch show: one switch, or all if `name` is NULL, by a socket of netlink.h. Returns an
// exit status.
int ctl_show_switches(int socket, const char *name, bool json);

// Prints `text` as a JSON string, quotes included.
void ctl_print_json_string(const char *text);
