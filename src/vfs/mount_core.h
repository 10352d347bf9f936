// MountCore: what the operations of one mount share: session, cache, inodes, options, and the steps
// that several operations are made of.
#pragma once

#include <spdlog/spdlog.h>

#include <map>
#include <memory>
#include <set>

#include "attribute_writeback.h"
#include "foliofs/rpc/session.h"
#include "forgetting.h"
#include "idle_opens.h"
#include "inode.h"
#include "inode_io.h"
#include "inode_table.h"
#include "lock_waits.h"

namespace foliofs::vfs {

class MountCore {
 public:
  // How often a call is repeated because the server has lost handles.
  static constexpr int kMaxRepairs = 2;
  // And in so many sessions one after the other, where it may be repeated at all.
  static constexpr int kMaxSessions = 4;
  // A query whose answer was overtaken by a change of our own is asked again this often.
  static constexpr int kMaxQueries = 3;
  // A program takes an answer within this time after it was given.
  static constexpr Duration kAnswerIsTaken = std::chrono::seconds(1);

  MountCore(Executor on, Clock& time, rpc::Session& to, Kernel& above, MountOptions with,
            FaultPoints* faults);
  ~MountCore();
  MountCore(const MountCore&) = delete;
  MountCore& operator=(const MountCore&) = delete;

  const Executor executor;
  Clock& clock;
  rpc::Session& session;
  Kernel& kernel;
  MountOptions options;
  InodeTable inodes;
  cache::Cache cache;
  std::map<OpenFile*, OpenFileRef> open_files;
  std::map<OpenDirectory*, OpenDirectoryRef> open_directories;
  // Threads (Call::thread) whose latest open was refused for them to look the path up again, and of
  // which file it was.
  std::map<std::int32_t, NodeId> looking_again;
  // Advances with all that replies must be told to be older or newer than: a change of ours, an
  // open, a notification to the kernel, a lease that goes. A request notes it (`asked_at`), and of
  // a file that has changed since (Inode::changed_at) the reply says nothing that is believed.
  std::uint64_t logical_time = 0;
  // The server's filesystem has a limit on the size of files, and does not tell it. A store that
  // ends beyond this goes there at once, so that its writer learns of EFBIG; if it is taken, the
  // limit is not below the next power of two, or close to it.
  std::uint64_t tested_size = (4ull << 30) - 1;
  void passed_size(std::uint64_t size);
  // Expires with the mount, for InodeIo, which a fetch can keep alive longer.
  const std::shared_ptr<MountCore*> self = std::make_shared<MountCore*>(this);
  bool stopping = false;
  std::uint32_t background_tasks = 0;
  WaitQueue background_ended;
  // Runs `task` in the background; shut_down() waits until it has ended.
  void spawn(std::string_view name, Task<void> task);
  // Nobody waits for this one. It does not begin when the mount is gone by then, and has to see by
  // `self` after each wait of its own whether it is still there.
  void spawn_unawaited(std::string_view name, Task<void> task);
  LockWaits lock_waits{*this};
  Leases leases{*this};
  AttributeWriteback attribute_writeback{*this};
  Forgetting forgetting{*this};
  IdleOpens idle_opens{*this};

  template <class Request>
  using Table = typename Request::NativeTableType;
  template <class Request>
  using HandleField = HandleBytes Request::NativeTableType::*;

  // One request with its payload. When the session was lost under it, it is sent once more in the
  // next: harmless for what can be repeated; `retried` tells those who must interpret the
  // second answer. A request that names an open of `incarnation` is not, and fails with
  // kSessionLost.
  template <class Request>
  Task<Result<rpc::RawReply>> exchange(Table<Request> request, rpc::Payload payload = {},
                                       bool* retried = nullptr, std::uint64_t incarnation = 0) {
    constexpr auto kType = proto::Message<Request>::kType;
    auto reply = co_await session.exchange(kType, proto::encode(request), payload, incarnation);
    if (incarnation != 0) co_return reply;
    for (int sessions = 1; !reply && reply.error() == rpc::kSessionLost; ++sessions) {
      if (sessions == kMaxSessions) co_return Errno(EIO);
      if (retried != nullptr) *retried = true;
      reply = co_await session.exchange(kType, proto::encode(request), payload);
    }
    co_return reply;
  }

  // The same for a request that names `inode` in its field `handle_at`, and perhaps `other` in
  // `other_at`: when the server has lost a handle, the file is looked up again, as whoever calls,
  // and the request repeated.
  template <class Request>
  Task<Result<rpc::RawReply>> exchange_on(InodeRef inode, HandleField<Request> handle_at,
                                          Table<Request> request, rpc::Payload payload = {},
                                          bool* retried = nullptr, std::uint64_t incarnation = 0,
                                          InodeRef other = nullptr,
                                          HandleField<Request> other_at = nullptr) {
    // What the server is asked of a file is to be answered by what programs have made of it.
    if (AttributeWriteback::is_dirty(*inode)) co_await attribute_writeback.write(inode);
    if (other && AttributeWriteback::is_dirty(*other)) co_await attribute_writeback.write(other);
    for (int repairs = 0;; ++repairs) {
      request.*handle_at = inode->handle;
      if (other) request.*other_at = other->handle;
      auto reply = co_await exchange<Request>(request, payload, retried, incarnation);
      if (reply || reply.error() != Errno(ESTALE)) co_return reply;
      inode->forget_listed();
      if (other) other->forget_listed();
      if (repairs == kMaxRepairs) co_return reply;
      // Another call may have found it meanwhile.
      bool repaired = inode->handle != request.*handle_at;
      if (other) repaired = repaired || other->handle != request.*other_at;
      if (repaired) continue;
      auto found = co_await find_again(inode, *request.caller);
      repaired = found && found.value();
      if (other) {
        auto other_found = co_await find_again(other, *request.caller);
        repaired = repaired || (other_found && other_found.value());
      }
      if (!repaired) co_return reply;
    }
  }

  // Both with tables.
  template <class Request>
  Task<rpc::ReplyTo<Request>> call(Table<Request> request, bool* retried = nullptr,
                                   std::uint64_t incarnation = 0) {
    return rpc::decode_reply<Request>(
        exchange<Request>(std::move(request), {}, retried, incarnation));
  }
  template <class Request>
  Task<rpc::ReplyTo<Request>> call_on(InodeRef inode, HandleField<Request> handle_at,
                                      Table<Request> request, bool* retried = nullptr,
                                      std::uint64_t incarnation = 0, InodeRef other = nullptr,
                                      HandleField<Request> other_at = nullptr) {
    return rpc::decode_reply<Request>(
        exchange_on<Request>(std::move(inode), handle_at, std::move(request), {}, retried,
                             incarnation, std::move(other), other_at));
  }

  // What the server has under this name now; with `tell_absence`, a reply without a handle when
  // there is nothing.
  Task<Result<wire::EntryReplyT>> ask_name(wire::CallerT caller, InodeRef parent, std::string name,
                                           bool tell_absence = false);
  // Looks the file up once more under its last name, as `caller`. True when it has another handle
  // now; false when the file is gone; an error when that could not be learnt.
  Task<Result<bool>> find_again(InodeRef inode, wire::CallerT caller);

  // The inode of a reply to what was asked at `asked_at`, with one more reference
  // for the kernel. Its attributes are taken over; if somebody else has changed the file its cache
  // is invalidated first.
  Task<InodeRef> enter(InodeRef parent, std::string name, HandleBytes handle, Attributes attributes,
                       std::uint64_t asked_at);
  // An inode that is known under this name by a handle which the server has lost gets the new one.
  Task<InodeRef> inode_for(InodeRef parent, std::string name, HandleBytes handle,
                           Attributes attributes);
  // Whether the name is still the file's own under which the kernel has found it, by what an OPEN
  // says of it: `now`. Asks the server if somebody else may have moved it. When it says no, or may
  // be wrong, it does so once, so that an open which is not by name succeeds the second time. What
  // the kernel has `just_looked_up` because of a no is believed where nobody can tell.
  Task<bool> still_has_name(Call call, InodeRef inode, Attributes now, bool just_looked_up);
  // What the kernel, which asked at `asked_at`, is told of an inode that was entered as `name` in
  // `parent`, `age` ago.
  Entry entry_of(Inode& inode, NodeId parent, std::string_view name, std::uint64_t asked_at,
                 Duration age = Duration::zero());
  // Whether the kernel was told the same not long ago: it keeps what it has cached, ACLs too,
  // unless it is told again.
  bool knows_entry(Inode& inode, NodeId parent, std::string_view name);

  // One READDIR, as Operations::read_directory().
  Task<Result<DirectoryEntries>> read_directory(Call call, InodeRef directory, std::uint64_t cookie,
                                                bool with_attributes);
  // What a recent listing has shown under this name, with a reference for the kernel, which asked
  // at `asked_at`.
  std::optional<Entry> listed_entry(const Inode& parent, const std::string& name,
                                    std::uint64_t asked_at);
  // The same for what is known under a lease of `parent`: that there is no such name, too.
  std::optional<Entry> leased_entry(const Inode& parent, const std::string& name,
                                    std::uint64_t asked_at);
  // `name` was not there in a reply to what was asked at `asked_at`, which says `said` of `parent`.
  Entry absent_entry(const Inode& parent, const std::string& name, const wire::Attributes* said,
                     std::uint64_t asked_at);
  // Before a lookup: whether more are likely to follow in `parent`, so that it had better be
  // listed.
  bool is_worth_listing(Inode& parent, const std::string& name);
  Task<void> list_names(Call call, InodeRef parent);
  // The kernel gives back so many references.
  void forget(NodeId node, std::uint64_t count);
  // Nobody needs the inode any more for one reason: it goes if there is no other.
  void drop_if_unused(const InodeRef& inode);

  // Takes over what the server says of `inode`, asked for at `asked_at`. Returns
  // when nobody invalidates the file's cache any more; true when it was invalidated because of this
  // reply.
  Task<bool> take_attributes(InodeRef inode, Attributes attributes, std::uint64_t asked_at);
  // Whether the kernel, which keeps pages of the file, may not have taken the answer to a change
  // yet that has made it longer without them (UncachedGrowth). It must not learn the new end from
  // any other answer: on one that makes the file longer it clears its pages from there on
  // (fuse_change_attributes()), perhaps much later, when they are full of what was appended since.
  // False when there is anything else to tell that it goes by: another end, owner or mode.
  bool has_unstable_size(const Inode& inode) const;
  // Before an answer that tells attributes: makes the kernel ignore them if that is so.
  Task<void> tell_no_end(InodeRef inode);
  // Before an answer to GETATTR that the kernel ignores: whoever has asked may map the file up to
  // the size that it shows.
  Task<void> tell_growth(InodeRef inode);
  // Asks the server where the file ends, for a READ, and tells nobody else: a READ must not wait
  // for the kernel's pages.
  Task<void> learn_size(InodeRef inode);
  // The server has said last that the file ends there. Where the mapping does not take it just now,
  // it is to be asked for again.
  static void take_size(Inode& inode, std::uint64_t size);
  // Returns when the kernel has dropped its pages of `range`. As cache::KernelPages::invalidate, it
  // is to be waited for by nobody on whom a READ or a page's WRITE depends. `replaced` is held
  // until then.
  Task<void> drop_pages(InodeRef inode, ByteRange range,
                        std::shared_ptr<const ReplacedBytes> replaced = nullptr);
  // The same of all its pages of those files that nobody has open, after changes by somebody else:
  // then none need be dropped when a change is found, for which the kernel would ignore the answer
  // that tells of it.
  Task<void> drop_unused_pages(std::vector<InodeRef> files);
  // Returns when the kernel believes attributes of the files no more.
  Task<void> expire_attributes(std::vector<InodeRef> files);
  // The kernel does so itself once a program takes the reply to an OPEN without keep_cache, which
  // is next.
  void kernel_drops_pages(const InodeRef& inode);
  // The same for pages that a WRITE has overtaken which is answered only then: so nobody reads them
  // once write(2) has returned. The kernel may wait for a page that this WRITE itself has locked,
  // which then is as new as the WRITE; therefore the wait has a bound.
  Task<void> drop_overtaken(InodeRef inode, ByteRange pages,
                            std::shared_ptr<const ReplacedBytes> replaced);
  // Waits until no change by somebody else is being dealt with.
  Task<void> wait_until_valid(InodeRef inode);

  // What programs are shown: the server's attributes, and what is dirty here. The kernel is told in
  // an answer to what it asked at `asked_at`.
  Attributes shown_attributes(Inode& inode, std::uint64_t asked_at);
  // Whether the server need not be asked for them.
  bool known_now(const Inode& inode) const {
    return attributes_are_believed(inode) && !inode.size_unknown;
  }
  bool attributes_are_believed(const Inode& inode) const {
    if (inode.attributes_expire == kWhileLeased) return leases.holds(inode);
    return inode.attributes_expire > clock.now();
  }
  // Until when those may be that have just been said, asked for at `asked_at`.
  TimePoint believed_until(const Inode& inode, std::uint64_t asked_at) const;
  // Bytes of the file have been read on the server, which may have moved the time of access.
  void note_access(Inode& inode) const;
  // How long the kernel may believe that.
  Duration attribute_timeout(const Inode& inode) const;

  // It has set-id bits, and is open for writing: any store may take them away, and the kernel does
  // not know of each.
  bool may_lose_set_id_bits(const Inode& inode) const;

  // Who asks for the attributes of such a file sees those that it will keep: they are written
  // first, as NFS does it.
  static bool has_few_dirty_bytes(const Inode& inode) {
    constexpr std::uint64_t kFew = 1 << 20;
    return inode.dirty() && inode.mapping->dirty_bytes() <= kFew;
  }

  // This client has changed the file: what was asked for before is old.
  void changed(Inode& inode) {
    inode.changed_at = ++logical_time;
    idle_opens.close(inode);
  }
  // The answer to a change of this client's own in a directory, which was sent at `asked_at`:
  // the directory's attributes after it, or nullptr when the answer has none.
  void directory_changed(Inode& directory, const wire::Attributes* after, std::uint64_t asked_at);
  // A directory's attributes from before something else was asked about it.
  void directory_seen(Inode& directory, const wire::Attributes* before, std::uint64_t asked_at);
  // Its attributes are to be asked for again, and an answer that is still on its way is too old.
  void forget_attributes(Inode& inode) {
    changed(inode);
    inode.attributes_expire = {};
  }
  // The server has refused a change of this client's own, or not answered: it may have done part of
  // it, of which it tells others, but not us.
  void changed_in_part(const InodeRef& inode);
  // Attributes in the reply to a change of this client's own. Replies overtake each other: the
  // latest counts.
  void take_own_change(Inode& inode, const Attributes& now, std::uint64_t asked_at);

  void prepare_mapping(const InodeRef& inode);
  OpenedFile add_open_file(const InodeRef& inode, std::shared_ptr<ServerOpen> open, int flags);
  // After a flush: gives the server the modification time that programs have been shown.
  Task<void> settle_mtime(InodeRef inode);
  cache::InvalidateRequest request_for(cache::InvalidateReason reason) const {
    return {options.invalidate, reason, true};
  }
  // Sends what is dirty, if anything is, and waits for it. Also fsync and close report the error.
  Task<Status> write_back(InodeRef inode);
  // `store` was made through `file`, at `offset`, which need not be where the kernel asked for it.
  void note_store(const OpenFile& file, const Store& store, std::uint64_t offset);

  // Goes on trying to write what could not be written when the file was released.
  static Task<void> write_later(MountCore& core, InodeRef inode, std::shared_ptr<ServerOpen> open);
  // The last name is gone, and nobody here has it open: what could not be written is of no use.
  static bool is_out_of_reach(const Inode& inode);
  // The end of that: everything is written, or there is no file any more to write it to.
  Task<void> stop_writing_later(InodeRef inode);
  // The kernel has released it: nullptr when it had before.
  OpenFileRef take_open_file(OpenFile* file);
  // The end of one that was taken, and of which nothing is left to write.
  Task<void> drop_open_file(OpenFileRef file);
  // Waits for the requests that go through it. Where the server does not answer in time it goes on
  // trying in the background: a session that is resumed still has the open.
  Task<void> close_server_open(std::shared_ptr<ServerOpen> open);
  // Once. An open of an earlier session is closed already. REQUIRES: no request goes through it, or
  // the mount does not end meanwhile.
  Task<Status> try_to_close(std::shared_ptr<ServerOpen> open);
  // The server has answered a request whose caller has given up: what it has opened is of no use.
  void close_unclaimed(proto::MessageType type, const rpc::RawReply& reply);
};

// A change under way that makes the file longer, of which the kernel keeps no copy
// (MountCore::has_unstable_size()).
class UncachedGrowth {
 public:
  UncachedGrowth(MountCore& core, InodeRef inode) : core_(core.self), inode_(std::move(inode)) {
    ++inode_->kernel.uncached_growth;
  }
  // The mount may have ended meanwhile.
  ~UncachedGrowth() {
    --inode_->kernel.uncached_growth;
    const auto core = core_.lock();
    if (!core) return;
    inode_->kernel.size_unstable_until = (*core)->clock.now() + MountCore::kAnswerIsTaken;
  }
  UncachedGrowth(const UncachedGrowth&) = delete;
  UncachedGrowth& operator=(const UncachedGrowth&) = delete;

 private:
  const std::weak_ptr<MountCore*> core_;
  const InodeRef inode_;
};

// A task that shut_down() waits for.
class BackgroundTask {
 public:
  explicit BackgroundTask(MountCore& core) : core_(core) { ++core_.background_tasks; }
  ~BackgroundTask() {
    --core_.background_tasks;
    core_.background_ended.wake_all();
  }
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

 private:
  MountCore& core_;
};

// `name` is no extended attribute of the file as it is `as_of`.
void remember_absent(Inode& inode, const Attributes& as_of, std::string name);
// What `as_of.flags` says of its extended attributes.
void remember_flags(Inode& inode, const Attributes& as_of);
// This client has just made the file: it has no capability.
void remember_new_file(Inode& inode);

// What a store by somebody unprivileged does to the mode (inode(7)).
void drop_set_id_bits(Inode& inode);

// Stands for a name in a directory.
std::size_t name_key(NodeId parent, std::string_view name);

wire::CallerT to_wire(const Caller& caller);
// Whose change it is, of which file and through which open is the caller's to add.
wire::SetAttrRequestT to_wire(const AttributeChange& change);
std::unique_ptr<wire::CallerT> caller_of(const Call& call);
Status check_name(std::string_view name);

}  // namespace foliofs::vfs
