#include "server/leases.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/inode.h"

namespace foliofs::server {

namespace {

std::size_t hash_of(HandleView handle) {
  return std::hash<std::string_view>()(text_of(handle));
}

}  // namespace

// --- LeaseHolder --------------------------------------------------------------------------------

void LeaseHolder::set_ready(bool ready) {
  std::lock_guard lock(mutex_);
  ready_ = ready && !ended_;
}

std::uint64_t LeaseHolder::give(const std::shared_ptr<Inode>& inode, HandleView handle) {
  std::lock_guard lock(mutex_);
  if (!ready_ || !gate_.take_room()) return 0;
  ++held_;
  by_handle_[hash_of(handle)] = inode;
  return generation();
}

void LeaseHolder::drop(std::uint64_t generation, HandleView handle) {
  std::lock_guard lock(mutex_);
  if (generation != this->generation()) return;
  --held_;
  by_handle_.erase(hash_of(handle));
  gate_.give_back_room(1);
}

void LeaseHolder::recall(std::uint64_t generation, std::vector<std::shared_ptr<Inode>> inodes,
                         const std::vector<RecalledLease>& leases, SteadyTime now,
                         RecallWaitRef wait) {
  std::uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    if (ended_ || generation != this->generation()) return;
    number = ++last_recall_;
    unanswered_.emplace(number, Recall{generation, std::move(inodes), now, std::move(wait)});
  }
  if (auto listener = listener_.lock()) listener->leases_recalled(number, leases);
}

void LeaseHolder::returned(std::uint64_t recall) {
  Recall answered;
  {
    std::lock_guard lock(mutex_);
    auto found = unanswered_.find(recall);
    if (found == unanswered_.end()) return;
    answered = std::move(found->second);
    unanswered_.erase(found);
  }
  for (const auto& inode : answered.inodes) inode->lease_returned(*this, answered.generation);
}

void LeaseHolder::given_up(HandleView handle) {
  std::shared_ptr<Inode> inode;
  std::uint64_t generation = 0;
  {
    std::lock_guard lock(mutex_);
    auto found = by_handle_.find(hash_of(handle));
    if (found == by_handle_.end()) return;
    inode = found->second.lock();
    generation = this->generation();
  }
  if (inode) inode->lease_given_up(*this, generation, handle);
}

void LeaseHolder::returned_all() {
  std::unordered_map<std::uint64_t, Recall> answered;
  std::unordered_map<std::size_t, std::weak_ptr<Inode>> void_now;
  std::lock_guard lock(mutex_);
  // Entries of an earlier generation are removed from their files when they are next met there.
  generation_.fetch_add(1, std::memory_order_release);
  gate_.give_back_room(std::exchange(held_, 0));
  answered.swap(unanswered_);
  void_now.swap(by_handle_);
}

void LeaseHolder::revoke_all() {
  {
    std::lock_guard lock(mutex_);
    if (held_ == 0) return;
  }
  returned_all();
  if (auto listener = listener_.lock()) listener->all_leases_recalled();
}

void LeaseHolder::end() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    ready_ = false;
  }
  returned_all();
}

bool LeaseHolder::revoke_overdue(SteadyTime deadline) {
  {
    std::lock_guard lock(mutex_);
    const bool overdue = std::any_of(unanswered_.begin(), unanswered_.end(), [&](const auto& item) {
      return item.second.since < deadline;
    });
    if (!overdue) return false;
  }
  barred_until_ = (std::chrono::steady_clock::now() + kBarred).time_since_epoch().count();
  revoke_all();
  return true;
}

// --- Recalls ------------------------------------------------------------------------------------

void Recalls::add(const std::shared_ptr<Inode>& inode, const Handle& handle,
                  const std::vector<LostLease>& lost, const std::vector<std::string>& names) {
  for (const LostLease& lease : lost) {
    lost_.push_back({lease, inode, {handle, names, lease.counts}});
  }
}

void Recalls::send(SteadyTime now, std::function<void()> done) {
  auto wait = std::make_shared<RecallWait>(std::move(done));
  std::vector<Item> rest = std::exchange(lost_, {});
  // One message per holder: a call changes few files.
  while (!rest.empty()) {
    const LeaseHolderRef holder = rest.front().lease.holder;
    const std::uint64_t generation = rest.front().lease.generation;
    auto others = std::stable_partition(rest.begin(), rest.end(), [&](const Item& item) {
      return item.lease.holder == holder && item.lease.generation == generation;
    });
    std::vector<std::shared_ptr<Inode>> inodes;
    std::vector<RecalledLease> leases;
    for (auto item = rest.begin(); item != others; ++item) {
      inodes.push_back(std::move(item->inode));
      leases.push_back(std::move(item->told));
    }
    rest.erase(rest.begin(), others);
    holder->recall(generation, std::move(inodes), leases, now, wait);
  }
}

}  // namespace foliofs::server
