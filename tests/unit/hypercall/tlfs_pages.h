// SPDX-License-Identifier: BSD-2-Clause
// What the pages of the TLFS say about the calls that the table has, taken from them and not from
// the table. Pages that contradict their own types or those who issue the call are not followed;
// the rows that differ are missing here:
//   SendSyntheticClusterIpi    a mask of one byte
//   MapGpaPages                flags of eight bytes
//   UnmapStatsPage             an identity at 4
//   PostMessageDirect          a SINT at 13, a message of 240 bytes at 16
//   GetMemoryBalance           both results at 0
//   GetVpCpuidValues           list elements of 8 bytes
//   GetVpIndexFromApicId       list elements of 8 bytes
#pragma once

// X(code, Name, kind)
#define TLFS_CALLS(X)                                                                              \
	X(0x0002, FlushVirtualAddressSpace, SIMPLE)                                                \
	X(0x0003, FlushVirtualAddressList, REP)                                                    \
	X(0x0008, NotifyLongSpinWait, SIMPLE)                                                      \
	X(0x000b, SendSyntheticClusterIpi, SIMPLE)                                                 \
	X(0x0013, FlushVirtualAddressSpaceEx, SIMPLE)                                              \
	X(0x0014, FlushVirtualAddressListEx, REP)                                                  \
	X(0x0015, SendSyntheticClusterIpiEx, SIMPLE)                                               \
	X(0x0040, CreatePartition, SIMPLE)                                                         \
	X(0x0041, InitializePartition, SIMPLE)                                                     \
	X(0x0042, FinalizePartition, SIMPLE)                                                       \
	X(0x0043, DeletePartition, SIMPLE)                                                         \
	X(0x0044, GetPartitionProperty, SIMPLE)                                                    \
	X(0x0045, SetPartitionProperty, SIMPLE)                                                    \
	X(0x0047, GetNextChildPartition, SIMPLE)                                                   \
	X(0x0048, DepositMemory, REP)                                                              \
	X(0x0049, WithdrawMemory, REP)                                                             \
	X(0x004a, GetMemoryBalance, SIMPLE)                                                        \
	X(0x004b, MapGpaPages, REP)                                                                \
	X(0x004c, UnmapGpaPages, REP)                                                              \
	X(0x004d, InstallIntercept, SIMPLE)                                                        \
	X(0x004e, CreateVp, SIMPLE)                                                                \
	X(0x004f, DeleteVp, SIMPLE)                                                                \
	X(0x0050, GetVpRegisters, REP)                                                             \
	X(0x0051, SetVpRegisters, REP)                                                             \
	X(0x0052, TranslateVirtualAddress, SIMPLE)                                                 \
	X(0x0058, DeletePort, SIMPLE)                                                              \
	X(0x005b, DisconnectPort, SIMPLE)                                                          \
	X(0x005c, PostMessage, SIMPLE)                                                             \
	X(0x005d, SignalEvent, SIMPLE)                                                             \
	X(0x006d, UnmapStatsPage, SIMPLE)                                                          \
	X(0x0091, RegisterInterceptResult, SIMPLE)                                                 \
	X(0x0092, UnregisterInterceptResult, SIMPLE)                                               \
	X(0x0094, AssertVirtualInterrupt, SIMPLE)                                                  \
	X(0x0095, CreatePort, SIMPLE)                                                              \
	X(0x0096, ConnectPort, SIMPLE)                                                             \
	X(0x0099, StartVirtualProcessor, SIMPLE)                                                   \
	X(0x009a, GetVpIndexFromApicId, REP)                                                       \
	X(0x00c0, SignalEventDirect, SIMPLE)                                                       \
	X(0x00c1, PostMessageDirect, SIMPLE)                                                       \
	X(0x00e1, MapVpStatePage, SIMPLE)                                                          \
	X(0x00e2, UnmapVpStatePage, SIMPLE)                                                        \
	X(0x00f4, GetVpCpuidValues, REP)                                                           \
	X(0x0131, MapStatsPage2, SIMPLE)

// X(struct after hv_, field, offset, size)
#define TLFS_FIELDS(X)                                                                             \
	X(input_flush_virtual_address_space, address_space, 0, 8)                                  \
	X(input_flush_virtual_address_space, flags, 8, 8)                                          \
	X(input_flush_virtual_address_space, processor_mask, 16, 8)                                \
	X(input_flush_virtual_address_list, address_space, 0, 8)                                   \
	X(input_flush_virtual_address_list, flags, 8, 8)                                           \
	X(input_flush_virtual_address_list, processor_mask, 16, 8)                                 \
	X(input_notify_long_spin_wait, spin_count, 0, 4)                                           \
	X(input_send_synthetic_cluster_ipi, vector, 0, 4)                                          \
	X(input_send_synthetic_cluster_ipi, target_vtl, 4, 1)                                      \
	X(input_flush_virtual_address_space_ex, address_space, 0, 8)                               \
	X(input_flush_virtual_address_space_ex, flags, 8, 8)                                       \
	X(input_flush_virtual_address_space_ex, processor_set, 16, 16)                             \
	X(input_flush_virtual_address_list_ex, address_space, 0, 8)                                \
	X(input_flush_virtual_address_list_ex, flags, 8, 8)                                        \
	X(input_flush_virtual_address_list_ex, processor_set, 16, 16)                              \
	X(input_send_synthetic_cluster_ipi_ex, vector, 0, 4)                                       \
	X(input_send_synthetic_cluster_ipi_ex, target_vtl, 4, 1)                                   \
	X(input_send_synthetic_cluster_ipi_ex, processor_set, 8, 16)                               \
	X(input_create_partition, flags, 0, 8)                                                     \
	X(input_create_partition, proximity_domain_info, 8, 8)                                     \
	X(input_create_partition, compatibility_version, 16, 4)                                    \
	X(input_create_partition, disabled_processor_features, 24, 16)                             \
	X(input_create_partition, disabled_xsave_features, 40, 8)                                  \
	X(output_create_partition, partition_id, 0, 8)                                             \
	X(input_initialize_partition, partition_id, 0, 8)                                          \
	X(input_finalize_partition, partition_id, 0, 8)                                            \
	X(input_delete_partition, partition_id, 0, 8)                                              \
	X(input_get_partition_property, partition_id, 0, 8)                                        \
	X(input_get_partition_property, property_code, 8, 4)                                       \
	X(output_get_partition_property, property_value, 0, 8)                                     \
	X(input_get_next_child_partition, parent_partition_id, 0, 8)                               \
	X(input_get_next_child_partition, previous_child_partition_id, 8, 8)                       \
	X(output_get_next_child_partition, next_child_partition_id, 0, 8)                          \
	X(input_deposit_memory, partition_id, 0, 8)                                                \
	X(input_withdraw_memory, partition_id, 0, 8)                                               \
	X(input_withdraw_memory, proximity_domain_info, 8, 8)                                      \
	X(input_get_memory_balance, partition_id, 0, 8)                                            \
	X(input_get_memory_balance, proximity_domain_info, 8, 8)                                   \
	X(output_get_memory_balance, pages_available, 0, 8)                                        \
	X(input_map_gpa_pages, target_partition_id, 0, 8)                                          \
	X(input_map_gpa_pages, target_gpa_base, 8, 8)                                              \
	X(input_unmap_gpa_pages, target_partition_id, 0, 8)                                        \
	X(input_unmap_gpa_pages, target_gpa_base, 8, 8)                                            \
	X(input_unmap_gpa_pages, unmap_flags, 16, 4)                                               \
	X(input_install_intercept, partition_id, 0, 8)                                             \
	X(input_install_intercept, access_type, 8, 4)                                              \
	X(input_install_intercept, intercept_type, 12, 4)                                          \
	X(input_install_intercept, intercept_parameter, 16, 8)                                     \
	X(input_create_vp, partition_id, 0, 8)                                                     \
	X(input_create_vp, vp_index, 8, 4)                                                         \
	X(input_create_vp, subnode_type, 15, 1)                                                    \
	X(input_create_vp, subnode_id, 16, 8)                                                      \
	X(input_create_vp, proximity_domain_info, 24, 8)                                           \
	X(input_create_vp, flags, 32, 8)                                                           \
	X(input_delete_vp, partition_id, 0, 8)                                                     \
	X(input_delete_vp, vp_index, 8, 4)                                                         \
	X(input_get_vp_registers, partition_id, 0, 8)                                              \
	X(input_get_vp_registers, vp_index, 8, 4)                                                  \
	X(input_get_vp_registers, input_vtl, 12, 1)                                                \
	X(input_set_vp_registers, partition_id, 0, 8)                                              \
	X(input_set_vp_registers, vp_index, 8, 4)                                                  \
	X(input_set_vp_registers, input_vtl, 12, 1)                                                \
	X(input_translate_virtual_address, partition_id, 0, 8)                                     \
	X(input_translate_virtual_address, vp_index, 8, 4)                                         \
	X(input_translate_virtual_address, control_flags, 16, 8)                                   \
	X(input_translate_virtual_address, gva_page, 24, 8)                                        \
	X(output_translate_virtual_address, translation_result, 0, 8)                              \
	X(output_translate_virtual_address, gpa_page, 8, 8)                                        \
	X(input_delete_port, port_partition_id, 0, 8)                                              \
	X(input_delete_port, port_id, 8, 4)                                                        \
	X(input_disconnect_port, connection_partition_id, 0, 8)                                    \
	X(input_disconnect_port, connection_id, 8, 4)                                              \
	X(input_post_message, connection_id, 0, 4)                                                 \
	X(input_post_message, message_type, 8, 4)                                                  \
	X(input_post_message, payload_size, 12, 4)                                                 \
	X(input_post_message, payload, 16, 240)                                                    \
	X(input_signal_event, connection_id, 0, 4)                                                 \
	X(input_signal_event, flag_number, 4, 2)                                                   \
	X(input_unmap_stats_page, type, 0, 4)                                                      \
	X(input_register_intercept_result, partition_id, 0, 8)                                     \
	X(input_register_intercept_result, vp_index, 8, 4)                                         \
	X(input_register_intercept_result, intercept_type, 12, 4)                                  \
	X(input_unregister_intercept_result, partition_id, 0, 8)                                   \
	X(input_unregister_intercept_result, vp_index, 8, 4)                                       \
	X(input_unregister_intercept_result, intercept_type, 12, 4)                                \
	X(input_assert_virtual_interrupt, target_partition, 0, 8)                                  \
	X(input_assert_virtual_interrupt, interrupt_control, 8, 8)                                 \
	X(input_assert_virtual_interrupt, destination_address, 16, 8)                              \
	X(input_assert_virtual_interrupt, requested_vector, 24, 4)                                 \
	X(input_assert_virtual_interrupt, target_vtl, 28, 1)                                       \
	X(input_create_port, port_partition_id, 0, 8)                                              \
	X(input_create_port, port_id, 8, 4)                                                        \
	X(input_create_port, port_vtl, 12, 1)                                                      \
	X(input_create_port, min_connection_vtl, 13, 1)                                            \
	X(input_create_port, connection_partition_id, 16, 8)                                       \
	X(input_create_port, port_info, 24, 24)                                                    \
	X(input_create_port, proximity_domain_info, 48, 8)                                         \
	X(input_connect_port, connection_partition_id, 0, 8)                                       \
	X(input_connect_port, connection_id, 8, 4)                                                 \
	X(input_connect_port, connection_vtl, 12, 1)                                               \
	X(input_connect_port, port_partition_id, 16, 8)                                            \
	X(input_connect_port, port_id, 24, 4)                                                      \
	X(input_connect_port, connection_info, 32, 32)                                             \
	X(input_connect_port, proximity_domain_info, 64, 8)                                        \
	X(input_start_virtual_processor, partition_id, 0, 8)                                       \
	X(input_start_virtual_processor, vp_index, 8, 4)                                           \
	X(input_start_virtual_processor, target_vtl, 12, 1)                                        \
	X(input_start_virtual_processor, vp_context, 16, 224)                                      \
	X(input_get_vp_index_from_apic_id, partition_id, 0, 8)                                     \
	X(input_get_vp_index_from_apic_id, target_vtl, 8, 1)                                       \
	X(input_signal_event_direct, target_partition, 0, 8)                                       \
	X(input_signal_event_direct, target_vp, 8, 4)                                              \
	X(input_signal_event_direct, target_vtl, 12, 1)                                            \
	X(input_signal_event_direct, target_sint, 13, 1)                                           \
	X(input_signal_event_direct, flag_number, 14, 2)                                           \
	X(output_signal_event_direct, newly_signaled, 0, 1)                                        \
	X(input_post_message_direct, partition_id, 0, 8)                                           \
	X(input_post_message_direct, vp_index, 8, 4)                                               \
	X(input_post_message_direct, vtl, 12, 1)                                                   \
	X(input_map_vp_state_page, partition_id, 0, 8)                                             \
	X(input_map_vp_state_page, vp_index, 8, 4)                                                 \
	X(input_map_vp_state_page, type, 12, 2)                                                    \
	X(input_map_vp_state_page, input_vtl, 14, 1)                                               \
	X(input_map_vp_state_page, flags, 15, 1)                                                   \
	X(input_map_vp_state_page, requested_map_location, 16, 8)                                  \
	X(output_map_vp_state_page, map_location, 0, 8)                                            \
	X(input_unmap_vp_state_page, partition_id, 0, 8)                                           \
	X(input_unmap_vp_state_page, vp_index, 8, 4)                                               \
	X(input_unmap_vp_state_page, type, 12, 2)                                                  \
	X(input_unmap_vp_state_page, input_vtl, 14, 1)                                             \
	X(input_get_vp_cpuid_values, partition_id, 0, 8)                                           \
	X(input_get_vp_cpuid_values, vp_index, 8, 4)                                               \
	X(input_get_vp_cpuid_values, flags, 12, 4)                                                 \
	X(input_map_stats_page2, type, 0, 4)                                                       \
	X(input_map_stats_page2, identity, 8, 16)                                                  \
	X(input_map_stats_page2, map_location, 24, 8)
