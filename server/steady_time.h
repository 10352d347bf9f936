// SteadyTime: when something happens, for periods and deadlines.
#pragma once

#include <chrono>

namespace foliofs::server {

using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace foliofs::server
