foliofs_test(control_component_test LABEL component
  SOURCES control_server_test.cpp
  DEPENDS foliofs_control)
