// SPDX-License-Identifier: BSD-2-Clause
// See verbs.h.
#include "parent/common/verbs.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/fcopy.h"
#include "drivers/proto/kvp.h"
#include "drivers/proto/shutdown.h"
#include "drivers/proto/vss.h"

// clang-format off
const struct verb child_verbs[] = {
	{ "stop", "shutdown", 0, 0, VERB_ENDS, 300, "NAME", "ask the child to shut down",
		"Waits for the child's end. A child without a driver for Hyper-V's shutdown component\n"
		"cannot be asked: then this fails and says so.\n" },
	{ "restart", "shutdown", SHUTDOWN_FLAG_RESTART, 0, VERB_ENDS | VERB_RESTARTS, 300, "NAME",
		"ask the child to restart",
		"Its kernel is loaded anew, by a new worker. A child whose driver knows no restart is asked\n"
		"to shut down instead, and started again.\n" },
	{ "info", "kvp", KVP_ORDER(KVP_ENUMERATE, 0), 0, VERB_TELLS, 10, "NAME",
		"what the child says of itself",
		"Its system, host name and addresses, its key-value pairs, its heartbeat and clock, and the\n"
		"versions of its drivers. What its own daemons have to say (Linux: hv_kvp_daemon) is left\n"
		"out if they do not. A key's spaces and control characters are shown as question marks.\n" },
	{ "set-kvp", "kvp", KVP_ORDER(KVP_SET, KVP_POOL_EXTERNAL), 2, 0, 10, "NAME KEY VALUE",
		"set a key of the child's to a value", "Linux: in /var/lib/hyperv/.kvp_pool_0.\n" },
	{ "delete-kvp", "kvp", KVP_ORDER(KVP_DELETE, KVP_POOL_EXTERNAL), 1, 0, 10, "NAME KEY",
		"remove a key that was set", "" },
	{ "set-addresses", "kvp", KVP_ORDER(KVP_SET_ADDRESSES, 0), 5, 0, 30,
		"NAME ADAPTER ADDRESSES NETMASKS GATEWAYS NAMESERVERS",
		"set the addresses of a network adapter",
		"ADAPTER is its GUID. The others are lists with semicolons, or empty; ADDRESSES may be dhcp.\n" },
	{ "freeze", "vss", VSS_FREEZE, 0, 0, 30, "NAME", "have the child's file systems hold still",
		"Until thaw, what is on its disks is whole, and they can be copied. Needs a daemon in the\n"
		"child (Linux: hv_vss_daemon). One that has not frozen in time is thawed.\n" },
	{ "thaw", "vss", VSS_THAW, 0, 0, 30, "NAME", "let a frozen child go on", "" },
	{ "copy-to", "fcopy", FCOPY_START, 2, VERB_SENDS, 30, "NAME FILE GUESTPATH",
		"copy a file into the child",
		"GUESTPATH is the whole path, beginning with /; what is missing of it is made. Needs a daemon\n"
		"in the child (Linux: hv_fcopy_daemon).\n" },
	{ "detach", NULL, VERB_DETACH, 1, 0, 10, "NAME DEVICE",
		"take a device from a running child",
		"DEVICE is one of those of `lumenctl stat`: shutdown, heartbeat, timesync, kvp, vss, fcopy,\n"
		"scsi, net. The child is told, and lets go of it in its own time; what is under way ends.\n" },
	{ "attach", NULL, VERB_ATTACH, 1, VERB_BRINGS, 10, "NAME DEVICE",
		"give a device to a running child",
		"One that was detached, and that the child has let go of. It is a new one for the child.\n"
		"net=SWITCH[,OPTION...] is a network card, as --net of create has it, also for a child that\n"
		"had none or another one; net alone is the one that the child was created with.\n" },
};
// clang-format on

const unsigned child_verb_count = ARRAY_SIZE(child_verbs);

const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < child_verb_count; i++)
		if (!strcmp(child_verbs[i].name, name))
			return &child_verbs[i];
	return NULL;
}
