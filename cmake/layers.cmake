# foliofs_pch(NAME HEADER DEPENDS targets…): a precompiled header for targets to share, and a library for
# it to belong to.
function(foliofs_pch name header)
  cmake_parse_arguments(PCH "" "" "DEPENDS" ${ARGN})
  add_library(${name} STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
  target_link_libraries(${name} PUBLIC ${PCH_DEPENDS} foliofs_options)
  target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
endfunction()

# foliofs_layer(NAME PCH pch SOURCES… DEPENDS layers…): one static library a layer, which sees only the
# layers it names, so that a wrong include does not link.
function(foliofs_layer name)
  cmake_parse_arguments(LAYER "" "PCH" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${LAYER_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(${name} PUBLIC ${LAYER_DEPENDS} foliofs_options)
  target_precompile_headers(${name} REUSE_FROM ${LAYER_PCH})
endfunction()

# foliofs_executable(NAME PCH pch SOURCES… DEPENDS targets…)
function(foliofs_executable name)
  cmake_parse_arguments(EXE "" "PCH" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${EXE_SOURCES})
  target_link_libraries(${name} PRIVATE ${EXE_DEPENDS} foliofs_options)
  target_precompile_headers(${name} REUSE_FROM ${EXE_PCH})
endfunction()
