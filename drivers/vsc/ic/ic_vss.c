// SPDX-License-Identifier: BSD-2-Clause
// The backup component's VSC: the kernel holds its disks still, and is always let go again.
#include "base/macros.h"
#include "drivers/proto/vss.h"
#include "drivers/vsc/ic/ic_vsc.h"

// The component's state.
struct vss {
	bool frozen; // the kernel's answer to freeze(), and no thaw() since
};

static struct vss *vss_of(struct lumen_ic *ic)
{
	return (void *)ic->state;
}

// A host to which the answer to its freeze came too late does not know whether there is anything.
static uint32_t vss_thaw(struct lumen_ic *ic)
{
	const struct lumen_vss_handlers *handlers = ic->handlers;

	if (!vss_of(ic)->frozen)
		return IC_STATUS_OK;
	vss_of(ic)->frozen = false;
	return handlers->thaw(handlers->context);
}

static uint32_t vss_freeze(struct lumen_ic *ic)
{
	const struct lumen_vss_handlers *handlers = ic->handlers;
	lumen_ic_answer answer;

	if (vss_of(ic)->frozen)
		return ic_refuse(ic);
	answer = handlers->freeze(handlers->context);
	vss_of(ic)->frozen = answer == LUMEN_IC_DONE;
	return answer;
}

static uint32_t vss_hot_backup(struct lumen_ic *ic)
{
	const struct lumen_vss_handlers *handlers = ic->handlers;

	return handlers->hot_backup(handlers->context);
}

// What needs nothing of the kernel's.
static uint32_t vss_note(struct lumen_ic *ic)
{
	(void)ic;
	return IC_STATUS_OK;
}

// Operations without a function are not supported.
static const struct {
	uint32_t size; // of the request
	uint32_t (*take)(struct lumen_ic *ic);
	uint32_t flags; // of the answer, if it has them
} vss_operations[] = {
	[VSS_HOT_BACKUP] = { sizeof(struct vss_message), vss_hot_backup, VSS_NO_AUTO_RECOVERY },
	[VSS_GET_DM_INFO] = { sizeof(struct vss_message), vss_note, 0 },
	[VSS_BACKUP_COMPLETE] = { 0, vss_note, 0 },
	[VSS_FREEZE] = { 0, vss_freeze, 0 },
	[VSS_THAW] = { 0, vss_thaw, 0 },
	[VSS_AUTO_RECOVER] = { 0, NULL, 0 },
};

static uint32_t vss_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	const uint8_t operation = body[offsetof(struct vss_message, operation)];
	uint32_t status, flags = 0;

	(void)event;
	if (operation >= ARRAY_SIZE(vss_operations) || body_size < vss_operations[operation].size)
		return ic_refuse(ic);
	if (!vss_operations[operation].take)
		return IC_STATUS_NOT_SUPPORTED;
	status = vss_operations[operation].take(ic);
	if (status == IC_STATUS_OK)
		flags = vss_operations[operation].flags;
	if (vss_operations[operation].size)
		memcpy(body + offsetof(struct vss_message, flags), &flags, sizeof(flags));
	return status;
}

static void vss_abandon(struct lumen_ic *ic)
{
	vss_thaw(ic);
}

lumen_status lumen_vss_open(struct lumen_vmbus *bus, const struct lumen_vss_handlers *handlers,
	struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = VSS_VERSIONS;
	static const struct ic_component component = {
		.type = VSS_GUID,
		.message = IC_MESSAGE_VSS,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = offsetof(struct vss_message, flags),
		.state_size = sizeof(struct vss),
		.polled = true,
		.take = vss_take,
		.abandon = vss_abandon,
	};

	return ic_open(bus, &component, handlers, ic_out);
}
