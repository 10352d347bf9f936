# foliofs_layer(NAME SOURCES… DEPENDS layers…): one static library a layer, which sees only the
# layers it names, so that a wrong include does not link.
function(foliofs_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${LAYER_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(${name} PUBLIC ${LAYER_DEPENDS} foliofs_options)
  target_precompile_headers(${name} REUSE_FROM foliofs_pch)
endfunction()

function(foliofs_executable name)
  cmake_parse_arguments(EXE "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${EXE_SOURCES})
  target_link_libraries(${name} PRIVATE ${EXE_DEPENDS} foliofs_options)
  target_precompile_headers(${name} REUSE_FROM foliofs_pch)
endfunction()
