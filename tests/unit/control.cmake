foliofs_test(control_test LABEL unit
  SOURCES
    control_locate_path_test.cpp
    control_mount_commands_test.cpp
    control_report_test.cpp
    vfs_fake_server.cpp
    vfs_fake_leases.cpp
    vfs_fake_xattrs.cpp
  DEPENDS foliofs_control)
# What the command line decides before it touches anything.
foliofs_test(cli_test LABEL unit
  SOURCES
    cli_mount_request_test.cpp
    cli_text_test.cpp
    ${CMAKE_SOURCE_DIR}/src/cli/mount_request.cpp
    ${CMAKE_SOURCE_DIR}/src/cli/option_list.cpp
    ${CMAKE_SOURCE_DIR}/src/cli/stats_table.cpp
    ${CMAKE_SOURCE_DIR}/src/cli/text.cpp
  DEPENDS foliofs_control)
