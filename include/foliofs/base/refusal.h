// Refusal: why what a person asked for is not done, as the one line that the person reads.
//
// For what people see only: between layers an error is an Errno (base/result.h).
#pragma once

#include <string>

#include "foliofs/base/result.h"

namespace foliofs {

// What was wrong and, where there is something, what to do about it. No newline, no full stop.
struct Refusal {
  std::string text;
};

// A T, or why there is none; RefusalOr<void>: why it was not done, if it was not.
template <class T>
using RefusalOr = boost::outcome_v2::basic_result<T, Refusal, boost::outcome_v2::policy::terminate>;

}  // namespace foliofs
