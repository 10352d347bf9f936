// Random bytes from the kernel's generator, for ids and keys that must be unguessable.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace foliofs::server {

// Cannot fail for up to 256 bytes once the kernel's generator is seeded; aborts on a kernel without
// the call, which cannot run this server.
inline void fill_random(std::span<std::uint8_t> bytes) {
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
}

template <class T>
T random_value() {
  T value;
  fill_random({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  return value;
}

}  // namespace foliofs::server
