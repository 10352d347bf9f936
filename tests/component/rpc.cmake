foliofs_test(rpc_component_test LABEL component
  SOURCES
    rpc_calls_test.cpp
    rpc_end_test.cpp
    rpc_exactly_once_test.cpp
    rpc_reconnect_test.cpp
    rpc_silence_test.cpp
  DEPENDS foliofs_rpc)
