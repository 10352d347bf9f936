// InodeIo: how the cache reaches one file: READs and WRITEs through one of its opens, and the
// kernel's pages above it. The mapping holds it, so it may outlive the inode by the length of a
// fetch.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "foliofs/cache/folio_store.h"
#include "foliofs/rpc/session.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class InodeIo final : public cache::FolioStore, public cache::KernelPages {
 public:
  // How often a call is tried when sessions are lost under it one after the other.
  static constexpr int kMaxAttempts = 3;

  InodeIo(MountCore& core, std::weak_ptr<Inode> inode);

  // EBADF when no open of the file allows it.
  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) override;
  Task<Status> write(cache::StoreWrite write) override;
  Task<void> invalidate(ByteRange range) override;

  // Sets the server's mtime without writing anything.
  Task<Status> set_mtime(std::int64_t mtime_ns);
  Task<Status> commit(std::shared_ptr<ServerOpen> open, bool data_only);

  // What the server does to ranges of the file by itself (inode_io_ranges.cpp).
  struct Appended {
    std::uint64_t offset = 0;  // of the first byte
    std::uint64_t size = 0;    // of the file afterwards
  };
  // Writes at the end that the file has on the server then. EIO when it is not known whether that
  // has happened.
  Task<Result<Appended>> append(std::shared_ptr<ServerOpen> open, std::span<const std::byte> data);
  Task<Status> allocate(std::shared_ptr<ServerOpen> open, std::uint32_t mode, std::uint64_t offset,
                        std::uint64_t length);
  Task<Result<std::uint64_t>> seek(std::shared_ptr<ServerOpen> open, std::uint64_t offset,
                                   bool data);
  // Copies from an open of `source`, which may be this very file. Returns how many bytes; fewer is
  // no error.
  Task<Result<std::uint64_t>> copy(InodeIo& source, std::shared_ptr<ServerOpen> from,
                                   std::uint64_t from_offset, std::shared_ptr<ServerOpen> to,
                                   std::uint64_t to_offset, std::uint64_t length);

  void add(std::shared_ptr<ServerOpen> open) { opens_.push_back(std::move(open)); }
  void remove(const std::shared_ptr<ServerOpen>& open) { std::erase(opens_, open); }
  bool readable() const { return find(&ServerOpen::readable) != nullptr; }

  // The number of the latest WRITE that has begun; whether `write` or an earlier one is under way.
  std::uint64_t latest_write() const { return writes_begun_; }
  bool is_under_way(std::uint64_t write) const {
    return !writes_under_way_.empty() && *writes_under_way_.begin() <= write;
  }
  Task<void> until_written(std::uint64_t write);

  // Whether all opens of the file are by this user.
  bool is_open_for(std::uint32_t uid) const {
    return std::all_of(opens_.begin(), opens_.end(),
                       [uid](const auto& open) { return open->opener.uid == uid; });
  }

  // Whether somebody here holds the file open for writing.
  bool has_writable_open() const { return find(&ServerOpen::writable) != nullptr; }

  // The latest stores came through `open`. They are written back through it, so that the server
  // sees who wrote (set-id bits, reserved blocks).
  void prefer(const std::shared_ptr<ServerOpen>& open);

  // Whether `error` says that the server does not answer, so that nobody knows what it has done.
  static bool is_away(Errno error);

  // Makes `open` valid in the present session, and takes the file's locks again there. ESTALE when
  // the file is gone.
  Task<Status> ensure_current(std::shared_ptr<ServerOpen> open);

  // A request that names `open` and may be repeated in another session.
  template <class Request>
  Task<rpc::ReplyTo<Request>> call_with(std::shared_ptr<ServerOpen> open,
                                        typename Request::NativeTableType request) {
    const ServerOpenRequest under_way(open);
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      auto current = co_await ensure_current(open);
      if (!current) co_return current.error();
      request.open_id = open->id;
      auto reply = co_await session_.call<Request>(request, open->incarnation);
      if (reply || reply.error() != rpc::kSessionLost) co_return reply;
    }
    co_return Errno(EIO);
  }

 private:
  Task<Status> ensure_reopened(std::shared_ptr<ServerOpen> open);
  // Takes the locks again that were held through `open`, which has just been opened again. A lock
  // that somebody else has now is lost.
  Task<Status> reclaim_locks(std::shared_ptr<ServerOpen> open);
  Task<Status> reclaim_owner(std::shared_ptr<Inode> inode, std::shared_ptr<ServerOpen> open,
                             LockOwnerId id);
  void lose_locks(Inode& inode, const std::shared_ptr<ServerOpen>& open, Errno why);
  static Task<void> give_up_locks(rpc::Session& session, std::shared_ptr<Inode> inode,
                                  std::shared_ptr<ServerOpen> open,
                                  std::vector<LockOwnerId> owners);
  // Opens the file again in the present session, by another handle if need be.
  Task<Status> reopen(ServerOpen& open);
  std::shared_ptr<ServerOpen> find(bool (ServerOpen::*suitable)() const) const;
  // Attributes after a change by this client, which was sent when asking_now() was `asked_at`.
  void changed_by_us(const wire::Attributes& wire, std::uint64_t asked_at);
  // A change by this client has failed, or was not answered: part of it may have been done.
  void changed_in_part();
  // MountCore::logical_time, to tell later what has happened since.
  std::uint64_t asking_now() const;
  Task<Result<CarriedAttributes>> carry_attributes(std::shared_ptr<Inode> inode,
                                                   std::shared_ptr<ServerOpen> open,
                                                   wire::WriteRequestT& request);
  // Records an error when the server's machine was restarted before bytes were committed.
  void check_verifier(Inode& inode);
  void note_acknowledged();

  rpc::Session& session_;
  const std::weak_ptr<MountCore*> core_;
  const std::weak_ptr<Inode> inode_;
  std::vector<std::shared_ptr<ServerOpen>> opens_;
  WaitQueue reopened_;
  class WriteUnderWay;
  std::uint64_t writes_begun_ = 0;
  std::set<std::uint64_t> writes_under_way_;
  WaitQueue write_ended_;
};

}  // namespace foliofs::vfs
