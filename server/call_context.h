// CallContext: for whom the store makes a call, and how long the call may wait.
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

// The call has done nothing, because another session has an exclusive lease of a file that it
// names. That lease is among the context's recalls; the call must be made again once it has been
// returned. No store returns this errno for another reason.
inline constexpr Errno kLeaseHeld{ERESTART};

// For whom a call is made. Everything that it refers to must outlive the call.
struct CallContext {
  const Identity& caller;
  std::uint64_t session = 0;  // changes by this session are not foreign to it
  Waiting waiting = Waiting::kAllowed;
  LeaseHolder* holder = nullptr;  // gets leases of the files it is shown; nullptr: none are given
  Recalls* recalls = nullptr;     // collects the leases that the call ends; nullptr: it ends none
};

}  // namespace foliofs::server
