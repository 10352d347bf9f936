// A child process, and the pipe that it reports over.
#pragma once

#include <sys/types.h>

#include <string>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"

namespace foliofs::cli {

// Both ends are closed on exec.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

// The errno of pipe2().
Result<Pipe> make_pipe();

// Reads until every process has closed the write end, or until reading fails.
std::string read_to_end(int fd);

// Waits until `child` has ended. Returns its exit status, or -1 if it was killed.
int wait_for_exit(pid_t child);

}  // namespace foliofs::cli
