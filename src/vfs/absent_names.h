// AbsentNames: which names the kernel was told are not there, so that it can be told when nobody
// says so any more.
//
// Programs ask for them all the time: a compiler for a header in each directory where it might be,
// git for the rules of each directory. Under a lease of the directory (leases.h) the kernel is told
// to believe the answer for long.
#pragma once

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>
#include <optional>
#include <string>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

class AbsentNames {
 public:
  // Some 10 MiB.
  static constexpr std::size_t kMost = 1 << 16;

  explicit AbsentNames(std::size_t most = kMost) : most_(most) {}

  // The kernel is told now that `name` is not there. Returns the name that it was told of longest
  // ago when there are too many: it is to be told to ask for that one again.
  std::optional<KernelName> told(KernelName name, TimePoint now);
  // Whether it was told of this one, and when it was last.
  std::optional<TimePoint> when_told(const KernelName& name) const;
  // All of them; none is remembered any more.
  std::vector<KernelName> take_all();

 private:
  struct Told {
    KernelName name;
    TimePoint at{};
  };
  struct Hash {
    std::size_t operator()(const KernelName& name) const;
  };
  using ByName =
      boost::multi_index::hashed_unique<boost::multi_index::member<Told, KernelName, &Told::name>,
                                        Hash>;
  using ByTime = boost::multi_index::sequenced<>;  // told longest ago first

  const std::size_t most_;
  boost::multi_index_container<Told, boost::multi_index::indexed_by<ByName, ByTime>> told_;
};

}  // namespace foliofs::vfs
