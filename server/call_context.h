// CallContext: for whom the store makes a call, and how long that may take.
#pragma once

#include <cerrno>
#include <cstdint>

#include "foliofs/base/result.h"
#include "server/identity.h"
#include "server/leases.h"

namespace foliofs::server {

enum class Waiting {
  kNever,  // EAGAIN, with nothing done, where it would take long
  kAllowed,
};

// A call has done nothing, because another session has an exclusive lease of a file that it names.
// It is to be made again once that has been returned, which is among the context's recalls. Not an
// errno of any store.
inline constexpr Errno kLeaseHeld{ERESTART};

// For whom a call is made. What it refers to must outlive the call.
struct CallContext {
  const Identity& caller;
  std::uint64_t session = 0;  // whose changes are not foreign to it
  Waiting waiting = Waiting::kAllowed;
  LeaseHolder* holder = nullptr;  // gets leases of what it is shown; nullptr: nobody does
  Recalls* recalls = nullptr;     // takes the leases that the call ends; nullptr: there are none
};

}  // namespace foliofs::server
