// SteadyTime: when something happens, for periods and deadlines. Unlike the client the server knows
// no other clock than the machine's.
#pragma once

#include <chrono>

namespace foliofs::server {

using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace foliofs::server
