// Leases: what this client believes without asking, because the server has promised to tell it of a
// change before that change is answered; and how the client gives leases back.
//
// A reply whose attributes say so gives a lease of the file. While the client holds the lease it
// believes these attributes without asking; for a directory it also believes the names that it has
// seen under the lease. The client tells the kernel to believe both for long, so giving up a lease
// takes three steps: the client stops believing; it makes the kernel ask again; it tells the
// server.
//
// None of these steps waits for a lock that the kernel holds for a request of this client, nor for
// the server, whose answer may wait for another client that is giving back a lease in the same way.
// There is one exception: attributes that were kept here under an exclusive lease
// (attribute_writeback.h) are sent first, and these requests wait for nobody. Only expiring a name
// could wait, because the kernel locks the directory for it. So the client waits for that only
// while no change of its own is under way in that directory, and not for long.
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

// An inode's own part. Lease numbers are never used twice; 0 is none.
struct Lease {
  std::uint64_t number = 0;   // of the lease that is held, unless all have become void since
  std::uint64_t lost_at = 0;  // MountCore::logical_time; replies to requests from before give none
  // The server's count of changes at the latest recall. Attributes with a lower count are older.
  FileVersion recalled_version;
  std::uint32_t returning = 0;  // recalls that have not been returned yet
  std::uint64_t exclusive = 0;  // the lease under which no other client looks at the file
  // For directories:
  std::uint64_t complete_under = 0;  // the lease under which every name in it is known
  std::uint64_t listed_under = 0;    // the one under which those before cookie `listed_to` are
  std::uint64_t listed_to = 0;
  std::uint64_t kernel_listing = 0;   // the lease under which the kernel keeps a listing
  std::uint32_t listing_streams = 0;  // open, may add to that listing
  std::uint32_t own_changes = 0;      // under way; the kernel has locked the directory for them

  std::uint64_t names_forgotten = 0;  // how often forget_names() was called

  // There may be a name in the directory that is not known.
  void forget_names() {
    complete_under = listed_under = 0;
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
  // How long the kernel may believe what a lease covers. The client tells it when the lease goes;
  // this limit is for a kernel whose daemon has been stopped.
  static constexpr Duration kBelieved = std::chrono::minutes(10);

  explicit Leases(MountCore& core) : core_(core) {}
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // Whether the server gives leases.
  bool are_given() const;
  bool holds(const Inode& inode) const;
  // Whether the server may have given its reply about `inode`, to a request sent at `asked_at`,
  // before the inode's lease or all leases went.
  bool is_overtaken(const Inode& inode, std::uint64_t asked_at) const;
  // The same for leases that went because the server said so. The change may have been answered
  // since, so the reply must not be believed at all.
  bool is_recalled(const Inode& inode, std::uint64_t asked_at) const;
  // Whether the known attributes are from before the inode's latest recall.
  static bool is_outdated(const Inode& inode);
  // Whether no other client looks at the file before this client returns the lease.
  bool is_exclusive(const Inode& inode) const;
  // The reply to the request sent at `asked_at`, which has created the file, gives such a lease.
  void exclusive_given(Inode& inode, std::uint64_t asked_at) const;
  // A reply to a request sent at `asked_at` has these `attributes` of the inode. Takes the lease
  // that they give; if they give none, none is held any more.
  void take(Inode& inode, const Attributes& attributes, std::uint64_t asked_at);

  // A reply to a request sent at `asked_at` has shown `inode` under its name in `parent`, or has
  // confirmed that this client gave it the name. The name is covered if that reply, with `said` as
  // the attributes of the parent, has given the parent's lease. A lease that came with another
  // reply may have been given later.
  void name_seen(Inode& inode, const Inode& parent, const wire::Attributes* said,
                 std::uint64_t asked_at) const;
  // How long the kernel may believe that `name` is not there: absence_seen() after a reply to a
  // request sent at `asked_at`, with `said` as the attributes of the parent; absence_known() for a
  // directory that knows_all_names(). Both remember that the kernel is told so.
  Duration absence_seen(const Inode& parent, const std::string& name, const wire::Attributes* said,
                        std::uint64_t asked_at);
  Duration absence_known(const Inode& parent, const std::string& name);
  // A request of this client to make, move or remove `name` is over. Unless the kernel is told of
  // its success, the kernel goes on believing what it knew of the name.
  enum class Outcome { kSuccess, kFailure, kNobodyWaits };
  void name_changed(const Inode& parent, const std::string& name, Outcome outcome);
  // The inode is about to get another name here. The kernel may still believe the present one, so
  // that is expired.
  void name_superseded(Inode& inode);
  // Whether a lease of `parent` covers the inode's name in it.
  bool covers_name(const Inode& inode, const Inode& parent) const;
  // Whether the inode table knows every name in `directory`.
  bool knows_all_names(const Inode& directory) const;
  // A reply to a request sent at `asked_at`, with `said` as the attributes of the directory, has
  // shown a part of its names, all of which are in the inode table now. `under` is the lease that
  // was held once the one in the reply had been taken. All names are known once the replies from
  // the beginning of a listing to its end have come.
  void names_listed(Inode& directory, const wire::Attributes* said, std::uint64_t under,
                    std::uint64_t asked_at, const ListedPart& part) const;
  // What the kernel believes of a name may be wrong, for instance because a rename moved another
  // file there than the kernel assumed. Makes the kernel ask again.
  void name_doubtful(std::uint64_t parent, const std::string& name);

  // The inode has been dropped here. The server is told before long, so that it need not keep
  // leases that nobody uses.
  void dropped(const Inode& inode);

  // The server has recalled leases.
  void recalled(wire::LeasesRecalledT recalled);
  // All leases are void: the server has said so, or the client cannot know whether it has.
  void lose_all();
  // The same, and tells the server, which waits to hear it.
  void lose_all_and_say_so();

  WaitQueue& progress() { return progress_; }
  std::uint64_t recalls() const { return recalls_; }
  std::uint64_t held() const;

 private:
  void lose(Inode& inode);
  void expire_name(std::uint64_t parent, const std::string& name);
  struct Lost {
    std::vector<std::shared_ptr<Inode>> inodes;
    std::vector<KernelName> names;  // in these directories, that have changed
  };
  Lost lose_recalled(wire::LeasesRecalledT& recalled);
  static Task<void> give_back(MountCore& core, wire::LeasesRecalledT recalled);
  // The names under which the kernel believes the files, and which it is to look up again.
  std::vector<KernelName> own_names(const std::vector<std::shared_ptr<Inode>>& inodes);
  // In the background. The result becomes true once the kernel has stopped believing the names.
  std::shared_ptr<bool> begin_to_expire(const std::vector<KernelName>& names);
  static Task<void> expire_names(MountCore& core, std::vector<KernelName> names,
                                 std::shared_ptr<bool> done);
  // Expires once more, a little later, what was told so recently that a program may only now take
  // the answer.
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
  // These recalls are settled: the server has been told, or will be told that all is returned.
  void settle(const Returned& returned);
  void returned_everything(bool said);

  MountCore& core_;
  AbsentNames absent_names_;
  std::uint64_t last_number_ = 0;
  std::uint64_t void_up_to_ = 0;  // leases of this number and earlier ones are void
  // MountCore::logical_time: replies to requests from before it give no lease.
  std::uint64_t ignored_before_ = 0;
  std::uint64_t recalled_before_ = 0;  // likewise; nor are they believed at all
  bool expiring_ = false;
  bool expires_again_ = false;
  bool returns_everything_ = false;  // once everything has been expired
  // Set from lose_all_and_say_so() until the server has been told: the server counts the leases
  // that it gives meanwhile as returned.
  bool takes_none_ = false;
  struct Returned {
    std::uint64_t recall = 0;  // 0: of another session
    std::vector<std::shared_ptr<Inode>> inodes;
  };
  std::vector<Returned> returned_;  // recalls that the server is to be told of
  // The directories of names that are being expired, in the order in which the kernel is told.
  std::list<std::vector<std::shared_ptr<Inode>>> names_expiring_;
  bool say_everything_ = false;
  std::vector<std::vector<std::uint8_t>> dropped_;  // handles; the server has not been told
  // Files that the server has been told of, per message, the latest first. A reply to a request
  // from before the server's answer may give the very lease that is being given up. For messages
  // that are not remembered any more, ignored_before_ says the same of all files.
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

// A request of this client to make, move or remove `name` in a directory. The kernel has locked the
// directory for it.
class OwnChange {
 public:
  OwnChange(MountCore& core, std::shared_ptr<Inode> directory, std::string name, const Call& call);
  ~OwnChange();
  OwnChange(const OwnChange&) = delete;
  OwnChange& operator=(const OwnChange&) = delete;

  // The kernel is told of the success next, unless the caller has gone.
  void succeeded() { succeeded_ = true; }

 private:
  const std::weak_ptr<MountCore*> core_;  // the request may outlive the mount
  const std::shared_ptr<Inode> directory_;
  const std::string name_;
  const std::function<bool()> abandoned_;
  bool succeeded_ = false;
};

}  // namespace foliofs::vfs
