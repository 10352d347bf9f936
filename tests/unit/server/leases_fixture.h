// Inodes, sessions that hold leases of them, and clients that record the recalls they get.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "server/inode_table.h"
#include "server/session.h"

namespace foliofs::server {

inline const Handle kHandle{1, 2, 3};
inline const Handle kOther{4, 5};

inline HandleView view(const Handle& handle) {
  return {handle.data(), handle.size()};
}

// Records the recalls that the client gets.
class Client final : public LeaseListener {
 public:
  void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) override {
    recalls.push_back(recall);
    last = leases;
  }
  void all_leases_recalled() override { ++told_all; }

  std::vector<std::uint64_t> recalls;
  std::vector<RecalledLease> last;
  int told_all = 0;
};

class LeasesTest : public ::testing::Test {
 protected:
  struct Holder {
    std::shared_ptr<LeaseHolder> leases;
    std::shared_ptr<Client> client;
    LeaseHolder& operator*() const { return *leases; }
    LeaseHolder* operator->() const { return leases.get(); }
  };

  LeasesTest() { gate_.open(); }
  ~LeasesTest() override {
    for (const auto& holder : holders_) holder->end();
  }

  Holder holder(std::uint64_t session) {
    Holder made{std::make_shared<LeaseHolder>(session, gate_), std::make_shared<Client>()};
    made->listen(made.client);
    made->set_ready(true);
    holders_.push_back(made.leases);
    return made;
  }
  static std::shared_ptr<Inode> file() { return std::make_shared<Inode>(1); }
  static bool lease(const std::shared_ptr<Inode>& file, const Holder& holder) {
    return file->lease_to(*holder, view(kHandle));
  }
  // `session` changes the file; with `changed` false the change fails.
  std::vector<LostLease> change(Inode& file, std::uint64_t session, bool changed = true) {
    ChangeStamp& stamp = stamps_[&file];
    const auto look = [&stamp] {
      return stamp;
    };
    file.begin_change(look);
    if (changed) ++stamp.ctime_ns;
    std::vector<LostLease> lost;
    file.end_change(session, changed, look, lost);
    return lost;
  }
  // The same, and sends the recalls. Increments `answered` when the change may be answered.
  void change_and_tell(const std::shared_ptr<Inode>& file, std::uint64_t session, int& answered,
                       const std::vector<std::string>& names = {}, SteadyTime now = {}) {
    Recalls recalls;
    recalls.add(file, file->leased_handle(), change(*file, session), names);
    recalls.send(now, [&answered] { ++answered; });
  }

  LeaseGate gate_;
  std::vector<LeaseHolderRef> holders_;
  std::map<const Inode*, ChangeStamp> stamps_;
};

}  // namespace foliofs::server
