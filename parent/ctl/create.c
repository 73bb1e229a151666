// SPDX-License-Identifier: BSD-2-Clause
// lumenctl create and delete: the files of a child.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/common/file.h"

enum {
	OPTION_ROOM = 80, // behind a disk's path: all of its options
	OPTION = CTL_OPTION,
	OPTION_NAME,
};

// Finds out at once whether the worker could open a file, and makes its path absolute: that may
// have another working directory.
static int check_file(const char *what, char *path, int flags, unsigned kinds)
{
	char resolved[PATH_MAX];
	struct failure failure;
	struct stat file;
	int fd = file_open(what, path, flags, kinds, &file, &failure);

	if (fd < 0)
		return ctl_fail(failure.status, "%s", failure.text);
	close(fd);
	if (!realpath(path, resolved))
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The %s %s cannot be found: %s.", what,
			path, strerror(errno));
	if (snprintf(path, CHILD_PATH_MAX, "%s", resolved) >= CHILD_PATH_MAX - OPTION_ROOM)
		return ctl_fail(
			LUMEN_EXIT_BAD_ARGUMENTS, "The path of the %s %s is too long.", what, path);
	return 0;
}

static int check_files(struct child_config *config)
{
	int status = check_file("kernel", config->kernel, O_RDONLY, FILE_REGULAR);

	if (!status && *config->initrd)
		status = check_file("initrd", config->initrd, O_RDONLY, FILE_REGULAR);
	for (uint32_t i = 0; !status && i < config->disk_count; i++)
		status = check_file("disk", config->disks[i].path,
			config->disks[i].read_only ? O_RDONLY : O_RDWR,
			FILE_REGULAR | FILE_BLOCK_DEVICE);
	return status;
}

// The table's, and --name.
static void list_options(struct option *options)
{
	for (int i = 0; i < CHILD_OPTIONS; i++)
		options[i] = (struct option){ child_options[i].name,
			child_options[i].argument ? required_argument : no_argument, NULL, OPTION };
	options[CHILD_OPTIONS] = (struct option){ "name", required_argument, NULL, OPTION_NAME };
	options[CHILD_OPTIONS + 1] = (struct option){ 0 };
}

static int parse_options(int argc, char **argv, const char **name, struct child_config *config)
{
	struct option options[CHILD_OPTIONS + 2];
	int option, index;

	opterr = 0;
	list_options(options);
	while ((option = getopt_long(argc, argv, ":", options, &index)) != -1) {
		const char *why;

		if (option == ':')
			return ctl_wrong("%s needs a value.", argv[optind - 1]);
		if (option == OPTION_NAME) {
			*name = optarg;
			continue;
		}
		if (option != OPTION)
			return ctl_unknown_option(argv);
		// One that takes no value is switched on.
		why = child_config_set(config, child_options[index].name, optarg ? optarg : "on");
		if (why)
			return ctl_wrong("--%s %s %s.", child_options[index].name, optarg, why);
	}
	return 0;
}

int ctl_parse_child(int argc, char **argv, const char **name, struct child_config *config)
{
	int status;

	*name = NULL;
	child_config_init(config);
	status = parse_options(argc, argv, name, config);
	if (status)
		return status;
	if (!*name && optind < argc)
		*name = argv[optind++];
	if (!*name || optind != argc)
		return ctl_wrong("%s needs one name for the child.", argv[0]);
	if (!rundir_name_valid(*name))
		return ctl_wrong("%s cannot be a name: 1 to 31 letters, digits, - and _.", *name);
	if (!*config->kernel)
		return ctl_wrong("%s needs --kernel.", argv[0]);
	return check_files(config);
}

// Removes the files of a child that does not run. Takes the directory, opened to change.
static int remove_files(const char *name, int directory)
{
	int error = rundir_remove(name, directory);

	close(directory);
	return error ? ctl_fail(LUMEN_EXIT_OUR_FAULT, "The files of %s cannot be removed: %s.",
			       name, strerror(error))
		     : 0;
}

static int remove_child(const char *name)
{
	struct rundir_status child;
	int status, directory = ctl_find_to_change(name, &child, &status);

	if (directory < 0)
		return status;
	if (child.state != RUNDIR_RUNNING)
		return remove_files(name, directory);
	close(directory);
	return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s is running.", name);
}

static int replace_child(const char *name)
{
	int directory = rundir_open(name);

	if (directory < 0)
		return 0; // what else may be wrong, rundir_create() finds
	close(directory);
	return remove_child(name);
}

int ctl_make_child(const char *name, const struct child_config *config, bool replace)
{
	int error, status = replace ? replace_child(name) : 0;
	char *text;

	if (status)
		return status;
	text = child_config_text(config);
	error = text ? rundir_create(name, text) : ENOMEM;
	free(text);
	if (error == EEXIST)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"There is a child %s already: delete it first.", name);
	return error ? ctl_fail(LUMEN_EXIT_OUR_FAULT, "The files of %s cannot be made in %s: %s.",
			       name, rundir_base(), strerror(error))
		     : 0;
}

int ctl_create(int argc, char **argv)
{
	static struct child_config config;
	const char *name;
	int status = ctl_parse_child(argc, argv, &name, &config);

	return status ? status : ctl_make_child(name, &config, false);
}

int ctl_delete(int argc, char **argv)
{
	const char *name;
	int status = ctl_one_name(argc, argv, &name, false, NULL);

	return status ? status : remove_child(name);
}
