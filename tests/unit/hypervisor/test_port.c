// SPDX-License-Identifier: BSD-2-Clause
// Ports, connections, messages and event flags between partitions, and intercepts: through
// hypercalls, on the real core.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>

#include "hypercall/intercept.h"
#include "hypercall/interrupt.h"
#include "hypercall/port.h"
#include "hypercall/synic.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/msr.h"

enum { SINT = 3, PORT = 76, CONNECTION = 1, SIM_PAGE = 3500, SIEF_PAGE = 3510 };
enum { MESSAGE_BUFFERS = 14 }; // of a port

static struct vp *root, *sender;
static struct partition *child;

// The root's SynIC as a driver sets it up: SIM and SIEF pages, the SINTs unmasked.
static void enable_synic(struct vp *vp, uint64_t sim_page, uint64_t sief_page)
{
	struct vp *before = machine_cpu->run_queue.current;

	machine_run(vp);
	cr_assert(synic_write_msr(vp, HV_X64_MSR_SIMP, sim_page << 12 | 1));
	cr_assert(synic_write_msr(vp, HV_X64_MSR_SIEFP, sief_page << 12 | 1));
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		cr_assert(synic_write_msr(vp, HV_X64_MSR_SINT0 + sint, 0xf3));
	cr_assert(synic_write_msr(vp, HV_X64_MSR_SCONTROL, 1));
	vp->apic.svr |= 0x100;
	machine_run(before);
}

static void setup(void)
{
	machine_setup();
	root = root_vp(0);
	child = machine_child(0, 2, 32);
	sender = child->vps[0];
	enable_synic(root, SIM_PAGE, SIEF_PAGE);
}

static void teardown(void)
{
	machine_check();
}

TestSuite(port, .init = setup, .fini = teardown, .timeout = 60);

static hv_status create(
	struct hv_port_info info, hv_port_id id, hv_partition_id connection_partition)
{
	const struct hv_input_create_port in = { .port_partition_id = HV_PARTITION_ID_SELF,
		.port_id = id,
		.connection_partition_id = connection_partition,
		.port_info = info };

	return machine_call(root, HvCallCreatePort, &in, sizeof(in), NULL, 0);
}

static hv_status create_message(hv_port_id id, uint32_t target_vp)
{
	return create((struct hv_port_info){ .port_type = HvPortTypeMessage,
			      .message = { .target_sint = SINT, .target_vp = target_vp } },
		id, child->id);
}

static hv_status create_event(hv_port_id id, uint16_t base, uint16_t count)
{
	return create((struct hv_port_info){ .port_type = HvPortTypeEvent,
			      .event = { .target_sint = SINT,
				      .base_flag_number = base,
				      .flag_count = count } },
		id, child->id);
}

static hv_status connect(uint32_t type, hv_connection_id id, hv_port_id port)
{
	const struct hv_input_connect_port in = { .connection_partition_id = child->id,
		.connection_id = id,
		.port_partition_id = HV_PARTITION_ID_SELF,
		.port_id = port,
		.connection_info = { .port_type = type } };

	return machine_call(root, HvCallConnectPort, &in, sizeof(in), NULL, 0);
}

static hv_status delete_port(hv_port_id id)
{
	const struct hv_input_delete_port in = { .port_partition_id = PARTITION_ROOT_ID,
		.port_id = id };

	return machine_call(root, HvCallDeletePort, &in, sizeof(in), NULL, 0);
}

static hv_status disconnect(hv_connection_id id)
{
	const struct hv_input_disconnect_port in = { .connection_partition_id = child->id,
		.connection_id = id };

	return machine_call(root, HvCallDisconnectPort, &in, sizeof(in), NULL, 0);
}

static hv_status post(hv_connection_id id, uint32_t type, uint32_t size, uint64_t content)
{
	struct hv_input_post_message in = {
		.connection_id = id, .message_type = type, .payload_size = size
	};

	memcpy(in.payload, &content, sizeof(content));
	return machine_call(sender, HvCallPostMessage, &in, sizeof(in), NULL, 0);
}

static hv_status signal(hv_connection_id id, uint16_t flag)
{
	const struct hv_input_signal_event in = { .connection_id = id, .flag_number = flag };

	return machine_call(sender, HvCallSignalEvent, &in, sizeof(in), NULL, 0);
}

// A message port for the child with its connection.
static void join(void)
{
	cr_assert_eq(create_message(PORT, 0), 0);
	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), 0);
}

static struct hv_message *slot(unsigned int sint)
{
	return &((struct hv_message_page *)machine_memory(root_partition, SIM_PAGE << 12))
			->sint_message[sint];
}

// The root's VP runs: what waits for its slot is delivered.
static void deliver(struct vp *vp)
{
	struct vp *before = machine_cpu->run_queue.current;

	machine_run(vp);
	synic_deliver(vp);
	machine_run(before);
}

// --- creation ---

Test(port, create_and_delete)
{
	cr_assert_eq(create_message(PORT, 0), 0);
	cr_assert_eq(create_message(PORT, 0), HV_STATUS_INVALID_PORT_ID, "in use");
	cr_assert_eq(create_message(PORT + 1, HV_ANY_VP), 0);
	cr_assert_eq(delete_port(PORT), 0);
	cr_assert_eq(delete_port(PORT), HV_STATUS_INVALID_PORT_ID);
	cr_assert_eq(create_message(PORT, 0), 0);
	cr_assert_eq(create_message(1 << 24, 0), HV_STATUS_INVALID_PORT_ID);
	cr_assert_eq(delete_port(1 << 24), HV_STATUS_INVALID_PORT_ID);
	cr_assert_eq(delete_port(0xffffffff), HV_STATUS_INVALID_PORT_ID);
}

Test(port, parameters_of_ports)
{
	struct hv_port_info info = { .port_type = HvPortTypeMessage,
		.message = { .target_sint = SINT } };

	cr_assert_eq(create(info, 1, 999), HV_STATUS_INVALID_PARTITION_ID);
	cr_assert_eq(create(info, 1, HV_PARTITION_ID_SELF), HV_STATUS_INVALID_PARTITION_ID,
		"to oneself");
	info.message.target_sint = 0; // reserved for the hypervisor
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	info.message.target_sint = 16;
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	info.message.target_sint = 256 + SINT;
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	info.message.target_sint = SINT;
	info.message.target_vp = 5;
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_VP_INDEX);
	info.message.target_vp = 0;
	info.message.rsvd_z = 1;
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	info = (struct hv_port_info){ .port_type = HvPortTypeMonitor };
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	info.port_type = 0;
	cr_assert_eq(create(info, 1, child->id), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(create_event(1, 0, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(create_event(1, 2048, 1), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(create_event(1, 1, 2048), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(create_event(1, 0xffff, 0xffff), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(create_event(1, 0, 2048), 0);
}

Test(port, connections)
{
	struct partition *other = machine_child(1, 1, 16);

	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), HV_STATUS_INVALID_PORT_ID);
	cr_assert_eq(create_message(PORT, 0), 0);
	cr_assert_eq(connect(HvPortTypeEvent, CONNECTION, PORT), HV_STATUS_INVALID_PARAMETER,
		"not its type");
	cr_assert_eq(connect(HvPortTypeMessage, 1 << 24, PORT), HV_STATUS_INVALID_CONNECTION_ID);
	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), 0);
	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), HV_STATUS_INVALID_CONNECTION_ID,
		"in use");
	cr_assert_eq(disconnect(CONNECTION), 0);
	cr_assert_eq(disconnect(CONNECTION), HV_STATUS_INVALID_CONNECTION_ID);
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_CONNECTION_ID);
	child = other; // for whom the port is not
	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), HV_STATUS_INVALID_PORT_ID);
}

// More than fit a table page; each is found, none is found after it has gone.
Test(port, many)
{
	enum { MANY = 300 };
	uint64_t free_pages = root_partition->pool.free_pages;

	for (uint32_t i = 0; i < MANY; i++) {
		cr_assert_eq(create_event(i * 16, i, 1), 0, "port %u", i);
		cr_assert_eq(connect(HvPortTypeEvent, 0x10000 + i, i * 16), 0);
	}
	for (uint32_t i = 0; i < MANY; i++)
		cr_assert_eq(signal(0x10000 + i, 0), 0);
	for (uint32_t i = 0; i < MANY; i += 2) {
		cr_assert_eq(delete_port(i * 16), 0);
		cr_assert_eq(disconnect(0x10001 + i), 0);
	}
	for (uint32_t i = 0; i < MANY; i += 2) {
		cr_assert_eq(signal(0x10000 + i, 0), HV_STATUS_INVALID_PORT_ID);
		cr_assert_eq(signal(0x10001 + i, 0), HV_STATUS_INVALID_CONNECTION_ID);
	}
	for (uint32_t i = 0; i < MANY; i += 2)
		cr_assert_eq(create_event(i * 16, i, 1), 0);
	for (uint32_t i = 0; i < MANY; i++)
		cr_assert_eq(delete_port(i * 16), 0);
	cr_assert_geq(free_pages - root_partition->pool.free_pages, 1);
	machine_destroy(child->id);
	child = machine_child(0, 2, 32); // for the teardown
}

// --- messages ---

Test(port, a_message_arrives)
{
	struct hv_message *m = slot(SINT);

	join();
	cr_assert_eq(post(CONNECTION, 0x1234, 5, 0x0807060504030201), 0);
	deliver(root);
	cr_assert_eq(m->header.message_type, 0x1234);
	cr_assert_eq(m->header.payload_size, 5);
	cr_assert_eq(m->header.message_flags, 0);
	cr_assert_eq(m->header.origination_id, PORT);
	cr_assert_eq(memcmp(m->payload, "\1\2\3\4\5", 5), 0);
	cr_assert(bit_test(root->apic.irr, 0xf3));
}

Test(port, messages_wait_in_order)
{
	struct hv_message *m = slot(SINT);

	join();
	for (uint64_t i = 1; i <= MESSAGE_BUFFERS; i++)
		cr_assert_eq(post(CONNECTION, i, 8, i), 0);
	cr_assert_eq(post(CONNECTION, 99, 8, 99), HV_STATUS_INSUFFICIENT_BUFFERS);
	for (uint64_t i = 1; i <= MESSAGE_BUFFERS; i++) {
		deliver(root);
		deliver(root); // the slot is taken: nothing happens
		cr_assert_eq(m->header.message_type, i);
		cr_assert_eq(m->payload64[0], i);
		cr_assert_eq(
			m->header.message_flags, i < MESSAGE_BUFFERS ? HV_MESSAGE_FLAG_PENDING : 0);
		cr_assert_eq(root->synic.waiting, i < MESSAGE_BUFFERS, "for the next EOI");
		m->header.message_type = HvMessageTypeNone;
	}
	for (uint64_t i = 1; i <= MESSAGE_BUFFERS; i++)
		cr_assert_eq(post(CONNECTION, i, 8, i), 0, "all buffers are free again");
}

// TLFS: SIMP Register: "will not be accessible to the guest", and no fault.
Test(port, a_page_beyond_the_gpa_space)
{
	const uint64_t beyond = 1ull << GPA_BITS | 1;
	uint64_t value;

	machine_run(root);
	cr_assert(synic_write_msr(root, HV_X64_MSR_SIMP, beyond));
	cr_assert(synic_read_msr(root, HV_X64_MSR_SIMP, &value));
	cr_assert_eq(value, beyond);
	cr_assert_not(root->synic.sim_overlay.active);
}

Test(port, what_a_sender_may_not_do)
{
	struct hv_input_post_message in = {
		.connection_id = CONNECTION, .message_type = 1, .payload_size = 8
	};

	join();
	cr_assert_eq(post(CONNECTION, 0, 8, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(post(CONNECTION, 0x80000000, 8, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(post(CONNECTION, 1, 241, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(post(CONNECTION, 1, UINT32_MAX, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(post(CONNECTION, 1, 240, 0), 0);
	cr_assert_eq(post(2, 1, 8, 0), HV_STATUS_INVALID_CONNECTION_ID);
	cr_assert_eq(post(CONNECTION | 1 << 24, 1, 8, 0), HV_STATUS_INVALID_CONNECTION_ID);
	cr_assert_eq(signal(CONNECTION, 0), HV_STATUS_INVALID_PORT_ID, "a message port");
	child->privileges &= ~HV_PRIVILEGE_POST_MESSAGES;
	cr_assert_eq(machine_call(sender, HvCallPostMessage, &in, sizeof(in), NULL, 0),
		HV_STATUS_ACCESS_DENIED);
}

Test(port, states_of_the_receiver)
{
	join();
	root->synic.scontrol = 0;
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_SYNIC_STATE);
	root->synic.scontrol = 1;
	root->synic.simp &= ~1ull;
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_SYNIC_STATE);
	root->synic.simp |= 1;
	cr_assert_eq(post(CONNECTION, 1, 8, 0), 0);
	cr_assert_eq(delete_port(PORT), 0);
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_PORT_ID);
	// A port of that id again, for somebody else: the old connection does not reach it.
	cr_assert_eq(create((struct hv_port_info){ .port_type = HvPortTypeMessage,
				    .message = { .target_sint = SINT } },
			     PORT, machine_child(1, 1, 16)->id),
		0);
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_PORT_ID);
}

// The port goes while its messages wait: they are lost (TLFS: HvDeletePort), and nothing points at
// them.
Test(port, deleted_with_messages_in_flight)
{
	join();
	for (uint32_t i = 1; i <= 5; i++)
		cr_assert_eq(post(CONNECTION, i, 8, i), 0);
	cr_assert_eq(delete_port(PORT), 0);
	cr_assert(list_empty(&root->synic.queue[SINT]));
	deliver(root);
	cr_assert_eq(slot(SINT)->header.message_type, HvMessageTypeNone);
}

Test(port, a_child_that_goes_leaves_its_messages)
{
	join();
	cr_assert_eq(post(CONNECTION, 7, 8, 7), 0);
	machine_destroy(child->id);
	deliver(root);
	cr_assert_eq(slot(SINT)->header.message_type, 7);
	cr_assert_eq(delete_port(PORT), 0);
	child = machine_child(0, 2, 32);
}

// A port of the child itself, with messages on their way to it when it is finalized.
Test(port, finalized_receiver)
{
	const struct hv_input_create_port in = { .port_partition_id = child->id,
		.port_id = PORT,
		.connection_partition_id = HV_PARTITION_ID_SELF,
		.port_info = {
			.port_type = HvPortTypeMessage, .message = { .target_sint = SINT } } };
	const struct hv_input_connect_port connection = { .connection_partition_id =
								  HV_PARTITION_ID_SELF,
		.connection_id = CONNECTION,
		.port_partition_id = child->id,
		.port_id = PORT,
		.connection_info = { .port_type = HvPortTypeMessage } };
	const struct hv_input_post_message message = {
		.connection_id = CONNECTION, .message_type = 1, .payload_size = 8
	};

	cr_assert_eq(machine_call(root, HvCallCreatePort, &in, sizeof(in), NULL, 0), 0);
	cr_assert_eq(
		machine_call(root, HvCallConnectPort, &connection, sizeof(connection), NULL, 0), 0);
	cr_assert_eq(machine_call(root, HvCallPostMessage, &message, sizeof(message), NULL, 0),
		HV_STATUS_INVALID_SYNIC_STATE);
	enable_synic(sender, 10, 11);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(
			machine_call(root, HvCallPostMessage, &message, sizeof(message), NULL, 0),
			0);
	machine_run(root);
	machine_destroy(child->id);
	cr_assert_eq(machine_call(root, HvCallPostMessage, &message, sizeof(message), NULL, 0),
		HV_STATUS_INVALID_PORT_ID);
	child = machine_child(0, 2, 32);
}

Test(port, direct_messages)
{
	struct hv_input_post_message_direct in = { .partition_id = child->id, .sint_index = SINT };
	struct hv_message message = {
		.header = { .message_type = 0x55, .payload_size = 8, .message_flags = 0xff }
	};
	struct hv_message *m;

	message.payload64[0] = 0x1234;
	memcpy(in.message, &message, sizeof(message));
	cr_assert_eq(machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_SYNIC_STATE);
	enable_synic(sender, 10, 11);
	for (unsigned int i = 0; i < SYNIC_DIRECT_MESSAGES; i++)
		cr_assert_eq(
			machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0), 0);
	cr_assert_eq(machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		HV_STATUS_INSUFFICIENT_BUFFERS);
	deliver(sender);
	m = &((struct hv_message_page *)machine_memory(child, 10 << 12))->sint_message[SINT];
	cr_assert_eq(m->header.message_type, 0x55);
	cr_assert_eq(m->header.message_flags, HV_MESSAGE_FLAG_PENDING);
	cr_assert_eq(m->payload64[0], 0x1234);
	in.sint_index = 16;
	cr_assert_eq(machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.sint_index = SINT;
	message.header.payload_size = 241;
	memcpy(in.message, &message, sizeof(message));
	cr_assert_eq(machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.vp_index = 5;
	cr_assert_eq(machine_call(root, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_VP_INDEX);
	machine_run(root);
	machine_destroy(child->id); // with its messages in flight
	child = machine_child(0, 2, 32);
}

// --- event flags ---

Test(port, event_flags)
{
	const uint64_t *flags;

	cr_assert_eq(create_event(PORT, 100, 8), 0);
	cr_assert_eq(connect(HvPortTypeEvent, CONNECTION, PORT), 0);
	cr_assert_eq(signal(CONNECTION, 8), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(signal(CONNECTION, 7), 0);
	flags = ((struct hv_synic_event_flags_page *)machine_memory(
			 root_partition, SIEF_PAGE << 12))
			->sint_event_flags[SINT]
			.flags;
	cr_assert_eq(flags[1], 1ull << (107 - 64));
	cr_assert(bit_test(root->apic.irr, 0xf3));
	cr_assert_eq(signal(CONNECTION, 7), 0, "set already: success");
	root->synic.siefp &= ~1ull;
	cr_assert_eq(signal(CONNECTION, 7), HV_STATUS_INVALID_SYNIC_STATE);
	root->synic.siefp |= 1;
	cr_assert_eq(post(CONNECTION, 1, 8, 0), HV_STATUS_INVALID_PORT_ID, "an event port");
}

Test(port, fast_signal)
{
	cr_assert_eq(create_event(PORT, 0, 1), 0);
	cr_assert_eq(connect(HvPortTypeEvent, CONNECTION, PORT), 0);
	sender->regs.gpr[RCX] = HvCallSignalEvent | HV_CALL_FAST;
	sender->regs.gpr[RDX] = CONNECTION;
	cr_assert(machine_call_once(sender));
	cr_assert_eq(sender->regs.gpr[RAX], 0);
	sender->regs.gpr[RDX] = CONNECTION | 1ull << 48; // reserved
	cr_assert(machine_call_once(sender));
	cr_assert_eq(sender->regs.gpr[RAX], HV_STATUS_INVALID_PARAMETER);
}

Test(port, direct_events)
{
	struct hv_input_signal_event_direct in = {
		.target_partition = child->id, .target_sint = SINT, .flag_number = 5
	};
	struct hv_output_signal_event_direct out;

	cr_assert_eq(
		machine_call(root, HvCallSignalEventDirect, &in, sizeof(in), &out, sizeof(out)),
		HV_STATUS_INVALID_SYNIC_STATE);
	enable_synic(sender, 10, 11);
	cr_assert_eq(
		machine_call(root, HvCallSignalEventDirect, &in, sizeof(in), &out, sizeof(out)), 0);
	cr_assert_eq(out.newly_signaled, 1);
	cr_assert_eq(
		machine_call(root, HvCallSignalEventDirect, &in, sizeof(in), &out, sizeof(out)), 0);
	cr_assert_eq(out.newly_signaled, 0);
	in.flag_number = 2048;
	cr_assert_eq(
		machine_call(root, HvCallSignalEventDirect, &in, sizeof(in), &out, sizeof(out)),
		HV_STATUS_INVALID_PARAMETER);
}

// HV_ANY_VP: a message port keeps to one VP, so that order is kept; an event goes to the VP of the
// sender's processor.
Test(port, any_vp)
{
	struct hv_port_info event = { .port_type = HvPortTypeEvent,
		.event = { .target_sint = SINT, .target_vp = HV_ANY_VP, .flag_count = 1 } };

	enable_synic(root_vp(1), SIM_PAGE + 1, SIEF_PAGE + 1);
	machine_run(root);
	cr_assert_eq(create_message(PORT, HV_ANY_VP), 0); // 76 % 3 = 1
	cr_assert_eq(connect(HvPortTypeMessage, CONNECTION, PORT), 0);
	cr_assert_eq(create(event, PORT + 1, child->id), 0);
	cr_assert_eq(connect(HvPortTypeEvent, CONNECTION + 1, PORT + 1), 0);
	cr_assert_eq(post(CONNECTION, 1, 8, 0), 0);
	cr_assert(!list_empty(&root_vp(1)->synic.queue[SINT]));
	cr_assert_eq(signal(CONNECTION + 1, 0), 0);
	cr_assert(bit_test(root->apic.irr, 0xf3));
}

// --- intercepts ---

static void expect_intercept(uint32_t type, size_t size)
{
	struct hv_message *m = slot(HV_SYNIC_INTERCEPTION_SINT_INDEX);

	cr_assert(sender->intercept_suspend);
	cr_assert(!vp_runnable(sender));
	deliver(root);
	cr_assert_eq(m->header.message_type, type);
	cr_assert_eq(m->header.payload_size, size);
	cr_assert_eq(m->header.sender, child->id);
}

static void *payload(void)
{
	return slot(HV_SYNIC_INTERCEPTION_SINT_INDEX)->payload;
}

static void resume(void)
{
	const uint64_t in[] = { child->id, 0, HvRegisterInterceptSuspend, 0, 0, 0 };

	slot(HV_SYNIC_INTERCEPTION_SINT_INDEX)->header.message_type = HvMessageTypeNone;
	cr_assert_eq(
		machine_call_rep(root, HvCallSetVpRegisters, 1, in, sizeof(in), NULL, 0, NULL), 0);
	cr_assert(!sender->intercept_suspend);
}

static hv_status install(uint32_t type, uint32_t access, uint64_t parameter)
{
	const struct hv_input_install_intercept in = { .partition_id = child->id,
		.access_type = access,
		.intercept_type = type,
		.intercept_parameter = { .as_uint64 = parameter } };

	return machine_call(root, HvCallInstallIntercept, &in, sizeof(in), NULL, 0);
}

Test(port, io_intercept)
{
	struct vp_exit exit = {
		.reason = EXIT_IO, .insn_length = 2, .io = { .port = 0x3f8, .size = 1 }
	};
	struct hv_x64_io_port_intercept_message *m;

	machine_run(sender);
	sender->regs.rip = 0x1000;
	sender->regs.gpr[RAX] = 0x41;
	cr_assert(intercept_io(sender, &exit));
	expect_intercept(HvMessageTypeX64IoPortIntercept, sizeof(*m));
	m = payload();
	cr_assert_eq(m->port_number, 0x3f8);
	cr_assert_eq(m->access_info, 1);
	cr_assert_eq(m->rax, 0x41);
	cr_assert_eq(m->header.vp_index, 0);
	cr_assert_eq(m->header.rip, 0x1000);
	cr_assert_eq(m->header.intercept_access_type, HvInterceptAccessWrite);
	cr_assert_eq(m->header.instruction_length_cr8, 2);
	cr_assert_eq(m->header.execution_state & HV_X64_EXECUTION_STATE_CR0_PE,
		HV_X64_EXECUTION_STATE_CR0_PE);
	resume();
	machine_run(root);
	cr_assert(!intercept_io(root, &exit), "the root has no parent");
}

// The parent resumes the VP without having taken the message: the next intercept replaces it.
Test(port, intercept_message_not_taken)
{
	struct vp_exit exit = {
		.reason = EXIT_IO, .insn_length = 1, .io = { .port = 1, .size = 1 }
	};

	for (unsigned int i = 1; i <= 3; i++) {
		machine_run(sender);
		exit.io.port = i;
		cr_assert(intercept_io(sender, &exit));
		machine_run(root);
		sender->intercept_suspend = false;
	}
	sender->intercept_suspend = true;
	expect_intercept(
		HvMessageTypeX64IoPortIntercept, sizeof(struct hv_x64_io_port_intercept_message));
	cr_assert_eq(((struct hv_x64_io_port_intercept_message *)payload())->port_number, 3);
	cr_assert(list_empty(&root->synic.queue[0]));
}

Test(port, gpa_intercepts)
{
	struct vp_exit exit = { .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = 0x1000000, .access = GPA_WRITE } };
	struct hv_x64_memory_intercept_message *m = NULL;

	machine_run(sender);
	cr_assert(intercept_gpa(sender, &exit));
	expect_intercept(HvMessageTypeUnmappedGpa, sizeof(*m));
	m = payload();
	cr_assert_eq(m->guest_physical_address, 0x1000000);
	cr_assert_eq(m->header.intercept_access_type, HvInterceptAccessWrite);
	resume();
	exit.fault.gpa = 0x1000;
	machine_run(sender);
	cr_assert(intercept_gpa(sender, &exit));
	expect_intercept(HvMessageTypeGpaIntercept, sizeof(*m));
}

static struct hv_x64_intercept_message_header *gpa_intercept_at(uint64_t gpa)
{
	const struct vp_exit exit = { .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = gpa, .access = GPA_EXECUTE } };

	machine_run(sender);
	cr_assert(intercept_gpa(sender, &exit));
	expect_intercept(HvMessageTypeUnmappedGpa, sizeof(struct hv_x64_memory_intercept_message));
	return payload();
}

// The parent may map the page and have the instruction behind an STI tried again: until that is
// done, interrupts stay held back.
Test(port, interrupt_shadow_ends_with_the_instruction)
{
	const struct vp_exit exit = { .reason = EXIT_CPUID, .insn_length = 2 };
	const struct hv_register_value rip = { .reg64 = 0x1000 };

	cr_assert_not(gpa_intercept_at(0x1000000)->execution_state &
		      HV_X64_EXECUTION_STATE_INTERRUPT_SHADOW);
	resume();
	sender->regs.interrupt_shadow = true;
	cr_assert(gpa_intercept_at(0x1000000)->execution_state &
		  HV_X64_EXECUTION_STATE_INTERRUPT_SHADOW);
	resume();
	cr_assert(sender->regs.interrupt_shadow);
	machine_run(sender);
	vp_handle_other_exit(sender, &exit);
	cr_assert_not(sender->regs.interrupt_shadow);

	sender->regs.interrupt_shadow = true;
	cr_assert_eq(vp_set_register(sender, HvX64RegisterRip, &rip), HV_STATUS_SUCCESS);
	cr_assert_not(sender->regs.interrupt_shadow, "the parent has carried it out");
}

// TLFS: Establishing the Hypercall Interface. Nobody but the guest is told.
Test(port, a_write_to_the_hypercall_page_is_a_protection_exception)
{
	struct vp_exit exit = { .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = 0x2008, .access = GPA_WRITE } };

	machine_run(sender);
	cr_assert(msr_write(sender, HV_X64_MSR_HYPERCALL, 0x2001));
	cr_assert(msr_write(sender, HV_X64_MSR_REFERENCE_TSC, 0x3001));
	for (exit.fault.gpa = 0x2008; exit.fault.gpa <= 0x3008; exit.fault.gpa += 0x1000) {
		vp_handle_other_exit(sender, &exit);
		cr_assert_eq(machine_exception(sender), 13, "%lx", exit.fault.gpa);
		cr_assert_not(sender->intercept_suspend);
	}
}

// Found by the hostile guest: the page goes away on another processor while the fault is on its way
// to us. The parent would take it for an access to a device, and lose what was written.
Test(port, a_fault_whose_page_has_been_moved_away_is_tried_again)
{
	struct vp_exit exit = { .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = 0x2008, .access = GPA_WRITE, .by_insn = true } };
	uint64_t rip = sender->regs.rip;

	machine_run(sender);
	cr_assert(msr_write(sender, HV_X64_MSR_HYPERCALL, 0x2001));
	cr_assert(msr_write(sender, HV_X64_MSR_HYPERCALL, 0));
	vp_handle_other_exit(sender, &exit);
	cr_assert_not(sender->intercept_suspend);
	cr_assert_not(sender->event.pending);
	cr_assert_eq(sender->regs.rip, rip);
	exit.fault.gpa = 0x1000000;
	vp_handle_other_exit(sender, &exit);
	expect_intercept(HvMessageTypeUnmappedGpa, sizeof(struct hv_x64_memory_intercept_message));
}

Test(port, msr_intercepts)
{
	struct hv_x64_msr_intercept_message *m;

	machine_run(sender);
	cr_assert(!intercept_msr(sender, 0x12345, false, 0, false));
	machine_run(root);
	cr_assert_eq(install(HvInterceptTypeX64Msr, HV_INTERCEPT_ACCESS_MASK_WRITE,
			     HV_X64_MSR_CRASH_CTL),
		0);
	cr_assert_eq(install(HvInterceptTypeX64Msr, HV_INTERCEPT_ACCESS_MASK_READ, 0), 0);
	cr_assert_eq(install(HvInterceptTypeX64Msr, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 1),
		HV_STATUS_INVALID_PARAMETER);
	machine_run(sender);
	cr_assert(!intercept_msr(sender, HV_X64_MSR_CRASH_CTL, false, 0, true));
	cr_assert(!intercept_msr(sender, 0x12345, true, 0, false), "unknown MSRs: only reads");
	cr_assert(!intercept_msr(sender, 0x10, false, 0, true));
	sender->crash.ctl = 1ull << 63 | 5;
	cr_assert(intercept_msr(sender, HV_X64_MSR_CRASH_CTL, true, sender->crash.ctl, true));
	expect_intercept(HvMessageTypeX64MsrIntercept, sizeof(*m));
	m = payload();
	cr_assert_eq(m->msr_number, HV_X64_MSR_CRASH_CTL);
	cr_assert_eq(m->rdx, 1u << 31);
	cr_assert_eq(m->rax, 5);
	resume();
	machine_run(sender);
	cr_assert(intercept_msr(sender, 0x12345, false, 0, false));
	expect_intercept(HvMessageTypeX64MsrIntercept, sizeof(*m));
	resume();
	cr_assert_eq(
		install(HvInterceptTypeX64Msr, HV_INTERCEPT_ACCESS_MASK_NONE, HV_X64_MSR_CRASH_CTL),
		0);
	cr_assert_eq(install(HvInterceptTypeX64Msr, HV_INTERCEPT_ACCESS_MASK_NONE, 0x99), 0);
	machine_run(sender);
	cr_assert(!intercept_msr(sender, HV_X64_MSR_CRASH_CTL, true, sender->crash.ctl, true));
	cr_assert(intercept_msr(sender, 0x12345, false, 0, false), "the other one stays");
	machine_run(root);
}

Test(port, intercept_lists_end)
{
	unsigned int i;

	for (i = 0;
		i < 1000 && !install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_EXECUTE, i);
		i++)
		;
	cr_assert_geq(i, 32);
	cr_assert_lt(i, 1000);
	cr_assert_eq(install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 5), 0,
		"there already");
	cr_assert_eq(install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 5000),
		HV_STATUS_NO_RESOURCES);
	cr_assert_eq(install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_NONE, 5), 0);
	cr_assert_eq(install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 5000), 0);
	cr_assert_eq(install(77, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 0), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(install(HvInterceptTypeException, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 14),
		HV_STATUS_INVALID_PARAMETER);
}

Test(port, cpuid_intercepts_and_results)
{
	const struct cpuid_result result = { 1, 2, 3, 4 };
	struct hv_input_register_intercept_result in = { .partition_id = child->id,
		.vp_index = HV_ANY_VP,
		.intercept_type = HvInterceptTypeX64Cpuid,
		.cpuid = { .input = { .eax = 7 }, .result = { .ebx = 0xff, .ebx_mask = 0xf0 } } };
	struct hv_input_unregister_intercept_result gone = { .partition_id = child->id,
		.vp_index = HV_ANY_VP,
		.intercept_type = HvInterceptTypeX64Cpuid,
		.cpuid = { .eax = 7 } };
	struct cpuid_result r = { 0 };

	cr_assert_eq(
		install(HvInterceptTypeX64Cpuid, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 0x40000000), 0);
	machine_run(sender);
	sender->regs.gpr[RAX] = 0x40000001;
	cr_assert(!intercept_cpuid(sender, &result));
	sender->regs.gpr[RAX] = 0x40000000;
	cr_assert(intercept_cpuid(sender, &result));
	expect_intercept(
		HvMessageTypeX64CpuidIntercept, sizeof(struct hv_x64_cpuid_intercept_message));
	cr_assert_eq(((struct hv_x64_cpuid_intercept_message *)payload())->default_result_rbx, 2);
	resume();
	cr_assert_eq(
		machine_call(root, HvCallRegisterInterceptResult, &in, sizeof(in), NULL, 0), 0);
	intercept_override_cpuid(sender, 7, 3, &r);
	cr_assert_eq(r.ebx, 0xf0);
	r.ebx = 0xf;
	intercept_override_cpuid(sender, 7, 0, &r);
	cr_assert_eq(r.ebx, 0xff);
	r.ebx = 0;
	intercept_override_cpuid(sender, 6, 0, &r);
	cr_assert_eq(r.ebx, 0);
	in.vp_index = 1; // another VP's
	in.cpuid.input.eax = 6;
	cr_assert_eq(
		machine_call(root, HvCallRegisterInterceptResult, &in, sizeof(in), NULL, 0), 0);
	intercept_override_cpuid(sender, 6, 0, &r);
	cr_assert_eq(r.ebx, 0);
	intercept_override_cpuid(child->vps[1], 6, 0, &r);
	cr_assert_eq(r.ebx, 0xf0);
	in.vp_index = 9;
	cr_assert_eq(machine_call(root, HvCallRegisterInterceptResult, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_VP_INDEX);
	cr_assert_eq(
		machine_call(root, HvCallUnregisterInterceptResult, &gone, sizeof(gone), NULL, 0),
		0);
	cr_assert_eq(
		machine_call(root, HvCallUnregisterInterceptResult, &gone, sizeof(gone), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	r.ebx = 0;
	intercept_override_cpuid(sender, 7, 0, &r);
	cr_assert_eq(r.ebx, 0);
}

Test(port, hypercall_intercept)
{
	cr_assert_eq(install(HvInterceptTypeHypercall, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 0), 0);
	sender->regs.gpr[RCX] = 0x7777;
	sender->regs.gpr[RDX] = 0x1111;
	cr_assert(!machine_call_once(sender), "RIP stays");
	expect_intercept(
		HvMessageTypeHypercallIntercept, sizeof(struct hv_x64_hypercall_intercept_message));
	cr_assert_eq(((struct hv_x64_hypercall_intercept_message *)payload())->rdx, 0x1111);
	resume();
	cr_assert_eq(install(HvInterceptTypeHypercall, HV_INTERCEPT_ACCESS_MASK_NONE, 0), 0);
	cr_assert(machine_call_once(sender));
	cr_assert_eq(sender->regs.gpr[RAX], HV_STATUS_INVALID_HYPERCALL_CODE);
}

Test(port, end_of_level_triggered_interrupts)
{
	struct hv_x64_apic_eoi_message *m = payload();
	unsigned int seen = 0;

	machine_run(sender);
	intercept_apic_eoi(sender, 0x30);
	cr_assert(!sender->eoi_pending, "nobody has asked");
	machine_run(root);
	cr_assert_eq(install(HvInterceptTypeX64ApicEoi, HV_INTERCEPT_ACCESS_MASK_WRITE, 0), 0);
	machine_run(sender);
	for (unsigned int vector = 0x30; vector < 0x40; vector++)
		intercept_apic_eoi(sender, vector);
	intercept_apic_eoi(sender, 0x3f);
	cr_assert(sender->eoi_pending);
	cr_assert(!sender->intercept_suspend);
	// Each is told once, as buffers come free.
	for (unsigned int i = 0; i < 32; i++) {
		deliver(root);
		if (slot(0)->header.message_type == HvMessageTypeX64ApicEoi) {
			seen |= 1u << (m->interrupt_vector - 0x30);
			slot(0)->header.message_type = HvMessageTypeNone;
		}
		intercept_flush_eoi(sender);
	}
	cr_assert_eq(seen, 0xffff);
	cr_assert(!sender->eoi_pending);
	machine_run(root);
}

// A VP is deleted with its messages to the root on their way.
Test(port, vp_deleted_with_an_intercept_in_flight)
{
	struct vp_exit exit = {
		.reason = EXIT_IO, .insn_length = 1, .io = { .port = 1, .size = 1 }
	};

	cr_assert_eq(install(HvInterceptTypeX64ApicEoi, HV_INTERCEPT_ACCESS_MASK_WRITE, 0), 0);
	machine_run(sender);
	cr_assert(intercept_io(sender, &exit));
	intercept_apic_eoi(sender, 0x30);
	machine_run(root);
	cr_assert_eq(
		machine_call(root, HvCallDeleteVp, (const uint64_t[]){ child->id, 0 }, 16, NULL, 0),
		0);
	cr_assert(list_empty(&root->synic.queue[0]));
	deliver(root);
	cr_assert_eq(slot(0)->header.message_type, HvMessageTypeNone);
}

// --- interrupts ---

Test(port, assert_virtual_interrupt)
{
	struct hv_input_assert_virtual_interrupt in = { .target_partition = child->id,
		.requested_vector = 0x55 };

	sender->apic.svr |= 0x100;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0), 0);
	cr_assert(bit_test(sender->apic.irr, 0x55));
	in.destination_address = 9;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.destination_address = 1ull << 32;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.destination_address = 0;
	in.requested_vector = 15;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.requested_vector = 256;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.requested_vector = 0x55;
	in.interrupt_control.interrupt_type = HvX64InterruptTypeExtInt;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
	in.interrupt_control.interrupt_type = 0;
	in.interrupt_control.flags = 4;
	cr_assert_eq(machine_call(root, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0),
		HV_STATUS_INVALID_PARAMETER);
}
