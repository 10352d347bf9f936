// Leases: what the server has promised to tell of before anybody sees it changed, and how that is
// given back.
//
// A reply whose attributes say so gives a lease of the file. While it is held these attributes are
// believed without asking; of a directory, so are the names in it that were seen under it. The
// kernel is told to believe both for long, so a lease that goes takes three steps: from here on
// nothing is believed; the kernel is made to ask again; the server is told.
//
// None of them waits for a lock that the kernel holds for a request of ours, nor for the server,
// whose answer may wait for another client that gives back a lease in the same way; except that
// attributes which were kept here under an exclusive lease (attribute_writeback.h) are sent first,
// and these requests wait for nobody. The one thing that could wait is a name, for which the kernel
// locks the directory. So that is waited for only while no change of ours in that directory is
// under way, and not for long.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "absent_names.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/messages.h"
#include "foliofs/vfs/attributes.h"

namespace foliofs::vfs {

class MountCore;
struct Call;
struct Inode;

// An inode's own part. The numbers of leases are never used twice; 0 is none.
struct Lease {
  std::uint64_t number = 0;   // of the lease that is held, unless all are void meanwhile
  std::uint64_t lost_at = 0;  // MountCore::logical_time; replies to what was asked before give none
  // What the server has counted at the latest recall: attributes that count fewer are from before.
  FileVersion recalled_version;
  std::uint32_t returning = 0;  // recalls that the server has not heard of
  std::uint64_t exclusive = 0;  // the lease under which nobody else looks at the file
  // Of a directory.
  std::uint64_t names_complete = 0;  // the lease under which every name in it is known
  std::uint64_t names_listed = 0;    // the one under which those before this cookie are
  std::uint64_t listed_to = 0;
  std::uint64_t kernel_listing = 0;   // the lease under which the kernel keeps a listing
  std::uint32_t listing_streams = 0;  // open, which may add to that
  std::uint32_t own_changes = 0;      // under way, for which the kernel has locked it

  std::uint64_t names_forgotten = 0;  // how often

  // There may be a name in the directory that is not known.
  void forget_names() {
    names_complete = names_listed = 0;
    ++names_forgotten;
  }
};

// What a reply has shown of a listing: the entries between two cookies.
struct ListedPart {
  std::uint64_t from = 0;  // 0: the beginning
  std::uint64_t to = 0;
  bool end = false;  // nothing comes after it
};

class Leases {
 public:
  // How long the kernel may believe what a lease covers. It is told when the lease goes; this is
  // for a kernel whose daemon has been stopped.
  static constexpr Duration kBelieved = std::chrono::minutes(10);

  explicit Leases(MountCore& core) : core_(core) {}
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // Whether the server gives any.
  bool are_given() const;
  bool holds(const Inode& inode) const;
  // Whether a reply about `inode` to what was asked at `asked_at` may have been given before its
  // lease went, or all of them.
  bool is_overtaken(const Inode& inode, std::uint64_t asked_at) const;
  // The same where the server has said so, and who has changed something may have his answer: then
  // the reply is not to be believed at all.
  bool is_recalled(const Inode& inode, std::uint64_t asked_at) const;
  // Whether what is known of the inode is from before its latest recall.
  static bool is_outdated(const Inode& inode);
  // Whether nobody else looks at the file before its lease is returned.
  bool is_exclusive(const Inode& inode) const;
  // The reply that has made the file, to what was asked at `asked_at`, says so.
  void exclusive_given(Inode& inode, std::uint64_t asked_at) const;
  // The server says `attributes` of the inode in a reply to what was asked at
  // `asked_at`.
  void take(Inode& inode, const Attributes& attributes, std::uint64_t asked_at);

  // `inode` has been seen under its name in `parent`, or this client has given it the name, in a
  // reply to what was asked at `asked_at`. It is covered if that reply, which says `said` of the
  // parent, has given the lease: one that came with another reply may have been given after it.
  void name_seen(Inode& inode, const Inode& parent, const wire::Attributes* said,
                 std::uint64_t asked_at) const;
  // How long the kernel may believe that `name` was not there in a reply to what was asked at
  // `asked_at`, which says `said` of the parent; and that of a name in a directory that
  // knows_all_names(). It is remembered that the kernel is told so.
  Duration absence_seen(const Inode& parent, const std::string& name, const wire::Attributes* said,
                        std::uint64_t asked_at);
  Duration absence_known(const Inode& parent, const std::string& name);
  // A request of this client's to make, move or remove `name` is over. Unless the kernel is told of
  // its success, it goes on believing what it knew of the name.
  enum class Outcome { kSuccess, kFailure, kNobodyWaits };
  void name_changed(const Inode& parent, const std::string& name, Outcome outcome);
  // The inode is about to be known by another name, while the kernel may go on believing this one.
  void name_superseded(Inode& inode);
  // Whether that still is its name.
  bool covers_name(const Inode& inode, const Inode& parent) const;
  // Whether no name is in `directory` but those that the inode table knows.
  bool knows_all_names(const Inode& directory) const;
  // A reply to what was asked at `asked_at`, which says `said` of the directory, has shown a part
  // of its names, and these are known now. `under` is the lease that was held when it had been
  // taken. All names are known once the replies from the beginning of a listing to its end have
  // come.
  void names_listed(Inode& directory, const wire::Attributes* said, std::uint64_t under,
                    std::uint64_t asked_at, const ListedPart& part) const;
  // The kernel may have a name to which it has moved another file than was meant: it shall ask.
  void name_doubtful(std::uint64_t parent, const std::string& name);

  // The inode is known here no more; the server is told so before long, so that it need not keep
  // leases that nobody uses.
  void dropped(const Inode& inode);

  // What the session has heard.
  void recalled(wire::LeasesRecalledT recalled);
  // All are void: the server has said so, or whether it has cannot be known.
  void lose_all();
  // The same, and the server waits to be told.
  void lose_all_and_say_so();

  WaitQueue& progress() { return progress_; }
  std::uint64_t recalls() const { return recalls_; }
  std::uint64_t held() const;

 private:
  void lose(Inode& inode);
  void expire_name(std::uint64_t parent, const std::string& name);
  struct Lost {
    std::vector<std::shared_ptr<Inode>> inodes;
    std::vector<KernelName> names;  // in them, that have changed
  };
  Lost lose_recalled(wire::LeasesRecalledT& recalled);
  static Task<void> give_back(MountCore& core, wire::LeasesRecalledT recalled);
  // The names by which the kernel believes the files, and shall look them up again.
  std::vector<KernelName> own_names(const std::vector<std::shared_ptr<Inode>>& inodes);
  // In the background: the result becomes true when the kernel believes them no more.
  std::shared_ptr<bool> begin_to_expire(const std::vector<KernelName>& names);
  static Task<void> expire_names(MountCore& core, std::vector<KernelName> names,
                                 std::shared_ptr<bool> done);
  // Once more, a little later, those that the kernel may still be about to take.
  void expire_just_told(const std::vector<std::shared_ptr<Inode>>& inodes,
                        std::vector<KernelName> names);
  static Task<void> expire_again(MountCore& core, std::vector<std::shared_ptr<Inode>> inodes,
                                 std::vector<KernelName> names);
  bool names_are_stuck() const;
  static Task<void> until_names_expired(MountCore& core, std::shared_ptr<bool> done);
  static Task<void> expire_everything(MountCore& core);
  static Task<void> revalidate(MountCore& core, std::shared_ptr<Inode> inode);
  static Task<void> say_returned(MountCore& core);
  static Task<void> say_dropped_later(MountCore& core);
  std::vector<std::unique_ptr<wire::LeasedFileT>> take_dropped();
  void dropped_said();
  bool gives_names(const Inode& directory, const wire::Attributes* said,
                   std::uint64_t asked_at) const;
  bool was_given_up(const Inode& inode, std::uint64_t asked_at) const;
  void say_soon();
  struct Returned;
  // The server knows.
  void settle(const Returned& returned);
  void returned_everything(bool said);

  MountCore& core_;
  AbsentNames absent_names_;
  std::uint64_t last_number_ = 0;
  std::uint64_t void_up_to_ = 0;  // leases of this number and earlier ones are void
  // MountCore::logical_time: what was asked before gives no lease.
  std::uint64_t ignored_before_ = 0;
  std::uint64_t recalled_before_ = 0;  // likewise, nor is it believed at all
  bool expiring_ = false;
  bool expires_again_ = false;
  bool returns_everything_ = false;  // once all is expired
  // From then on until the server has been told: it takes what it gives meanwhile for returned.
  bool takes_none_ = false;
  struct Returned {
    std::uint64_t recall = 0;  // 0: of another session
    std::vector<std::shared_ptr<Inode>> inodes;
  };
  std::vector<Returned> returned_;  // recalls that the server is to be told of
  // The directories of names that expire, in the order in which the kernel is told.
  std::list<std::vector<std::shared_ptr<Inode>>> names_expiring_;
  bool say_everything_ = false;
  std::vector<std::vector<std::uint8_t>> dropped_;  // handles, of which that is not said yet
  // Files of which that was said: a reply to what was asked before the server had answered may give
  // the very lease that is given up. Latest first; of those before them nothing asked so early is
  // believed.
  struct GivenUp {
    std::set<std::vector<std::uint8_t>> handles;
    std::uint64_t answered_at = UINT64_MAX;  // MountCore::logical_time
  };
  std::deque<GivenUp> given_up_;
  bool says_dropped_later_ = false;
  bool saying_ = false;
  std::uint64_t recalls_ = 0;
  WaitQueue progress_;
};

// A request of this client's to make, move or remove `name` in a directory, which the kernel has
// locked for it.
class OwnChange {
 public:
  OwnChange(MountCore& core, std::shared_ptr<Inode> directory, std::string name, const Call& call);
  ~OwnChange();
  OwnChange(const OwnChange&) = delete;
  OwnChange& operator=(const OwnChange&) = delete;

  // The kernel is told so next, unless the caller has gone.
  void succeeded() { succeeded_ = true; }

 private:
  const std::weak_ptr<MountCore*> core_;  // the request may outlive the mount
  const std::shared_ptr<Inode> directory_;
  const std::string name_;
  const std::function<bool()> abandoned_;
  bool succeeded_ = false;
};

}  // namespace foliofs::vfs
