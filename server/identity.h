// Identity: the user as whom a call is made, and how an export's squash rule maps the ids that the
// client sends.
//
// Only decides; credentials.h applies the identity to the thread.
#pragma once

#include <sys/types.h>

#include <boost/container/small_vector.hpp>
#include <cstdint>

#include "foliofs/base/result.h"
#include "foliofs/proto/messages.h"

namespace foliofs::server {

// "No id", for users and groups.
inline constexpr std::uint32_t kNoId = 0xffffffff;

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  boost::container::small_vector<gid_t, 16> groups;  // supplementary

  friend bool operator==(const Identity&, const Identity&) = default;
};

enum class Squash {
  kRoot,  // uid 0 and gid 0 become the anonymous ones
  kNone,  // as the client says
  kAll,   // everybody becomes the anonymous user
};

struct SquashRule {
  Squash squash = Squash::kRoot;
  uid_t anon_uid = 65534;
  gid_t anon_gid = 65534;
};

// Maps the caller of a request by `rule`. EINVAL when there is no caller, when it has too many
// groups, or when an id is kNoId (setfsuid would silently keep the previous one).
Result<Identity> map_caller(const SquashRule& rule, const wire::Caller* caller);

}  // namespace foliofs::server
