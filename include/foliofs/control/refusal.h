// Refusal: why a command of a person was not carried out, as the one line that the person reads.
//
// For what people see only: between layers an error is an Errno (base/result.h).
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <string>

namespace foliofs::control {

// What was wrong and, where there is something, what to do about it. No newline, no full stop.
struct Refusal {
  std::string text;
};

template <class T>
using Answer = boost::outcome_v2::basic_result<T, Refusal, boost::outcome_v2::policy::terminate>;

}  // namespace foliofs::control
