// Result<T>: a value or an errno. The only way an operating error travels in foliofs.
//
// Accessing the side that is not there terminates: that is a bug of ours, never an operating error.
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/success_failure.hpp>
#include <boost/outcome/try.hpp>
#include <cerrno>
#include <string>

namespace foliofs {

// A Linux errno, as the kernel and the server use it. The wire carries the same numbers. Never 0:
// success is the other side of a Result.
class Errno {
 public:
  constexpr explicit Errno(int value) : value_(value) {}

  constexpr int value() const { return value_; }
  friend constexpr bool operator==(Errno, Errno) = default;

 private:
  int value_;
};

// "ENOSPC" for Errno(ENOSPC); "E1234" for a number that this system has no name for.
std::string errno_name(Errno error);

// "No space left on device", for lines that a person reads.
std::string errno_text(Errno error);

template <class T>
using Result = boost::outcome_v2::basic_result<T, Errno, boost::outcome_v2::policy::terminate>;

using Status = Result<void>;

inline auto success() {
  return boost::outcome_v2::success();
}

// The errno of the system call that has just failed on this thread.
inline Errno last_errno() {
  return Errno(errno);
}

}  // namespace foliofs
