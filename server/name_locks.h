// NameLocks: serialize changes of what one name leads to.
//
// A call that moves, replaces or removes a file looks first which file that is, so that the clients
// that believe something about it can be told. Between the look and the change no other call may
// put another file there. The locks do not keep out changes on the disk itself, nor calls that only
// look.
//
// Several names share a lock. A thread that holds one must therefore take no other and wait for
// nothing but the disk.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>

#include "foliofs/base/result.h"
#include "server/call_context.h"
#include "server/file_id.h"
#include "server/names.h"

namespace foliofs::server {

// Thread-safe.
class NameLocks {
 public:
  // Holds one name, or the two names of a rename, while it lives.
  class Held {
   public:
    Held() = default;

   private:
    friend class NameLocks;
    std::unique_lock<std::mutex> first_, second_;
  };

  // EAGAIN where the call would have to wait and must not.
  Result<Held> hold(Waiting waiting, const FileId& directory, Name name) {
    Held held;
    BOOST_OUTCOME_TRYV(take(held.first_, waiting, index_of(directory, name)));
    return held;
  }
  Result<Held> hold(Waiting waiting, const FileId& from, Name name, const FileId& to,
                    Name new_name) {
    // Always the lower one first: otherwise two renames in opposite directions could wait for each
    // other.
    const auto [low, high] = std::minmax({index_of(from, name), index_of(to, new_name)});
    Held held;
    BOOST_OUTCOME_TRYV(take(held.first_, waiting, low));
    if (high != low) {
      BOOST_OUTCOME_TRYV(take(held.second_, waiting, high));
    }
    return held;
  }

 private:
  static constexpr std::size_t kLocks = 256;

  static std::size_t index_of(const FileId& directory, Name name) {
    const std::size_t text = std::hash<std::string_view>()(name.c_str());
    return (text ^ (FileIdHash()(directory) * 31)) % kLocks;
  }
  Status take(std::unique_lock<std::mutex>& into, Waiting waiting, std::size_t index) {
    std::unique_lock taken(locks_[index], std::defer_lock);
    if (waiting == Waiting::kAllowed) {
      taken.lock();
    } else if (!taken.try_lock()) {
      return Errno(EAGAIN);
    }
    into = std::move(taken);
    return success();
  }

  std::array<std::mutex, kLocks> locks_;
};

}  // namespace foliofs::server
