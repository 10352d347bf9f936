// AbsentNames: which names the kernel was told are not there, so that it can be told when that may
// have changed.
//
// Programs ask for absent names all the time: a compiler for a header in each directory where it
// might be, git for the rules of each directory. Under a lease of the directory (leases.h) the
// kernel is told to believe the answer for long.
#pragma once

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>
#include <string>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

class AbsentNames {
 public:
  // They take some 10 MiB.
  static constexpr std::size_t kMost = 1 << 16;

  // The kernel is being told that `name` is not there, to believe it until `until`. False when
  // there is no room: then the kernel must not believe it at all.
  bool add(KernelName name, TimePoint now, TimePoint until);
  // The kernel asks for this name again, or has made it. False when it was not told of it.
  bool remove(const KernelName& name);
  // Returns all of them, and remembers none any more.
  std::vector<KernelName> take_all();

 private:
  struct Told {
    KernelName name;
    TimePoint until{};
  };
  struct Hash {
    std::size_t operator()(const KernelName& name) const;
  };
  using ByName =
      boost::multi_index::hashed_unique<boost::multi_index::member<Told, KernelName, &Told::name>,
                                        Hash>;
  using ByTime = boost::multi_index::sequenced<>;  // told longest ago first

  boost::multi_index_container<Told, boost::multi_index::indexed_by<ByName, ByTime>> told_;
};

}  // namespace foliofs::vfs
