#include "leases.h"

#include <algorithm>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// How long a recall waits for the kernel to expire a name while another request has its directory;
// and how long one of everything does.
constexpr Duration kNamesPatience = std::chrono::milliseconds(500);
constexpr Duration kAllNamesPatience = std::chrono::seconds(1);
// A program that was told a name just before it expired may take the answer after that, and makes
// the name good again.
constexpr Duration kNameIsTaken = std::chrono::seconds(1);

}  // namespace

// --- Held ---------------------------------------------------------------------------------------

bool Leases::holds(const Inode& inode) const {
  return inode.lease.number > void_up_to_;
}

void Leases::take(Inode& inode, const Attributes& attributes, std::uint64_t asked_at) {
  const bool given = (attributes.flags & proto::kLeased) != 0;
  const bool overtaken = asked_at < inode.lease.lost_at || asked_at < ignored_before_;
  if (!given || overtaken) {
    if (!overtaken) inode.lease.number = 0;
  } else if (!holds(inode)) {
    inode.lease.number = ++last_number_;
    // What was believed under an earlier one is not covered by this.
    if (inode.attributes_expire == kWhileLeased) inode.attributes_expire = {};
  }
}

void Leases::name_seen(Inode& inode, const Inode& parent, std::uint64_t asked_at) const {
  const bool believed =
      holds(parent) && asked_at >= parent.lease.lost_at && asked_at >= ignored_before_;
  inode.named_under = believed ? parent.lease.number : 0;
}

bool Leases::covers_name(const Inode& inode, const Inode& parent) const {
  return inode.named_under != 0 && inode.named_under == parent.lease.number && holds(parent);
}

bool Leases::knows_all_names(const Inode& directory) const {
  return directory.lease.names_complete != 0 && holds(directory) &&
         directory.lease.names_complete == directory.lease.number;
}

void Leases::all_names_seen(Inode& directory, std::uint64_t asked_at) const {
  const bool believed =
      holds(directory) && directory.generation <= asked_at && asked_at >= directory.lease.lost_at;
  if (believed) directory.lease.names_complete = directory.lease.number;
}

std::uint64_t Leases::held() const {
  std::uint64_t held = 0;
  core_.inodes.for_each([&](const InodeRef& inode) { held += holds(*inode) ? 1 : 0; });
  return held;
}

// --- Recalled -----------------------------------------------------------------------------------

// Answers that are on their way were given before the change, or may have been.
void Leases::lose(Inode& inode) {
  core_.forget_attributes(inode);
  inode.lease.number = 0;
  inode.lease.lost_at = core_.change;
  inode.told_until = {};
}

void Leases::recalled(wire::LeasesRecalledT recalled) {
  if (core_.stopping) return;
  ++recalls_;
  if (recalled.everything) {
    lose_all();
  } else {
    spawn(core_.executor, "give back leases", give_back(core_, std::move(recalled)));
  }
}

Task<void> Leases::give_back(MountCore& core, wire::LeasesRecalledT recalled) {
  ++core.background_tasks;
  Leases& leases = core.leases;
  std::vector<KernelNode> nodes;
  std::vector<KernelName> names;
  std::vector<InodeRef> inodes;
  std::vector<InodeRef> directories;
  for (const auto& lost : recalled.leases) {
    InodeRef inode = lost ? core.inodes.find_by_handle(lost->handle) : nullptr;
    if (!inode) {
      // It is in a reply that has not arrived yet.
      leases.ignored_before_ = ++core.change;
      continue;
    }
    leases.lose(*inode);
    ++inode->lease.returning;
    // What was said before the change is known by this to be old.
    Attributes& known = inode->attributes;
    if (lost->change_epoch == known.change_epoch) {
      known.foreign_changes = std::max(known.foreign_changes, lost->foreign_changes);
    }
    nodes.push_back({inode->node, known.is_directory()});
    for (auto& name : lost->names) names.push_back({inode->node, std::move(name)});
    if (!lost->names.empty()) directories.push_back(inode);
    inodes.push_back(std::move(inode));
  }
  auto expired = std::make_shared<bool>(names.empty());
  if (!names.empty()) {
    spawn(core.executor, "expire names", expire_names(core, names, expired));
  }
  if (!nodes.empty()) co_await core.kernel.expire_attributes(std::move(nodes));
  (void)co_await wait_at_most(core.clock, kNamesPatience,
                              until_names_expired(core, expired, directories));
  for (const InodeRef& inode : inodes) --inode->lease.returning;
  leases.returned_.push_back(recalled.recall);
  leases.say_soon();
  std::erase_if(names, [&](const KernelName& name) { return !leases.was_just_told(name); });
  if (!names.empty()) spawn(core.executor, "expire again", expire_again(core, std::move(names)));
  // Whoever has the file open sees what has become of it without asking.
  for (const InodeRef& inode : inodes) {
    const bool shown = inode->mapping && inode->open_count != 0;
    if (shown && !core.stopping) spawn(core.executor, "revalidate", revalidate(core, inode));
  }
  --core.background_tasks;
  core.background_ended.wake_all();
}

Task<void> Leases::expire_names(MountCore& core, std::vector<KernelName> names,
                                std::shared_ptr<bool> done) {
  ++core.background_tasks;
  co_await core.kernel.expire_names(std::move(names));
  *done = true;
  core.leases.progress_.wake_all();
  --core.background_tasks;
  core.background_ended.wake_all();
}

bool Leases::was_just_told(const KernelName& name) const {
  const InodeRef inode = core_.inodes.find_by_name(name.parent_id, name.name);
  return inode && core_.clock.now() - inode->name_told < kNameIsTaken;
}

Task<void> Leases::expire_again(MountCore& core, std::vector<KernelName> names) {
  const std::weak_ptr<MountCore*> alive = core.self;
  co_await core.clock.sleep(kNameIsTaken);
  if (alive.expired() || core.stopping) co_return;
  ++core.background_tasks;
  co_await core.kernel.expire_names(std::move(names));
  --core.background_tasks;
  core.background_ended.wake_all();
}

Task<void> Leases::until_names_expired(MountCore& core, std::shared_ptr<bool> done,
                                       std::vector<InodeRef> directories) {
  auto locked = [&directories] {
    return std::any_of(directories.begin(), directories.end(),
                       [](const InodeRef& inode) { return inode->lease.own_changes != 0; });
  };
  while (!*done && !locked()) co_await core.leases.progress_.wait();
}

// Nobody waits for it: the server may be away when the mount ends.
Task<void> Leases::revalidate(MountCore& core, InodeRef inode) {
  const std::weak_ptr<MountCore*> alive = core.self;
  wire::GetAttrRequestT request;
  request.caller = std::make_unique<wire::CallerT>();
  request.handle = inode->handle;
  const std::uint64_t asked_at = core.change;
  auto reply = co_await core.session.call<wire::GetAttrRequest>(request);
  if (!reply || !reply.value().attributes || alive.expired() || core.stopping) co_return;
  ++core.background_tasks;
  co_await core.take_attributes(inode, from_wire(*reply.value().attributes), asked_at);
  --core.background_tasks;
  core.background_ended.wake_all();
}

// --- All ----------------------------------------------------------------------------------------

void Leases::lose_all() {
  void_up_to_ = last_number_;
  ignored_before_ = ++core_.change;
  if (core_.stopping) return;
  if (std::exchange(expiring_, true)) {
    expires_again_ = true;
  } else {
    spawn(core_.executor, "expire leases", expire_everything(core_));
  }
}

void Leases::lose_all_and_say_so() {
  returns_everything_ = true;
  lose_all();
}

Task<void> Leases::expire_everything(MountCore& core) {
  ++core.background_tasks;
  Leases& leases = core.leases;
  do {
    leases.expires_again_ = false;
    std::vector<KernelNode> nodes;
    std::vector<KernelName> names;
    core.inodes.for_each([&](const InodeRef& inode) {
      if (leases.holds(*inode) || !inode->kernel_believes) return;
      inode->kernel_believes = false;
      inode->told_until = {};
      nodes.push_back({inode->node, inode->attributes.is_directory()});
      if (!inode->name.empty()) names.push_back({inode->parent, inode->name});
    });
    if (!nodes.empty()) co_await core.kernel.expire_attributes(std::move(nodes));
    if (names.empty()) continue;
    (void)co_await wait_at_most(core.clock, kAllNamesPatience,
                                core.kernel.expire_names(std::move(names)));
  } while (leases.expires_again_);
  leases.expiring_ = false;
  if (std::exchange(leases.returns_everything_, false)) {
    leases.say_everything_ = true;
    leases.say_soon();
  }
  --core.background_tasks;
  core.background_ended.wake_all();
}

// --- Said ---------------------------------------------------------------------------------------

void Leases::say_soon() {
  if (core_.stopping || std::exchange(saying_, true)) return;
  spawn(core_.executor, "return leases", say_returned(core_));
}

// One message after the other, in the slot that is kept for them. As revalidate().
Task<void> Leases::say_returned(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  Leases& leases = core.leases;
  while (!core.stopping && (!leases.returned_.empty() || leases.say_everything_)) {
    wire::ReturnLeasesRequestT request;
    request.recalls = std::exchange(leases.returned_, {});
    request.everything = std::exchange(leases.say_everything_, false);
    auto said = co_await core.session.call<wire::ReturnLeasesRequest>(request);
    if (alive.expired()) co_return;
    // Where the session is gone, so is what it had to return.
    if (!said) spdlog::debug("return of leases: {}", errno_name(said.error()));
  }
  leases.saying_ = false;
}

// --- OwnChange ----------------------------------------------------------------------------------

OwnChange::OwnChange(MountCore& core, InodeRef directory) : directory_(std::move(directory)) {
  if (++directory_->lease.own_changes == 1) core.leases.progress().wake_all();
}

OwnChange::~OwnChange() {
  --directory_->lease.own_changes;
}

}  // namespace foliofs::vfs
