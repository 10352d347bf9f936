#include "server/inode.h"

#include <algorithm>

namespace foliofs::server {

void Inode::count_own(std::uint64_t session) {
  ++total_;
  known_ = true;
  auto found = std::find_if(own_.begin(), own_.end(),
                            [&](const Own& own) { return own.session == session; });
  Own mine{session, 1};
  if (found != own_.end()) {
    mine.changes += found->changes;
    own_.erase(found);
  } else if (own_.size() == kMaxOwners) {
    own_.erase(own_.begin());
  }
  own_.push_back(mine);
}

ChangeCounts Inode::counts(std::uint64_t session) const {
  ChangeCounts counts{total_, epoch_};
  for (const Own& own : own_) {
    if (own.session == session) counts.foreign -= own.changes;
  }
  return counts;
}

// --- Leases -------------------------------------------------------------------------------------

Inode::~Inode() {
  for (const Lease& lease : leases_) lease.holder->drop(lease.generation, handle_);
}

void Inode::drop_void_leases() {
  std::erase_if(leases_, [](const Lease& lease) { return lease.is_void(); });
}

bool Inode::is_known_by(HandleView handle) const {
  return std::equal(handle_.begin(), handle_.end(), handle.begin(), handle.end());
}

bool Inode::lease_to(LeaseHolder& holder, HandleView handle) {
  if (!holder.may_hold() || handle.empty()) return false;
  std::lock_guard lock(mutex_);
  drop_void_leases();
  // Where handles are numbers of descriptors, the file may have got another number meanwhile.
  if (!leases_.empty() && !is_known_by(handle)) return false;
  for (const Lease& lease : leases_) {
    if (lease.holder.get() == &holder) return lease.recalls == 0;
    if (lease.exclusive) return false;
  }
  // The generation is taken before the file is looked at, so what the reply shows is newer than any
  // change for which all leases were revoked before.
  const std::uint64_t generation = holder.give(shared_from_this(), handle);
  if (generation == 0) return false;
  handle_.assign(handle.begin(), handle.end());
  leases_.push_back({holder.shared_from_this(), generation, 0, false});
  return true;
}

bool Inode::is_leased_to(const LeaseHolder& holder) const {
  std::lock_guard lock(mutex_);
  return std::any_of(leases_.begin(), leases_.end(), [&](const Lease& lease) {
    return lease.holder.get() == &holder && !lease.is_void() && lease.recalls == 0;
  });
}

void Inode::recall(Lease& lease, std::vector<LostLease>& lost) const {
  ++lease.recalls;
  lost.push_back({lease.holder, lease.generation, counts(lease.holder->session())});
}

// A holder is told of each change, also while an earlier recall is unanswered. What it asks for
// meanwhile it will not believe for long, but it does not know yet which names this change touched.
void Inode::take_leases(std::uint64_t changer, std::vector<LostLease>& lost) {
  drop_void_leases();
  for (Lease& lease : leases_) {
    if (lease.holder->session() == changer) continue;
    recall(lease, lost);
  }
}

bool Inode::make_exclusive(const LeaseHolder& holder) {
  std::lock_guard lock(mutex_);
  drop_void_leases();
  if (leases_.size() != 1 || leases_.front().holder.get() != &holder) return false;
  leases_.front().exclusive = leases_.front().recalls == 0;
  return leases_.front().exclusive;
}

void Inode::end_exclusive(const LeaseHolder& holder) {
  std::lock_guard lock(mutex_);
  for (Lease& lease : leases_) {
    if (lease.holder.get() == &holder) lease.exclusive = false;
  }
}

bool Inode::is_kept_from(std::uint64_t session) const {
  std::lock_guard lock(mutex_);
  return std::any_of(leases_.begin(), leases_.end(),
                     [&](const Lease& lease) { return lease.keeps_from(session); });
}

void Inode::take_exclusive(std::uint64_t session, std::vector<LostLease>& lost) {
  std::lock_guard lock(mutex_);
  for (Lease& lease : leases_) {
    if (!lease.keeps_from(session)) continue;
    recall(lease, lost);
  }
}

void Inode::lease_returned(const LeaseHolder& holder, std::uint64_t generation) {
  std::lock_guard lock(mutex_);
  std::erase_if(leases_, [&](Lease& lease) {
    if (lease.holder.get() != &holder || lease.generation != generation) return false;
    // With the first answer the holder has sent what it kept from others.
    lease.exclusive = false;
    if (--lease.recalls > 0 || keeps_returned_) return false;
    lease.holder->drop(generation, handle_);
    return true;
  });
}

void Inode::lease_given_up(const LeaseHolder& holder, std::uint64_t generation, HandleView handle) {
  std::lock_guard lock(mutex_);
  if (!is_known_by(handle)) return;
  std::erase_if(leases_, [&](const Lease& lease) {
    const bool meant = lease.holder.get() == &holder && lease.generation == generation;
    if (!meant || lease.recalls > 0) return false;
    lease.holder->drop(generation, handle_);
    return true;
  });
}

bool Inode::is_leased() {
  std::lock_guard lock(mutex_);
  drop_void_leases();
  return !leases_.empty();
}

Handle Inode::leased_handle() const {
  std::lock_guard lock(mutex_);
  return {handle_.begin(), handle_.end()};
}

}  // namespace foliofs::server
