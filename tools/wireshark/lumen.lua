-- SPDX-License-Identifier: BSD-2-Clause
-- Shows what `lumenctl capture` has written of a child's VMBus messages and hypercalls, in Wireshark
-- and tshark (Debian 12 has 4.0):
--
--     tshark -X lua_script:lumen.lua -r FILE -Y 'lumen_vmbus.relid == 3'
--     tshark -X lua_script:lumen.lua -r FILE -Y 'lumen_hypercall.status != 0'
--
-- or for good: into the folder of Wireshark's own plugins. They are on the link types USER0 and USER1,
-- of which this then has the use. `tshark -G fields -X lua_script:lumen.lua` lists the fields, lumen_* among them.

-- Made by tools/dissector_tables.py from vmbus/, hypercall/, drivers/proto/ and
-- parent/common/capture_wire.h: change those.
-- tables begin
local directions = { [1] = "to the host", [2] = "to the guest" }
local vmbus_synic_type = 1
local message_header_size = 8
local messages = {
	[1] = { name = "OFFER_CHANNEL", direction = 2, size = 196, fields = {
		{ "interface_type", "guid", 8, 16 },
		{ "interface_instance", "guid", 24, 16 },
		{ "flags", "uint16", 56, 2 },
		{ "mmio_megabytes", "uint16", 58, 2 },
		{ "user_defined", "bytes", 60, 120 },
		{ "sub_channel_index", "uint16", 180, 2 },
		{ "mmio_megabytes_optional", "uint16", 182, 2 },
		{ "relid", "uint32", 184, 4 },
		{ "monitor_id", "uint8", 188, 1 },
		{ "monitor_allocated", "uint8", 189, 1 },
		{ "is_dedicated_interrupt", "uint16", 190, 2 },
		{ "connection_id", "uint32", 192, 4 },
	} },
	[2] = { name = "RESCIND_CHANNEL_OFFER", direction = 2, size = 12, fields = {
		{ "relid", "uint32", 8, 4 },
	} },
	[3] = { name = "REQUEST_OFFERS", direction = 1, size = 8, fields = {
	} },
	[4] = { name = "ALL_OFFERS_DELIVERED", direction = 2, size = 8, fields = {
	} },
	[5] = { name = "OPEN_CHANNEL", direction = 1, size = 148, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "open_id", "uint32", 12, 4 },
		{ "ring_gpadl", "uint32", 16, 4 },
		{ "target_vp", "uint32", 20, 4 },
		{ "downstream_page_offset", "uint32", 24, 4 },
		{ "user_data", "bytes", 28, 120 },
	} },
	[6] = { name = "OPEN_CHANNEL_RESULT", direction = 2, size = 20, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "open_id", "uint32", 12, 4 },
		{ "status", "uint32", 16, 4 },
	} },
	[7] = { name = "CLOSE_CHANNEL", direction = 1, size = 12, fields = {
		{ "relid", "uint32", 8, 4 },
	} },
	[8] = { name = "GPADL_HEADER", direction = 1, size = 20, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "gpadl", "uint32", 12, 4 },
		{ "length", "uint16", 16, 2 },
		{ "range_count", "uint16", 18, 2 },
	} },
	[9] = { name = "GPADL_BODY", direction = 1, size = 16, fields = {
		{ "message_number", "uint32", 8, 4 },
		{ "gpadl", "uint32", 12, 4 },
	} },
	[10] = { name = "GPADL_CREATED", direction = 2, size = 20, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "gpadl", "uint32", 12, 4 },
		{ "status", "uint32", 16, 4 },
	} },
	[11] = { name = "GPADL_TEARDOWN", direction = 1, size = 16, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "gpadl", "uint32", 12, 4 },
	} },
	[12] = { name = "GPADL_TORNDOWN", direction = 2, size = 12, fields = {
		{ "gpadl", "uint32", 8, 4 },
	} },
	[13] = { name = "RELID_RELEASED", direction = 1, size = 12, fields = {
		{ "relid", "uint32", 8, 4 },
	} },
	[14] = { name = "INITIATE_CONTACT", direction = 1, size = 40, fields = {
		{ "version", "uint32", 8, 4 },
		{ "target_vp", "uint32", 12, 4 },
		{ "interrupt_page", "uint64", 16, 8 },
		{ "target_info_sint", "uint8", 16, 1 },
		{ "target_info_vtl", "uint8", 17, 1 },
		{ "target_info_feature_flags", "uint32", 20, 4 },
		{ "host_to_guest_monitor_page", "uint64", 24, 8 },
		{ "guest_to_host_monitor_page", "uint64", 32, 8 },
	} },
	[15] = { name = "VERSION_RESPONSE", direction = 2, size = 16, fields = {
		{ "version_supported", "uint8", 8, 1 },
		{ "connection_state", "uint8", 9, 1 },
		{ "selected_version", "uint32", 12, 4 },
		{ "message_connection_id", "uint32", 12, 4 },
	} },
	[16] = { name = "UNLOAD", direction = 1, size = 8, fields = {
	} },
	[17] = { name = "UNLOAD_COMPLETE", direction = 2, size = 8, fields = {
	} },
	[18] = { name = "OPEN_RESERVED_CHANNEL", direction = 1, size = 28, fields = {
	} },
	[19] = { name = "CLOSE_RESERVED_CHANNEL", direction = 1, size = 20, fields = {
	} },
	[20] = { name = "CLOSE_RESERVED_RESPONSE", direction = 2, size = 12, fields = {
	} },
	[21] = { name = "TL_CONNECT_REQUEST", direction = 1, size = 40, fields = {
		{ "endpoint_id", "guid", 8, 16 },
		{ "service_id", "guid", 24, 16 },
	} },
	[22] = { name = "MODIFY_CHANNEL", direction = 1, size = 16, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "target_vp", "uint32", 12, 4 },
	} },
	[23] = { name = "TL_CONNECT_RESULT", direction = 2, size = 44, fields = {
		{ "endpoint_id", "guid", 8, 16 },
		{ "service_id", "guid", 24, 16 },
		{ "status", "uint32", 40, 4 },
	} },
	[24] = { name = "MODIFY_CHANNEL_RESPONSE", direction = 2, size = 16, fields = {
		{ "relid", "uint32", 8, 4 },
		{ "status", "uint32", 12, 4 },
	} },
	[25] = { name = "MODIFY_CONNECTION", direction = 1, size = 24, fields = {
	} },
	[26] = { name = "MODIFY_CONNECTION_RESPONSE", direction = 2, size = 9, fields = {
	} },
}
local interfaces = {
	["34d14be3-dee4-41c8-9ae7-6b174977c192"] = "fcopy",
	["57164f39-9115-4e78-ab55-382f3bd5422d"] = "heartbeat",
	["a9a0f4e7-5a45-4d96-b827-8a841e8c03e6"] = "kvp",
	["f8615163-df3e-46c5-913f-f2d2f965ed0e"] = "nvsp",
	["0e0b6031-5213-4934-818b-38d90ced39db"] = "shutdown",
	["ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"] = "vstor scsi",
	["32412632-86cb-44a2-9b5c-50d1417354f5"] = "vstor ide",
	["9527e630-d0ae-497b-adce-e80ab0175caf"] = "timesync",
	["35fa2e29-ea23-4236-96ae-3a6ebacba440"] = "vss",
}
local calls = {
	[0x0002] = "HvCallFlushVirtualAddressSpace",
	[0x0003] = "HvCallFlushVirtualAddressList",
	[0x0008] = "HvCallNotifyLongSpinWait",
	[0x000b] = "HvCallSendSyntheticClusterIpi",
	[0x0013] = "HvCallFlushVirtualAddressSpaceEx",
	[0x0014] = "HvCallFlushVirtualAddressListEx",
	[0x0015] = "HvCallSendSyntheticClusterIpiEx",
	[0x0040] = "HvCallCreatePartition",
	[0x0041] = "HvCallInitializePartition",
	[0x0042] = "HvCallFinalizePartition",
	[0x0043] = "HvCallDeletePartition",
	[0x0044] = "HvCallGetPartitionProperty",
	[0x0045] = "HvCallSetPartitionProperty",
	[0x0046] = "HvCallGetPartitionId",
	[0x0047] = "HvCallGetNextChildPartition",
	[0x0048] = "HvCallDepositMemory",
	[0x0049] = "HvCallWithdrawMemory",
	[0x004a] = "HvCallGetMemoryBalance",
	[0x004b] = "HvCallMapGpaPages",
	[0x004c] = "HvCallUnmapGpaPages",
	[0x004d] = "HvCallInstallIntercept",
	[0x004e] = "HvCallCreateVp",
	[0x004f] = "HvCallDeleteVp",
	[0x0050] = "HvCallGetVpRegisters",
	[0x0051] = "HvCallSetVpRegisters",
	[0x0052] = "HvCallTranslateVirtualAddress",
	[0x0053] = "HvCallReadGpa",
	[0x0054] = "HvCallWriteGpa",
	[0x0056] = "HvCallClearVirtualInterrupt",
	[0x0058] = "HvCallDeletePort",
	[0x005b] = "HvCallDisconnectPort",
	[0x005c] = "HvCallPostMessage",
	[0x005d] = "HvCallSignalEvent",
	[0x006d] = "HvCallUnmapStatsPage",
	[0x0091] = "HvCallRegisterInterceptResult",
	[0x0092] = "HvCallUnregisterInterceptResult",
	[0x0094] = "HvCallAssertVirtualInterrupt",
	[0x0095] = "HvCallCreatePort",
	[0x0096] = "HvCallConnectPort",
	[0x0099] = "HvCallStartVirtualProcessor",
	[0x009a] = "HvCallGetVpIndexFromApicId",
	[0x00c0] = "HvCallSignalEventDirect",
	[0x00c1] = "HvCallPostMessageDirect",
	[0x00e1] = "HvCallMapVpStatePage",
	[0x00e2] = "HvCallUnmapVpStatePage",
	[0x00f4] = "HvCallGetVpCpuidValues",
	[0x0131] = "HvCallMapStatsPage2",
}
local statuses = {
	[0x0000] = "SUCCESS",
	[0x0002] = "INVALID_HYPERCALL_CODE",
	[0x0003] = "INVALID_HYPERCALL_INPUT",
	[0x0004] = "INVALID_ALIGNMENT",
	[0x0005] = "INVALID_PARAMETER",
	[0x0006] = "ACCESS_DENIED",
	[0x0007] = "INVALID_PARTITION_STATE",
	[0x0008] = "OPERATION_DENIED",
	[0x0009] = "UNKNOWN_PROPERTY",
	[0x000a] = "PROPERTY_VALUE_OUT_OF_RANGE",
	[0x000b] = "INSUFFICIENT_MEMORY",
	[0x000c] = "PARTITION_TOO_DEEP",
	[0x000d] = "INVALID_PARTITION_ID",
	[0x000e] = "INVALID_VP_INDEX",
	[0x0010] = "NOT_FOUND",
	[0x0011] = "INVALID_PORT_ID",
	[0x0012] = "INVALID_CONNECTION_ID",
	[0x0013] = "INSUFFICIENT_BUFFERS",
	[0x0014] = "NOT_ACKNOWLEDGED",
	[0x0015] = "INVALID_VP_STATE",
	[0x0016] = "ACKNOWLEDGED",
	[0x0017] = "INVALID_SAVE_RESTORE_STATE",
	[0x0018] = "INVALID_SYNIC_STATE",
	[0x0019] = "OBJECT_IN_USE",
	[0x001a] = "INVALID_PROXIMITY_DOMAIN_INFO",
	[0x001b] = "NO_DATA",
	[0x001c] = "INACTIVE",
	[0x001d] = "NO_RESOURCES",
	[0x001e] = "FEATURE_UNAVAILABLE",
	[0x001f] = "PARTIAL_PACKET",
	[0x0020] = "PROCESSOR_FEATURE_NOT_SUPPORTED",
	[0x0030] = "PROCESSOR_CACHE_LINE_FLUSH_SIZE_INCOMPATIBLE",
	[0x0033] = "INSUFFICIENT_BUFFER",
	[0x0037] = "INCOMPATIBLE_PROCESSOR",
	[0x0038] = "INSUFFICIENT_DEVICE_DOMAINS",
	[0x003c] = "CPUID_FEATURE_VALIDATION_ERROR",
	[0x003d] = "CPUID_XSAVE_FEATURE_VALIDATION_ERROR",
	[0x003e] = "PROCESSOR_STARTUP_TIMEOUT",
	[0x003f] = "SMX_ENABLED",
	[0x0041] = "INVALID_LP_INDEX",
	[0x0050] = "INVALID_REGISTER_VALUE",
	[0x0051] = "INVALID_VTL_STATE",
	[0x0055] = "NX_NOT_DETECTED",
	[0x0057] = "INVALID_DEVICE_ID",
	[0x0058] = "INVALID_DEVICE_STATE",
	[0x0059] = "PENDING_PAGE_REQUESTS",
	[0x0060] = "PAGE_REQUEST_INVALID",
	[0x0065] = "KEY_ALREADY_EXISTS",
	[0x0066] = "DEVICE_ALREADY_IN_DOMAIN",
	[0x006f] = "INVALID_CPU_GROUP_ID",
	[0x0070] = "INVALID_CPU_GROUP_STATE",
	[0x0071] = "OPERATION_FAILED",
	[0x0072] = "NOT_ALLOWED_WITH_NESTED_VIRT_ACTIVE",
	[0x0073] = "INSUFFICIENT_ROOT_MEMORY",
	[0x0074] = "EVENT_BUFFER_ALREADY_FREED",
	[0x0078] = "TIMEOUT",
	[0x0079] = "CALL_PENDING",
	[0x0086] = "VTL_ALREADY_ENABLED",
	[0x0087] = "UNKNOWN_REGISTER_NAME",
}
local frames = {
	vmbus = {
		size = 24,
		version = { 0, 1 },
		direction = { 1, 1 },
		sint = { 2, 1 },
		length = { 3, 1 },
		message_type = { 4, 4 },
		vp = { 8, 4 },
		connection = { 12, 4 },
		status = { 16, 4 },
	},
	hypercall = {
		size = 32,
		version = { 0, 1 },
		vp = { 4, 4 },
		cpu = { 8, 4 },
		control = { 16, 8 },
		result = { 24, 8 },
	},
}
local call_bits = {
	code = { title = "Code", at = 0, mask = 0x0000ffff },
	fast = { title = "Fast", at = 0, mask = 0x00010000 },
	variable_header = { title = "Variable header (8 bytes each)", at = 0, mask = 0x07fe0000 },
	nested = { title = "Nested", at = 0, mask = 0x80000000 },
	rep_count = { title = "Rep count", at = 4, mask = 0x00000fff },
	rep_start = { title = "Rep start", at = 4, mask = 0x0fff0000 },
	reserved_low = { title = "Reserved", at = 0, mask = 0x78000000 },
	reserved_high = { title = "Reserved", at = 4, mask = 0xf000f000 },
	status = { title = "Status", at = 0, mask = 0x0000ffff, names = statuses },
	reps_done = { title = "Reps done", at = 4, mask = 0x00000fff },
}
-- tables end

local VERSION_5_0 = 0x50000

-- A number with only the bits of a mask, both of 32 bits: for Lua 5.2 as for 5.4.
local function masked(number, mask)
	local result, bit = 0, 1
	while mask > 0 do
		if mask % 2 == 1 and number % 2 == 1 then
			result = result + bit
		end
		number, mask, bit = math.floor(number / 2), math.floor(mask / 2), bit * 2
	end
	return result
end

-- A field of a frame's header, as a piece of its buffer.
local function piece(tvb, field)
	return tvb(field[1], field[2])
end

-- The header of a frame, if it is whole and its version is known here: then true. Otherwise says so.
local function check_frame(tvb, tree, frame, size, expert_field)
	if tvb:len() < size then
		tree:add_proto_expert_info(expert_field, "The frame is too short")
		return false
	end
	if piece(tvb, frame.version):le_uint() ~= 1 then
		tree:add_proto_expert_info(expert_field, "The frame has a version that is not known here")
		return false
	end
	return true
end

-- VMBus messages.

local bus = Proto("lumen_vmbus", "VMBus Message (Lumen)")

local type_names = {}
for number, message in pairs(messages) do
	type_names[number] = message.name
end

local bus_fields = {
	direction = ProtoField.uint8("lumen_vmbus.direction", "Direction", base.DEC, directions),
	sint = ProtoField.uint8("lumen_vmbus.sint", "SINT"),
	vp = ProtoField.uint32("lumen_vmbus.vp", "VP"),
	connection = ProtoField.uint32("lumen_vmbus.connection", "Posted at connection"),
	post_status = ProtoField.uint32("lumen_vmbus.post_status", "Status of the host's hypercall", base.HEX,
		statuses),
	message_type = ProtoField.uint32("lumen_vmbus.synic_type", "SynIC message type", base.HEX),
	length = ProtoField.uint8("lumen_vmbus.length", "Length of the message"),
	payload = ProtoField.bytes("lumen_vmbus.payload", "Message"),
	msgtype = ProtoField.uint32("lumen_vmbus.msgtype", "Type", base.DEC, type_names),
	range_bytes = ProtoField.uint32("lumen_vmbus.range_bytes", "Range: bytes"),
	range_offset = ProtoField.uint32("lumen_vmbus.range_offset", "Range: offset in its first page"),
	page = ProtoField.uint64("lumen_vmbus.page", "Range: page", base.HEX),
}

local makers = {
	guid = function(abbreviation, name) return ProtoField.guid(abbreviation, name) end,
	bytes = function(abbreviation, name) return ProtoField.bytes(abbreviation, name) end,
	uint8 = function(abbreviation, name) return ProtoField.uint8(abbreviation, name, base.DEC_HEX) end,
	uint16 = function(abbreviation, name) return ProtoField.uint16(abbreviation, name, base.DEC_HEX) end,
	uint32 = function(abbreviation, name) return ProtoField.uint32(abbreviation, name, base.DEC_HEX) end,
	uint64 = function(abbreviation, name) return ProtoField.uint64(abbreviation, name, base.HEX) end,
}

-- The messages' own: those of the same name are one field.
local message_fields = {}
for _, message in pairs(messages) do
	for _, field in ipairs(message.fields) do
		local name = field[1]
		message_fields[name] = message_fields[name] or makers[field[2]]("lumen_vmbus." .. name, name)
	end
end

local all = {}
for _, field in pairs(bus_fields) do
	all[#all + 1] = field
end
for _, field in pairs(message_fields) do
	all[#all + 1] = field
end
bus.fields = all

local bus_malformed = ProtoExpert.new("lumen_vmbus.malformed", "Malformed", expert.group.MALFORMED,
	expert.severity.ERROR)
local bus_lost = ProtoExpert.new("lumen_vmbus.not_delivered", "Not delivered", expert.group.RESPONSE_CODE,
	expert.severity.WARN)
local bus_failed = ProtoExpert.new("lumen_vmbus.failed", "Failed", expert.group.RESPONSE_CODE,
	expert.severity.NOTE)
bus.experts = { bus_malformed, bus_lost, bus_failed }

local function guid_of(range)
	return string.format("%08x-%04x-%04x-%s-%s", range(0, 4):le_uint(), range(4, 2):le_uint(), range(6, 2):le_uint(),
		tostring(range(8, 2):bytes()):lower(), tostring(range(10, 6):bytes()):lower())
end

-- Which of the members of a union a message has; all others it has anyway.
local members = {
	interrupt_page = function(body) return body(8, 4):le_uint() < VERSION_5_0 end,
	target_info_sint = function(body) return body(8, 4):le_uint() >= VERSION_5_0 end,
	target_info_vtl = function(body) return body(8, 4):le_uint() >= VERSION_5_0 end,
	target_info_feature_flags = function(body) return body(8, 4):le_uint() >= VERSION_5_0 end,
	-- Which one depends on the contact; no connection id looks like a version.
	selected_version = function(body) return body(12, 4):le_uint() >= 0x10000 end,
	message_connection_id = function(body) return body(12, 4):le_uint() < 0x10000 end,
}

-- What stands behind a value, and in the line of the packet list.
local words = {
	version = function(value) return string.format("%d.%d", math.floor(value / 65536), value % 65536) end,
	selected_version = function(value)
		return string.format("%d.%d", math.floor(value / 65536), value % 65536)
	end,
	interface_type = function(_, range) return interfaces[guid_of(range)] end,
	service_id = function(_, range) return interfaces[guid_of(range)] end,
	target_vp = function(value) return value == 0xffffffff and "no interrupts" or nil end,
}

local summed_up = { relid = true, gpadl = true, version = true, selected_version = true, version_supported = true,
	interface_type = true, sub_channel_index = true, status = true, target_vp = true, range_count = true,
	ring_gpadl = true, service_id = true }

local function add_field(tree, body, field, summary)
	local name, range = field[1], body(field[3], field[4])
	local item = tree:add_le(message_fields[name], range)
	local value = field[4] <= 4 and range:le_uint() or nil
	local word = words[name] and words[name](value, range)

	if word then
		item:append_text(" (" .. word .. ")")
	end
	if name == "status" and value ~= 0 then
		item:add_proto_expert_info(bus_failed, "The request has failed")
	end
	if not summed_up[name] or (name == "sub_channel_index" and value == 0) then
		return
	end
	if name == "status" then
		word = string.format("0x%x", value)
	end
	summary[#summary + 1] = name .. " " .. (word or value or guid_of(range))
end

local function add_pages(tree, body, at, pages)
	while pages > 0 and at + 8 <= body:len() do
		tree:add_le(bus_fields.page, body(at, 8))
		at, pages = at + 8, pages - 1
	end
	return at
end

-- Ranges of a GPADL: as much of them as is in this message.
local function add_ranges(tree, body, at)
	while at + 8 <= body:len() do
		local bytes, offset = body(at, 4):le_uint(), body(at + 4, 4):le_uint()

		tree:add_le(bus_fields.range_bytes, body(at, 4))
		tree:add_le(bus_fields.range_offset, body(at + 4, 4))
		at = add_pages(tree, body, at + 8, math.ceil((bytes + offset % 4096) / 4096))
	end
end

local lists = {
	GPADL_HEADER = add_ranges,
	-- Where one range ends and the next begins depends on the messages before.
	GPADL_BODY = function(tree, body, at) add_pages(tree, body, at, math.huge) end,
}

local function show_message(tree, body, message, direction)
	local summary = {}

	if message.direction ~= direction then
		tree:add_proto_expert_info(bus_malformed, "A message that only the receiver may send")
	end
	if body:len() < message.size then
		tree:add_proto_expert_info(bus_malformed, "The message is shorter than its type's")
	end
	for _, field in ipairs(message.fields) do
		if field[3] + field[4] <= body:len() and (not members[field[1]] or members[field[1]](body)) then
			add_field(tree, body, field, summary)
		end
	end
	if lists[message.name] then
		lists[message.name](tree, body, message.size)
	end
	return message.name .. (#summary > 0 and ": " or "") .. table.concat(summary, ", ")
end

local function show_body(tree, body, direction)
	if body:len() < message_header_size then
		tree:add_proto_expert_info(bus_malformed, "The message is shorter than its header")
		return "a message that is too short"
	end
	local number = body(0, 4):le_uint()
	tree:add_le(bus_fields.msgtype, body(0, 4))
	if not messages[number] then
		tree:add_proto_expert_info(bus_malformed, "There is no such type")
		return "unknown type " .. number
	end
	return show_message(tree, body, messages[number], direction)
end

function bus.dissector(tvb, pinfo, root)
	local tree = root:add(bus, tvb())
	local frame = frames.vmbus

	pinfo.cols.protocol = "VMBus"
	if not check_frame(tvb, tree, frame, frame.size, bus_malformed) then
		return tvb:len()
	end
	local direction = piece(tvb, frame.direction):le_uint()
	local to_guest = directions[direction] == "to the guest"

	pinfo.cols.src = to_guest and "host" or "child"
	pinfo.cols.dst = to_guest and "child" or "host"
	tree:add_le(bus_fields.direction, piece(tvb, frame.direction))
	for _, name in ipairs(to_guest and { "vp", "sint" } or { "connection" }) do
		tree:add_le(bus_fields[name], piece(tvb, frame[name]))
	end
	if to_guest then
		local item = tree:add_le(bus_fields.post_status, piece(tvb, frame.status))
		if piece(tvb, frame.status):le_uint() ~= 0 then
			item:add_proto_expert_info(bus_lost, "The hypervisor has not taken the message")
		end
	end
	tree:add_le(bus_fields.message_type, piece(tvb, frame.message_type))
	tree:add_le(bus_fields.length, piece(tvb, frame.length))
	if piece(tvb, frame.length):le_uint() ~= tvb:len() - frame.size then
		tree:add_proto_expert_info(bus_malformed, "The message has another length than the frame says")
	end

	local info
	if piece(tvb, frame.message_type):le_uint() ~= vmbus_synic_type then
		info = "a SynIC message that is not VMBus's"
		if tvb:len() > frame.size then
			tree:add(bus_fields.payload, tvb(frame.size))
		end
	elseif tvb:len() == frame.size then
		tree:add_proto_expert_info(bus_malformed, "The message is shorter than its header")
		info = "an empty message"
	else
		info = show_body(tree, tvb(frame.size):tvb(), direction)
	end
	pinfo.cols.info = info
	tree:append_text(": " .. info)
	return tvb:len()
end

-- Hypercalls.

local call = Proto("lumen_hypercall", "Hypercall (Lumen)")

local bits = {}
for name, field in pairs(call_bits) do
	bits[name] = ProtoField.uint32("lumen_hypercall." .. name, field.title,
		name == "status" and base.HEX or base.DEC, field.names, field.mask)
end
bits.code = ProtoField.uint32("lumen_hypercall.code", call_bits.code.title, base.HEX, calls, call_bits.code.mask)

local call_fields = {
	vp = ProtoField.uint32("lumen_hypercall.vp", "VP"),
	cpu = ProtoField.uint32("lumen_hypercall.cpu", "Physical processor"),
	control = ProtoField.uint64("lumen_hypercall.control", "Input value", base.HEX),
	result = ProtoField.uint64("lumen_hypercall.result", "Result value", base.HEX),
}

all = {}
for _, field in pairs(call_fields) do
	all[#all + 1] = field
end
for _, field in pairs(bits) do
	all[#all + 1] = field
end
call.fields = all

local call_malformed = ProtoExpert.new("lumen_hypercall.malformed", "Malformed", expert.group.MALFORMED,
	expert.severity.ERROR)
local call_unknown = ProtoExpert.new("lumen_hypercall.unknown", "Unknown", expert.group.REQUEST_CODE,
	expert.severity.WARN)
local call_refused = ProtoExpert.new("lumen_hypercall.refused", "Refused", expert.group.RESPONSE_CODE,
	expert.severity.NOTE)
call.experts = { call_malformed, call_unknown, call_refused }

-- The parts of the input or the result value, each in one half of it.
local function add_bits(tree, range, names)
	for _, name in ipairs(names) do
		tree:add_le(bits[name], range(call_bits[name].at, 4))
	end
end

local function bits_of(range, name)
	local value = masked(range(call_bits[name].at, 4):le_uint(), call_bits[name].mask)
	return value
end

function call.dissector(tvb, pinfo, root)
	local tree = root:add(call, tvb())
	local frame = frames.hypercall

	pinfo.cols.protocol = "Hypercall"
	if not check_frame(tvb, tree, frame, frame.size, call_malformed) then
		return tvb:len()
	end
	local control, result = piece(tvb, frame.control), piece(tvb, frame.result)
	local code, status = bits_of(control, "code"), bits_of(result, "status")
	local name = calls[code] or string.format("call 0x%04x", code)

	tree:add_le(call_fields.vp, piece(tvb, frame.vp))
	tree:add_le(call_fields.cpu, piece(tvb, frame.cpu))
	local input = tree:add_le(call_fields.control, control)
	add_bits(input, control, { "code", "fast", "variable_header", "nested", "rep_count", "rep_start" })
	if bits_of(control, "reserved_low") + bits_of(control, "reserved_high") > 0 then
		input:add_proto_expert_info(call_malformed, "Reserved bits are set")
	end
	if not calls[code] then
		input:add_proto_expert_info(call_unknown, "There is no such call")
	end
	local output = tree:add_le(call_fields.result, result)
	add_bits(output, result, { "status", "reps_done" })
	if status ~= 0 then
		output:add_proto_expert_info(call_refused, "The call is refused")
	end

	pinfo.cols.src = "VP " .. piece(tvb, frame.vp):le_uint()
	pinfo.cols.dst = "hypervisor"
	pinfo.cols.info = name .. (status ~= 0 and ": " .. (statuses[status] or string.format("0x%x", status)) or "")
	tree:append_text(": " .. name)
	return tvb:len()
end

local encapsulations = wtap_encaps or wtap
local by_encapsulation = DissectorTable.get("wtap_encap")
by_encapsulation:add(encapsulations.USER0, bus)
by_encapsulation:add(encapsulations.USER1, call)
