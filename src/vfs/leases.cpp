#include "leases.h"

#include <algorithm>

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// How long a recall waits for the kernel to expire a name while another request has its directory;
// the same if the name has not changed and only the owner, which Linux relies on, may be out of
// date; and for the kernel to drop pages of a file that somebody opens at that moment.
constexpr Duration kNamesPatience = std::chrono::milliseconds(500);
constexpr Duration kOwnersPatience = std::chrono::milliseconds(10);
constexpr Duration kPagesPatience = std::chrono::milliseconds(10);
// How long the recall of everything waits for names.
constexpr Duration kAllNamesPatience = std::chrono::seconds(1);
// A program that was told a name just before it expired may take the answer after that. This makes
// the name good again, and the attributes, too, of a file that the kernel had not known.
constexpr Duration kAnswerIsTaken = MountCore::kAnswerIsTaken;
// The server is told of dropped leases when there are so many, or when they have waited for so
// long. So many of the longest handles fit into what it takes as metadata of one request, 64 KiB.
constexpr std::size_t kManyDropped = 256;
static_assert(kManyDropped <= kMaxDroppedLeases && kManyDropped * (kMaxHandleBytes + 24) < 65536);
constexpr Duration kDroppedWait = std::chrono::seconds(1);
// For how many of these messages the client remembers what they have given up.
constexpr std::size_t kRememberedMessages = 8;

bool gives_lease(const wire::Attributes* said) {
  return said != nullptr && (said->flags() & proto::kLeased) != 0;
}

}  // namespace

// --- Held ---------------------------------------------------------------------------------------

bool Leases::holds(const Inode& inode) const {
  return inode.lease.number > void_up_to_;
}

bool Leases::is_overtaken(const Inode& inode, std::uint64_t asked_at) const {
  return asked_at < inode.lease.lost_at || asked_at < ignored_before_ ||
         was_given_up(inode, asked_at);
}

bool Leases::is_recalled(const Inode& inode, std::uint64_t asked_at) const {
  return asked_at < inode.lease.lost_at || asked_at < recalled_before_;
}

bool Leases::is_outdated(const Inode& inode) {
  const FileVersion& recalled = inode.lease.recalled_version;
  return inode.attributes.change_epoch == recalled.change_epoch &&
         inode.attributes.foreign_changes < recalled.foreign_changes;
}

bool Leases::is_exclusive(const Inode& inode) const {
  const Lease& lease = inode.lease;
  return lease.exclusive != 0 && lease.exclusive == lease.number && holds(inode);
}

// The lease that is held may be from a later reply, after the lease of this one has gone.
void Leases::exclusive_given(Inode& inode, std::uint64_t asked_at) const {
  const bool ignored = takes_none_ || is_overtaken(inode, asked_at);
  if (!ignored && holds(inode)) inode.lease.exclusive = inode.lease.number;
}

void Leases::take(Inode& inode, const Attributes& attributes, std::uint64_t asked_at) {
  const bool given = (attributes.flags & proto::kLeased) != 0;
  const bool ignored = takes_none_ || is_overtaken(inode, asked_at);
  if (!given || ignored) {
    if (!ignored) inode.lease.number = 0;
  } else if (!holds(inode)) {
    inode.lease.number = ++last_number_;
    // What was believed under an earlier lease is not covered by this one.
    if (inode.attributes_expire == kWhileLeased) inode.attributes_expire = {};
  }
}

// Whether the lease of the directory covers the names in a reply with `said` as its attributes.
bool Leases::gives_names(const Inode& directory, const wire::Attributes* said,
                         std::uint64_t asked_at) const {
  return gives_lease(said) && holds(directory) && !is_overtaken(directory, asked_at);
}

void Leases::name_seen(Inode& inode, const Inode& parent, const wire::Attributes* said,
                       std::uint64_t asked_at) const {
  inode.named_under = gives_names(parent, said, asked_at) ? parent.lease.number : 0;
}

Duration Leases::absence_seen(const Inode& parent, const std::string& name,
                              const wire::Attributes* said, std::uint64_t asked_at) {
  const bool covered = gives_names(parent, said, asked_at) && parent.changed_at <= asked_at;
  return covered ? absence_known(parent, name) : Duration::zero();
}

Duration Leases::absence_known(const Inode& parent, const std::string& name) {
  const TimePoint now = core_.clock.now();
  const bool can_be_told = core_.kernel.expires_absent_names() &&
                           absent_names_.add({parent.node, name}, now, now + kBelieved);
  return can_be_told ? kBelieved : Duration::zero();
}

void Leases::name_changed(const Inode& parent, const std::string& name, Outcome outcome) {
  const bool was_absent = absent_names_.remove({parent.node, name});
  if (outcome == Outcome::kNobodyWaits || (outcome == Outcome::kFailure && was_absent)) {
    name_doubtful(parent.node, name);
  }
}

void Leases::name_superseded(Inode& inode) {
  if (std::exchange(inode.kernel.believes_name, false)) expire_name(inode.parent, inode.name);
}

bool Leases::covers_name(const Inode& inode, const Inode& parent) const {
  return inode.named_under != 0 && inode.named_under == parent.lease.number && holds(parent);
}

bool Leases::knows_all_names(const Inode& directory) const {
  return directory.lease.complete_under != 0 && holds(directory) &&
         directory.lease.complete_under == directory.lease.number;
}

void Leases::names_listed(Inode& directory, const wire::Attributes* said, std::uint64_t under,
                          std::uint64_t asked_at, const ListedPart& part) const {
  Lease& lease = directory.lease;
  const bool same = lease.number == under && directory.changed_at <= asked_at;
  const bool goes_on =
      part.from == 0 || (lease.listed_under == under && lease.listed_to == part.from);
  if (!same || !goes_on || !gives_names(directory, said, asked_at)) return;
  lease.listed_under = under;
  lease.listed_to = part.to;
  if (part.end) lease.complete_under = under;
}

void Leases::name_doubtful(NodeId parent, const std::string& name) {
  if (are_given()) expire_name(parent, name);
}

void Leases::expire_name(NodeId parent, const std::string& name) {
  if (core_.stopping) return;
  (void)begin_to_expire({{parent, name}});
}

std::uint64_t Leases::held() const {
  std::uint64_t held = 0;
  core_.inodes.for_each([&](const InodeRef& inode) { held += holds(*inode) ? 1 : 0; });
  return held;
}

// --- Recalled -----------------------------------------------------------------------------------

// Answers that are on their way were given before the change, or may have been. They are shown to
// the program that asked, but not believed.
void Leases::lose(Inode& inode) {
  core_.idle_opens.close(inode);
  inode.attributes_expire = {};
  inode.lease.number = 0;
  inode.lease.lost_at = ++core_.logical_time;
  inode.kernel.believed_until = {};
}

void Leases::recalled(wire::LeasesRecalledT recalled) {
  if (core_.stopping) return;
  ++recalls_;
  if (recalled.everything) {
    lose_all();
  } else {
    core_.spawn("give back leases", give_back(core_, std::move(recalled)));
  }
}

Leases::Lost Leases::lose_recalled(wire::LeasesRecalledT& recalled) {
  Lost lost;
  for (const auto& lease : recalled.leases) {
    InodeRef inode = lease ? core_.inodes.find_by_handle(lease->handle) : nullptr;
    if (!inode) {
      // The lease is in a reply that has not arrived yet, or the inode was dropped.
      ignored_before_ = recalled_before_ = ++core_.logical_time;
      if (lease) dropped_.push_back(lease->handle);
      continue;
    }
    lose(*inode);
    inode->lease.recalled_version = {lease->change_epoch, lease->foreign_changes};
    ++inode->lease.returning;
    for (auto& name : lease->names) {
      lost.names.push_back({inode->node, std::move(name)});
      absent_names_.remove(lost.names.back());
      const InodeRef named = core_.inodes.find_by_name(inode->node, lost.names.back().name);
      lost.names.back().lost_directory = named && named->attributes.is_directory();
    }
    lost.inodes.push_back(std::move(inode));
  }
  return lost;
}

Task<void> Leases::give_back(MountCore& core, wire::LeasesRecalledT recalled) {
  Leases& leases = core.leases;
  const std::uint64_t incarnation = core.session.incarnation();
  auto [inodes, names] = leases.lose_recalled(recalled);
  const std::vector<KernelName> own_names = leases.own_names(inodes);
  const auto expired = leases.begin_to_expire(names);
  const auto own_expired = leases.begin_to_expire(own_names);
  if (!inodes.empty()) co_await core.notifications.expire_attributes(inodes);
  for (const InodeRef& inode : inodes) {
    co_await core.attribute_writeback.write_for_others(inode);
  }
  const bool have_pages = std::any_of(inodes.begin(), inodes.end(), [](const InodeRef& inode) {
    return inode->open_count == 0 && inode->kernel.may_have_pages();
  });
  if (have_pages) {
    (void)co_await wait_at_most(core.clock, kPagesPatience,
                                core.notifications.drop_unused_pages(inodes));
  }
  if (!*expired) {
    (void)co_await wait_at_most(core.clock, kNamesPatience, until_names_expired(core, expired));
  }
  if (!*own_expired) {
    (void)co_await wait_at_most(core.clock, kOwnersPatience,
                                until_names_expired(core, own_expired));
  }
  names.insert(names.end(), own_names.begin(), own_names.end());
  // In another session these numbers are those of other recalls.
  const bool same_session = incarnation == core.session.incarnation();
  leases.returned_.push_back({same_session ? recalled.recall : 0, inodes});
  leases.say_soon();
  leases.expire_just_told(inodes, std::move(names));
  // Programs that have the file open see what has become of it without asking.
  for (const InodeRef& inode : inodes) {
    const bool shown = inode->mapping && inode->open_count != 0;
    if (shown && !core.stopping) core.spawn_unawaited("revalidate", revalidate(core, inode));
  }
}

std::vector<KernelName> Leases::own_names(const std::vector<InodeRef>& inodes) {
  std::vector<KernelName> names;
  // Otherwise names would be dropped: too much for an owner that may have changed, because a
  // program may be in a directory that goes.
  if (!core_.kernel.keeps_expired_names()) return names;
  for (const InodeRef& inode : inodes) {
    const bool believed = std::exchange(inode->kernel.believes_name, false);
    if (believed && !inode->name.empty()) names.push_back({inode->parent, inode->name});
  }
  return names;
}

std::shared_ptr<bool> Leases::begin_to_expire(const std::vector<KernelName>& names) {
  auto done = std::make_shared<bool>(names.empty());
  if (!names.empty()) core_.spawn("expire names", expire_names(core_, names, done));
  return done;
}

Task<void> Leases::expire_names(MountCore& core, std::vector<KernelName> names,
                                std::shared_ptr<bool> done) {
  auto& expiring = core.leases.names_expiring_;
  const auto here = expiring.emplace(expiring.end());
  for (const KernelName& name : names) here->push_back(core.inodes.find(name.parent_id));
  co_await core.kernel.expire_names(std::move(names));
  expiring.erase(here);
  *done = true;
  core.leases.progress_.wake_all();
}

void Leases::expire_just_told(const std::vector<InodeRef>& inodes, std::vector<KernelName> names) {
  const TimePoint recent = core_.clock.now() - kAnswerIsTaken;
  auto just_told = [&](const InodeRef& inode) {
    return inode && inode->kernel.name_told > recent;
  };
  std::erase_if(names, [&](const KernelName& name) {
    return !just_told(core_.inodes.find_by_name(name.parent_id, name.name));
  });
  // The name may lead to a new directory by now, and a program may be in it.
  for (KernelName& name : names) name.lost_directory = false;
  std::vector<InodeRef> shown;
  std::copy_if(inodes.begin(), inodes.end(), std::back_inserter(shown), just_told);
  if (names.empty() && shown.empty()) return;
  core_.spawn_unawaited("expire again", expire_again(core_, std::move(shown), std::move(names)));
}

Task<void> Leases::expire_again(MountCore& core, std::vector<InodeRef> inodes,
                                std::vector<KernelName> names) {
  const std::weak_ptr<MountCore*> alive = core.self;
  co_await core.clock.sleep(kAnswerIsTaken);
  if (alive.expired() || core.stopping) co_return;
  const BackgroundTask task(core);
  if (!inodes.empty()) co_await core.notifications.expire_attributes(std::move(inodes));
  if (!names.empty()) co_await core.kernel.expire_names(std::move(names));
}

// The kernel is told of one directory after the other. It waits for a directory in which a change
// by this client is under way, and the answer to that change may depend on this recall.
bool Leases::names_are_stuck() const {
  if (names_expiring_.empty()) return false;
  const auto& directories = names_expiring_.front();
  return std::any_of(directories.begin(), directories.end(), [](const InodeRef& directory) {
    return directory && directory->lease.own_changes != 0;
  });
}

Task<void> Leases::until_names_expired(MountCore& core, std::shared_ptr<bool> done) {
  while (!*done && !core.leases.names_are_stuck()) co_await core.leases.progress_.wait();
}

// Nobody waits for this task, because the server may be away when the mount ends.
Task<void> Leases::revalidate(MountCore& core, InodeRef inode) {
  const std::weak_ptr<MountCore*> alive = core.self;
  wire::GetAttrRequestT request;
  request.caller = std::make_unique<wire::CallerT>();
  request.handle = inode->handle;
  const std::uint64_t asked_at = core.logical_time;
  auto reply = co_await core.session.call<wire::GetAttrRequest>(request);
  if (!reply || !reply.value().attributes || alive.expired() || core.stopping) co_return;
  const BackgroundTask task(core);
  co_await core.attributes.take(inode, from_wire(*reply.value().attributes), asked_at);
}

// --- All ----------------------------------------------------------------------------------------

void Leases::lose_all() {
  core_.idle_opens.close_all();
  void_up_to_ = last_number_;
  ignored_before_ = recalled_before_ = ++core_.logical_time;
  dropped_.clear();
  core_.attribute_writeback.leases_lost();
  if (core_.stopping) return;
  if (std::exchange(expiring_, true)) {
    expires_again_ = true;
  } else {
    core_.spawn("expire leases", expire_everything(core_));
  }
}

bool Leases::are_given() const {
  return (core_.session.hello().features & proto::kFeatureLeases) != 0;
}

void Leases::lose_all_and_say_so() {
  if (!are_given()) return;
  returns_everything_ = true;
  takes_none_ = true;
  for (const Returned& one : std::exchange(returned_, {})) settle(one);
  lose_all();
}

Task<void> Leases::expire_everything(MountCore& core) {
  Leases& leases = core.leases;
  do {
    leases.expires_again_ = false;
    std::vector<InodeRef> inodes;
    std::vector<KernelName> names = leases.absent_names_.take_all();
    core.inodes.for_each([&](const InodeRef& inode) {
      // A lease that is held by now is another one, of which the kernel need not have been told.
      if (!inode->kernel.believes) return;
      inode->kernel.believes = false;
      inode->kernel.believed_until = {};
      inodes.push_back(inode);
      if (!inode->name.empty()) names.push_back({inode->parent, inode->name});
    });
    if (!inodes.empty()) co_await core.notifications.expire_attributes(std::move(inodes));
    if (names.empty()) continue;
    (void)co_await wait_at_most(core.clock, kAllNamesPatience,
                                core.kernel.expire_names(std::move(names)));
  } while (leases.expires_again_);
  leases.expiring_ = false;
  if (std::exchange(leases.returns_everything_, false)) {
    leases.say_everything_ = true;
    leases.say_soon();
  }
}

// --- Said ---------------------------------------------------------------------------------------

void Leases::dropped(const Inode& inode) {
  // Not only if it is held: the server may have given a lease that was not taken.
  const bool leased = holds(inode) || (inode.attributes.flags & proto::kLeased) != 0;
  if (!leased || core_.stopping) return;
  dropped_.push_back(inode.handle);
  if (dropped_.size() >= kManyDropped) return say_soon();
  if (std::exchange(says_dropped_later_, true)) return;
  core_.spawn_unawaited("dropped leases", say_dropped_later(core_));
}

Task<void> Leases::say_dropped_later(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  co_await core.clock.sleep(kDroppedWait);
  if (alive.expired()) co_return;
  core.leases.says_dropped_later_ = false;
  core.leases.say_soon();
}

// Files that are known here again keep their leases.
std::vector<std::unique_ptr<wire::LeasedFileT>> Leases::take_dropped() {
  std::vector<std::unique_ptr<wire::LeasedFileT>> files;
  GivenUp given_up;
  while (!dropped_.empty() && files.size() < kManyDropped) {
    HandleBytes handle = std::move(dropped_.back());
    dropped_.pop_back();
    const bool known = core_.inodes.find_by_handle(handle) != nullptr;
    if (known || !given_up.handles.insert(handle).second) continue;
    files.push_back(std::make_unique<wire::LeasedFileT>());
    files.back()->handle = std::move(handle);
  }
  if (!files.empty()) given_up_.push_front(std::move(given_up));
  return files;
}

void Leases::dropped_said() {
  given_up_.front().answered_at = ++core_.logical_time;
  if (given_up_.size() <= kRememberedMessages) return;
  ignored_before_ = std::max(ignored_before_, given_up_.back().answered_at);
  given_up_.pop_back();
}

bool Leases::was_given_up(const Inode& inode, std::uint64_t asked_at) const {
  for (const GivenUp& given_up : given_up_) {
    if (asked_at >= given_up.answered_at) return false;
    if (given_up.handles.contains(inode.handle)) return true;
  }
  return false;
}

void Leases::say_soon() {
  if (core_.stopping || std::exchange(saying_, true)) return;
  core_.spawn_unawaited("return leases", say_returned(core_));
}

// Sends one message after the other, in the slot that is kept for them. Nobody waits for this task,
// as for revalidate().
Task<void> Leases::say_returned(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  Leases& leases = core.leases;
  auto has_news = [&leases] {
    return !leases.returned_.empty() || leases.say_everything_ || !leases.dropped_.empty();
  };
  while (!core.stopping && has_news()) {
    wire::ReturnLeasesRequestT request;
    request.dropped = leases.take_dropped();
    const std::vector<Returned> returned = std::exchange(leases.returned_, {});
    for (const Returned& one : returned) {
      if (one.recall != 0) request.recalls.push_back(one.recall);
    }
    request.everything = std::exchange(leases.say_everything_, false);
    Result<wire::EmptyT> said = success();
    if (leases.are_given()) {
      said = co_await core.session.call<wire::ReturnLeasesRequest>(
          request, core.session.incarnation(), rpc::Urgency::kServerWaits);
    }
    if (alive.expired()) co_return;
    for (const Returned& one : returned) leases.settle(one);
    if (!request.dropped.empty()) leases.dropped_said();
    // If the session is gone, so are the leases that it had to return.
    if (!said) log_debug("return of leases: {}", errno_name(said.error()));
    if (!said && said.error() == Errno(ENOTCONN)) break;  // the mount ends
    // A server that refuses the request gives no leases.
    const bool arrived =
        said || (said.error() != Errno(ETIMEDOUT) && said.error() != rpc::kSessionLost);
    if (request.everything) leases.returned_everything(arrived);
  }
  leases.saying_ = false;
}

// The reply to a request from before the server knew of the return may be from before the next
// change, of which this client was not told.
void Leases::settle(const Returned& returned) {
  for (const InodeRef& inode : returned.inodes) {
    if (--inode->lease.returning == 0) lose(*inode);
  }
}

// If the message did not arrive, or the connection was lost meanwhile, it is sent again.
void Leases::returned_everything(bool said) {
  if (returns_everything_ || say_everything_) return;
  if (said) {
    ignored_before_ = ++core_.logical_time;
    takes_none_ = false;
  } else {
    say_everything_ = true;
  }
}

// --- OwnChange ----------------------------------------------------------------------------------

OwnChange::OwnChange(MountCore& core, InodeRef directory, std::string name, const Call& call)
    : core_(core.self),
      directory_(std::move(directory)),
      name_(std::move(name)),
      abandoned_(call.abandoned) {
  if (++directory_->lease.own_changes == 1) core.leases.progress().wake_all();
}

OwnChange::~OwnChange() {
  --directory_->lease.own_changes;
  const auto core = core_.lock();
  if (!core) return;
  auto outcome = succeeded_ ? Leases::Outcome::kSuccess : Leases::Outcome::kFailure;
  if (abandoned_ && abandoned_()) outcome = Leases::Outcome::kNobodyWaits;
  (*core)->leases.name_changed(*directory_, name_, outcome);
}

}  // namespace foliofs::vfs
