// ModeReference: which mode a file may be seen with, from what programs were told. Each chmod gives
// a file a mode of its own, so a mode names the call that it comes from.
//
// Of two calls the first is the older one if it was answered before the second began. What a stat
// sees may not be older than what its client had been told before, nor than what another client had
// been told, where leases or questions are exact.
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

  // A mode that the file has not had; nullopt when there is none left.
  std::optional<std::uint32_t> begin(int client, const std::string& file, Moment now);
  void acknowledge(const std::string& file, std::uint32_t mode, Moment now, TimePoint at);
  // The server has refused a change of the client: what it kept may be lost, of which it tells.
  void refused(int client, const std::string& file);
  // A client may have lost its leases without having returned them: of two clients' calls it is not
  // certain any more which one the server has seen last.
  void doubt() { doubtful_ = true; }

  // stat(2) of the client that began at `since` has seen `mode`. Others' calls must be seen if they
  // were answered at `told` or before. What is wrong, or nothing.
  std::string check(int client, const std::string& file, Moment since, TimePoint told,
                    std::uint32_t mode) const;
  // Nobody does anything any more, and the file has `mode`.
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
