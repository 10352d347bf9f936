// A child process, and what it says over a pipe.
#pragma once

#include <sys/types.h>

#include <string>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"

namespace foliofs::cli {

// Neither end stays open in a program that is executed.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

// The errno of pipe2().
Result<Pipe> make_pipe();

// What comes until nobody has the other end any more, or reading fails.
std::string read_to_end(int fd);

// The exit status of a child, or -1 when it was killed. Waits for its end.
int wait_for_exit(pid_t child);

}  // namespace foliofs::cli
