// SPDX-License-Identifier: BSD-2-Clause
// The ways to crash: a triple fault, and the guest crash MSRs (TLFS: Guest Crash Enlightenment).
#include <string.h>

#include "hypercall/msr.h"
#include "parent/worker/exits.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

enum { CRASH_MESSAGE_MAX = 4096, LINE = 120, MSR_INSTRUCTION_LENGTH = 2 };

bool exits_unrecoverable(struct vp *vp, const struct hv_message *message)
{
	const struct hv_x64_intercept_message_header *header = (const void *)message->payload;

	exits_log_registers(vp);
	worker_end(vp->worker, LUMEN_EXIT_CRASHED,
		"The child crashed: triple fault of VP %u at 0x%llx.", vp->index,
		(unsigned long long)header->rip);
	return false;
}

static void log_text(const char *text, size_t length)
{
	char line[LINE + 1];
	size_t used = 0;

	for (size_t i = 0; i < length && text[i]; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			line[used++] = text[i];
		if (used == LINE || (text[i] == '\n' && used)) {
			line[used] = 0;
			log_line("crash: %s", line);
			used = 0;
		}
	}
	line[used] = 0;
	if (used)
		log_line("crash: %s", line);
}

// Finds the sentence for the report in a kernel's last messages: from "Kernel panic" to the end of
// the line. Returns false if there is none.
static bool find_panic(const char *text, char *line, size_t size)
{
	static const char words[] = "Kernel panic";
	const char *at = strstr(text, words);
	size_t used = 0;

	for (; at && *at && *at != '\n' && used + 1 < size; at++)
		if (*at >= ' ' && *at <= '~')
			line[used++] = *at;
	line[used] = 0;
	return used;
}

// Copies the text whose GPA is P3 and whose length is P4: both are the child's word. Returns false
// if it is not in the child's memory.
static bool copy_crash_message(
	struct worker *worker, uint64_t gpa, uint64_t length, char *copy, size_t size)
{
	const void *text;

	if (length > size - 1)
		length = size - 1;
	text = guest_memory_at(&worker->memory, gpa, length);
	if (!text)
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	return true;
}

static void get_crash_registers(struct vp *vp, struct hv_register_value *p)
{
	static const uint32_t names[HV_X64_MSR_CRASH_P_COUNT] = { HvRegisterGuestCrashP0,
		HvRegisterGuestCrashP1, HvRegisterGuestCrashP2, HvRegisterGuestCrashP3,
		HvRegisterGuestCrashP4 };
	int status = partition_get_registers(
		&vp->worker->partition, vp->index, names, p, HV_X64_MSR_CRASH_P_COUNT);

	if (!status)
		return;
	log_line("VP %u: no crash registers: hypercall status %d", vp->index, status);
	memset(p, 0, HV_X64_MSR_CRASH_P_COUNT * sizeof(*p));
}

static void report_crash(struct vp *vp, uint64_t control)
{
	struct hv_register_value p[HV_X64_MSR_CRASH_P_COUNT];
	char text[CRASH_MESSAGE_MAX + 1] = "", panic[LINE + 1];

	vp->worker->crash_vp = vp->index;
	get_crash_registers(vp, p);
	log_line("crash: VP %u, control %016llx", vp->index, (unsigned long long)control);
	for (int i = 0; i < HV_X64_MSR_CRASH_P_COUNT; i++)
		log_line("crash: P%d %016llx", i, (unsigned long long)p[i].reg64);
	if ((control & HV_CRASH_CTL_CRASH_MESSAGE) &&
		!copy_crash_message(vp->worker, p[3].reg64, p[4].reg64, text, sizeof(text)))
		log_line("crash: the message is not in the child's memory");
	log_text(text, sizeof(text));
	exits_log_registers(vp);
	if (find_panic(text, panic, sizeof(panic)))
		worker_crashed(vp->worker, "The child crashed: %s.", panic);
	else
		worker_crashed(vp->worker,
			"The child crashed: it reported 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx.",
			(unsigned long long)p[0].reg64, (unsigned long long)p[1].reg64,
			(unsigned long long)p[2].reg64, (unsigned long long)p[3].reg64,
			(unsigned long long)p[4].reg64);
}

bool exits_msr(struct vp *vp, const struct hv_message *message)
{
	const struct hv_x64_msr_intercept_message *msr = (const void *)message->payload;
	uint64_t value = (uint32_t)msr->rax | msr->rdx << 32;

	// The first report counts: a child could go on for ever.
	if (msr->msr_number == HV_X64_MSR_CRASH_CTL && (value & HV_CRASH_CTL_CRASH_NOTIFY) &&
		!__atomic_exchange_n(&vp->worker->crash_reported, true, __ATOMIC_RELAXED))
		report_crash(vp, value);
	return exits_advance(vp, &msr->header, MSR_INSTRUCTION_LENGTH, NULL, 0);
}
