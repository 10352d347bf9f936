// Refusal: why something that a person asked for is not done, as the one line that the person
// reads.
//
// Only for text that people see: between layers an error is an Errno (base/result.h).
#pragma once

#include <string>

#include "foliofs/base/result.h"

namespace foliofs {

// What was wrong and, if something can be done about it, what. No newline, no full stop.
struct Refusal {
  std::string text;
};

// A T, or the reason why there is none. RefusalOr<void>: success, or the reason why not.
template <class T>
using RefusalOr = boost::outcome_v2::basic_result<T, Refusal, boost::outcome_v2::policy::terminate>;

}  // namespace foliofs
