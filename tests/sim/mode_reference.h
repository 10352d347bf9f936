// ModeReference: which mode a file may have in a stat, given what programs were told. Each chmod
// gives a file a mode that it has not had, so a mode identifies the call that has set it.
//
// Of two calls the first is older if it was answered before the second began. The mode that a stat
// shows may not be older than a call of its own client that was answered before, nor than a call of
// the other client that was answered so long before that its effect must be known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "foliofs/base/clock.h"
#include "tests/sim/reference.h"

namespace foliofs::sim {

class ModeReference {
 public:
  static constexpr std::uint32_t kAtFirst = 0644;

  // A chmod begins. Returns a mode that the file has not had; nullopt when there is none left.
  std::optional<std::uint32_t> begin(int client, const std::string& file, Moment now);
  void acknowledge(const std::string& file, std::uint32_t mode, Moment now, TimePoint at);
  // The server has refused a change of the client. A mode that the client has not sent yet may be
  // lost, and the client reports that.
  void refused(int client, const std::string& file);
  // A client may have lost its leases without returning them. From now on it is not certain which
  // of two clients' calls the server has executed last.
  void doubt() { doubtful_ = true; }

  // A stat(2) of the client that began at `since` has shown `mode`. It must show others' calls that
  // were answered at `told` or before. Returns what is wrong, or nothing.
  std::string check(int client, const std::string& file, Moment since, TimePoint told,
                    std::uint32_t mode) const;
  // All programs have ended, and the file has `mode`.
  std::string check_last(const std::string& file, std::uint32_t mode) const;

 private:
  struct Change {
    std::uint32_t mode = kAtFirst;
    int client = -1;
    Moment began = 0;
    Moment acknowledged = kNever;
    TimePoint acknowledged_at{};
    bool may_be_lost = false;
  };
  bool older(const Change& first, const Change& second) const;
  template <class MustSee>
  std::string check(const std::string& file, std::uint32_t mode, MustSee must_see) const;

  std::map<std::string, std::vector<Change>> changes_;
  bool doubtful_ = false;
};

}  // namespace foliofs::sim
