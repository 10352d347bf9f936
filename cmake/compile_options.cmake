# Flags that every target of ours is built with.
add_library(foliofs_options INTERFACE)
target_compile_options(
  foliofs_options
  INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
            $<$<BOOL:${FOLIOFS_WARNINGS_AS_ERRORS}>:-Werror>
            # g++ 12 finds uninitialized values in std::optional and coroutine frames where there are none.
            $<$<CONFIG:RelWithDebInfo>:-O2 -Wno-maybe-uninitialized>
            # Lines for backtraces and profiles; all of -g takes half as long again to compile.
            $<$<CONFIG:RelWithDebInfo>:-g1>)
target_compile_definitions(
  foliofs_options
  INTERFACE FUSE_USE_VERSION=314 BOOST_ASIO_NO_DEPRECATED _FILE_OFFSET_BITS=64
            FOLIOFS_VERSION="${PROJECT_VERSION}")
target_compile_options(foliofs_options INTERFACE -fcoroutines)
# The headers that cost most to parse, compiled once and shared by every target (layers.cmake).
target_link_libraries(foliofs_options INTERFACE Threads::Threads Boost::headers spdlog::spdlog)

if(FOLIOFS_SANITIZE)
  target_compile_options(foliofs_options INTERFACE -fsanitize=${FOLIOFS_SANITIZE}
                                                   -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(foliofs_options INTERFACE -fsanitize=${FOLIOFS_SANITIZE})
  if(FOLIOFS_SANITIZE MATCHES thread)
    # Asio has fences, which the sanitizer does not follow; GCC warns of each.
    target_compile_options(foliofs_options INTERFACE -Wno-tsan)
  endif()
endif()
